"""The dashboard page, in a real browser, against the running system."""

import datetime
import re
import signal

import catalogues
import pytest
import requests
from boards import HOSTILE, TEAM, Dashboard, browser, go, row, watched  # noqa: F401
from catalogues import dataset, schedule_rid, version_rid
from confluent_kafka import Producer
from http_api import BASE, ok
from programs import ROOT, wait_for

PAGE_FILES = sorted(path for path in (ROOT / "producer/page").iterdir() if path.name != "README.md")


def catalogue():
    all_of_it = catalogues.outcomes()
    deep = {"type": "upstream", "targetRids": [dataset("deep-2")], "ignoredRids": []}
    wide = [f"wide-{i}" for i in range(201)]
    all_of_it["schedules"] += [
        catalogues.schedule("hostile", ["stale"], branchName=HOSTILE, fallbackBranches=[HOSTILE]),
        catalogues.schedule("deep", [], target=deep), catalogues.schedule("wide", wide)]
    all_of_it["schedules"][-2].update(displayName=HOSTILE, description=HOSTILE)
    all_of_it["schedules"][-2]["versions"][0]["trigger"] = {
        "type": "time", "cronExpression": "0 3 * * *", "timeZone": "Europe/Berlin"}
    for name in ("deep-1", "deep-2", *wide):
        all_of_it["datasets"][dataset(name)] = catalogues.stored(None)
    all_of_it["jobSpecs"] += [
        catalogues.job_spec("deep-1", ["raw"], logic=HOSTILE), catalogues.job_spec("deep-2", ["deep-1"]),
        *(catalogues.job_spec(name, ["raw"]) for name in wide)]
    return all_of_it


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init()
    fresh_system.apply(catalogue())
    fresh_system.worker().wait_ready()
    return fresh_system


@pytest.fixture(scope="module")
def board(system):
    return Dashboard(system)


def test_the_files_are_small_kept_and_harmless(board):
    assert sum(path.stat().st_size for path in PAGE_FILES) < 150_000
    paths = ["", *(f"page/{path.name}" for path in PAGE_FILES if path.name != "index.html")]
    for path in paths:
        answer = requests.get(board.url + path, timeout=10)
        assert answer.status_code == 200, path
        assert answer.content == (ROOT / "producer" / (path or "page/index.html")).read_bytes()
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy and "http" not in policy
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        tag = answer.headers["ETag"]
        again = requests.get(board.url + path, headers={"If-None-Match": f'"x", {tag}'}, timeout=10)
        assert again.status_code == 304 and not again.content and again.headers["ETag"] == tag
        other = requests.get(board.url + path, headers={"If-None-Match": '"x"'}, timeout=10)
        assert other.status_code == 200
    for path in ("page/", "page/none.js", "page/README.md", "page/../x", "dashboard/none"):
        assert requests.get(board.url + path, timeout=10).status_code == 404
    assert requests.get(board.origin + "/", timeout=10).status_code == 404
    assert requests.post(board.url, timeout=10).status_code == 405


def test_what_it_is_told_needs_a_token_to_read(board):
    for path in ("overview", "history"):
        assert board.call("GET", f"/dashboard/{path}", token=None).status_code == 401
        assert board.call("GET", f"/dashboard/{path}", token="writer").status_code == 403
        assert board.call("GET", f"/dashboard/{path}", token="stranger").status_code == 200


def test_off_is_as_if_it_was_not_there(system):
    off = Dashboard(system, "http-off", http__page="off")
    for path in ("/", "/page/main.js", "/dashboard/overview"):
        answer = off.call("GET", path)
        assert answer.status_code == 404 and not answer.content
    assert ok(off.get(f"/schedules/{schedule_rid('stale')}"))
    assert off.daemon.stop() == 0


def test_health_comes_first_and_says_what_mends(watched, servers, system):
    page = watched().page
    page.get_by_role("heading", name="Health").wait_for()
    assert page.url.endswith("#/health"), "the token stays in the URL"
    for name in ("Kafka", "Redis", "Workers", "Waiting requests", "Dead letters"):
        page.locator(".tile.good", has=page.get_by_role("heading", name=name)).wait_for()
    page.get_by_role("region", name="Partitions of the requests").get_by_text("worker-1").first.wait_for()
    [worker] = [daemon for daemon in system.daemons if daemon.name == "worker-1"]
    assert worker.stop() == 0
    tile = page.locator(".tile.bad", has=page.get_by_role("heading", name="Workers"))
    tile.get_by_text("start schedrun-worker").wait_for()
    system.worker().wait_ready()
    page.locator(".tile.good", has=page.get_by_role("heading", name="Workers")).wait_for()


def test_runs_come_by_themselves_and_tell_their_errors(watched, board):
    before = board.finish("fresh")
    page = watched(path="runs").page
    row(page, before).get_by_text("ignored").wait_for()  # what this replica holds comes first
    failed = board.finish("cycle")
    row(page, failed).get_by_text("2 job specs form a cycle").wait_for()
    assert page.locator("#rows li").first.get_attribute("data-rid") == failed["rid"]
    page.get_by_role("button", name="Pause").click()
    hidden = board.finish("stale")
    page.get_by_role("button", name="Resume, 1 new").wait_for()
    assert row(page, hidden).count() == 0
    page.get_by_role("button", name="Resume").click()
    row(page, hidden).get_by_text("submitted").wait_for()
    page.get_by_text("● live").wait_for()


def test_filters_are_in_the_url_and_survive_back(watched, board):
    made = {name: board.finish(name) for name in ("fresh", "cycle", "no-spec")}
    page = watched(path="runs").page
    row(page, made["fresh"]).wait_for()
    page.get_by_label("Outcome").select_option("error")
    row(page, made["fresh"]).wait_for(state="detached")
    assert page.url.endswith("#/runs?outcome=error")
    page.get_by_label("Error", exact=True).select_option("CyclicDependency")
    row(page, made["no-spec"]).wait_for(state="detached")
    page.get_by_label("Text").fill("form a CYCLE")
    page.wait_for_url("**text=form+a+CYCLE")
    row(page, made["cycle"]).locator("a").click()
    page.go_back()
    row(page, made["cycle"]).wait_for()
    assert page.get_by_label("Text").input_value() == "form a CYCLE"
    page.go_back()
    page.go_back()
    row(page, made["no-spec"]).wait_for()
    assert row(page, made["fresh"]).count() == 0
    page.go_back()
    row(page, made["fresh"]).wait_for()
    page.get_by_label("Schedule").fill("no-such")
    page.get_by_text("None fits the filters").wait_for()
    page.reload()
    page.get_by_text("None fits the filters").wait_for()
    assert page.get_by_label("Schedule").input_value() == "no-such"


def test_hostile_names_are_texts(watched, board):
    run = board.finish("hostile")
    one = watched(path="runs")
    one.allows += ["400"]
    page = one.page
    row(page, run).get_by_text(HOSTILE).wait_for()
    go(page, f"schedules/{schedule_rid('deep')}")
    page.get_by_text(HOSTILE).first.wait_for()
    page.get_by_role("button", name="Dry run").click()
    page.get_by_role("button", name="Job 0: deep-1").click()
    page.get_by_text(HOSTILE + " by ri.foundry").wait_for()
    for path in (f"schedules/{HOSTILE}", f"run/x/{HOSTILE}", f"runs?text={HOSTILE}", f"{HOSTILE}"):
        go(page, path)
        page.locator("h1").wait_for()
    assert page.locator("img").count() == 0


def test_a_run_says_why_and_how_to_see_it_again(watched, board):
    run = board.finish("deep")
    page = watched(path="runs").page
    row(page, run).locator("a").click()
    page.get_by_text("2 of 2 jobs run, 0 up to date").wait_for()
    assert page.locator("svg .edge").count() == 1
    second = page.get_by_role("button", name="Job 1: deep-2, never built: deep-2")
    second.focus()
    page.keyboard.press("Enter")
    page.locator(".job").get_by_text("deep-1 (from job 0)").wait_for()
    graph = page.locator("svg.graph")
    graph.focus()
    whole = graph.get_attribute("viewBox")
    page.keyboard.press("+")
    assert float(graph.get_attribute("viewBox").split()[2]) < float(whole.split()[2])
    page.keyboard.press("0")
    assert graph.get_attribute("viewBox") == whole
    page.get_by_role("button", name="As a list").click()
    page.get_by_role("region", name="Jobs").get_by_role("cell", name="never built: deep-1").wait_for()
    page.get_by_text(f"schedrun submit {schedule_rid('deep')} --version {version_rid('deep')}").wait_for()
    page.get_by_text(f"'{board.origin}{TEAM}{BASE}/schedules/{schedule_rid('deep')}/run?preview=true'").wait_for()
    page.get_by_text("Raw JSON").click()
    page.locator("details pre").get_by_text('"requestId": "http:').wait_for()
    page.go_back()
    row(page, run).wait_for()
    failed = board.finish("no-spec")
    row(page, failed).locator("a").click()
    page.get_by_text("Offenders (1)").wait_for()


def test_a_schedule_says_what_would_run(watched, board):
    rid = schedule_rid("deep")
    run = board.finish("deep")
    page = watched(path="schedules?text=DEEP").page
    page.locator("a.open", has_text="deep").click()
    page.locator(f".strip a[href*='{run['rid']}']").wait_for()
    page.get_by_role("region", name="Due by time").get_by_role("cell", name="Europe/Berlin").first.wait_for()
    assert page.get_by_role("region", name="Due by time").locator("tbody tr").count() == 10
    page.get_by_role("button", name="Dry run").click()
    page.locator("#plan svg .node").nth(1).wait_for()
    schedule = ok(board.get(f"/schedules/{rid}"))
    ok(board.put(f"/schedules/{rid}", {"action": {**schedule["action"], "forceBuild": True}}))
    page.reload()
    page.get_by_role("button", name="What changed in").first.click()
    page.get_by_role("cell", name="action.forceBuild").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("❚❚ paused").wait_for()
    page.get_by_role("button", name="Unpause").click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("link", name="Its run").click()
    page.get_by_text("2 of 2 jobs run").wait_for()
    go(page, f"schedules/{schedule_rid('wide')}")
    page.get_by_role("button", name="Dry run").click()
    page.get_by_text("201 jobs on branch master").wait_for()
    assert page.locator("#plan tbody tr").count() == 201 and page.locator("svg.graph").count() == 0
    reader = watched(token="reader", path=f"schedules/{rid}").page
    reader.get_by_role("button", name="Dry run").wait_for()
    assert reader.get_by_role("button", name="Run", exact=True).count() == 0


def test_the_list_of_schedules_has_a_strip_of_each_ones_last_runs(watched, board):
    rid = schedule_rid("no-spec")
    for _ in range(3):
        board.finish("no-spec")
    page = watched(path="schedules").page
    strip = page.locator(f"li[data-rid='{rid}']").get_by_role("img", name=re.compile(r"^Its last \d+ runs, \d+ with errors$"))
    strip.wait_for()
    before = int(strip.get_attribute("aria-label").split()[2])
    assert before >= 3 and strip.locator(".badge.error").count() == before == strip.locator(".badge").count()
    newest = strip.locator(".badge").first.get_attribute("title")
    run = board.finish("no-spec")  # comes by itself
    page.locator(f"li[data-rid='{rid}'] .marks .badge").first.and_(page.get_by_title(run["createdTime"])).wait_for()
    assert run["createdTime"] > newest.split()[1]
    for _ in range(16 - before):
        board.finish("no-spec")
    fresh = board.finish("fresh")
    page.locator(f"li[data-rid='{schedule_rid('fresh')}'] .marks .badge.ignored").first.and_(page.get_by_title(fresh["createdTime"])).wait_for()
    assert strip.locator(".badge").count() == 16  # no more than that
    # Who is not shown here has none.
    assert page.locator(f"li[data-rid='{schedule_rid('wide')}'] .marks").count() == 0
    page.get_by_label("Name or RID").fill("no-such")
    page.get_by_text("None has ").wait_for()
    page.get_by_label("Name or RID").fill("NO-SPEC")
    strip.wait_for()
    page.locator("a.open").first.click()
    page.locator(".strip a").first.wait_for()
    last = board.finish("no-spec")  # there, too
    page.locator(f".strip a[href*='{last['rid']}']").wait_for()


def test_filters_by_who_and_when(watched, board):
    mine = board.finish("fresh")
    theirs = board.finish("stale")
    page = watched(path="runs?since=15m").page
    row(page, mine).wait_for()
    page.get_by_label("Who").fill(catalogues.OWNER[:8].upper())
    page.wait_for_url("**who=*")
    row(page, theirs).wait_for()
    page.get_by_label("Who").fill("nobody")
    row(page, mine).wait_for(state="detached")
    page.get_by_label("Who").fill("")
    row(page, mine).wait_for()
    page.get_by_label("Asked in the last").select_option("1h")
    page.wait_for_url("**since=1h*")

    def later(answer):  # as if the server's clock had gone on
        told = answer.fetch().json()
        at = datetime.datetime.fromisoformat(told["time"]) + datetime.timedelta(minutes=20, seconds=10)
        answer.fulfill(json={**told, "time": at.isoformat()})

    page.route("**/dashboard/overview", later)
    go(page, "health")
    page.get_by_text("this browser's clock is 20 min").wait_for()
    go(page, "runs?since=1h")
    row(page, mine).wait_for()
    page.get_by_label("Asked in the last").select_option("15m")
    row(page, mine).wait_for(state="detached")


@pytest.mark.parametrize("recent", [1000, 0])
def test_news_are_said_politely_and_not_too_often(watched, board, recent):
    """Also on a page that begins with no run."""
    page = watched().page
    page.route("**/runEvents?*", lambda asked: asked.continue_(url=asked.request.url.replace("recent=1000", f"recent={recent}")))
    page.reload()
    go(page, "runs")
    page.get_by_text("● live").wait_for()
    # Each second it looks whether there is news; what is there at its first look is none.
    page.evaluate("""() => new Promise((resolve) => { const began = performance.now();
      new MutationObserver(() => performance.now() - began > 1100 && resolve()).observe(document.getElementById("live"), { childList: true }); })""")
    said = page.locator("#said")
    assert said.get_attribute("aria-live") == "polite"
    page.evaluate("""() => { window.said = []; new MutationObserver(() => window.said.push(performance.now()))
      .observe(document.getElementById("said"), { childList: true, characterData: true, subtree: true }); }""")

    def said_more(than):
        return lambda: len(page.evaluate("window.said")) > than

    for _ in range(2):
        before = len(page.evaluate("window.said"))
        for _ in range(3):
            last = board.finish("cycle")
        row(page, last).wait_for()
        wait_for("news to be said, though nothing more comes", said_more(before), 10)
        assert re.fullmatch(r"\d+ new runs?, \d+ with errors", said.inner_text())
    times = page.evaluate("window.said")
    assert len(times) >= 2 and all(b - a > 4000 for a, b in zip(times, times[1:]))
    # Nor is anything said by a colour alone.
    for text in page.locator("#rows .badge").all_inner_texts()[:20]:
        assert re.search(r"[▶○✕…]\s*\w+", text), text


def test_ids_are_copied_or_at_least_selected(watched, board):
    run = board.finish("deep")
    one = watched(path=f"run/x/{run['rid']}")
    one.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = one.page.get_by_role("button", name=f"Copy {run['rid']}", exact=True)
    button.click()
    one.page.get_by_text("copied", exact=True).wait_for()
    assert one.page.evaluate("navigator.clipboard.readText()") == run["rid"]
    bare = watched(token=None)  # as on a page without TLS
    bare.allows += ["401"]
    without = bare.page
    without.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    without.goto("about:blank")
    without.goto(f"{board.url}#token=full")
    go(without, f"run/x/{run['rid']}")
    without.get_by_role("button", name=f"Copy {run['rid']}", exact=True).click()
    without.get_by_text("selected", exact=True).wait_for()
    assert without.evaluate("getSelection().toString()") == run["rid"]


def test_a_run_says_what_has_changed_in_its_schedule_since(watched, board):
    rid = schedule_rid("stale")
    run = board.finish("stale")
    page = watched(path=f"run/x/{run['rid']}").page
    page.get_by_text("The schedule is still of this version.").wait_for()
    schedule = ok(board.get(f"/schedules/{rid}"))
    ok(board.put(f"/schedules/{rid}", {"action": {**schedule["action"], "abortOnFailure": True}}))
    page.reload()
    page.get_by_role("region", name="Changed in the schedule since").get_by_role("row", name="action.abortOnFailure").wait_for()


def test_tiles_lead_to_what_they_sum_up(watched):
    page = watched().page
    for tile, region in (("Workers", "Workers"), ("Waiting requests", "Partitions of the requests")):
        page.locator(".tile").get_by_role("link", name=tile).click()
        page.get_by_role("region", name=region, exact=True).and_(page.locator(":focus")).wait_for()
        page.get_by_role("link", name="Runs").focus()
    page.reload()
    page.get_by_role("region", name="Partitions of the requests").and_(page.locator(":focus")).wait_for()


def test_each_sees_what_he_may_view(board):
    run = board.finish("stale")
    rid = schedule_rid("stale")
    paths = [("GET", f"runs/{run['rid']}"), ("GET", f"schedules/{rid}"), ("POST", f"schedules/{rid}/plan")]
    for method, path in paths:
        assert board.call(method, f"/dashboard/{path}", token="stranger").status_code == 404, path
        assert board.call(method, f"/dashboard/{path}", token="viewer").status_code == 200, path
        assert board.call(method, f"/dashboard/{path}", token="writer").status_code == 403, path
    assert ok(board.call("GET", "/dashboard/schedules", token="stranger"))["schedules"] == []
    seen = ok(board.call("GET", "/dashboard/schedules", token="viewer"))["schedules"]
    assert rid in [one["rid"] for one in seen]
    named = ok(board.call("GET", "/dashboard/schedules", params={"text": "STAL"}))["schedules"]
    assert [one["rid"] for one in named] == [rid]
    plan = ok(board.call("POST", f"/dashboard/schedules/{rid}/plan", token="viewer"))
    assert plan["outcome"]["why"]["cause"] == "requesterRole"
    unknown = "ri.scheduler.main.run.00000000-0000-5000-8000-000000000000"
    assert board.call("GET", f"/dashboard/runs/{unknown}").json()["errorName"] == "ScheduleRunNotFound"
    assert board.call("GET", "/dashboard/runs/x").status_code == 400


def test_a_token_is_asked_for_and_renewed(watched, board):
    one = watched(token="wrong")
    one.allows += ["401", "403"]
    page = one.page
    page.get_by_text("The token was refused (UNKNOWN_TOKEN)").wait_for()
    page.get_by_label("Bearer token").fill("full")
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("The adapter is ready").wait_for()
    page.get_by_text("● live").wait_for()
    page.reload()  # the tab keeps it
    page.get_by_text("The adapter is ready").wait_for()
    none = watched(token=None)
    none.allows += ["401"]
    none.page.get_by_text("A token is needed").wait_for()
    none.axe()


def test_an_adapter_that_comes_back_is_found_again(watched, system, board):
    one = watched(path="runs")
    one.allows += ["ERR_", "503"]
    page = one.page
    first = board.finish("fresh")
    row(page, first).wait_for()
    board.daemon.signal(signal.SIGKILL)
    board.daemon.wait()
    page.get_by_text(re.compile("Stale for .* tried again by itself")).wait_for()
    keys = {"http__auth": "token-file", "http__token__file": str(system.directory / "tokens"),
            "http__listen": f"127.0.0.1:{board.port}", "http__drain": "0",
            "http__base__path": TEAM, "http__page": "write"}
    board.daemon = system.adapter("http-1", **keys).wait_ready()
    page.locator("#banner").wait_for(state="hidden")
    second = board.finish("stale")
    row(page, second).wait_for()
    row(page, first).wait_for()


def test_all_by_keys(watched, board):
    board.finish("cycle")
    page = watched(path="runs").page
    page.locator("#rows li").nth(1).wait_for()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "filter-text"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator("#rows li a.open").nth(1)
    assert second.evaluate("(element) => element === document.activeElement")
    assert second.evaluate("(element) => getComputedStyle(element).outlineStyle") != "none"
    page.keyboard.press("k")
    assert page.locator("#rows li a.open").first.evaluate("(e) => e === document.activeElement")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.get_by_role("heading", name="Health").wait_for()


@pytest.mark.parametrize("width, scheme", [(1200, "light"), (1200, "dark"), (360, "dark")])
def test_nothing_is_hard_to_read(watched, board, width, scheme):
    board.finish("cycle")
    run = board.finish("deep")
    one = watched(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = one.page
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    for path, landmark in (("health", ".tile"), ("runs", "#rows li"), ("schedules", "a.open"),
                           (f"schedules/{schedule_rid('deep')}", ".versions"),
                           (f"run/x/{run['rid']}", "svg .node")):
        go(page, path)
        page.locator(landmark).first.wait_for()
        one.axe()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.get_by_role("button", name="Theme").click()  # from auto to light
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_the_last_hour_is_drawn_and_told(watched, board):
    before = ok(board.call("GET", "/dashboard/history"))["runs"]
    board.finish("cycle")

    def errors(runs):
        return sum(minute["error"] for minute in runs)

    wait_for("the result to be counted", lambda: errors(
        ok(board.call("GET", "/dashboard/history"))["runs"]) == errors(before) + 1)
    page = watched().page
    page.get_by_role("img", name=re.compile(r"error: \d+ in the last hour")).wait_for()
    page.get_by_text("Results by minute").first.click()
    results = page.get_by_role("region", name="Results by minute")
    assert results.locator("tbody tr").first.locator("td").nth(3).inner_text() != "–"
    page.get_by_role("img", name=re.compile("partition 3: waiting 0 now")).wait_for()
    page.get_by_text("Lag by partition").first.click()
    page.get_by_role("region", name="Lag by partition").locator("tbody tr").first.wait_for()


def test_dead_letters_say_why_to_who_may_know(watched, system, board):
    producer = Producer({"bootstrap.servers": system.bootstrap})
    producer.produce("schedule-run-requests", b"\0\0\0\0\x09<b>", schedule_rid("stale").encode(),
                     headers=[(HOSTILE, HOSTILE.encode())])
    producer.produce("schedule-run-requests", b"{}", HOSTILE.encode())
    assert producer.flush(20) == 0
    page = watched().page
    tile = page.locator(".tile.warn", has=page.get_by_role("heading", name="Dead letters"))
    tile.get_by_text("1 bad-magic, 1 unknown-schema").wait_for(timeout=20000)
    tile.get_by_role("link").click()
    page.get_by_role("cell", name="Register the schema").wait_for()
    known = page.locator(".letter", has_text="unknown-schema")
    known.get_by_text("What can be read of it").click()
    known.get_by_role("region", name="Headers").get_by_role("cell", name=HOSTILE).first.wait_for()
    page.locator(".letter", has_text="bad-magic").get_by_text("for who may view its schedule").wait_for()
    assert page.locator("img").count() == 0

    def shown(token):
        return [letter for letter in ok(board.call("GET", "/dashboard/letters", token=token))["shown"]
                if "portrait" in letter]

    assert [letter["schedule"] for letter in shown("viewer")] == [schedule_rid("stale")]
    assert shown("stranger") == []
    assert board.call("GET", "/dashboard/letters", token="writer").status_code == 403
    one = watched(path="letters", viewport={"width": 360, "height": 800})
    one.page.locator(".letter").first.wait_for()
    one.axe()
    assert one.page.evaluate("document.documentElement.scrollWidth") <= 360
