"""Workers that are killed, stopped, replaced, doubled."""

import signal
import time

from campaign import SESSION
from programs import wait_for


def test_kills_of_one_of_three(campaign):
    """Row 1: the others take over within the session's time-out and 5 s."""
    chaos = campaign(name="kills")
    for _ in range(3):
        time.sleep(chaos.rng.uniform(1, 4))
        i = chaos.rng.randrange(3)
        chaos.workers[i].kill()
        killed = time.monotonic()
        chaos.note(f"SIGKILL of worker-{i}")
        time.sleep(chaos.rng.uniform(0, 2))
        chaos.restart(i)
        chaos.wait_ready(SESSION + 10)
        chaos.progress.wait_for_more(10)
        gap = chaos.progress.longest_gap(killed, time.monotonic())
        print(f"    longest time without results {gap:.1f} s")
        assert gap <= SESSION + 5
    chaos.judge()


def test_kill_of_all(campaign):
    """Row 3: whoever is started again goes on."""
    chaos = campaign(name="all")
    for _ in range(2):
        time.sleep(chaos.rng.uniform(1, 3))
        for worker in chaos.workers:
            worker.kill()
        chaos.note("SIGKILL of all workers")
        for i in range(3):
            chaos.restart(i)
        print(f"    ready after {chaos.wait_ready(20):.1f} s")
    chaos.judge()


def test_zombies(campaign):
    """Row 4: stopped beyond the session, they come back and join again."""
    chaos = campaign(name="zombies")
    for i in range(2):
        time.sleep(chaos.rng.uniform(0.5, 2))
        chaos.workers[i].signal(signal.SIGSTOP)
        rest = chaos.rng.uniform(SESSION + 1, SESSION + 5)
        time.sleep(rest)
        chaos.workers[i].signal(signal.SIGCONT)
        chaos.note(f"worker-{i} stopped for {rest:.1f} s")
        assert chaos.wait_ready(10) <= 10
    chaos.judge()
    assert all(worker.stop() == 0 for worker in chaos.workers)


def test_terms_under_load(campaign):
    """Row 5: each drains within 10 s and exits 0."""
    chaos = campaign(name="terms")
    for i in range(3):
        time.sleep(chaos.rng.uniform(0.2, 1.5))
        begun = time.monotonic()
        assert chaos.workers[i].stop() == 0
        chaos.note(f"SIGTERM of worker-{i}, drained in {time.monotonic() - begun:.1f} s")
        assert time.monotonic() - begun < 10
        chaos.restart(i)
    chaos.wait_ready(15)
    chaos.judge()


def test_joins_and_leaves(campaign, system):
    """Row 7: 20 in a minute; results never stop for more than 15 s."""
    chaos = campaign(name="joins")
    begun = time.monotonic()
    extra = []
    for i in range(20):
        time.sleep(chaos.rng.uniform(0.5, 2.5))
        if extra and chaos.rng.random() < 0.5:
            worker = extra.pop(chaos.rng.randrange(len(extra)))
            assert worker.stop() == 0
            chaos.note(f"{worker.name} leaves")
        else:
            extra.append(system.worker(f"extra-{i}", **chaos.settings))
            chaos.note(f"extra-{i} joins")
    gap = chaos.progress.longest_gap(begun, time.monotonic())
    print(f"    longest time without results {gap:.1f} s")
    assert gap <= 15
    chaos.judge()


def test_twins(campaign, system):
    """Row 8: two workers under one transactional.id fence each other, say so, and
    one goes; nothing is doubled."""
    chaos = campaign(name="twins", workers=1)
    twin = system.worker("twin", **{**chaos.settings, "worker.id": "worker-0"})
    chaos.note("a second worker-0")
    pair = [chaos.workers[0], twin]
    wait_for("one of them to end", lambda: any(w.process.poll() is not None for w in pair), 60)
    ended = [w for w in pair if w.process.poll() is not None]
    assert all(w.process.returncode == 75 for w in ended), [w.process.returncode for w in ended]
    for worker in pair:
        assert "schedrun-worker-worker-0" in worker.log()
    assert "transaction.timeout.ms" in ended[0].log()
    if len(ended) == 2:
        chaos.restart(0)
    chaos.judge()
