"""Random hostile records against the real broker, in each topic: whatever comes, what is good in
all partitions is answered within seconds, and nothing is lost, doubled or torn.  Meanwhile
retention or compaction takes what is committed, in turns; that it does is seen by a client.

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
from confluent_kafka import Consumer, TopicPartition
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
SEGMENT = 1_048_576  # bytes; the least that Kafka takes
WITNESS = b"w" * (SEGMENT * 6 // 10)  # of two batches of it the second begins a segment


class Hostile:
    """What a record may bring with it, whatever it says."""

    def __init__(self, system, rng, number):
        self.system = system
        self.rng = rng
        self.number = number
        self.is_compacted = (number + SEED) % 2 == 0  # else retention takes its turn
        self.witnesses = []  # (topic, partition, offset) of records that must go

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
        none = [] if self.is_compacted else [None]  # such a topic refuses it
        return rng.choice([*none, b"", b"k", rng.choice(SCHEDULES).encode(), rng.randbytes(300),
                           b"k" * rng.choice([40_000, 1_200_000])])

    def headers(self):
        rng = self.rng
        name = rng.choice(["h", "traceparent", "schedrun.dlq.reason", "h" * 300, "\u00e9"])
        return rng.choice([[], [(name, None)], [(name, b"")], [(name, rng.randbytes(50))] * 3,
                           [("h", b"")] * rng.choice([1000, 20_000]),
                           [("h", b"x" * 1_500_000)],
                           [("schedrun.dlq.time", b"17"), ("schedrun.dlq.redrives", b"x")]])

    def retain(self, topic, read):
        """Retention takes what everybody has read by now: `read` has the places by partition."""
        places = [TopicPartition(topic, p, offset) for p, offset in read.items() if offset]
        admin = AdminClient({"bootstrap.servers": self.system.bootstrap, "log_level": 0})
        for place, future in admin.delete_records(places).items() if places else []:
            future.result(30)
            self.witnesses.append((topic, place.partition, place.offset - 1))

    def close_segments(self, topic, partitions):
        """All that is there by now, and a record which the next one of its key makes void: in
        segments that compaction takes.  Returns what was sent."""
        self.system.alter_topic(topic, segment__bytes=SEGMENT)
        load = Load(self.system.bootstrap, topic=topic, settings={"message.max.bytes": 20_000_000})
        for p in partitions:
            for _ in range(4):
                load.send_bad(WITNESS, "too-large", key=b"witness", partition=p)
                load.flush()  # a batch of its own
        for p in partitions:
            self.witnesses.append((topic, p, min(a.offset for a in load.asked if a.partition == p)))
        self.system.alter_topic(topic, segment__bytes=2 ** 30, segment__ms=2 ** 63 - 1)
        return load

    def compact(self, topic):
        """From now on; who is ahead of it has read what is in closed segments."""
        self.system.alter_topic(topic, cleanup__policy="compact", min__cleanable__dirty__ratio="0.0")

    def holds(self, topic, partition, offset):
        """Whether the log has it, as a client sees."""
        consumer = Consumer({"bootstrap.servers": self.system.bootstrap, "group.id": "witness", "log_level": 0,
                             "isolation.level": "read_uncommitted", "auto.offset.reset": "earliest"})
        try:
            if consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)[0] > offset:
                return False
            consumer.assign([TopicPartition(topic, partition, offset)])
            message = consumer.poll(30)
            assert message is not None and not message.error(), message and message.error()
            return message.offset() == offset
        finally:
            consumer.close()

    def wait_cleaned(self):
        """Retention and compaction have been at it, or the round has shown nothing."""
        assert self.witnesses
        for witness in self.witnesses:
            wait_for(f"{witness} to go", lambda: not self.holds(*witness), SECONDS)

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
        if self.is_compacted:
            self.asked += self.close_segments(TOPIC, range(PARTITIONS)).asked
            self.system.wait_drained(SECONDS)
            self.compact(TOPIC)
        load = self.producer()
        self.bad(load, rng.randrange(1, 40))
        upstream, before = self.transactions()
        for datum in self.good(50, "between"):
            load.send(datum)
        self.bad(load, rng.randrange(1, 40))
        if not self.is_compacted:
            self.retain(TOPIC, checker.committed_offsets(self.system.bootstrap, GROUP, TOPIC))
        load.flush()
        self.end_transaction(upstream, before)
        last = Load(self.system.bootstrap)
        for datum in self.good(30, "last"):
            last.send(datum)
        self.asked += load.asked + last.flush()
        self.system.wait_drained(SECONDS)
        self.wait_cleaned()
        self.system.alter_topic(TOPIC, cleanup__policy="delete")
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
GROUPS = {EVENTS: "schedrun-trigger", BUILDS: "schedrun-builder"}
FOLDED = (BUILDS, RESULTS)  # whose places are the view's
TOPICS = (EVENTS, BUILDS, RESULTS)
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

    def read(self, topic):
        """Partition -> up to where all who read the topic have."""
        read = {}
        if topic in GROUPS:
            read = checker.committed_offsets(self.system.bootstrap, GROUPS[topic], topic)
        for p in range(2) if topic in FOLDED else ():
            folded = int(self.system.cluster.redis().get(f"schedrun:f:{topic}:{p}") or 0)
            read[p] = min(read.get(p, folded), folded)
        return read

    def is_read(self, topic):
        read = self.read(topic)
        return all(read.get(p, 0) >= end for p, (_, end) in checker.log_ends(self.system.bootstrap, topic).items())

    def play(self, adapter):
        """Returns how many records of the events are to be buried."""
        heads = self.heads()
        loads, open_ones = [], []
        for topic in TOPICS if self.is_compacted else ():
            loads.append(self.close_segments(topic, range(2)))
            wait_for(f"{topic} to be read", lambda: self.is_read(topic), SECONDS)
            self.compact(topic)
        for topic in TOPICS:
            self.stamp(topic)
            loads.append(self.producer(topic))
            self.bad(loads[-1], self.rng.randrange(1, 20))
            open_ones.append(self.transactions(topic))
            next(open_ones[-1])
            self.bad(loads[-1], self.rng.randrange(1, 20))
            loads[-1].flush()
            if not self.is_compacted:
                self.retain(topic, self.read(topic))
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
        self.wait_cleaned()
        for topic in TOPICS:
            self.system.alter_topic(topic, cleanup__policy="delete")
        return sum(len(load.asked) for load in loads if load.topic == EVENTS)

    def heads(self):
        stored = self.system.cluster.redis().hmget("schedrun:h", [dataset(f"d-{name}") for name in CHAINS])
        return [json.loads(branches)["master"] for branches in stored]


def test_hostile_records_in_what_others_read(system):
    """Events, builds and results: what is told leads to runs, builds and answers all the same."""
    print(f"SEED={SEED} ROUNDS={ROUNDS}")
    rng = random.Random(SEED)
    system.init(partitions=2)
    for topic in (*TOPICS, TOPIC + ".dlq"):
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
