"""What a request may cost the worker, in figures that a busy machine moves little:
allocations, and system calls that bytes take, of its own code and of hiredis."""

import struct
import subprocess
import sys

import pytest
from programs import ROOT, stand_still

sys.path.insert(0, str(ROOT / "tests" / "bench"))
import mixes  # noqa: E402

TARGETS = ["build/schedrun-worker", "build/bench/backlog", "build/bench/count.so"]
REQUESTS = "schedule-run-requests"
WARM, N = 20000, 10000  # requests before, and those that are counted
ROUNDS = 3  # of which one must do: what a worker does by time is more where it has less of it
ASKERS = ("program", "hiredis", "librdkafka", "other")  # as in count.c
KINDS = ("allocations", "bytes", "calls")

# Of the program and hiredis together, for a request (-rP tells what was counted).
# Where it costs less, lower them in the same commit; calls go by batches, whose
# size is the machine's matter, too.
BOUNDS = {"mix": {"allocations": 4.2, "calls": 0.012},
          "once": {"allocations": 33, "calls": 0.08}}


class Counts:
    """What count.c counts in a worker."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(8 * len(ASKERS) * len(KINDS)))

    def now(self):
        """{kind: of the program and hiredis}"""
        numbers = struct.unpack(f"={len(ASKERS) * len(KINDS)}Q", self.path.read_bytes())
        rows = (numbers[i:i + len(ASKERS)] for i in range(0, len(numbers), len(ASKERS)))
        return {kind: row[0] + row[1] for kind, row in zip(KINDS, rows)}


def ask(system, worker, mix, first, end):
    """All of them wait when the worker goes on: a batch is as large as it may be, however
    slowly they are written."""
    with stand_still(worker.process):
        subprocess.run([ROOT / "build/bench/backlog", system.bootstrap, REQUESTS, str(end),
                        mix.text(), str(first)], check=True)
    system.wait_drained()


@pytest.mark.parametrize("name", BOUNDS)
def test_a_request_costs_no_more(system, name):
    # Sanitizers have an allocator of their own.
    subprocess.run(["make", "-s", "-j2", "SANITIZE=", *TARGETS], cwd=ROOT, check=True)
    mix = mixes.of(name, WARM + ROUNDS * N)
    system.init()
    system.apply(mix.catalogue())
    mix.multiply(system.cluster.redis())
    counts = Counts(system.directory / "counts")
    worker = system.worker(program=ROOT / "build/schedrun-worker", environment={
        "LD_PRELOAD": str(ROOT / "build/bench/count.so"),
        "BENCH_COUNTS": str(counts.path)}).wait_ready()
    ask(system, worker, mix, 0, WARM)
    rounds = []
    for first in range(WARM, WARM + ROUNDS * N, N):
        before = counts.now()
        ask(system, worker, mix, first, first + N)
        spent = {kind: (n - before[kind]) / N for kind, n in counts.now().items()}
        assert spent["allocations"] > 0, "nothing was counted"
        rounds.append(spent)
        if all(spent[kind] <= most for kind, most in BOUNDS[name].items()):
            break
    else:
        raise AssertionError(f"{name}: {rounds} for a request, at most {BOUNDS[name]}")
    print(name, rounds)
