"""The adapter: ask over HTTP, read the run, wait for it, by the API's rules."""

import json

import catalogues
import checker
import pytest
import requests
from cluster import free_ports

READ, WRITE = "api:orchestration-read", "api:orchestration-write"
SCHEDULE = catalogues.schedule_rid("stale")


class Api:
    def __init__(self, system):
        tokens = system.directory / "tokens"
        tokens.write_text(f"full {catalogues.OWNER} {READ} {WRITE}\n"
                          f"reader {catalogues.OWNER} {READ}\n"
                          f"stranger {catalogues.STRANGER} {READ} {WRITE}\n"
                          f"viewer {catalogues.VIEWER} {READ} {WRITE}\n")
        tokens.chmod(0o600)
        self.port = free_ports(1)[0]
        self.daemon = system.adapter(http__auth="token-file", http__token__file=str(tokens),
                                     http__listen=f"127.0.0.1:{self.port}", http__drain="0")
        self.daemon.wait_ready()

    def call(self, method, path, token="full", **more):
        headers = more.pop("headers", {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return requests.request(method, f"http://127.0.0.1:{self.port}{path}", headers=headers,
                                timeout=40, **more)

    def run(self, schedule=SCHEDULE, token="full", query="?preview=true", **headers):
        return self.call("POST", f"/api/v2/orchestration/schedules/{schedule}/run{query}", token,
                         headers={k.replace("_", "-"): v for k, v in headers.items()})


@pytest.fixture
def api(system):
    system.init()
    system.apply(catalogues.outcomes())
    system.worker().wait_ready()
    return Api(system)


def test_a_run_and_its_result(system, api):
    answer = api.run(Prefer="wait=30")
    assert answer.status_code == 200 and answer.headers["Preference-Applied"] == "wait=30"
    run = answer.json()
    assert run["scheduleRid"] == SCHEDULE and run["createdBy"] == catalogues.OWNER
    assert run["scheduleVersionRid"] == catalogues.version_rid("stale")
    assert run["result"]["type"] == "submitted"
    [message] = checker.read_topic(system.bootstrap, "schedule-run-results")
    stored = checker.decode("schedule_run", message.value())
    assert stored["rid"] == run["rid"]
    assert stored["result"]["buildRid"] == run["result"]["buildRid"]
    read = api.call("GET", answer.headers["Location"])
    assert read.json() == run


def test_the_same_key_gives_the_same_run(system, api):
    first, second = (api.run(Idempotency_Key="once").json() for _ in range(2))
    assert first["rid"] == second["rid"] and first["createdTime"] == second["createdTime"]
    api.run(Idempotency_Key="once", Prefer="wait=30")
    system.wait_drained()
    assert len(checker.read_topic(system.bootstrap, "schedule-run-results")) == 1


@pytest.mark.parametrize("how, status, name", [
    ({"token": None}, 401, "MissingCredentials"),
    ({"token": "wrong"}, 401, "Default:Unauthorized"),
    ({"token": "reader"}, 403, "ApiUsageDenied"),
    ({"token": "viewer"}, 403, "RunSchedulePermissionDenied"),
    ({"token": "stranger"}, 404, "ScheduleNotFound"),
    ({"schedule": catalogues.schedule_rid("unknown")}, 404, "ScheduleNotFound"),
    ({"query": ""}, 400, "ApiFeaturePreviewUsageOnly"),
])
def test_refusals_have_the_envelope(api, how, status, name):
    answer = api.run(**how)
    assert answer.status_code == status
    error = answer.json()
    assert error["errorName"] == name and isinstance(error["parameters"], dict)
    assert error["errorInstanceId"]


def test_health_and_metrics(api):
    assert api.call("GET", "/healthz", token=None).text.strip() == "ok"
    assert api.call("GET", "/metrics", token=None).status_code == 404
    checks = json.loads(api.daemon.admin("/readyz")[1])["checks"]
    assert {check["name"] for check in checks} == {"kafka", "redis", "keys", "view", "results"}
    assert "schedrun_http_requests_total" in api.daemon.admin("/metrics")[1]


def test_drains_and_exits_0(api):
    assert api.daemon.stop() == 0
