"""Schedules that others' results fire, as an impact and a dry run plan them."""

import re

import catalogues
import pytest
from boards import Dashboard, browser, go, watched  # noqa: F401
from catalogues import dataset, schedule_rid, stored


def updated(name):
    return {"type": "datasetUpdated", "datasetRid": dataset(name), "branchName": "master"}


def succeeded(name):
    return {"type": "scheduleSucceeded", "scheduleRid": schedule_rid(name)}


CHAIN = 12


def catalogue():
    """A chain of datasets, each with a schedule that the former's data fires; a
    ring that is forced, and one that comes to rest; an `and`, and a failure."""
    made = {f"c{i}": ["raw" if i == 0 else f"c{i - 1}"] for i in range(CHAIN)}
    made |= {"ring-a": ["raw"], "ring-b": ["ring-a"], "rest-a": ["raw"], "rest-b": ["rest-a"], "both": ["raw"], "side": [],
             "x": ["y"], "y": ["x"], "mail": ["raw"], "twice": ["c0"]}
    specs = [catalogues.job_spec(name, inputs) for name, inputs in made.items()]
    datasets = {dataset("raw"): stored("raw-1")}
    datasets |= {dataset(name): stored(f"{name}-1", ("v1", {one: f"{one}-1" for one in inputs})) for name, inputs in made.items()}

    def scheduled(name, targets, trigger, **more):
        one = catalogues.schedule(name, targets, **more)
        one["versions"][0]["trigger"] = trigger
        return one

    schedules = [scheduled(f"s{i:02}", [f"c{i}"], updated("raw" if i == 0 else f"c{i - 1}")) for i in range(CHAIN)]
    schedules += [
        scheduled("ring-a", ["ring-a"], {"type": "or", "triggers": [updated("raw"), updated("ring-b")]}, forceBuild=True),
        scheduled("ring-b", ["ring-b"], updated("ring-a"), forceBuild=True),
        scheduled("rest-a", ["rest-a"], {"type": "or", "triggers": [updated("raw"), succeeded("rest-b")]}),
        scheduled("rest-b", ["rest-b"], succeeded("rest-a")),
        scheduled("both", ["both"], {"type": "and", "triggers": [updated("raw"), succeeded("s01")]}),
        scheduled("half", ["both"], {"type": "and", "triggers": [updated("raw"), updated("side")]}),
        scheduled("broken", ["x", "y"], updated("c0")),
        scheduled("mail", ["mail"], {"type": "scheduleFailed", "scheduleRid": schedule_rid("broken")}),
        scheduled("zz-too", ["c0"], updated("raw")),
        scheduled("asleep", ["c0"], updated("raw"), paused=True),
        scheduled("after-asleep", ["twice"], succeeded("asleep")),
        scheduled("nightly", [f"c{CHAIN - 1}", "twice"], {"type": "time", "cronExpression": "0 3 * * *", "timeZone": "UTC"}),
        scheduled("by-hand", ["c0"], None),
    ]
    return {"projects": {catalogues.PROJECT: {}}, "users": catalogues.users(), "datasets": datasets, "jobSpecs": specs,
            "schedules": schedules}


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init()
    fresh_system.apply(catalogue())
    fresh_system.worker().wait_ready()
    return fresh_system


@pytest.fixture(scope="module")
def board(system):
    return Dashboard(system)


def by_name(told):
    return {one["rid"].rsplit(".", 1)[1]: one for one in told["schedules"]}


def cause(one):
    by = one["by"]
    return by["type"], by["rid"].rsplit(".", 1)[1], (by.get("after") or "").rsplit(".", 1)[-1]


def test_who_is_fired_by_others_is_planned_as_if_they_had_run(board):
    told = board.tell(f"datasets/{dataset('raw')}/impact")
    found = by_name(told)
    assert not told["moreSchedules"]
    one_job = {"type": "submitted", "running": 1, "affected": 1}
    for i in range(CHAIN):
        one = found[f"s{i:02}"]
        assert (one["wave"], one["outcome"], one["runs"]) == (i + 1, one_job, 1), one
        assert cause(one) == (("datasetUpdated", "raw", "") if i == 0 else ("datasetUpdated", f"c{i - 1}", f"s{i - 1:02}"))
    # Both are asked before either has built it, as it would be.
    assert found["zz-too"]["outcome"] == one_job and found["zz-too"]["wave"] == 1
    # A ring that builds always is followed for a while, one that does not comes to rest.
    assert found["ring-a"]["again"] and found["ring-a"]["runs"] == 10 and found["ring-b"]["runs"] >= 9
    assert (found["rest-a"]["runs"], found["rest-b"]["runs"]) == (1, 1) and not found["rest-a"]["again"]
    # An `and` waits for all of it.
    assert found["both"]["wave"] == 3 and cause(found["both"]) == ("scheduleSucceeded", "s01", "s01")
    assert found["half"]["partly"] and found["half"]["wave"] == 0 and cause(found["half"]) == ("datasetUpdated", "raw", "")
    # What fails fires, too; what is paused does not.
    assert found["broken"]["outcome"]["errorName"] == "CyclicDependency" and found["broken"]["wave"] == 2
    assert cause(found["mail"]) == ("scheduleFailed", "broken", "broken") and found["mail"]["wave"] == 3
    assert found["asleep"]["outcome"] == {"type": "ignored", "cause": "paused"} and "after-asleep" not in {
        name for name, one in found.items() if one["wave"]}
    # By time, behind all that: the chain has been built by then.
    assert found["nightly"]["wave"] == 0 and found["nightly"]["outcome"] == one_job  # "twice" alone
    assert found["by-hand"]["outcome"] == {"type": "ignored", "cause": "upToDate"}
    # Nothing of it has happened.
    assert board.tell("stale")["count"] == 0
    # The stranger sees none of them.
    assert board.call("GET", f"/dashboard/schedules/{schedule_rid('s00')}/then", token="stranger").status_code == 404


def test_what_an_and_has_already_counts(board, system):
    head = system.cluster.redis().get(b"schedrun:g")
    assert head
    version = catalogues.version_rid("half")
    system.cluster.redis().hset(f"schedrun:t:and:{version}", "0:1", 1)
    found = by_name(board.tell(f"datasets/{dataset('raw')}/impact"))
    assert found["half"]["wave"] == 1 and not found["half"]["partly"]
    system.cluster.redis().delete(f"schedrun:t:and:{version}")


def test_a_dry_run_says_what_it_would_fire(board):
    # Nothing is stale: nothing is built, nobody is fired.
    assert board.tell(f"schedules/{schedule_rid('s00')}/then")["schedules"] == []
    found = by_name(board.tell(f"schedules/{schedule_rid('ring-b')}/then"))
    assert set(found) == {"ring-a", "ring-b"} and found["ring-a"]["wave"] == 1 and found["ring-a"]["again"]
    failed = by_name(board.tell(f"schedules/{schedule_rid('broken')}/then"))
    assert set(failed) == {"mail"} and failed["mail"]["outcome"] == {"type": "ignored", "cause": "upToDate"}


def test_the_page_says_who_is_fired_by_whom(watched, board):
    page = watched(path=f"catalogue/{dataset('raw')}?show=impact").page
    table = page.get_by_role("region", name="Schedules that would run them")
    row = table.get_by_role("row", name=re.compile("^s03 "))
    row.get_by_text("after s02: new data in c2").wait_for()
    row.get_by_text("runs 1 job, 1 of them these").wait_for()
    table.get_by_role("row", name=re.compile("^ring-a ")).get_by_text("again and again: it is fired in a circle").wait_for()
    table.get_by_role("row", name=re.compile("^half ")).get_by_text("a part of its trigger; the rest of that has not come").wait_for()
    table.get_by_role("row", name=re.compile("^mail ")).get_by_text("after broken: an error of broken").wait_for()
    rows = [text.split()[0] for text in table.locator("tbody tr").all_inner_texts()]
    assert [name for name in rows if name[0] == "s"] == [f"s{i:02}" for i in range(CHAIN)]
    assert rows.index("nightly") > rows.index("s11") > rows.index("s00")
    go(page, "due")
    page.get_by_role("row", name="nightly").get_by_role("link", name="What nightly would run").click()
    page.locator("#then").get_by_text("It would fire no other schedule.").wait_for()
    go(page, f"schedules/{schedule_rid('broken')}")
    page.get_by_role("button", name="Dry run").click()
    page.locator("#then").get_by_role("row", name="mail").get_by_text("after broken: an error of broken").wait_for()
