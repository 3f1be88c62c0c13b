"""What the dashboard page must not pass over: who asked, builds that failed, what isn't reached,
filters that nothing fits, letters that can't be asked again, tokens that are taken back."""

import re
import signal

import catalogues
import pytest
from boards import NIGHT, Dashboard, browser, go, row, shop, watched  # noqa: F401
from browser import Watched
from catalogues import dataset, schedule_rid
from confluent_kafka import Consumer, Producer, TopicPartition
from http_api import READ
from playwright.sync_api import expect
from programs import wait_for


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init()
    fresh_system.apply(shop())
    fresh_system.worker().wait_ready()
    return fresh_system


@pytest.fixture(scope="module")
def board(system):
    return Dashboard(system)


def tile(page, name):
    return page.locator(".tile", has=page.get_by_role("heading", name=name, exact=True))


def fired(system, name, trigger):
    """A run that says what fired it."""
    told = system.run("submit", schedule_rid(name), "--trigger", trigger, "--wait", "30s", "-o", "json")
    return re.search(r"ri\.scheduler\.main\.run\.[0-9a-f-]{36}", told.stdout).group(0)


def test_who_asked_is_named(system, board, watched):
    due = "time: 0 2 * * * UTC, due 2026-12-01T02:00:00.000Z"
    cron, event = fired(system, "fresh", due), fired(system, "fresh", f"datasetUpdated: {dataset('orders')}@master")
    mine = board.finish("fresh")
    page = watched(path="runs").page
    row(page, {"rid": cron}).locator(".who", has_text=due).wait_for()
    row(page, {"rid": event}).locator(".who", has_text="datasetUpdated: orders@master").wait_for()
    row(page, mine).locator(".who", has_text=f"by {catalogues.OWNER[:8]}").wait_for()
    for control, text, wanted in (("Who", "datasetupdated", event), ("Who", "automatic", cron), ("Text", "ignored time: utc", cron)):
        go(page, "runs")
        page.get_by_label(control, exact=True).fill(text)
        row(page, mine).wait_for(state="detached")
        row(page, {"rid": wanted}).wait_for()
    row(page, {"rid": cron}).get_by_role("link").click()
    page.get_by_text("by its trigger: ").get_by_text(due).wait_for()
    assert due in system.run("run", "get", cron).stdout


@pytest.mark.parametrize("how, word, outcome", [("fail", "build failed", "failed"), ("cancel", "build canceled", "canceled")])
def test_a_run_whose_build_ended_badly_says_so(system, board, watched, how, word, outcome):
    run = board.finish("lines")
    page = watched(path="runs").page
    row(page, run).locator(".badge", has_text="submitted").wait_for()
    listed = watched(path=f"schedules/{schedule_rid('lines')}").page
    listed.locator("#last .badge", has_text="submitted").first.wait_for()
    assert system.run("build", how, run["result"]["buildRid"]).returncode == 0
    row(page, run).locator(".badge", has_text=word).wait_for(timeout=20000)  # where it stands
    listed.locator("#last .badge", has_text=word).wait_for(timeout=20000)
    go(listed, "schedules")
    listed.locator(f"[data-rid='{schedule_rid('lines')}'] .marks .badge.{outcome}").first.wait_for()
    page.get_by_label("Outcome").select_option(outcome)
    expect(page.locator("#rows > ol > li")).to_have_count(1)
    row(page, run).get_by_role("link").click()
    page.locator("#jobs .badge", has_text=word).wait_for()


def test_builds_without_a_builder_are_not_well(system, board, watched):
    group = Consumer({"bootstrap.servers": system.bootstrap, "group.id": "schedrun-builder", "auto.offset.reset": "earliest"})
    group.subscribe(["schedule-builds"])
    wait_for("a builder that was here once", lambda: group.poll(0.1) or group.assignment(), 30)
    group.commit(offsets=[TopicPartition(one.topic, one.partition, 0) for one in group.assignment()], asynchronous=False)
    group.close()
    run = board.finish(NIGHT)
    assert run["result"]["type"] == "submitted"
    page = watched(path="health").page
    builds = tile(page, "Builds")
    builds.get_by_text("no builder runs").wait_for(timeout=20000)
    builds.get_by_text("start schedrun-builder").wait_for()
    assert "bad" in builds.get_attribute("class")
    assert system.run("build", "finish", run["result"]["buildRid"]).returncode == 0
    go(page, "builds")
    done = page.locator(f"li[data-rid='{run['result']['buildRid']}']")
    done.get_by_text("succeeded").first.wait_for()
    done.get_by_text(re.compile(r"\d jobs?: ")).wait_for()


def test_a_filter_that_nothing_fits_says_so(board, watched):
    page = watched(path="catalogue/stale?text=%25").page
    page.get_by_text("No job on master that you may see has that in a RID.").wait_for()
    go(page, "catalogue/stale?branch=nosuch")
    page.get_by_text("No branch is named nosuch.").wait_for()
    assert page.get_by_label("Branch").input_value() == "nosuch"
    go(page, "schedules?text=%25")
    page.get_by_text("None has % in its name or RID.").wait_for()
    go(page, "catalogue?text=%25")
    page.get_by_text(re.compile(r"^None of \d+ datasets has that in its RID")).wait_for()
    board.finish("fresh")
    go(page, "runs?outcome=bogus&since=zz")
    page.get_by_text("None fits the filters.").wait_for()
    assert page.get_by_label("Outcome").input_value() == "bogus"
    assert page.get_by_label("Asked in the last").input_value() == "zz"
    go(page, "nosuchview")
    page.get_by_text("There is no nosuchview here.").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**#/runs")


def test_what_one_may_not_see_is_not_counted(board):
    seen = board.tell("datasets")
    assert seen["total"] == len(seen["datasets"]) and dataset("secret") not in str(seen)
    assert board.tell("datasets", token="stranger")["total"] == 0
    due = board.tell("due")
    assert due["scheduled"] == len(due["due"]) > 0
    assert board.tell("due", token="stranger")["scheduled"] == 0


def test_letters_are_offered_what_can_help_them(system, watched):
    producer = Producer({"bootstrap.servers": system.bootstrap})
    producer.produce("schedule-run-requests", b"no request", schedule_rid("fresh").encode())
    producer.produce("schedule-run-requests", b"\0\0\0\0\x63rest", schedule_rid("fresh").encode())
    producer.produce("schedule-run-requests", b"of nobody", b"nokey")
    assert producer.flush(20) == 0
    page = watched(path="letters").page
    page.locator(".letter").nth(2).wait_for(timeout=20000)
    dry = "Dry run of a redrive"
    broken = page.locator(".letter", has_text="so a redrive is not offered")
    assert broken.count() == 1 and broken.get_by_role("button", name=dry).count() == 0
    curable = page.locator(".letter", has_text="unknown-schema")
    assert curable.get_by_role("button", name=dry).count() == 1
    hidden = page.locator(".letter", has_text="Whoever may view the schedule that its key names")
    assert hidden.count() == 1 and hidden.get_by_role("button", name=dry).count() == 0


def test_a_token_taken_back_is_seen_at_once(system, browser, tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"full {catalogues.OWNER} {READ}\n")
    file.chmod(0o600)
    board = Dashboard(system, "http-revoked", http__token__file=str(file))
    one = Watched(browser, board.origin)
    one.allows += ["401"]
    one.page.goto(f"{board.url}#token=full")
    go(one.page, "runs")
    one.page.locator("#live", has_text="● live").wait_for()
    file.write_text(f"other {catalogues.OWNER} {READ}\n")
    board.daemon.signal(signal.SIGHUP)
    one.page.get_by_text("The token was refused (UNKNOWN_TOKEN)").wait_for(timeout=5000)
    one.page.locator("#live", has_text="no token").wait_for(timeout=2000)
    one.close()
    assert board.daemon.stop() == 0


def test_nothing_is_well_that_is_not_reached(system, browser):
    board = Dashboard(system, "http-away")
    one = Watched(browser, board.origin)
    one.allows += ["Failed to load resource", "ERR_"]
    page = one.page
    page.goto(f"{board.url}#token=full")
    page.locator(".tile.good").nth(5).wait_for()
    redis = system.cluster.redis_process
    redis.send_signal(signal.SIGSTOP)
    try:
        page.locator("#live", has_text="without redis").wait_for(timeout=20000)
        for name in ("Builds", "Triggers due"):
            expect(tile(page, name)).not_to_have_class(re.compile("good"))
    finally:
        redis.send_signal(signal.SIGCONT)
    page.locator("#live", has_text="● live").wait_for(timeout=20000)
    board.daemon.process.kill()
    page.get_by_text("The adapter does not answer").wait_for(timeout=20000)
    assert page.locator(".tile.good").count() == 0
    expect(page.locator("#live")).not_to_have_text("● live")
    one.close()
