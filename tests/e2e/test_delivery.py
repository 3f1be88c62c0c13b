"""Delivery under crashes: nothing lost, nothing doubled."""

import random

import catalogues
import checker
from campaign import Stream
from confluent_kafka import Consumer, TopicPartition
from load import Load, mixed, request
from programs import GROUP, wait_for

SCHEDULES = [catalogues.schedule_rid(f"s{i}") for i in range(200)]
SMALL_BATCHES = {"worker__batch__max__records": "500"}


def results_so_far(system):
    return sum(high for _, high in
               checker.log_ends(system.bootstrap, "schedule-run-results").values())


def test_three_kills_in_mid_batch(system):
    """20,000 requests, 5 % of them repeats, through two workers, one of which is
    killed three times while it has an open transaction."""
    system.init()
    system.apply(catalogues.many(len(SCHEDULES)))
    steady = system.worker("worker-1", **SMALL_BATCHES).wait_ready()
    load = Load(system.bootstrap)
    requests = list(mixed(SCHEDULES, 20000))
    parts = [requests[:5000], requests[5000:10000], requests[10000:15000], requests[15000:]]
    steps = ["A3:2", "B2:2", "B4:2"]
    for step, part in zip(steps, parts):
        victim = system.worker("worker-2", program=system.faulty("schedrun-worker"),
                               environment={"SCHEDRUN_CRASH_AT": step}, **SMALL_BATCHES)
        # What the victim before left undone may be enough to kill this one.
        wait_for("worker-2 to work or to be killed",
                 lambda: victim.process.poll() is not None or victim.is_ready())
        for datum in part:
            load.send(datum)
        load.flush()
        assert victim.wait(60) == -9, f"worker-2 was not killed at {step}:\n{victim.tail()}"
    for datum in parts[-1]:
        load.send(datum)
    asked = load.flush()
    system.wait_drained()
    verdict = system.judge(asked)
    distinct = {(a.datum["scheduleRid"], a.datum["requestId"]) for a in asked}
    assert verdict.results == len(distinct) < len(asked) == 20000
    assert verdict.outcomes["submitted"] > 0 and verdict.outcomes["ignored"] > 0
    assert steady.stop() == 0


def test_kills_at_random_moments(system):
    system.init()
    system.apply(catalogues.many(len(SCHEDULES)))
    rng = random.Random(7)
    load = Load(system.bootstrap)
    system.worker("worker-1", **SMALL_BATCHES).wait_ready()
    victim = system.worker("worker-2", **SMALL_BATCHES).wait_ready()
    requests = mixed(SCHEDULES, 20000, seed=2)
    for kill in range(3):
        for _ in range(5000):
            load.send(next(requests))
        load.flush()
        enough = results_so_far(system) + rng.randrange(100, 2000)
        wait_for("results", lambda: results_so_far(system) >= enough
                 or checker.lag(system.bootstrap, "schedrun-worker", load.topic) == 0)
        victim.kill()
        victim = system.worker("worker-2", **SMALL_BATCHES).wait_ready()
    for datum in requests:
        load.send(datum)
    asked = load.flush()
    system.wait_drained()
    system.judge(asked)


def test_flushall_while_a_batch_is_planned(system):
    """What an emptied Redis lacks in the midst of a plan is not taken for missing,
    nor remembered when the same generation is loaded again."""
    system.init(partitions=1)
    system.apply(catalogues.outcomes())
    worker = system.worker(program=system.faulty("schedrun-worker"),
                           environment={"SCHEDRUN_SLOW_PLAN": "1500"}).wait_ready()
    load = Load(system.bootstrap)
    load.send(request(catalogues.schedule_rid("stale"), "planned in a flush"))
    load.flush()
    redis = system.cluster.redis()
    wait_for("the claim", lambda: redis.keys("schedrun:c:*"), pause=0.01)
    redis.flushall()
    wait_for("the worker to be not ready", lambda: not worker.is_ready())
    system.init(partitions=1)
    system.apply(catalogues.outcomes())
    asked = load.flush()
    system.wait_drained()
    assert system.judge(asked).outcomes == {"submitted": 1}


def test_flushall_under_load(system):
    """Redis loses everything: not ready until `init` and `apply`, then repaired."""
    system.init()
    catalogue = catalogues.many(len(SCHEDULES))
    system.apply(catalogue)
    worker = system.worker(**SMALL_BATCHES).wait_ready()
    load = Load(system.bootstrap)
    requests = list(mixed(SCHEDULES, 20000, seed=3))
    for datum in requests[:10000]:
        load.send(datum)
    load.flush()
    wait_for("some results", lambda: results_so_far(system) > 1000)
    system.cluster.redis().flushall()
    for datum in requests[10000:15000]:
        load.send(datum)
    load.flush()
    wait_for("the worker to be not ready", lambda: not worker.is_ready())
    answered = results_so_far(system)
    system.init()
    system.apply(catalogue)
    worker.wait_ready()
    for datum in requests[15000:]:
        load.send(datum)
    # Repeats of what was answered before the flush: only a repair knows them.
    for datum in requests[:2000]:
        load.send(datum)
    asked = load.flush()
    system.wait_drained()
    verdict = system.judge(asked)
    assert verdict.results > answered
    assert verdict.outcomes["error"] == 0, "an empty Redis was taken for a missing schedule"
    assert worker.metric("schedrun_claim_repairs_total") >= 1


def test_a_repair_up_to_the_mark_of_a_transaction(system):
    """The group's offset was set behind a mark that ends a producer's transaction,
    where no record stands.  A repair must end there although more records come."""
    system.init(partitions=1)
    system.apply(catalogues.many(len(SCHEDULES)))
    load = Load(system.bootstrap, {"transactional.id": "upstream"})
    load.producer.init_transactions(20)
    load.producer.begin_transaction()
    load.send(request(SCHEDULES[0], "in a transaction"))
    load.producer.commit_transaction(20)
    asked = list(load.flush())
    worker = system.worker("worker-1").wait_ready()
    wait_for("its result", lambda: results_so_far(system) > 0)
    assert worker.stop() == 0
    end = checker.log_ends(system.bootstrap, load.topic)[0][1]
    group = Consumer({"bootstrap.servers": system.bootstrap, "group.id": GROUP})
    group.commit(offsets=[TopicPartition(load.topic, 0, end)], asynchronous=False)
    group.close()
    system.cluster.redis().delete("schedrun:m:schedule-run-requests:0")
    stream = Stream(system.bootstrap, SCHEDULES)
    try:
        worker = system.worker("worker-2").wait_ready()
        wait_for("results", lambda: results_so_far(system) > 100, 20)
    finally:
        asked += stream.stop()
    system.wait_drained()
    assert worker.metric("schedrun_claim_repairs_total") == 1
    system.judge(asked)
