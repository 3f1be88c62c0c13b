"""Records that end their worker: given up after a few restarts, others untouched."""

import catalogues
import checker
from load import Load, request
from programs import GROUP, wait_for
from proxy import Proxy
from redis_proxy import RedisProxy

SCHEDULES = [catalogues.schedule_rid(f"s{i}") for i in range(20)]


def test_records_that_end_their_worker(system):
    """One in the midst of a batch over two partitions, whose neighbours come again
    with it each time."""
    system.init(partitions=2)
    system.apply(catalogues.many(len(SCHEDULES)))
    load = Load(system.bootstrap)
    for i in range(400):
        if i == 150:
            load.send(request(SCHEDULES[3], "killer"), "crashed-worker")
        load.send(request(SCHEDULES[i % len(SCHEDULES)], f"good-{i}"))
    asked = load.flush()

    def is_drained():
        return checker.lag(system.bootstrap, GROUP, load.topic) == 0

    crashes = 0
    while True:
        worker = system.worker("worker-1", program=system.faulty("schedrun-worker"),
                               environment={"SCHEDRUN_CRASH_ON": "killer"},
                               worker__batch__max__records="300",
                               **{"session.timeout.ms": 6000})
        wait_for("the worker to work or to end",
                 lambda: worker.process.poll() is not None or worker.is_ready())
        wait_for("the end of the worker or of its work",
                 lambda: worker.process.poll() is not None or is_drained(), pause=0.3)
        if worker.process.poll() is None:
            break
        crashes += 1
        assert crashes <= 7, worker.tail()
    assert 4 <= crashes, "it was not the killer that ended the worker"
    verdict = system.judge(asked)
    assert verdict.dead == 1
    runs = [checker.decode("schedule_run", m.value())
            for m in checker.read_topic(system.bootstrap, "schedule-run-results")]
    given_up = [run for run in runs if run["why"]["cause"] == "crashedWorker"]
    assert [run["requestId"] for run in given_up] == ["killer"]
    assert given_up[0]["result"]["errorName"] == "Internal"


def crash_once(system, environment=None):
    """400 requests whose worker died of one of them, which is none of its fault."""
    system.init(partitions=1)
    system.apply(catalogues.many(len(SCHEDULES)))
    load = Load(system.bootstrap)
    for i in range(400):
        load.send(request(SCHEDULES[i % len(SCHEDULES)], f"good-{i}"))
    asked = load.flush()
    worker = system.worker(program=system.faulty("schedrun-worker"),
                           environment={"SCHEDRUN_CRASH_ON": "good-0"})
    assert worker.wait(60) == -9
    return asked


def test_a_redis_that_fails_is_no_crash(system):
    """It fails again and again in the midst of a batch: that tells nothing of the
    record that was being planned."""
    asked = crash_once(system)
    proxy = RedisProxy(system.cluster.redis_port)
    failures = []

    def fail_reads(command):
        if command[0] == b"MGET" and len(failures) < 12:
            failures.append(command)
            return b"-LOADING not now\r\n"
        return None

    proxy.hook = fail_reads
    try:
        system.redis_url = proxy.url
        worker = system.worker()
        system.wait_drained(40)
        assert len(failures) == 12
        assert system.judge(asked).outcomes["error"] == 0
        assert worker.stop() == 0
    finally:
        proxy.close()


def test_planning_with_care_and_a_distant_redis(system):
    """Record by record takes long: the batch ends before the membership does."""
    asked = crash_once(system)
    store = system.cluster.redis()
    store.set("schedrun:a:schedule-run-requests:0", "0:2")
    proxy = Proxy(("127.0.0.1", system.cluster.redis_port))
    proxy.delay = 0.02
    try:
        system.redis_url = f"redis://127.0.0.1:{proxy.port}/0"
        worker = system.worker(**{"max.poll.interval.ms": 8000, "session.timeout.ms": 6000})
        system.wait_drained(40)
        system.judge(asked)
        assert "membership" not in worker.log()
    finally:
        proxy.close()
