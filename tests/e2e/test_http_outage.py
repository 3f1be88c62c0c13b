"""Kafka or Redis away: quick and honest answers, and back without a restart."""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import uuid

import catalogues
import checker
import pytest
from adapters import API, Adapter, event_id
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic
from programs import stand_still, wait_for
from proxy import FIND_COORDINATOR, Proxy

SCHEDULE = catalogues.schedule_rid("stale")
RESULTS = "schedule-run-results"


@pytest.fixture(scope="module")
def system(fresh_system, servers):
    fresh_system.init()
    fresh_system.apply(catalogues.outcomes())
    fresh_system.worker()
    yield fresh_system
    for what, start in ((servers.kafka_process, servers.start_kafka),
                        (servers.redis_process, servers.start_redis)):
        if what is None:
            start()
        else:
            what.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def adapter(system):
    return Adapter(system)


def checks(adapter):
    """status, then name -> check of /readyz."""
    status, body = adapter.daemon.admin("/readyz")
    document = json.loads(body)
    assert document["status"] == ("ready" if status == 200 else "unready")
    return status, {check["name"]: check for check in document["checks"]}


def wait_red(adapter, name, timeout=15):
    def look():
        status, found = checks(adapter)
        return found[name] if status == 503 and not found[name]["ok"] else None
    check = wait_for(f"{name} to be red", look, timeout)
    assert check["reason"] and check["since"].endswith("Z")
    assert adapter.daemon.metric(f'schedrun_ready{{check="{name}"}}') == 0
    assert adapter.daemon.admin("/healthz")[0] == 200
    assert adapter.call("GET", "/healthz", token=None, timeout=2).status_code == 200
    return check


def timed(call):
    started = time.monotonic()
    return call(), time.monotonic() - started


def refused(answer):
    assert answer.status_code == 503, answer.text
    error = answer.json()
    assert error["errorName"] == "Default:ServiceUnavailable"
    assert answer.headers["Retry-After"] == "1"
    return True


def results_of(system, run):
    return [m for m in checker.read_topic(system.bootstrap, RESULTS)
            if checker.decode("schedule_run", m.value())["rid"] == run]


def test_the_broker_dies_and_comes_back(system, servers, adapter):
    known = adapter.run(SCHEDULE, Prefer="wait=30").json()
    stream = adapter.events()
    servers.stop_kafka(hard=True)
    check = wait_red(adapter, "kafka")
    answer, took = timed(lambda: adapter.run(SCHEDULE))
    assert refused(answer) and took < 1
    read, took = timed(lambda: adapter.call(
        "GET", f"{API}/schedules/{SCHEDULE}/runs/{known['rid']}"))
    assert read.json() == known and took < 1
    assert not stream.ended
    keyed = adapter.run(SCHEDULE, Idempotency_Key="through-the-outage")
    assert refused(keyed)
    servers.start_kafka()
    adapter.daemon.wait_ready()
    after = checks(adapter)[1]["kafka"]
    assert after["ok"] and after["since"] > check["since"]
    run = wait_for("a run", lambda: (lambda a: a if a.status_code == 200 else None)(
        adapter.run(SCHEDULE, Idempotency_Key="through-the-outage", Prefer="wait=30"))).json()
    assert "result" in run
    stream.wait(lambda s: run["rid"] in s.rids(), "the run's event")
    stream.close()


def test_a_broker_that_hangs(system, servers, adapter):
    """The outcome is unknown: 500, and the repetition is the same run."""
    key = str(uuid.uuid4())
    assert adapter.run(SCHEDULE).status_code == 200
    with stand_still(servers.kafka_process):
        answer, took = timed(lambda: adapter.run(SCHEDULE, Idempotency_Key=key))
        assert answer.status_code == 500 and 8 < took < 14, (answer.text, took)
        error = answer.json()
        assert error["errorName"] == "Default:Timeout" and error["errorCode"] == "TIMEOUT"
        assert error["parameters"]["scheduleRid"] == SCHEDULE
        wait_red(adapter, "kafka")
    adapter.daemon.wait_ready()
    again = adapter.run(SCHEDULE, Idempotency_Key=key, Prefer="wait=30")
    assert again.status_code == 200 and again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["rid"] == error["parameters"]["runRid"]
    assert "result" in again.json()
    system.wait_drained()
    assert len(results_of(system, again.json()["rid"])) == 1


def test_redis_dies_and_comes_back(system, servers, adapter):
    run = adapter.run(SCHEDULE, Prefer="wait=30").json()
    stream = adapter.events()
    servers.stop_redis(hard=True)
    for call in (lambda: adapter.run(SCHEDULE),
                 lambda: adapter.call("GET", f"{API}/schedules/{SCHEDULE}/runs/{run['rid']}"),
                 lambda: adapter.call("GET", f"{API}/runEvents?scheduleRid={SCHEDULE}")):
        answer, took = timed(call)
        assert refused(answer) and took < 1.5
    wait_red(adapter, "redis")
    wait_red(adapter, "view")
    assert adapter.run(SCHEDULE).status_code == 503
    servers.start_redis()
    adapter.daemon.wait_ready()
    after = adapter.run(SCHEDULE, Prefer="wait=30").json()
    assert "result" in after
    stream.wait(lambda s: after["rid"] in s.rids(), "the run's event")
    stream.close()


def test_a_coordinator_that_is_named_late(system):
    """Once the page has given up on it: librdkafka aborts where a request has timed out by then."""
    proxy = Proxy(("127.0.0.1", system.cluster.proxied_port), system.cluster.proxy_port, kafka=True)
    try:
        named_late = Adapter(system, "http-late", **{"bootstrap.servers": f"127.0.0.1:{proxy.port}"})

        def lag():
            return named_late.call("GET", "/dashboard/overview").json().get("requests", {})
        proxy.hold(FIND_COORDINATOR, [True])
        held = wait_for("the page to ask", lambda: lag() or proxy.held) and proxy.wait_held(1)[0]
        assert held.client_id == "schedrun-http-page"
        wait_for("the page to give up", lambda: "error" in lag())
        held.release()
        wait_for("the page to measure", lambda: "lag" in lag())
        assert named_late.daemon.stop() == 0
    finally:
        proxy.close()


def test_a_redis_that_hangs(servers, adapter):
    """Many ask: none waits longer than a command's time-out, twice."""
    took, answers = [], []

    def ask():
        answer, seconds = timed(lambda: adapter.run(SCHEDULE))
        answers.append(answer)
        took.append(seconds)

    with stand_still(servers.redis_process):
        threads = [threading.Thread(target=ask) for _ in range(60)]
        for thread in threads:
            thread.start()
        _, alive = timed(lambda: adapter.call("GET", "/healthz", token=None))
        for thread in threads:
            thread.join()
        assert all(refused(answer) for answer in answers)
        assert max(took) < 6 and alive < 1, (max(took), alive)
        wait_red(adapter, "redis")
        answer, seconds = timed(lambda: adapter.run(SCHEDULE))
        assert refused(answer) and seconds < 1  # known by now
    adapter.daemon.wait_ready()
    assert "result" in adapter.run(SCHEDULE, Prefer="wait=30").json()


def test_a_full_queue(system, servers):
    """What does not fit was not published: 503, safe to repeat."""
    small = Adapter(system, "http-small",
                    **{"queue.buffering.max.messages": "5", "message.timeout.ms": "6000"})
    assert small.run(SCHEDULE).status_code == 200
    answers = []
    with stand_still(servers.kafka_process):
        threads = [threading.Thread(target=lambda: answers.append(small.run(SCHEDULE)))
                   for _ in range(12)]
        for thread in threads:
            thread.start()
        wait_for("those that don't fit", lambda: len(answers) >= 7, 5)
        assert all(refused(answer) for answer in answers[:7])
    for thread in threads:
        thread.join()
    assert {a.status_code for a in answers[7:]} <= {200, 500}
    small.daemon.wait_ready()
    assert "result" in small.run(SCHEDULE, Prefer="wait=30").json()
    assert small.daemon.stop() == 0


def test_the_requests_topic_is_made_anew(system, adapter):
    admin = AdminClient({"bootstrap.servers": system.bootstrap, "log_level": 0})
    admin.delete_topics(["schedule-run-requests"])["schedule-run-requests"].result(20)

    def create():
        try:
            admin.create_topics([NewTopic("schedule-run-requests", 4, 1)])[
                "schedule-run-requests"].result(20)
            return True
        except KafkaException:  # still being deleted
            return False

    answer, took = timed(lambda: adapter.run(SCHEDULE))
    assert answer.status_code in (500, 503) and took < 12
    wait_for("the topic", create)
    run = wait_for("a run", lambda: (lambda a: a if a.status_code == 200 else None)(
        adapter.run(SCHEDULE, Prefer="wait=30"))).json()
    adapter.daemon.wait_ready()
    wait_for("its result", lambda: "result" in adapter.call(
        "GET", f"{API}/schedules/{SCHEDULE}/runs/{run['rid']}").json())


def test_started_before_kafka_and_redis(system, servers):
    servers.stop_kafka()
    servers.stop_redis()
    early = Adapter(system, "http-early", wait=False)
    wait_for("the admin port", lambda: early.daemon.admin("/healthz"))
    for name in ("kafka", "redis", "view", "results"):
        wait_red(early, name)
    assert refused(early.run(SCHEDULE))
    servers.start_redis()
    servers.start_kafka()
    early.daemon.wait_ready()
    assert "result" in early.run(SCHEDULE, Prefer="wait=30").json()
    assert early.daemon.stop() == 0


def test_ready_is_who_can_send_live_events(system, servers):
    """Whose results nobody has read yet answers 503, so a balancer mustn't be sent there."""
    topic = "results-of-later"
    early = Adapter(system, "http-no-results", wait=False, **{
        "topics__results": topic, "http__group": "no-results"})
    wait_for("the results to be missed", lambda: topic in early.daemon.blamed().get("results", ""))
    wait_for("kafka not to be blamed", lambda: "kafka" not in early.daemon.blamed())
    refusal = early.events()
    assert refusal.status == 503
    admin = AdminClient({"bootstrap.servers": system.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(topic, 4, 1)])[topic].result(20)
    try:
        early.daemon.wait_ready()
        stream = early.events()
        assert stream.status == 200
        stream.close()
        assert early.daemon.stop() == 0
    finally:
        admin.delete_topics([topic])[topic].result(20)


def test_a_restart_of_redis_is_over_when_it_is(servers, adapter):
    """Between two looks of the probe (2 s): its old connection tells of no outage."""
    def ask():
        return adapter.call("GET", f"{API}/schedules/{SCHEDULE}?preview=true").status_code

    wait_for("the schedule", lambda: ask() == 200)
    servers.stop_redis()
    servers.start_redis()
    wait_for("the schedule", lambda: ask() == 200)
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        assert ask() == 200


def test_a_view_in_a_redis_of_its_own_is_told_apart(system, tmp_path_factory):
    import cluster
    own = cluster.Cluster.__new__(cluster.Cluster)
    own.directory = tmp_path_factory.mktemp("view-redis")
    own.redis_process = own.kafka_process = None
    [own.redis_port] = cluster.free_ports(1)
    own.start_redis()
    try:
        apart = Adapter(system, "http-apart", http__group="apart",
                        view__redis__url=f"redis://127.0.0.1:{own.redis_port}/0")
        run = apart.run(SCHEDULE, Prefer="wait=30").json()
        own.stop_redis(hard=True)
        wait_red(apart, "view")
        assert checks(apart)[1]["redis"]["ok"]
        assert refused(apart.run(SCHEDULE))
        own.start_redis()
        apart.daemon.wait_ready()
        read = wait_for("the run", lambda: (lambda a: a if "result" in a.json() else None)(
            apart.call("GET", f"{API}/schedules/{SCHEDULE}/runs/{run['rid']}")))
        assert read.json() == run
        assert apart.daemon.stop() == 0
    finally:
        own.stop_redis()


# The wall's clock is an hour ahead of the kernel's: who waits until a moment of
# it waits as if it had been set back by an hour just then.
AHEAD = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *now)
{
    int rc = (int)syscall(SYS_clock_gettime, id, now);
    if (id == CLOCK_REALTIME) now->tv_sec += 3600;
    return rc;
}
"""


def kafka_clients(adapter):
    """How many the process has: each has a thread of this name."""
    def name_of(task):
        try:
            return (task / "comm").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return ""  # it has just ended
    tasks = pathlib.Path(f"/proc/{adapter.daemon.process.pid}/task")
    return sum(name_of(task) == "rdk:main\n" for task in tasks.iterdir())


def test_a_clock_that_is_set_back(system, servers):
    """Readiness is looked at on, and a replay's reader gives its connection back."""
    library = system.directory / "ahead.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-o", str(library), "-"],
                   input=AHEAD, text=True, check=True)
    # Without the page, whose clients come and go, too.
    adapter = Adapter(system, "http-ahead", http__page="off", environment={
        "LD_PRELOAD": str(library),
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"})
    try:
        servers.stop_redis(hard=True)
        wait_red(adapter, "redis")
        servers.start_redis()
        adapter.daemon.wait_ready()
        run = adapter.run(SCHEDULE, Prefer="wait=30").json()
        clients = kafka_clients(adapter)
        # Of a topic with more partitions: nobody but Kafka can say what is left.
        stream = adapter.events(Last_Event_ID=event_id([0] * 64))
        stream.wait(lambda s: run["rid"] in s.rids(), "the run's event")
        wait_for("the reader's connection", lambda: kafka_clients(adapter) > clients)
        wait_for("its end", lambda: kafka_clients(adapter) == clients)
        stream.close()
    finally:
        assert adapter.daemon.stop() == 0


@pytest.mark.parametrize("field, value, words", [
    ("format", "2", "format"), ("cluster", "another-cluster", "another-cluster")])
def test_a_redis_of_another_kind_ends_it(system, servers, field, value, words):
    """In a keyspace of its own: the programs that run beside it would end, too."""
    redis = servers.redis()
    redis.hset(f"{field}:meta", mapping={**redis.hgetall("schedrun:meta"), field: value})
    wrong = Adapter(system, f"http-{field}", wait=False, redis__prefix=f"{field}:")
    assert wrong.daemon.wait(20) == 78
    assert words in wrong.daemon.log()


def test_a_redis_without_anything_is_not_ready(system, servers, adapter):
    redis = servers.redis()
    before = redis.hgetall("schedrun:meta")
    redis.delete("schedrun:meta")
    try:
        assert "schedrun init" in wait_red(adapter, "redis")["reason"]
    finally:
        redis.hset("schedrun:meta", mapping=before)
    adapter.daemon.wait_ready()
