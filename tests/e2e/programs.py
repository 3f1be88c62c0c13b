"""Starts the built programs against a cluster and waits for what they do."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

import checker
import injected

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD_DIR", ROOT / "build"))
SANITIZE = os.environ.get("SANITIZE", "")  # what BUILD was made with
GROUP = "schedrun-worker"
# Settings that are librdkafka's properties, not keys of ours.
LIBRDKAFKA = ("bootstrap.servers", "socket.timeout.ms", "session.timeout.ms",
              "heartbeat.interval.ms", "max.poll.interval.ms", "transaction.timeout.ms", "message.timeout.ms",
              "topic.metadata.refresh.interval.ms", "queue.buffering.max.messages", "security.protocol",
              "ssl.ca.location", "sasl.mechanisms", "sasl.username")


def wait_for(what, holds, timeout=60, pause=0.05):
    """Polls `holds` until it is true; its last value is returned."""
    deadline = time.monotonic() + timeout
    while True:
        value = holds()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {timeout} s in vain for {what}"
        time.sleep(pause)


@contextlib.contextmanager
def stand_still(process):
    """Stopped from when the last of its threads has heard of SIGSTOP; goes on behind it."""
    process.send_signal(signal.SIGSTOP)

    def all_stand():
        try:
            stats = [path.read_text() for path in pathlib.Path(f"/proc/{process.pid}/task").glob("*/stat")]
        except FileNotFoundError:  # one has ended
            return False
        return all(stat.rpartition(") ")[2][0] == "T" for stat in stats)
    try:
        wait_for("all its threads to stand", all_stand, pause=0.001)
        yield
    finally:
        process.send_signal(signal.SIGCONT)


class Notified:
    """systemd's end of NOTIFY_SOCKET: all that one program has told, and its last STATUS=."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.told, self.status = [], ""
        # At once: who tells systemd something waits until there is room for it.
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            message = self.socket.recv(8192).decode()
            for line in message.splitlines():
                if line.startswith("STATUS="):
                    self.status = line.removeprefix("STATUS=")
            self.told.append(message)


class Daemon:
    """A running daemon with its log in a file; `process`: what Popen is told besides."""

    def __init__(self, system, program, name, settings, environment, wrapper=(), process=None):
        self.name = name
        self.port_file = system.directory / f"{name}.port"
        self.port_file.unlink(missing_ok=True)
        self.log_path = system.directory / f"{name}.log"
        command = [*wrapper, str(program), *system.flags(),
                   "-s", "admin.listen=127.0.0.1:0", "-s", f"admin.port.file={self.port_file}",
                   "--log-format", "logfmt"]
        for key, value in settings.items():
            command += ["-X" if key in LIBRDKAFKA else "-s", f"{key}={value}"]
        self.log_file = open(self.log_path, "ab")
        self.process = subprocess.Popen(command, **{
            "stderr": self.log_file, "stdout": self.log_file, "cwd": system.directory,
            "env": {**os.environ, **(environment or {})}, **(process or {})})

    def log(self):
        return self.log_path.read_text(errors="replace")

    def tail(self):
        return "\n".join(self.log().splitlines()[-25:])

    def admin(self, path):
        """Status and body of the admin listener; None while it isn't there."""
        try:
            port = int(self.port_file.read_text())
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()
        except (OSError, ValueError):
            return None

    def is_ready(self):
        assert self.process.poll() is None, \
            f"{self.name} has ended with {self.process.returncode}:\n{self.tail()}"
        answer = self.admin("/readyz")
        return answer is not None and answer[0] == 200

    def blamed(self):
        """The failing checks of /readyz and why; {} also while nobody listens."""
        answer = self.admin("/readyz")
        checks = json.loads(answer[1])["checks"] if answer else []
        return {check["name"]: check["reason"] for check in checks if not check["ok"]}

    def wait_ready(self, timeout=60):
        wait_for(f"{self.name} to be ready, log {self.log_path}", self.is_ready, timeout)
        return self

    def metric(self, series):
        """The value of a series as the exposition writes it, labels and all."""
        answer = self.admin("/metrics")
        for line in (answer[1] if answer else "").splitlines():
            name, _, value = line.rpartition(" ")
            if name == series:
                return float(value)
        return None

    def wait_metric(self, series, value, timeout=60):
        """What a program counts it counts behind what it has done, which others may see before."""
        wait_for(f"{series} to be {value}", lambda: self.metric(series) == value, timeout)

    def signal(self, number):
        injected.note(f"{signal.Signals(number).name} of {self.name}")
        self.process.send_signal(number)

    def kill(self):
        injected.note(f"SIGKILL of {self.name}")
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=15):
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not drain in {timeout} s:\n{self.tail()}")

    def wait(self, timeout=60):
        return self.process.wait(timeout)


class System:
    """The programs on one cluster, with a directory for logs and files."""

    def __init__(self, cluster, directory):
        self.cluster = cluster
        self.directory = pathlib.Path(directory)
        self.bootstrap = cluster.bootstrap
        self.redis_url = cluster.redis_url
        self.replication = 1
        self.daemons = []

    def faulty(self, program):
        """A program of the build with faults."""
        subprocess.run(["make", "-s", "-j2", "FAULTS=1", f"SANITIZE={SANITIZE}", "build"],
                       cwd=ROOT, check=True)
        return BUILD / "faults" / program

    def delete_topics(self):
        """Nothing of one test is left for the next: offsets go with the topics."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        topics = [t for t in admin.list_topics(timeout=20).topics if not t.startswith("__")]
        for future in admin.delete_topics(topics).values() if topics else []:
            future.result(30)
        groups = [g.group_id for g in admin.list_consumer_groups().result(20).valid]
        for future in admin.delete_consumer_groups(groups).values() if groups else []:
            try:
                future.result(30)
            except Exception:  # a member that was killed is still in it
                pass

    def flags(self):
        return ["-X", f"bootstrap.servers={self.bootstrap}", "--redis", self.redis_url]

    def run(self, *arguments, stdin=None, timeout=120, environment=None):
        """`schedrun ...`: the completed process, texts captured."""
        return subprocess.run([str(BUILD / "schedrun"), *self.flags(), *arguments],
                              input=stdin, capture_output=True, text=True, timeout=timeout,
                              env={**os.environ, **(environment or {})}, cwd=self.directory)

    def begin(self, *arguments):
        """The same, still running."""
        return subprocess.Popen([str(BUILD / "schedrun"), *self.flags(), *arguments], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.directory)

    def must(self, *arguments, **more):
        done = self.run(*arguments, **more)
        assert done.returncode == 0, \
            f"schedrun {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}"
        return done.stdout

    def init(self, partitions=4):
        return self.must("init", "--partitions", str(partitions), "--replication", str(self.replication))

    def alter_topic(self, topic, **settings):
        """Sets settings of a topic, `retention__ms=…` for retention.ms; returns when the
        broker, too, has heard of them from the controller."""
        entries = [ConfigEntry(name.replace("__", "."), str(value),
                               incremental_operation=AlterConfigOpType.SET)
                   for name, value in settings.items()]
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        resource = ConfigResource("topic", topic, incremental_configs=entries)
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(30)

        def has_heard():
            (future,) = admin.describe_configs([ConfigResource("topic", topic)]).values()
            found = future.result(30)
            return all(found[entry.name].value == entry.value for entry in entries)

        wait_for(f"{topic} to have {settings}", has_heard)
        injected.note(f"{topic} has {settings}")

    def apply(self, catalogue, *flags):
        """Loads it, with what it names that isn't there: some outcomes are of that."""
        path = self.directory / "catalogue.json"
        path.write_text(json.dumps(catalogue))
        return self.must("apply", "--allow-missing", *flags, str(path))

    def worker(self, name="worker-1", program=None, environment=None, process=None, **settings):
        keys = {"worker.id": name}
        for fault in environment or {}:
            if fault.startswith(("SCHEDRUN_CRASH", "SCHEDRUN_SLOW", "SCHEDRUN_KEEP")):
                injected.note(f"{name} has {fault}={environment[fault]}")
        keys.update({key.replace("__", "."): value for key, value in settings.items()})
        daemon = Daemon(self, program or BUILD / "schedrun-worker", name, keys, environment, process=process)
        self.daemons.append(daemon)
        return daemon

    def adapter(self, name="http-1", environment=None, wrapper=(), **settings):
        keys = {key.replace("__", "."): value for key, value in settings.items()}
        daemon = Daemon(self, BUILD / "schedrun-http", name, keys, environment, wrapper)
        self.daemons.append(daemon)
        return daemon

    def builder(self, command, name="builder-1", environment=None, wrapper=(), **settings):
        keys = {"builder.command": command, "builder.logs": self.directory / "builds"}
        keys.update({key.replace("__", "."): value for key, value in settings.items()})
        daemon = Daemon(self, BUILD / "schedrun-builder", name, keys, environment, wrapper)
        self.daemons.append(daemon)
        return daemon

    def folder(self):
        """An adapter that nobody calls: it folds results into the run view."""
        tokens = self.directory / "tokens"
        tokens.write_text(f"token {'0' * 8}-0000-4000-8000-{'0' * 12} api:orchestration-read\n")
        tokens.chmod(0o600)
        return self.adapter(http__auth="token-file", http__token__file=str(tokens),
                            http__listen="127.0.0.1:0", http__drain="0")

    def trigger(self, name="trigger-1", program=None, environment=None, **settings):
        keys = {key.replace("__", "."): value for key, value in settings.items()}
        daemon = Daemon(self, program or BUILD / "schedrun-trigger", name, keys, environment)
        self.daemons.append(daemon)
        return daemon

    def wait_drained(self, timeout=120):
        """Until every request's offset is committed."""
        def is_drained():
            try:
                return checker.lag(self.bootstrap, GROUP, "schedule-run-requests") == 0
            except TimeoutError:  # the coordinator is away, or still reads its log
                return False

        wait_for("the requests to be processed", is_drained, timeout, pause=0.2)
        if injected.notes and not injected.recoveries:
            injected.recovered(injected.since_last())

    def judge(self, asked):
        verdict = checker.judge_topics(self.bootstrap, asked, GROUP)
        assert verdict.clean(), str(verdict)
        return verdict

    def stop(self):
        codes = {}
        for daemon in self.daemons:
            if daemon.process.poll() is None:
                codes[daemon.name] = daemon.stop()
            daemon.log_file.close()
        found = [d.log_path for d in self.daemons if "Sanitizer: " in d.log()]
        self.daemons.clear()
        assert not found, f"sanitizers have reported, see {found}"
        return codes
