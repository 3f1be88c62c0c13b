"""docs/openapi.yaml: valid, served, and in both directions what the server does."""

import concurrent.futures
import importlib.machinery
import importlib.util
import json
import pathlib
import re
import threading

import catalogues
import openapi
import openapi_spec_validator
import programs
import pytest
import requests
from catalogues import dataset
from http_api import DOC, GA, TOKENS, UPPER, Api, error, ok
from redis_proxy import RedisProxy

ROOT = pathlib.Path(__file__).resolve().parents[2]
STALE = catalogues.schedule_rid("stale")
DAMAGED = catalogues.schedule_rid("damaged")
PAUSED = catalogues.schedule_rid("paused")
ACTION = {"target": {"type": "manual", "targetRids": [dataset("stale")]}}
RIDS = {"scheduleRid": STALE, "scheduleVersionRid": catalogues.version_rid("stale"),
        "runRid": "ri.scheduler.main.run.00000000-0000-5000-8000-000000000000",
        "buildRid": "ri.foundry.main.build.00000000-0000-5000-8000-000000000000",
        "datasetRid": dataset("stale")}
UNKNOWN = {"scheduleRid": catalogues.schedule_rid("unknown"),
           "scheduleVersionRid": catalogues.version_rid("unknown"), "runRid": RIDS["runRid"],
           "buildRid": RIDS["buildRid"], "datasetRid": dataset("unknown")}
COMMIT = {"branch": "master", "transactionRid": catalogues.transaction("stale-2")}
API = [operation for operation in openapi.operations() if "x-scope" in operation.spec]
CHANGES = ("createSchedule", "replaceSchedule", "deleteSchedule", "pauseSchedule",
           "unpauseSchedule")


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init()
    catalogue = catalogues.outcomes()
    catalogue["schedules"].append(catalogues.schedule("damaged", ["stale"]))
    catalogue["schedules"].append(catalogues.schedule("canceled", ["stale"], forceBuild=True))
    fresh_system.apply(catalogue)
    fresh_system.worker().wait_ready()
    return fresh_system


@pytest.fixture(scope="module")
def api(system):
    return Api(system)


def body_of(operation):
    return {"createSchedule": {"action": ACTION}, "replaceSchedule": {"action": ACTION},
            "getSchedulesBatch": [{"scheduleRid": STALE}],
            "commitDataset": COMMIT, "getBuildsBatch": [{"buildRid": RIDS["buildRid"]}]}.get(operation.id)


def send(api, operation, rids=RIDS, **more):
    path = re.sub(r"\{(\w+)\}", lambda match: rids[match.group(1)], operation.path)
    if "json" not in more and "data" not in more:
        more["json"] = body_of(operation)
    if operation.id == "streamRunEvents":
        more["params"] = {"scheduleRid": rids["scheduleRid"], **more.get("params", {})}
    answer = api.call(operation.method.upper(), path, stream=True, **more)
    answer.close()
    return answer


def generator():
    loader = importlib.machinery.SourceFileLoader("convert", str(ROOT / "docs" / "openapi-json"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("convert", loader))
    loader.exec_module(module)
    return module


def test_it_is_valid_and_served_as_it_is(api):
    openapi_spec_validator.validate(openapi.document())
    assert openapi.document()["openapi"].startswith("3.1")
    answer = api.call("GET", "/openapi.json", token=None)
    assert answer.json() == openapi.document(), "docs/openapi.json is old: make openapi"
    assert answer.content == (ROOT / "docs" / "openapi.json").read_bytes()
    assert answer.text == generator().convert()


def test_every_route_is_in_it_and_nothing_else(api):
    metrics = api.daemon.admin("/metrics")[1]
    served = set(re.findall(r'schedrun_http_request_duration_seconds_count\{route="([^"]+)"\}',
                            metrics)) - {"none"}
    page = {path for path in served if not path.startswith(("/api/", "/healthz", "/openapi"))}
    assert served - page == set(openapi.document()["paths"])
    for path, item in openapi.document()["paths"].items():
        path = re.sub(r"\{(\w+)\}", lambda match: RIDS[match.group(1)], path)
        allow = api.call("OPTIONS", path, token=None).headers["Allow"].split(", ")
        methods = {method.upper() for method in openapi.METHODS if method in item}
        assert set(allow) - {"HEAD", "OPTIONS"} == methods


def test_no_series_is_there_twice(api):
    lines = [line.rpartition(" ")[0] for line in api.daemon.admin("/metrics")[1].splitlines()
             if line and not line.startswith("#")]
    assert len(lines) == len(set(lines))


def test_its_error_names_are_those_of_the_server(api):
    source = (ROOT / "producer/base/error.c").read_text()
    table = source[source.index("errors[N_API_ERRORS]"):source.index("api_error_status")]
    names = {name for name in re.findall(r'"([A-Za-z:]+)"', table) if not name.isupper()}
    documented = {schema["properties"]["errorName"]["const"]
                  for key, schema in openapi.document()["components"]["schemas"].items()
                  if key.endswith("Error") and "const" in
                  schema.get("properties", {}).get("errorName", {})}
    assert documented == names


@pytest.mark.parametrize("operation", API, ids=lambda operation: operation.id)
def test_scope_and_preview_are_what_it_says(api, operation):
    scope, previews = operation.spec["x-scope"], operation.spec["x-preview"]
    [lacking] = [token for token in ("reader", "writer") if scope not in TOKENS[token]]
    error(send(api, operation, token=lacking), 403, "ApiUsageDenied", missingScope=scope)
    for profile in (DOC, GA, UPPER):
        answer = send(api, operation, UNKNOWN, profile=profile, preview=False, token="viewer",
                      data="{", headers={"Content-Type": "application/json"})
        refused = answer.status_code == 400 and \
            answer.json()["errorName"] == "ApiFeaturePreviewUsageOnly"
        assert refused == (profile in previews)


def provoke_by_requests(api, operation):
    send(api, operation, token=None)
    send(api, operation, token="wrong")
    send(api, operation, params={"preview": "maybe"}, preview=False)
    send(api, operation, UNKNOWN)
    send(api, operation, token="viewer")
    if operation.body() is not None:
        kind = {"Content-Type": "application/json"}
        send(api, operation, data="{", headers=kind)
        send(api, operation, data="x", headers={"Content-Type": "text/plain"})
        send(api, operation, data=b" " * (1024 * 1024 + 1), headers=kind)
    if operation.id in BODIES:
        send(api, operation, json=None)
    for body in BODIES.get(operation.id, ()):
        send(api, operation, json=body)
    for params in QUERIES.get(operation.id, ()):
        send(api, operation, params=params)


SCHEDULES = [
    {"action": {"target": {"type": "manual", "targetRids": []}}},
    {"action": {"target": {"type": "connecting", "targetRids": [dataset("stale")],
                           "inputRids": []}}},
    {"action": {"target": {"type": "connecting", "inputRids": [dataset("missing")],
                           "targetRids": [dataset("stale")]}}},
    {"action": {"target": {"type": "manual", "targetRids": [dataset("missing")]}}},
    {"action": {"target": {"type": "manual", "targetRids": [dataset("elsewhere")]}}},
    *({"action": ACTION, **more} for more in (
        {"trigger": {"type": "and", "triggers": []}}, {"trigger": {"type": "or", "triggers": []}},
        {"trigger": {"type": "time", "cronExpression": "", "timeZone": "UTC"}},
        {"displayName": "x" * 256}, {"description": "x" * 4097}))]
BODIES = {"createSchedule": SCHEDULES, "replaceSchedule": SCHEDULES,
          "getSchedulesBatch": [[], [{"scheduleRid": STALE}] * 1001],
          "getBuildsBatch": [[], [{"buildRid": RIDS["buildRid"]}] * 101],
          "commitDataset": [COMMIT, {**COMMIT, "time": "yesterday"}]}
QUERIES = {"listRuns": [{"pageSize": "0"}, {"pageToken": "x"}]}


def provoke_damage(servers, api, operation):
    """A key of each kind that holds what can't be ours."""
    redis = servers.redis()
    redis.hset("schedrun:s", DAMAGED, "?")
    redis.hset("schedrun:v", UNKNOWN["scheduleVersionRid"], "?")
    build = bytes.fromhex(RIDS["buildRid"].rpartition(".")[2].replace("-", ""))
    redis.hset(b"schedrun:b:" + build, "e", "?")
    rids = {**UNKNOWN, "scheduleRid": DAMAGED}
    if operation.id == "getSchedulesBatch":
        send(api, operation, json=[{"scheduleRid": DAMAGED}])
    else:
        send(api, operation, rids)
    redis.delete(b"schedrun:b:" + build)
    redis.hdel("schedrun:v", UNKNOWN["scheduleVersionRid"])
    redis.hdel("schedrun:s", DAMAGED)


def provoke_unknown_delivery(servers, api):
    [commit] = [operation for operation in API if operation.id == "commitDataset"]
    assert send(api, commit).status_code == 200
    with programs.stand_still(servers.kafka_process):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answers = [pool.submit(api.run, STALE), pool.submit(send, api, commit)]
        statuses = [answer.result().status_code for answer in answers]
    assert statuses == [500, 500]


def provoke_silent_redis(system):
    """It answers all but what a change asks: whether it was written is unknown;
    then it lets nobody see the datasets that a new schedule's right is judged by."""
    proxy = RedisProxy(system.cluster.redis_port)
    system.redis_url, direct = proxy.url, system.redis_url
    api = Api(system, "http-silent", redis__timeout__command="500ms")
    system.redis_url = direct
    released = threading.Event()

    def write_nothing(command):
        if command[0] == b"EVALSHA" and command[3] == b"schedrun:s":
            released.wait(60)
            return b"-ERR nothing was done\r\n"
        return None

    def hide_datasets(command):
        if any(re.fullmatch(rb"schedrun:g\d+:d", part) for part in command):
            return b"-NOPERM no permissions to access it\r\n"
        return None

    proxy.hook = write_nothing
    for operation in API:
        if operation.id in CHANGES:
            rids = {**RIDS, "scheduleRid": PAUSED} if operation.id == "unpauseSchedule" else RIDS
            answer = send(api, operation, rids)
            assert answer.status_code == 500, (operation.id, answer.text)
    released.set()
    proxy.hook = hide_datasets
    for operation in API:
        if operation.id in ("createSchedule", "commitDataset"):
            programs.wait_for("Redis to be tried again", lambda: send(api, operation).status_code == 500)
    api.daemon.stop()
    proxy.close()


def test_every_error_in_it_is_what_the_server_answers(servers, system, api):
    documented = {(operation.id, *each) for operation in API for each in operation.errors()}
    for operation in API:
        provoke_by_requests(api, operation)
    for operation in API:
        provoke_damage(servers, api, operation)
    build = ok(api.run(catalogues.schedule_rid("canceled"), wait=30))["result"]["buildRid"]
    programs.wait_for("the build", lambda: api.get(f"/builds/{build}").status_code == 200)
    api.post(f"/builds/{build}/cancel", token="viewer")
    limited = Api(system, "http-limited", http__rate="1")
    for _ in range(3):
        limited.run(STALE)
        limited.post(f"/datasets/{dataset('raw')}/commits", {
            "branch": "master", "transactionRid": catalogues.transaction("limited")})
    limited.daemon.stop()
    provoke_silent_redis(system)
    provoke_unknown_delivery(servers, api)
    servers.stop_redis()
    for operation in API:
        assert send(api, operation).status_code == 503, operation.id
    servers.start_redis()
    missing = sorted(documented - openapi.seen, key=str)
    assert not missing, "\n".join(map(str, missing))
