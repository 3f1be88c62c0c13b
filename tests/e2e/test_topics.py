"""Topics that are missing, deleted, made anew, smaller or larger than they were."""

import json
import time

import catalogues
import checker
import injected
import pytest
from adapters import Adapter
from confluent_kafka import Consumer, ConsumerGroupState, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from load import TOPIC, Load, mixed, request
from programs import GROUP, wait_for
from proxy import HEARTBEAT, PRODUCE, Proxy

RESULTS = "schedule-run-results"
DLQ = "schedule-run-requests.dlq"
SCHEDULES = [catalogues.schedule_rid(f"s{i}") for i in range(40)]


def administer(system, ask):
    """Does what `ask` asks of an admin client, which must outlive its answers."""
    admin = AdminClient({"bootstrap.servers": system.bootstrap, "log_level": 0})
    for what, future in ask(admin).items():
        future.result(30)
        injected.note(f"administered: {what}")


def start(system, partitions=2, **settings):
    system.init(partitions=partitions)
    system.apply(catalogues.many(len(SCHEDULES)))
    return system.worker(**settings).wait_ready()


def send(system, requests):
    load = Load(system.bootstrap)
    for datum in requests:
        load.send(datum)
    return load.flush()


def send_at_once(system, requests):
    """In a transaction: whoever is faster than the sender finds all of them all the same."""
    load = Load(system.bootstrap, settings={"transactional.id": "at-once"})
    load.producer.init_transactions(30)
    load.transaction(requests)
    return load.asked


def delete(system, topic):
    """Returns when the broker, too, has heard of it from the controller."""
    administer(system, lambda admin: admin.delete_topics([topic]))
    admin = AdminClient({"bootstrap.servers": system.bootstrap, "log_level": 0})
    wait_for(f"{topic} to be gone", lambda: topic not in admin.list_topics(timeout=20).topics)


def set_limit(system, topic, size):
    system.alter_topic(topic, max__message__bytes=size)


def test_a_limit_that_is_lowered(system):
    """What librdkafka puts together must fit it too; nobody need restart."""
    worker = start(system)
    asked = send(system, mixed(SCHEDULES, 2000))
    system.wait_drained()
    set_limit(system, RESULTS, 20000)
    asked += send_at_once(system, mixed(SCHEDULES, 4000, seed=2))
    system.wait_drained()
    system.judge(asked)
    assert "topic_limits" in worker.log()
    lost = [line for line in worker.log().splitlines() if "event=transaction_lost" in line]
    assert len([line for line in lost if "MSG_SIZE_TOO_LARGE" in line]) <= 3, lost


def rebalance(system, proxy):
    """Another member comes; returns it when the worker has heard that it is to give
    its partitions back."""
    admin = AdminClient({"bootstrap.servers": system.bootstrap, "log_level": 0})
    other = Consumer({"bootstrap.servers": system.bootstrap, "group.id": GROUP,
                      "partition.assignment.strategy": "range"})
    other.subscribe([TOPIC])

    def state():
        other.poll(0.05)
        return admin.describe_consumer_groups([GROUP])[GROUP].result(10).state

    wait_for("a rebalance", lambda: state() == ConsumerGroupState.PREPARING_REBALANCING)
    proxy.wait_answered(HEARTBEAT, proxy.answered[HEARTBEAT] + 2)
    return other


def test_limits_that_do_until_they_are_mended(system):
    """A batch is lost for its size while its partitions go.  Until the limits can be
    read, which a missing topic hinders, no producer is opened, and the next batch must
    not wait for one that waits for the limits."""
    proxy = Proxy(("127.0.0.1", system.cluster.proxied_port), system.cluster.proxy_port,
                  kafka=True)
    worker = start(system, worker__batch__max__records="20",
                   **{"bootstrap.servers": f"127.0.0.1:{proxy.port}",
                      "heartbeat.interval.ms": 200})
    try:
        set_limit(system, RESULTS, 2000)
        delete(system, DLQ)
        proxy.hold(PRODUCE, [True] * 100)
        asked = send(system, mixed(SCHEDULES, 400))
        proxy.wait_held(1)
        other = rebalance(system, proxy)
        for held in proxy.held:
            held.gate.set()
        proxy.hold(PRODUCE, [])
        wait_for("the other to have a partition",
                 lambda: other.poll(0.1) is None and other.assignment())
        other.close()
        wait_for("the worker to say what is wrong",
                 lambda: not worker.is_ready() and DLQ in worker.admin("/readyz")[1])
        system.init(partitions=2)
        system.wait_drained(30)
        system.judge(asked)
    finally:
        proxy.close()


def test_builds_that_fit_no_more(system):
    """A build over a lowered limit ends as an error, it does not block."""
    worker = start(system)
    asked = send(system, [request(SCHEDULES[0], "fits")])
    system.wait_drained()
    set_limit(system, "schedule-builds", 300)
    asked += send(system, [request(SCHEDULES[0], "too large")])
    system.wait_drained()
    assert system.judge(asked).outcomes == {"submitted": 1, "error": 1}
    runs = [checker.decode("schedule_run", m.value())
            for m in checker.read_topic(system.bootstrap, RESULTS)]
    assert [run["why"]["cause"] for run in runs][-1] == "buildTooLarge"
    assert worker.stop() == 0


def test_a_worker_before_init(system):
    """It waits and names what is to be run, whichever topic is missing."""
    worker = system.worker()
    wait_for("init to be named", lambda: "run schedrun init" in worker.blamed().get("kafka", ""))
    assert worker.metric('schedrun_ready{check="kafka"}') == 0
    system.init()
    delete(system, RESULTS)
    wait_for("the topic to be named", lambda: RESULTS in worker.blamed().get("kafka", "")
             or "schedrun apply" in worker.blamed().get("redis", ""))
    system.init()
    wait_for("apply to be named", lambda: "schedrun apply" in worker.blamed().get("redis", ""))
    system.apply(catalogues.many(len(SCHEDULES)))
    worker.wait_ready()
    assert {worker.metric(f'schedrun_ready{{check="{check}"}}') for check in ("kafka", "redis")} == {1}


def test_a_dlq_that_is_deleted(system):
    """Kafka alone is blamed, at once and all the time; all is answered once it is there."""
    worker = start(system)
    delete(system, DLQ)
    load = Load(system.bootstrap)
    load.send_bad(b"not avro", "bad-magic", partition=0)
    load.send(request(SCHEDULES[0], "good"))
    asked = load.flush()
    wait_for("the topic to be named", lambda: DLQ in worker.blamed().get("kafka", ""), 3)
    begun = time.monotonic()
    while time.monotonic() < begun + 12:  # longer than a report of Redis's holds
        blamed = worker.blamed()
        assert list(blamed) == ["kafka"] and DLQ in blamed["kafka"], blamed
    system.init(partitions=2)
    worker.wait_ready()
    system.wait_drained()
    system.judge(asked)


def test_what_others_read_is_named_while_it_is_away(system):
    """All the time, by who reads it, while Kafka is fine; each goes on when it is there again."""
    start(system)
    readers = {system.builder("/bin/true").wait_ready(): ("kafka", "schedule-builds"),
               system.trigger().wait_ready(): ("events", "schedule-events"),
               Adapter(system).daemon: ("view", RESULTS)}
    for _, topic in readers.values():
        delete(system, topic)
    for daemon, (check, topic) in readers.items():
        wait_for(f"{daemon.name} to name {topic}", lambda: daemon.blamed().get(check)
                 == f"topic {topic} does not exist; run schedrun init", 10)
    begun = time.monotonic()
    while time.monotonic() < begun + 5:  # more than two looks
        for daemon, (check, topic) in readers.items():
            blamed = daemon.blamed()
            # The adapter's live events need the results, too, and may say so later.
            assert topic in blamed.get(check, "") and set(blamed) <= {check, "results"}, (daemon.name, blamed)
    system.init(partitions=2)
    for daemon in readers:
        daemon.wait_ready(20)


def test_requests_that_are_away_for_long(system):
    """Not ready without a partition; it has them soon after they are there again."""
    worker = start(system)
    delete(system, TOPIC)
    wait_for("the topic to be named", lambda: TOPIC in worker.blamed().get("kafka", ""), 20)
    wait_for("the partitions to go",
             lambda: worker.metric("schedrun_assigned_partitions") == 0, 30)
    system.init(partitions=2)
    asked = send(system, mixed(SCHEDULES, 100))
    wait_for("the partitions", lambda: worker.metric("schedrun_assigned_partitions") == 2, 20)
    worker.wait_ready(10)
    system.wait_drained()
    system.judge(asked)


def test_results_deleted_under_load(system):
    worker = start(system, **{"message.timeout.ms": 6000})
    send(system, mixed(SCHEDULES, 100))
    system.wait_drained()
    # It holds those of results that are gone, and would hold those of a transaction
    # that waits for the results: before there is one.
    delete(system, "schedule-builds")
    delete(system, RESULTS)
    asked = send(system, mixed(SCHEDULES, 500, seed=2))
    wait_for("the worker to name a topic", lambda: list(worker.blamed()) == ["kafka"] and any(
        topic in worker.blamed()["kafka"] for topic in (RESULTS, "schedule-builds")), 5)
    system.init(partitions=2)
    worker.wait_ready()
    system.wait_drained()
    system.judge(asked)


def test_requests_made_anew_under_a_worker(system):
    worker = start(system)
    asked = send(system, mixed(SCHEDULES[:20], 500))
    system.wait_drained()
    delete(system, TOPIC)
    system.init(partitions=2)
    asked += send(system, mixed(SCHEDULES[20:], 200, seed=2))
    system.wait_drained()
    system.judge(asked)
    assert worker.stop() == 0


def test_partitions_that_are_added(system):
    worker = start(system, partitions=1, **{"topic.metadata.refresh.interval.ms": 1000})
    asked = send(system, mixed(SCHEDULES, 200))
    system.wait_drained()
    administer(system, lambda admin: admin.create_partitions([NewPartitions(TOPIC, 4)]))
    wait_for("the new partitions",
             lambda: worker.metric("schedrun_assigned_partitions") == 4)
    asked += send(system, mixed(SCHEDULES, 400, seed=2))
    system.wait_drained()
    system.judge(asked)


def test_requests_that_retention_has_removed(system):
    worker = start(system, partitions=1)
    first = send(system, mixed(SCHEDULES, 10, repeats=0))
    system.wait_drained()
    assert worker.stop() == 0
    asked = send(system, mixed(SCHEDULES, 100, repeats=0, seed=2))
    administer(system, lambda admin: admin.delete_records([TopicPartition(TOPIC, 0, 60)]))
    worker = system.worker("worker-2")
    assert worker.wait(30) == 65
    assert "offsets 10..59 are gone: 50 requests lost" in worker.log()
    system.worker("worker-3", worker__accept__loss="on").wait_ready()
    system.wait_drained()
    assert system.judge(first + asked[50:]).results == 10 + 50


def test_check_and_init_say_what_a_topic_lacks(system):
    """check with a line to paste, each setting in it."""
    system.init()

    def checked():
        rows = [json.loads(line) for line in system.run("check").stdout.splitlines()]
        return {row["what"]: row for row in rows}
    found = checked()
    assert found[f"topic {TOPIC}"]["state"] == found[f"topic {DLQ}"]["state"] == "ok"
    assert found["replicas"]["state"] == "note" and "lost disk" in found["replicas"]["detail"]
    system.alter_topic(TOPIC, retention__ms=3600000, cleanup__policy="compact")
    set_limit(system, DLQ, 100000)
    found = checked()
    row = found[f"topic {TOPIC}"]
    assert row["state"] == "fault" and "retention.ms is 3600000, wanted 604800000" in row["detail"]
    assert row["mend"] == (
        f"kafka-configs.sh --bootstrap-server {system.bootstrap} --alter --entity-type topics "
        f"--entity-name {TOPIC} --add-config cleanup.policy=delete,retention.ms=604800000")
    row = found[f"topic {DLQ}"]
    assert "max.message.bytes is 100000, wanted 163840" in row["detail"]
    assert row["mend"].endswith("--add-config max.message.bytes=1179648")
    said = system.must("init", "--replication", "3")
    assert "replicas is 1, wanted 3; min.insync.replicas is 1, wanted 2" in said


@pytest.mark.parametrize("refused, mended, where", [
    ({"cleanup__policy": "compact"}, {"cleanup__policy": "delete"}, [0, 1]),
    ({"max__message__bytes": 200}, {"max__message__bytes": 1179648}, [0]),
], ids=["compacted", "too small for any"])
def test_a_letter_that_is_refused_stops_its_partition_alone(system, refused, mended, where):
    """A compacted topic takes no record without a key, however it is cut; what was too
    large stands whole, once there is room."""
    worker = start(system)
    system.alter_topic(DLQ, **refused)
    load = Load(system.bootstrap)
    for number in range(3):
        if 1 in where:
            load.send_bad(b"not avro", "bad-magic", key=b"a key", partition=1)
        load.send_bad(b"not avro" * 1000, "bad-magic", key=None, partition=0)
    for datum in mixed(SCHEDULES, 200, repeats=0):
        load.send(datum)
    asked = load.flush()

    def others_are_through():
        committed = checker.committed_offsets(system.bootstrap, GROUP, TOPIC)
        return committed.get(1) == checker.log_ends(system.bootstrap, TOPIC)[1][1]
    wait_for("the other partition's requests", others_are_through, 30)
    wait_for("the worker to say so",
             lambda: "partition 0 is stopped at offset 0" in worker.admin("/readyz")[1], 20)
    wait_for("the metric", lambda: worker.metric("schedrun_stopped_partitions") == 1, 20)
    worker.wait_ready(20)
    wait_for("check to say so",
             lambda: "partition 0 waits at offset 0" in system.run("check").stdout, 20, pause=1)
    more = Load(system.bootstrap)
    for datum in mixed(SCHEDULES, 50, repeats=0, seed=2):
        more.send(datum)
    more.flush()
    wait_for("the other partition's requests", others_are_through, 30)
    assert checker.committed_offsets(system.bootstrap, GROUP, TOPIC).get(0) is None
    system.alter_topic(DLQ, **mended)
    system.wait_drained(60)
    system.judge(asked + more.asked)
    wait_for("the worker to say so", lambda: worker.metric("schedrun_stopped_partitions") == 0)
    assert "partition_stopped" in worker.log() and worker.stop() == 0
