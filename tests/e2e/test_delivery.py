"""Delivery under crashes: nothing lost, nothing doubled."""

import json
import random
import time

import catalogues
import checker
import injected
from campaign import Stream
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from load import TOPIC, Load, mixed, request
from programs import GROUP, wait_for

SCHEDULES = [catalogues.schedule_rid(f"s{i}") for i in range(200)]
SMALL_BATCHES = {"worker__batch__max__records": "500"}


def transactional(system, name="upstream", **settings):
    """A load as of Kafka Streams, Flink or Connect."""
    load = Load(system.bootstrap, {"transactional.id": name, **settings})
    load.producer.init_transactions(20)
    return load


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
        wait_for("worker-2 to have partitions or to be killed", lambda: victim.process.poll() is not None
                 or (victim.metric("schedrun_assigned_partitions") or 0) > 0)
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
    injected.note("FLUSHALL")
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
    injected.note("FLUSHALL")
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
    load = transactional(system)
    load.transaction([request(SCHEDULES[0], "in a transaction")])
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
    worker.wait_metric("schedrun_claim_repairs_total", 1)
    system.judge(asked)


def lag_rows(system):
    """`schedrun lag`: the partitions' rows, and what it says to people."""
    done = system.run("-o", "jsonl", "lag")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()][:-1], done.stderr


def delete_all_records(system, topic):
    """What retention does once it is time."""
    admin = AdminClient({"bootstrap.servers": system.bootstrap, "log_level": 0})
    places = [TopicPartition(topic, p, -1)
              for p in checker.log_ends(system.bootstrap, topic)]
    for future in admin.delete_records(places).values():
        future.result(30)


def test_markers_of_transactions_are_no_lag_and_no_loss(system):
    """Each transaction leaves a marker where no record stands, an aborted one records
    that nobody reads: neither waits for anybody, nor is lost when retention takes it."""
    system.init(partitions=2)
    system.apply(catalogues.many(len(SCHEDULES)))
    first = system.worker("worker-1").wait_ready()
    load = transactional(system)
    load.transaction([request(schedule, "in a transaction") for schedule in SCHEDULES[:20]])
    system.wait_drained(10)
    load.transaction([request(schedule, "aborted") for schedule in SCHEDULES[:20]], commit=False)
    system.wait_drained(10)
    load.transaction([request(SCHEDULES[0], "the last")])
    asked = load.flush()
    system.wait_drained(10)
    begun = time.monotonic()
    rows, _ = lag_rows(system)
    assert time.monotonic() - begun < 5
    assert [row["lag"] for row in rows] == [0, 0]
    for partition in range(2):
        series = f'schedrun_consumer_lag_records{{topic="{load.topic}",partition="{partition}"}}'
        wait_for("no lag", lambda: first.metric(series) == 0, 10)
    system.judge(asked)
    delete_all_records(system, load.topic)
    second = system.worker("worker-2").wait_ready()
    wait_for("the second to have a partition",
             lambda: second.metric("schedrun_assigned_partitions") == 1)
    more = Load(system.bootstrap)
    for schedule in SCHEDULES[:20]:
        more.send(request(schedule, "after retention"))
    more.flush()
    system.wait_drained(20)
    system.judge(asked + more.asked)
    assert first.stop() == 0 and second.stop() == 0


def test_markers_are_no_lag_while_no_worker_runs(system):
    system.init(partitions=1)
    system.apply(catalogues.many(len(SCHEDULES)))
    worker = system.worker("worker-1").wait_ready()
    load = transactional(system)
    load.transaction([request(SCHEDULES[0], "answered")])
    asked = load.flush()
    system.wait_drained(10)
    assert worker.stop() == 0
    load.transaction([request(SCHEDULES[0], "aborted")], commit=False)
    begun = time.monotonic()
    rows, _ = lag_rows(system)
    assert time.monotonic() - begun < 5
    assert [row["lag"] for row in rows] == [0]
    system.worker("worker-2").wait_ready()
    system.wait_drained(10)
    system.judge(asked)


def test_an_open_transaction_is_named(system):
    """It holds whatever comes behind it: said by lag, check and readyz, counted as lag."""
    system.init(partitions=1)
    system.apply(catalogues.many(len(SCHEDULES)))
    worker = system.worker("worker-1").wait_ready()
    before = Load(system.bootstrap)
    before.send(request(SCHEDULES[1], "before"))
    before.flush()
    system.wait_drained()
    upstream = transactional(system, **{"transaction.timeout.ms": 600000})
    upstream.producer.begin_transaction()
    upstream.send(request(SCHEDULES[0], "held"))
    upstream.producer.flush(20)
    others = ["schedule-events", "schedule-builds"]  # who reads them waits as well
    hanging = transactional(system, "hanging", **{"transaction.timeout.ms": 600000})
    hanging.producer.begin_transaction()
    for topic in others:
        hanging.producer.produce(topic, b"x", partition=0)
    hanging.producer.flush(20)
    behind = Load(system.bootstrap)
    for i in range(100):
        behind.send(request(SCHEDULES[0], f"behind {i}"))
    behind.flush()
    says = "an open transaction holds partition 0 from offset 1"
    rows, said = lag_rows(system)
    assert rows[0]["lag"] == 101 and rows[0]["heldAt"] == 1 and rows[0]["oldestAgeMs"] is not None
    assert says in said
    wait_for("readyz to name it", lambda: says in worker.admin("/readyz")[1], 20)
    assert worker.is_ready()
    assert worker.metric(
        f'schedrun_consumer_lag_records{{topic="{TOPIC}",partition="0"}}') == 101

    def told():
        rows = map(json.loads, system.run("check").stdout.splitlines())
        return [row for row in rows if row["what"] == "open transactions"]
    rows = wait_for("check to tell of each", lambda: (rows := told()) and len(rows) > len(others) and rows)
    for topic in others + [TOPIC]:
        (row,) = [r for r in rows if f"of {topic}," in r["detail"]]
        assert row["state"] == "note" and "nothing behind it is read" in row["detail"]
        assert f"abort --topic {topic} --partition 0 --start-offset" in row["mend"]
        rows.remove(row)
    assert rows == [] and says in row["detail"]
    hanging.producer.abort_transaction(20)
    upstream.producer.commit_transaction(20)
    asked = before.asked + upstream.flush() + behind.asked
    system.wait_drained(20)
    system.judge(asked)
    wait_for("readyz to be silent", lambda: says not in worker.admin("/readyz")[1], 20)
