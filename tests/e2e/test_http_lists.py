"""Lists over HTTP: pages of runs, batches, builds."""

import base64
import json

import catalogues
import checker
import programs
import pytest
from catalogues import dataset
from http_api import GA, UPPER, Api, error, ok

STALE, FRESH, NEW = (catalogues.schedule_rid(name) for name in ("stale", "fresh", "new"))
BUILD = "ri.foundry.main.build."


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init()
    catalogue = catalogues.outcomes()
    policy = catalogues.schedule("policy", ["stale"], retryCount=2, abortOnFailure=True,
                                 retryBackoffDuration={"value": 30, "unit": "SECONDS"})
    catalogue["schedules"].append(policy)
    catalogue["limits"] = {"maxRetries": 5}
    fresh_system.apply(catalogue)
    fresh_system.worker().wait_ready()
    return fresh_system


@pytest.fixture(scope="module")
def api(system):
    return Api(system)


@pytest.fixture(scope="module")
def runs(api):
    """23 runs of one schedule, oldest first."""
    return [ok(api.run(FRESH, wait=30 if i % 7 == 0 else None))["rid"] for i in range(23)]


def page(api, size=None, token=None, **more):
    params = {"pageSize": size, "pageToken": token}
    return api.get(f"/schedules/{FRESH}/runs",
                   params={k: v for k, v in params.items() if v is not None}, **more)


def test_runs_come_newest_first_in_pages(api, runs):
    seen, token, sizes = [], None, []
    while True:
        answer = ok(page(api, 5, token))
        sizes.append(len(answer["data"]))
        seen += [run["rid"] for run in answer["data"]]
        token = answer.get("nextPageToken")
        if token is None:
            break
        assert len(token) <= 256
        assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-")
    times = [run["createdTime"] for run in ok(page(api))["data"]]
    assert sizes == [5, 5, 5, 5, 3] and times == sorted(times, reverse=True)
    assert sorted(seen) == sorted(runs) and len(set(seen)) == 23
    assert [run["rid"] for run in ok(page(api))["data"]] == seen
    assert [run["rid"] for run in ok(page(api, 10000))["data"]] == seen
    assert "nextPageToken" not in ok(page(api, 23))


def test_a_run_is_listed_when_its_post_is_answered_and_shifts_nothing(api, runs):
    first = ok(page(api, 4))
    posted = ok(api.run(FRESH))
    newest = ok(page(api, 1))["data"][0]
    assert newest["rid"] == posted["rid"]
    second = ok(page(api, 4, first["nextPageToken"]))
    assert not {r["rid"] for r in first["data"]} & {r["rid"] for r in second["data"]}
    assert posted["rid"] not in {r["rid"] for r in second["data"]}
    again = ok(page(api, 4, first["nextPageToken"]))
    assert [r["rid"] for r in again["data"]] == [r["rid"] for r in second["data"]]


def test_page_sizes(api):
    for size in (0, -1, -99999999999999999999):
        answer = page(api, size)
        error(answer, 400, "InvalidPageSize", pageSize=answer.json()["parameters"]["pageSize"])
        assert answer.json()["parameters"]["pageSize"] <= 0
    for size in ("x", "1.5", "", "1e3", "0x10", " 5", "+5"):
        error(page(api, size), 400, "Default:InvalidArgument", parameter="pageSize",
              reason="must be an integer", value=size)
    ok(page(api, 99999999999999999999))
    twice = api.get(f"/schedules/{FRESH}/runs?pageSize=1&pageSize=2")
    assert twice.status_code == 400 and twice.json()["parameters"]["parameter"] == "pageSize"


def test_page_tokens_are_ours_or_refused(api, runs):
    token = ok(page(api, 2))["nextPageToken"]
    flipped = ("B" if token[0] == "A" else "A") + token[1:]
    forged = base64.urlsafe_b64encode(bytes(40)).decode().rstrip("=")
    for bad in (flipped, token[:-1], token + "A", token + "=", "", "x", forged, "ä", "A" * 300):
        error(page(api, 2, bad), 400, "InvalidPageToken", pageToken=bad[:128])
    other = api.get(f"/schedules/{STALE}/runs", params={"pageToken": token})
    error(other, 400, "InvalidPageToken", pageToken=token)
    ok(page(api, 2, token))


def test_a_token_is_good_at_any_replica_and_after_a_restart(system, api, runs):
    token = ok(page(api, 2))["nextPageToken"]
    expected = ok(page(api, 2, token))
    other = Api(system, "http-2")
    assert ok(page(other, 2, token)) == expected
    other.daemon.stop()


def test_runs_are_seen_with_their_schedule(api):
    error(api.get(f"/schedules/{FRESH}/runs", token="stranger"), 404, "ScheduleNotFound",
          scheduleRid=FRESH)
    unknown = catalogues.schedule_rid("unknown")
    error(api.get(f"/schedules/{unknown}/runs"), 404, "ScheduleNotFound", scheduleRid=unknown)
    assert ok(api.get(f"/schedules/{NEW}/runs", token="viewer")) == {"data": []}


def test_schedules_in_batches(api):
    unknown, hidden = catalogues.schedule_rid("unknown"), catalogues.schedule_rid("elsewhere")
    wanted = [STALE, FRESH, STALE, unknown, hidden, dataset("raw")]
    answer = ok(api.post("/schedules/getBatch", [{"scheduleRid": rid} for rid in wanted]))
    assert set(answer["data"]) == {STALE, FRESH}
    for rid, schedule in answer["data"].items():
        assert schedule == ok(api.get(f"/schedules/{rid}"))
    stranger = api.post("/schedules/getBatch", [{"scheduleRid": STALE}], token="stranger")
    assert ok(stranger) == {"data": {}}


@pytest.mark.parametrize("path, member, most", [
    ("/schedules/getBatch", "scheduleRid", 1000), ("/builds/getBatch", "buildRid", 100)])
def test_batches_that_are_refused(api, path, member, most):
    rid = catalogues.schedule_rid("s")
    error(api.call("POST", f"/api/v2/orchestration{path}"), 400, "MissingPostBody")
    error(api.post(path, []), 400, "MissingBatchRequest")
    error(api.post(path, [{member: f"{rid}{i}"} for i in range(most + 1)]), 400,
          "BatchRequestSizeExceededLimit", maximumBatchSize=most, providedBatchSize=most + 1)
    assert ok(api.post(path, [{member: f"{rid}{i}"} for i in range(most)])) == {"data": {}}
    for body, parameter, reason in (
            ({}, "body", "must be of type array, not object"),
            ([{}], "[0]", f'"{member}" is missing'),
            ([{member: rid}, {member: "x"}], f"[1].{member}", 'is not a RID: "x"'),
            ([{member: rid, "more": 1}], "[0].more", "unknown key"),
            ([rid], "[0]", "must be of type object, not string"),
            ([{member: 1}], f"[0].{member}", "must be of type string, not integer")):
        error(api.post(path, body), 400, "Default:InvalidArgument", parameter=parameter,
              reason=reason)


def test_a_thousand_large_schedules_in_one_batch(servers, system, api):
    names = [f"bulk-{i}" for i in range(1000)]
    system.apply({"schedules": [catalogues.schedule(name, ["stale"]) for name in names]})
    rids = [catalogues.schedule_rid(name) for name in names]
    answer = ok(api.post("/schedules/getBatch", [{"scheduleRid": rid} for rid in rids]))
    assert sorted(answer["data"]) == sorted(rids)
    assert json.loads(servers.redis().hget("schedrun:i", rids[0]))["projects"]


@pytest.fixture(scope="module")
def built(system, api):
    """A run with a retry policy, and its build as soon as the view has it."""
    run = ok(api.run(catalogues.schedule_rid("policy"), wait=30))
    rid = run["result"]["buildRid"]
    programs.wait_for("the build", lambda: api.get(f"/builds/{rid}").status_code == 200)
    return run, rid


def test_a_build_is_what_its_event_says(system, api, built):
    run, rid = built
    build = ok(api.get(f"/builds/{rid}"))
    [event] = [e for e in (checker.decode("build_requested", m.value())
                           for m in checker.read_topic(system.bootstrap, "schedule-builds"))
               if e["buildRid"] == rid]
    assert build == {
        "rid": rid, "branchName": "master", "createdTime": run["createdTime"],
        "createdBy": catalogues.OWNER, "fallbackBranches": [],
        "jobRids": [job["jobRid"] for job in event["jobs"]], "retryCount": 2,
        "retryBackoffDuration": {"value": 30, "unit": "SECONDS"}, "abortOnFailure": True,
        "status": "RUNNING", "scheduleRid": catalogues.schedule_rid("policy")}
    assert ok(api.get(f"/builds/{rid}", preview=False, profile=UPPER)) == build


def test_a_build_without_a_policy_that_nobody_asked_for(system, api):
    system.must("submit", NEW, "--wait", "30s", "-o", "jsonl")
    listed = programs.wait_for("the run", lambda: ok(api.get(f"/schedules/{NEW}/runs"))["data"])
    assert "createdBy" not in listed[0]
    rid = listed[0]["result"]["buildRid"]
    programs.wait_for("the build", lambda: api.get(f"/builds/{rid}").status_code == 200)
    build = ok(api.get(f"/builds/{rid}"))
    assert build["createdBy"] == catalogues.OWNER and build["retryCount"] == 0
    assert build["retryBackoffDuration"] == {"value": 0, "unit": "SECONDS"}


def test_builds_in_batches_and_what_is_not_seen(api, built):
    rid = built[1]
    missing = BUILD + "00000000-0000-5000-8000-000000000000"
    error(api.get(f"/builds/{missing}"), 404, "BuildNotFound", buildRid=missing)
    error(api.get(f"/builds/{rid}", token="stranger"), 404, "BuildNotFound", buildRid=rid)
    for other in (STALE, BUILD + "x", "ri.foundry.main.build.A"):
        error(api.get(f"/builds/{other}"), 404, "BuildNotFound", buildRid=other)
    ok(api.get(f"/builds/{rid}", token="viewer"))
    batch = [{"buildRid": r} for r in (rid, missing, STALE, rid)]
    assert ok(api.post("/builds/getBatch", batch)) == {"data": {rid: ok(api.get(f"/builds/{rid}"))}}
    assert ok(api.post("/builds/getBatch", batch, token="stranger")) == {"data": {}}


def test_a_build_that_has_ended(system, api, built):
    rid = built[1]
    error(api.post(f"/builds/{rid}/cancel", token="viewer"), 403, "CancelBuildPermissionDenied", buildRid=rid)
    error(api.post(f"/builds/{rid}/cancel", token="stranger"), 404, "BuildNotFound", buildRid=rid)
    assert ok(api.get(f"/builds/{rid}"))["status"] == "RUNNING"
    for _ in range(2):  # also where it is so already
        answer = api.post(f"/builds/{rid}/cancel")
        assert (answer.status_code, answer.content) == (204, b"")
    assert ok(api.get(f"/builds/{rid}", profile=GA))["status"] == "CANCELED"
    assert system.run("build", "fail", rid).returncode == 1
    system.must("build", "finish", rid)
    assert api.post(f"/builds/{rid}/cancel").status_code == 204
    assert ok(api.get(f"/builds/{rid}"))["status"] == "SUCCEEDED"


def commit(api, name, token="full", **body):
    return api.post(f"/datasets/{dataset(name)}/commits", body, token=token)


def test_a_commit_is_an_event_that_the_brokers_have(system, api):
    told = ok(commit(api, "raw", branch="master", transactionRid=catalogues.transaction("new"),
                     time="2026-01-31T09:05:07Z"))
    again = ok(commit(api, "raw", branch="master", transactionRid=catalogues.transaction("new"), parent=None))
    assert told == {"datasetRid": dataset("raw"), "branch": "master", "time": "2026-01-31T09:05:07.000Z",
                    "transactionRid": catalogues.transaction("new"),
                    "event": f"{dataset('raw')}@master, transaction {catalogues.transaction('new')}"}
    assert again["event"] == told["event"]
    records = checker.read_topic(system.bootstrap, "schedule-events")
    assert [record.key() for record in records] == [dataset("raw").encode()] * 2
    sent = checker.decode("dataset_committed", records[0].value())
    assert (sent["datasetRid"], sent["branch"], sent["transactionRid"], sent["parent"]) == (
        dataset("raw"), "master", catalogues.transaction("new"), None)


def test_a_commit_that_is_refused_is_no_event(system, api):
    before = len(checker.read_topic(system.bootstrap, "schedule-events"))
    good = {"branch": "master", "transactionRid": catalogues.transaction("new")}
    error(commit(api, "raw", "viewer", **good), 403, "CommitDatasetPermissionDenied", datasetRid=dataset("raw"))
    for name, token in (("raw", "stranger"), ("no-such", "full"), ("elsewhere", "full")):
        error(commit(api, name, token, **good), 404, "DatasetNotFound", datasetRid=dataset(name))
    for parameter, more in (("time", {"time": "yesterday"}), ("time", {"time": "2999-01-01T00:00:00Z"}), ("branch", {"branch": "x" * 201}),
                            ("transactionRid", {"transactionRid": "1"}), ("parent", {"parent": 1}),
                            ("Branch", {"Branch": "master"}), ("branch", {"branch": None})):
        answer = commit(api, "raw", **{**good, **more})
        assert answer.status_code == 400 and answer.json()["parameters"]["parameter"] == parameter, answer.text
    assert len(checker.read_topic(system.bootstrap, "schedule-events")) == before
