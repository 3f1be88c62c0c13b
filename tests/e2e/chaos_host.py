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
    system.cluster.start_kafka()
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


# The wall clock is ahead by as many seconds as the file says.  Who waits until a time on
# it wakes up when it gets there, also when it jumps meanwhile, as the kernel has it.
CLOCK = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>
#define SLICE 50000000
static struct timespec real(clockid_t id)
{
    struct timespec ts;
    syscall(SYS_clock_gettime, id, &ts);
    return ts;
}
static long ahead(void)
{
    static atomic_long seconds, read_at = -1;
    struct timespec ts = real(CLOCK_MONOTONIC);
    long now = ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    char text[32] = { 0 };
    int fd;
    if (now - atomic_load(&read_at) < 20) return seconds;
    atomic_store(&read_at, now);
    fd = open(getenv("CLOCK_FILE"), O_RDONLY);
    if (fd >= 0 && read(fd, text, sizeof text - 1) > 0) seconds = atol(text);
    if (fd >= 0) close(fd);
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *ts)
{
    *ts = real(id);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) ts->tv_sec += ahead();
    return 0;
}
int timespec_get(struct timespec *ts, int base) { clock_gettime(CLOCK_REALTIME, ts); return base; }
time_t time(time_t *at)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return at ? (*at = ts.tv_sec) : ts.tv_sec;
}
int gettimeofday(struct timeval *tv, void *zone)
{
    struct timespec ts;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &ts);
    *tv = (struct timeval){ ts.tv_sec, ts.tv_nsec / 1000 };
    return 0;
}
int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    if (cond->__data.__wrefs & 2) /* as glibc notes it: of the monotonic clock */
        return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, until);
    for (;;) {
        struct timespec now, slice = real(CLOCK_MONOTONIC);
        int rc;
        long left;
        clock_gettime(CLOCK_REALTIME, &now);
        left = until->tv_sec - now.tv_sec > 1 ? SLICE
            : (until->tv_sec - now.tv_sec) * 1000000000 + until->tv_nsec - now.tv_nsec;
        if (left <= 0) return ETIMEDOUT;
        slice.tv_nsec += left < SLICE ? left : SLICE;
        slice.tv_sec += slice.tv_nsec / 1000000000;
        slice.tv_nsec %= 1000000000;
        rc = pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &slice);
        if (rc != ETIMEDOUT) return rc;
    }
}
/* librdkafka's, which glibc has ask the kernel's clock; both are one in glibc. */
int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until)
{
    int rc = pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, until);
    return rc == 0 ? thrd_success : rc == ETIMEDOUT ? thrd_timedout : thrd_error;
}
"""


def preload(directory, name, text):
    """A library of this text, to be loaded before all others."""
    source, library = directory / f"{name}.c", directory / f"{name}.so"
    source.write_text(text)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    return str(library)


def clock(directory, ahead=0):
    """The environment of who lives by a clock of his own, and its file."""
    directory.mkdir(exist_ok=True)
    path = directory / "clock"
    path.write_text(str(ahead))
    return {"LD_PRELOAD": preload(directory, "wrong", CLOCK), "CLOCK_FILE": str(path)}, path


def test_a_clock_that_jumps(campaign, tmp_path):
    """Row 39: a day ahead, a day back, again and again: no outcome changes."""
    environment, wrong = clock(tmp_path / "clock")
    chaos = campaign(name="clock", workers=2, environment=environment)
    for days in (1, -1, -2, 0):
        wrong.write_text(str(days * 86400))
        injected.note(f"the workers' clocks are {days} days ahead")
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
    library = preload(tmp_path, "fail", MALLOC)
    chaos = campaign(name="memory", workers=2, rate=500)
    ends = []
    for i in range(8):
        at = int(10 ** chaos.rng.uniform(3, 4.7))
        victim = system.worker("starved", environment={"LD_PRELOAD": library, "FAIL_AT": str(at)},
                               **chaos.settings)
        ends.append(victim.wait(fair(60)))
        injected.note(f"malloc fails from call {at} on: exit {ends[-1]}")
    print(ends)
    assert set(ends) <= {71, -signal.SIGABRT}, ends
    chaos.recover(20)
    chaos.judge()


NO_THREADS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <threads.h>
/* librdkafka's nth thread, and each one after it, can't be had. */
int thrd_create(thrd_t *thread, thrd_start_t start, void *argument)
{
    static atomic_long calls;
    if (atomic_fetch_add(&calls, 1) + 1 >= atol(getenv("FAIL_AT"))) return thrd_nomem;
    return ((int (*)(thrd_t *, thrd_start_t, void *))dlsym(RTLD_NEXT, "thrd_create"))(thread, start, argument);
}
"""


def test_threads_that_are_refused(system, tmp_path):
    """Row 40: exit 71, or librdkafka's own assertion, which a unit starts again; 78, wrong
    configuration, it would not."""
    system.init(partitions=2)
    system.apply(catalogues.many(10))
    library = preload(tmp_path, "threads", NO_THREADS)
    ends = []
    for at in (1, 3, 6):
        worker = system.worker(f"starved-{at}", environment={"LD_PRELOAD": library, "FAIL_AT": str(at)})
        injected.note(f"no thread from {at} on")
        ends.append(worker.wait(fair(60)))
    assert ends[:2] == [71, 71] and ends[2] in (71, -signal.SIGABRT), ends


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
