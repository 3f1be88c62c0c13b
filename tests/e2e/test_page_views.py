"""What the dashboard page says of a catalogue, of builds, of what is due and of
dead letters: in a real browser, on a shop whose night has gone half well."""

import os
import re
import time

import catalogues
import checker
import pytest
from boards import HOSTILE, NIGHT, Dashboard, browser, go, shop, watched  # noqa: F401
from browser import Watched
from catalogues import dataset, schedule_rid, stored
from confluent_kafka import Producer
from http_api import ok
from programs import ROOT, wait_for
from tokens import AUDIENCE, ISSUER, Key, key_set

from load import Load, request


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init()
    fresh_system.apply(shop())
    fresh_system.worker().wait_ready()
    return fresh_system


@pytest.fixture(scope="module")
def board(system):
    return Dashboard(system)


def stale_keys(told):
    return {job["key"].rsplit(".", 1)[1]: job["reason"]["cause"] for job in told["stale"]}


STALE = {"order-lines": "inputsChanged", "revenue-daily": "upstream", "revenue-monthly": "upstream",
         "churn-model": "newLogic", "forecast": "upstream", "report-finance": "upstream"}


def test_what_is_stale_is_what_the_planner_says(board):
    told = board.tell("stale")
    assert told["branch"] == "master" and told["targets"] == 11 and told["judged"] == 11
    assert stale_keys(told) == STALE
    assert {fault["target"]: fault["errorName"] for fault in told["faults"]} == {
        dataset("left"): "CyclicDependency", dataset("right"): "CyclicDependency",
        dataset("lost"): "TargetResolutionFailure"}
    assert told["faultCount"] == 3 and not told["isPart"]
    assert stale_keys(board.tell("stale", params={"text": "CHURN"})) == {"churn-model": "newLogic"}
    assert board.tell("stale", params={"branch": "none"})["targets"] == 0


def test_lineage_goes_up_and_down(board):
    told = board.tell(f"datasets/{dataset('order-lines')}")
    assert {job["key"].rsplit(".", 1)[1]: job["distance"] for job in told["jobs"]} == {
        "orders-clean": -2, "order-lines": -1, "revenue-daily": 1, "revenue-monthly": 2, "forecast": 2,
        "report-finance": 3}
    assert (told["up"], told["down"], told["more"], told["hidden"]) == (2, 4, False, 0)
    [head] = told["branches"]
    assert head["head"] == catalogues.transaction("order-lines-1") and head["built"]["logic"] == "v1"
    assert stale_keys(board.tell(f"datasets/{dataset('order-lines')}/state")) == STALE


def test_impact_names_jobs_and_schedules(board):
    told = board.tell(f"datasets/{dataset('orders')}/impact")
    assert {job["key"].rsplit(".", 1)[1]: (job["reason"]["cause"], job["anyway"]) for job in told["jobs"]} == {
        "orders-clean": ("inputsChanged", False), "order-lines": ("inputsChanged", True),
        "revenue-daily": ("upstream", True), "revenue-monthly": ("upstream", True),
        "churn-model": ("newLogic", True), "forecast": ("upstream", True), "report-finance": ("upstream", True)}
    assert (told["count"], told["anyway"], told["hidden"]) == (7, 6, 1)
    schedules = {one["rid"].rsplit(".", 1)[1]: one for one in told["schedules"]}
    assert {name: one["wave"] for name, one in schedules.items() if one["wave"]} == {
        "lines": 1, "revenue": 2, "after-revenue": 3}
    assert schedules["lines"]["outcome"] == {"type": "submitted", "running": 2, "affected": 2}
    assert schedules["revenue"]["outcome"] == {"type": "submitted", "running": 2, "affected": 2}
    assert schedules["revenue"]["by"] == {"type": "datasetUpdated", "rid": dataset("order-lines"), "branch": "master",
                                          "after": schedule_rid("lines")}
    assert schedules["after-revenue"]["outcome"] == {"type": "submitted", "running": 1, "affected": 1}
    # What those leave it: the churn model, a forecast with that, the report.
    assert schedules[NIGHT]["outcome"]["affected"] == 3 and "next" in schedules[NIGHT]
    assert schedules["forecast-weekly"]["outcome"] == {"type": "ignored", "cause": "paused"}
    assert "loop" not in schedules
    # Nothing has changed by it.
    assert stale_keys(board.tell("stale")) == STALE


def test_each_sees_his_projects_alone(board):
    secret = dataset("secret")
    path = f"datasets/{secret}"
    for part in ("", "/state", "/impact"):
        assert board.call("GET", f"/dashboard/{path}{part}").status_code == 404, part
        assert board.call("GET", f"/dashboard/{path}{part}", token="writer").status_code == 403
    assert secret not in str(board.tell("datasets", params={"text": "s"}))
    assert board.tell("datasets", token="stranger")["datasets"] == []
    assert board.tell("stale", token="stranger")["targets"] == 0
    assert board.call("GET", f"/dashboard/datasets/{dataset('orders')}", token="stranger").status_code == 404
    assert board.tell(f"datasets/{dataset('orders')}", token="viewer")["hidden"] == 1
    assert stale_keys(board.tell("stale", token="viewer")) == STALE


def test_a_dataset_tells_where_it_comes_from_and_leads(watched):
    page = watched(path="catalogue?text=LINES").page
    page.get_by_role("link", name="order-lines", exact=True).click()
    page.get_by_text("! Stale").wait_for()
    page.locator("#state").get_by_text("inputs changed: prices").wait_for()
    assert page.locator("svg .node.stale").count() == 5
    page.get_by_role("button", name="prices, source").click()
    page.get_by_text("No job of this branch makes it.").wait_for()
    page.get_by_role("button", name="As a list").click()
    page.get_by_role("region", name="Lineage").get_by_role("cell", name="3 down").wait_for()
    page.get_by_role("button", name="Show the impact").click()
    page.get_by_text(re.compile("If order-lines changed on master, 4 jobs would run")).wait_for()
    assert page.url.endswith("?show=impact")
    page.get_by_role("region", name="Heads").get_by_text("order-lines-1").wait_for()
    page.get_by_role("region", name="Would run", exact=True).get_by_role(
        "link", name="forecast").click()
    page.locator("h1", has_text="forecast").wait_for()
    page.go_back()
    page.get_by_text("If order-lines changed on master").wait_for()
    page.go_back()
    page.go_back()
    assert page.get_by_label("Part of a RID").input_value() == "LINES"


def test_since_when_is_told(system, board, watched):
    assert "since" not in str(board.tell("stale"))  # what apply brings has no time
    commit = ("dataset", "commit", dataset("customers"), "--branch", "master")
    assert system.run(*commit).returncode == 0
    [moved] = board.tell(f"datasets/{dataset('customers')}")["branches"]
    told = board.tell("stale")
    since = {job["key"]: job.get("since") for job in told["stale"]}
    assert since[dataset("customers-clean")] == moved["moved"] > "2026"
    assert since[dataset("churn-model")] is None
    page = watched(path="catalogue/stale").page
    cell = page.get_by_role("row", name="customers-clean").locator("time")
    assert cell.get_attribute("datetime") == moved["moved"]
    page.get_by_role("row", name="lost").wait_for(state="hidden")
    page.get_by_text("3 can't be judged").click()
    page.get_by_role("cell", name="CyclicDependency").first.wait_for()


JOB = """\
#!/bin/sh
case $SCHEDRUN_OUTPUTS in
*.churn-model) echo "the disk is full" >&2; exit 3 ;;
*.order-lines) while [ ! -e {go} ]; do sleep 0.05; done ;;
esac
"""


@pytest.fixture
def plant(system):
    """A builder at work, whose order lines wait until they may go."""
    job, let_go = system.directory / "job", system.directory / "go"
    job.write_text(JOB.format(go=let_go))
    job.chmod(0o755)
    system.builder(job).wait_ready()
    yield let_go
    let_go.touch()


def test_builds_run_and_fail_before_ones_eyes(plant, system, board, watched):
    run = board.finish(NIGHT)
    page = watched(path="builds").page
    build = page.locator(f"li[data-rid='{run['result']['buildRid']}']")
    build.get_by_text("churn-model failed, exit code 3").wait_for()
    build.get_by_text("the disk is full").wait_for()
    build.get_by_text("order-lines running").wait_for()
    health = watched().page
    tile = health.locator(".tile", has=health.get_by_role("heading", name="Builds"))
    tile.get_by_text("1 running").wait_for()
    build.get_by_role("link").first.click()
    timeline = page.get_by_role("region", name="Timeline of its jobs")
    timeline.get_by_role("row", name="order-lines").get_by_text("RUNNING").wait_for()
    assert timeline.locator("svg.bar rect.failed").count() == 1
    page.locator("svg .node.running").wait_for()
    plant.touch()
    page.get_by_text("The build is FAILED").wait_for()  # by itself
    timeline.get_by_text("the disk is full").wait_for()
    go(page, "builds")
    build.get_by_text("Mend:").wait_for()
    build.locator(".badge", has_text="failed").wait_for()
    assert board.tell("builds", token="stranger")["looked"] == 0
    assert board.call("GET", "/dashboard/builds", token="writer").status_code == 403
    health.reload()
    health.locator(".tile.warn", has=health.get_by_role("heading", name="Builds")).wait_for()
    health.locator("#work").get_by_text("the disk is full").wait_for()


def test_what_is_due_and_whether_somebody_keeps_time(system, board, watched):
    told = board.tell("due")
    assert told["scheduled"] == 2 and told["late"] and "stood" not in told
    due = {one["scheduleRid"]: one for one in told["due"]}
    assert due[schedule_rid("orders-hourly")]["count"] == 24 and due[schedule_rid(NIGHT)]["count"] == 1
    assert [one["at"] for one in told["due"]] == sorted(one["at"] for one in told["due"])
    assert board.tell("due", token="stranger")["due"] == []
    page = watched().page
    tile = page.locator(".tile.bad", has=page.get_by_role("heading", name="Triggers due"))
    tile.get_by_text("start schedrun-trigger").wait_for()
    system.trigger().wait_ready()
    wait_for("the trigger to say where it stands", lambda: not board.tell("due")["late"])
    page.locator(".tile.good", has=page.get_by_role("heading", name="Triggers due")).wait_for(timeout=15000)
    page.locator("#work").get_by_role("row", name=NIGHT).wait_for()
    tile = page.locator(".tile", has=page.get_by_role("heading", name="Triggers due"))
    tile.get_by_role("link").click()
    page.get_by_role("row", name=NIGHT).get_by_text("30 2 * * *").wait_for()
    ok(board.post(f"/schedules/{schedule_rid(NIGHT)}/pause"), 204)
    wait_for("the pause to be seen", lambda: board.tell("due")["scheduled"] == 1)
    ok(board.post(f"/schedules/{schedule_rid(NIGHT)}/unpause"), 204)


def test_who_is_behind_in_events_and_builds_is_on_health(system, board, watched):
    others = board.tell("overview")["others"]
    assert set(others) == {"trigger", "builder"} and others["trigger"]["members"] == 1, others  # by the tests before
    [trigger] = [daemon for daemon in system.daemons if daemon.name == "trigger-1"]
    page = watched().page
    tile = page.locator(".tile", has=page.get_by_role("heading", name="Waiting events"))
    page.locator(".tile.good", has=page.get_by_role("heading", name="Waiting events")).wait_for()
    page.locator(".tile.good", has=page.get_by_role("heading", name="Waiting builds")).wait_for()
    assert trigger.stop() == 0
    for i in range(3):
        ok(board.post(f"/datasets/{dataset('prices')}/commits", {
            "branch": "master", "transactionRid": catalogues.transaction(f"late-{i}")}))
    tile.locator(".value", has_text="3").wait_for(timeout=20000)
    tile.get_by_text("start schedrun-trigger: nobody reads them").wait_for()
    assert "bad" in tile.get_attribute("class")
    trigger = system.trigger("trigger-2").wait_ready()
    page.locator(".tile.good", has=page.get_by_role("heading", name="Waiting events")).wait_for(timeout=20000)
    # What is not well says what mends it.
    for state in ("warn", "bad"):
        for text in page.locator(f".tile.{state}").all_inner_texts():
            assert "Mend:" in text, text


def test_a_new_generation_is_seen(system, board):
    changed = shop()
    changed["datasets"][dataset("late")] = stored(None)
    changed["jobSpecs"].append(catalogues.job_spec("late", ["revenue-monthly"]))
    system.apply(changed)
    told = board.tell(f"datasets/{dataset('revenue-monthly')}")
    assert dataset("late") in [job["key"] for job in told["jobs"]]
    assert stale_keys(board.tell("stale"))["late"] == "neverBuilt"


def bury(system, *records):
    producer = Producer({"bootstrap.servers": system.bootstrap})
    for key, value in records:
        producer.produce("schedule-run-requests", value, key, headers=[(HOSTILE, HOSTILE.encode())])
    assert producer.flush(20) == 0


def test_dead_letters_are_decoded_and_asked_again(system, board, watched):
    whole = checker.encode("run_request", request(schedule_rid("fresh"), "once-more"))
    cut, foreign = whole[:20], b"\0\0\0\0\x63" + whole[5:]
    bury(system, (schedule_rid("fresh").encode(), cut), (schedule_rid("fresh").encode(), foreign),
         (HOSTILE.encode(), b"<b>no request</b>"))
    page = watched(path="letters").page
    page.locator(".letter").nth(2).wait_for(timeout=20000)
    broken = page.locator(".letter", has_text="truncated").or_(page.locator(".letter", has_text="malformed")).first
    broken.get_by_text("What can be read of it").click()
    broken.get_by_role("region", name="Fields").get_by_role("cell", name="once-more").wait_for()
    broken.get_by_text("fault at byte").wait_for()
    assert "·" in broken.locator("pre.hex").inner_text() or "  " in broken.locator("pre.hex").inner_text()
    assert page.locator("img, b").count() == 0
    unknown = page.locator(".letter", has_text="unknown-schema")
    unknown.get_by_role("button", name="Dry run of a redrive").click()
    unknown.get_by_role("cell", name="would be redriven").wait_for()
    letters = {one["letter"]: one for one in board.tell("letters")["shown"]}
    assert len(letters) == 3 and all(one["reason"] for one in letters.values())  # nothing was done
    unknown.get_by_role("button", name="Redrive it").click()
    page.get_by_text(re.compile(r"Asked again: \d+:\d+")).wait_for(timeout=30000)
    told = board.call("POST", "/dashboard/letters/redrive", json={"letters": list(letters), "dryRun": True})
    results = {one["letter"]: (one["result"], one.get("note")) for one in ok(told)["results"]}
    [done] = [letter for letter, one in letters.items() if one["reason"] == "unknown-schema"]
    [strange] = [letter for letter, one in letters.items() if one["hidden"]]
    assert results[done][0] == "refused" and results[done][1].startswith("it was redriven at")
    assert results[strange] == ("refused", "its key is no schedule that you may run")
    # The worker buries the copy again, since the schema is still unknown.
    wait_for("the copy to be buried", lambda: any(
        (one.get("portrait") or {}).get("redrives") == 1 for one in board.tell("letters")["shown"]))


def test_who_may_redrive(system, board):
    def ask(token, body=None, on=board):
        return on.call("POST", "/dashboard/letters/redrive", token=token,
                       json=body or {"letters": [one["letter"] for one in board.tell("letters")["shown"]]})

    assert ask("reader").status_code == 403
    for token in ("viewer", "stranger"):
        assert {one["result"] for one in ok(ask(token))["results"]} == {"refused"}
    assert ok(ask("full"))["dryRun"] is True  # who doesn't say so only looks
    for body in ({}, {"letters": []}, {"letters": ["x"]}, {"letters": [1]}, {"letters": ["0:1"] * 201}):
        assert ask("full", body or {"a": 1}).status_code == 400, body
    assert ok(ask("full", {"letters": ["0:999999"]}))["results"][0]["result"] == "gone"
    read = Dashboard(system, "http-read", http__page="read")
    assert ask("full", on=read).status_code == 404
    assert read.daemon.stop() == 0


def test_a_token_expires_and_is_renewed(system, browser):
    key = Key("page")
    jwks = system.directory / "jwks.json"
    jwks.write_text(key_set(key))
    board = Dashboard(system, "http-jwt", http__auth="jwt", http__jwks=jwks, http__issuer=ISSUER,
                      http__audience=AUDIENCE, http__auth__leeway="0s")
    one = Watched(browser, board.origin)
    one.allows += ["401"]
    page = one.page
    page.goto(f"{board.url}#token={key.token(exp=int(time.time()) + 6)}")
    page.get_by_text("● live").wait_for()
    page.get_by_text("The token has expired.").wait_for(timeout=20000)
    page.get_by_label("Bearer token").fill(key.token())
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("dialog").wait_for(state="detached")
    go(page, "runs")
    ran = ok(board.run(schedule_rid("fresh"), wait=30, token=key.token()))
    page.locator(f"#rows li[data-rid='{ran['rid']}']").wait_for()
    page.get_by_text("● live").wait_for()
    one.close()
    assert board.daemon.stop() == 0


class Clicks:
    """From the start page, at most two."""

    def __init__(self, watched):
        self.page, self.left = watched().page, 2
        self.page.get_by_role("heading", name="Health").wait_for()

    def click(self, locator):
        self.left -= 1
        assert self.left >= 0
        locator.click()

    def view(self, name):
        self.click(self.page.locator("#nav").get_by_role("link", name=name))
        return self.page

    def sees(self, text):
        self.page.get_by_text(text).first.wait_for()


def test_six_questions_take_two_clicks_each(system, board, watched):
    failed = board.finish("loop")
    ask = Clicks(watched)  # what failed, and why?
    ask.view("Runs").locator(f"li[data-rid='{failed['rid']}']").get_by_text("2 job specs form a cycle").wait_for()
    ask = Clicks(watched)  # who asked?
    ask.view("Runs")
    ask.click(ask.page.locator(f"li[data-rid='{failed['rid']}'] a"))
    ask.sees(f"by {catalogues.OWNER}")
    ask = Clicks(watched)  # what is stale, and since when?
    ask.view("Catalogue")
    ask.click(ask.page.get_by_role("link", name="What is stale"))
    ask.page.get_by_role("region", name="Stale").get_by_role("row", name="churn-model").get_by_text("the catalogue of").wait_for()
    ask = Clicks(watched)  # what runs tonight?
    ask.page.locator("#work").get_by_role("row", name=NIGHT).get_by_text("30 2 * * *").wait_for()
    ask = Clicks(watched)  # what would change?
    ask.view("Catalogue")
    ask.click(ask.page.get_by_role("link", name="What if orders changed"))
    ask.sees(re.compile(r"If orders changed on master, \d+ jobs would run"))
    ask.page.get_by_role("region", name="Schedules that would run them").get_by_role(
        "row", name=re.compile("^lines ")).get_by_text("at once").wait_for()
    [worker] = [daemon for daemon in system.daemons if daemon.name == "worker-1"]
    assert worker.stop() == 0
    load = Load(system.bootstrap)
    for _ in range(3):
        load.send(request(schedule_rid("fresh")))
    load.flush()
    ask = Clicks(watched)  # what is behind?
    tile = ask.page.locator(".tile", has=ask.page.get_by_role("heading", name="Waiting requests"))
    tile.locator(".value", has_text="3").wait_for(timeout=20000)
    tile.get_by_text("the oldest for").wait_for()
    system.worker().wait_ready()
    system.wait_drained()


VIEWS = {"health": (".tile", "health"), "runs": ("#rows li", "runs"), "builds": ("h1", "builds"), "due": ("table", "due"),
         "catalogue": ("a.open", "catalogue"), "stale": ("table", "catalogue/stale"),
         "lineage": ("svg .node.stale", f"catalogue/{dataset('order-lines')}"),
         "impact": ("#impact table", f"catalogue/{dataset('orders')}?show=impact"), "letters": ("h1", "letters")}


@pytest.mark.parametrize("width, scheme", [(1200, "light"), (1200, "dark"), (390, "dark")])
def test_each_view_is_easy_to_read_and_comes_back(watched, board, width, scheme):
    board.finish("loop")
    one = watched(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = one.page
    for landmark, path in VIEWS.values():
        go(page, path)
        page.locator(landmark).first.wait_for()
        one.axe()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    for landmark, path in reversed(list(VIEWS.values())[:-1]):
        page.go_back()
        assert page.url.endswith(f"#/{path}")
        page.locator(landmark).first.wait_for()


PICTURES = ROOT / "docs/pictures"


def test_pictures_of_it(watched, board, tmp_path):
    """`make screenshots` keeps them; here it is seen that they can be made."""
    board.finish("loop")
    run = board.finish(NIGHT)
    keep = os.environ.get("SCREENSHOTS")
    PICTURES.mkdir(exist_ok=True)
    page = watched(viewport={"width": 1100, "height": 760}).page
    for name, path, landmark in (("health", "health", ".tile.good"), ("runs", "runs", "#rows li.error"),
                                 ("run", f"run/x/{run['rid']}", "svg .node"),
                                 ("lineage", f"catalogue/{dataset('order-lines')}", "svg .node.stale"),
                                 ("impact", f"catalogue/{dataset('orders')}?show=impact", "#impact table")):
        go(page, path)
        page.locator(landmark).first.wait_for()
        page.mouse.move(0, 0)
        folder = PICTURES if keep or not (PICTURES / f"{name}.png").exists() else tmp_path
        page.screenshot(path=folder / f"{name}.png", animations="disabled")
        for made in {folder / f"{name}.png", PICTURES / f"{name}.png"}:
            assert 10_000 < made.stat().st_size < 150_000, made


# Frames and long tasks, from now on; then what was seen.
WATCH_FRAMES = """() => {
  window.seen = { frames: [], tasks: [] };
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => window.seen.tasks.push(entry.duration)))
    .observe({ type: "longtask" });
  let last = performance.now();
  const frame = (now) => { window.seen.frames.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}"""
RUNS = 10000


def test_ten_thousand_runs_do_not_stutter(system, board, watched):
    page = watched(path="runs").page
    page.get_by_text("● live").wait_for()
    page.evaluate(WATCH_FRAMES)
    load = Load(system.bootstrap)
    for i in range(RUNS):
        load.send(request(schedule_rid("loop" if i % 2 else "fresh")))
    load.flush()
    page.get_by_text(re.compile("10,000 of the last 10,000 runs")).wait_for(timeout=60000)
    for _ in range(20):  # scrolls while others come
        load.send(request(schedule_rid("loop")))
        page.mouse.wheel(0, 4000)
        page.locator("#rows li").first.wait_for()
    load.flush()
    assert page.locator("#rows li").count() <= 1000
    page.get_by_label("Error", exact=True).select_option("CyclicDependency")
    page.get_by_text(re.compile(r"[45],\d\d\d of the last")).wait_for()
    page.locator("#rows li.error").first.get_by_text("2 job specs form a cycle").wait_for()
    seen = page.evaluate("window.seen")
    frames = sorted(seen["frames"])
    print(f"{len(frames)} frames, median {frames[len(frames) // 2]:.0f} ms, 95 % {frames[len(frames) * 95 // 100]:.0f} ms, "
          f"longest task {max(seen['tasks'], default=0):.0f} ms of {len(seen['tasks'])}")
    assert frames[len(frames) // 2] < 40 and frames[len(frames) * 95 // 100] < 400
    assert max(seen["tasks"], default=0) < 900
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator("#rows .block").last.locator("li").first.wait_for()
