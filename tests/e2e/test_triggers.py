"""schedrun-trigger: each instant that is due gets one result, whoever fires it, however often.

Time passes sixty times as fast: an instant a second.
"""

import collections
import copy
import json
import shutil
import signal
import time

import catalogues
import checker
import pytest
from catalogues import schedule_rid, version_rid
from programs import wait_for

RATE = 60
SLOW_RATE = 15  # for what a trigger leaves to another one: trigger.grace is 2 s of the wall's
MINUTE = 60_000  # ms of the triggers' time
NAMES = {"minutes": "* * * * *", "thirds": "*/3 * * * *", "never": "0 0 30 2 *"}


def time_trigger(expression, zone="Europe/Berlin"):
    return {"type": "time", "cronExpression": expression, "timeZone": zone}


def catalogue():
    made = catalogues.many(len(NAMES), name=list(NAMES).__getitem__)
    for schedule, expression in zip(made["schedules"], NAMES.values()):
        schedule["versions"][0]["trigger"] = time_trigger(expression)
    return made


class Clock:
    """The triggers' time, and which instant a request is of."""

    def __init__(self, rate=RATE):
        self.base, self.rate = int(time.time() * 1000), rate
        self.environment = {"SCHEDRUN_TIME_LAPSE": f"{self.base}:{rate}"}

    def now(self):
        return self.base + (int(time.time() * 1000) - self.base) * self.rate

    def instants(self, version):
        """requestId -> minute, of all minutes of this test."""
        first = self.base // MINUTE - 5
        return {checker.uuid5("firing", version, time.strftime(
                    "%Y-%m-%dT%H:%M:00Z", time.gmtime(minute * 60))): minute
                for minute in range(first, self.now() // MINUTE + 5)}


def starter(system):
    def start(name, **settings):
        return system.trigger(name, program=system.faulty("schedrun-trigger"),
                              environment=system.clock.environment, **settings)

    return start


@pytest.fixture
def lapse(system):
    system.init(partitions=2)
    system.apply(catalogue())
    system.clock = Clock()
    system.worker().wait_ready()
    system.start = starter(system)
    return system


def answered(system, name, version=None):
    """Minutes that have a result, in the order of the results, with repeats."""
    known = system.clock.instants(version or version_rid(name))
    runs = [checker.decode("schedule_run", record.value())
            for record in checker.read_topic(system.bootstrap, "schedule-run-results")]
    return [known.get(run["requestId"]) for run in runs
            if run["scheduleRid"] == schedule_rid(name)
            and (version is None or run["scheduleVersionRid"] == version)]


def wait_answered(system, name, n, **more):
    return wait_for(f"{n} results of {name}", lambda: (
        lambda minutes: minutes if len(minutes) >= n else None)(answered(system, name, **more)))


def settle(system):
    system.wait_drained()
    return {name: answered(system, name) for name in NAMES}


def assert_whole(minutes, step=1):
    assert None not in minutes
    assert minutes == sorted(set(minutes)), "one result for each, in order"
    assert all(minute % step == 0 for minute in minutes)
    assert minutes[-1] - minutes[0] == step * (len(minutes) - 1), f"a hole in {minutes}"


def test_each_instant_once_with_replicas_that_die(lapse):
    first, second = (lapse.start(f"trigger-{n}").wait_ready() for n in (1, 2))
    wait_answered(lapse, "minutes", 3)
    fired = 'schedrun_trigger_fired_total{kind="due"}'
    wait_for("both to have fired", lambda: first.metric(fired) and second.metric(fired))
    first.kill()
    wait_answered(lapse, "minutes", len(answered(lapse, "minutes")) + 3)
    assert second.metric("schedrun_trigger_schedules") == 2
    second.wait_metric("schedrun_trigger_pending_requests", 0)
    assert second.metric("schedrun_trigger_lateness_seconds_count") > 0
    assert second.metric('schedrun_dependency_up{dependency="redis"}') == 1
    assert second.stop() == 0
    found = settle(lapse)
    assert_whole(found["minutes"])
    assert_whole(found["thirds"], step=3)
    assert found["never"] == []

    # All were down for some minutes: the newest of what was missed, and on.
    stood = int(lapse.cluster.redis().get("schedrun:t:at"))
    assert stood // 60 >= found["minutes"][-1] - 1  # a look is a minute apart
    wait_for("four minutes to pass", lambda: lapse.clock.now() // MINUTE
             >= found["minutes"][-1] + 5)
    third = lapse.start("trigger-3").wait_ready()
    later = wait_answered(lapse, "minutes", len(found["minutes"]) + 3)[len(found["minutes"]):]
    assert later[0] >= found["minutes"][-1] + 5
    assert_whole(later)
    third.signal(signal.SIGTERM)
    assert third.wait() == 0


SHARED = 40
FIRED = 'schedrun_trigger_fired_total{kind="due"}'


@pytest.fixture
def shared(system):
    """Forty schedules of each minute, four seconds apart, and two triggers that see each other."""
    system.init(partitions=2)
    made = catalogues.many(SHARED)
    for schedule in made["schedules"]:
        schedule["versions"][0]["trigger"] = time_trigger("* * * * *")
    system.apply(made)
    system.clock = Clock(SLOW_RATE)
    system.start = starter(system)
    system.two = [system.start(name, trigger__grace="30s").wait_ready() for name in ("one", "two")]
    for trigger in system.two:
        wait_for("both to see both", lambda: trigger.metric("schedrun_trigger_replicas") == 2)
    return system


def asked(system):
    """Minute -> schedule -> how many requests there are."""
    found = collections.defaultdict(collections.Counter)
    known = {}
    for record in checker.read_topic(system.bootstrap, "schedule-run-requests"):
        request = checker.decode("run_request", record.value())
        version = request["scheduleVersionRid"]
        if request["requestId"] not in known:
            known.update(system.clock.instants(version))
        found[known[request["requestId"]]][request["scheduleRid"]] += 1
    return found


def wait_minutes(system, n, each=1):
    """Behind the n next ones, of each of whose schedules there are so many requests, at least."""
    first = system.clock.now() // MINUTE + 1
    wait_for(f"{n} minutes", lambda: all(
        len(found) == SHARED and min(found.values()) >= each
        for found in [asked(system)[minute] for minute in range(first, first + n)]))
    return range(first, first + n)


def test_replicas_share_what_is_due(shared):
    """Each asks for what is its own, and for the other's where no worker has seen it in time."""
    worker = shared.worker().wait_ready()
    minutes = wait_minutes(shared, 3)
    last = [trigger.metric("schedrun_trigger_left_total") for trigger in shared.two]
    for trigger, was in zip(shared.two, last):
        wait_for("it to look behind the other", lambda: trigger.metric("schedrun_trigger_left_total") > was)
    assert all(set(asked(shared)[minute].values()) == {1} for minute in minutes)
    fired = [trigger.metric(FIRED) for trigger in shared.two]
    assert min(fired) > SHARED / 8, "both do their part"

    # One that dies: the other has it all, at first trigger.grace late.
    one, two = shared.two
    one.kill()
    alone = wait_minutes(shared, 2)
    wait_for("it to be missed", lambda: two.metric("schedrun_trigger_replicas") == 1)
    missing = set(range(minutes[0], alone[-1] + 1)) - {
        minute for minute, found in asked(shared).items() if len(found) == SHARED}
    assert not missing, f"a hole: {missing}"

    # One that ends is not waited for: what is due next is asked for at once.
    third = shared.start("three", trigger__grace="30s").wait_ready()
    wait_for("both to see both", lambda: two.metric("schedrun_trigger_replicas") == 2)
    assert third.stop() == 0
    wait_for("it to be gone", lambda: two.metric("schedrun_trigger_replicas") == 1, 3)

    # Nobody says that he has seen what is asked for: each asks for all.
    assert worker.stop() == 0
    shared.start("four", trigger__grace="30s").wait_ready()
    wait_for("both to see both", lambda: two.metric("schedrun_trigger_replicas") == 2)
    wait_minutes(shared, 1, each=2)
    shared.worker("worker-2").wait_ready()
    shared.wait_drained()
    for i in range(SHARED):
        assert_whole(answered(shared, f"s{i}"))


def test_catch_up_of_all_and_none(lapse):
    lapse.start("trigger-1").wait_ready()
    last = wait_answered(lapse, "minutes", 2)[-1]
    lapse.daemons[-1].kill()
    wait_for("minutes to pass", lambda: lapse.clock.now() // MINUTE >= last + 4)
    lapse.start("trigger-2", trigger__catchup="all").wait_ready()
    found = wait_answered(lapse, "minutes", 7)
    assert_whole(found)
    assert lapse.daemons[-1].metric('schedrun_trigger_fired_total{kind="missed"}') > 0
    lapse.daemons[-1].kill()
    last = settle(lapse)["minutes"][-1]
    wait_for("minutes to pass", lambda: lapse.clock.now() // MINUTE >= last + 4)
    lapse.start("trigger-3", trigger__catchup="none").wait_ready()
    found = wait_answered(lapse, "minutes", len(answered(lapse, "minutes")) + 2)
    assert not {last + 2, last + 3} & set(found)


def test_a_time_in_an_and_fires_with_the_rest_of_it(lapse):
    """Once for what has come since it fired last, by whichever of the two triggers sees it whole."""
    made = catalogue()
    raw = catalogues.dataset("raw")
    versions = made["schedules"][0]["versions"]
    versions.append(versions[0] | {"rid": version_rid("minutes-and"), "trigger": {"type": "and", "triggers": [
        time_trigger("* * * * *"), {"type": "datasetUpdated", "datasetRid": raw, "branchName": "master"}]}})
    lapse.apply(made)
    for n in (1, 2):
        lapse.start(f"trigger-{n}").wait_ready()
    named = lapse.must("schedule", "next", schedule_rid("minutes"), "-n", "1", "-o", "jsonl")
    assert json.loads(named)["note"] == "part of an `and`: fires with it"

    def fired():
        runs = [checker.decode("schedule_run", record.value())
                for record in checker.read_topic(lapse.bootstrap, "schedule-run-results")]
        return [run["requestId"] for run in runs if run["scheduleRid"] == schedule_rid("minutes")]

    wait_answered(lapse, "thirds", 2)  # six minutes: the time alone fires nothing
    assert fired() == []
    for n in (1, 2, 3):
        lapse.must("dataset", "commit", raw, "--branch", "master", "--kafka")
        wait_for(f"run {n}", lambda: len(fired()) == n)
        thirds = len(answered(lapse, "thirds"))
        wait_answered(lapse, "thirds", thirds + 1)  # and the time is satisfied anew
        assert len(fired()) == n
    # Both at once: the commits are the other leaf of one firing, the next instant.
    for _ in range(3):
        lapse.must("dataset", "commit", raw, "--branch", "master", "--kafka")
    wait_for("another run", lambda: len(fired()) >= 4)
    ids = fired()
    assert len(set(ids)) == len(ids)


def test_pause_replace_and_delete(lapse):
    lapse.start("trigger-1").wait_ready()
    wait_answered(lapse, "minutes", 2)
    lapse.must("schedule", "pause", schedule_rid("minutes"))
    paused_at = lapse.clock.now() // MINUTE
    thirds = len(answered(lapse, "thirds"))
    wait_answered(lapse, "thirds", thirds + 2)
    before = settle(lapse)["minutes"]
    assert before[-1] <= paused_at + 1
    lapse.must("schedule", "unpause", schedule_rid("minutes"))
    after = wait_answered(lapse, "minutes", len(before) + 2)[len(before):]
    assert after[0] > before[-1] + 3, "what was due while it was paused is not caught up"
    assert_whole(after)

    changed = catalogue()
    old = changed["schedules"][0]["versions"][0]
    new = copy.deepcopy(old) | {"rid": version_rid("minutes-2"),
                                "trigger": {"type": "or", "triggers": [
                                    time_trigger("1-59/2 * * * *"), time_trigger("5 * * * *")]}}
    changed["schedules"][0]["versions"].append(new)
    lapse.apply(changed)
    odd = wait_answered(lapse, "minutes", 2, version=new["rid"])
    assert all(minute % 2 == 1 for minute in odd)
    olds = answered(lapse, "minutes", version=old["rid"])
    wait_answered(lapse, "minutes", 3, version=new["rid"])
    assert len(answered(lapse, "minutes", version=old["rid"])) <= len(olds) + 1
    assert lapse.daemons[-1].stop() == 0


def test_a_zone_that_is_none_is_said(system):
    system.init(partitions=1)
    made = catalogue()
    made["schedules"][0]["versions"][0]["trigger"] = time_trigger("* * * * *", "Mars/Olympus")
    refused = system.run("apply", "-", stdin=json.dumps(made))
    assert refused.returncode == 4 and "no time zone Mars/Olympus" in refused.stderr
    # Where it was loaded they know more zones than here.
    zones = system.directory / "zones"
    (zones / "Mars").mkdir(parents=True)
    (zones / "Europe").symlink_to("/usr/share/zoneinfo/Europe")
    shutil.copy("/usr/share/zoneinfo/Etc/UTC", zones / "Mars/Olympus")
    path = system.directory / "mars.json"
    path.write_text(json.dumps(made))
    system.must("apply", "--allow-missing", str(path), environment={"TZDIR": str(zones)})
    trigger = system.trigger().wait_ready()
    assert "trigger_unreadable" in trigger.log()
    assert "no time zone Mars/Olympus" in trigger.log()
    assert trigger.metric("schedrun_trigger_schedules") == 1
    done = system.run("schedule", "next", schedule_rid("thirds"), "-n", "2", "-o", "jsonl")
    assert (done.returncode, done.stdout.count("Europe/Berlin")) == (0, 2)
