"""What README and docs/runbook.md tell a stranger, done: tests/deploy/compose runs it beside a Docker engine.

Compose brings all up; a catalogue of one's own is applied, and a run of it asked for over HTTP; workers stop, a real
Prometheus with the shipped rules fires SchedrunNoWorker; what its section in the runbook says is done, and what had
waited is answered. Waits of the rules are cut from minutes to seconds, nothing else of them is. Closes with
"N passed, M failed".
"""

import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = pathlib.Path(sys.argv[1])
COMPOSE = ["docker-compose", "-p", "stranger", "-f", str(ROOT / "deploy/containers/compose.yaml")]
SCHEDULE = "ri.scheduler.main.schedule.daily-report"
TOKEN = "ann-0b7e5b3f2c"  # of tests/samples/tokens.txt
counts = [0, 0]


def check(what, holds, said=""):
    counts[not holds] += 1
    print(f"compose: {what}: {'ok' if holds else 'FAILED ' + str(said)}", flush=True)
    return holds


def compose(*words, stdin=None, timeout=300):
    return subprocess.run([*COMPOSE, *words], input=stdin, capture_output=True, text=True, timeout=timeout)


def schedrun(*words, stdin=None):
    """`docker compose run --rm -T schedrun ...`, as compose.yaml says."""
    return compose("run", "--rm", "-T", "schedrun", *words, stdin=stdin)


def wait_for(what, holds, timeout=120):
    deadline = time.monotonic() + timeout
    while not (value := holds()) and time.monotonic() < deadline:
        time.sleep(0.5)
    check(what, value, compose("ps").stdout + compose("logs", "--tail", "5").stdout[-3000:] if not value else "")
    return value


def get(url, **more):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **more), timeout=40) as answer:
            return json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        return {"failed": str(error)}


def run():
    return get(f"http://127.0.0.1:8080/api/v2/orchestration/schedules/{SCHEDULE}/run?preview=true", method="POST",
               headers={"Authorization": f"Bearer {TOKEN}", "Prefer": "wait=20"})


def address(service):
    name = compose("ps", "-q", service).stdout.strip()
    found = subprocess.run(["docker", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name],
                           capture_output=True, text=True).stdout.strip()
    return f"{found}:9464"


def start_prometheus():
    """The shipped configuration and rules, with these targets, seconds for minutes."""
    settings = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["scrape_configs"] = [
        {"job_name": f"schedrun-{job}", "static_configs": [{"targets": [address(name) for name in names]}]}
        for job, names in (("worker", ["worker-1", "worker-2"]), ("http", ["http"]), ("trigger", ["trigger"]))]
    rules = (ROOT / "deploy/prometheus/schedrun.rules.yaml").read_text()
    (WORK / "schedrun.rules.yaml").write_text(re.sub(r"for: (\d+)m\n", r"for: \1s\n", rules))
    (WORK / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    return subprocess.Popen(["prometheus", f"--config.file={WORK}/prometheus.yaml", f"--storage.tsdb.path={WORK}/tsdb",
                             "--web.listen-address=127.0.0.1:9090"], stdout=subprocess.DEVNULL, stderr=open(WORK / "prometheus.log", "wb"))


def firing():
    alerts = get("http://127.0.0.1:9090/api/v1/alerts").get("data", {}).get("alerts", [])
    return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


def targets_up():
    targets = get("http://127.0.0.1:9090/api/v1/targets").get("data", {}).get("activeTargets", [])
    return len(targets) == 4 and all(target["health"] == "up" for target in targets)


def walk():
    up = compose("up", "-d", "--no-build")
    check("compose up", up.returncode == 0, up.stderr[-2000:])
    done = schedrun("apply", "-", stdin=(ROOT / "tests/samples/catalogue.json").read_text())
    check("a catalogue of one's own", done.returncode == 0, done.stderr)
    wait_for("the adapter is ready", lambda: "failed" not in get(f"http://{address('http')}/readyz"))
    answer = run()
    check("a run over HTTP", answer.get("result", {}).get("type") == "submitted", answer)
    build = answer.get("result", {}).get("buildRid", "")
    check("its build is reported", schedrun("build", "finish", build).returncode == 0)
    check("nothing is to be done then", run().get("result", {}).get("type") == "ignored")
    state = schedrun("check", "-o", "jsonl")
    check("schedrun check", state.returncode == 0, state.stdout)

    prometheus = start_prometheus()
    wait_for("Prometheus scrapes all", targets_up)
    check("no alert fires", not firing(), firing())
    compose("stop", "worker-1", "worker-2")
    asked = schedrun("submit", SCHEDULE)
    waiting = json.loads(asked.stdout or "{}").get("runRid")
    check("a request without a worker is taken", asked.returncode == 0 and waiting, asked.stderr)
    wait_for("SchedrunNoWorker fires, and SchedrunDown", lambda: {"SchedrunNoWorker", "SchedrunDown"} <= firing())

    # docs/runbook.md, SchedrunNoWorker: look, mend.
    lag = [json.loads(line) for line in schedrun("lag", "-o", "jsonl").stdout.splitlines()]
    check("lag shows what waits, and that nobody owns it",
          sum(row["lag"] for row in lag if row["partition"] == "total") == 1 and not any(row["owner"] for row in lag), lag)
    check("check --for worker says that a worker could start", schedrun("check", "--for", "worker").returncode in (0, 1))
    compose("start", "worker-1", "worker-2")
    wait_for("the alerts end", lambda: not firing() & {"SchedrunNoWorker", "SchedrunDown"})
    wait_for("what waited is answered", lambda: '"ignored"' in schedrun("run", "get", waiting).stdout)
    prometheus.terminate()
    prometheus.wait()
    down = compose("down", "-v", "-t", "30")
    check("compose down", down.returncode == 0, down.stderr)


try:
    walk()
except Exception as fault:  # the count must be told
    check("the way", False, repr(fault))
print(f"compose: {counts[0]} passed, {counts[1]} failed")
sys.exit(counts[1] != 0)
