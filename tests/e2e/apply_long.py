"""`make apply-long`: a catalogue of a million datasets and as many schedules, applied while
workers serve, killed in the midst and gone on with.  SIZE=1000000.

What it prints is measured beside whatever else runs here; what must hold is asserted."""

import json
import os
import signal
import statistics
import subprocess
import threading
import time

import catalogues
import programs
from adapters import Adapter
from catalogues import dataset, schedule_rid
from programs import wait_for

SIZE = int(os.environ.get("SIZE") or 1_000_000)
SERVED = 40  # schedules that are asked for meanwhile
SCRIPT_MS = 50  # no script holds Redis for longer
MEMORY = 1.5  # times the file
BASE = 40 << 20
ANSWER_S = 5  # the slowest answer meanwhile
LINE_S = 12  # between two lines of progress; told each five seconds


def write_catalogue(path):
    """As an export of another system would be: not canonical, a line for each thing."""
    with open(path, "w") as file:
        file.write('{"datasets": {\n')
        for i in range(SIZE):
            file.write(f'{"," if i else ""}{json.dumps(dataset(f"large-{i}"))}: '
                       f'{json.dumps(catalogues.stored(f"large-{i}"))}\n')
        file.write('}, "schedules": [\n')
        for i in range(SIZE):
            file.write(f'{"," if i else ""}{json.dumps(catalogues.schedule(f"large-{i}", [f"large-{i}"]))}\n')
        file.write("]}\n")
    return path.stat().st_size


class Asking:
    """Asks for a run again and again, one after the other, and notes how long each took."""

    def __init__(self, adapter):
        self.adapter, self.took, self.wrong = adapter, [], []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._ask)
        self.thread.start()

    def _ask(self):
        while not self.is_over.wait(0.05):
            began = time.monotonic()
            answer = self.adapter.run(schedule_rid(f"s{len(self.took) % SERVED}"), Prefer="wait=30")
            self.took.append(time.monotonic() - began)
            result = answer.json().get("result") or {}
            if result.get("type") not in ("submitted", "ignored"):
                self.wrong.append(answer.text)

    def end(self):
        self.is_over.set()
        self.thread.join()
        assert self.took and not self.wrong, self.wrong[:3]
        return self.took


class Apply:
    """`schedrun apply`, with the lines that it tells and when."""

    def __init__(self, system, path):
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [str(programs.BUILD / "schedrun"), *system.flags(), "apply", "--timeout", "120s", str(path)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.peak = 0
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append((time.monotonic() - self.began, line.rstrip()))
            print(f"    {self.lines[-1][0]:6.1f} s  {self.lines[-1][1]}", flush=True)

    def end(self):
        """The exit code and the most memory that it has had."""
        out = self.process.stdout.read()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.thread.join()
        self.took, self.peak = time.monotonic() - self.began, usage.ru_maxrss * 1024
        return self.process.returncode, out

    def silence(self):
        """The longest time without a line."""
        times = [0, *(at for at, _ in self.lines), self.took]
        return max(later - earlier for earlier, later in zip(times, times[1:]))


class Latency:
    """redis-cli --latency, which is held up by whatever holds up Redis."""

    def __init__(self, system):
        self.process = subprocess.Popen(
            ["redis-cli", "-p", str(system.cluster.redis_port), "--raw", "--latency-history", "-i", "1"],
            stdout=subprocess.PIPE, text=True)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        rows = [line.split() for line in self.process.communicate()[0].splitlines()]
        return max((float(row[1]) for row in rows if len(row) >= 4), default=None)


def slow_commands(store):
    """Milliseconds and name of each command that took over ten."""
    return sorted(((entry["duration"] / 1000, entry["command"][:60]) for entry in store.slowlog_get(100_000)),
                  reverse=True)


def tell(what, apply, size, took, slow, latency):
    took = sorted(took)
    print(f"{what}: {apply.took:.0f} s, {apply.peak / 2**20:.0f} MiB at most = {apply.peak / size:.2f} of the file; "
          f"slowest command {slow[0][0] if slow else 0:.0f} ms ({slow[0][1] if slow else ''}), {len(slow)} over 10 ms; "
          f"redis-cli --latency at most {latency} ms; {len(took)} answers: median {statistics.median(took) * 1000:.0f} ms, "
          f"99 % {took[int(len(took) * .99)] * 1000:.0f} ms, slowest {took[-1] * 1000:.0f} ms; "
          f"{len(apply.lines)} lines, {apply.silence():.0f} s between two at most", flush=True)


def load(what, system, adapter, path, size, kill_at=None):
    """One apply, watched from outside; `kill_at`: so many schedules are there by then."""
    store = system.cluster.redis()
    store.slowlog_reset()
    asking, latency = Asking(adapter), Latency(system)
    apply = Apply(system, path)
    try:
        if kill_at:
            wait_for("it to be in the midst", lambda: store.hlen("schedrun:s") >= kill_at
                     or apply.process.poll() is not None, 3600, 0.01)
            apply.process.kill()
        code, out = apply.end()
    finally:
        took, worst = asking.end(), latency.end()
    slow = slow_commands(store)
    tell(what, apply, size, took, slow, worst)
    assert code == (-signal.SIGKILL if kill_at else 0), (code, apply.lines[-3:])
    assert not slow or slow[0][0] <= SCRIPT_MS, slow[:5]
    assert apply.peak <= MEMORY * size + BASE, apply.peak
    assert took and max(took) <= ANSWER_S, max(took)
    assert apply.silence() <= LINE_S, apply.lines
    return apply, {row.pop("what"): row for row in map(json.loads, out.splitlines())}


def test_a_million_datasets_and_schedules(system):
    system.init(partitions=2)
    system.apply(catalogues.many(SERVED))
    store = system.cluster.redis()
    store.config_set("slowlog-log-slower-than", 10_000)
    store.config_set("slowlog-max-len", 100_000)
    system.worker().wait_ready()
    adapter = Adapter(system)
    path = system.directory / "large.json"
    size = write_catalogue(path)
    print(f"\n{SIZE:,} datasets and as many schedules: {size / 2**20:.0f} MiB", flush=True)
    load("killed", system, adapter, path, size, kill_at=SIZE // 2)
    there = store.hlen("schedrun:s")
    assert SERVED < there < SIZE + SERVED, there
    _, counts = load("gone on with", system, adapter, path, size)
    assert store.hlen("schedrun:s") == store.hlen("schedrun:v") == SIZE + SERVED
    assert store.hlen("schedrun:h") == SIZE + SERVED + 1
    assert counts["schedules"]["added"] == SIZE + SERVED - there
    _, counts = load("again", system, adapter, path, size)
    assert counts["schedules"] == {"added": 0, "changed": 0, "removed": 0, "same": SIZE}
    assert counts["datasets"]["same"] == SIZE + SERVED + 1
