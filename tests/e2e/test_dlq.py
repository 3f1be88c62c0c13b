"""Dead letters: listed, shown, asked for again, dropped; never twice, never forgotten."""

import collections
import json
import random
import signal
import subprocess
import time

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

import catalogues
import checker
from checker import encode
from load import TOPIC, Load, request
from programs import BUILD, wait_for
from test_bad_records import HUGE, VALID, body, frame, some
from test_registry import Registry

DLQ = f"{TOPIC}.dlq"
ID = f"{DLQ}.redrive"
STALE, FRESH = (catalogues.schedule_rid(name) for name in ("stale", "fresh"))


@pytest.fixture(scope="module")
def registry():
    registry = Registry()
    yield registry
    registry.stop()


@pytest.fixture(scope="module")
def post(fresh_system, registry):
    """A system whose registry can be told to lack an id."""
    flags = fresh_system.flags()
    fresh_system.flags = lambda: [*flags, "-s", f"schema.registry.url={registry.url}",
                                  "-s", "registry.wait=0"]
    fresh_system.init(partitions=2)
    fresh_system.apply(catalogues.outcomes())
    fresh_system.worker().wait_ready()
    return fresh_system


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def listed(post, *flags):
    return rows(post.must("dlq", "list", *flags))


def bury(post, *records):
    """Their letters' names; a record is its value, its reason and what else it brings."""
    load = Load(post.bootstrap, HUGE)
    for value, reason, *more in records:
        load.send_bad(value, reason, **(more[0] if more else {}))
    load.flush()
    post.wait_drained()
    reasons = {(asked.partition, asked.offset): (asked.value, asked.reason) for asked in load.asked}
    found = {}
    for letter in checker.read_topic(post.bootstrap, DLQ):
        headers = dict(letter.headers())
        if "schedrun.dlq.time" in headers:
            at = (int(headers["__connect.errors.partition"]), int(headers["__connect.errors.offset"]))
            if at in reasons:
                value, reason = reasons[at]
                found[value, reason] = f"{letter.partition()}:{letter.offset()}"
                assert headers["schedrun.dlq.reason"].decode() == reason, headers
    return [found[value, reason] for value, reason, *_ in records]


def markers(post):
    """Letter -> what became of it, each time it was noted."""
    found = collections.defaultdict(list)
    for record in checker.read_topic(post.bootstrap, DLQ):
        names = {name for name, _ in record.headers()}
        if record.value() is None and "schedrun.dlq.reason" not in names:
            key = record.key().decode()
            if key.split(":")[0] == str(record.partition()):
                found[key] += names
    return found


def copies(post, redrives=b"1"):
    """Requests that were asked for again."""
    return [r for r in checker.read_topic(post.bootstrap, TOPIC)
            if dict(r.headers() or []).get("schedrun.dlq.redrives") == redrives]


def results(post, request_id):
    found = [checker.decode("schedule_run", r.value())
             for r in checker.read_topic(post.bootstrap, "schedule-run-results")]
    return [r for r in found if r["requestId"] == request_id]


# --- list, show ------------------------------------------------------------------


def test_what_is_listed(post):
    begun = time.time()
    cut, magic = bury(post, (VALID[:40], "malformed", {"key": STALE.encode()}),
                      (b"{}", "bad-magic", {"key": b"\xff"}))
    named, = bury(post, (frame(body(schedule=FRESH, created=5)), "invalid-field", {"key": b"k"}))
    lines = listed(post)
    assert lines[0]["letter"] == named, "the newest first"
    lines = [next(line for line in lines if line["letter"] == name) for name in (named, magic, cut)]
    assert lines[2]["reason"] == "malformed" and lines[2]["key"] == STALE
    assert lines[2]["state"] == "waiting" and lines[2]["stateTime"] is None
    assert lines[2]["redrives"] == 0 and "is malformed" in lines[2]["message"]
    assert lines[1]["key"] is None
    assert {line["topic"] for line in lines} == {"schedule-run-requests"}

    def those(*flags):
        return {line["letter"] for line in listed(post, *flags)}
    assert those("--reason", "bad-magic") == {magic}
    assert those("--schedule", STALE) == {cut} and those("--schedule", FRESH) == {named}
    assert those("--schedule", FRESH[:-1]) == set()
    assert those("--since", "1h") == those("--since", "-1h") == {named, magic, cut}
    assert those("--since", "2100-01-01T00:00:00Z") == set()
    assert those("--since", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun - 5))) \
        == {named, magic, cut}
    assert those("--partition", "0") | those("--partition", "1") == {named, magic, cut}
    assert those("--partition", named[0]) >= {named}
    done = post.run("dlq", "list", "--partition", "2")
    assert done.returncode == 3 and "has no partition 2" in done.stderr
    done = post.run("dlq", "list", "--limit", "1")
    assert [line["letter"] for line in rows(done.stdout)] == [named]
    assert "1 of 3 are shown: --limit" in done.stderr
    whole = json.loads(post.must("dlq", "list", "-o", "json"))
    assert {row["letter"] for row in whole} == {named, magic, cut}
    table = post.must("dlq", "list", "-o", "table").splitlines()
    assert table[0].split()[:3] == ["LETTER", "REASON", "BURIED"] and len(table) == 4
    said = [r for r in rows(post.run("check").stdout) if r["what"] == "dead letters"]
    assert said == [{"what": "dead letters", "state": "note", "mend": "schedrun dlq list",
                     "detail": "3 wait: 1 bad-magic, 1 malformed, 1 invalid-field"}]


def shown(post, letter):
    return json.loads(post.must("dlq", "show", letter))


def test_what_is_shown(post):
    cut, wrong, behind, empty, magic = bury(
        post, (VALID[:40], "malformed", {"key": b"\xff\0", "headers": [
            ("h", b"\xfe"), ("t", "é\x1b[1m".encode())]}),
        (frame(body(by=some("somebody"))), "invalid-field"), (VALID + b"\1\2", "trailing-bytes"),
        (None, "empty"), (b"{}", "bad-magic"))
    at = shown(post, cut)
    assert at["letter"] == cut and at["state"] == "waiting" and at["reason"] == "malformed"
    assert at["keyHex"] == "ff00" and at["headers"][0] == {"name": "h", "valueHex": "fe"}
    assert at["headers"][1] == {"name": "t", "value": "é\x1b[1m"} and at["cut"] is False
    value = at["value"]
    assert value["size"] == 40 and value["schemaId"] == 1
    assert value["fields"][0] == {"name": "requestId", "from": 5, "to": 11, "value": "whole"}
    assert value["fields"][1] == {"name": "runRid", "from": 11, "to": 12, "value": None}
    assert value["fields"][2] == {"name": "scheduleRid", "from": 12, "to": 13, "broken": True}
    assert value["faultAt"] == 13 and value["restHex"] == VALID[12:40].hex()
    assert value["now"] == "field scheduleRid is malformed"
    text = post.must("dlq", "show", cut, "-o", "table")
    assert "\x1b" not in text and "requestId       whole\n" in text
    assert "scheduleRid     broken: bytes 12 to 13\n" in text and "fault at        byte 13\n" in text
    assert "key             0xff00\n" in text and "header          h = 0xfe\n" in text

    value = shown(post, wrong)["value"]
    by = next(field for field in value["fields"] if field["name"] == "createdBy")
    assert by["value"] == "somebody" and value["faultAt"] == by["from"]
    assert value["now"].startswith("createdBy is not a UUID") and value["restHex"] == ""
    value = shown(post, behind)["value"]
    assert len(value["fields"]) == 7 and value["faultAt"] == len(VALID)
    assert value["restHex"] == "0102"
    assert shown(post, empty)["value"]["now"] == "no value"
    assert shown(post, magic)["value"]["restHex"] == "7b7d"
    partition, offset = map(int, empty.split(":"))
    admin = AdminClient({"bootstrap.servers": post.bootstrap})
    for done in admin.delete_records([TopicPartition(DLQ, partition, offset + 1)]).values():
        done.result(20)
    for name, says in (("9:0", "has no partition 9"), ("0:99999", "there is no letter 0:99999"),
                       (empty, f"letter {empty} is gone: ")):
        done = post.run("dlq", "show", name)
        assert done.returncode == 3 and says in done.stderr


# --- redrive, drop ---------------------------------------------------------------


def test_what_was_mended_succeeds(post, registry):
    """Unknown until it is registered; the record is as it was but for the count."""
    registry.lacks.add(77)
    value = frame(encode("run_request", request(STALE, "mended"))[5:], 77)
    brought = [("x", b"\xff"), ("schedrun.dlq.redrives", b"4"), ("schedrun.dlq.reason", b"mine"),
               ("__connect.errors.topic", b"elsewhere"), ("schedrun.dlq.truncated", b"5"), ("y", None)]
    letter, = bury(post, (value, "unknown-schema", {"key": STALE.encode(), "headers": brought}))
    at = shown(post, letter)
    assert at["redrives"] == 4 and at["cut"] is False and at["reason"] == "unknown-schema"
    assert at["value"]["now"] == "no schema has the id 77" and at["value"]["faultAt"] == 1
    assert not results(post, "mended")
    registry.lacks.discard(77)
    wait_for("the registry to have it",
             lambda: shown(post, letter)["value"]["now"] == "it can be read, and is valid")
    done = post.run("dlq", "redrive", "--reason", "unknown-schema", "--dry-run")
    assert done.returncode == 0 and not copies(post, b"5")
    assert rows(done.stdout) == [{"letter": letter, "reason": "unknown-schema",
                                  "result": "would be redriven", "note": None}]
    done = post.run("dlq", "redrive", "--reason", "unknown-schema")
    assert done.returncode == 0 and rows(done.stdout)[0]["result"] == "redriven", done.stderr
    post.wait_drained()
    (copy,) = copies(post, b"5")
    assert copy.value() == value and copy.key() == STALE.encode()
    assert copy.headers() == [("x", b"\xff"), ("y", None), ("schedrun.dlq.redrives", b"5")]
    (result,) = results(post, "mended")
    assert result["rid"] == checker.run_rid(STALE, "mended")
    assert markers(post)[letter] == ["schedrun.dlq.redriven"]
    assert letter not in [line["letter"] for line in listed(post)]
    (line,) = [line for line in listed(post, "--all") if line["letter"] == letter]
    assert line["state"] == "redriven" and line["stateTime"]

    done = post.run("dlq", "redrive", letter)    # twice
    assert done.returncode == 1 and rows(done.stdout)[0]["result"] == "refused"
    assert "it was redriven at 20" in rows(done.stdout)[0]["note"]
    done = post.run("dlq", "redrive", "--reason", "unknown-schema")
    assert done.returncode == 0 and not done.stdout and "no such letter waits" in done.stderr
    assert len(copies(post, b"5")) == 1
    post.must("dlq", "redrive", letter, "--again")
    post.wait_drained()
    assert len(copies(post, b"5")) == 2 and len(results(post, "mended")) == 1, "the claim says so"


def test_one_that_was_answered_meanwhile_is_a_duplicate(post, registry):
    registry.lacks.add(78)
    datum = request(STALE, "meanwhile")
    letter, = bury(post, (frame(encode("run_request", datum)[5:], 78), "unknown-schema",
                          {"key": STALE.encode()}))
    registry.lacks.discard(78)
    load = Load(post.bootstrap)
    load.send(datum)
    load.flush()
    post.must("dlq", "redrive", letter)
    post.wait_drained()
    assert len(results(post, "meanwhile")) == 1
    load.send_bad(encode("run_request", {**datum, "createdBy": catalogues.OWNER}),
                  "idempotency-conflict", key=STALE.encode())
    load.flush()
    post.wait_drained()
    (conflict,) = listed(post, "--reason", "idempotency-conflict")
    post.must("dlq", "redrive", conflict["letter"])
    post.wait_drained()
    (again,) = listed(post, "--reason", "idempotency-conflict")
    assert again["redrives"] == 1 and again["letter"] != conflict["letter"]


def test_what_cannot_be_redriven_says_why(post):
    """And hostile records are no markers, nor letters of another topic."""
    victim, = bury(post, (b"victim", "bad-magic"))
    partition = int(victim.split(":")[0])
    fake, large, keyed, headed, too_large = bury(
        post, (None, "empty", {"key": victim.encode(), "partition": partition, "headers": [
            ("schedrun.dlq.redriven", b"now"), ("schedrun.dlq.dropped", b"now")]}),
        (b"x" * 2_000_000, "too-large"), (b"bad", "bad-magic", {"key": b"k" * 1_100_000}),
        (b"worse", "bad-magic", {"headers": [("h", b"x" * 40_000)]}), (b"\0" * 70_000, "too-large"))
    stranger = Producer({"bootstrap.servers": post.bootstrap})
    places = []
    for headers in ([("__connect.errors.topic", b"other")],
                    [("__connect.errors.topic", b"other"), ("schedrun.dlq.reason", b"bad-magic")]):
        stranger.produce(DLQ, b"v", b"k", partition=0, headers=headers,
                         on_delivery=lambda _, m: places.append(f"0:{m.offset()}"))
        stranger.flush(20)
    foreign, other = places
    # A marker that stands in another partition than its letter was not written by schedrun.
    stranger.produce(DLQ, None, victim.encode(), partition=1 - partition,
                     headers=[("schedrun.dlq.dropped", b"now")])
    stranger.flush(20)
    assert victim in [line["letter"] for line in listed(post)]
    assert shown(post, headed)["cut"] is True and shown(post, large)["cut"] is True
    done = post.run("dlq", "redrive", fake, large, keyed, headed, too_large, foreign, other, "0:99999")
    assert done.returncode == 3 and "there is no letter 0:99999" in done.stderr
    notes = {row["letter"]: row["note"] for row in rows(done.stdout) if row["result"] == "refused"}
    assert "has no value" in notes[fake] and "its value had 2000000 bytes" in notes[large]
    assert "max.message.bytes" in notes[keyed] and "it had 1 headers" in notes[headed]
    assert "over 64 KiB" in notes[too_large] and "no header schedrun.dlq.reason" in notes[foreign]
    assert "stood in topic other, not in schedule-run-requests" in notes[other] and len(notes) == 7 == len(rows(done.stdout))
    assert "7 of 7 letters were refused" in done.stderr
    assert post.run("dlq", "redrive", fake).returncode == 1

    done = post.run("dlq", "drop", fake, large, keyed, headed, too_large, foreign, other, "-o", "json")
    assert done.returncode == 0, done.stderr
    assert {row["result"] for row in json.loads(done.stdout)} == {"dropped"}
    left = [line["letter"] for line in listed(post)]
    assert victim in left and not set(left) & {fake, large, keyed, headed, too_large, foreign, other}
    assert post.run("dlq", "drop", fake).returncode == 1
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(BUILD / "schedrun"), *post.flags(), "dlq", "list"], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "No space left on device" in done.stderr
    post.must("dlq", "drop", victim)
    assert markers(post)[victim] == ["schedrun.dlq.dropped"]


def judge(post, letters):
    """Each was redriven exactly once, and that is noted once."""
    count = collections.Counter(copy.value() for copy in copies(post))
    noted = markers(post)
    assert {letter: noted[letter] for letter in letters} == \
        {letter: ["schedrun.dlq.redriven"] for letter in letters}
    values = {r.value(): f"{r.partition()}:{r.offset()}" for r in checker.read_topic(post.bootstrap, DLQ)
              if r.value() and f"{r.partition()}:{r.offset()}" in letters}
    assert len(values) == len(letters) and all(count[value] == 1 for value in values)


def starts(post, *flags):
    return subprocess.Popen([str(BUILD / "schedrun"), *post.flags(), "dlq", "redrive", *flags],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            cwd=post.directory)


def test_redrives_that_are_killed_or_meet_double_nothing(post):
    n = 3000
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    letters = bury(post, *((b"\0\0\0\0\1%06d" % i, "malformed") for i in range(n)))
    post.daemons[0].signal(signal.SIGSTOP)    # or copies become letters of their own
    chance = random.Random(7)
    mine = ["--reason", "malformed", "--since", since]
    # One that stands between its two records, and then is gone.
    dead = Producer({"bootstrap.servers": post.bootstrap, "transactional.id": ID,
                     "transaction.timeout.ms": 60000})
    dead.init_transactions(20)
    dead.begin_transaction()
    dead.produce(TOPIC, b"\0\0\0\0\1%06d" % 0, b"bad", headers=[("schedrun.dlq.redrives", b"1")])
    dead.produce(DLQ, None, letters[0].encode(), partition=int(letters[0].split(":")[0]),
                 headers=[("schedrun.dlq.redriven", b"now")])
    dead.flush(20)
    killed = 0
    for _ in range(4):
        running = starts(post, *mine)
        running.stdout.readline()
        time.sleep(chance.random() / 50)
        killed += running.poll() is None
        running.kill()
        running.communicate()
    assert killed
    # One that hides what comes behind it, until it is given up.
    other = Producer({"bootstrap.servers": post.bootstrap, "transactional.id": "somebody"})
    other.init_transactions(20)
    other.begin_transaction()
    other.produce(DLQ, b"never", partition=0)
    other.flush(20)
    done = post.run("--timeout", "1s", "dlq", "redrive", *mine)
    assert done.returncode == 5 and "an open transaction holds it" in done.stderr
    other.abort_transaction(20)
    both = [starts(post, *mine) for _ in range(2)]
    for one in both:
        said = one.communicate(timeout=60)[1]
        # Fenced by the other, or the other's transaction has hidden letters for too long.
        assert one.returncode in (0, 1) or \
            (one.returncode == 5 and "an open transaction holds it" in said), (one.returncode, said)
    done = post.run("dlq", "redrive", *mine)
    assert done.returncode == 0, done.stderr
    judge(post, letters)
    post.daemons[0].signal(signal.SIGCONT)
