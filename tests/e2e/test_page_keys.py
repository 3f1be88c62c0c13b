"""The dashboard page by the keyboard alone, in each of its views."""

import re

import pytest
from boards import HOSTILE, NIGHT, Dashboard, browser, go, shop, watched  # noqa: F401
from catalogues import dataset, schedule_rid
from confluent_kafka import Producer
from playwright.sync_api import expect
from programs import wait_for

JOB = """\
#!/bin/sh
case $SCHEDRUN_OUTPUTS in
*.churn-model) echo "the disk is full" >&2; exit 3 ;;
esac
"""
# Each element that hears clicks, from the beginning on.
CLICKABLE = """
window.clickable = new Set();
const add = EventTarget.prototype.addEventListener;
EventTarget.prototype.addEventListener = function (type, ...more) {
  if (type === "click" && this instanceof Element) window.clickable.add(this);
  return add.call(this, type, ...more);
};
"""
# What a pointer could use now, and a keyboard should.
USABLE = """() => [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
  .filter((one) => one.checkVisibility() && one.getClientRects().length > 0).length"""
# Where the focus is: whether it is seen to be there, in the window, and was before.
AT = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  window.met = window.met || new Set();
  const isNew = !window.met.has(at);
  window.met.add(at);
  const style = getComputedStyle(at), box = at.getBoundingClientRect();
  return { isNew, what: at.outerHTML.slice(0, 120), met: window.met.size,
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth };
}"""
# Which of the rows has the focus, by its place.
ROW = """() => [...document.querySelectorAll("#main .open")].filter((row) => row.getClientRects().length > 0)
  .indexOf(document.activeElement)"""
BY_POINTER_ALONE = """() => [...window.clickable].filter((one) => one.isConnected && one.id !== "main" && one.tabIndex < 0
  && !one.matches(".node")).map((one) => one.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init()
    fresh_system.apply(shop())
    fresh_system.worker().wait_ready()
    return fresh_system


@pytest.fixture(scope="module")
def board(system):
    board = Dashboard(system)
    job = system.directory / "job"
    job.write_text(JOB)
    job.chmod(0o755)
    system.builder(job).wait_ready()
    board.built = board.finish(NIGHT)
    producer = Producer({"bootstrap.servers": system.bootstrap})
    for value in (b"\0\0\0\0\x63" + bytes(40), b"<b>none</b>"):
        producer.produce("schedule-run-requests", value, schedule_rid("fresh").encode(), headers=[(HOSTILE, b"x")])
    assert producer.flush(20) == 0
    wait_for("the letters", lambda: len(board.tell("letters")["shown"]) == 2, 30)
    wait_for("the build", lambda: [one["state"] for one in board.tell("builds")["builds"]] == ["FAILED"], 30)
    return board


def views(board):
    """By name: its path, what it has when it is there, and how many rows at least."""
    return {
        "health": ("health", "#work tbody tr", 2), "runs": ("runs", "#rows li", 1),
        "run": (f"run/x/{board.built['rid']}", "svg .node", 3), "builds": ("builds", "li.run .jobs", 1),
        "due": ("due", "tbody tr", 2), "schedules": ("schedules", "a.open", 8),
        "schedule": (f"schedules/{schedule_rid(NIGHT)}?show=plan", "#then table, #then p:not(:has-text('Planning'))", 0),
        "catalogue": ("catalogue", "a.open", 10), "stale": ("catalogue/stale", "tbody tr", 2),
        "dataset": (f"catalogue/{dataset('order-lines')}", "svg .node.stale", 0),
        "impact": (f"catalogue/{dataset('orders')}?show=impact", "#impact table", 7), "letters": ("letters", ".letter", 2),
    }


VIEWS = ["health", "runs", "run", "builds", "due", "schedules", "schedule", "catalogue", "stale", "dataset", "impact", "letters"]


def settled(page):
    """All that was asked for is there."""
    expect(page.get_by_text(re.compile("^(Looking|Planning) …$"))).to_have_count(0, timeout=20000)


def opened(watched, board, name):
    path, landmark, rows = views(board)[name]
    one = watched(path="runs")
    page = one.page
    page.get_by_text("● live").wait_for()
    go(page, path)
    page.locator(landmark).first.wait_for()
    settled(page)
    return one, page, rows


@pytest.mark.parametrize("name", VIEWS)
def test_tab_comes_to_all_that_can_be_used_and_shows_where(watched, board, name):
    one = watched(token=None)
    one.allows += ["401"]
    page = one.page
    page.add_init_script(CLICKABLE)
    path, landmark, _ = views(board)[name]
    page.goto("about:blank")
    page.goto(f"{board.url}#token=full")
    go(page, path)
    page.locator(landmark).first.wait_for()
    settled(page)
    assert page.evaluate(BY_POINTER_ALONE) == []
    page.evaluate("document.activeElement.blur()")
    page.locator("#skip").focus()
    at = page.evaluate(AT)
    for _ in range(400):
        page.keyboard.press("Tab")
        at = page.evaluate(AT)
        if at is None or not at["isNew"]:
            break
        assert at["outlined"] and at["inside"], at
    assert page.evaluate("window.met.size") >= page.evaluate(USABLE) > 10


@pytest.mark.parametrize("name", [name for name in VIEWS if name not in ("dataset", "schedule")])
def test_rows_are_walked_and_found_again(watched, board, name):
    _, page, rows = opened(watched, board, name)
    met = []
    for _ in range(60):
        page.keyboard.press("j")
        met.append(page.evaluate(ROW))
        if met[-1:] == met[-2:-1]:
            break
    assert met[:-1] == list(range(len(met) - 1)) and len(met) > rows
    assert page.evaluate("document.activeElement.matches(':focus-visible')")
    for _ in range(len(met)):
        page.keyboard.press("k")
    first = page.locator(".open:visible").first
    assert first.evaluate("(element) => element === document.activeElement")
    page.keyboard.press("j")
    second = page.evaluate("document.activeElement.getAttribute('href')")
    if not second:
        return
    before = page.url
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{second}")
    assert page.evaluate("document.activeElement.id") == "main"
    page.go_back()
    page.wait_for_url(before)
    page.locator(f"a.open[href='{second}']").first.wait_for()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.getAttribute('href')") == second


def test_each_view_has_a_key(watched, board):
    page = watched().page
    page.get_by_role("heading", name="Health").wait_for()
    for key, title in (("b", "Builds"), ("d", "Due"), ("c", "Catalogue"), ("l", "Dead letters"), ("s", "Schedules"),
                       ("r", "Runs"), ("h", "Health")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.get_by_role("heading", name=title, level=1).wait_for()
        page.locator(f"#nav a[aria-current=page]:text-is('{title}')").wait_for()
        assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    keys.get_by_text("g, then h, r, b, d, s, c, l").wait_for()
    page.keyboard.press("g")  # what it lists is tried while it is open, and closes it
    page.keyboard.press("b")
    keys.wait_for(state="detached")
    assert page.url.endswith("#/builds")
    page.keyboard.press("?")
    keys.wait_for()
    page.keyboard.press("Escape")
    keys.wait_for(state="detached")


@pytest.mark.parametrize("name", ["run", "dataset"])
def test_a_graph_is_one_stop_that_is_gone_into_and_out_of(watched, board, name):
    _, page, _ = opened(watched, board, name)
    graph = page.locator("svg.graph")
    n = page.locator("svg .node").count()
    assert n > 3
    page.get_by_role("button", name="Show all").focus()
    page.keyboard.press("Tab")
    assert graph.evaluate("(element) => element === document.activeElement")
    for _ in range(12):
        page.keyboard.press("+")  # so near that most are out of sight
    page.keyboard.press("Enter")
    met, wanted = set(), ["ArrowUp"] * 5
    while wanted or len(met) < n:
        label = page.evaluate("document.activeElement.getAttribute('aria-label')")
        met.add(label)
        box, frame = (page.locator(where).bounding_box() for where in (".node:focus", "svg.graph"))
        assert frame["x"] - 1 <= box["x"] and box["x"] + box["width"] <= frame["x"] + frame["width"] + 1, label
        assert frame["y"] - 1 <= box["y"] and box["y"] + box["height"] <= frame["y"] + frame["height"] + 1, label
        if not wanted:  # down this layer, then up in the next
            page.keyboard.press("ArrowDown")
            if page.evaluate("document.activeElement.getAttribute('aria-label')") == label:
                page.keyboard.press("ArrowRight")
                assert page.evaluate("document.activeElement.getAttribute('aria-label')") != label, f"{len(met)} of {n}"
                wanted = ["ArrowUp"] * 5
        else:
            page.keyboard.press(wanted.pop())
    ring = page.locator(".node:focus rect")
    assert ring.evaluate("(rect) => parseFloat(getComputedStyle(rect).strokeWidth)") >= 3
    page.keyboard.press("ArrowLeft")
    chosen = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("Enter")
    page.locator(".job h3").wait_for()
    assert page.locator(".job h3").inner_text().removeprefix("Job ").split(": ")[-1] in chosen
    page.keyboard.press("Escape")
    assert graph.evaluate("(element) => element === document.activeElement")
    page.keyboard.press("Enter")  # in again, where one was
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == chosen
    page.keyboard.press("Tab")  # out of it, past the others
    assert not page.evaluate("document.activeElement.matches('.node, svg')")
    page.keyboard.press("Shift+Tab")
    assert graph.evaluate("(element) => element === document.activeElement")
    page.get_by_role("button", name="As a list").press("Enter")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.matches('tbody .open')")


def test_the_timeline_leads_to_its_jobs(watched, board):
    _, page, _ = opened(watched, board, "run")
    timeline = page.get_by_role("region", name="Timeline of its jobs")
    button = timeline.get_by_role("row", name="churn-model").get_by_role("button")
    button.press("Enter")
    page.locator(".job").get_by_text("FAILED").first.wait_for()
    page.locator(".job pre").get_by_text("the disk is full").wait_for()
    assert button.evaluate("(element) => element === document.activeElement")


def test_a_dead_letter_is_read_and_asked_again_by_keys(watched, board):
    _, page, _ = opened(watched, board, "letters")
    letter = page.locator(".letter", has_text="unknown-schema")
    while not letter.locator("summary:focus").count():
        page.keyboard.press("j")
    page.keyboard.press("Enter")
    letter.get_by_role("region", name="Headers").wait_for()
    while not letter.get_by_role("button", name="Dry run of a redrive").evaluate("(one) => one === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    letter.get_by_role("cell", name="would be redriven").wait_for()
    while not letter.get_by_role("button", name="Redrive it").evaluate("(one) => one === document.activeElement"):
        page.keyboard.press("Tab")


@pytest.mark.parametrize("path, wanted", [("health", ".tile a"), ("health", "#hour summary"), ("health", "#work .scroll"), ("builds", "a.open"),
                                          ("letters", "summary"), ("due", "a.open")])
def test_what_looks_again_leaves_the_focus(watched, board, path, wanted):
    one = watched(path=path)
    page = one.page
    held = page.locator(wanted).first
    held.wait_for()
    held.focus()
    route = {"health": "history", "builds": "builds", "letters": "letters", "due": "due"}[path]

    def change(answer):  # as if something else was there each time
        text = answer.fetch().text().replace('"looked":1', '"looked":2').replace('"offset":', '"other":').replace(
            '"buried', '"was').replace('"reason":"unknown-schema"', '"reason":"bad-magic"')
        answer.fulfill(body=text, content_type="application/json")

    page.route(f"**/dashboard/{route}", change)
    for _ in range(2):
        with page.expect_response(f"**/dashboard/{route}", timeout=25000):
            pass
    page.wait_for_timeout(100)  # for it to be drawn, or not
    assert held.evaluate("(element) => element.isConnected && element === document.activeElement")
