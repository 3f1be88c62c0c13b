"""The published SDK, three releases of it, unchanged, against the adapter."""

import json
import pathlib
import subprocess

import catalogues
import programs
import pytest
from catalogues import OWNER, dataset
from http_api import BASE, DOC, GA, UPPER, Api, ok

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASES = {"1.8.0": DOC, "1.60.0": GA, "1.111.0": UPPER}
STALE, FRESH, HIDDEN, UNKNOWN = (catalogues.schedule_rid(name) for name in
                                 ("stale", "fresh", "elsewhere", "unknown"))
VERSION = catalogues.version_rid("stale")
NO_VERSION = catalogues.version_rid("unknown")
NO_BUILD = "ri.foundry.main.build.00000000-0000-5000-8000-000000000000"
ACTION = {"target": {"type": "manual", "targetRids": [dataset("stale")]}}
# every name that a run's error can have, and a schedule whose run ends so
RUN_ERRORS = {
    "TargetResolutionFailure": "missing-target", "CyclicDependency": "cycle",
    "IncompatibleTargets": "ignores-target", "PermissionDenied": "reads-outside",
    "JobSpecNotFound": "no-spec", "ScheduleOwnerNotFound": "owner-gone", "Internal": "broken",
}
# errorName -> the class that users of the SDK catch
NAMED = ["ScheduleNotFound", "ScheduleVersionNotFound", "BuildNotFound",
         "RunSchedulePermissionDenied", "PauseSchedulePermissionDenied",
         "UnpauseSchedulePermissionDenied", "ReplaceSchedulePermissionDenied",
         "DeleteSchedulePermissionDenied", "CreateSchedulePermissionDenied"]


class Sdk:
    """One release in a process of its own."""

    def __init__(self, release, api):
        self.release, self.profile, self.api = release, RELEASES[release], api
        python = ROOT / ".cache" / "sdk" / release / "bin" / "python"
        self.process = subprocess.Popen(
            [python, ROOT / "tests" / "sdk" / "drive.py", f"127.0.0.1:{api.port}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def call(self, client, method, *args, token="full", config=None, preview=True, **kwargs):
        if preview:
            kwargs["preview"] = True
        return self.ask(client=client, method=method, args=args, kwargs=kwargs, token=token,
                        config=config or {})

    def value(self, *args, **more):
        answer = self.call(*args, **more)
        assert "error" not in answer, answer
        assert answer["warnings"] == []
        return answer["value"]

    def error(self, wanted, base, *args, **more):
        """The exception is of this class, decoded, and of that general one."""
        answer = self.call(*args, **more)
        assert answer.get("error") == wanted, answer
        assert base in answer["bases"] and answer["warnings"] == [], answer
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


@pytest.fixture(scope="module")
def system(fresh_system, servers):
    fresh_system.init()
    catalogue = catalogues.outcomes()
    ignoring = catalogues.schedule("ignores-target", ["stale"])
    ignoring["versions"][0]["action"]["target"] = {
        "type": "upstream", "targetRids": [dataset("stale")], "ignoredRids": [dataset("stale")]}
    catalogue["schedules"] += [ignoring, catalogues.schedule("broken", ["stale"])]
    fresh_system.apply(catalogue)
    fresh_system.worker().wait_ready()
    # Valid documents can't cause Internal.
    servers.redis().hset("schedrun:v", catalogues.version_rid("broken"), '{"rid":1}')
    return fresh_system


@pytest.fixture(scope="module")
def api(system):
    return Api(system)


@pytest.fixture(scope="module", params=RELEASES)
def sdk(request, api):
    sdk = Sdk(request.param, api)
    yield sdk
    sdk.close()


def same(decoded, wire):
    """What the SDK decoded is what was sent, times and classes apart."""
    if isinstance(decoded, dict):
        decoded = {k: v for k, v in decoded.items() if k != "class"}
        assert decoded.keys() == wire.keys()
        for key, value in wire.items():
            if key.endswith("Time"):
                assert decoded[key] == value.replace("Z", "+00:00")
            else:
                same(decoded[key], value)
    else:
        assert decoded == wire


def test_a_schedule_lives_and_dies(sdk, api):
    trigger = {"type": "or", "triggers": [
        {"type": "time", "cronExpression": "0 6 * * *", "timeZone": "UTC"},
        {"type": "datasetUpdated", "datasetRid": dataset("raw"), "branchName": "master"}]}
    made = sdk.value("Schedule", "create", action=ACTION, display_name="by an SDK",
                     description="of " + sdk.release, trigger=trigger,
                     scope_mode={"type": "project", "projectRids": [catalogues.PROJECT]})
    rid = made["rid"]
    assert made["class"] == "Schedule" and made["createdBy"] == OWNER
    got = sdk.value("Schedule", "get", rid)
    same(got, ok(api.get(f"/schedules/{rid}", profile=sdk.profile)))
    assert got["trigger"] == trigger and got["displayName"] == "by an SDK"

    put = sdk.value("Schedule", "replace", rid, action={
        "target": {"type": "connecting", "inputRids": [dataset("raw")],
                   "targetRids": [dataset("stale")]},
        "branchName": "develop", "fallbackBranches": ["master"], "forceBuild": True,
        "retryCount": 1, "retryBackoffDuration": {"value": 1, "unit": "MINUTES"}})
    assert put["currentVersionRid"] != made["currentVersionRid"]
    assert put["action"]["target"]["ignoredRids"] == []
    assert put["action"]["retryBackoffDuration"] == {"value": 1, "unit": "MINUTES"}

    for verb, paused in (("pause", True), ("unpause", False)):
        assert sdk.value("Schedule", verb, rid) is None
        assert sdk.value("Schedule", "get", rid)["paused"] is paused

    version = sdk.value("ScheduleVersion", "get", made["currentVersionRid"])
    assert version["class"] == "ScheduleVersion"
    same(version, ok(api.get(f"/scheduleVersions/{version['rid']}", profile=sdk.profile)))
    assert sdk.value("ScheduleVersion", "schedule", version["rid"])["rid"] == rid
    assert sdk.value("Schedule", "delete", rid) is None
    assert sdk.value("ScheduleVersion", "schedule", version["rid"]) is None
    gone = sdk.error("ScheduleNotFound", "NotFoundError", "Schedule", "get", rid)
    assert gone["parameters"] == {"scheduleRid": rid}


def test_a_run_and_its_build(sdk, api):
    run = sdk.value("Schedule", "run", STALE, config={"default_headers": {"Prefer": "wait=30"}})
    assert run["class"] == "ScheduleRun" and run["createdBy"] == OWNER
    assert run["result"]["type"] == "submitted"
    rid = run["result"]["buildRid"]
    programs.wait_for("the build", lambda: api.get(f"/builds/{rid}").status_code == 200)
    build = sdk.value("Build", "get", rid)
    assert build["class"] == "Build" and build["status"] == "RUNNING"
    same(build, ok(api.get(f"/builds/{rid}")))
    batch = sdk.value("Build", "get_batch", [{"buildRid": rid}, {"buildRid": NO_BUILD}])
    assert list(batch["data"]) == [rid]
    assert sdk.value("Build", "cancel", rid) is None
    assert sdk.value("Build", "get", rid)["status"] == "CANCELED"
    pending = sdk.value("Schedule", "run", FRESH)
    assert "result" not in pending or pending["result"]["type"] == "ignored"


@pytest.mark.parametrize("name", RUN_ERRORS)
def test_every_error_name_of_a_run_decodes(sdk, name):
    run = sdk.value("Schedule", "run", catalogues.schedule_rid(RUN_ERRORS[name]),
                    config={"default_headers": {"Prefer": "wait=30"}})
    wanted = name.upper() if sdk.profile == UPPER else name
    assert run["result"]["type"] == "error" and run["result"]["errorName"] == wanted
    assert run["result"]["description"]


def test_runs_are_paged_by_the_iterator(sdk, api):
    rid = ok(api.post("/schedules", {"action": ACTION}))["rid"]
    posted = [sdk.value("Schedule", "run", rid)["rid"] for _ in range(7)]
    listed = sdk.value("Schedule", "runs", rid, page_size=3)
    assert [run["rid"] for run in listed] == posted[::-1]
    assert all(run["class"] == "ScheduleRun" for run in listed)
    if sdk.release == "1.111.0":  # the older ones drop the first page's token
        token = ok(api.get(f"/schedules/{rid}/runs", params={"pageSize": 3}))["nextPageToken"]
        rest = sdk.value("Schedule", "runs", rid, page_size=3, page_token=token)
        assert [run["rid"] for run in rest] == posted[::-1][3:]


def test_what_only_the_newer_releases_have(sdk):
    if sdk.release == "1.8.0":
        answer = sdk.call("Schedule", "get_batch", [{"scheduleRid": STALE}])
        assert answer["error"] == "AttributeError"
        return
    batch = sdk.value("Schedule", "get_batch", [{"scheduleRid": STALE}, {"scheduleRid": UNKNOWN}])
    assert list(batch["data"]) == [STALE]
    affected = sdk.value("Schedule", "get_affected_resources", STALE)
    assert affected["datasets"] == [dataset("stale")]


def test_own_classes(sdk):
    for client, method, args, error, base, parameters in (
            ("Schedule", "get", [UNKNOWN], "ScheduleNotFound", "NotFoundError",
             {"scheduleRid": UNKNOWN}),
            ("Schedule", "get", [HIDDEN], "ScheduleNotFound", "NotFoundError",
             {"scheduleRid": HIDDEN}),
            ("ScheduleVersion", "get", [NO_VERSION], "ScheduleVersionNotFound", "NotFoundError",
             {"scheduleVersionRid": NO_VERSION}),
            ("Build", "get", [NO_BUILD], "BuildNotFound", "NotFoundError",
             {"buildRid": NO_BUILD})):
        answer = sdk.error(error, base, client, method, *args)
        assert answer["parameters"] == parameters and answer["name"] == error
        assert len(answer["error_instance_id"]) == 36


@pytest.mark.parametrize("method, error", [
    ("run", "RunSchedulePermissionDenied"), ("pause", "PauseSchedulePermissionDenied"),
    ("unpause", "UnpauseSchedulePermissionDenied"), ("delete", "DeleteSchedulePermissionDenied"),
    ("replace", "ReplaceSchedulePermissionDenied"), ("create", "CreateSchedulePermissionDenied")])
def test_denials_have_their_own_class(sdk, method, error):
    args = [] if method == "create" else [STALE]
    kwargs = {"action": ACTION} if method in ("create", "replace") else {}
    answer = sdk.error(error, "PermissionDeniedError", "Schedule", method, *args, token="viewer",
                       **kwargs)
    assert answer["parameters"] == ({} if method == "create" else {"scheduleRid": STALE})


def test_general_classes(sdk):
    bad = {"target": {"type": "manual", "targetRids": []}}
    answer = sdk.error("BadRequestError", "PalantirRPCException", "Schedule", "create", action=bad)
    assert answer["name"] == "MissingBuildTargets"
    answer = sdk.error("UnauthorizedError", "PalantirRPCException", "Schedule", "get", STALE,
                       token="wrong")
    assert answer["name"] == "Default:Unauthorized" and answer["parameters"]["error"]
    answer = sdk.error("PermissionDeniedError", "PalantirRPCException", "Schedule", "get", STALE,
                       token="writer")
    assert answer["name"] == "ApiUsageDenied"
    missing = {"target": {"type": "manual", "targetRids": [dataset("missing")]}}
    answer = sdk.error("NotFoundError", "PalantirRPCException", "Schedule", "create",
                       action=missing)
    assert answer["name"] == "BuildTargetsNotFound"
    answer = sdk.error("BadRequestError", "PalantirRPCException", "Schedule", "runs", STALE,
                       page_size=-1)
    assert answer["name"] == "InvalidPageSize" and answer["parameters"] == {"pageSize": -1}
    answer = sdk.error("NotFoundError", "PalantirRPCException", "Schedule", "run", UNKNOWN)
    assert answer["name"] == "ScheduleNotFound"


def test_what_the_build_system_owns_is_no_api_of_ours(sdk):
    if sdk.release == "1.8.0":
        answer = sdk.call("Build", "jobs", NO_BUILD)
    else:
        answer = sdk.call("Job", "get", "ri.foundry.main.job.00000000-0000-5000-8000-000000000000")
    assert answer["error"] == "ApiNotFoundError", answer


def test_preview_is_asked_for_where_a_release_knows_it(sdk):
    answer = sdk.call("Schedule", "get", STALE, preview=False)
    assert answer["name"] == "ApiFeaturePreviewUsageOnly"
    answer = sdk.call("Schedule", "run", STALE, preview=False)
    if sdk.release == "1.8.0":
        assert answer["name"] == "ApiFeaturePreviewUsageOnly"
    else:
        assert answer["value"]["class"] == "ScheduleRun"


def test_triggers_that_a_release_cannot_decode_stay_away(sdk, api):
    for trigger, known in (
            ({"type": "manual"}, sdk.release != "1.8.0"),
            ({"type": "tableUpdated", "tableRid": "ri.tables.main.table.t",
              "branchName": "master"}, sdk.release != "1.8.0"),
            ({"type": "scheduleFailed", "scheduleRid": STALE}, sdk.release == "1.111.0"),
            ({"type": "mediaSetUpdated", "mediaSetRid": "ri.mio.main.media-set.m",
              "branchName": "master"}, True),
            ({"type": "newLogic", "datasetRid": dataset("raw"), "branchName": "master"}, True),
            ({"type": "jobSucceeded", "datasetRid": dataset("raw"), "branchName": "master"}, True),
            ({"type": "scheduleSucceeded", "scheduleRid": STALE}, True)):
        rid = ok(api.post("/schedules", {"action": ACTION, "trigger": trigger}))["rid"]
        assert sdk.value("Schedule", "get", rid).get("trigger") == (trigger if known else None)


def provoke(api):
    """One answer for each error that a request alone can cause: name -> envelope."""
    def put(**body):
        return api.post("/schedules", {"action": ACTION, **body})

    build = ok(api.run(STALE, wait=30))["result"]["buildRid"]
    programs.wait_for("the build", lambda: api.get(f"/builds/{build}").status_code == 200)
    time = {"type": "time", "cronExpression": "no", "timeZone": "UTC"}
    target = {"type": "connecting", "targetRids": [dataset("stale")], "inputRids": []}
    answers = [
        api.get(f"/schedules/{STALE}", preview=False),
        api.get(f"/schedules/{STALE}/runs", params={"pageSize": 0}),
        api.get(f"/schedules/{STALE}/runs", params={"pageToken": "x"}),
        api.call("POST", f"{BASE}/schedules"),
        api.post("/builds/getBatch", []),
        api.post("/builds/getBatch", [{"buildRid": NO_BUILD}] * 101),
        put(action={"target": {"type": "manual", "targetRids": []}}),
        put(action={"target": target}),
        put(trigger={"type": "and", "triggers": []}), put(trigger={"type": "or", "triggers": []}),
        put(trigger=time), put(displayName="x" * 256), put(description="x" * 4097),
        put(action={"target": {"type": "manual", "targetRids": [dataset("missing")]}}),
        api.get(f"/schedules/{STALE}", token="writer"),
        api.get(f"/schedules/{UNKNOWN}"), api.get(f"/scheduleVersions/{NO_VERSION}"),
        api.get(f"/builds/{NO_BUILD}"),
        put(action=ACTION, scopeMode={"type": "project",
                                      "projectRids": [catalogues.OTHER_PROJECT]}),
        *(api.post(f"/schedules/{STALE}/{verb}", token="viewer")
          for verb in ("run", "pause", "unpause")),
        api.put(f"/schedules/{STALE}", {"action": ACTION}, token="viewer"),
        api.delete(f"/schedules/{STALE}", token="viewer"),
        api.post(f"/builds/{build}/cancel", token="viewer"),
    ]
    return {answer.json()["errorName"]: answer.json() for answer in answers}


def test_every_error_decodes_to_its_class(sdk, api):
    """The newest release knows all of these names; each release those it has."""
    known = 0
    for name, envelope in provoke(api).items():
        answer = sdk.ask(decode=envelope)
        assert answer["warnings"] == [], (name, answer)
        assert answer["error"] in (name, None), answer
        if answer["error"] == name:
            known += 1
            assert answer["parameters"] == envelope["parameters"]
        else:
            assert sdk.release != "1.111.0", name
    assert known >= (24 if sdk.release == "1.111.0" else 18)


def attempts_of(api, status):
    series = ('schedrun_http_requests_total{route="/api/v2/orchestration/schedules/{scheduleRid}'
              f'/run",method="POST",code="{status}"}}')
    return api.daemon.metric(series) or 0


def test_503_is_repeated_by_the_newest_alone(servers, sdk, api):
    before = attempts_of(api, 503)
    servers.stop_redis()
    try:
        answer = sdk.call("Schedule", "run", STALE, config={"backoff_slot_size_ms": 1}
                          if sdk.release == "1.111.0" else {})
    finally:
        servers.start_redis()
    wanted = {"1.8.0": "InternalServerError"}.get(sdk.release, "ServiceUnavailable")
    assert answer["error"] == wanted, answer
    assert attempts_of(api, 503) - before == (4 if sdk.release == "1.111.0" else 1)
    programs.wait_for("Redis", lambda: api.get(f"/schedules/{STALE}").status_code == 200)


def test_429_is_repeated_by_the_newest_until_it_is_taken(system, sdk):
    limited = Api(system, f"http-limited-{sdk.release}", http__rate="1")
    patient = Sdk(sdk.release, limited)
    try:
        for _ in range(2):
            patient.value("Schedule", "run", FRESH)
        answer = patient.call("Schedule", "run", FRESH, config={"backoff_slot_size_ms": 1500}
                              if sdk.release == "1.111.0" else {})
        if sdk.release == "1.111.0":
            assert answer.get("value", {}).get("class") == "ScheduleRun" or \
                answer["error"] == "RateLimitError"
            assert attempts_of(limited, 429) >= 1
        else:
            assert answer["error"] == "RateLimitError", answer
            assert attempts_of(limited, 429) == 1
    finally:
        patient.close()
        limited.daemon.stop()
