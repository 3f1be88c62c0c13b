"""Random hostile records against the real broker: whatever comes, good requests in all
partitions are answered within seconds, and nothing is lost, doubled or torn.

`ROUNDS=50 SEED=7 make e2e TESTS=tests/e2e/test_hostile_records.py`"""

import os
import random
import struct
import time

import catalogues
import checker
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


class Round:
    """One round's records: each bad one must be buried, each good one answered."""

    def __init__(self, system, rng, number):
        self.system = system
        self.rng = rng
        self.number = number
        self.asked = []

    def producer(self, **settings):
        rng = self.rng
        return Load(self.system.bootstrap, {
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

    def retain(self):
        """Retention takes what is committed by now; compaction what it likes."""
        committed = checker.committed_offsets(self.system.bootstrap, GROUP, TOPIC)
        places = [TopicPartition(TOPIC, p, offset) for p, offset in committed.items() if offset]
        admin = AdminClient({"bootstrap.servers": self.system.bootstrap, "log_level": 0})
        for future in admin.delete_records(places).values() if places else []:
            future.result(30)

    def play(self):
        rng = self.rng
        kind = rng.choice(["CreateTime", "LogAppendTime"])
        self.system.alter_topic(TOPIC, message__timestamp__type=kind,
                                message__timestamp__after__max__ms=2 ** 63 - 1,
                                message__timestamp__before__max__ms=2 ** 63 - 1)
        load = self.producer()
        self.bad(load, rng.randrange(1, 40))
        upstream, before = self.transactions()
        for datum in self.good(50, "between"):
            load.send(datum)
        self.bad(load, rng.randrange(1, 40))
        if rng.random() < 0.7:
            self.retain()
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
