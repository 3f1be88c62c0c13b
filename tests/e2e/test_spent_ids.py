"""An answer about damage in the store gives its id back: crash by crash."""

import signal
import uuid

import catalogues
import checker
import pytest
from catalogues import dataset, schedule_rid
from load import Load, request

STALE = schedule_rid("stale")


def results_of(system, request_id):
    runs = [checker.decode("schedule_run", m.value())
            for m in checker.read_topic(system.bootstrap, "schedule-run-results")]
    return [checker.result_type(run["result"]) for run in runs if run["requestId"] == request_id]


@pytest.mark.parametrize("point, left", [
    ("B3:1", ["submitted"]),  # nothing was answered: the record itself is, once
    ("B4:1", ["error"]),      # answered, but not given back: the id stays spent
])
def test_a_crash_before_the_claim_is_given_back(system, point, left):
    system.init(partitions=1)
    system.apply(catalogues.outcomes())
    store = system.cluster.redis()
    before = store.hget("schedrun:h", dataset("stale"))
    store.hset("schedrun:h", dataset("stale"), "nonsense")
    load = Load(system.bootstrap)
    load.send(request(STALE, "F"))
    load.flush()
    worker = system.worker(program=system.faulty("schedrun-worker"),
                           environment={"SCHEDRUN_CRASH_AT": point})
    assert worker.wait() == -signal.SIGKILL
    store.hset("schedrun:h", dataset("stale"), before)
    store.set("schedrun:e", str(uuid.uuid4()))
    system.worker().wait_ready()
    for _ in range(2):
        load.send(request(STALE, "F"))
        load.flush()
        system.wait_drained()
    assert results_of(system, "F") == left
    if left == ["error"]:  # there is one answer, and a way out of it
        done = system.run("submit", STALE, "--request-id", "F", "--wait", "1s")
        assert done.returncode == 1 and "with a new --request-id" in done.stderr
