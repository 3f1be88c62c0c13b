"""Random hostile records against the real broker, in each topic: whatever comes, what is good in
all partitions is answered within seconds, and nothing is lost, doubled or torn.

`ROUNDS=50 SEED=7 make e2e TESTS=tests/e2e/test_hostile_records.py`"""

import json
import os
import random
import struct
import time

import catalogues
import checker
from adapters import Adapter
from catalogues import dataset, schedule_rid, transaction
from checker import encode
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from load import TOPIC, Load, request
from programs import GROUP, wait_for

PARTITIONS = 3
SECONDS = 20  # until good requests must be answered, on a busy machine
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SEED = int(os.environ.get("SEED", random.randrange(2 ** 32)))
SCHEDULES = [catalogues.schedule_rid(f"s{i}") for i in range(40)]
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
DAY_MS = 86400 * 1000


class Hostile:
    """What a record may bring with it, whatever it says."""

    def __init__(self, system, rng, number):
        self.system = system
        self.rng = rng
        self.number = number

    def producer(self, topic=TOPIC, **settings):
        rng = self.rng
        return Load(self.system.bootstrap, topic=topic, settings={
            "compression.type": rng.choice(CODECS),
            "message.max.bytes": 20_000_000,
            "batch.num.messages": rng.choice([1, 2, 50, 10000]),
            "linger.ms": rng.choice([0, 5, 50]),
            **settings})

    def timestamp(self):
        now = int(time.time() * 1000)
        return self.rng.choice([now, 1, 1700000000, now - 400 * DAY_MS, now + 2 * 3600 * 1000,
                                now + 400 * DAY_MS, 2 ** 47])

    def key(self):
        rng = self.rng
        return rng.choice([None, b"", b"k", rng.choice(SCHEDULES).encode(), rng.randbytes(300),
                           b"k" * rng.choice([40_000, 1_200_000])])

    def headers(self):
        rng = self.rng
        name = rng.choice(["h", "traceparent", "schedrun.dlq.reason", "h" * 300, "\u00e9"])
        return rng.choice([[], [(name, None)], [(name, b"")], [(name, rng.randbytes(50))] * 3,
                           [("h", b"")] * rng.choice([1000, 20_000]),
                           [("h", b"x" * 1_500_000)],
                           [("schedrun.dlq.time", b"17"), ("schedrun.dlq.redrives", b"x")]])

    def retain(self, topic, group):
        """Retention takes what is committed by now."""
        committed = checker.committed_offsets(self.system.bootstrap, group, topic)
        places = [TopicPartition(topic, p, offset) for p, offset in committed.items() if offset]
        admin = AdminClient({"bootstrap.servers": self.system.bootstrap, "log_level": 0})
        for future in admin.delete_records(places).values() if places else []:
            future.result(30)

    def stamp(self, topic):
        """By whom its records are stamped from now on, and that any time is taken."""
        self.system.alter_topic(topic, message__timestamp__type=self.rng.choice(["CreateTime", "LogAppendTime"]),
                                message__timestamp__after__max__ms=2 ** 63 - 1,
                                message__timestamp__before__max__ms=2 ** 63 - 1)


class Round(Hostile):
    """One round's requests: each bad one must be buried, each good one answered."""

    def __init__(self, system, rng, number):
        super().__init__(system, rng, number)
        self.asked = []

    def value(self):
        rng = self.rng
        good = encode("run_request", request(rng.choice(SCHEDULES)))
        return rng.choice([
            (None, "empty"), (b"", "empty"), (b"\0\0", "truncated-header"),
            (b"not avro", "bad-magic"), (b"{}", "bad-magic"),
            (b"\0" + struct.pack(">I", 99) + good[5:], "unknown-schema"),
            (good[:rng.randrange(5, len(good))], "malformed"),
            (good + b"\0", "trailing-bytes"),
            (b"x" * rng.choice([65_537, 300_000, 2_500_000]), "too-large")])

    def bad(self, load, n):
        for _ in range(n):
            value, reason = self.value()
            load.send_bad(value, reason, key=self.key(), headers=self.headers(),
                          timestamp=self.timestamp(), partition=self.rng.randrange(PARTITIONS))

    def good(self, n, what):
        return [request(self.rng.choice(SCHEDULES), f"{self.number} {what} {i}")
                for i in range(n)]

    def transactions(self):
        """Some committed, some aborted, of some one is left open."""
        rng = self.rng
        load = self.producer(**{"transactional.id": f"upstream-{self.number}",
                                "transaction.timeout.ms": 60000})
        load.producer.init_transactions(30)
        for i in range(rng.randrange(1, 4)):
            load.transaction(self.good(rng.randrange(1, 20), f"transaction {i}"),
                             commit=rng.random() < 0.6)
        left_open = rng.random() < 0.5
        if left_open:
            load.producer.begin_transaction()
            before = len(load.asked)
            for datum in self.good(5, "open"):
                load.send(datum)
            load.producer.flush(30)
        return load, (before if left_open else None)

    def end_transaction(self, load, before):
        """What is open hides what comes behind it: it ends before the round does."""
        if before is None:
            pass
        elif self.rng.random() < 0.5:
            load.producer.commit_transaction(30)
        else:
            load.producer.abort_transaction(30)
            del load.asked[before:]
        self.asked += load.asked

    def play(self):
        rng = self.rng
        self.stamp(TOPIC)
        load = self.producer()
        self.bad(load, rng.randrange(1, 40))
        upstream, before = self.transactions()
        for datum in self.good(50, "between"):
            load.send(datum)
        self.bad(load, rng.randrange(1, 40))
        if rng.random() < 0.7:
            self.retain(TOPIC, GROUP)
        load.flush()
        self.end_transaction(upstream, before)
        last = Load(self.system.bootstrap)
        for datum in self.good(30, "last"):
            last.send(datum)
        self.asked += load.asked + last.flush()
        self.system.wait_drained(SECONDS)
        return self.asked


def test_hostile_records(system):
    print(f"SEED={SEED} ROUNDS={ROUNDS}")
    rng = random.Random(SEED)
    system.init(partitions=PARTITIONS)
    # What the sender's time makes retention do is not what is tried here.
    system.alter_topic(TOPIC, retention__ms=-1, max__message__bytes=20_000_000)
    system.apply(catalogues.many(len(SCHEDULES)))
    workers = {name: system.worker(name).wait_ready() for name in ("worker-1", "worker-2")}
    asked = []
    for number in range(ROUNDS):
        asked += Round(system, rng, number).play()
        name = rng.choice(list(workers))
        if rng.random() < 0.5:
            assert workers[name].stop() == 0
        else:
            workers[name].kill()
        workers[name] = system.worker(name).wait_ready()
        wait_for("both to have partitions", lambda: all(
            w.metric("schedrun_assigned_partitions") for w in workers.values()))
    verdict = system.judge(asked)
    assert verdict.dead == sum(1 for a in asked if a.reason)


EVENTS, BUILDS, RESULTS = "schedule-events", "schedule-builds", "schedule-run-results"
GROUPS = {EVENTS: "schedrun-trigger", BUILDS: "schedrun-builder", RESULTS: "schedrun-http"}
CHAINS = [f"chain{i}" for i in range(6)]


def chains():
    """Schedules that wait for data of their own each, and one dataset that nobody waits for."""
    made = catalogues.many(len(CHAINS), name=CHAINS.__getitem__)
    made["datasets"][dataset("noise")] = catalogues.stored("noise-1")
    for spec, schedule, name in zip(made["jobSpecs"], made["schedules"], CHAINS):
        made["datasets"][dataset(f"raw-{name}")] = catalogues.stored(f"{name}-1")
        spec["inputs"] = [dataset(f"raw-{name}")]
        schedule["versions"][0]["trigger"] = {
            "type": "datasetUpdated", "datasetRid": dataset(f"raw-{name}"), "branchName": "master"}
    return made


class Chain(Hostile):
    """One round in the topics that trigger, builder and adapter read."""

    def bytes_of(self, topic):
        """Of a record that is none, whatever it looks like."""
        rng = self.rng
        good = encode("build_finished", {
            "buildRid": "ri.foundry.main.build.0ab754f8-317e-5946-8082-318e870bb21a", "state": "FAILED",
            "time": 1, "transactions": {}}) if topic == EVENTS else encode("run_request", request(SCHEDULES[0]))
        return rng.choice([None, b"", b"\0\0", b"not avro", b"{}", b"\0" + struct.pack(">I", 99) + good[5:],
                           good[:rng.randrange(5, len(good))], good + b"\0",
                           b"x" * rng.choice([65_537, 300_000, 2_500_000]), rng.randbytes(rng.randrange(1, 200))])

    def bad(self, load, n):
        for _ in range(n):
            load.send_bad(self.bytes_of(load.topic), "bad", key=self.key(), headers=self.headers(),
                          timestamp=self.timestamp(), partition=self.rng.randrange(2))

    def commit(self, name, load, partition):
        load.producer.produce(EVENTS, encode("dataset_committed", {
            "datasetRid": dataset(name), "branch": "master", "parent": None,
            "transactionRid": transaction(f"{name}-{self.number}-{self.rng.random()}"),
            "time": int(time.time() * 1000)}), dataset(name).encode(), partition)

    def transactions(self, topic):
        """Some committed, some aborted, and one that is open until this is called again."""
        load = self.producer(topic, **{"transactional.id": f"{topic}-{self.number}"})
        load.producer.init_transactions(30)
        for ends in ("commit", "abort", None):
            load.producer.begin_transaction()
            before = len(load.asked)
            self.bad(load, self.rng.randrange(1, 8))
            if topic == EVENTS:
                self.commit("noise", load, self.rng.randrange(2))
            load.producer.flush(30)
            if ends is None:
                yield load
            if ends == "commit" or (ends is None and self.rng.random() < 0.5):
                load.producer.commit_transaction(30)
            else:
                load.producer.abort_transaction(30)
                del load.asked[before:]
        yield load

    def play(self, adapter):
        """Returns how many records of the events are to be buried."""
        heads = self.heads()
        loads, open_ones = [], []
        for topic, group in GROUPS.items():
            self.stamp(topic)
            loads.append(self.producer(topic))
            self.bad(loads[-1], self.rng.randrange(1, 20))
            open_ones.append(self.transactions(topic))
            next(open_ones[-1])
            self.bad(loads[-1], self.rng.randrange(1, 20))
            loads[-1].flush()
            if self.rng.random() < 0.7:
                self.retain(topic, group)
        loads += [next(ended) for ended in open_ones]
        good = Load(self.system.bootstrap, topic=EVENTS)
        for i, name in enumerate(CHAINS):
            self.commit(f"raw-{name}", good, i % 2)
        good.flush()
        wait_for("each chain to be built anew", lambda: all(
            now != before for now, before in zip(self.heads(), heads)), 2 * SECONDS)
        for name in CHAINS:
            answer = adapter.run(schedule_rid(name), Prefer=f"wait={SECONDS}").json()
            assert answer["result"]["type"] == "ignored", answer
        return sum(len(load.asked) for load in loads if load.topic == EVENTS)

    def heads(self):
        stored = self.system.cluster.redis().hmget("schedrun:h", [dataset(f"d-{name}") for name in CHAINS])
        return [json.loads(branches)["master"] for branches in stored]


def test_hostile_records_in_what_others_read(system):
    """Events, builds and results: what is told leads to runs, builds and answers all the same."""
    print(f"SEED={SEED} ROUNDS={ROUNDS}")
    rng = random.Random(SEED)
    system.init(partitions=2)
    for topic in (*GROUPS, TOPIC + ".dlq"):
        system.alter_topic(topic, retention__ms=-1, max__message__bytes=20_000_000)
    system.apply(chains())
    adapter = Adapter(system)
    starts = {"trigger": system.trigger, "builder": lambda: system.builder("/bin/true"), "worker": system.worker}
    daemons = {name: start().wait_ready() for name, start in starts.items()}
    buried = 0
    for number in range(ROUNDS):
        buried += Chain(system, rng, number).play(adapter)
        name = rng.choice(list(starts))
        daemons[name].kill()
        daemons[name] = starts[name]().wait_ready()
    letters = [json.loads(line) for line in system.must("dlq", "list", "--limit", "100000").splitlines()]
    assert sum(letter["topic"] == EVENTS for letter in letters) == buried
    assert {letter["topic"] for letter in letters} == {EVENTS}
    for daemon in (*daemons.values(), adapter.daemon):
        assert daemon.is_ready(), daemon.blamed()
