"""Workers that lose their membership must not write for partitions that others have."""

import time

import catalogues
from confluent_kafka import Consumer
from load import TOPIC, Load, mixed, request
from programs import GROUP, stand_still, wait_for

SCHEDULE = catalogues.schedule_rid("stale")


def test_a_batch_that_is_cut_after_the_membership_was_lost(system):
    """The worker hangs between its poll and the cut until the group has given its
    partition away.  A generation that is asked for then is none, and Kafka takes
    offsets without a generation from anybody."""
    system.init(partitions=1)
    system.apply(catalogues.outcomes())
    hurried = {"session.timeout.ms": 6000, "max.poll.interval.ms": 6000}
    slow = system.worker("worker-1", program=system.faulty("schedrun-worker"),
                         environment={"SCHEDRUN_SLOW_CUT": "10000"}, **hurried).wait_ready()
    load = Load(system.bootstrap)
    load.send(request(SCHEDULE, "cut too late"))
    asked = load.flush()
    system.worker("worker-2", **hurried)
    wait_for("the slow worker to give the batch up",
             lambda: "the membership under which" in slow.log(), 30)
    system.wait_drained()
    system.judge(asked)


def test_a_zombie_that_comes_back(system):
    """Stopped in the midst of its work for longer than its session, it finds that
    others have its partitions; it neither writes for them nor ends."""
    schedules = [catalogues.schedule_rid(f"s{i}") for i in range(40)]
    system.init()
    system.apply(catalogues.many(len(schedules)))
    small = {"worker__batch__max__records": "200", "session.timeout.ms": 6000}
    zombie = system.worker("worker-1", **small).wait_ready()
    system.worker("worker-2", **small).wait_ready()
    load = Load(system.bootstrap)
    requests = mixed(schedules, 12000, seed=8)
    for _ in range(8000):
        load.send(next(requests))
    wait_for("work", lambda: zombie.metric('schedrun_transactions_total{result="committed"}'))
    with stand_still(zombie.process):
        time.sleep(17)  # also longer than the watchdog allows any call
    for datum in requests:
        load.send(datum)
    asked = load.flush()
    wait_for("the zombie to be in its group again",
             lambda: "lost=1" in zombie.log()
             and zombie.log().rfind("partitions_assigned") > zombie.log().rfind("lost=1"), 10)
    system.wait_drained()
    system.judge(asked)
    assert zombie.stop() == 0


def lag_series(worker):
    """Of which partitions it tells the lag."""
    return {p for p in range(4) if worker.metric(
        f'schedrun_consumer_lag_records{{topic="{TOPIC}",partition="{p}"}}') == 0}


def test_lag_is_told_of_each_partition_that_one_has(system):
    """Also of those that went to another worker, and came back."""
    system.init(partitions=4)
    system.apply(catalogues.outcomes())
    first = system.worker("worker-1").wait_ready()
    wait_for("a series for each", lambda: lag_series(first) == {0, 1, 2, 3})
    second = system.worker("worker-2").wait_ready()
    wait_for("each to tell of its own", lambda: (
        len(lag_series(first)) == 2 and lag_series(first) | lag_series(second) == {0, 1, 2, 3}))
    assert second.stop() == 0
    wait_for("a series for each again", lambda: lag_series(first) == {0, 1, 2, 3})
    assert first.metric("schedrun_assigned_partitions") == 4


def test_a_partition_that_was_away_while_reading_was_paused(system):
    """librdkafka keeps a partition paused although it was assigned anew."""
    system.init(partitions=2)
    system.apply(catalogues.outcomes())
    worker = system.worker().wait_ready()
    system.cluster.stop_redis()
    wait_for("the worker to pause", lambda: not worker.is_ready())
    other = Consumer({"bootstrap.servers": system.bootstrap, "group.id": GROUP,
                      "client.id": "a", "partition.assignment.strategy": "range",
                      "enable.auto.commit": False})
    try:
        other.subscribe([TOPIC])
        wait_for("the other to have a partition",
                 lambda: other.poll(0.1) is None and len(other.assignment()) == 1)
        system.cluster.start_redis()
        worker.wait_ready()
    finally:
        other.close()
    wait_for("the worker to have both again",
             lambda: worker.metric("schedrun_assigned_partitions") == 2)
    load = Load(system.bootstrap)
    for i in range(50):
        load.send(request(catalogues.schedule_rid(("stale", "fresh")[i % 2]), f"later-{i}"))
    asked = load.flush()
    assert len({a.partition for a in asked}) == 2
    system.wait_drained(30)
    system.judge(asked)
