"""What all routes share: paths, methods, preview, profiles, order of the checks."""

import http.client
import json

import catalogues
import programs
import pytest
from http_api import BASE, DOC, GA, UPPER, Api, error, ok

STALE = catalogues.schedule_rid("stale")
VERSION = catalogues.version_rid("stale")
RUN = "ri.scheduler.main.run.00000000-0000-5000-8000-000000000000"
BUILD = "ri.foundry.main.build.00000000-0000-5000-8000-000000000000"
PYTHON = "python-foundry-platform-sdk/%s python/3.11"

# method, path, preview, scope
ROUTES = [
    ("POST", f"/schedules/{STALE}/run", {DOC}, "write"),
    ("GET", f"/schedules/{STALE}", {DOC, GA, UPPER}, "read"),
    ("PUT", f"/schedules/{STALE}", {DOC, GA, UPPER}, "write"),
    ("DELETE", f"/schedules/{STALE}", {DOC}, "write"),
    ("POST", "/schedules", {DOC, GA, UPPER}, "write"),
    ("POST", f"/schedules/{STALE}/pause", {DOC}, "write"),
    ("POST", f"/schedules/{STALE}/unpause", {DOC}, "write"),
    ("POST", f"/schedules/{STALE}/getAffectedResources", {DOC, GA, UPPER}, "read"),
    ("POST", "/schedules/getBatch", {DOC, GA, UPPER}, "read"),
    ("GET", f"/schedules/{STALE}/runs", {DOC}, "read"),
    ("GET", f"/scheduleVersions/{VERSION}", {DOC, GA, UPPER}, "read"),
    ("GET", f"/scheduleVersions/{VERSION}/schedule", {DOC, GA, UPPER}, "read"),
    ("GET", f"/builds/{BUILD}", set(), "read"),
    ("POST", f"/builds/{BUILD}/cancel", set(), "write"),
    ("POST", "/builds/getBatch", set(), "read"),
    ("POST", f"/datasets/{catalogues.dataset('stale')}/commits", set(), "write"),
    ("GET", f"/schedules/{STALE}/runs/{RUN}", set(), "read"),
    ("GET", "/runEvents", set(), "read"),
]
PATHS = sorted({path for _, path, _, _ in ROUTES})


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init()
    fresh_system.apply(catalogues.outcomes())
    fresh_system.worker().wait_ready()
    return fresh_system


@pytest.fixture(scope="module")
def api(system):
    return Api(system)


def raw(api, method, path):
    """Without the normalisation that requests does."""
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    result = answer.status, answer.read()
    connection.close()
    return result


@pytest.mark.parametrize("path", PATHS)
def test_methods_of_a_path(api, path):
    served = {method for method, p, _, _ in ROUTES if p == path}
    allowed = served | {"OPTIONS"} | ({"HEAD"} if "GET" in served else set())
    answer = api.call("OPTIONS", BASE + path, token=None)
    assert answer.status_code == 204 and not answer.content
    assert set(answer.headers["Allow"].split(", ")) == allowed
    for method in {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "FROB"} - allowed:
        answer = api.call(method, BASE + path, token=None)
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == allowed
        if method != "HEAD":
            error(answer, 405, "Default:MethodNotAllowed", method=method)


@pytest.mark.parametrize("path", [
    "/", "/schedules/", f"/schedules/{STALE}/", f"//schedules/{STALE}", f"/Schedules/{STALE}",
    f"/schedules/{STALE}/../{STALE}", f"/schedules/./{STALE}", f"/schedules/{STALE}/RUN",
    f"/schedules/{STALE}/run/", f"/schedules/{STALE}/jobs", "/builds", "/builds/create",
    "/builds/search", f"/builds/{BUILD}/jobs", "/jobs/getBatch",
    "/jobs/ri.foundry.main.job.j", f"/scheduleVersions/{VERSION}/runs", "/runEvents/",
    "/scheduleRuns", f"/schedules/{STALE.replace('.', '%2F')}/x/y"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_routes_have_no_body(api, method, path):
    assert raw(api, method, BASE + path) == (404, b"")


@pytest.mark.parametrize("method, path, preview, scope", ROUTES)
def test_preview_and_scope_of_each_route(api, method, path, preview, scope):
    lacking = "reader" if scope == "write" else "writer"
    answer = api.call(method, BASE + path, token=lacking, preview=False)
    error(answer, 403, "ApiUsageDenied", missingScope=f"api:orchestration-{scope}")
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    for profile in preview:
        for more in ({}, {"params": {"preview": "false"}}):
            answer = api.call(method, BASE + path, profile=profile, preview=False, **more)
            error(answer, 400, "ApiFeaturePreviewUsageOnly")
    for profile in {DOC, GA, UPPER} - preview if path != "/runEvents" else ():
        wrong = api.call(method, BASE + path, profile=profile, preview=False,
                         token="stranger", json={} if method in ("POST", "PUT") else None)
        assert wrong.status_code in (404, 400, 200)
        assert "Preview" not in wrong.text
    answer = api.call(method, BASE + path, preview=False, params={"preview": "yes"})
    error(answer, 400, "Default:InvalidArgument", parameter="preview",
          reason="must be true or false", value="yes")


@pytest.fixture(scope="module")
def built(api):
    """A run of STALE, and its build."""
    run = ok(api.run(STALE, wait=20))
    return {"{run}": run["rid"], "{build}": run["result"]["buildRid"]}


NOWHERE = {"action": {"target": {"type": "manual", "targetRids": [catalogues.dataset("missing")]}}}
BODY = {"action": {"target": {"type": "manual", "targetRids": [catalogues.dataset("stale")]}}}


@pytest.mark.parametrize("method, path, body, stranger, viewer", [
    ("POST", f"/schedules/{STALE}/run", None, 404, 403),
    ("GET", f"/schedules/{STALE}", None, 404, 200),
    ("PUT", f"/schedules/{STALE}", BODY, 404, 403),
    ("DELETE", f"/schedules/{STALE}", None, 404, 403),
    ("POST", "/schedules", BODY, 404, 403),
    ("POST", "/schedules", NOWHERE, 404, 404),
    ("POST", f"/schedules/{STALE}/pause", None, 404, 403),
    ("POST", f"/schedules/{STALE}/unpause", None, 404, 403),
    ("POST", f"/schedules/{STALE}/getAffectedResources", None, 404, 200),
    ("POST", "/schedules/getBatch", [{"scheduleRid": STALE}], (200, 0), (200, 1)),
    ("GET", f"/schedules/{STALE}/runs", None, 404, 200),
    ("GET", f"/scheduleVersions/{VERSION}", None, 404, 200),
    ("GET", f"/scheduleVersions/{VERSION}/schedule", None, 404, 200),
    ("GET", "/builds/{build}", None, 404, 200),
    ("POST", "/builds/getBatch", [{"buildRid": "{build}"}], (200, 0), (200, 1)),
    ("POST", f"/datasets/{catalogues.dataset('stale')}/commits", 
     {"branch": "master", "transactionRid": catalogues.transaction("next")}, 404, 403),
    ("GET", f"/schedules/{STALE}/runs/{{run}}", None, 404, 200),
])
def test_what_each_role_may_do_by_each_route(api, built, method, path, body, stranger, viewer):
    """Who has no role doesn't even learn that it is there; a viewer looks. Of a batch: how many."""
    text = json.dumps(body)
    for name, rid in built.items():
        path, text = path.replace(name, rid), text.replace(name, rid)
    for token, wanted in (("stranger", stranger), ("viewer", viewer)):
        answer = api.call(method, BASE + path, token=token, json=json.loads(text))
        found = answer.status_code
        if isinstance(wanted, tuple):
            found = found, len(answer.json()["data"])
        assert found == wanted, (token, answer.text)


def test_the_first_failing_check_answers(api):
    """Each request is wrong in all ways from its row on."""
    path = f"{BASE}/schedules/{catalogues.schedule_rid('unknown')}"
    bad = {"data": "{", "headers": {"Content-Type": "application/json"}}
    assert raw(api, "PUT", f"{BASE}/schedules/%zz")[0] == 400
    assert api.call("FROB", f"{BASE}/none", token=None, **bad).content == b""
    assert api.call("FROB", path, token=None, profile="new", **bad).status_code == 405
    error(api.call("PUT", path, token=None, profile="new", **bad), 400, "Default:InvalidArgument",
          parameter="Schedrun-Contract", reason="must be one of doc, ga, ga-upper", value="new")
    assert api.call("PUT", path, token=None, preview=False, **bad).status_code == 401
    assert api.call("PUT", path, token="reader", preview=False, **bad).status_code == 403
    error(api.call("PUT", f"{BASE}/schedules/x", preview=False, **bad), 400,
          "ApiFeaturePreviewUsageOnly")
    error(api.call("PUT", f"{BASE}/schedules/x", **bad), 400, "Default:InvalidArgument",
          parameter="scheduleRid", reason="not a resource identifier", value="x")
    assert api.call("PUT", path, **bad).json()["parameters"]["parameter"] == "body"
    error(api.put(path[len(BASE):], {"action": {"target": {"type": "manual",
                                                           "targetRids": []}}}),
          400, "MissingBuildTargets")
    body = {"action": {"target": {"type": "manual",
                                  "targetRids": [catalogues.dataset("missing")]}}}
    error(api.put(path[len(BASE):], body), 404, "ScheduleNotFound",
          scheduleRid=catalogues.schedule_rid("unknown"))
    error(api.put(f"/schedules/{STALE}", body, token="viewer"), 403,
          "ReplaceSchedulePermissionDenied", scheduleRid=STALE)
    error(api.put(f"/schedules/{STALE}", body), 404, "BuildTargetsNotFound",
          resourceRids=[catalogues.dataset("missing")])


@pytest.mark.parametrize("other", [VERSION, BUILD, RUN, catalogues.dataset("raw")])
def test_a_rid_of_another_type_names_nothing(api, other):
    for method, path, name, member in (
            ("GET", "/schedules/%s", "ScheduleNotFound", "scheduleRid"),
            ("POST", "/schedules/%s/run", "ScheduleNotFound", "scheduleRid"),
            ("GET", "/schedules/%s/runs", "ScheduleNotFound", "scheduleRid"),
            ("GET", "/scheduleVersions/%s", "ScheduleVersionNotFound", "scheduleVersionRid"),
            ("GET", "/builds/%s", "BuildNotFound", "buildRid")):
        if (member, other) == ("scheduleVersionRid", VERSION):
            continue
        error(api.call(method, BASE + path % other), 404, name, **{member: other})
    error(api.get(f"/schedules/{STALE}/runs/{other}"), 404, "ScheduleRunNotFound",
          scheduleRid=STALE, scheduleRunRid=other)


@pytest.mark.parametrize("rid", ["x", "ri.x", "RI.scheduler.main.schedule.s", "ri.a.b.c.d/e",
                                 "ri.scheduler.main.schedule.", "ri.scheduler.main.schedule.ä",
                                 "ri.scheduler.main.schedule." + "s" * 200])
def test_a_malformed_rid_is_refused(api, rid):
    path = rid.replace("/", "%2F")
    error(api.get(f"/schedules/{path}"), 400, "Default:InvalidArgument", parameter="scheduleRid",
          reason="not a resource identifier", value=rid[:128])


def test_bodies_where_none_is_taken(api):
    for data in (None, "{}", "null"):
        headers = {"Content-Type": "application/json"}
        answer = api.call("POST", f"{BASE}/schedules/{STALE}/unpause", data=data, headers=headers)
        assert answer.status_code == 204
    answer = api.post(f"/schedules/{STALE}/unpause", {"a": 1})
    error(answer, 400, "Default:InvalidArgument", parameter="body",
          reason="no body is taken here")
    answer = api.call("POST", f"{BASE}/schedules/{STALE}/unpause", data="x=1",
                      headers={"Content-Type": "application/x-www-form-urlencoded"})
    error(answer, 415, "Default:UnsupportedMediaType",
          contentType="application/x-www-form-urlencoded")
    answer = api.call("POST", f"{BASE}/schedules/{STALE}/unpause", data="{}",
                      headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
    error(answer, 415, "Default:UnsupportedMediaType", contentEncoding="gzip")


def test_head_has_the_headers_of_get(api):
    get, head = (api.call(method, f"{BASE}/schedules/{STALE}") for method in ("GET", "HEAD"))
    assert not head.content and head.status_code == 200
    for name in ("Content-Length", "Content-Type", "Vary", "Cache-Control"):
        assert head.headers[name] == get.headers[name]
    assert get.headers["Vary"] == "User-Agent, Fetch-User-Agent, Schedrun-Contract"
    assert get.headers["Cache-Control"] == "no-store"
    assert get.headers["X-Content-Type-Options"] == "nosniff" and "Server" not in get.headers


# schedule -> flat result, per error name
RESULTS = {
    "fresh": {"type": "ignored"},
    "cycle": {"type": "error", "errorName": "CyclicDependency"},
    "missing-target": {"type": "error", "errorName": "TargetResolutionFailure"},
    "no-spec": {"type": "error", "errorName": "JobSpecNotFound"},
    "reads-outside": {"type": "error", "errorName": "PermissionDenied"},
    "owner-gone": {"type": "error", "errorName": "ScheduleOwnerNotFound"},
}


@pytest.mark.parametrize("name", [*RESULTS, "stale"])
def test_the_result_in_each_profile(api, name):
    posted = ok(api.run(catalogues.schedule_rid(name), wait=30))
    where = f"/schedules/{posted['scheduleRid']}/runs/{posted['rid']}"
    flat = posted["result"]
    kind = flat["type"]
    if name != "stale":
        assert {k: v for k, v in flat.items() if k != "description"} == RESULTS[name]
    for profile in (DOC, GA, UPPER):
        expected = dict(flat)
        if profile == UPPER and kind == "error":
            expected["errorName"] = flat["errorName"].upper()
        if profile == DOC:
            expected[kind] = {k: v for k, v in flat.items() if k != "type"}
        assert ok(api.get(where, profile=profile))["result"] == expected
        listed = ok(api.get(f"/schedules/{posted['scheduleRid']}/runs", profile=profile))["data"]
        assert [r["result"] for r in listed if r["rid"] == posted["rid"]] == [expected]


@pytest.mark.parametrize("headers, profile", [
    ({"User-Agent": "curl/7.88.1"}, DOC),
    ({"User-Agent": PYTHON % "1.8.0"}, DOC),
    ({"User-Agent": PYTHON % "1.9.0"}, GA),
    ({"User-Agent": PYTHON % "1.85.0"}, GA),
    ({"User-Agent": PYTHON % "1.86.0"}, UPPER),
    ({"User-Agent": "node", "Fetch-User-Agent": "osdk-client/2.3.0"}, UPPER),
    ({"User-Agent": PYTHON % "1.86.0", "Schedrun-Contract": "doc"}, DOC),
])
def test_the_profile_is_chosen_by_the_client(api, headers, profile):
    path = f"{BASE}/schedules/{catalogues.schedule_rid('cycle')}/run"
    answer = api.call("POST", path, profile=None, headers={**headers, "Prefer": "wait=30"})
    result = ok(answer)["result"]
    assert ("error" in result) == (profile == DOC)
    assert (result["errorName"] == "CYCLICDEPENDENCY") == (profile == UPPER)


def test_parameters_that_come_twice_or_are_unknown(api):
    ok(api.get(f"/schedules/{STALE}", params={"color": "red"}))
    answer = api.call("GET", f"{BASE}/schedules/{STALE}?preview=true&preview=true", preview=False)
    error(answer, 400, "Default:InvalidArgument", parameter="preview",
          reason="must be given once", value="true")


def test_redis_away_is_503_and_comes_back(servers, system, api):
    servers.stop_redis()
    try:
        for method, path, body in (("GET", f"/schedules/{STALE}", None),
                                   ("POST", f"/schedules/{STALE}/run", None),
                                   ("POST", "/schedules", {"action": {"target": {
                                       "type": "manual",
                                       "targetRids": [catalogues.dataset("stale")]}}}),
                                   ("GET", f"/builds/{BUILD}", None)):
            answer = api.call(method, BASE + path, json=body)
            error(answer, 503, "Default:ServiceUnavailable")
            assert answer.headers["Retry-After"] == "1"
        assert api.call("GET", "/healthz", token=None).status_code == 200
    finally:
        servers.start_redis()
    programs.wait_for("Redis", lambda: api.get(f"/schedules/{STALE}").status_code == 200)


def test_an_empty_redis_is_not_an_empty_platform(servers, system, api):
    servers.empty_redis()
    for path in (f"/schedules/{STALE}", f"/scheduleVersions/{VERSION}",
                 f"/schedules/{STALE}/runs"):
        error(api.get(path), 503, "Default:ServiceUnavailable")
    error(api.post("/schedules/getBatch", [{"scheduleRid": STALE}]), 503,
          "Default:ServiceUnavailable")
    system.init()
    system.apply(catalogues.outcomes())
    ok(api.get(f"/schedules/{STALE}"))
