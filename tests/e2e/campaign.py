"""Faults under load: workers, a stream of requests, a watch on progress, a judge.

A campaign's timetable comes from a seed: SEED=... repeats one.  Each prints what
was injected and what the checker found.
"""

import os
import random
import re
import threading
import time

import catalogues
import checker
import injected
from confluent_kafka import Consumer, TopicPartition
from injected import fair
from load import Load, mixed
from programs import wait_for

SEED = int(os.environ.get("SEED") or random.randrange(10 ** 6))
SESSION = 6.0
SCHEDULES = [catalogues.schedule_rid(f"s{i}") for i in range(60)]


class Stream:
    """Requests at a steady rate, repeats among them, until it is stopped."""

    def __init__(self, bootstrap, schedules=SCHEDULES, rate=1000, seed=SEED, repeats=0.05):
        self.load = Load(bootstrap)
        self.requests = mixed(schedules, 10 ** 7, repeats, seed)
        self.rate = rate
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        due = time.monotonic()
        while not self.ended.is_set():
            for _ in range(max(1, self.rate // 20)):
                self.load.send(next(self.requests))
            due += 0.05
            self.ended.wait(max(0, due - time.monotonic()))

    def stop(self):
        self.ended.set()
        self.thread.join()
        return self.load.flush()


class Progress:
    """Samples the number of committed results; None while the broker is away."""

    def __init__(self, bootstrap, topic="schedule-run-results"):
        self.consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "progress",
                                  "log_level": 0, "isolation.level": "read_committed"})
        partitions = self.consumer.list_topics(topic, timeout=20).topics[topic].partitions
        self.places = [TopicPartition(topic, p) for p in partitions]
        self.samples = []  # (when, results)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.ended.wait(0.2):
            try:
                total = sum(self.consumer.get_watermark_offsets(p, timeout=2)[1]
                            for p in self.places)
            except Exception:  # the broker is away, whatever the client calls it
                continue
            self.samples.append((time.monotonic(), total))

    def longest_gap(self, begin, end):
        """Seconds without a new result between two moments."""
        last, total, gap = begin, None, 0.0
        for when, results in self.samples:
            if when < begin or when > end:
                continue
            if total is not None and results > total:
                gap = max(gap, when - last)
                last = when
            elif total is None:
                last = when
            total = results
        return max(gap, end - last)

    def wait_for_more(self, timeout):
        """Seconds until there are more results than now."""
        begun = time.monotonic()
        before = self.samples[-1][1] if self.samples else 0
        wait_for("more results", lambda: self.samples and self.samples[-1][1] > before, timeout)
        return time.monotonic() - begun

    def stop(self):
        self.ended.set()
        self.thread.join()
        self.consumer.close()


class Campaign:
    """`revives`: Kafka may be away for so long that a worker ends, and its unit starts it again."""

    def __init__(self, system, workers=3, partitions=6, rate=1000, name="chaos", revives=False, **settings):
        self.system, self.revives = system, revives
        self.rng = random.Random(f"{SEED} {name}")
        self.settings = {"worker__batch__max__records": "300",
                         "session.timeout.ms": int(SESSION * 1000), **settings}
        system.init(partitions=partitions)
        self.catalogue = catalogues.many(len(SCHEDULES))
        system.apply(self.catalogue)
        self.workers = [system.worker(f"worker-{i}", **self.settings) for i in range(workers)]
        for worker in self.workers:
            worker.wait_ready()
        self.progress = Progress(system.cluster.bootstrap)
        self.stream = Stream(system.cluster.bootstrap, rate=rate)
        self.progress.wait_for_more(30)
        injected.begin()

    def pause(self, at_least, at_most):
        """Load goes on for a while, however long the seed says."""
        time.sleep(self.rng.uniform(at_least, at_most))

    def recover(self, timeout):
        """Until all workers are ready and there are more results; returns the seconds."""
        begun = time.monotonic()
        self.wait_ready(fair(timeout))
        self.progress.wait_for_more(fair(timeout))
        injected.recovered(time.monotonic() - begun)
        return injected.recoveries[-1]

    def restart(self, i):
        """Starts a worker again under its name."""
        name = self.workers[i].name
        self.workers[i].log_file.close()
        self.system.daemons.remove(self.workers[i])
        self.workers[i] = self.system.worker(name, **self.settings)
        return self.workers[i]

    def revive(self):
        """As its unit does: a call of librdkafka's that hangs, as while Kafka is away for over
        35 s, ends a worker with 75 (docs/delivery.md, section 5)."""
        for i, worker in enumerate(self.workers if self.revives else ()):
            hung = re.findall("event=(call_stuck|producer_hangs)", worker.tail())
            if worker.process.poll() == 75 and hung:
                injected.remarks.append(f"{worker.name}: {hung[-1]}, exit 75, started again")
                self.restart(i)

    def wait_ready(self, timeout):
        """All workers; seconds until the last is."""
        def are_ready():
            self.revive()
            return all(worker.is_ready() for worker in self.workers)

        begun = time.monotonic()
        wait_for(f"all workers to be ready, logs {self.system.directory}", are_ready, timeout)
        return time.monotonic() - begun

    def total(self, series):
        return sum(worker.metric(series) or 0 for worker in self.workers)

    def judge(self, timeout=120):
        """Ends the load, drains, judges."""
        asked = self.stream.stop()
        self.progress.stop()
        self.system.wait_drained(fair(timeout))
        verdict = checker.judge_topics(self.system.cluster.bootstrap, asked)
        print(f"  seed {SEED}, {len(injected.notes)} faults, {len(asked)} requests: {verdict}")
        assert injected.notes, "nothing was injected"
        assert verdict.clean(), str(verdict)
        return verdict

    def abandon(self):
        """Ends the load; what was asked up to now."""
        self.stream.ended.set()
        self.progress.ended.set()
        self.stream.thread.join()
        return self.stream.load.asked
