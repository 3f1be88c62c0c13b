"""Workers that are killed, stopped, replaced, doubled."""

import signal
import time

import catalogues
import injected
from campaign import SESSION
from injected import fair
from load import Load, mixed
from programs import wait_for


def test_kills_of_one_of_three(campaign):
    """Row 1: the others take over within the session's time-out and 5 s."""
    chaos = campaign(name="kills")
    for _ in range(3):
        chaos.pause(1, 4)
        i = chaos.rng.randrange(3)
        killed = time.monotonic()
        chaos.workers[i].kill()
        chaos.pause(0, 2)
        chaos.restart(i)
        chaos.recover(SESSION + 10)
        gap = chaos.progress.longest_gap(killed, time.monotonic())
        print(f"    longest time without results {gap:.1f} s")
        assert gap <= fair(SESSION + 5)
    chaos.judge()


STEPS = [("A1", "A2", "A3"), ("A4", "B1", "B2"), ("B3", "B4", "B5")]


def test_kills_at_each_step(system):
    """Row 2: three at once, each at a step of its own, and one that stays."""
    system.init(partitions=8)
    schedules = [catalogues.schedule_rid(f"s{i}") for i in range(60)]
    system.apply(catalogues.many(len(schedules)))
    settings = {"worker__batch__max__records": "100", "session.timeout.ms": 6000}
    system.worker("steady", **settings).wait_ready()
    load = Load(system.bootstrap)
    requests = mixed(schedules, 10 ** 6)
    for steps in STEPS:
        victims = [system.worker(f"at-{step}", program=system.faulty("schedrun-worker"),
                                 environment={"SCHEDRUN_CRASH_AT": f"{step}:2"}, **settings)
                   for step in steps]
        begun = time.monotonic()
        while any(victim.process.poll() is None for victim in victims):
            assert time.monotonic() - begun < fair(60), [v.process.poll() for v in victims]
            for _ in range(50):
                load.send(next(requests))
            time.sleep(0.05)
        for step, victim in zip(steps, victims):
            assert victim.process.returncode == -signal.SIGKILL, victim.tail()
            injected.note(f"SIGKILL after {step}")
    for _ in range(2000):
        load.send(next(requests))
    asked = load.flush()
    system.wait_drained(fair(60))
    verdict = system.judge(asked)
    assert verdict.outcomes["submitted"] > 0 and verdict.outcomes["ignored"] > 0


def test_kill_of_all(campaign):
    """Row 3: whoever is started again goes on."""
    chaos = campaign(name="all")
    for _ in range(2):
        chaos.pause(1, 3)
        for worker in chaos.workers:
            worker.kill()
        for i in range(3):
            chaos.restart(i)
        chaos.recover(20)
    chaos.judge()


def test_zombies(campaign):
    """Row 4: stopped beyond the session, they come back and join again."""
    chaos = campaign(name="zombies")
    for i in range(2):
        chaos.pause(0.5, 2)
        chaos.workers[i].signal(signal.SIGSTOP)
        chaos.pause(SESSION + 1, SESSION + 5)
        chaos.workers[i].signal(signal.SIGCONT)
        chaos.recover(10)
    chaos.judge()
    assert all("lost=1" in worker.log() for worker in chaos.workers[:2])
    assert all(worker.stop() == 0 for worker in chaos.workers)


def test_terms_under_load(campaign):
    """Row 5: each drains within 10 s and exits 0."""
    chaos = campaign(name="terms")
    for i in range(3):
        chaos.pause(0.2, 1.5)
        begun = time.monotonic()
        assert chaos.workers[i].stop() == 0
        injected.note(f"SIGTERM of worker-{i}, drained in {time.monotonic() - begun:.1f} s")
        assert time.monotonic() - begun < fair(10)
        chaos.restart(i)
    chaos.recover(15)
    chaos.judge()


def test_joins_and_leaves(campaign, system):
    """Row 7: 20 in a minute; results never stop for more than 15 s."""
    chaos = campaign(name="joins")
    begun = time.monotonic()
    extra = []
    for i in range(20):
        chaos.pause(0.5, 2.5)
        if extra and chaos.rng.random() < 0.5:
            worker = extra.pop(chaos.rng.randrange(len(extra)))
            assert worker.stop() == 0
            injected.note(f"{worker.name} leaves")
        else:
            extra.append(system.worker(f"extra-{i}", **chaos.settings))
            injected.note(f"extra-{i} joins")
    gap = chaos.progress.longest_gap(begun, time.monotonic())
    injected.recovered(gap)
    assert gap <= fair(15)
    chaos.judge()


def test_twins(campaign, system):
    """Row 8: two workers under one transactional.id fence each other.  One goes, and says
    why; who was never fenced can't know.  Nothing is doubled."""
    chaos = campaign(name="twins", workers=1)
    twin = system.worker("twin", **{**chaos.settings, "worker.id": "worker-0"})
    injected.note("a second worker-0")
    pair = [chaos.workers[0], twin]
    wait_for("one of them to end", lambda: any(w.process.poll() is not None for w in pair), 60)
    ended = [w for w in pair if w.process.poll() is not None]
    assert all(w.process.returncode == 75 for w in ended), [w.process.returncode for w in ended]
    assert "schedrun-worker-worker-0" in ended[0].log()
    assert "transaction.timeout.ms" in ended[0].log()
    if len(ended) == 2:
        chaos.restart(0)
    chaos.judge()


def test_everything_in_one_run(campaign, system):
    """Row 43: kills and stops of workers, of the broker, of Redis, by a timetable of the seed's."""
    chaos = campaign(name="everything", revives=True)

    def kill_a_worker(i):
        chaos.workers[i].kill()
        chaos.pause(0, 1)
        chaos.restart(i)

    def stop_a_worker(i):
        chaos.workers[i].signal(signal.SIGSTOP)
        chaos.pause(SESSION + 1, SESSION + 2)
        chaos.workers[i].signal(signal.SIGCONT)

    def kill_the_broker(_):
        system.cluster.stop_kafka(hard=True)
        chaos.pause(0, 1)
        system.cluster.start_kafka()

    def kill_redis(_):
        system.cluster.stop_redis(hard=True)
        chaos.pause(0, 1)
        system.cluster.start_redis()

    def stop_redis(_):
        system.cluster.pause("redis", round(chaos.rng.uniform(3, 5), 1))

    table = [kill_a_worker] * 4 + [stop_a_worker] + [kill_the_broker] * 2 + [kill_redis] * 2 + [stop_redis] * 2
    chaos.rng.shuffle(table)
    for fault in table:
        chaos.pause(0, 2)
        fault(chaos.rng.randrange(3))
        if chaos.rng.random() < 0.5:  # else the next one meets them while they recover
            chaos.recover(30)
    chaos.recover(30)
    assert len(injected.notes) >= 10
    chaos.judge()
