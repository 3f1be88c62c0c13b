"""The dashboard page where things are not as they should be: networks, clocks,
names, servers that are away, tokens that end."""

import re
import time

import catalogues
import pytest
from boards import NIGHT, Dashboard, browser, go, row, shop, watched  # noqa: F401
from catalogues import dataset, schedule_rid
from http_api import ok
from playwright.sync_api import expect
from programs import wait_for

TURN = "\u202e"  # what stands behind it runs from right to left
LONG = "very-long-" * 25  # a name may have 255 characters, a RID 200 bytes
NAMES = {"turned": f"gnp{TURN}.exe", "hebrew": "לוח זמנים לילי", "long": LONG}
FAR = 7 * 3600  # seconds


def catalogue():
    made = shop()
    for name, text in NAMES.items():
        one = catalogues.schedule(name, ["orders-clean"], branchName="master")
        one.update(displayName=text, description=text)
        one["versions"][0]["trigger"] = {"type": "time", "cronExpression": "0 4 * * *", "timeZone": "Asia/Kathmandu"}
        made["schedules"].append(one)
    made["datasets"][dataset(LONG[:150])] = catalogues.stored(None)
    made["jobSpecs"].append(catalogues.job_spec(LONG[:150], ["orders"], logic=TURN + LONG[:190]))
    wide = [f"wide-{i}" for i in range(300)]
    made["schedules"].append(catalogues.schedule("wide", wide))
    for name in wide:
        made["datasets"][dataset(name)] = catalogues.stored(None)
    made["jobSpecs"] += [catalogues.job_spec(name, ["orders"]) for name in wide]
    return made


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init()
    fresh_system.apply(catalogue())
    fresh_system.worker().wait_ready()
    return fresh_system


@pytest.fixture(scope="module")
def board(system):
    return Dashboard(system)


def settled(page):
    expect(page.get_by_text(re.compile("^(Looking|Planning) …$"))).to_have_count(0, timeout=30000)


PATHS = ["health", "runs", "builds", "due", "schedules", f"schedules/{schedule_rid('turned')}?show=plan", f"schedules/{schedule_rid('long')}?show=plan",
         "catalogue", "catalogue/stale", f"catalogue/{dataset(LONG[:150])}", f"catalogue/{dataset('orders')}?show=impact", "letters"]
# Texts in which such a mark is at work.
TURNED = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) if (/[\\u202a-\\u202e\\u2066-\\u2069]/.test(walker.currentNode.data)) found.push(walker.currentNode.data.slice(0, 60));
  return found;
}"""


def test_names_that_are_long_or_turned_disturb_nothing(watched, board):
    run = board.finish("turned")
    one = watched(viewport={"width": 390, "height": 800})
    page = one.page
    for path in [*PATHS, f"run/x/{run['rid']}"]:
        go(page, path)
        page.locator("h1").wait_for()
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert page.evaluate(TURNED) == [], path
        one.axe()
    go(page, "schedules")
    page.get_by_text("gnp\\u202e.exe").wait_for()
    hebrew = page.locator("bdi", has_text=NAMES["hebrew"])
    assert hebrew.evaluate("(element) => getComputedStyle(element).unicodeBidi") == "isolate"


def skewed(seconds):
    return f"""{{
  const real = Date;
  const now = () => real.now() + {seconds * 1000};
  globalThis.Date = new Proxy(real, {{
    construct: (target, given) => (given.length ? new target(...given) : new target(now())),
    get: (target, name) => (name === "now" ? now : Reflect.get(target, name)),
  }});
}}"""


@pytest.mark.parametrize("skew", [-FAR, FAR])
def test_a_browser_whose_clock_is_wrong_goes_by_the_servers(watched, board, skew):
    run = board.finish("loop")
    one = watched(token=None)
    one.allows += ["401"]
    page = one.page
    page.add_init_script(skewed(skew))
    page.goto("about:blank")
    page.goto(f"{board.url}#token=full")
    page.get_by_text(f"this browser's clock is 7 h 0 min {'behind' if skew < 0 else 'ahead of'} the server's").wait_for()
    page.get_by_role("img", name=re.compile(r"error: [1-9]\d* in the last hour")).wait_for(timeout=15000)
    go(page, "runs?since=15m")
    row(page, run).wait_for()
    go(page, "due")
    due = page.get_by_role("row", name="orders-hourly").locator("td").nth(1)
    due.wait_for()
    assert re.fullmatch(r"in ([0-9]+ min [0-9]+ s|[0-9.]+ s|1 h 0 min)", due.inner_text()), due.inner_text()


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/St_Johns"])
def test_times_are_of_the_browsers_zone_and_exact_behind_it(watched, board, zone):
    page = watched(timezone_id=zone).page
    page.get_by_text(f"Times are of {zone}").wait_for()
    go(page, "due")
    [told] = [one for one in board.tell("due")["due"] if one["scheduleRid"] == schedule_rid("turned")]
    line = page.get_by_role("row", name="turned")
    line.get_by_text("0 4 * * * Asia/Kathmandu").wait_for()
    assert line.locator("time").get_attribute("datetime") == told["at"]
    shown = line.locator("time").inner_text()[-8:]
    assert shown == page.evaluate("(at) => new Date(at).toTimeString().slice(0, 8)", told["at"]) and shown[6:] == "00"


def test_a_slow_network_has_one_look_at_a_time(watched, board):
    one = watched()
    page = one.page
    page.locator(".tile").first.wait_for()
    network = one.context.new_cdp_session(page)
    network.send("Network.enable")
    under_way, most = {}, {}

    def begun(request):
        name = request.url
        under_way[name] = under_way.get(name, 0) + 1
        most[name] = max(most.get(name, 0), under_way[name])

    def ended(request):
        name = request.url
        under_way[name] = under_way.get(name, 1) - 1

    page.on("request", begun)
    page.on("requestfinished", ended)
    page.on("requestfailed", ended)
    network.send("Network.emulateNetworkConditions", {"offline": False, "latency": 7000, "downloadThroughput": 20000,
                                                      "uploadThroughput": 20000})
    for _ in range(2):
        with page.expect_response("**/dashboard/overview", timeout=40000):
            pass
    looked = {name.rsplit("/", 1)[1]: n for name, n in most.items()}
    assert looked["overview"] == 1 and max(looked.values()) == 1, looked
    network.send("Network.emulateNetworkConditions", {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
    one.allows += ["ERR_INTERNET_DISCONNECTED", "ERR_"]
    go(page, "catalogue")
    page.get_by_text("The server does not answer.").wait_for(timeout=20000)
    network.send("Network.emulateNetworkConditions", {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
    page.get_by_role("link", name="orders", exact=True).wait_for(timeout=20000)  # by itself


def test_a_store_that_is_away_is_said_and_comes_back_in_each_view(watched, board, servers):
    pages = {}
    for path in ("health", "builds", "due", "schedules", f"schedules/{schedule_rid(NIGHT)}", "catalogue"):
        one = watched(path=path)
        one.allows += ["50", "ERR_", "404"]
        pages[path] = one.page
        one.page.locator("h1").wait_for()
        settled(one.page)
    held = servers.redis().get("schedrun:g")
    assert held
    servers.stop_redis()
    try:
        pages["health"].locator(".tile.bad", has=pages["health"].get_by_role("heading", name="Redis")).get_by_text("Mend:").wait_for(timeout=30000)
        for path in ("schedules", "catalogue"):
            pages[path].reload()
            pages[path].locator(".failure[role=alert]").first.wait_for(timeout=30000)
        for path in ("builds", "due"):
            pages[path].locator(".failure[role=alert]").first.wait_for(timeout=30000)
    finally:
        servers.start_redis()
    pages["health"].locator(".tile.good", has=pages["health"].get_by_role("heading", name="Redis")).wait_for(timeout=30000)
    for path in ("builds", "due", "schedules", "catalogue"):
        expect(pages[path].locator(".failure[role=alert]")).to_have_count(0, timeout=40000)


def test_three_hundred_jobs_are_listed_and_chosen(watched, board):
    run = board.finish("wide")
    page = watched(path=f"run/x/{run['rid']}").page
    page.get_by_text("300 jobs on branch master").wait_for()
    assert page.locator("#jobs tbody tr").count() == 300 and page.locator("svg.graph").count() == 0
    began = time.monotonic()
    page.get_by_role("button", name="Show job 299").click()
    page.locator(".job h3", has_text="Job 299").wait_for()
    assert time.monotonic() - began < 5


def test_two_tabs_have_tokens_of_their_own_and_see_the_same(watched, board):
    first, second = watched(), watched(token=None)
    second.allows += ["401"]
    other = first.context.new_page()
    other.goto(board.url)
    other.get_by_text("A token is needed").wait_for()  # a token stays in its tab
    other.close()
    go(first.page, f"schedules/{schedule_rid('fresh')}")
    again = watched(path=f"schedules/{schedule_rid('fresh')}").page
    first.page.get_by_role("button", name="Pause").click()
    first.page.get_by_text("❚❚ paused").wait_for()
    # The other one offers what was there; what it asks for is done, or said not to be.
    again.get_by_role("button", name="Pause").click()
    again.get_by_text("❚❚ paused").wait_for()
    again.get_by_role("button", name="Unpause").click()
    wait_for("it to be live", lambda: not ok(board.get(f"/schedules/{schedule_rid('fresh')}"))["paused"])


@pytest.mark.parametrize("path, route, wanted", [
    ("health", "overview", ".tile"), ("builds", "builds", ".count"), ("due", "due", "table"), ("letters", "letters", ".count"),
    ("schedules", "schedules", "a.open"), ("catalogue", "datasets", "a.open"), ("catalogue/stale", "stale", ".verdict"),
    (f"catalogue/{dataset('orders')}?show=impact", "impact", "#impact .verdict"), (f"schedules/{schedule_rid(NIGHT)}?show=plan", "plan", "#plan .badge"),
    (f"schedules/{schedule_rid(NIGHT)}?show=plan", "then", "#then"), ("run/x/RUN", "runs/", "svg .node, #jobs"), ("runs", "runEvents", "#rows li")])
def test_a_token_that_ends_is_renewed_in_each_kind_of_request(watched, board, path, route, wanted):
    run = board.finish("wide" if "RUN" in path else "loop")
    one = watched(token=None)
    one.allows += ["401"]
    page = one.page
    ended = []

    def end(asked):
        if asked.request.headers.get("authorization") != "Bearer full":
            return asked.continue_()
        ended.append(asked.request.url)
        return asked.fulfill(status=401, content_type="application/json", body='{"errorCode":"UNAUTHORIZED","errorName":"MissingCredentials",'
                             '"errorInstanceId":"0","parameters":{"error":"EXPIRED"}}')

    page.route(re.compile(f"/(dashboard|v2/orchestration)/.*{route}"), end)
    page.goto("about:blank")
    page.goto(f"{board.url}#token=full")
    go(page, path.replace("RUN", run["rid"]))
    page.get_by_text("The token has expired.").wait_for(timeout=20000)
    assert ended
    page.get_by_label("Bearer token").fill("reader")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("dialog").wait_for(state="detached")
    page.locator(wanted).first.wait_for(timeout=20000)
    expect(page.locator(".failure[role=alert]")).to_have_count(0, timeout=20000)
