"""What the adapter tells of itself, and what it never tells."""

import json
import os
import re
import signal
import subprocess

import catalogues
import programs
import pytest
import requests
from adapters import API, READ, WRITE, Adapter
from programs import wait_for

SCHEDULE = catalogues.schedule_rid("stale")
# All that docs/operation.md, section 4, promises of the adapter; there at the first scrape.
SERIES = {
    "schedrun_build_info", "schedrun_log_lines_suppressed_total", "schedrun_dependency_up",
    "schedrun_ready",
    "schedrun_redis_round_trip_seconds", "schedrun_redis_errors_total",
    "schedrun_kafka_errors_total", "schedrun_http_request_duration_seconds",
    "schedrun_http_requests_total", "schedrun_http_connections",
    "schedrun_http_in_flight_requests", "schedrun_http_auth_failures_total",
    "schedrun_sse_subscribers", "schedrun_sse_events_total", "schedrun_run_view_lag_records",
    "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
    "process_max_fds", "process_start_time_seconds",
}
CANARY = "c4n4ry-" + "5ecret"


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init()
    fresh_system.apply(catalogues.outcomes())
    fresh_system.worker()
    return fresh_system


@pytest.fixture(scope="module")
def adapter(system):
    return Adapter(system)


def samples(text):
    """(name, labels) -> value"""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            found[name, labels.rstrip("}")] = float(value)
    return found


def families(found):
    return {re.sub(r"_(bucket|sum|count)$", "", name) if "seconds" in name or
            "records" in name else name for name, _ in found}


def test_everything_is_there_at_0(system):
    fresh = Adapter(system, "http-fresh")
    found = samples(fresh.daemon.admin("/metrics")[1])
    assert SERIES <= families(found), SERIES - families(found)
    for (name, labels), value in found.items():
        if name.startswith("schedrun_http_requests_total") or "auth_failures" in name or \
                "sse_events" in name:
            assert value == 0, (name, labels)
    for result in ("sent", "dropped"):
        assert found["schedrun_sse_events_total", f'result="{result}"'] == 0
    run = f'route="{API}/schedules/{{scheduleRid}}/run",method="POST",code="200"'
    assert found["schedrun_http_requests_total", run] == 0
    assert found["schedrun_dependency_up", 'dependency="kafka"'] in (0, 1)
    assert fresh.daemon.stop() == 0


def test_promtool_finds_nothing_to_blame(adapter):
    assert "result" in adapter.run(SCHEDULE, Prefer="wait=30").json()
    text = adapter.daemon.admin("/metrics")[1]
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                          capture_output=True)
    assert done.returncode == 0 and not done.stdout and not done.stderr, \
        done.stdout + done.stderr


def test_requests_and_events_are_counted(adapter):
    before = samples(adapter.daemon.admin("/metrics")[1])
    stream = adapter.events()
    wait_for("the stream", lambda: adapter.daemon.metric("schedrun_sse_subscribers") == 1)
    run = adapter.run(SCHEDULE, Prefer="wait=30").json()
    stream.wait_events(1)
    adapter.call("GET", f"{API}/schedules/{SCHEDULE}/runs/{run['rid']}")
    adapter.call("GET", f"{API}/nowhere/at/all")
    adapter.run(SCHEDULE, token="wrong")
    after = samples(adapter.daemon.admin("/metrics")[1])

    def moved(name, labels):
        return after[name, labels] - before.get((name, labels), 0)

    route = f"{API}/schedules/{{scheduleRid}}"
    total = "schedrun_http_requests_total"
    assert moved(total, f'route="{route}/run",method="POST",code="200"') == 1
    assert moved(total, f'route="{route}/run",method="POST",code="401"') == 1
    assert moved(total, f'route="{route}/runs/{{runRid}}",method="GET",code="200"') == 1
    assert moved(total, 'route="none",method="GET",code="404"') == 1
    assert moved("schedrun_http_auth_failures_total", 'reason="UNKNOWN_TOKEN"') == 1
    assert moved("schedrun_sse_events_total", 'result="sent"') == 1
    stream.close()
    wait_for("the stream to be gone",
             lambda: adapter.daemon.metric("schedrun_sse_subscribers") == 0)


def test_no_label_holds_a_rid_or_a_user(adapter):
    text = adapter.daemon.admin("/metrics")[1]
    for secret in ("ri.", catalogues.OWNER, "stale", "full"):
        for (_, labels) in samples(text):
            assert secret not in labels.replace("none", "").replace("/dashboard/stale", ""), labels


@pytest.fixture
def guarded(servers):
    """Redis wants a password."""
    redis = servers.redis()
    redis.execute_command("ACL", "SETUSER", "canary", "on", f">{CANARY}-redis", "~*", "+@all")
    yield "canary"
    redis.execute_command("ACL", "DELUSER", "canary")


def test_secrets_are_told_nowhere(system, guarded):
    """Planted in every place that takes one; looked for in all that is written."""
    tokens = system.directory / "canary-tokens"
    tokens.write_text(f"{CANARY}-token {catalogues.OWNER} {READ} {WRITE}\n")
    tokens.chmod(0o600)
    environment = {"SCHEDRUN_REDIS_PASSWORD": f"{CANARY}-redis",
                   "SCHEDRUN_KAFKA_SASL_PASSWORD": f"{CANARY}-kafka",
                   "SCHEDRUN_SCHEMA_REGISTRY_AUTH": f"user:{CANARY}-registry"}
    adapter = Adapter(system, "http-canary", environment=environment, redis__username=guarded,
                      http__token__file=str(tokens), log__level="debug", log__rate="0")
    told = []
    for token in (f"{CANARY}-token", f"{CANARY}-unknown", f"{CANARY}-" + "x" * 9000):
        answer = adapter.run(SCHEDULE, token=token, Idempotency_Key=f"{CANARY}-key")
        told.append(answer.text + str(answer.headers))
    assert adapter.run(SCHEDULE, token=f"{CANARY}-token", Prefer="wait=30").status_code == 200
    for path in (f"/{CANARY}-path", f"{API}/runEvents?scheduleRid={CANARY}-rid",
                 f"{API}/schedules/{SCHEDULE}/runs/ri.scheduler.main.run.{CANARY}"):
        adapter.call("GET", path, token=f"{CANARY}-token")
    try:
        answer = requests.get(f"http://127.0.0.1:{adapter.port}/healthz",
                              headers={"Authorization": f"Basic {CANARY}-basic"}, timeout=5)
        told.append(answer.text + str(answer.headers))
    except requests.RequestException:
        pass
    command = open(f"/proc/{adapter.daemon.process.pid}/cmdline").read()
    told += [command, adapter.daemon.admin("/metrics")[1], adapter.daemon.admin("/readyz")[1]]
    adapter.daemon.signal(signal.SIGHUP)
    assert adapter.daemon.stop() == 0
    printed = subprocess.run(
        [str(programs.BUILD / "schedrun-http"), *system.flags(), "-s", f"redis.username={guarded}",
         "--print-config"], capture_output=True, text=True, env={**os.environ, **environment})
    told += [printed.stdout, printed.stderr, adapter.daemon.log()]
    assert "***" in printed.stdout and "request_answered" in adapter.daemon.log()
    for text in told:
        assert CANARY not in text, re.findall(f".*{CANARY}.*", text)[:3]


def test_readiness_tells_since_when_and_why(adapter):
    document = json.loads(adapter.daemon.admin("/readyz")[1])
    assert document["status"] == "ready"
    assert [check["name"] for check in document["checks"]] == ["kafka", "redis", "keys", "view",
                                                              "results"]
    for check in document["checks"]:
        assert check["ok"] and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", check["since"])
