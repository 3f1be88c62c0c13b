"""Bad records end in the dead-letter topic, byte by byte; the worker goes on."""

import struct
import uuid

import catalogues
import checker
from checker import encode
from load import Load, request

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
        assert worker.metric(f'schedrun_dead_letters_total{{reason="{reason}"}}') == count
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
