"""Redis that is there but refuses: the worker waits, says why, and goes on."""

import threading
import time

import catalogues
import injected
import redis
from load import Load, mixed
from programs import stand_still, wait_for

SCHEDULES = [catalogues.schedule_rid(f"s{i}") for i in range(50)]


class Stream:
    """Requests, 2,000 a second, until it is stopped."""

    def __init__(self, bootstrap):
        self.load = Load(bootstrap)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        requests = mixed(SCHEDULES, 1000000, seed=5)
        while not self.ended.wait(0.05):
            for _ in range(100):
                self.load.send(next(requests))

    def stop(self):
        self.ended.set()
        self.thread.join()
        return self.load.flush()


def kill_clients(store):
    store.client_kill_filter(_type="normal", skipme=True)


def set_password(store):
    store.config_set("requirepass", "secret")
    kill_clients(store)


def unset_password(store):
    port = store.connection_pool.connection_kwargs["port"]
    redis.Redis(port=port, password="secret").config_set("requirepass", "")


def fill_clients(store):
    store.config_set("maxclients", 1)
    kill_clients(store)


def spoil_marks(store):
    for key in store.keys("schedrun:m:*"):
        store.delete(key)
        store.lpush(key, "no mark")


def delete_marks(store):
    store.delete(*store.keys("schedrun:m:*"))


def evict_claims(store):
    """They have a TTL, and nothing else has."""
    store.config_set("maxmemory-policy", "volatile-ttl")
    store.config_set("maxmemory", 1)
    try:
        wait_for("all claims to be evicted", lambda: evicts(store) and not store.keys("*:c:*"))
        injected.note("all claims are evicted")
    finally:
        store.config_set("maxmemory", 0)
        store.config_set("maxmemory-policy", "noeviction")


def evicts(store):
    try:
        store.set("x", "y")
    except redis.exceptions.ResponseError:
        pass  # nothing that may be evicted is left
    return store.info("stats")["evicted_keys"] > 0


ROWS = [
    ("noeviction", lambda s: s.config_set("maxmemory-policy", "allkeys-lru"),
     lambda s: s.config_set("maxmemory-policy", "noeviction")),
    ("OOM", lambda s: s.config_set("maxmemory", 1), lambda s: s.config_set("maxmemory", 0)),
    ("NOAUTH", set_password, unset_password),
    ("max number of clients", fill_clients, lambda s: s.config_set("maxclients", 10000)),
    ("is not a master", lambda s: s.replicaof("127.0.0.1", 1), lambda s: s.replicaof("no", "one")),
    ("NOPERM", lambda s: s.execute_command("ACL", "SETUSER", "default", "-evalsha"),
     lambda s: s.execute_command("ACL", "SETUSER", "default", "+evalsha")),
    ("not a string", spoil_marks, delete_marks),
]


def test_refusals_under_load(system):
    system.init()
    system.apply(catalogues.many(len(SCHEDULES)))
    worker = system.worker().wait_ready()
    store = system.cluster.redis()
    stream = Stream(system.bootstrap)
    try:
        for reason, refuse, mend in ROWS:
            wait_for("claims", lambda: store.keys("schedrun:m:*"))
            refuse(store)
            injected.note(f"Redis refuses, {reason}")
            wait_for(f"the worker to be not ready for {reason}",
                     lambda: not worker.is_ready() and reason in worker.admin("/readyz")[1], 15)
            mend(store)
            worker.wait_ready(15)
    finally:
        asked = stream.stop()
    system.wait_drained()
    system.judge(asked)
    assert worker.metric("schedrun_claim_repairs_total") >= 1
    for kind in ("unavailable", "refused"):
        assert worker.metric(f'schedrun_redis_errors_total{{kind="{kind}"}}') >= 1, kind


def test_the_oldest_request_ages_while_redis_hangs(system):
    """Whether it was read before Redis was found to hang, or lies unread."""
    system.init(partitions=2)
    system.apply(catalogues.many(len(SCHEDULES)))
    worker = system.worker().wait_ready()
    age = lambda: worker.metric("schedrun_oldest_request_age_seconds")  # noqa: E731
    assert age() == 0
    requests = mixed(SCHEDULES, 100, repeats=0, seed=8)
    load = Load(system.bootstrap)
    store = system.cluster.redis_process
    for read in (True, False):
        with stand_still(store):
            if not read:
                wait_for("the worker to be not ready", lambda: not worker.is_ready(), 15)
            for _ in range(20):
                load.send(next(requests))
            asked = load.flush()
            sent = time.monotonic()
            wait_for("the request to age", lambda: age() > 5, 15)
            assert age() <= time.monotonic() - sent + 1
        system.wait_drained()
        wait_for("no request to wait", lambda: age() == 0, 15)
    system.judge(asked)


def test_evicted_claims_are_taken_again(system):
    """A policy that was wrong for a moment: what it cost is seen and repaired."""
    system.init()
    system.apply(catalogues.many(len(SCHEDULES)))
    worker = system.worker().wait_ready()
    store = system.cluster.redis()
    load = Load(system.bootstrap)
    requests = list(mixed(SCHEDULES, 2000, seed=6))
    for datum in requests:
        load.send(datum)
    load.flush()
    system.wait_drained()
    evict_claims(store)
    wait_for("the worker to see it", lambda: "keys_evicted" in worker.log(), 15)
    for datum in requests:
        load.send(datum)
    asked = load.flush()
    system.wait_drained()
    system.judge(asked)
    assert worker.metric("schedrun_claim_repairs_total") >= 1


def test_a_mark_above_the_end_of_the_log(system):
    """Somebody's number, or another topic's of this name: it proves nothing."""
    system.init(partitions=1)
    system.apply(catalogues.many(len(SCHEDULES)))
    store = system.cluster.redis()
    load = Load(system.bootstrap)
    worker = system.worker().wait_ready()
    requests = list(mixed(SCHEDULES, 500, seed=7))
    for datum in requests:
        load.send(datum)
    load.flush()
    system.wait_drained()
    assert worker.stop() == 0
    for key in store.keys("schedrun:c:*"):
        store.delete(key)
    store.set("schedrun:m:schedule-run-requests:0", 10 ** 12)
    worker = system.worker("worker-2").wait_ready()
    wait_for("the mark to be set back", lambda: "mark_reset" in worker.log())
    for datum in requests:
        load.send(datum)
    asked = load.flush()
    system.wait_drained()
    system.judge(asked)
    assert worker.metric("schedrun_claim_repairs_total") == 1
