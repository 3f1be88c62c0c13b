"""docs/procedures.md, as it is written: each block is run by a shell on a system under
load, where `systemctl` and Kafka's tools are stand-ins of the same names that start and
stop the tests' own."""

import fnmatch
import http.server
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import threading

import campaign
import catalogues
import checker
import injected
import pytest
from cluster import JAVA, STORE, Cluster, free_ports
from injected import fair
from load import Load, mixed
from programs import BUILD, ROOT, Daemon, System, wait_for

PAPER = ROOT / "docs" / "procedures.md"
TOOLS = {"kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
         "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"}
PROGRAMS = {"worker": "schedrun-worker", "http": "schedrun-http", "trigger": "schedrun-trigger",
            "builder": "schedrun-builder"}
UNITS = ["schedrun-worker@1", "schedrun-worker@2", "schedrun-trigger", "schedrun-builder", "schedrun-http"]
# What an upgrade comes from: the last release, or where there is none what stood 50 commits ago.
BEFORE = os.environ.get("BEFORE", "")


def blocks(number):
    """The shell's lines of a section, a text for each block."""
    text = re.split(rf"^## {number}\. ", PAPER.read_text(), flags=re.M)[1].partition("\n## ")[0]
    return [re.sub("^    ", "", block, flags=re.M) for block in re.findall(r"(?:^    .*\n)+", text, re.M)]


class Redis(Cluster):
    """A cluster whose Redis is started by a configuration, as a unit does."""

    def start_redis(self, timeout=20):
        self.redis_conf = self.directory / "redis.conf"
        if not self.redis_conf.exists():
            self.redis_conf.write_text((ROOT / "deploy" / "redis.conf").read_text() +
                                       f"\nport {self.redis_port}\ndir {self.directory}\n")
        log = open(self.directory / "redis.log", "ab")
        self.redis_process = subprocess.Popen([f"{STORE}-server", self.redis_conf], stdout=log, stderr=log)
        wait_for("Redis", self.answers, timeout)

    def answers(self):
        assert self.redis_process.poll() is None
        try:
            return self.redis().ping()
        except Exception:  # not up yet, or loading
            return False


class Host(System):
    """A machine with units; all programs read one file."""

    def __init__(self, cluster, directory, programs=BUILD):
        super().__init__(cluster, directory)
        self.programs = programs  # where they are installed
        self.units = {}
        self.config = directory / "schedrun.conf"
        self.port = free_ports(1)[0]
        tokens = directory / "tokens"
        tokens.write_text(f"token {catalogues.OWNER} api:orchestration-read api:orchestration-write\n")
        tokens.chmod(0o600)
        self.config.write_text("\n".join(f"{key} = {value}" for key, value in {
            "kafka.bootstrap.servers": cluster.bootstrap, "redis.url": cluster.redis_url,
            "http.auth": "token-file", "http.token.file": tokens, "http.drain": "0",
            "http.listen": f"127.0.0.1:{self.port}", "worker.batch.max.records": 300,
            "kafka-consumer.session.timeout.ms": 6000,
            "builder.command": "/bin/true", "builder.logs": directory / "builds"}.items()) + "\n")
        self.bin = directory / "bin"
        self.bin.mkdir()
        self.systemctl = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.systemctl.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self.systemctl.server_address[1]}"
        self.tool("systemctl", f'exec curl -fsS --data "$*" {url}')
        for name, main in TOOLS.items():
            self.tool(name, f'exec {shlex.join(JAVA)} {main} "$@"')

    def tool(self, name, line):
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{line}\n")
        path.chmod(0o755)

    def handler(self):
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                words = self.rfile.read(int(self.headers["Content-Length"])).decode().split()
                try:
                    host.control(*words)
                    status, told = 200, ""
                except Exception as fault:  # told to the shell, which ends by it
                    status, told = 500, repr(fault)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(told.encode())

            def log_message(self, *_):
                pass

        return Handler

    def flags(self):
        return ["-c", str(self.config)]

    def control(self, verb, *names):
        injected.note(f"systemctl {verb} {' '.join(names)}")
        for name in names:
            if name == "redis-server":
                {"stop": self.cluster.stop_redis, "start": self.cluster.start_redis}[verb]()
                continue
            for unit in fnmatch.filter(UNITS, name):
                if verb != "start":
                    assert self.units.pop(unit).stop() == 0
                if verb != "stop":
                    self.start_unit(unit)

    def start_unit(self, unit):
        """Ready, as Restart= and a look at /readyz have it."""
        kind = unit.removeprefix("schedrun-").partition("@")[0]
        keys = {"worker.id": unit.replace("@", "-")} if kind == "worker" else {}
        daemon = Daemon(self, self.programs / PROGRAMS[kind], unit.replace("@", "-"), keys, None)
        self.daemons.append(daemon)
        self.units[unit] = daemon.wait_ready(fair(60))

    def start_all(self):
        for unit in UNITS:
            self.start_unit(unit)

    def shell(self, block, **environment):
        done = subprocess.run(["bash", "-euc", block], cwd=self.directory, capture_output=True, text=True, timeout=300, env={
            **os.environ, "PATH": f"{self.bin}:{self.programs}:{os.environ['PATH']}", "SCHEDRUN_CONFIG": str(self.config),
            "BROKERS": self.cluster.bootstrap, "REDIS": f"redis://127.0.0.1:{self.cluster.redis_port}",
            "REDIS_CONF": str(getattr(self.cluster, "redis_conf", "")), "REDIS_DIR": str(self.cluster.directory),
            **environment})
        print(f"{done.stdout[-1500:]}{done.stderr[-1500:]}")
        assert done.returncode == 0, f"{block}\nexit {done.returncode}: {done.stdout[-1000:]}{done.stderr[-1000:]}"
        return done.stdout

    def stop(self):
        super().stop()
        self.systemctl.shutdown()
        self.systemctl.server_close()


@pytest.fixture
def clusters(tmp_path):
    made = []

    def make():
        made.append(Redis(tmp_path / f"cluster-{len(made)}").start())
        return made[-1]

    yield make
    for cluster in made:
        cluster.stop()


@pytest.fixture
def host(clusters, tmp_path):
    host = Host(clusters(), tmp_path)
    prepare(host)
    host.start_all()
    yield host
    host.stop()


def prepare(host):
    host.must("init", "--partitions", "4", "--replication", "1")
    host.apply(catalogues.many(60))


def load(host):
    return campaign.Stream(host.cluster.bootstrap, rate=300)


def settle(host, stream, group="schedrun-worker"):
    """Stops the load, after some more of it; every request has had its one result."""
    enough = len(stream.load.asked) + 600
    wait_for("more requests", lambda: len(stream.load.asked) > enough, fair(60))
    asked = stream.stop()
    wait_for("the requests to be processed",
             lambda: checker.lag(host.cluster.bootstrap, group, "schedule-run-requests") == 0, fair(120), 0.2)
    verdict = checker.judge_topics(host.cluster.bootstrap, asked, group)
    assert verdict.clean(), str(verdict)
    print(f"    {len(asked)} requests, {verdict}")
    return asked


def commit(host, name, *more):
    """A head that the catalogue has not got; returns it."""
    done = host.must("dataset", "commit", catalogues.dataset(name), "--branch", "master", *more)
    return json.loads(done)["transactionRid"]


def names(catalogue):
    (name, *_) = [rid.rpartition(".")[2] for rid in catalogue["datasets"]]
    return name


def test_1_the_catalogue(host):
    stream = load(host)
    back_up, restore = blocks(1)
    host.shell(back_up)
    before = host.must("export")
    commit(host, names(json.loads(before)))
    host.must("schedule", "pause", campaign.SCHEDULES[0])
    host.apply(catalogues.many(3, "other-{}".format))
    assert host.must("export") != before
    host.shell(restore)
    assert host.must("export") == before == (host.directory / "catalogue-backup.json").read_text()
    settle(host, stream)


def test_2_redis(host):
    stream = load(host)
    back_up, restore, again = blocks(2)
    name = names(json.loads(host.must("export")))
    host.shell(back_up)
    head = commit(host, name, "--kafka")
    wait_for("the trigger to have applied it", lambda: head in host.must("export"), fair(30))
    host.shell(restore)
    assert head not in host.must("export")
    host.shell(again)
    wait_for("the event to be applied again", lambda: head in host.must("export"), fair(60))
    for daemon in host.units.values():
        daemon.wait_ready(fair(60))
    settle(host, stream)
    persistence = host.cluster.redis().info("persistence")
    assert persistence["aof_enabled"] == 1 and persistence["aof_rewrite_in_progress"] == 0
    host.control("stop", "redis-server")
    host.control("start", "redis-server")  # by its AOF, as it was configured to
    assert head in host.must("export")


def test_3_redis_is_lost(host):
    stream = load(host)
    host.shell(blocks(1)[0])
    before = host.must("export")
    host.cluster.stop_redis(hard=True)
    shutil.rmtree(host.cluster.directory / "appendonlydir")
    host.cluster.start_redis()
    wait_for("a worker to say so", lambda: not host.units["schedrun-worker@1"].is_ready(), fair(30))
    (block,) = blocks(3)
    host.shell(block)
    assert host.must("export") == before
    for daemon in host.units.values():
        daemon.wait_ready(fair(60))
    settle(host, stream)


def test_4_the_request_topic_is_made_anew(host):
    settle(host, load(host))
    (block,) = blocks(4)
    host.shell(block)
    others = [catalogues.schedule_rid(f"s{i}") for i in range(30)]
    first = len(checker.read_topic(host.cluster.bootstrap, "schedule-run-results"))
    asked = Load(host.cluster.bootstrap)
    for datum, _ in zip(mixed(others, 10 ** 6, 0, 99), range(500)):
        asked.send(datum)
    asked.flush()
    host.wait_drained()
    assert len(checker.read_topic(host.cluster.bootstrap, "schedule-run-results")) == first + 500


def test_5_another_cluster(host, clusters):
    settle(host, load(host))
    other = clusters()
    other.stop_redis()
    (block,) = blocks(5)
    host.shell(block, NEW_BROKERS=other.bootstrap)
    redis_port, host.cluster = host.cluster.redis_port, other
    other.redis_port = redis_port
    settle(host, load(host))


def test_6_another_group(host):
    stream = load(host)
    (block,) = blocks(6)
    host.shell(block)
    settle(host, stream, "schedrun-worker-2")


@pytest.fixture(scope="session")
def previous(tmp_path_factory):
    """The programs of the version before."""
    git = lambda *words: subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True,  # noqa: E731
                                        text=True).stdout.strip()
    before = BEFORE or git("describe", "--tags", "--abbrev=0", "--always", "HEAD~50")
    place = tmp_path_factory.mktemp("before") / "tree"
    git("worktree", "add", "--detach", str(place), before)
    try:
        subprocess.run(["make", "-s", "-j2", "WERROR=0", "build"], cwd=place, check=True, stdout=subprocess.DEVNULL)
        yield place / "build"
    finally:
        git("worktree", "remove", "--force", str(place))


def test_7_an_upgrade_and_back(clusters, tmp_path, previous):
    host = Host(clusters(), tmp_path, pathlib.Path(previous))
    try:
        prepare(host)
        host.start_all()
        stream = load(host)
        (block,) = blocks(7)
        lines = block.splitlines()
        host.programs = BUILD
        host.shell(block)
        host.programs = pathlib.Path(previous)
        restarts = [line for line in lines if "restart" in line]
        host.shell("\n".join(reversed(restarts)))
        settle(host, stream)
    finally:
        host.stop()
