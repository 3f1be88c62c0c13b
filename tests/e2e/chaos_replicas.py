"""Three brokers, replication 3, two in sync at least: leaders and coordinators that move."""

import base64
import os
import signal
import subprocess
import time
import uuid

import cluster
import injected
import pytest
from cluster import Cluster, free_ports
from confluent_kafka.admin import AdminClient
from injected import fair
from programs import System, wait_for

# The two ends of a wire, on this machine; others may lay theirs beside it.
WIRE, NUMBER = f"chaos{os.getpid()}"[:14], os.getpid() % 64
OUTSIDE, INSIDE = f"10.231.{NUMBER}.1", f"10.231.{NUMBER}.2"

NODE = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{host}:{broker},CONTROLLER://{host}:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={logs}
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
broker.session.timeout.ms=6000
replica.lag.time.max.ms=6000
unclean.leader.election.enable=false
"""


class Three(Cluster):
    """Nodes 1 to 3; `inside`: the third is in a network namespace of this name."""

    def __init__(self, directory, inside=None):
        self.directory = directory
        directory.mkdir(parents=True)
        self.inside = inside
        ports = free_ports(7)
        self.redis_port = ports[6]
        self.redis_url = f"redis://127.0.0.1:{self.redis_port}/0"
        self.redis_process = None
        self.nodes = {}
        hosts = [OUTSIDE, OUTSIDE, INSIDE] if inside else ["127.0.0.1"] * 3
        self.at = {i + 1: f"{hosts[i]}:{ports[i]}" for i in range(3)}
        voters = ",".join(f"{i + 1}@{hosts[i]}:{ports[3 + i]}" for i in range(3))
        self.bootstrap = ",".join(self.at.values())
        self.cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        for i in range(3):
            (directory / f"{i + 1}.properties").write_text(NODE.format(
                node=i + 1, host=hosts[i], broker=ports[i], controller=ports[3 + i], voters=voters,
                logs=directory / f"logs-{i + 1}"))
            subprocess.run([*cluster.JAVA, "kafka.tools.StorageTool", "format", f"--cluster-id={self.cluster_id}",
                            "-c", str(directory / f"{i + 1}.properties")], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)

    def start_node(self, node):
        log = open(self.directory / f"kafka-{node}.log", "ab")
        around = ["ip", "netns", "exec", self.inside] if self.inside and node == 3 else []
        self.nodes[node] = subprocess.Popen(
            [*around, *cluster.JAVA, "kafka.Kafka", str(self.directory / f"{node}.properties")],
            stdout=log, stderr=log)

    def start_kafka(self, timeout=90):
        for node in (1, 2, 3):
            self.start_node(node)
        wait_for("three brokers", lambda: len(self.seen().brokers) == 3, fair(timeout), pause=0.5)

    def seen(self):
        """Metadata as of now."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        while True:
            try:
                return admin.list_topics(timeout=5)
            except Exception:  # whatever the client calls it
                assert any(process.poll() is None for process in self.nodes.values())

    def leader(self, topic):
        return self.seen().topics[topic].partitions[0].leader

    def wait_in_sync(self):
        def all_are():
            topics = self.seen().topics.values()
            return topics and all(len(p.isrs) == 3 for t in topics for p in t.partitions.values())
        wait_for("all replicas to be in sync", all_are, fair(90), pause=0.5)

    def stop_kafka(self, hard=True):
        for process in self.nodes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def three_on(directory, inside=None):
    servers = Three(directory / "cluster", inside)
    servers.start()
    system = System(servers, directory)
    system.replication = 3
    return system


@pytest.fixture
def system(request, tmp_path):
    """In place of the one broker."""
    inside = None
    if "apart" in request.node.name:
        inside = make_wire()
    system = None
    try:
        system = three_on(tmp_path, inside)
        yield system
        system.stop()
    finally:
        if system:
            system.cluster.stop()
        if inside:
            subprocess.run(["ip", "netns", "del", inside], check=True)


def make_wire():
    """A namespace of its own for one broker, and a wire to it."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    name = f"chaos-{os.getpid()}"
    for command in (["ip", "netns", "add", name],
                    ["ip", "link", "add", WIRE, "type", "veth", "peer", "name", "inside", "netns", name],
                    ["ip", "addr", "add", f"{OUTSIDE}/30", "dev", WIRE], ["ip", "link", "set", WIRE, "up"],
                    ["ip", "-n", name, "addr", "add", f"{INSIDE}/30", "dev", "inside"],
                    ["ip", "-n", name, "link", "set", "inside", "up"], ["ip", "-n", name, "link", "set", "lo", "up"]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
            pytest.skip(f"no network namespace can be made here: {done.stderr.strip()}")
    return name


@pytest.mark.parametrize("topic", ["__transaction_state", "__consumer_offsets", "schedule-run-results"])
def test_a_leader_that_goes(campaign, system, topic):
    """Row 23: killed, the coordinator of transactions, that of the group, a leader of results."""
    chaos = campaign(name=f"leader of {topic}", revives=True)
    system.cluster.wait_in_sync()
    node = system.cluster.leader(topic)
    system.cluster.nodes[node].kill()
    system.cluster.nodes[node].wait()
    injected.note(f"SIGKILL of broker {node}, which leads {topic}")
    chaos.recover(20)
    assert system.cluster.leader(topic) != node
    system.cluster.start_node(node)
    system.cluster.wait_in_sync()
    chaos.recover(20)
    chaos.judge()


def test_a_broker_apart(campaign, system):
    """Row 23: for 20 s the wire to one of three is cut, and nothing says so."""
    chaos = campaign(name="apart", revives=True)
    system.cluster.wait_in_sync()
    wire = ["ip", "-n", system.cluster.inside, "link", "set", "inside"]
    subprocess.run([*wire, "down"], check=True)
    injected.note("broker 3 is apart")
    time.sleep(20)
    chaos.recover(20)
    subprocess.run([*wire, "up"], check=True)
    system.cluster.wait_in_sync()
    chaos.recover(20)
    chaos.judge()
