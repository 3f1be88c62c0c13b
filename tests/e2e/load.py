"""Puts requests on the topic and notes where the broker put each."""

import random
import time
import uuid

from confluent_kafka import Producer

import checker
import injected

TOPIC = "schedule-run-requests"


def request(schedule_rid, request_id=None, **fields):
    datum = {
        "requestId": request_id or str(uuid.uuid4()),
        "runRid": None,
        "scheduleRid": schedule_rid,
        "scheduleVersionRid": None,
        "createdTime": int(time.time() * 1000),
        "createdBy": None,
        "trigger": "test",
    }
    datum.update(fields)
    return datum


class Load:
    """A producer whose acknowledgements become `asked`, a list of Asked."""

    def __init__(self, bootstrap, settings=None, topic=TOPIC):
        self.topic = topic
        self.asked = []
        self.failures = []
        self.producer = Producer({
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1000000,
            **(settings or {}),
        })

    def _note(self, datum, value, key, reason):
        def acknowledged(error, message):
            if error is not None:
                self.failures.append(error)
                return
            self.asked.append(checker.Asked(message.partition(), message.offset(), datum,
                                            value, key, reason))
        return acknowledged

    def send(self, datum, reason=None, **extra):
        """`reason`: it must have a result and be dead-lettered; `extra`: partition."""
        key = datum["scheduleRid"].encode()
        value = checker.encode("run_request", datum)
        self.producer.produce(self.topic, value, key,
                              on_delivery=self._note(datum, value, key, reason), **extra)
        self.producer.poll(0)

    def send_bad(self, value, reason, key=b"bad", headers=None, **extra):
        """Bytes that must end in the dead-letter topic for `reason`; `extra`: partition,
        timestamp."""
        injected.note(f"a bad record, {reason}")
        self.producer.produce(self.topic, value, key, headers=headers or [],
                              on_delivery=self._note(None, value, key, reason), **extra)
        self.producer.poll(0)

    def transaction(self, data, commit=True):
        """Sends in a transaction of its own; the producer's settings name its id.  What
        is aborted is asked by nobody."""
        asked = len(self.asked)
        self.producer.begin_transaction()
        for datum in data:
            self.send(datum)
        self.producer.flush(60)
        if commit:
            self.producer.commit_transaction(60)
        else:
            self.producer.abort_transaction(60)
            del self.asked[asked:]

    def flush(self):
        left = self.producer.flush(60)
        assert left == 0, f"{left} records were not acknowledged"
        assert not self.failures, self.failures[:3]
        return self.asked


def mixed(schedules, n, repeats=0.05, seed=1):
    """`n` requests over `schedules`, a share of them repeating an earlier id."""
    rng = random.Random(seed)
    made = []
    for i in range(n):
        if made and rng.random() < repeats:
            yield dict(rng.choice(made))
            continue
        datum = request(rng.choice(schedules), f"load-{seed}-{i}")
        made.append(datum)
        yield datum
