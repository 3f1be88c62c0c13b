"""A user of Kafka's with the rights that docs/faults.md names, and without one of them: at
the check, at a worker's start, under load."""

import json
import time

import catalogues
import checker
import cluster
import programs
import pytest
from confluent_kafka.admin import (
    AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient,
    ResourcePatternType, ResourceType, ScramCredentialInfo, ScramMechanism,
    UserScramCredentialUpsertion)
from load import Load, mixed
from programs import wait_for

REQUESTS, RESULTS, BUILDS, DLQ = TOPICS = (
    "schedule-run-requests", "schedule-run-results", "schedule-builds", "schedule-run-requests.dlq")
ID, TRIGGER_ID = "schedrun-worker-", "schedrun-trigger-"  # what transactional ids begin with
NAMES = {"topic": "TOPIC", "group": "GROUP", "transactional-id": "TRANSACTIONAL_ID"}
WORKER = [("Read", "topic", REQUESTS), ("Write", "topic", RESULTS), ("Write", "topic", BUILDS),
          ("Write", "topic", DLQ), ("Read", "group", "schedrun-worker"),
          ("Write", "transactional-id", ID)]
HTTP = [("Write", "topic", REQUESTS), ("Read", "topic", RESULTS), ("Read", "topic", BUILDS),
        ("Read", "group", "schedrun-http")]
BUILDER = [("Read", "topic", BUILDS), ("Read", "group", "schedrun-builder"),
           ("Write", "topic", "schedule-events")]
TRIGGER = [("Write", "topic", REQUESTS), ("Read", "topic", "schedule-events"), ("Read", "topic", RESULTS),
           ("Write", "topic", DLQ), ("Read", "group", "schedrun-trigger"), ("Write", "transactional-id", TRIGGER_ID)]
SEEN = [("DescribeConfigs", "topic", topic) for topic in TOPICS]


class Guarded(programs.System):
    """Its programs log in as `app`."""

    mechanism = "PLAIN"

    def flags(self):
        return ["-X", f"bootstrap.servers=127.0.0.1:{self.cluster.guarded_port}",
                "-X", "security.protocol=SASL_PLAINTEXT", "-X", f"sasl.mechanisms={self.mechanism}",
                "-X", "sasl.username=app", "--redis", self.redis_url]

    def admin(self):
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def _acl(self, kind, right):
        operation, resource, name = right
        pattern = ResourcePatternType.PREFIXED if name in (ID, TRIGGER_ID) else ResourcePatternType.LITERAL
        operation = {"Read": AclOperation.READ, "Write": AclOperation.WRITE,
                     "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS}[operation]
        return kind(ResourceType[NAMES[resource]], name, pattern, "User:app", "*", operation,
                    AclPermissionType.ALLOW)

    def grant(self, rights):
        admin = self.admin()
        for future in admin.create_acls([self._acl(AclBinding, r) for r in rights]).values():
            future.result(20)

    def take(self, rights):
        filters = [self._acl(AclBindingFilter, right) for right in rights]
        admin = self.admin()
        for future in admin.delete_acls(filters).values():
            future.result(20)

    def checked(self, *flags):
        """Exit code and the rows that aren't ok, by what they are of."""
        done = self.run("check", *flags)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, {row["what"]: row for row in rows if row["state"] != "ok"}


@pytest.fixture
def guarded(system, monkeypatch):
    monkeypatch.setenv("SCHEDRUN_KAFKA_SASL_PASSWORD", cluster.PASSWORD)
    system.init(partitions=2)
    system.apply(catalogues.many(40))
    guarded = Guarded(system.cluster, system.directory)
    guarded.plain = system
    guarded.grant(WORKER + HTTP + SEEN)
    yield guarded
    guarded.stop()
    guarded.take(WORKER + HTTP + SEEN)


def send(system, n, seed=1):
    load = Load(system.bootstrap)
    for datum in mixed([catalogues.schedule_rid(f"s{i}") for i in range(40)], n, seed=seed):
        load.send(datum)
    return load.flush()


def test_check_tries_each_right(guarded):
    """Those that are missing are named, with the line that grants each, and what is tried
    leaves nothing behind: no record, no marker, no offset."""
    code, found = guarded.checked()
    assert code == 0 and not any("right" in what for what in found), found
    topics = [right for right in WORKER + HTTP if right[1] == "topic"]
    others = [right for right in WORKER + HTTP if right[1] != "topic"]
    for missing in topics[:1], topics, others:
        guarded.take(missing)
        code, found = guarded.checked()
        guarded.grant(missing)
        faults = {what: row["mend"] for what, row in found.items() if row["state"] == "fault"}
        assert code == 1 and len(faults) == len(missing), found
        for operation, kind, name in missing:
            mend = faults[f"right {operation} of {kind} {name}"]
            assert f" --allow-principal User:app --operation {operation} --{kind} {name}" in mend
            assert mend.endswith("--resource-pattern-type prefixed") == (name == ID)
    for topic in TOPICS:
        ends = checker.log_ends(guarded.bootstrap, topic, isolation="read_uncommitted")
        assert set(ends.values()) == {(0, 0)}, (topic, ends)
    assert not checker.committed_offsets(guarded.bootstrap, programs.GROUP, REQUESTS)


@pytest.mark.parametrize("program, rights", [("builder", BUILDER), ("trigger", TRIGGER)])
def test_check_tries_each_right_of(guarded, program, rights):
    """Of the builder and the trigger, before they have anything to write."""
    before = [right for right in rights if right in WORKER + HTTP]
    guarded.grant(rights)
    try:
        code, found = guarded.checked("--for", program)
        assert code == 0 and not any("right" in what for what in found), found
        for missing in rights:
            guarded.take([missing])
            code, found = guarded.checked("--for", program)
            guarded.grant([missing])
            operation, kind, name = missing
            row = found[f"right {operation} of {kind} {name}"]
            assert code == 1 and row["state"] == "fault" and f"schedrun-{program} can't do without" in row["detail"]
            assert f" --allow-principal User:app --operation {operation} --{kind} {name}" in row["mend"]
    finally:
        guarded.take(rights)
        guarded.grant(before)


def test_check_for_one_program(guarded):
    guarded.take(HTTP)
    assert guarded.checked("--for", "worker")[0] == 0
    guarded.take(WORKER)
    code, found = guarded.checked("--for", "worker")
    assert code == 1 and found[f"topic {REQUESTS}"]["state"] == "note"
    guarded.grant(HTTP)
    code, found = guarded.checked("--for", "http")
    assert code == 0 and not any("right" in what for what in found), found
    code, found = guarded.checked("--for", "builder")
    right = found["right Read of group schedrun-builder"]
    assert code == 1 and right["state"] == "fault" and "schedrun-builder can't do without" in right["detail"]
    assert found["right Write of topic schedule-events"]["state"] == "fault", found
    code, found = guarded.checked("--for", "trigger")
    faults = {what for what, row in found.items() if row["state"] == "fault"}
    assert code == 1 and f"right Write of topic {REQUESTS}" not in found
    assert "right Read of group schedrun-trigger" in faults, found
    done = guarded.run("check", "--for", "nobody")
    assert done.returncode == 2 and "builder and trigger" in done.stderr


@pytest.mark.parametrize("right", [WORKER[0], WORKER[1], WORKER[4], WORKER[5]],
                         ids=lambda right: f"{right[0]}-{right[1]}")
def test_a_right_that_is_missing_at_the_start(guarded, right):
    send(guarded, 10)
    guarded.take([right])
    worker = guarded.worker()
    assert worker.wait(30) == 77, worker.tail()
    assert "AUTHORIZATION_FAILED" in worker.log().splitlines()[-1]


@pytest.mark.parametrize("topic", [BUILDS, DLQ])
def test_a_topic_that_nothing_is_written_to_yet(guarded, topic):
    """What a worker may not write is told at its start, not with the first build or letter."""
    seen = ("Read", "topic", topic)  # so that it is there for who asks
    guarded.grant([seen])
    guarded.take([("Write", "topic", topic)])
    worker = guarded.worker()
    assert worker.wait(30) == 77, worker.tail()
    said = worker.log().splitlines()[-1]
    assert "no right to write" in said and topic in said and "AUTHORIZATION_FAILED" in said
    guarded.grant([("Write", "topic", topic)])
    guarded.worker("worker-2").wait_ready()
    if topic == DLQ:
        guarded.take([seen])


def test_others_name_what_they_may_not_write(guarded):
    """Before there is an event or a letter; and are ready once they may."""
    guarded.grant(BUILDER + TRIGGER)
    try:
        for start, check, missing in (
                (lambda: guarded.builder("/bin/true"), "events", BUILDER[2]),
                (guarded.trigger, "kafka", TRIGGER[0]),
                (guarded.trigger, "events", TRIGGER[3]),
                (guarded.trigger, "events", TRIGGER[5])):
            guarded.take([missing])
            daemon = start()
            named = "AUTHORIZATION_FAILED"
            wait_for(f"{missing} to be named", lambda: named in daemon.blamed().get(check, ""), 30)
            guarded.grant([missing])
            daemon.wait_ready(30)
            assert daemon.stop() == 0
    finally:
        guarded.take(BUILDER + TRIGGER)
        guarded.grant([("Read", "topic", BUILDS), ("Read", "topic", RESULTS), ("Write", "topic", REQUESTS),
                       ("Write", "topic", DLQ)])


def test_rights_that_go_missing_under_load(guarded):
    """Each in turn: not ready, named; it goes on when the right is back, nothing is lost."""
    worker = guarded.worker().wait_ready()
    asked = send(guarded, 100)
    guarded.wait_drained()
    for seed, (right, named) in enumerate([
            (WORKER[5], "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"),
            (WORKER[1], "a topic may not be written"),
            (WORKER[0], REQUESTS),
            (WORKER[4], "group schedrun-worker")], 2):
        guarded.take([right])

        def is_named():
            assert worker.process.poll() is None, worker.tail()
            asked.extend(send(guarded, 10, seed=seed * 10000 + len(asked)))
            blamed = worker.blamed()
            assert set(blamed) <= {"kafka"}, blamed
            return named in blamed.get("kafka", "")
        wait_for(f"{named} to be named", is_named, 20)
        guarded.grant([right])
    for kind in ("TOPIC", "GROUP", "TRANSACTIONAL_ID"):
        assert worker.metric(f'schedrun_kafka_errors_total{{code="{kind}_AUTHORIZATION_FAILED"}}')
    worker.wait_ready(30)
    guarded.wait_drained()
    guarded.plain.judge(asked)
    assert worker.stop() == 0


def test_a_builder_waits_for_its_rights(guarded):
    """Before it has them, and when one is taken: it is named, and asks on."""
    topic, group, _ = BUILDER
    guarded.grant(BUILDER)
    try:
        guarded.take([group])
        builder = guarded.builder("/bin/true")
        for right in group, topic:
            def is_named():
                assert builder.process.poll() is None, builder.tail()
                return f"{right[1].capitalize()} authorization failed" in builder.blamed().get("kafka", "")
            guarded.take([right])
            wait_for(f"{right} to be named", is_named, 30)
            guarded.grant([right])
            builder.wait_ready(30)
        assert builder.stop() == 0
    finally:
        guarded.take(BUILDER)


def test_a_topic_that_may_not_be_read_is_named_all_the_time(guarded):
    """By each who reads it, until it may be read again; Kafka tells it now and then."""
    trigger = [("Read", "topic", "schedule-events"), ("Read", "group", "schedrun-trigger"),
               ("Write", "topic", f"{REQUESTS}.dlq"), ("Write", "transactional-id", TRIGGER_ID)]
    guarded.grant(BUILDER + trigger)
    try:
        send(guarded, 100)
        readers = {guarded.worker(): ("kafka", REQUESTS), guarded.adapter(
                       http__auth="none", http__listen="127.0.0.1:0"): ("view", RESULTS),
                   guarded.trigger(): ("events", "schedule-events"), guarded.builder("/bin/true"): ("kafka", BUILDS)}
        for daemon in readers:
            daemon.wait_ready()
        guarded.wait_drained()
        rights = [("Read", "topic", topic) for _, topic in readers.values()]
        guarded.take(rights)

        def are_named():
            return all("Topic authorization failed" in daemon.blamed().get(check, "")
                       for daemon, (check, _) in readers.items())
        wait_for("all to be named", are_named, 30)
        begun = time.monotonic()
        while time.monotonic() < begun + 11:  # it is told anew each 5 s
            assert are_named(), {daemon.name: daemon.blamed() for daemon in readers}
        guarded.grant(rights)
        for daemon in readers:
            daemon.wait_ready(20)
    finally:
        guarded.take(BUILDER + trigger)


def test_a_wrong_password_is_named_by_each(guarded, monkeypatch):
    monkeypatch.setenv("SCHEDRUN_KAFKA_SASL_PASSWORD", "wrong")
    for command in (["submit", catalogues.schedule_rid("s1")], ["lag"], ["dlq", "list"], ["check"],
                    ["dataset", "commit", catalogues.dataset("raw"), "--branch", "master", "--kafka"]):
        done = guarded.run("--timeout", "3s", *command)
        assert done.returncode == 7 and "Authentication failed" in done.stdout + done.stderr, done
    trigger = guarded.trigger()
    wait_for("the trigger to name it", lambda: "Authentication failed" in trigger.blamed().get("kafka", ""), 20)


def test_scram_that_kafka_4_refuses(guarded):
    """The password is right; an older librdkafka is refused all the same, and said to be."""
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    upsertion = UserScramCredentialUpsertion("app", info, cluster.PASSWORD.encode())
    admin = guarded.admin()
    for future in admin.alter_user_scram_credentials([upsertion]).values():
        future.result(20)
    guarded.mechanism = "SCRAM-SHA-256"
    worker = guarded.worker()
    done = guarded.run("--timeout", "2s", "check")
    if done.returncode == 0:  # a librdkafka that is new enough, or Kafka 3
        worker.wait_ready()
        return
    assert done.returncode == 7 and "before 2.6.1" in done.stdout
    assert worker.wait(30) == 77 and "before 2.6.1" in worker.log().splitlines()[-1]
