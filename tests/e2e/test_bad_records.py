"""Bad records end in the dead-letter topic, byte by byte; the worker goes on."""

import json
import struct
import time
import uuid

import catalogues
import checker
from checker import encode
from load import TOPIC, Load, request

SCHEDULE = catalogues.schedule_rid("stale")


def frame(body, schema_id=1):
    return struct.pack(">bI", 0, schema_id) + body


def string(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return zigzag(len(raw)) + raw


def zigzag(n):
    n = (n << 1) ^ (n >> 63)
    out = bytearray()
    while True:
        if n < 0x80:
            return bytes(out + bytes([n]))
        out.append(n & 0x7F | 0x80)
        n >>= 7


def body(request_id="bad", schedule=SCHEDULE, created=1700000000000, before=b"\0", pin=b"\0",
         by=b"\0", trigger=b"\0"):
    """A RunRequest by hand, so that any field can be wrong."""
    return (string(request_id) + before + string(schedule) + pin + zigzag(created) + by + trigger)


def some(text):
    return b"\x02" + string(text)


VALID = encode("run_request", request(SCHEDULE, "whole"))

ROWS = [
    (None, "empty"),
    (b"", "empty"),
    (frame(body(trigger=some("x" * 70000))), "too-large"),
    (b"\0", "truncated-header"),
    (b"\0\0\0\0", "truncated-header"),
    (b'{"requestId":"r"}', "bad-magic"),
    (frame(body(), 99), "unknown-schema"),
    (frame(body(), 2), "wrong-schema"),
    (VALID + b"\0", "trailing-bytes"),
    (VALID + b"\0" * 1000, "trailing-bytes"),
    (frame(zigzag(-1)), "malformed"),
    (frame(zigzag(-2 ** 63)), "malformed"),
    (frame(zigzag(2 ** 31)), "malformed"),
    (frame(zigzag(2 ** 62)), "malformed"),
    (frame(b"\xff" * 11), "malformed"),
    (frame(body(before=zigzag(-1))), "malformed"),
    (frame(body(before=zigzag(2))), "malformed"),
    (frame(body(before=zigzag(2 ** 40))), "malformed"),
    (frame(body(request_id=b"\xff\xfe")), "invalid-field"),
    (frame(body(request_id=b"\xc0\xaf")), "invalid-field"),
    (frame(body(request_id=b"\xed\xa0\x80")), "invalid-field"),
    (frame(body(request_id=b"a\0b")), "invalid-field"),
    (frame(body(request_id="")), "invalid-field"),
    (frame(body(request_id="r" * 201)), "invalid-field"),
    (frame(body(request_id="a\nb")), "invalid-field"),
    (frame(body(schedule="ri.scheduler.main.run.x")), "invalid-field"),
    (frame(body(schedule="not a rid")), "invalid-field"),
    (frame(body(schedule="ri.scheduler.main.schedule." + "x" * 200)), "invalid-field"),
    (frame(body(schedule="ri.scheduler.main.schedule." + str(uuid.uuid4()).upper())),
     "invalid-field"),
    (frame(body(created=-1)), "invalid-field"),
    (frame(body(created=253402300800000)), "invalid-field"),
    (frame(body(created=2 ** 63 - 1)), "invalid-field"),
    (frame(body(created=1700000000)), "invalid-field"),
    (frame(body(created=int(time.time() * 1000) + 25 * 3600 * 1000)), "invalid-field"),
    (frame(body(by=some("somebody"))), "invalid-field"),
    (frame(body(pin=some("ri.scheduler.main.schedule.x"))), "invalid-field"),
    (frame(body(before=some("ri.scheduler.main.run." + str(uuid.uuid4())))), "invalid-field"),
] + [(VALID[:cut], "malformed") for cut in range(5, len(VALID))]


def test_every_kind_of_bad_record(system):
    """Each bad record between two good ones of the same partition."""
    system.init(partitions=1)
    system.apply(catalogues.outcomes())
    worker = system.worker().wait_ready()
    load = Load(system.bootstrap)
    for i, (value, reason) in enumerate(ROWS):
        load.send(request(SCHEDULE, f"good-{i}"))
        load.send_bad(value, reason, key=b"some key",
                      headers=[("x-kept", b"\0\xff"), ("traceparent", b"nonsense")])
    load.send(request(SCHEDULE, "the last"))
    asked = load.flush()
    system.wait_drained()
    verdict = system.judge(asked)
    assert verdict.dead == len(ROWS) and verdict.results == len(ROWS) + 1
    for reason in {reason for _, reason in ROWS}:
        count = sum(1 for _, other in ROWS if other == reason)
        worker.wait_metric(f'schedrun_dead_letters_total{{reason="{reason}"}}', count)
    for letter in checker.read_topic(system.bootstrap, "schedule-run-requests.dlq"):
        names = [name for name, _ in letter.headers()]
        assert names[:2] == ["x-kept", "traceparent"]
        assert letter.headers()[0][1] == b"\0\xff"
        headers = dict(letter.headers())
        assert headers["__connect.errors.topic"] == b"schedule-run-requests"
        assert headers["__connect.errors.exception.class.name"] == headers["schedrun.dlq.reason"]
        assert headers["__connect.errors.stage"] in (b"VALUE_CONVERTER", b"TASK_PUT")
        assert 0 < len(headers["__connect.errors.exception.message"]) <= 200
        assert headers["schedrun.dlq.time"]
        assert "schedrun.dlq.truncated" not in headers


def test_another_payload_under_the_same_id(system):
    system.init()
    system.apply(catalogues.outcomes())
    system.worker().wait_ready()
    load = Load(system.bootstrap)
    load.send(request(SCHEDULE, "same"))
    load.flush()
    other = request(SCHEDULE, "same", createdBy=catalogues.OWNER)
    load.send_bad(encode("run_request", other), "idempotency-conflict", key=SCHEDULE.encode())
    asked = load.flush()
    system.wait_drained()
    verdict = system.judge(asked)
    assert verdict.results == 1 and verdict.dead == 1


ID_1 = [("__value_schema_id", b"\0\0\0\0\1")]
GUID = [("__value_schema_id", b"\1" + uuid.uuid4().bytes)]


def test_reasons_say_what_a_record_looks_like(system):
    system.init(partitions=1)
    system.apply(catalogues.outcomes())
    worker = system.worker().wait_ready()
    load = Load(system.bootstrap)
    rows = [  # value, headers, reason (None: it is answered), what the message says
        (VALID[5:], ID_1, None, None),
        (VALID[5:], GUID, "bad-magic", "GUID"),
        (frame(body(created=int(time.time()))), [], "invalid-field", "seconds for milliseconds?"),
        (b'{"requestId":"r"}', [], "bad-magic", "looks like JSON"),
        (frame(b'{"requestId":"r"}'), [], "malformed", "looks like JSON behind the frame"),
        (b"\0" * 8 + b"\1" + VALID[5:], [], "unknown-schema", "an id of 8 bytes"),
        (frame(body(), 2), [], "wrong-schema", "ScheduleRun, not RunRequest"),
    ]
    for value, headers, reason, _ in rows:
        load.producer.produce(TOPIC, value, SCHEDULE.encode(), headers=headers)
    load.send(request(SCHEDULE, "keyed", createdBy=None))
    load.producer.produce(TOPIC, encode("run_request", request(SCHEDULE, "other key")), b"other")
    load.flush()
    system.wait_drained()
    letters = [dict(letter.headers()) for letter in
               checker.read_topic(system.bootstrap, "schedule-run-requests.dlq")]
    found = {int(h["__connect.errors.offset"]): h for h in letters}
    assert len(found) == len(letters) == sum(1 for row in rows if row[2])
    for offset, (_, _, reason, says) in enumerate(rows):
        if reason is None:
            assert offset not in found
            continue
        assert found[offset]["schedrun.dlq.reason"].decode() == reason
        assert says in found[offset]["__connect.errors.exception.message"].decode()
        assert f"topic={TOPIC} partition=0 offset={offset} reason={reason}" in worker.log()
    assert len(checker.read_topic(system.bootstrap, "schedule-run-results")) == 3
    assert "event=key_mismatch" in worker.log() and f"offset={len(rows) + 1}" in worker.log()
    assert "requestId" not in worker.log()


HOUR_MS = 3600 * 1000
HUGE = {"compression.type": "gzip", "message.max.bytes": 20_000_000}
# What a record brings: its time, or hours from now; its value, key and headers.
ODD = {
    "ahead": {"hours": 2},
    "far ahead": {"timestamp": 2 ** 47},
    "seconds for milliseconds": {"timestamp": 1700000000},
    "the first millisecond": {"timestamp": 1},
    "large": {"value": b"x" * 2_000_000},
    "a large key": {"key": b"k" * 2_000_000},
    "large key and value": {"key": b"k" * 1_500_000, "value": b"x" * 1_500_000},
    "a large header": {"headers": [("h", b"x" * 2_000_000)]},
    "many headers": {"headers": [("h", None)] * 100_000},
}


def keep_senders_time(system):
    """A topic as it was filled before Kafka 4, or is filled by a mirror."""
    system.alter_topic(TOPIC, message__timestamp__type="CreateTime",
                       message__timestamp__after__max__ms=2 ** 63 - 1,
                       message__timestamp__before__max__ms=2 ** 63 - 1)


def test_nothing_that_a_record_brings_blocks_its_partition(system):
    """Neither its time nor its size, key or headers; and its letter lives as long as
    any other."""
    system.init(partitions=2)
    keep_senders_time(system)
    system.apply(catalogues.outcomes())
    system.worker().wait_ready()
    load = Load(system.bootstrap, HUGE)
    begun = int(time.time() * 1000)
    brought = []
    for i, odd in enumerate(ODD.values()):
        odd = dict(odd)
        at = odd.pop("timestamp", begun + odd.pop("hours", 0) * HOUR_MS)
        brought.append(at)
        value = odd.pop("value", b"not avro")
        load.send_bad(value, "too-large" if len(value) > 65536 else "bad-magic", partition=0,
                      timestamp=at, **odd)
        load.flush()
        load.send(request(catalogues.schedule_rid("stale"), f"behind {i}"))
    asked = load.flush()
    system.wait_drained(20)
    verdict = system.judge(asked)
    assert verdict.results == verdict.dead == len(ODD)
    letters = checker.read_topic(system.bootstrap, "schedule-run-requests.dlq")
    letters.sort(key=lambda letter: int(dict(letter.headers())["__connect.errors.offset"]))
    for (name, odd), at, letter in zip(ODD.items(), brought, letters):
        headers = dict(letter.headers())
        assert begun - 1000 <= letter.timestamp()[1] <= time.time() * 1000 + 1000, name
        assert headers["schedrun.dlq.timestamp"] == b"%d" % at, name
        assert headers.get("schedrun.dlq.truncated", b"0") == b"%d" % (
            len(odd["value"]) if len(odd.get("value", b"")) > 1_000_000 else 0), name
        assert (b"too large to be copied" in headers["__connect.errors.exception.message"]) \
            == ("headers" in odd), name


def test_the_senders_time_does_not_decide_how_long_a_request_lives(system):
    system.init(partitions=1)
    load = Load(system.bootstrap)
    datum = request(SCHEDULE, "of 1970")
    load.producer.produce(TOPIC, encode("run_request", datum), SCHEDULE.encode(),
                          timestamp=1700000000)
    load.flush()
    (record,) = checker.read_topic(system.bootstrap, TOPIC)
    assert abs(record.timestamp()[1] - time.time() * 1000) < 60_000

    def said():
        done = system.run("check")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return [row for row in rows if row["what"] == f"topic {TOPIC}"]
    assert said()[0]["state"] == "ok"
    keep_senders_time(system)
    (row,) = said()
    assert row["state"] == "fault" and "message.timestamp.type is CreateTime" in row["detail"]
    assert "--add-config message.timestamp.type=LogAppendTime" in row["mend"]
