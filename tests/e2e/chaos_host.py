"""A machine that runs short: of memory, files, disk; a clock that jumps."""

import os
import pathlib
import resource
import signal
import subprocess
import time

import catalogues
import checker
import injected
import pytest
from cluster import Cluster
from injected import fair
from load import Load, mixed
from programs import System, wait_for

SCHEDULES = [catalogues.schedule_rid(f"s{i}") for i in range(60)]
FAKETIME = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def must_be_root(what):
    if os.geteuid() != 0:
        pytest.skip(f"{what} needs root")


class Tmpfs:
    def __init__(self, path, mebibytes):
        must_be_root("a tmpfs")
        self.path = pathlib.Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "chaos", self.path], check=True)
        self.ballast = self.path / "ballast"

    def fill(self, leave=0):
        """All but `leave` bytes."""
        left = os.statvfs(self.path)
        size = left.f_bavail * left.f_frsize - leave
        with open(self.ballast, "wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, size)
        injected.note(f"{self.path.name} has {leave} bytes left")

    def empty(self):
        self.ballast.unlink()

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A system whose broker's logs lie on a disk of 96 MiB."""
    disk = Tmpfs(tmp_path / "cluster" / "kafka-logs", 96)
    cluster = None
    try:
        cluster = Cluster(tmp_path / "cluster").start()
        system = System(cluster, tmp_path)
        system.disk = disk
        yield system
        system.stop()
    finally:
        if cluster is not None:
            cluster.stop()
        disk.unmount()


def test_the_brokers_disk_is_full(small_disk, tmp_path):
    """Row 20: the broker dies; given space and started again, all goes on."""
    system = small_disk
    system.init(partitions=4)
    system.apply(catalogues.many(len(SCHEDULES)))
    settings = {"worker__batch__max__records": "300", "session.timeout.ms": 6000}
    workers = [system.worker(f"worker-{i}", **settings).wait_ready() for i in range(2)]
    load = Load(system.bootstrap)
    requests = mixed(SCHEDULES, 10 ** 6)
    for _ in range(2000):
        load.send(next(requests))
    system.disk.fill(leave=1 << 20)
    begun = time.monotonic()
    while system.cluster.kafka_process.poll() is None:
        assert time.monotonic() - begun < fair(60), "the broker lives on a full disk"
        for _ in range(100):
            load.send(next(requests))
        time.sleep(0.05)
    system.cluster.kafka_process = None
    injected.note("the broker has died of its disk")
    wait_for("the workers to blame Kafka", lambda: all("kafka" in w.blamed() for w in workers), fair(20))
    system.disk.empty()
    system.cluster.start_kafka(timeout=fair(60))
    began = time.monotonic()
    for worker in workers:
        # Over 35 s without a broker a call that hangs ends its worker; its unit starts it again.
        if worker.process.poll() == 75 and "call=send_offsets" in worker.tail():
            injected.remarks.append(f"{worker.name}: exit 75, started again")
            worker = system.worker(worker.name, **settings)
        worker.wait_ready(fair(20))
    injected.recovered(time.monotonic() - began)
    asked = load.flush()
    system.wait_drained(fair(60))
    system.judge(asked)


def test_the_disk_of_the_logs_is_full(system, tmp_path):
    """Row 41: lines of the log are lost, and nothing else."""
    disk = Tmpfs(tmp_path / "logs", 1)
    try:
        system.init(partitions=2)
        system.apply(catalogues.many(len(SCHEDULES)))
        log = open(disk.path / "log", "ab")
        disk.fill()
        worker = system.worker(process={"stderr": log, "stdout": log}, log__level="debug").wait_ready()
        load = Load(system.bootstrap)
        for datum in mixed(SCHEDULES, 3000):
            load.send(datum)
        asked = load.flush()
        system.wait_drained()
        system.judge(asked)
        assert os.fstat(log.fileno()).st_size == 0
        assert worker.stop() == 0
    finally:
        system.stop()
        log.close()
        disk.unmount()


def test_few_files_and_no_output(system):
    """Row 41: of 16 files a worker says what it lacks, and ends or goes on; one whose
    standard error nobody reads any more goes on."""
    system.init(partitions=2)
    system.apply(catalogues.many(len(SCHEDULES)))
    starved = system.worker("starved", process={
        "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))})
    injected.note("16 files")
    wait_for("a word about files", lambda: "files" in starved.log() or "EMFILE" in starved.log(), fair(30))
    print(starved.tail())
    if starved.process.poll() is None:
        starved.stop()
    assert starved.process.returncode not in (-signal.SIGSEGV, -signal.SIGABRT), starved.tail()
    reading, writing = os.pipe()
    worker = system.worker("unread", process={"stderr": writing, "stdout": writing}, log__level="debug")
    os.close(writing)
    os.close(reading)
    injected.note("EPIPE")
    worker.wait_ready()
    load = Load(system.bootstrap)
    for datum in mixed(SCHEDULES, 3000):
        load.send(datum)
    asked = load.flush()
    system.wait_drained()
    system.judge(asked)
    assert worker.stop() == 0


def test_a_clock_that_jumps(campaign, tmp_path):
    """Row 39: a day ahead, a day back, again and again: no outcome changes."""
    if not FAKETIME:
        pytest.skip("libfaketime is not installed: make deps")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    chaos = campaign(name="clock", workers=2, environment={
        "LD_PRELOAD": str(FAKETIME[0]), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    for offset in ("+1d", "-1d", "-2d", "+0"):
        clock.write_text(offset)
        injected.note(f"the workers' clocks are at {offset}")
        time.sleep(3)
        chaos.recover(15)
    verdict = chaos.judge()
    assert verdict.outcomes["error"] == 0
    runs = [checker.decode("schedule_run", m.value())
            for m in checker.read_topic(chaos.system.bootstrap, "schedule-run-results")]
    ahead = [(run["finishedTime"] - run["createdTime"]) / 86.4e6 for run in runs]
    assert min(ahead) < -1 and max(ahead) > 0.9, "the workers kept the right time"


MALLOC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
/* The nth call of malloc or calloc fails, and each one after it. */
static atomic_long calls;
static long last(void)
{
    static long n;
    if (n == 0) n = getenv("FAIL_AT") != NULL ? atol(getenv("FAIL_AT")) : -1;
    return n;
}
static int is_over(void) { return last() > 0 && atomic_fetch_add(&calls, 1) + 1 >= last(); }
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);
void *malloc(size_t n) { if (is_over()) { errno = ENOMEM; return NULL; } return __libc_malloc(n); }
void *calloc(size_t n, size_t of) { if (is_over()) { errno = ENOMEM; return NULL; } return __libc_calloc(n, of); }
"""


def test_memory_that_is_refused(campaign, system, tmp_path):
    """Row 40: malloc fails at a moment of the seed's; the worker ends, with 71 where it was
    our call and by abort() where it was a library's, and who is started again goes on."""
    source, library = tmp_path / "fail.c", tmp_path / "fail.so"
    source.write_text(MALLOC)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    chaos = campaign(name="memory", workers=2, rate=500)
    ends = []
    for i in range(8):
        at = int(10 ** chaos.rng.uniform(3, 5.3))
        victim = system.worker("starved", environment={"LD_PRELOAD": str(library), "FAIL_AT": str(at)},
                               **chaos.settings)
        ends.append(victim.wait(fair(60)))
        injected.note(f"malloc fails from call {at} on: exit {ends[-1]}")
    print(ends)
    assert set(ends) <= {71, -signal.SIGABRT}, ends
    chaos.recover(20)
    chaos.judge()


class Cgroup:
    """Of memory; version 1 or 2."""

    def __init__(self, name, limit):
        must_be_root("a cgroup")
        old, new = pathlib.Path("/sys/fs/cgroup/memory"), pathlib.Path("/sys/fs/cgroup")
        self.path = (old if old.is_dir() else new) / name
        key = "memory.limit_in_bytes" if old.is_dir() else "memory.max"
        self.peak = self.path / ("memory.max_usage_in_bytes" if old.is_dir() else "memory.peak")
        try:
            self.path.mkdir()
            (self.path / key).write_text(str(limit))
        except OSError as error:
            pytest.skip(f"no cgroup can be made here: {error}")

    def take(self, process):
        (self.path / "cgroup.procs").write_text(str(process.pid))

    def remove(self):
        wait_for("the cgroup to be empty", lambda: not (self.path / "cgroup.procs").read_text())
        self.path.rmdir()


def test_a_backlog_in_128_mib(system):
    """Row 40: what lies there when a worker comes is worked off within its unit's half."""
    system.init(partitions=4)
    system.apply(catalogues.many(len(SCHEDULES)))
    load = Load(system.bootstrap)
    for datum in mixed(SCHEDULES, 60000):
        load.send(datum)
    asked = load.flush()
    group = Cgroup(f"chaos-{os.getpid()}", 128 << 20)
    worker = system.worker()
    try:
        group.take(worker.process)
        injected.note("128 MiB")
        system.wait_drained(fair(120))
        print(f"    at most {int(group.peak.read_text()) >> 20} MiB")
        system.judge(asked)
        assert worker.stop() == 0
    finally:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()
        group.remove()
