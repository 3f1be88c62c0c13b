"""Schedules over HTTP: create, read, replace, pause, delete; versions; rights."""

import concurrent.futures
import gzip
import json
import re

import catalogues
import pytest
from catalogues import OWNER, PROJECT, VIEWER, dataset
from http_api import BASE, DOC, GA, UPPER, Api, error, ok

STALE = catalogues.schedule_rid("stale")
UNKNOWN = catalogues.schedule_rid("unknown")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NIL = "00000000-0000-0000-0000-000000000000"


def manual(*names):
    return {"type": "manual", "targetRids": [dataset(name) for name in names]}


def connecting(inputs, *names):
    return {**manual(*names), "type": "connecting", "inputRids": [dataset(name) for name in inputs]}


@pytest.fixture(scope="module")
def system(fresh_system):
    """One system for the file: each test makes the schedules that it changes."""
    fresh_system.init()
    catalogue = catalogues.outcomes()
    catalogue["users"][VIEWER]["roles"][catalogues.OTHER_PROJECT] = "editor"
    fresh_system.apply(catalogue)
    return fresh_system


@pytest.fixture(scope="module")
def api(system):
    return Api(system)


@pytest.fixture
def mine(api):
    return ok(api.post("/schedules", {"action": {"target": manual("stale")}}))


def log_of(api, rid):
    return [line for line in api.daemon.log().splitlines()
            if "event=schedule_changed" in line and rid in line]


def test_create_fills_in_what_is_left_out(api):
    made = ok(api.post("/schedules", {"action": {"target": manual("stale")}}))
    assert made["rid"].startswith("ri.scheduler.main.schedule.")
    assert made["currentVersionRid"].startswith("ri.scheduler.main.schedule-version.")
    assert made["createdBy"] == made["updatedBy"] == OWNER
    assert made["createdTime"] == made["updatedTime"] and TIME.fullmatch(made["createdTime"])
    assert made["action"] == {"target": manual("stale"), "branchName": "master",
                              "fallbackBranches": [], "forceBuild": False,
                              "abortOnFailure": False, "notificationsEnabled": False}
    assert made["scopeMode"] == {"type": "user"} and made["paused"] is False
    assert not {"displayName", "description", "trigger"} & made.keys()
    assert ok(api.get(f"/schedules/{made['rid']}")) == made
    [line] = log_of(api, made["rid"])
    assert "what=created" in line and f"by={OWNER}" in line


def test_create_keeps_what_is_given(api):
    body = {
        "displayName": "Berichte – täglich", "description": "two\nlines",
        "action": {"target": {"type": "connecting", "inputRids": [dataset("raw")],
                              "targetRids": [dataset("stale"), dataset("fresh")],
                              "ignoredRids": [dataset("new")]},
                   "branchName": "feature", "fallbackBranches": ["develop", "master"],
                   "forceBuild": True, "retryCount": 2,
                   "retryBackoffDuration": {"value": 30, "unit": "SECONDS"},
                   "abortOnFailure": True, "notificationsEnabled": True},
        "trigger": {"type": "and", "triggers": [
            {"type": "time", "cronExpression": "0 6 * * MON-FRI", "timeZone": "Europe/Berlin"},
            {"type": "or", "triggers": [
                {"type": "datasetUpdated", "datasetRid": dataset("raw"), "branchName": "master"},
                {"type": "mediaSetUpdated", "mediaSetRid": "ri.mio.main.media-set.m",
                 "branchName": "master"},
                {"type": "scheduleSucceeded", "scheduleRid": STALE}]}]},
        "scopeMode": {"type": "project", "projectRids": [PROJECT]},
    }
    made = ok(api.post("/schedules", body))
    assert {key: made[key] for key in body} == body
    version = ok(api.get(f"/scheduleVersions/{made['currentVersionRid']}"))
    assert version == {"rid": made["currentVersionRid"], "scheduleRid": made["rid"],
                       "createdTime": made["createdTime"], "createdBy": OWNER,
                       "trigger": body["trigger"], "action": body["action"],
                       "scopeMode": body["scopeMode"]}


def test_null_is_as_good_as_left_out(api):
    made = ok(api.post("/schedules", {
        "displayName": None, "description": None, "trigger": None, "scopeMode": None,
        "action": {"target": {**manual("stale")}, "branchName": None, "retryCount": None,
                   "retryBackoffDuration": None, "forceBuild": None}}))
    assert made["action"]["branchName"] == "master" and "retryCount" not in made["action"]


def test_replace_makes_a_version_and_keeps_the_old_one(api):
    made = ok(api.post("/schedules", {"displayName": "one", "action": {"target": manual("stale")}}))
    rid = made["rid"]
    ok(api.post(f"/schedules/{rid}/pause"), 204)
    put = ok(api.put(f"/schedules/{rid}", {"description": "two",
                                           "action": {"target": manual("fresh")}}))
    assert put["currentVersionRid"] != made["currentVersionRid"] and put["paused"] is True
    assert "displayName" not in put and put["description"] == "two"
    assert put["createdTime"] == made["createdTime"] and put["updatedTime"] >= made["updatedTime"]
    old = ok(api.get(f"/scheduleVersions/{made['currentVersionRid']}"))
    assert old["action"]["target"] == manual("stale")
    assert ok(api.get(f"/scheduleVersions/{old['rid']}/schedule")) == put
    assert ok(api.get(f"/schedules/{rid}")) == put
    assert [("what=" + what in line) for what, line in
            zip(("created", "paused", "replaced"), log_of(api, rid))] == [True] * 3


def test_replaces_at_once_all_leave_a_version(system, api, mine):
    rid = mine["rid"]

    def replace(i):
        return ok(api.put(f"/schedules/{rid}", {"displayName": str(i),
                                                "action": {"target": manual("stale")}}))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        versions = {put["currentVersionRid"] for put in pool.map(replace, range(24))}
    assert len(versions) == 24
    listed = [json.loads(line)["rid"]
              for line in system.must("schedule", "versions", rid).splitlines()]
    assert listed[0] == mine["currentVersionRid"] and set(listed[1:]) == versions
    current = ok(api.get(f"/schedules/{rid}"))
    assert current["currentVersionRid"] == listed[-1]
    for version in listed:
        ok(api.get(f"/scheduleVersions/{version}"))


def test_what_the_api_made_is_exported_and_applied_again(system, api, mine):
    exported = system.must("export")
    assert mine["rid"] in exported
    path = system.directory / "again.json"
    path.write_text(exported)
    system.must("apply", str(path))
    assert ok(api.get(f"/schedules/{mine['rid']}")) == mine


def test_pause_and_unpause_are_idempotent(api, mine):
    rid = mine["rid"]
    for verb, paused in (("pause", True), ("pause", True), ("unpause", False),
                         ("unpause", False)):
        answer = api.post(f"/schedules/{rid}/{verb}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert ok(api.get(f"/schedules/{rid}"))["paused"] is paused
    assert len(log_of(api, rid)) == 3  # created, paused, unpaused


def test_delete_hides_the_schedule_but_not_its_versions(api, mine):
    rid, version = mine["rid"], mine["currentVersionRid"]
    assert api.delete(f"/schedules/{rid}").status_code == 204
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/run"),
                         ("POST", "/pause"), ("POST", "/unpause"), ("GET", "/runs"),
                         ("POST", "/getAffectedResources")):
        body = {"action": {"target": manual("stale")}} if method == "PUT" else None
        answer = api.call(method, f"/api/v2/orchestration/schedules/{rid}{path}", json=body)
        error(answer, 404, "ScheduleNotFound", scheduleRid=rid)
    assert ok(api.get(f"/scheduleVersions/{version}"))["scheduleRid"] == rid
    assert api.get(f"/scheduleVersions/{version}/schedule").status_code == 204
    assert ok(api.post("/schedules/getBatch", [{"scheduleRid": rid}])) == {"data": {}}


TARGET = {"target": manual("stale")}


@pytest.mark.parametrize("body, status, name, parameters", [
    ({"action": {"target": manual()}}, 400, "MissingBuildTargets", {}),
    ({"action": {"target": {"type": "connecting", "targetRids": [dataset("stale")],
                            "inputRids": []}}}, 400, "MissingConnectingBuildInputs", {}),
    ({"action": TARGET, "trigger": {"type": "and", "triggers": []}}, 400, "InvalidAndTrigger", {}),
    ({"action": TARGET, "trigger": {"type": "or", "triggers": []}}, 400, "InvalidOrTrigger", {}),
    ({"action": TARGET, "trigger": {"type": "and", "triggers": [
        {"type": "manual"}, {"type": "or", "triggers": []}]}}, 400, "InvalidOrTrigger", {}),
    ({"action": TARGET, "trigger": {"type": "time", "cronExpression": "0 6 * *",
                                    "timeZone": "UTC"}},
     400, "InvalidTimeTrigger", {"cronExpression": "0 6 * *"}),
    ({"action": TARGET, "displayName": "ä" * 256}, 400, "InvalidScheduleName", {}),
    ({"action": TARGET, "description": "ä" * 4097}, 400, "InvalidScheduleDescription", {}),
    ({"action": {"target": manual("zz", "stale", "missing")}}, 404, "BuildTargetsNotFound",
     {"resourceRids": [dataset("missing"), dataset("zz")]}),
    ({"action": {"target": connecting(["zz", "raw"], "stale")}}, 404, "BuildInputsNotFound",
     {"resourceRids": [dataset("zz")]}),
    ({"action": {**TARGET, "fallbackBranchs": []}}, 400, "Default:InvalidArgument",
     {"parameter": "action.fallbackBranchs",
      "reason": 'unknown key; did you mean "fallbackBranches"?'}),
    ({"action": TARGET, "color": 1}, 400, "Default:InvalidArgument",
     {"parameter": "color", "reason": "unknown key"}),
    ({}, 400, "Default:InvalidArgument",
     {"parameter": "body", "reason": '"action" is missing'}),
    ([], 400, "Default:InvalidArgument",
     {"parameter": "body", "reason": "must be of type object, not array"}),
    ({"action": {"target": {"type": "manual", "targetRids": ["ri.x"]}}}, 400,
     "Default:InvalidArgument",
     {"parameter": "action.target.targetRids[0]", "reason": 'is not a RID: "ri.x"'}),
    ({"action": {"target": {"type": "sideways", "targetRids": [dataset("stale")]}}}, 400,
     "Default:InvalidArgument",
     {"parameter": "action.target.type", "reason": 'is none of the values allowed: "sideways"'}),
    ({"action": {**TARGET, "retryCount": -1}}, 400, "Default:InvalidArgument",
     {"parameter": "action.retryCount", "reason": "-1 is not in 0 to 2147483647"}),
    ({"action": {**TARGET, "retryBackoffDuration": {"value": 1, "unit": "FORTNIGHTS"}}}, 400,
     "Default:InvalidArgument",
     {"parameter": "action.retryBackoffDuration.unit",
      "reason": 'is none of the values allowed: "FORTNIGHTS"'}),
    ({"action": TARGET, "scopeMode": {"type": "user", "projectRids": []}}, 400,
     "Default:InvalidArgument", {"parameter": "scopeMode.projectRids", "reason": "unknown key"}),
    ({"action": TARGET, "trigger": {"type": "scheduleFailed", "scheduleRid": dataset("stale")}},
     400, "Default:InvalidArgument",
     {"parameter": "trigger.scheduleRid", "reason": "is not ri.scheduler.*.schedule.*"}),
    ({"action": TARGET, "trigger": {"type": "time", "cronExpression": "0 6 * * *", "timeZone": "Mars/Phobos"}},
     400, "Default:InvalidArgument",
     {"parameter": "trigger.timeZone", "reason": "no time zone Mars/Phobos: /usr/share/zoneinfo/Mars/Phobos: "
                                                 "No such file or directory"}),
    ({"action": TARGET, "trigger": {"type": "newMoon"}}, 400, "Default:InvalidArgument",
     {"parameter": "trigger.type", "reason": 'is none of the values allowed: "newMoon"'}),
])
def test_bodies_that_are_refused(api, mine, body, status, name, parameters):
    error(api.post("/schedules", body), status, name, **parameters)
    error(api.put(f"/schedules/{mine['rid']}", body), status, name, **parameters)
    assert ok(api.get(f"/schedules/{mine['rid']}")) == mine


def test_bodies_that_are_no_json(api):
    path = "/api/v2/orchestration/schedules"
    error(api.call("POST", path), 400, "MissingPostBody")
    answer = api.call("POST", path, data="{}", headers={"Content-Type": "text/plain"})
    error(answer, 415, "Default:UnsupportedMediaType", contentType="text/plain")
    for coding, data in (("gzip", gzip.compress(b"{}")), ("br", b"{}"), ("identity, gzip", b"{}")):
        answer = api.call("POST", path, data=data,
                          headers={"Content-Type": "application/json", "Content-Encoding": coding})
        body = error(answer, 415, "Default:UnsupportedMediaType", contentEncoding=coding)
        assert "without Content-Encoding" in body["errorDescription"]
    for coding in ("identity", "Identity", ""):
        answer = api.call("POST", path, data="nope",
                          headers={"Content-Type": "application/json", "Content-Encoding": coding})
        error(answer, 400, "Default:InvalidArgument", parameter="body",
              reason="line 1, column 1: a value is missing")
    for text in ('{"action":', '{"a":1,"a":2}', "[" * 33 + "]" * 33, '"\\ud800"', "{} {}"):
        answer = api.call("POST", path, data=text, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert answer.json()["errorName"] == "Default:InvalidArgument"
    answer = api.call("POST", path, data=b"x" * (1024 * 1024 + 1),
                      headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_a_version_over_a_mebibyte_is_refused(api):
    # Small enough to be sent, over the limit with its defaults and ids.
    size = len(dataset("") + "x" * 165) + 3
    rids = [dataset(f"{i:05}" + "x" * 160) for i in range((1024 * 1024 - 140) // size)]
    text = json.dumps({"action": {"target": {
        "type": "upstream", "targetRids": [dataset("stale")], "ignoredRids": rids}}},
        separators=(",", ":"))
    assert len(text) <= 1024 * 1024
    answer = api.call("POST", "/api/v2/orchestration/schedules", data=text,
                      headers={"Content-Type": "application/json"})
    error(answer, 413, "Default:RequestEntityTooLarge", maximumBytes=1024 * 1024)


@pytest.mark.parametrize("method, path, denied", [
    ("POST", "/run", "RunSchedulePermissionDenied"),
    ("PUT", "", "ReplaceSchedulePermissionDenied"),
    ("DELETE", "", "DeleteSchedulePermissionDenied"),
    ("POST", "/pause", "PauseSchedulePermissionDenied"),
    ("POST", "/unpause", "UnpauseSchedulePermissionDenied"),
])
def test_a_viewer_may_not_act_and_a_stranger_sees_nothing(api, method, path, denied):
    body = {"action": TARGET} if method == "PUT" else None
    whole = f"/api/v2/orchestration/schedules/{STALE}{path}"
    error(api.call(method, whole, token="viewer", json=body), 403, denied, scheduleRid=STALE)
    hidden = api.call(method, whole, token="stranger", json=body)
    missing = api.call(method, whole.replace(STALE, UNKNOWN), token="stranger", json=body)
    one = error(hidden, 404, "ScheduleNotFound", scheduleRid=STALE)
    other = error(missing, 404, "ScheduleNotFound", scheduleRid=UNKNOWN)
    assert one.keys() == other.keys() and hidden.headers.keys() == missing.headers.keys()


def test_a_viewer_may_look(api):
    for token in ("full", "reader", "viewer"):
        assert ok(api.get(f"/schedules/{STALE}", token=token))["rid"] == STALE
        ok(api.get(f"/schedules/{STALE}/runs", token=token))
        assert ok(api.post(f"/schedules/{STALE}/getAffectedResources", token=token)) == \
            {"datasets": [dataset("stale")]}
    error(api.get(f"/schedules/{STALE}", token="stranger"), 404, "ScheduleNotFound",
          scheduleRid=STALE)
    version = catalogues.version_rid("stale")
    for path in ("", "/schedule"):
        ok(api.get(f"/scheduleVersions/{version}{path}", token="viewer"))
        error(api.get(f"/scheduleVersions/{version}{path}", token="stranger"), 404,
              "ScheduleVersionNotFound", scheduleVersionRid=version)


def test_one_may_not_store_what_one_may_not_act_on(api, mine):
    elsewhere = {"action": {"target": manual("elsewhere")}}
    scope = {"action": TARGET, "scopeMode": {"type": "project",
                                             "projectRids": [catalogues.OTHER_PROJECT]}}
    error(api.post("/schedules", scope), 403, "CreateSchedulePermissionDenied")
    ok(api.post("/schedules", elsewhere, token="viewer"))


@pytest.mark.parametrize("target", [
    lambda name: manual(name), lambda name: manual("stale", name), lambda name: manual("missing", name),
    lambda name: {**manual(name), "type": "upstream"},
    lambda name: connecting(["raw"], "stale", name), lambda name: connecting(["raw", name], "stale")])
@pytest.mark.parametrize("token", ["full", "stranger"])
@pytest.mark.parametrize("projects", [[], [PROJECT], [catalogues.OTHER_PROJECT]])
def test_what_one_may_not_view_is_as_if_it_were_not_there(api, mine, target, token, projects):
    """Whatever else is right or wrong with the schedule as sent."""
    scope = {"type": "project", "projectRids": projects} if projects else None
    for method, path in (("POST", "/schedules"), ("PUT", f"/schedules/{mine['rid']}")):
        hidden, missing = (
            api.call(method, BASE + path, token=token,
                     json={"action": {"target": target(name)}, "scopeMode": scope})
            for name in ("elsewhere", "elsewhen"))
        assert (hidden.status_code, hidden.headers.keys()) == (missing.status_code, missing.headers.keys())
        one, other = ({**answer.json(), "errorInstanceId": None} for answer in (hidden, missing))
        assert json.loads(json.dumps(one).replace(dataset("elsewhere"), dataset("elsewhen"))) == other


def test_scopes_are_not_implied(api, mine):
    rid = mine["rid"]
    error(api.get(f"/schedules/{rid}", token="writer"), 403, "ApiUsageDenied",
          missingScope="api:orchestration-read")
    error(api.delete(f"/schedules/{rid}", token="reader"), 403, "ApiUsageDenied",
          missingScope="api:orchestration-write")


def test_rights_follow_the_catalogue(system, api):
    made = ok(api.post("/schedules", {"action": {"target": manual("plain")}}))
    path = f"/schedules/{made['rid']}"
    ok(api.get(path, token="viewer"))
    moved = catalogues.stored("plain-1", project=catalogues.OTHER_PROJECT)
    system.apply({"datasets": {dataset("plain"): moved}})
    error(api.get(path), 404, "ScheduleNotFound", scheduleRid=made["rid"])
    assert ok(api.post(f"{path}/pause", token="viewer"), 204) is None
    system.apply({"datasets": {dataset("plain"): catalogues.stored("plain-1")}})
    ok(api.get(path))


TRIGGERS = {
    "scheduleFailed": {"type": "scheduleFailed", "scheduleRid": STALE},
    "manual": {"type": "manual"},
    "tableUpdated": {"type": "tableUpdated", "tableRid": "ri.tables.main.table.t",
                     "branchName": "master"},
    "jobSucceeded": {"type": "jobSucceeded", "datasetRid": dataset("raw"), "branchName": "master"},
}


@pytest.mark.parametrize("name, seen_by", [
    ("scheduleFailed", {UPPER}), ("manual", {GA, UPPER}), ("tableUpdated", {GA, UPPER}),
    ("jobSucceeded", {DOC, GA, UPPER})])
@pytest.mark.parametrize("nested", [False, True])
def test_a_trigger_that_a_profile_cannot_decode_is_left_out(api, name, seen_by, nested):
    trigger = TRIGGERS[name]
    if nested:
        trigger = {"type": "or", "triggers": [TRIGGERS["jobSucceeded"], trigger]}
    made = ok(api.post("/schedules", {"action": TARGET, "trigger": trigger}, profile=UPPER))
    for profile in (DOC, GA, UPPER):
        expected = trigger if profile in seen_by else None
        for path in (f"/schedules/{made['rid']}", f"/scheduleVersions/{made['currentVersionRid']}"):
            assert ok(api.get(path, profile=profile)).get("trigger") == expected
        batch = ok(api.post("/schedules/getBatch", [{"scheduleRid": made["rid"]}],
                            profile=profile))
        assert batch["data"][made["rid"]].get("trigger") == expected


def test_what_apply_took_unlooked_is_still_decodable(system, api):
    odd = catalogues.schedule("odd", ["stale"])
    del odd["versions"][0]["action"]["fallbackBranches"]
    odd["versions"][0]["trigger"] = {"type": "eclipse"}
    odd["versions"][0]["createdTime"] = "2026-01-31T09:05:07Z"
    odd["versions"][0]["action"]["target"]["type"] = "upstream"
    system.apply({"schedules": [odd]})
    got = ok(api.get(f"/schedules/{odd['rid']}"))
    assert "trigger" not in got and got["createdTime"] == "2026-01-31T09:05:07.000Z"
    assert got["action"]["fallbackBranches"] == [] and got["action"]["forceBuild"] is False
    assert got["action"]["target"]["ignoredRids"] == []


def test_affected_resources_are_what_a_forced_run_writes(system, api):
    specs = [catalogues.job_spec("clean", ["raw"]),
             {**catalogues.job_spec("report", ["clean"]),
              "outputs": [dataset("report"), dataset("summary")]}]
    system.apply({
        "datasets": {dataset(n): catalogues.stored(f"{n}-1")
                     for n in ("clean", "report", "summary")},
        "jobSpecs": specs})
    project = {"scopeMode": {"type": "project", "projectRids": [PROJECT]}}
    made = ok(api.post("/schedules", {**project, "action": {"target": {
        "type": "upstream", "targetRids": [dataset("report")]}}}))
    assert ok(api.post(f"/schedules/{made['rid']}/getAffectedResources")) == \
        {"datasets": [dataset("clean"), dataset("report"), dataset("summary")]}
    plain = ok(api.post("/schedules", {**project, "action": {"target": manual("plain")}}))
    assert ok(api.post(f"/schedules/{plain['rid']}/getAffectedResources")) == \
        {"datasets": [dataset("plain")]}


def test_a_damaged_version_is_our_fault_and_may_still_be_run(servers, system, api, mine):
    servers.redis().hset("schedrun:v", mine["currentVersionRid"], '{"rid":"x"}')
    # Another generation: its projects can't be found anew.
    system.apply({"datasets": {dataset("damaged"): catalogues.stored("damaged-1")}})
    error(api.get(f"/schedules/{mine['rid']}"), 500, "Default:Internal")
    assert ok(api.run(mine["rid"]))["scheduleRid"] == mine["rid"]
    error(api.run(mine["rid"], token="viewer"), 403, "RunSchedulePermissionDenied",
          scheduleRid=mine["rid"])


def test_without_authentication_nobody_is_the_author(system):
    api = Api(system, "http-open", http__auth="none")
    made = ok(api.post("/schedules", {"action": {"target": manual("elsewhere")}}, token=None))
    assert made["createdBy"] == made["updatedBy"] == NIL
    assert "createdBy" not in ok(api.run(made["rid"], token=None))
    assert ok(api.delete(f"/schedules/{made['rid']}", token=None), 204) is None
    assert api.daemon.stop() == 0
