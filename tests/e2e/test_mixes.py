"""Every mix of the benchmark, asked of one worker: what a cache keeps and what only
passes, small plans and large, and each answer judged.  With sanitizers it is many."""

import subprocess
import sys

import checker
import pytest
from programs import BUILD, ROOT, SANITIZE

sys.path.insert(0, str(ROOT / "tests" / "bench"))
import mixes  # noqa: E402

REQUESTS = "schedule-run-requests"
N = 20000 if SANITIZE else 1000
# `connecting` asks for nothing that the others don't, but takes long to apply.
# The other two have 10,000 schedules, however few are asked for.
MIXES = ("mix", "once", "wide") if SANITIZE else ("once",)


def asked(system):
    for record in checker.read_topic(system.bootstrap, REQUESTS):
        yield checker.Asked(record.partition(), record.offset(),
                            checker.decode("run_request", record.value()), record.value(), record.key())


@pytest.mark.parametrize("name", MIXES)
def test_all_of_a_mix_is_answered(system, name):
    subprocess.run(["make", "-s", "-j2", "SANITIZE=", "build/bench/backlog"], cwd=ROOT, check=True)
    mix = mixes.of(name, N)
    system.init()
    system.apply(mix.catalogue())
    mix.multiply(system.cluster.redis())
    worker = system.worker(program=BUILD / "schedrun-worker").wait_ready()
    subprocess.run([ROOT / "build/bench/backlog", system.bootstrap, REQUESTS, str(mix.n), mix.text()], check=True)
    system.wait_drained(600 if SANITIZE else 120)
    requests = list(asked(system))
    verdict = system.judge(requests)
    distinct = {(a.datum["scheduleRid"], a.datum["requestId"]) for a in requests}
    assert verdict.results == len(distinct) < len(requests) == mix.n
    assert verdict.outcomes["submitted"] > 0 and verdict.outcomes["ignored"] > 0
    assert worker.stop() == 0
