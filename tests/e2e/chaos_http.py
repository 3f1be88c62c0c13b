"""The adapter under load, killed, its view flushed: one run for each key."""

import threading
import uuid

import catalogues
import checker
import injected
import requests
from adapters import API, Adapter
from campaign import SEED
from injected import fair
from programs import wait_for

SCHEDULES = [catalogues.schedule_rid(f"s{i}") for i in range(20)]


class Client:
    """Asks again with its key until it is answered, as an SDK that retries."""

    def __init__(self, adapters, schedules):
        self.adapters, self.schedules = adapters, schedules
        self.rids = {}  # key -> the rids that were told under it
        self.repeated = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        n = 0
        while not self.ended.is_set():
            key, schedule = str(uuid.uuid4()), self.schedules[n % len(self.schedules)]
            n += 1
            for attempt in range(2000):
                if self._ask(key, schedule) or self.ended.wait(0.05):
                    break
                self.repeated += 1

    def _ask(self, key, schedule):
        try:
            answer = self.adapters[0].run(schedule, Idempotency_Key=key)
        except requests.RequestException:
            return False
        if answer.status_code == 200:
            self.rids.setdefault(key, set()).add((schedule, answer.json()["rid"]))
        return answer.status_code == 200

    def stop(self):
        self.ended.set()
        self.thread.join()


def on_the_topic(system):
    """What the adapter has published, as requests."""
    return [checker.Asked(m.partition(), m.offset(), checker.decode("run_request", m.value()), m.value(), m.key())
            for m in checker.read_topic(system.bootstrap, "schedule-run-requests")]


def start(system):
    system.init()
    system.apply(catalogues.many(len(SCHEDULES)))
    system.worker().wait_ready()


def test_kills_of_the_adapter(system):
    """Row 44: under load, ten times; each key has one run, whatever the client saw."""
    import random
    rng = random.Random(f"{SEED} adapter")
    start(system)
    adapters = [Adapter(system)]
    clients = [Client(adapters, SCHEDULES) for _ in range(8)]
    try:
        for _ in range(10):
            before = sum(len(client.rids) for client in clients)
            wait_for("answers", lambda: sum(len(c.rids) for c in clients) > before + rng.randrange(20, 200),
                     fair(60))
            adapters[0].daemon.kill()
            adapters[0] = Adapter(system)
    finally:
        for client in clients:
            client.stop()
    system.wait_drained()
    asked = on_the_topic(system)
    system.judge(asked)
    assert sum(client.repeated for client in clients) > 0, "nobody had to ask again"
    runs = {checker.run_rid(a.datum["scheduleRid"], a.datum["requestId"]) for a in asked}
    told = [rids for client in clients for rids in client.rids.values()]
    assert all(len(rids) == 1 for rids in told)
    assert {rid for rids in told for _, rid in rids} <= runs


def test_a_view_that_is_flushed(system):
    """Row 45: every run is there again, with its result."""
    start(system)
    adapter = Adapter(system)
    client = Client([adapter], SCHEDULES)
    try:
        wait_for("answers", lambda: len(client.rids) > 200, fair(60))
    finally:
        client.stop()
    system.wait_drained()
    asked = on_the_topic(system)
    told = [one for rids in client.rids.values() for one in rids]

    def shown():
        answers = [adapter.call("GET", f"{API}/schedules/{schedule}/runs/{rid}") for schedule, rid in told[::10]]
        return all(a.status_code == 200 and "result" in a.json() for a in answers)
    wait_for("the runs", shown, fair(30), pause=0.5)
    store = system.cluster.redis()
    keys = [key for pattern in ("r", "x", "b", "f") for key in store.keys(f"schedrun:{pattern}:*")]
    assert keys
    store.delete(*keys)
    injected.note(f"{len(keys)} keys of the view are gone")
    assert not shown()
    wait_for("the runs again", shown, fair(60), pause=0.5)
    injected.recovered(injected.since_last())
    system.judge(asked)
