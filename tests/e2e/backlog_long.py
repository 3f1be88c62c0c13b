"""`make backlog`: ten million requests lie there when a worker comes, which has what its
unit in deploy/systemd gives it: memory, threads.  Each gets its one result, as it must
be, and its build if it is due one, by the benchmark's own reader (tests/bench/watch.c)."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

import checker
from chaos_host import Cgroup
from programs import BUILD, GROUP, ROOT, wait_for

sys.path.insert(0, str(ROOT / "tests" / "bench"))
import mixes  # noqa: E402

N = int(os.environ.get("BACKLOG") or 10_000_000)
REQUESTS = "schedule-run-requests"
UNIT = (ROOT / "deploy/systemd/schedrun-worker@.service").read_text()
HOURS = 3600 * 4


def limit(name):
    return int(re.search(rf"^{name}=(\d+)M?$", UNIT, re.MULTILINE)[1])


def memory(worker, field):
    """Its own memory in MiB, without what the kernel caches of files for it."""
    status = pathlib.Path(f"/proc/{worker.process.pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+)", status, re.MULTILINE)[1]) / 1024


def watch(system, topic, mix, kind):
    """How many were there, after one of each; nothing doubled, nothing wrong."""
    reader = subprocess.run(
        [BUILD / "bench/watch", system.bootstrap, topic, str(mix.n), mix.text(), kind],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=HOURS, check=True)
    verdict = json.loads(reader.stdout.splitlines()[-1])
    assert verdict["seen"] == verdict["wanted"] and not verdict["doubled"] and not verdict["wrong"], verdict
    return verdict["seen"]


def test_a_backlog_within_the_units_limits(system):
    mix = mixes.of("mix", N)
    system.init()
    system.apply(mix.catalogue())
    store = system.cluster.redis()
    mix.multiply(store)
    store.config_set("auto-aof-rewrite-percentage", 0)  # what it takes is not the worker's
    subprocess.run([BUILD / "bench/backlog", system.bootstrap, REQUESTS, str(N), mix.text()], check=True)
    group = Cgroup(f"backlog-{os.getpid()}", limit("MemoryMax") << 20)
    reached, peaks = {}, {}
    worker = system.worker()
    began = time.monotonic()

    def is_done():
        done = N - checker.lag(system.bootstrap, GROUP, REQUESTS)
        for tenth in range(1, 11):
            if tenth not in reached and done >= tenth * N // 10:
                reached[tenth] = time.monotonic() - began
                peaks[tenth] = memory(worker, "VmHWM")
        return done == N

    try:
        group.take(worker.process)
        worker.wait_ready()  # before there is a group, asking for its offsets ends Python's client
        wait_for("the backlog to be worked off", is_done, HOURS, pause=0.2)
        threads = len(os.listdir(f"/proc/{worker.process.pid}/task"))
        assert threads <= limit("TasksMax")
        first, last = (N / 10 / (reached[tenth] - reached.get(tenth - 1, 0)) for tenth in (1, 10))
        print(f"\n{N} requests in {reached[10]:.0f} s, {N / reached[10]:.0f} a second; first tenth {first:.0f}, last {last:.0f}"
              f"\nmemory at most {peaks[1]:.0f} MiB in the first tenth, {peaks[10]:.0f} in all, of {limit('MemoryMax')};"
              f" {threads} threads of {limit('TasksMax')}")
        assert peaks[10] < limit("MemoryMax")
        assert worker.stop() == 0
    finally:
        if worker.process.poll() is None:
            worker.kill()
        group.remove()
    results = watch(system, "schedule-run-results", mix, "results")
    builds = watch(system, "schedule-builds", mix, "builds")
    print(f"{results} results, {builds} builds: each once, each as it must be")
    assert results > builds > 0
