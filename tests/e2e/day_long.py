"""`make day`: a day of cron in six minutes, by five triggers that are killed, all at once,
too: each instant has exactly one result.

Time passes 240 times as fast: four minutes a second.  SEED=1."""

import collections
import os
import random
import time

import catalogues
import checker
from catalogues import schedule_rid, version_rid
from programs import wait_for

RATE, SEED, TRIGGERS = 240, int(os.environ.get("SEED") or 1), 5
HOURS = 24
CRONS = {"minutes": "* * * * *", "thirds": "*/3 * * * *", "hours": "0 * * * *", "odd-days": "30 1-23/2 * * *"}
EACH = {"minutes": lambda minute: True, "thirds": lambda minute: minute % 3 == 0,
        "hours": lambda minute: minute % 60 == 0, "odd-days": lambda minute: minute % 120 == 90}


def catalogue():
    made = catalogues.many(len(CRONS), name=list(CRONS).__getitem__)
    for schedule, expression in zip(made["schedules"], CRONS.values()):
        schedule["versions"][0]["trigger"] = {"type": "time", "cronExpression": expression, "timeZone": "UTC"}
    return made


class Day:
    def __init__(self, system):
        self.system, self.random = system, random.Random(SEED)
        self.base = int(time.time() * 1000)
        self.starts = 0
        self.program = system.faulty("schedrun-trigger")
        self.running = [self.start() for _ in range(TRIGGERS)]

    def now(self):
        """Minutes since 1970, as the triggers have it."""
        return (self.base + (int(time.time() * 1000) - self.base) * RATE) // 60_000

    def start(self):
        self.starts += 1
        return self.system.trigger(f"trigger-{self.starts}", program=self.program,
                                   environment={"SCHEDRUN_TIME_LAPSE": f"{self.base}:{RATE}"},
                                   trigger__catchup="all", session__timeout__ms=6000)

    def kill(self, n):
        """So many of them, which come back a while later."""
        for i in self.random.sample(range(TRIGGERS), n):
            self.running[i].kill()
        time.sleep(self.random.uniform(0.5, 4))
        for i, trigger in enumerate(self.running):
            if trigger.process.poll() is not None:
                self.running[i] = self.start()


def results(system):
    """schedule -> requestId -> how many results"""
    found = collections.defaultdict(collections.Counter)
    for record in checker.read_topic(system.bootstrap, "schedule-run-results"):
        run = checker.decode("schedule_run", record.value())
        found[run["scheduleRid"]][run["requestId"]] += 1
    return found


def instant(name, minute):
    return checker.uuid5("firing", version_rid(name), time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime(minute * 60)))


def test_a_day_of_five_that_die(fresh_system):
    system = fresh_system
    system.delete_topics()
    system.init(partitions=4)
    system.apply(catalogue())
    system.worker().wait_ready()
    day = Day(system)
    for trigger in day.running:
        trigger.wait_ready()
    first = day.now() + 2
    last = first + HOURS * 60
    kills = 0
    while day.now() < last:
        kills += 1
        day.kill(TRIGGERS if kills % 4 == 0 else day.random.randrange(1, TRIGGERS))
        time.sleep(day.random.uniform(1, 4))
    wait_for("somebody to be ready", lambda: all(trigger.is_ready() for trigger in day.running))
    wait_for("the last instant", lambda: instant("minutes", last) in results(system)[schedule_rid("minutes")], 60, 1)
    system.wait_drained()
    found = results(system)
    print(f"{HOURS} h, {kills} times some or all of {TRIGGERS} were killed, {day.starts} starts, "
          f"{sum(sum(of.values()) for of in found.values())} results")
    for name, is_due in EACH.items():
        ids = {instant(name, minute): minute for minute in range(first, last + 1)}
        seen = found[schedule_rid(name)]
        assert set(seen.values()) == {1}, "an instant had two results"
        due = [minute for minute in ids.values() if is_due(minute)]
        assert [minute for minute in due if instant(name, minute) not in seen] == [], f"{name}: missed"
        assert [minute for request, minute in ids.items() if request in seen and not is_due(minute)] == []
    assert kills > 20
