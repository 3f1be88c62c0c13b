"""What happened, told in Kafka: heads move once, and what waits for it is run once."""

import io
import json
import struct
import time
import uuid

import avro.io
import avro.schema
import catalogues
import checker
import pytest
from catalogues import dataset, schedule_rid, transaction, version_rid
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from programs import wait_for

GROUP = "schedrun-trigger"
TOPIC = "schedule-events"
DLQ = "schedule-run-requests.dlq"
KILLED = 5


MEDIA_SET, TABLE = "ri.mio.main.media-set.raw", "ri.tables.main.table.raw"


def updated(name, branch="master", kind="dataset"):
    return {"type": f"{kind}Updated", f"{kind}Rid": rid_of(name), "branchName": branch}


def rid_of(name):
    return name if name.startswith("ri.") else dataset(name)


def of_job(name, kind="jobSucceeded"):
    return {"type": kind, "datasetRid": dataset(name), "branchName": "master"}


def of_schedule(name, kind):
    return {"type": kind, "scheduleRid": schedule_rid(name)}


def many(kind, *triggers):
    return {"type": kind, "triggers": list(triggers)}


# Each schedule builds d-NAME of raw-NAME; what it waits for.
TRIGGERS = {
    "plain": updated("raw-plain"),
    "media": updated(MEDIA_SET, kind="mediaSet"),
    "table": updated(TABLE, kind="table"),
    "manual": {"type": "manual"},
    "other-branch": updated("raw-plain", branch="develop"),
    "either": many("or", updated("raw-either"), many("or", updated("raw-neither"), {"type": "manual"})),
    "both": many("or", many("and", updated("raw-both"), many("or", updated("raw-both-2"), updated("raw-both-3"))),
                 updated("raw-alone")),
    "paused": updated("raw-paused"),
    "replaced": updated("raw-replaced"),
    "built": {"type": "manual"},
    "after-job": of_job("d-built"),
    "after-data": updated("d-built"),
    "after-built": of_schedule("built", "scheduleSucceeded"),
    "failing": {"type": "manual"},
    "after-failing": of_schedule("failing", "scheduleFailed"),
    "broken": updated("raw-broken"),  # its owner is gone: each run of it is an error
    "after-broken": of_schedule("broken", "scheduleFailed"),
    "logic": of_job("d-logic", "newLogic"),
    "last": updated("raw-last"),
    "carried": {"type": "manual"},
    "after-carried-job": of_job("d-carried"),
    "after-carried": of_schedule("carried", "scheduleSucceeded"),
    "spoilt": {"type": "manual"},  # its job fails
    "after-spoilt": of_schedule("spoilt", "scheduleFailed"),
}
MORE = (MEDIA_SET, TABLE, "raw-both-2", "raw-both-3", "raw-alone", "raw-neither")


def catalogue():
    datasets = {rid_of(name): catalogues.stored(None) for name in MORE}
    specs, schedules = [], []
    for name, trigger in TRIGGERS.items():
        datasets[dataset(f"raw-{name}")] = catalogues.stored(f"{name}-1")
        datasets[dataset(f"d-{name}")] = catalogues.stored(None)
        specs.append(catalogues.job_spec(f"d-{name}", [f"raw-{name}"],
                                         logic="fail" if name == "spoilt" else "v1"))
        made = catalogues.schedule(name, [f"d-{name}"], **({
            "owner": catalogues.GONE, "scope": {"type": "user"}} if name == "broken" else {}))
        made["versions"][0]["trigger"] = trigger
        schedules.append(made)
    return {"projects": {catalogues.PROJECT: {}}, "users": catalogues.users(),
            "datasets": datasets, "jobSpecs": specs, "schedules": schedules}


@pytest.fixture(scope="module")
def events(fresh_system):
    """One worker, one adapter that folds, one trigger for the whole file."""
    system = fresh_system
    system.delete_topics()
    system.init(partitions=2)
    system.apply(catalogue())
    system.worker()
    system.adapter_daemon = system.folder()
    system.trigger_daemon = system.trigger(trigger__build__wait="2s")
    system.producer = Producer({"bootstrap.servers": system.bootstrap, "linger.ms": 0})
    system.redis = system.cluster.redis()
    system.results = checker.Tail(system.bootstrap, "schedule-run-results", 2)
    system.told = checker.Tail(system.bootstrap, TOPIC, 2)
    for daemon in system.daemons:
        daemon.wait_ready()
    return system


def send(system, value, key=b"k", headers=None):
    system.producer.produce(TOPIC, value, key, headers=headers)
    assert system.producer.flush(20) == 0


def send_event(system, name, key, **datum):
    send(system, checker.encode(name, {"time": int(time.time() * 1000), **datum}), key.encode())


def committed(system, name, t, branch="master", **more):
    send_event(system, "dataset_committed", rid_of(name), datasetRid=rid_of(name), branch=branch,
               transactionRid=transaction(t), parent=None, **more)


def head(system, name, branch="master"):
    branches = json.loads(system.redis.hget("schedrun:h", dataset(name)) or "{}")
    return branches.get(branch, {}).get("head")


def all_runs(system):
    """By schedule, in the order of the results."""
    found = {name: [] for name in TRIGGERS}
    for record in system.results.records():
        run = checker.decode("schedule_run", record.value())
        found[run["scheduleRid"].rpartition(".")[2]].append(run)
    return found


def runs(system, name):
    return all_runs(system)[name]


def wait_runs(system, name, n):
    return wait_for(f"{n} runs of {name}", lambda: (
        lambda found: found if len(found) >= n else None)(runs(system, name)))


def counts(system, *names):
    found = all_runs(system)
    return [len(found[name]) for name in names]


def settle(system):
    """All events are done, and all requests that they led to answered."""
    wait_for("the events to be done", lambda: checker.lag(system.bootstrap, GROUP, TOPIC) == 0)
    system.wait_drained()


def fired_by(version, cause):
    return checker.uuid5("firing", version_rid(version), cause)


def test_a_commit_fires_once_however_often_it_comes(events):
    told = json.loads(events.must("dataset", "commit", dataset("raw-plain"), "--branch", "master",
                                  "--transaction", transaction("plain-2"), "--kafka"))
    assert told["note"] == "sent"
    committed(events, MEDIA_SET, "plain-2")
    committed(events, TABLE, "plain-2")
    for name, rid in (("plain", dataset("raw-plain")), ("media", MEDIA_SET), ("table", TABLE)):
        (run,) = wait_runs(events, name, 1)
        cause = f"{rid}@master, transaction {transaction('plain-2')}"
        assert run["createdBy"] is None and run["trigger"] == f"datasetUpdated: {cause}"
        assert run["requestId"] == fired_by(name, cause)
        assert run["scheduleVersionRid"] == version_rid(name)
        assert run["result"].keys() == {"buildRid"}
    assert head(events, "raw-plain") == transaction("plain-2")
    # The same again, and behind another one: neither fires nor moves the head.
    committed(events, "raw-plain", "plain-2")
    committed(events, "raw-plain", "plain-3")
    committed(events, "raw-plain", "plain-2")
    wait_runs(events, "plain", 2)
    settle(events)
    assert head(events, "raw-plain") == transaction("plain-3")
    assert counts(events, "plain", "media", "manual", "other-branch") == [2, 1, 0, 0]
    committed(events, "raw-plain", "plain-4", branch="develop")
    wait_runs(events, "other-branch", 1)
    fired = events.trigger_daemon.metric
    assert fired('schedrun_trigger_fired_total{kind="datasetUpdated"}') >= 5
    assert fired('schedrun_trigger_events_total{outcome="repeated"}') == 2


def test_or_fires_at_each_and_and_when_all_have_come(events):
    committed(events, "raw-either", "e-2")
    committed(events, "raw-neither", "n-2")
    wait_runs(events, "either", 2)
    committed(events, "raw-both", "b-2")
    committed(events, "raw-both", "b-3")
    committed(events, "raw-alone", "a-2")  # by itself, and the `and` keeps what it has
    wait_runs(events, "both", 1)
    committed(events, "raw-both-3", "b3-2")
    assert "raw-both-3" in wait_runs(events, "both", 2)[1]["trigger"]
    committed(events, "raw-both-2", "b2-2")  # a new round: half of it
    settle(events)
    assert len(runs(events, "both")) == 2
    committed(events, "raw-both", "b-4")
    wait_runs(events, "both", 3)
    # Whoever does them again gets the same answers: nothing is left of the last round.
    for name, t in (("raw-both-3", "b3-2"), ("raw-both-2", "b2-2"), ("raw-both", "b-4")):
        committed(events, name, t)
    settle(events)
    assert len(runs(events, "both")) == 3
    assert events.redis.hgetall(f"schedrun:t:and:{version_rid('both')}") == {}


def test_paused_and_replaced_schedules_do_not_fire(events):
    events.must("schedule", "pause", schedule_rid("paused"))
    committed(events, "raw-paused", "p-2")
    settle(events)
    events.must("schedule", "unpause", schedule_rid("paused"))
    committed(events, "raw-paused", "p-3")
    (run,) = wait_runs(events, "paused", 1)
    assert "p-3" in run["trigger"], "what came while it was paused is not caught up"
    key = f"schedrun:t:datasetUpdated:{dataset('raw-replaced')}@master"
    assert events.redis.hgetall(key)
    changed = catalogue()
    versions = next(s for s in changed["schedules"] if s["rid"] == schedule_rid("replaced"))["versions"]
    versions.append(versions[0] | {"rid": version_rid("replaced-2"), "trigger": updated("raw-last")})
    events.apply(changed)
    assert not events.redis.exists(key)
    waiting = events.redis.hgetall(f"schedrun:t:datasetUpdated:{dataset('raw-last')}@master")
    assert {k.decode(): v.decode() for k, v in waiting.items()} == {
        schedule_rid("replaced"): version_rid("replaced-2"), schedule_rid("last"): version_rid("last")}
    committed(events, "raw-replaced", "r-2")
    settle(events)
    assert runs(events, "replaced") == []
    committed(events, "raw-last", "l-2")
    assert wait_runs(events, "replaced", 1)[0]["scheduleVersionRid"] == version_rid("replaced-2")
    changed["schedules"].remove(next(s for s in changed["schedules"] if s["rid"] == schedule_rid("last")))
    events.apply(changed, "--prune")
    assert list(events.redis.hgetall(f"schedrun:t:datasetUpdated:{dataset('raw-last')}@master")) == [
        schedule_rid("replaced").encode()]


def test_builds_that_end(events):
    submit = events.must("submit", schedule_rid("built"), "--wait", "30s").splitlines()
    build = json.loads(submit[-1])["result"]["buildRid"]
    own = transaction("own")
    # Sent at once: the view may not have the build yet.
    send_event(events, "build_finished", build, buildRid=build, state="SUCCEEDED",
               transactions={dataset("d-built"): own})
    for name in ("after-job", "after-data", "after-built"):
        (run,) = wait_runs(events, name, 1)
        assert run["requestId"] == fired_by(name, f"{build} SUCCEEDED")
    assert head(events, "d-built") == own
    again = json.loads(events.must("build", "finish", build, "--kafka"))
    assert again == {"buildRid": build, "state": "SUCCEEDED", "outputs": 0, "note": "sent"}
    submit = events.must("submit", schedule_rid("failing"), "--wait", "30s").splitlines()
    build = json.loads(submit[-1])["result"]["buildRid"]
    events.must("build", "fail", build, "--kafka")
    assert wait_runs(events, "after-failing", 1)[0]["trigger"] == f"scheduleFailed: {build} FAILED"
    assert head(events, "d-failing") is None
    settle(events)
    assert counts(events, "after-job", "after-data", "after-built") == [1, 1, 1]


def test_a_run_that_is_an_error_is_a_schedule_that_failed(events):
    committed(events, "raw-broken", "b-2")
    (run,) = wait_runs(events, "broken", 1)
    (after,) = wait_runs(events, "after-broken", 1)
    assert after["trigger"] == f"scheduleFailed: {run['rid']} ScheduleOwnerNotFound"


def test_new_logic(events):
    spec = f"ri.foundry.main.jobspec.master-d-logic"
    for logic in ("v2", "v3"):
        send_event(events, "logic_published", dataset("d-logic"), datasetRid=dataset("d-logic"),
                   jobSpecRid=spec, branch="master", logic=logic)
    found = wait_runs(events, "logic", 2)
    assert [f"logic v{n}" in run["trigger"] for n, run in zip((2, 3), found)] == [True, True]
    exported = json.loads(events.must("export"))
    assert [s["logic"] for s in exported["jobSpecs"] if s["rid"] == spec] == ["v3"]


def framed(schema, datum, schema_id):
    out = io.BytesIO()
    out.write(struct.pack(">bI", 0, schema_id))
    avro.io.DatumWriter(schema).write(datum, avro.io.BinaryEncoder(out))
    return out.getvalue()


def letters(system):
    return [{k: v for k, v in record.headers()} | {"value": record.value()}
            for record in checker.read_topic(system.bootstrap, "schedule-run-requests.dlq")]


def test_what_is_no_event_is_buried_and_holds_nobody_up(events):
    before = len(letters(events))
    good = checker.encode("dataset_committed", {
        "datasetRid": dataset("raw-plain"), "branch": "master", "transactionRid": transaction("x"),
        "parent": None, "time": 0})
    nowhere = f"ri.foundry.main.build.{'0' * 8}-0000-4000-8000-{'0' * 12}"
    bad = {
        b"": "empty",
        b"\0\0": "truncated-header",
        b"{}{}{}": "bad-magic",
        struct.pack(">bI", 0, 4711) + good[5:]: "unknown-schema",
        struct.pack(">bI", 0, 1) + good[5:]: "wrong-schema",
        good[:-1]: "malformed",
        good + b"\0": "trailing-bytes",
        good[:5] + b"\xff" * 400: "malformed",
        b"\0" * 900_000 + b"\1": "unknown-schema",  # the id 0
        good.replace(dataset("raw-plain").encode(), dataset("raw plain").encode()): "invalid-field",
        checker.encode("dataset_committed", {
            "datasetRid": dataset("raw-plain"), "branch": "master", "transactionRid": transaction("tomorrow"),
            "parent": None, "time": int(time.time() * 1000) + 25 * 3600_000}): "invalid-field",
        good.replace(dataset("raw-plain").encode(), dataset("nowhere-1").encode()): "not-applicable",
        checker.encode("build_finished", {"buildRid": nowhere, "state": "FAILED", "time": 0,
                                          "transactions": {}}): "not-applicable",
    }
    for value in bad:
        send(events, value)
    trigger = events.trigger_daemon
    wait_for("the build that isn't there", lambda: trigger.metric("schedrun_trigger_lag_records") > 0)
    waiting = json.loads(events.must("lag", "--for", "trigger", "-o", "jsonl").splitlines()[-1])
    assert waiting["partition"] == "total" and waiting["lag"] > 0
    committed(events, "raw-alone", "behind")
    wait_for("what is good to be applied", lambda: head(events, "raw-alone") == transaction("behind"))
    settle(events)
    wait_for("nothing to be waited for", lambda: trigger.metric("schedrun_trigger_lag_records") == 0)
    rows = map(json.loads, events.run("check", "-o", "jsonl").stdout.splitlines())
    assert {row["what"]: (row["state"], row["detail"]) for row in rows}["group schedrun-trigger"] == (
        "ok", "nothing waits; members: 1")
    found = letters(events)[before:]
    assert sorted(letter["schedrun.dlq.reason"].decode() for letter in found) == sorted(bad.values())
    for letter in found:
        assert letter["__connect.errors.topic"] == TOPIC.encode()
        whole = next(v for v in bad if v.startswith(letter["value"] or b"") and (
            v == (letter["value"] or b"") or "schedrun.dlq.truncated" in letter))
        assert bad[whole] == letter["schedrun.dlq.reason"].decode()


def test_a_letter_is_written_once_whoever_is_killed(events):
    """As soon as it is in the log, before an offset could be told by itself."""
    watcher = Consumer({"bootstrap.servers": events.bootstrap, "group.id": "watcher", "fetch.wait.max.ms": 5,
                        "isolation.level": "read_uncommitted", "enable.auto.commit": False})
    watcher.assign([TopicPartition(DLQ, p, end) for p, (_, end) in checker.log_ends(
        events.bootstrap, DLQ, isolation="read_uncommitted").items()])
    values = [b"no event, for the kill %d" % n for n in range(KILLED)]
    for n, value in enumerate(values):
        send(events, value)
        while watcher.poll(60).value() != value:
            pass  # of the one before, by the next trigger
        events.trigger_daemon.kill()
        events.trigger_daemon = events.trigger(f"killed-{n}", trigger__build__wait="2s", session__timeout__ms=6000)
    watcher.close()
    events.trigger_daemon.wait_ready()
    settle(events)
    # An offset is seen a moment before the letter that was committed with it.
    found = wait_for("each to be there", lambda: (
        lambda there: there if set(values) <= set(there) else None)([letter["value"] for letter in letters(events)]))
    assert {value: found.count(value) for value in values} == {value: 1 for value in values}


def test_a_letter_of_an_event_is_sent_again(events):
    name = f"{dataset('nowhere-1')}".encode()
    (place,) = (f"{record.partition()}:{record.offset()}"
                for record in checker.read_topic(events.bootstrap, "schedule-run-requests.dlq")
                if name in (record.value() or b""))
    refused = events.run("dlq", "redrive", place)
    assert refused.returncode == 1 and "--events sends it to topics.events" in refused.stdout
    events.apply({"datasets": {dataset("nowhere-1"): catalogues.stored(None)}})
    assert json.loads(events.must("dlq", "redrive", "--events", place))["result"] == "redriven"
    wait_for("the event to be applied", lambda: head(events, "nowhere-1") == transaction("x"))


def rewind(system, group=GROUP, topic=TOPIC):
    """As if the offsets of the last records were never committed."""
    admin = AdminClient({"bootstrap.servers": system.bootstrap, "log_level": 0})
    places = [TopicPartition(topic, p, 0) for p in range(2)]
    (future,) = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)]).values()
    assert not [place.error for place in future.result(20).topic_partitions if place.error]


def test_all_of_it_again_by_two(events):
    settle(events)
    before = dict(zip(TRIGGERS, counts(events, *TRIGGERS)))
    heads = {name: head(events, f"raw-{name}") for name in TRIGGERS}
    assert events.trigger_daemon.stop() == 0
    rewind(events)
    second = events.trigger("trigger-2").wait_ready()
    third = events.trigger("trigger-3").wait_ready()
    committed(events, "raw-plain", "plain-9")
    wait_runs(events, "plain", before["plain"] + 1)
    settle(events)
    after = dict(zip(TRIGGERS, counts(events, *TRIGGERS)))
    # What came while "paused" was paused is looked at again, and it isn't any more.
    assert {name: after[name] - n for name, n in before.items()} == {
        name: 1 if name in ("plain", "paused") else 0 for name in TRIGGERS}
    assert {name: head(events, f"raw-{name}") for name in TRIGGERS} == heads | {
        "plain": transaction("plain-9")}
    assert second.stop() == 0
    events.trigger_daemon = third


def ended(system, build):
    """What was told of its end."""
    found = [checker.decode("build_finished", record.value())
             for record in system.told.records()
             if record.key() == build.encode()]
    return [(event["state"], event["transactions"]) for event in found]


def test_what_the_builder_carries_out_is_told(events):
    job = events.directory / "job"
    job.write_text("#!/bin/sh\n[ \"$SCHEDRUN_LOGIC\" != fail ]\n")
    job.chmod(0o755)
    for name in ("carried", "carried", "spoilt"):
        events.must("submit", schedule_rid(name))
    events.wait_drained()
    first, again, spoilt = (run["result"]["buildRid"] for name in ("carried", "spoilt")
                            for run in runs(events, name))
    builder = events.builder(job).wait_ready()
    # The second build found its output up to date: it has succeeded, and made nothing.
    assert {run["trigger"] for run in wait_runs(events, "after-carried", 2)} == {
        f"scheduleSucceeded: {build} SUCCEEDED" for build in (first, again)}
    (run,) = wait_runs(events, "after-spoilt", 1)
    assert run["trigger"] == f"scheduleFailed: {spoilt} FAILED"
    (run,) = wait_runs(events, "after-carried-job", 1)
    assert ended(events, spoilt) == [("FAILED", {})]
    built = json.loads(events.redis.hget("schedrun:h", dataset("d-carried")))["master"]["head"]
    told = {build: ended(events, build) for build in (first, again)}
    assert sorted(told.values(), key=lambda events: len(events[0][1])) == [
        [("SUCCEEDED", {})], [("SUCCEEDED", {dataset("d-carried"): built})]]
    wait_for("all to be carried out", lambda: checker.lag(events.bootstrap, "schedrun-builder", "schedule-builds") <= 0)
    assert builder.stop(30) == 0
    # Killed before the brokers had the event of one of them, and before any offset was committed.
    rewind(events, "schedrun-builder", "schedule-builds")
    events.redis.hset(b"schedrun:b:" + uuid.UUID(first.rsplit(".", 1)[1]).bytes, "n", "SUCCEEDED")
    builder = events.builder(job, "builder-2").wait_ready()
    wait_for("it to be told again", lambda: len(ended(events, first)) == 2)
    wait_for("all to be seen", lambda: checker.lag(events.bootstrap, "schedrun-builder", "schedule-builds") <= 0)
    settle(events)
    assert [len(ended(events, build)) for build in (first, again, spoilt)] == [2, 1, 1]
    assert counts(events, "after-carried", "after-carried-job", "after-spoilt") == [2, 1, 1]
    assert builder.stop(30) == 0
