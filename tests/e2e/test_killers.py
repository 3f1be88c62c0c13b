"""Records that end their worker: given up after a few restarts, others untouched."""

import catalogues
import checker
from load import Load, request
from programs import GROUP, wait_for

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
