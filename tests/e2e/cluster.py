"""A real Kafka (KRaft, one node) and a real Redis, on free ports, in a directory
of their own.  What is started here is stopped here, by its process."""

import os
import pathlib
import random
import signal
import socket
import subprocess
import time
import uuid
import base64

import injected
import redis
from confluent_kafka.admin import AdminClient

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSWORD = "a-password-of-the-tests"  # of Kafka's user `app`
STORE = os.environ.get("STORE", "redis")  # or valkey
JARS = ROOT / ".cache" / "kafka" / "libs"
JVM = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
       "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
JAVA = [*JVM, "-cp", f"{JARS}/*"]

SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},PROXIED://127.0.0.1:{proxied},GUARDED://127.0.0.1:{guarded},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker},PROXIED://127.0.0.1:{proxy},GUARDED://127.0.0.1:{guarded}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,GUARDED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
listener.name.guarded.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.guarded.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_app="{password}";
listener.name.guarded.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={logs}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.backoff.ms=200
"""


def free_ports(n):
    """`n` different ports that nobody listens on, below those that connections
    are given: none of these takes one before it is listened on."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    sockets = []
    while len(sockets) < n:
        try:
            sockets.append(socket.create_server(("127.0.0.1", random.randrange(10000, first))))
        except OSError:  # taken: another one
            pass
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Cluster:
    """`proxied_port` is a listener whose clients are told to come to
    `proxy_port`, where a test may put a proxy.  On `guarded_port` one logs in
    and has the rights that were given; without a login all is allowed."""

    java = JAVA  # another version, or with more options, in a subclass

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.broker_port, self.proxied_port, self.proxy_port, self.controller_port,
         self.guarded_port, self.redis_port) = free_ports(6)
        self.cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self.bootstrap = f"127.0.0.1:{self.broker_port}"
        self.redis_url = f"redis://127.0.0.1:{self.redis_port}/0"
        self.kafka_process = self.redis_process = None
        self._format()

    def _format(self):
        self.properties = self.directory / "server.properties"
        self.properties.write_text(SERVER_PROPERTIES.format(
            broker=self.broker_port, proxied=self.proxied_port, proxy=self.proxy_port,
            guarded=self.guarded_port, password=PASSWORD, controller=self.controller_port, logs=self.directory / "kafka-logs"))
        subprocess.run([*self.java, "kafka.tools.StorageTool", "format", f"--cluster-id={self.cluster_id}",
                        "-c", str(self.properties)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def start(self):
        self.start_kafka()
        self.start_redis()
        return self

    def stop(self):
        self.stop_kafka()
        self.stop_redis()

    def start_kafka(self, timeout=60):
        log = open(self.directory / "kafka.log", "ab")
        self.kafka_process = subprocess.Popen([*self.java, "kafka.Kafka", str(self.properties)],
                                              stdout=log, stderr=log)
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        deadline = time.monotonic() + injected.fair(timeout)
        while True:
            assert self.kafka_process.poll() is None, \
                f"Kafka has ended; see {self.directory / 'kafka.log'}"
            try:
                metadata = admin.list_topics(timeout=2)
                assert metadata.cluster_id == self.cluster_id, "another broker is on this port"
                return
            except Exception as error:  # not up yet, whatever the client calls it
                if isinstance(error, AssertionError) or time.monotonic() > deadline:
                    raise

    def stop_kafka(self, hard=False):
        if self.kafka_process is None:
            return
        injected.note(f"{'SIGKILL' if hard else 'SIGTERM'} of the broker")
        self.kafka_process.send_signal(signal.SIGCONT)
        self.kafka_process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
        try:
            self.kafka_process.wait(20)
        except subprocess.TimeoutExpired:
            self.kafka_process.kill()
            self.kafka_process.wait()
        self.kafka_process = None

    def start_redis(self, timeout=20):
        log = open(self.directory / "redis.log", "ab")
        self.redis_process = subprocess.Popen(
            [f"{STORE}-server", "--port", str(self.redis_port), "--bind", "127.0.0.1",
             "--dir", str(self.directory), "--appendonly", "yes", "--save", "",
             "--hash-max-listpack-entries", "512", "--maxmemory-policy", "noeviction"],
            stdout=log, stderr=log)
        deadline = time.monotonic() + timeout
        while True:
            assert self.redis_process.poll() is None, \
                f"Redis has ended; see {self.directory / 'redis.log'}"
            try:
                self.redis().ping()
                return
            except redis.exceptions.RedisError:
                assert time.monotonic() < deadline, "Redis does not answer"
                time.sleep(0.02)

    def stop_redis(self, hard=False):
        if self.redis_process is None:
            return
        injected.note(f"{'SIGKILL' if hard else 'SIGTERM'} of Redis")
        self.redis_process.send_signal(signal.SIGCONT)
        self.redis_process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
        self.redis_process.wait()
        self.redis_process = None

    def redis(self):
        return redis.Redis(port=self.redis_port)

    def pause(self, server, seconds):
        """Stops `kafka` or `redis` for a while."""
        process = getattr(self, f"{server}_process")
        process.send_signal(signal.SIGSTOP)
        injected.note(f"{server} stopped for {seconds} s")
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def empty_redis(self):
        """No key, and the settings as they should be, whatever was tried before."""
        self.redis().flushall()
        self.redis().config_set("maxmemory-policy", "noeviction")
        self.redis().config_set("maxmemory", 0)
