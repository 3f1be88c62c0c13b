"""Where Redis is: a name with several addresses, and a kind of server that can't be used."""

import os
import subprocess

import catalogues
import injected
import pytest
import redis
from cluster import STORE, free_ports
from load import Load, request
from programs import wait_for

SCHEDULE = catalogues.schedule_rid("stale")

# redis-ha has two addresses, the second one first.
RESOLVER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);
int getaddrinfo(const char *name, const char *port, const struct addrinfo *hints, struct addrinfo **found)
{
    resolver *next = (resolver *)dlsym(RTLD_NEXT, "getaddrinfo");
    if (name == NULL || strcmp(name, "redis-ha") != 0) return next(name, port, hints, found);
    next("127.0.0.2", port, hints, found);
    return next("127.0.0.1", port, hints, &(*found)->ai_next);
}
"""


@pytest.fixture
def start(tmp_path):
    """Starts a Redis of its own."""
    started = []

    def make(port, host="127.0.0.1", *flags):
        started.append(subprocess.Popen(
            [f"{STORE}-server", "--port", str(port), "--bind", host, "--save", "",
             "--dir", str(tmp_path), *flags], stdout=subprocess.DEVNULL))
        store = redis.Redis(host=host, port=port)

        def answers():
            try:
                return store.ping()
            except redis.exceptions.RedisError:
                return False
        wait_for("Redis to answer", answers)
        return store

    yield make
    for process in started:
        process.terminate()
        process.wait()


def answered(system, asked, request_id):
    load = Load(system.bootstrap)
    load.send(request(SCHEDULE, request_id))
    asked += load.flush()
    system.wait_drained()


def test_each_address_of_a_name_is_tried(system, start):
    """The first one is a replica; then the two change their parts."""
    library = system.directory / "resolver.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-o", str(library), "-"],
                   input=RESOLVER, text=True, check=True)
    environment = {"LD_PRELOAD": str(library),
                   "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    first, port = system.cluster.redis(), system.cluster.redis_port
    second = start(port, "127.0.0.2", "--replicaof", "127.0.0.1", str(port))
    system.init()
    system.apply(catalogues.outcomes())
    system.redis_url = f"redis://redis-ha:{port}/0"
    done = system.run("schedule", "get", SCHEDULE, environment=environment)
    assert done.returncode == 0, done.stderr
    worker = system.worker(environment=environment).wait_ready()
    asked = []
    try:
        answered(system, asked, "before")
        wait_for("the replica", lambda: second.info("replication")["master_link_status"] == "up")
        second.replicaof("no", "one")
        first.replicaof("127.0.0.2", port)
        answered(system, asked, "after")
        assert worker.is_ready() and f"redis-ha:{port} (127.0.0.2)" in worker.log()
    finally:
        first.replicaof("no", "one")
        worker.stop()
    assert system.judge(asked).results == 2


def test_a_node_of_a_cluster_is_refused_in_one_sentence(system, start, tmp_path):
    port, = free_ports(1)
    start(port, "127.0.0.1", "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")
    injected.note("a node of a Redis Cluster")
    system.redis_url = f"redis://127.0.0.1:{port}/0"
    for prefix in ("schedrun:", "{s}:"):
        done = system.run("-s", f"redis.prefix={prefix}", "init", "--partitions", "1", "--replication", "1")
        assert done.returncode == 2 and "is a node of a Redis Cluster" in done.stderr
    assert '"what":"redis","state":"fault"' in system.run("check").stdout
    for daemon in (system.worker(), system.adapter(http__listen="127.0.0.1:0", http__auth="none")):
        assert daemon.wait(30) == 78
        assert "is a node of a Redis Cluster" in daemon.log()
