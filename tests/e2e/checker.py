"""An independent judge of a run: what was asked, against what the topics say.

It shares no code with the programs: Apache Avro's own codec for Python, another
Kafka client, its own UUIDv5.  It reads read_committed, as subscribers must, and
knows only what was produced.  Everything it counts must be 0:

  lost     records without a disposition (result, drop as duplicate, dead letter)
  doubled  requests with more than one result, builds with more than one event
  ids      rid, buildRid or jobRid that is not the function of the request
  fields   result or build whose fields are not the request's
  order    results of a schedule that don't follow the order of its requests
  torn     a submitted result without its build event, or the reverse
  foreign  results, builds or dead letters that nobody asked for
  offsets  partitions whose committed offset is not the end of the log
"""

import io
import json
import pathlib
import struct
import sys
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import avro.io
import avro.schema
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
NAMESPACE = uuid.UUID("fe988db1-2db0-579e-8f7f-872f9f1084bd")
SCHEMA_IDS = {
    "run_request": 1,
    "schedule_run": 2,
    "build_requested": 7,
    "build_requested_v1": 3,
    "dataset_committed": 4,
    "build_finished": 5,
    "logic_published": 6,
}


def schema(name):
    """The shipped schema; times stay the numbers that they are on the wire."""
    text = (SCHEMAS / f"{name}.avsc").read_text()
    return avro.schema.parse(text.replace(', "logicalType": "timestamp-millis"', ""))


_parsed = {name: schema(name) for name in SCHEMA_IDS}
_readers = {name: avro.io.DatumReader(s) for name, s in _parsed.items()}
_writers = {name: avro.io.DatumWriter(s) for name, s in _parsed.items()}


def encode(name, datum):
    """Confluent wire format by Apache Avro."""
    out = io.BytesIO()
    out.write(struct.pack(">bI", 0, SCHEMA_IDS[name]))
    _writers[name].write(datum, avro.io.BinaryEncoder(out))
    return out.getvalue()


def decode(name, value):
    """The datum of a framed value; raises on a frame or bytes that don't fit."""
    magic, schema_id = struct.unpack(">bI", value[:5])
    if magic != 0 or schema_id != SCHEMA_IDS[name]:
        raise ValueError(f"not framed as {name}: {value[:5]!r}")
    source = io.BytesIO(value[5:])
    datum = _readers[name].read(avro.io.BinaryDecoder(source))
    if source.read(1):
        raise ValueError(f"bytes behind the {name}")
    return datum


def uuid5(*parts):
    return str(uuid.uuid5(NAMESPACE, "\n".join(parts)))


def run_rid(schedule_rid, request_id):
    return "ri.scheduler.main.run." + uuid5("run", schedule_rid, request_id)


def build_rid(run):
    return "ri.foundry.main.build." + uuid5("build", run)


def job_rid(build, key):
    return "ri.foundry.main.job." + uuid5("job", build, key)


@dataclass
class Asked:
    """One record as it was acknowledged by the broker."""

    partition: int
    offset: int
    datum: dict = None  # None: a bad record, which has no result
    value: bytes = b""
    key: bytes = None
    reason: str = None  # why it must be dead-lettered


@dataclass
class Verdict:
    counts: Counter = field(default_factory=Counter)
    examples: dict = field(default_factory=lambda: defaultdict(list))
    results: int = 0
    builds: int = 0
    dead: int = 0
    outcomes: Counter = field(default_factory=Counter)

    KINDS = ("lost", "doubled", "ids", "fields", "order", "torn", "foreign", "offsets")

    def blame(self, kind, text):
        self.counts[kind] += 1
        if len(self.examples[kind]) < 5:
            self.examples[kind].append(text)

    def clean(self):
        return not any(self.counts[k] for k in self.KINDS)

    def __str__(self):
        lines = [f"results {self.results}, builds {self.builds}, dead letters {self.dead}: "
                 + ", ".join(f"{k} {self.counts[k]}" for k in self.KINDS)]
        for kind in self.KINDS:
            lines += [f"  {kind}: {text}" for text in self.examples[kind]]
        return "\n".join(lines)


def read_topic(bootstrap, topic, timeout=60, isolation="read_committed"):
    """Every record up to the end of the log as it is now, in partition order."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": f"checker-{uuid.uuid4()}",
        "isolation.level": isolation,
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    })
    try:
        metadata = consumer.list_topics(topic, timeout=timeout).topics[topic]
        if metadata.error is not None:
            raise RuntimeError(f"{topic}: {metadata.error}")
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in metadata.partitions])
        open_partitions = set(metadata.partitions)
        records = []
        deadline = time.monotonic() + timeout
        while open_partitions:
            message = consumer.poll(1)
            if message is None:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{topic}: partitions {sorted(open_partitions)} have no end")
                continue
            if message.error():
                if message.error().code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(message.partition())
                    continue
                raise RuntimeError(f"{topic}: {message.error()}")
            records.append(message)
        records.sort(key=lambda m: (m.partition(), m.offset()))
        return records
    finally:
        consumer.close()


class Tail:
    """A topic that is read once, for who looks at it again and again."""

    def __init__(self, bootstrap, topic, partitions):
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": f"checker-{uuid.uuid4()}",
            "isolation.level": "read_committed", "enable.auto.commit": False,
            "enable.partition.eof": True, "fetch.wait.max.ms": 20})
        self.topic, self.found = topic, []
        self.ends = {p: -1 for p in range(partitions)}  # up to where each has been read
        self.consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in self.ends])

    def records(self, timeout=60):
        """All up to the end of the log as it is now, in the order in which they were read."""
        deadline = time.monotonic() + timeout
        wanted = {p: self.consumer.get_watermark_offsets(TopicPartition(self.topic, p), timeout=10)[1]
                  for p in self.ends}
        while any(self.ends[p] < end for p, end in wanted.items()):
            message = self.consumer.poll(1)
            if message is None:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.topic}: read up to {self.ends}, not to {wanted}")
            elif not message.error():
                self.found.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                self.ends[message.partition()] = message.offset()
            else:
                raise RuntimeError(f"{self.topic}: {message.error()}")
        return self.found


def committed_offsets(bootstrap, group, topic):
    """Partition -> committed offset of a group (absent: none).

    Not by an admin client: while a coordinator moves it ends the process
    (confluentinc/librdkafka#5040)."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0,
                         "isolation.level": "read_uncommitted", "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        found = consumer.committed([TopicPartition(topic, p) for p in partitions], timeout=30)
        return {p.partition: p.offset for p in found if p.offset >= 0}
    finally:
        consumer.close()


def log_ends(bootstrap, topic, isolation="read_committed"):
    """Partition -> (start, end); with read_committed the last stable offset."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "checker-ends",
                         "isolation.level": isolation, "log_level": 0})
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)
                for p in partitions}
    finally:
        consumer.close()


def lag(bootstrap, group, topic):
    """Records not yet committed; partitions without an offset from their start."""
    committed = committed_offsets(bootstrap, group, topic)
    return sum(high - committed.get(p, low)
               for p, (low, high) in log_ends(bootstrap, topic).items())


def result_type(result):
    """The union's branch by its fields: Apache Avro gives plain dicts."""
    if "buildRid" in result:
        return "submitted"
    return "error" if "errorName" in result else "ignored"


def check_result(verdict, asked, run):
    request = asked.datum
    rid = run_rid(request["scheduleRid"], request["requestId"])
    if run["rid"] != rid:
        verdict.blame("ids", f"{request['requestId']}: rid {run['rid']}, not {rid}")
    for name in ("requestId", "scheduleRid", "createdTime", "createdBy", "trigger"):
        if run[name] != request[name]:
            verdict.blame("fields", f"{rid}: {name} {run[name]!r}, not {request[name]!r}")
    pin = request["scheduleVersionRid"]
    if pin is not None and run["scheduleVersionRid"] != pin:
        verdict.blame("fields", f"{rid}: version {run['scheduleVersionRid']}, not the pin {pin}")
    if result_type(run["result"]) == "submitted":
        build = build_rid(rid)
        if run["result"]["buildRid"] != build:
            verdict.blame("ids", f"{rid}: buildRid {run['result']['buildRid']}, not {build}")


def check_build(verdict, run, build):
    for name in ("requestId", "scheduleRid", "scheduleVersionRid", "createdTime", "createdBy"):
        if build[name] != run[name]:
            verdict.blame("fields", f"{build['buildRid']}: {name} {build[name]!r}, not {run[name]!r}")
    if build["runRid"] != run["rid"]:
        verdict.blame("ids", f"{build['buildRid']}: runRid {build['runRid']}")
    if len(build["jobs"]) != run["why"]["running"]:
        verdict.blame("fields", f"{build['buildRid']}: {len(build['jobs'])} jobs, "
                                f"why.running {run['why']['running']}")
    for job in build["jobs"]:
        key = min(output["rid"] for output in job["outputs"])
        if job["jobRid"] != job_rid(build["buildRid"], key):
            verdict.blame("ids", f"{build['buildRid']}: jobRid {job['jobRid']} of {key}")
    made = fingerprints(build)
    if [job["fingerprint"] for job in build["jobs"]] != made:
        verdict.blame("ids", f"{build['buildRid']}: other fingerprints than {made}")


def fingerprints(build):
    """Of its jobs, by docs/semantics.md, section 3."""
    made, of_run = [], []
    for job in build["jobs"]:
        lines = [build["branch"]]
        again = job["reason"]["cause"] in ("forced", "alwaysStale")
        for item in job["inputs"]:
            producer = item["job"]
            read = item["transaction"] if producer is None else made[producer]
            lines.append(f"{item['rid']} {read or ''}")
            again = again or (producer is not None and of_run[producer])
        of_run.append(again)
        made.append(job["jobRid"].rpartition(".")[2] if again
                    else uuid5("fingerprint", *lines, job["jobSpecRid"], job["logic"]))
    return made


def judge(asked, results, builds, dead, committed=None, ends=None):
    """`asked`: a list of Asked; the others: records of their topics."""
    verdict = Verdict(results=len(results), builds=len(builds), dead=len(dead))
    first = {}  # request -> the record that speaks for it
    place = {}
    for a in sorted(asked, key=lambda a: (a.partition, a.offset)):
        place[(a.partition, a.offset)] = a
        if a.datum is not None:
            first.setdefault((a.datum["scheduleRid"], a.datum["requestId"]), a)

    seen = Counter()
    submitted = {}
    last_of_schedule = {}
    for message in results:
        run = decode("schedule_run", message.value())
        request = (run["scheduleRid"], run["requestId"])
        seen[request] += 1
        if request not in first:
            verdict.blame("foreign", f"result {run['rid']} of {request}")
            continue
        if seen[request] > 1:
            verdict.blame("doubled", f"result {run['rid']} number {seen[request]}")
            continue
        if message.key() != run["scheduleRid"].encode():
            verdict.blame("fields", f"result {run['rid']}: key {message.key()!r}")
        check_result(verdict, first[request], run)
        verdict.outcomes[result_type(run["result"])] += 1
        if result_type(run["result"]) == "submitted":
            submitted[run["result"]["buildRid"]] = run
        at = first[request].offset
        log = (run["scheduleRid"], first[request].partition)
        if at < last_of_schedule.get(log, -1):
            verdict.blame("order", f"result of {request}, offset {at}, stands too late")
        last_of_schedule[log] = at
    for request, a in first.items():
        if not seen[request]:
            verdict.blame("lost", f"{request} at {a.partition}:{a.offset}")

    started = Counter()
    for message in builds:
        build = decode("build_requested", message.value())
        rid = build["buildRid"]
        started[rid] += 1
        if started[rid] > 1:
            verdict.blame("doubled", f"build {rid} number {started[rid]}")
        elif rid not in submitted:
            verdict.blame("torn", f"build {rid} without a submitted result")
        else:
            check_build(verdict, submitted[rid], build)
        if message.key() != rid.encode():
            verdict.blame("fields", f"build {rid}: key {message.key()!r}")
    for rid in submitted:
        if not started[rid]:
            verdict.blame("torn", f"submitted {rid} without its build event")

    check_dead(verdict, place, dead)
    for partition, (_, end) in (ends or {}).items():
        at = (committed or {}).get(partition)
        if at != end and not (end == 0 and at is None):
            verdict.blame("offsets", f"partition {partition}: committed {at}, end {end}")
    return verdict


def check_dead(verdict, place, dead):
    buried = Counter()
    for message in dead:
        headers = {name: value for name, value in message.headers() or []}
        at = (int(headers["__connect.errors.partition"]), int(headers["__connect.errors.offset"]))
        buried[at] += 1
        a = place.get(at)
        reason = headers["schedrun.dlq.reason"].decode()
        if a is None or a.reason is None:
            verdict.blame("foreign", f"dead letter of {at}, {reason}")
        elif buried[at] > 1:
            verdict.blame("doubled", f"dead letter of {at}")
        elif not (holds(message.value(), a.value, headers, "schedrun.dlq.truncated")
                  and holds(message.key(), a.key, headers, "schedrun.dlq.truncated.key")):
            verdict.blame("fields", f"dead letter of {at}: other bytes than came in")
        elif reason != a.reason:
            verdict.blame("fields", f"dead letter of {at}: {reason}, not {a.reason}")
    for at, a in place.items():
        if a.reason is not None and not buried[at]:
            verdict.blame("lost", f"bad record at {at} ({a.reason})")


def holds(kept, came, headers, cut):
    """Whether a letter holds what came: all of it, or its beginning if it says so."""
    size = headers.get(cut)
    if size is None:
        return (kept or b"") == (came or b"")
    return int(size) == len(came) > len(kept) and came.startswith(kept)


def wait_settled(bootstrap, topic, timeout=60):
    """Until no transaction is open in it: what a killed worker leaves open hides
    what others commit behind it, until Kafka ends that by its timeout."""
    deadline = time.monotonic() + timeout
    while log_ends(bootstrap, topic) != log_ends(bootstrap, topic, "read_uncommitted"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{topic}: a transaction stays open")
        time.sleep(0.1)


def judge_topics(bootstrap, asked, group="schedrun-worker", topics=None):
    topics = topics or {}
    requests = topics.get("requests", "schedule-run-requests")
    outputs = [topics.get("results", "schedule-run-results"),
               topics.get("builds", "schedule-builds"),
               topics.get("dlq", "schedule-run-requests.dlq")]
    for topic in outputs:
        wait_settled(bootstrap, topic)
    return judge(
        asked,
        *(read_topic(bootstrap, topic) for topic in outputs),
        committed_offsets(bootstrap, group, requests),
        log_ends(bootstrap, requests))


def load_asked(path):
    """A producer's notes: a JSON object per line, bytes in hex."""
    for line in pathlib.Path(path).read_text().splitlines():
        note = json.loads(line)
        yield Asked(note["partition"], note["offset"], note.get("datum"),
                    bytes.fromhex(note.get("value", "")),
                    bytes.fromhex(note["key"]) if note.get("key") is not None else None,
                    note.get("reason"))


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: checker.py BOOTSTRAP NOTES.jsonl")
    verdict = judge_topics(sys.argv[1], list(load_asked(sys.argv[2])))
    print(verdict)
    sys.exit(0 if verdict.clean() else 1)


if __name__ == "__main__":
    main()
