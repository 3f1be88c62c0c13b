"""Alerts and dashboard: promtool takes what they ask, each alert fires and is silent
where it should, has a section in the runbook, and what they name is there."""

import json
import re
import subprocess
import uuid

import catalogues
import pytest
import requests
import yaml
from adapters import Adapter
from cluster import free_ports
from programs import BUILD, ROOT, System, wait_for

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus/schedrun.rules.yaml"
CASES = DEPLOY / "prometheus/schedrun.test.yaml"
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
DASHBOARD = json.loads((DEPLOY / "grafana/schedrun.json").read_text())
ALERTS = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
SELECTOR = re.compile(r"\b(schedrun_\w+|process_\w+)(?:\{([^}]*)\})?")
# Labels that the scrape brings, and what Grafana puts in for its variables.
SCRAPED = {"job", "instance"}
VARIABLES = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*", "$stage": ".*"}


def targets():
    """What the dashboard asks: panel, target, expression with the variables filled in."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"]
            for name, value in VARIABLES.items():
                text = text.replace(name, value)
            yield panel, target, text


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_rules_and_configuration():
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    promtool("check", "config", DEPLOY / "prometheus/prometheus.yaml")


def test_each_alert_fires_and_is_silent():
    promtool("test", "rules", CASES)
    tests = yaml.safe_load(CASES.read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test.get("alert_rule_test", [])
             if case.get("exp_alerts")}
    silent = {case["alertname"] for test in tests for case in test.get("alert_rule_test", [])
              if not case.get("exp_alerts")}
    assert fired == silent == {alert["alert"] for alert in ALERTS}


def test_each_alert_has_its_section():
    sections = set(re.findall(r"^### (Schedrun\w+)$", RUNBOOK, re.M))
    assert sections == {alert["alert"] for alert in ALERTS}
    for alert in ALERTS:
        notes = alert["annotations"]
        assert notes["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"
        assert notes["summary"] and notes["description"].endswith(".")
        assert alert["labels"]["severity"] in ("warning", "critical")
        section = RUNBOOK.partition(f"### {alert['alert']}\n")[2].partition("\n### ")[0]
        for part in ("**Means.**", "**Look.**", "**Mend.**"):
            assert part in section, f"{alert['alert']} lacks {part}"


def commands():
    """Each `schedrun …` of the runbook, with something in every place."""
    schedule, run = catalogues.schedule_rid("a"), f"ri.scheduler.main.run.{uuid.uuid4()}"
    for command in sorted(set(re.findall(r"(?:`| {4})schedrun ([a-z][^`#|\n]*)", RUNBOOK))):
        for place, value in (("RID", run if command.startswith("run ") else schedule),
                             ("P:O", "0:1"), ("FILE", f"{DEPLOY}/schedrun.conf")):
            command = command.replace(place, value)
        yield command.split()


def test_its_commands_are_understood():
    """Nobody is there to answer, but each is known with the flags that it has."""
    asked = list(commands())
    assert len(asked) > 15
    for words in asked:
        done = subprocess.run([BUILD / "schedrun", *words, "-b", "127.0.0.1:1", "--redis", "redis://127.0.0.1:1/0",
                               "--timeout", "100ms"], capture_output=True, text=True, timeout=30)
        assert done.returncode in (0, 1, 4, 5), f"{words}: {done}"


def test_promtool_takes_what_the_dashboard_asks(tmp_path):
    rules = [{"record": f"panel:{panel['id']}:{target['refId'].lower()}", "expr": text}
             for panel, target, text in targets()]
    path = tmp_path / "dashboard.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", path)
    assert len(rules) > 40
    assert not [text for _, _, text in targets() if "$" in text]


def test_the_dashboard_is_whole():
    """Every panel asks the source that is chosen, and none lies on another."""
    taken, ids = set(), set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}
        assert panel["id"] not in ids and not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        ids.add(panel["id"])
        taken |= cells
    for panel, target, _ in targets():
        assert panel["datasource"]["uid"] == target["datasource"]["uid"] == "${datasource}"
    names = [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    assert names == ["datasource", "job", "instance", "stage"]


@pytest.fixture(scope="module")
def daemons(servers, tmp_path_factory):
    """A worker, an adapter, a builder and a trigger; the first two have worked."""
    servers.empty_redis()
    system = System(servers, tmp_path_factory.mktemp("alerts"))
    system.init()
    system.apply(catalogues.outcomes())
    worker = system.worker()
    adapter = Adapter(system)
    builder = system.builder("/bin/true")
    trigger = system.trigger()
    schedule = catalogues.schedule_rid("stale")
    assert "result" in adapter.run(schedule, Prefer="wait=30").json()
    yield [daemon.wait_ready() for daemon in (worker, adapter.daemon, builder, trigger)]
    system.stop()
    system.delete_topics()


@pytest.fixture
def scraped(daemons):
    """name -> the labels of its series."""
    found = {}
    for text in (daemon.admin("/metrics")[1] for daemon in daemons):
        for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", text, re.M):
            found.setdefault(name, []).append(dict(re.findall(r'(\w+)="([^"]*)"', labels)))
    return found


def is_met(matchers, labels):
    for name, sign, value in re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', matchers or ""):
        if name in SCRAPED:
            continue
        met = re.fullmatch(value if sign == "=~" else re.escape(value), labels.get(name, ""))
        if bool(met) == (sign == "!="):
            return False
    return True


def test_what_is_asked_is_there(scraped):
    """Each selector has a series; each label that is summed by or shown is a metric's."""
    labels = {label for series in scraped.values() for one in series for label in one} | SCRAPED
    texts = [alert["expr"] for alert in ALERTS] + [text for _, _, text in targets()]
    for text in texts:
        for name, matchers in SELECTOR.findall(text):
            assert any(is_met(matchers, one) for one in scraped.get(name, [])), \
                f"no series is {name}{{{matchers}}}, which is asked in: {text}"
        for names in re.findall(r"\b(?:by|on) \(([^)]*)\)", text):
            assert set(names.split(", ")) <= labels, text
    for panel, target, _ in targets():
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert shown <= labels, panel["title"]
    for alert in ALERTS:
        shown = set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"])))
        assert shown <= labels, alert["alert"]


OPEN, PLAIN = "application/openmetrics-text", "text/plain"


@pytest.mark.parametrize("accept, kind", [
    (None, PLAIN), ("*/*", PLAIN), (PLAIN, PLAIN), (f"{OPEN};version=0.0.1", PLAIN),
    (OPEN, OPEN), (f"{OPEN}; version=1.0.0; charset=utf-8", OPEN),
    (f"{PLAIN};version=0.0.4;q=0.5,{OPEN};version=1.0.0;q=0.6,*/*;q=0.1", OPEN),
    (f"{OPEN};q=0.25, {PLAIN};q=0.3", PLAIN), (f"{OPEN};q=0", PLAIN), (f"{OPEN};q=0.001", OPEN),
    (f"{OPEN};q=0.0000000000001, {OPEN};q=,;,=,,q", OPEN), (f"{OPEN}x", PLAIN)])
def test_the_form_is_that_which_is_asked_for(daemons, accept, kind):
    port = daemons[0].port_file.read_text().strip()
    answer = requests.get(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept}, timeout=5)
    assert answer.headers["Content-Type"].startswith(f"{kind}; version={'1.0.0' if kind == OPEN else '0.0.4'}")
    assert answer.text.endswith("# EOF\n") == (kind == OPEN)
    assert ("# TYPE schedrun_runs counter\n" in answer.text) == (kind == OPEN)


def test_prometheus_takes_all_of_it(daemons, tmp_path):
    """The real one, which asks for OpenMetrics, and whose rules see no fault."""
    jobs = [{"job_name": f"schedrun-{daemon.name}", "static_configs": [
        {"targets": [f"127.0.0.1:{daemon.port_file.read_text().strip()}"]}]} for daemon in daemons]
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump({
        "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
        "rule_files": [str(RULES)], "scrape_configs": jobs}))
    port = free_ports(1)[0]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={tmp_path}/prometheus.yaml", f"--storage.tsdb.path={tmp_path}/data",
             f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)

    def ask(path):
        try:
            return requests.get(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=5).json()["data"]
        except (requests.RequestException, ValueError, KeyError):
            return None  # it isn't up yet

    def scrapes():
        assert process.poll() is None, (tmp_path / "log").read_text()
        found = (ask("targets") or {"activeTargets": []})["activeTargets"]
        assert not [target["lastError"] for target in found if target["lastError"]]
        return len(found) == len(daemons) and all(target["health"] == "up" for target in found)

    try:
        wait_for("the targets to be up", scrapes, 30)
        wait_for("the rules to be asked", lambda: all(
            rule["health"] == "ok" for rule in ask("rules")["groups"][0]["rules"]), 30)
        assert ask("targets/metadata?metric=schedrun_runs")[0]["type"] == "counter"  # so in OpenMetrics alone
        assert not [alert for alert in ask("alerts")["alerts"] if alert["state"] == "firing"]
    finally:
        process.terminate()
        process.wait(20)
