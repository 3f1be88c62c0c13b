"""A Redis that dies, hangs, forgets, falls back, can't be reached."""

import signal
import subprocess
import time

import injected
import pytest
import redis
from cluster import STORE, free_ports
from injected import fair
from proxy import Proxy
from programs import wait_for


@pytest.fixture
def distant(campaign, system):
    """A campaign whose workers reach Redis through a proxy, as a client of HAProxy does."""
    proxy = Proxy(("127.0.0.1", system.cluster.redis_port))

    def make(**settings):
        system.redis_url = f"redis://127.0.0.1:{proxy.port}/0"
        chaos = campaign(**settings)
        chaos.proxy = proxy
        return chaos

    yield make
    proxy.close()


def repairs(chaos):
    return chaos.total("schedrun_claim_repairs_total")


def load_again(chaos):
    chaos.system.init(partitions=6)
    chaos.system.apply(chaos.catalogue)


def test_kills_of_redis(campaign, system):
    """Row 26: with its AOF nothing is forgotten, so nothing is repaired."""
    chaos = campaign(name="redis kills")
    for _ in range(3):
        chaos.pause(1, 3)
        system.cluster.stop_redis(hard=True)
        chaos.pause(0, 2)
        system.cluster.start_redis()
        chaos.recover(15)
    assert repairs(chaos) == 0
    chaos.judge()


def test_a_redis_without_persistence(campaign, system):
    """Row 27: it comes back empty; nothing is answered before the catalogue is there."""
    chaos = campaign(name="redis empty")
    store = system.cluster.redis()
    for _ in range(2):
        chaos.pause(1, 3)
        store.config_set("appendonly", "no")
        system.cluster.stop_redis(hard=True)
        for path in (system.cluster.directory / "appendonlydir").iterdir():
            path.unlink()
        system.cluster.start_redis()
        assert store.dbsize() == 0
        injected.note("Redis is empty")
        chaos.pause(0, 2)
        load_again(chaos)
        chaos.recover(20)
    wait_for("a repair", lambda: repairs(chaos) > 0, 20)
    assert chaos.judge().outcomes["error"] == 0


def test_flushes_in_full_load(campaign, system):
    """Row 28."""
    chaos = campaign(name="flush", rate=3000)
    for _ in range(2):
        chaos.pause(1, 3)
        system.cluster.redis().flushall()
        injected.note("FLUSHALL")
        wait_for("all to be not ready", lambda: not any(w.is_ready() for w in chaos.workers), fair(15))
        load_again(chaos)
        chaos.recover(20)
    wait_for("a repair", lambda: repairs(chaos) > 0, 20)
    assert chaos.judge().outcomes["error"] == 0


def start_replica(system, directory):
    """A replica of the cluster's Redis, in a directory of its own."""
    port = free_ports(1)[0]
    directory.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [f"{STORE}-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
         "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", str(system.cluster.redis_port),
         "--dir", str(directory)], stdout=subprocess.DEVNULL)
    store = redis.Redis(port=port)
    store.process, store.port = process, port
    return store


def end(process):
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()


@pytest.fixture
def replica(system, tmp_path):
    store = start_replica(system, tmp_path / "replica")
    wait_for("the replica", lambda: is_in_step(store), 30)
    yield store
    end(store.process)


def is_in_step(store):
    try:
        return store.info("replication").get("master_link_status") == "up"
    except redis.exceptions.RedisError:
        return False


def test_a_stale_replica_is_promoted(distant, system, replica):
    """Row 29: it lacks the last second of claims; the marks tell, and all is repaired."""
    chaos = distant(name="stale replica")
    wait_for("the replica", lambda: is_in_step(replica), 30)
    chaos.pause(1, 3)
    # Not by SIGSTOP: what stands in its socket by then would still be read.
    replica.replicaof("no", "one")
    injected.note("the replica is cut off")
    chaos.pause(1, 2)
    system.cluster.stop_redis(hard=True)
    replica.config_set("maxmemory-policy", "noeviction")
    injected.note("the replica is the master")
    chaos.proxy.target = ("127.0.0.1", replica.port)
    chaos.proxy.reset()
    wait_for("a repair", lambda: repairs(chaos) > 0, 20)
    chaos.recover(20)
    assert chaos.judge().outcomes["error"] == 0


SENTINEL = """\
port {port}
sentinel monitor schedrun 127.0.0.1 {master} 2
sentinel down-after-milliseconds schedrun 1000
sentinel failover-timeout schedrun 6000
"""


class Watched:
    """The cluster's Redis and two replicas, which three Sentinels watch."""

    def __init__(self, system, directory):
        self.first = system.cluster.redis_port
        self.replicas = [start_replica(system, directory / f"replica-{i}") for i in range(2)]
        ports = [self.first, *(store.port for store in self.replicas)]
        self.url = f"redis://{','.join(f'127.0.0.1:{port}' for port in ports)}/0"
        for store in self.replicas:
            wait_for("a replica", lambda store=store: is_in_step(store), 30)
        self.processes = []
        for port in free_ports(3):
            path = directory / f"sentinel-{port}.conf"
            path.write_text(SENTINEL.format(port=port, master=self.first))
            self.processes.append(subprocess.Popen([f"{STORE}-server", str(path), "--sentinel"],
                                                   stdout=subprocess.DEVNULL))
            self.sentinel = redis.Redis(port=port, decode_responses=True)
        wait_for("the Sentinels to know each other", self.is_complete, fair(30))

    def is_complete(self):
        try:
            told = self.sentinel.sentinel_master("schedrun")
            return told["num-other-sentinels"] == 2 and told["num-slaves"] == 2
        except redis.exceptions.RedisError:
            return False

    def master(self):
        return int(self.sentinel.sentinel_get_master_addr_by_name("schedrun")[1])

    def wait_other(self, than):
        """Another one is the master, for the Sentinels and by its own word."""
        def is_other():
            try:
                port = self.master()
                return port != than and redis.Redis(port=port).info("replication")["role"] == "master"
            except redis.exceptions.RedisError:
                return False
        wait_for("another master", is_other, fair(30))
        injected.note("Sentinel has promoted another one")

    def stop(self):
        for process in [*self.processes, *(store.process for store in self.replicas)]:
            end(process)


@pytest.fixture
def watched(system, tmp_path):
    three = Watched(system, tmp_path)
    yield three
    three.stop()
    if system.cluster.redis_process is None:
        system.cluster.start_redis()
    system.cluster.redis().replicaof("no", "one")
    system.cluster.redis().config_set("min-replicas-to-write", 0)


# As docs/operation.md has it, and all wrong.
WANTED = {"yes": 1, "no": 0}


@pytest.mark.parametrize("aof", list(WANTED))
def test_a_failover_by_sentinel(campaign, system, watched, aof):
    """Row 56: redis.url names all three.  The master is killed, and comes back as one, without an
    AOF an empty one, until the Sentinels make it a replica; then they are told to fail over."""
    system.redis_url = watched.url
    first = system.cluster.redis_port
    chaos = campaign(name=f"sentinel, AOF {aof}")
    for store in (system.cluster.redis(), *watched.replicas):
        store.config_set("appendonly", aof)
        store.config_set("min-replicas-to-write", WANTED[aof])
    chaos.pause(1, 3)
    system.cluster.stop_redis(hard=True)
    watched.wait_other(first)
    chaos.recover(20)
    if aof == "no":
        for path in (system.cluster.directory / "appendonlydir").iterdir():
            path.unlink()
    system.cluster.start_redis()
    system.cluster.redis().config_set("min-replicas-to-write", WANTED[aof])
    injected.note("the old master is back")
    wait_for("it to be a replica", lambda: is_in_step(system.cluster.redis()), fair(60))
    chaos.recover(20)
    second = watched.master()
    wait_for("a failover to be possible", lambda: can_fail_over(watched.sentinel), fair(60))
    watched.wait_other(second)
    chaos.recover(20)
    assert chaos.judge().outcomes["error"] == 0


def can_fail_over(sentinel):
    """Some seconds after the last one."""
    try:
        return sentinel.execute_command("SENTINEL", "FAILOVER", "schedrun")
    except redis.exceptions.ResponseError:
        return False


def test_a_redis_that_hangs(campaign, system):
    """Row 30: for 10 s nothing is processed; the partitions stay where they are."""
    chaos = campaign(name="redis hangs")
    had = [w.log().count("partitions_assigned") for w in chaos.workers]
    chaos.pause(1, 3)
    system.cluster.pause("redis", 10)
    chaos.recover(15)
    assert [w.log().count("partitions_assigned") for w in chaos.workers] == had
    chaos.judge()


def test_a_full_redis(campaign, system):
    """Row 32: not ready, OOM is named; goes on once there is room."""
    chaos = campaign(name="redis full")
    store = system.cluster.redis()
    for _ in range(2):
        chaos.pause(1, 2)
        store.config_set("maxmemory", 1)
        injected.note("maxmemory reached")
        for worker in chaos.workers:
            wait_for("OOM to be named", lambda: "OOM" in str(worker.blamed()), fair(15))
        store.config_set("maxmemory", 0)
        chaos.recover(15)
    chaos.judge()


def test_a_redis_far_away(distant):
    """Row 31: no byte for 10 s, RST ten times, 5 ms, 200 ms, 1 s each way."""
    chaos = distant(name="redis far", rate=300)
    chaos.proxy.drop()
    wait_for("all to be not ready", lambda: not any(w.is_ready() for w in chaos.workers), fair(15))
    chaos.pause(5, 8)
    chaos.proxy.heal()
    chaos.recover(15)
    for _ in range(10):
        chaos.pause(0.2, 1)
        chaos.proxy.reset()
    chaos.recover(15)
    for delay in (0.005, 0.2):
        chaos.proxy.delay = delay
        injected.note(f"{delay} s each way")
        chaos.recover(30)
        time.sleep(5)
    chaos.proxy.delay = 1
    injected.note("1 s each way, as long as an answer may take")
    time.sleep(10)
    chaos.proxy.delay = 0
    chaos.recover(15)
    chaos.judge()


def test_a_redis_whose_connections_die_silently(distant):
    """Row 35: no FIN comes; an error after the time-out of a command, and no worker hangs."""
    chaos = distant(name="half open")
    for _ in range(2):
        chaos.pause(1, 2)
        chaos.proxy.drop()
        begun = time.monotonic()
        wait_for("all to be not ready", lambda: not any(w.is_ready() for w in chaos.workers), fair(8))
        print(f"    not ready after {time.monotonic() - begun:.1f} s")
        chaos.pause(0, 3)
        chaos.proxy.abandon()
        chaos.recover(15)
    chaos.judge()
