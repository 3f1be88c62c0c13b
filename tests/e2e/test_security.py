"""Each way into Kafka and Redis, each program as its own principal with the rights that
deploy/ gives: it does all that it does, and what it was not given is refused.  Of the ways
into Kafka `make test` takes tokens, `make security` (SECURITY=all) all."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import uuid

import campaign
import catalogues
import checker
import injected
import pytest
import requests
import secured
from cluster import free_ports
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic
from injected import fair
from load import Load, request
from programs import BUILD, wait_for

ALL = os.environ.get("SECURITY") == "all"
WAYS = list(secured.ENTRIES) if ALL else ["token"]
TOPICS = ("schedule-run-requests", "schedule-run-results", "schedule-builds", "schedule-run-requests.dlq",
          "schedule-events")
GROUPS = {"worker": "schedrun-worker", "adapter": "schedrun-http", "builder": "schedrun-builder",
          "trigger": "schedrun-trigger"}
OPTIONS = {"adapter": "http"}  # of `check --for`
# The last one: a topic that may not be described isn't there.
REFUSED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED,
           KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED,
           KafkaError._NOENT}
JOB = """\
#!/bin/sh
tr '\\0' '\\n' </proc/self/environ >>{0}
tr '\\0' '\\n' </proc/$$/cmdline >>{0}
"""


def slow(test):
    """One of `make security` alone."""
    return test if ALL else None


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    """Makes a cluster of a version, once; secrets are new in each run."""
    made = {}

    def get(version=None):
        if version not in made:
            secrets = {name: f"secret-of-{name}-{uuid.uuid4().hex}" for name in secured.PROGRAMS}
            place = tmp_path_factory.mktemp("secured") / "cluster"
            made[version] = secured.Secured(place, secrets, version)
            made[version].start()
        return made[version]

    yield get
    for cluster in made.values():
        cluster.stop()


class Secure:
    """All programs on one cluster, by one way in; Redis through the tunnel."""

    def __init__(self, cluster, directory, way):
        self.cluster = cluster
        cluster.empty_redis()
        self.tunnel = secured.TlsRedis(cluster)
        self.system = secured.SecuredSystem(cluster, directory, secured.ENTRIES[way],
                                            f"unix://{self.tunnel.path}?db=0")
        self.token, self.more = f"token-{uuid.uuid4().hex}", []
        self.tokens = self.system.file("tokens", self.token_line(self.token))
        self.told = directory / "told-to-the-job"
        self.job = directory / "job"
        self.job.write_text(JOB.format(self.told))
        self.job.chmod(0o755)
        setup = self.system.setup
        setup.init(partitions=2)
        setup.apply(catalogues.outcomes())
        self.port = free_ports(1)[0]

    def token_line(self, token):
        return f"{token} {catalogues.OWNER} api:orchestration-read api:orchestration-write\n"

    def start(self, program, name=None):
        system, settings = self.system, self.system.of(program)
        name = name or f"{program}-1"
        if program == "worker":
            return system.worker(name, **settings)
        if program == "adapter":
            return system.adapter(name, http__auth="token-file", http__token__file=self.tokens, http__drain="0",
                                  http__listen=f"127.0.0.1:{self.port}", **settings)
        if program == "builder":
            return system.builder(self.job, name, **settings)
        return system.trigger(name, **settings)

    def start_all(self):
        daemons = {program: self.start(program) for program in secured.PROGRAMS}
        for daemon in daemons.values():
            daemon.wait_ready(fair(60))
        return daemons

    def post(self, name, token=None):
        rid = catalogues.schedule_rid(name)
        return requests.post(
            f"http://127.0.0.1:{self.port}/api/v2/orchestration/schedules/{rid}/run?preview=true",
            headers={"Authorization": f"Bearer {token or self.token}", "Prefer": "wait=20"}, timeout=30)

    def secrets(self):
        """All that must be seen nowhere."""
        return [*self.cluster.secrets.values(), *self.more, *self.system.redis_passwords.values(), self.token,
                *self.cluster.issuer.given, "PRIVATE KEY"]

    def stop(self):
        try:
            self.system.stop()
        finally:
            self.tunnel.stop()
            self.system.setup.delete_topics()


@pytest.fixture
def secure(kafka, tmp_path):
    made = []

    def make(way):
        version = secured.SCRAM_KAFKA if way == "scram" and secured.has_old_scram() else None
        made.append(Secure(kafka(version), tmp_path, way))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def exercise(secure, daemons):
    """A run of each outcome, one over HTTP that is built, an event that is applied."""
    system = secure.system
    load = Load(system.bootstrap)
    for name, fields, *_ in catalogues.OUTCOMES:
        load.send(request(catalogues.schedule_rid(name), **fields))
    asked = load.flush()
    system.wait_drained()
    assert system.judge(asked).results == len(catalogues.OUTCOMES)
    system.setup.must("dataset", "commit", catalogues.dataset("raw"), "--branch", "master")
    run = secure.post("stale")
    assert run.status_code == 200, run.text
    build = run.json()["result"]["buildRid"]
    key = b"schedrun:b:" + uuid.UUID(build.rsplit(".", 1)[1]).bytes
    wait_for("the build to be carried out",
             lambda: system.cluster.redis().hget(key, "s") in (b"SUCCEEDED", b"FAILED"), fair(30))
    event = {"datasetRid": catalogues.dataset("fresh"), "jobSpecRid": "ri.foundry.main.jobspec.master-fresh",
             "branch": "master", "logic": "v9", "time": 0}
    load.producer.produce("schedule-events", checker.encode("logic_published", event))
    load.producer.flush(20)
    wait_for("the trigger to publish it", lambda: '"v9"' in system.setup.must("export"), fair(30))
    for daemon in daemons.values():
        assert daemon.is_ready(), daemon.blamed()
        assert not re.search("NOPERM|AUTHORIZATION_FAILED", daemon.log()), daemon.log()


def tell_nothing(secure, daemons):
    """No secret where one could look: log, metrics, readiness, settings, /proc, a job's environment."""
    places = {"the job's": secure.told.read_text()}
    for program, daemon in daemons.items():
        places[f"log of {program}"] = daemon.log()
        for path in ("/metrics", "/readyz"):
            places[f"{path} of {program}"] = daemon.admin(path)[1]
        for file in ("cmdline", "environ"):
            with open(f"/proc/{daemon.process.pid}/{file}", errors="replace") as content:
                places[f"{file} of {program}"] = content.read()
        settings = [f"-s{key}={value}" for key, value in secure.system.of(program).items()]
        shown = subprocess.run([BUILD / "schedrun-worker", *settings, "--print-config"],
                                       capture_output=True, text=True)
        assert shown.returncode == 0 and "***" in shown.stdout, shown.stderr
        places[f"--print-config of {program}"] = shown.stdout + shown.stderr
    for place, content in places.items():
        for secret in secure.secrets():
            assert secret not in content, place


@pytest.mark.parametrize("way", WAYS)
def test_each_program_with_its_rights_alone(secure, way):
    """Also `check`, as each program, finds that nothing is missing."""
    secure = secure(way)
    daemons = secure.start_all()
    exercise(secure, daemons)
    if secured.ENTRIES[way].has_principal:
        for program in secured.PROGRAMS:
            done = secure.system.check(program, OPTIONS.get(program, program))
            assert done.returncode == 0, done.stdout + done.stderr
            assert not any(secret in done.stdout + done.stderr for secret in secure.secrets())
    tell_nothing(secure, daemons)
    for daemon in daemons.values():
        assert daemon.stop() == 0


# What each was not given -----------------------------------------------------------

@pytest.fixture(scope="module")
def guarded(kafka, tmp_path_factory):
    """The topics, and a principal for each program; none of them runs."""
    system = secured.SecuredSystem(kafka(), tmp_path_factory.mktemp("guarded"), secured.ENTRIES["plain"])
    system.setup.init(partitions=1)
    yield system
    system.setup.delete_topics()


def is_granted(program, operation, kind, name):
    return any(row[:2] == (operation, kind) and (name.startswith(row[2]) if row[3] else name == row[2])
               for row in secured.granted(program))


def code_of(call):
    """None: it was let do it."""
    try:
        call()
    except KafkaException as refusal:
        return refusal.args[0].code()
    return None


def writable(system, program):
    codes = {}
    producer = Producer({**system.client(program), "enable.idempotence": False})
    for topic in TOPICS:
        producer.produce(topic, b"tried by a test", b"tried",
                         on_delivery=lambda error, message: codes.update({message.topic(): error and error.code()}))
    assert producer.flush(30) == 0
    return codes


def readable(system, program):
    """By a group that it may use."""
    def read(topic):
        consumer = Consumer({**system.client(program), "group.id": GROUPS[program]})
        try:
            error = consumer.list_topics(topic, timeout=20).topics[topic].error
            if error is not None:
                raise KafkaException(error)
            consumer.assign([TopicPartition(topic, 0, 0)])
            message = wait_for(f"{topic} to be read or refused", lambda: consumer.poll(1), fair(20), 0)
            if message.error() is not None:
                raise KafkaException(message.error())
        finally:
            consumer.close()
    return {topic: code_of(lambda topic=topic: read(topic)) for topic in TOPICS}


def usable_groups(system, program):
    """Who may not see a group's offsets can't be in it."""
    admin = AdminClient(system.client(program))
    return {group: code_of(lambda group=group: list(admin.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group)]).values())[0].result(20)) for group in (*GROUPS.values(), "another")}


@pytest.mark.parametrize("program", secured.PROGRAMS)
def test_what_is_not_granted_in_kafka_is_refused(guarded, program):
    """All that there is, tried; what was granted is not refused."""
    for topic in TOPICS:  # something to read, in each
        producer = Producer({"bootstrap.servers": guarded.bootstrap, "log_level": 0})
        producer.produce(topic, b"of the tests", b"key")
        assert producer.flush(20) == 0
    for kind, operation, codes in (("topic", "Write", writable(guarded, program)),
                                   ("topic", "Read", readable(guarded, program)),
                                   ("group", "Read", usable_groups(guarded, program))):
        for name, code in codes.items():
            if is_granted(program, operation, kind, name):
                assert code is None, (operation, name, code)
            elif operation == "Read" and kind == "group" and name == GROUPS[program]:
                assert code is None
            else:
                assert code in REFUSED, (operation, name, code)
    for name in ("schedrun-worker-x", "schedrun-trigger-x", "schedule-run-requests.dlq.redrive"):
        producer = Producer({**guarded.client(program), "transactional.id": name})
        code = code_of(lambda: producer.init_transactions(20))
        granted = is_granted(program, "Write", "transactional id", name)
        assert code is None if granted else code in REFUSED, (name, code)


@pytest.mark.parametrize("program", secured.PROGRAMS)
def test_none_administers_kafka(guarded, program):
    admin = AdminClient(guarded.client(program))
    topic = "schedule-run-results"
    for what, futures in {
            "create": lambda: admin.create_topics([NewTopic("mine", 1, 1)]),
            "delete": lambda: admin.delete_topics([topic]),
            "partitions": lambda: admin.create_partitions([NewPartitions(topic, 9)]),
            "records": lambda: admin.delete_records([TopicPartition(topic, 0, 1)]),
            "group": lambda: admin.delete_consumer_groups(["schedrun-worker"]),
            "rights": lambda: admin.create_acls([secured.AclBinding(
                secured.ResourceType.TOPIC, topic, secured.ResourcePatternType.LITERAL, f"User:{program}", "*",
                secured.AclOperation.WRITE, secured.AclPermissionType.ALLOW)]),
            "passwords": lambda: admin.alter_user_scram_credentials([secured.UserScramCredentialUpsertion(
                program, secured.ScramCredentialInfo(secured.ScramMechanism.SCRAM_SHA_512, 4096), b"mine")])}.items():
        codes = [code_of(lambda future=future: future.result(20)) for future in futures().values()]
        assert codes and all(code in REFUSED for code in codes), (what, codes)


# Tokens ---------------------------------------------------------------------------

@slow
def test_a_token_endpoint_that_is_away_is_waited_for(secure):
    secure = secure("token")
    issuer = secure.cluster.issuer
    issuer.down = True
    try:
        worker = secure.start("worker")
        wait_for("it to be told", lambda: "the token endpoint answers HTTP 503" in worker.log(), fair(20))
        assert not worker.is_ready()
    finally:
        issuer.down = False
    worker.wait_ready(fair(40))


@slow
def test_credentials_that_the_token_endpoint_refuses(secure):
    secure = secure("token")
    wrong = f"wrong-{uuid.uuid4().hex}"
    secure.system.secret("worker").write_text(wrong)
    worker = secure.start("worker")
    assert worker.wait(fair(30)) == 77
    done = secure.system.check("worker", "worker", "3s")
    assert done.returncode == 7
    for told in worker.log(), done.stdout + done.stderr:
        assert "refuses the client: invalid_client (HTTP 401)" in told and wrong not in told


@pytest.mark.parametrize("change, told", [
    ({"kafka.sasl.oauthbearer.client.id": None}, "needs sasl.oauthbearer.client.id"),
    ({"kafka.sasl.oauthbearer.client.secret.file": None}, "needs sasl.oauthbearer.client.secret"),
    ({"kafka.sasl.oauthbearer.token.endpoint.url": None}, "needs sasl.oauthbearer.token.endpoint.url"),
    ({"kafka.sasl.oauthbearer.token.endpoint.url": "http://issuer.test/token"}, "expected https"),
    ({"kafka.sasl.oauthbearer.client.id": "a:b"}, "no colon"),
    ({"kafka.https.ca.location": "/nowhere/ca.pem"}, "/nowhere/ca.pem"),
])
def test_what_tokens_need_is_named_at_the_start(kafka, tmp_path, change, told):
    system = secured.SecuredSystem(kafka(), tmp_path, secured.ENTRIES["token"])
    settings = {key: value for key, value in {**system.of("worker"), **change}.items() if value is not None}
    worker = system.worker(**settings)
    assert worker.wait(20) == 78 and told in worker.log(), worker.log()
    system.stop()


# Memory ---------------------------------------------------------------------------

@pytest.mark.parametrize("program", secured.PROGRAMS)
def test_its_memory_is_nobodys(program):
    """As another user than root: its files in /proc are root's, and no core is left."""
    name = "schedrun-" + {"adapter": "http"}.get(program, program)
    with tempfile.TemporaryDirectory() as place:  # whose path everybody may use
        os.chmod(place, 0o777)
        copied = shutil.copy(BUILD / name, place)
        admin, nobody, api = free_ports(3)
        more = {"adapter": ["-s", "http.auth=none", "-s", f"http.listen=127.0.0.1:{api}", "-s", "http.drain=0"],
                "builder": ["-s", "builder.command=/bin/true", "-s", f"builder.logs={place}"]}
        process = subprocess.Popen(
            [copied, "-b", f"127.0.0.1:{nobody}", "--redis", f"redis://127.0.0.1:{nobody}/0",
             "-s", f"admin.listen=127.0.0.1:{admin}", *more.get(program, [])], cwd=place,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2),
            **({"user": 65534, "group": 65534} if os.geteuid() == 0 else {}))
        metrics = lambda: requests.get(f"http://127.0.0.1:{admin}/metrics", timeout=5).text  # noqa: E731
        wait_for("it to run", lambda: socket.socket().connect_ex(("127.0.0.1", admin)) == 0, 20)
        assert all(os.stat(f"/proc/{process.pid}/{file}").st_uid == 0 for file in ("mem", "environ"))
        # What it counts of itself it may see nevertheless.
        assert float(re.search(r"^process_open_fds (\S+)", metrics(), re.M)[1]) > 3
        process.send_signal(signal.SIGABRT)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == -signal.SIGABRT and not os.WCOREDUMP(status)


# Secrets that change under load -----------------------------------------------------

class Reader:
    """Asks the adapters for a schedule again and again, whichever listens."""

    def __init__(self, ports, token):
        self.ports, self.token = ports, token
        self.statuses, self.missed = {}, 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def get(self, token):
        for port in self.ports:
            try:
                status = requests.get(
                    f"http://127.0.0.1:{port}/api/v2/orchestration/schedules/{campaign.SCHEDULES[0]}?preview=true",
                    headers={"Authorization": f"Bearer {token}"}, timeout=20).status_code
                if status != 503:
                    return status
            except requests.exceptions.ConnectionError:
                pass
            self.missed += 1  # it is being restarted: the other one
        return None

    def _run(self):
        while not self.ended.wait(0.02):
            status = self.get(self.token)
            self.statuses[status] = self.statuses.get(status, 0) + 1

    def stop(self):
        self.ended.set()
        self.thread.join()
        return self.statuses


class Rotation:
    """Two workers and two adapters under load; each secret is replaced as
    docs/operation.md, section 8, has it: the new one is let in, its file is
    written, the programs are restarted one after another, the old one is shut out."""

    def __init__(self, secure, way):
        self.secure, self.way, self.system, self.cluster = secure, way, secure.system, secure.cluster
        self.system.setup.apply(catalogues.many(60))
        self.daemons = {}
        self.ports = free_ports(2)
        for name in ("worker-1", "worker-2", "adapter-1", "adapter-2"):
            self.start(name)

    def start(self, name):
        program, _, number = name.partition("-")
        if program == "adapter":
            self.secure.port = self.ports[int(number) - 1]
        self.daemons[name] = self.secure.start(program, name)
        self.daemons[name].wait_ready(fair(60))

    def restart_all(self):
        for name in list(self.daemons):
            assert self.daemons[name].stop() == 0
            self.start(name)

    def replace(self, program):
        """Writes a new secret into its file, and returns it."""
        new = f"new-{program}-{uuid.uuid4().hex}"
        self.secure.more.append(new)
        self.system.secret(program).write_text(new)
        return new

    def let_in(self):
        """Kafka's side of it; what is to be done when all were restarted."""
        if self.way == "mutual":
            for program in ("worker", "adapter"):
                self.cluster.authority.certificate_for(program, self.system.certificate(program))
            return lambda: None
        new = {program: self.replace(program) for program in ("worker", "adapter")}
        if self.way == "plain":  # a broker knows one password of a user, from its start on
            self.cluster.write_properties({**self.cluster.secrets, **new})
            self.cluster.stop_kafka()
            self.cluster.start_kafka()
            return lambda: None
        if self.way == "scram":
            self.cluster.set_scram(new)
            return lambda: None
        issuer = self.cluster.issuer
        issuer.keys.append(secured.tokens.Key("second"))
        for program, secret in new.items():
            issuer.secrets[program].add(secret)

        def shut_out():
            issuer.keys.pop(0)
            for program in new:
                issuer.secrets[program].discard(self.cluster.secrets[program])
        return shut_out

    def undo(self):
        """The secrets of the cluster are again those that it was made with."""
        if self.way == "plain":
            self.cluster.write_properties(self.cluster.secrets)
            self.cluster.stop_kafka()
            self.cluster.start_kafka()
        if self.way == "scram":
            self.cluster.set_scram(self.cluster.secrets)
        self.cluster.issuer.secrets = {name: {secret} for name, secret in self.cluster.secrets.items()}
        self.cluster.issuer.lifetime = 300

    def let_into_redis(self):
        old = dict(self.system.redis_passwords)
        for program in ("worker", "adapter"):
            new = f"new-redis-{program}-{uuid.uuid4().hex}"
            self.system.redis_passwords[program] = new
            self.system.set_redis_user(program, [old[program], new])
            self.system.file(f"{program}.redis", new)
        self.cluster.authority.certificate_for("tunnel", self.secure.tunnel.client)
        self.secure.tunnel.process.send_signal(signal.SIGHUP)

        def shut_out():
            for program in ("worker", "adapter"):
                self.system.set_redis_user(program, [self.system.redis_passwords[program]])
        return shut_out

    def reload_adapters(self, content):
        self.system.file("tokens", content)
        for name in ("adapter-1", "adapter-2"):
            before = self.daemons[name].log().count("tokens_reloaded")
            self.daemons[name].signal(signal.SIGHUP)
            wait_for("it to have read its tokens",
                     lambda name=name, before=before: self.daemons[name].log().count("tokens_reloaded") > before, 20)


@slow
@pytest.mark.parametrize("way", [way for way in WAYS if way != "tls"])
def test_secrets_are_replaced_under_load(secure, way):
    secure = secure(way)
    issuer = secure.cluster.issuer
    if way == "token":
        issuer.lifetime = 6
    rotation = Rotation(secure, way)
    system, seen = secure.system, secure.secrets()
    stream = campaign.Stream(system.bootstrap, rate=300)
    reader = Reader(rotation.ports, secure.token)
    try:
        injected.note("new secrets")
        shut_out = [rotation.let_in(), rotation.let_into_redis()]
        rotation.restart_all()
        for step in shut_out:
            step()
        old, new = secure.token, f"new-token-{uuid.uuid4().hex}"
        rotation.reload_adapters(secure.token_line(old) + secure.token_line(new))
        reader.token = secure.token = new
        told = sum(reader.statuses.values())
        wait_for("it to come with the new one", lambda: sum(reader.statuses.values()) > told + 1, 20)
        rotation.reload_adapters(secure.token_line(new))
        assert [reader.get(old), reader.get(new)] == [401, 200]
        if way == "token":  # each connection has lived on several tokens
            asked = issuer.asked
            wait_for("more tokens", lambda: issuer.asked > asked + 8, fair(60))
    finally:
        asked, statuses = stream.stop(), reader.stop()
    system.wait_drained()
    system.judge(asked)
    print(f"    {way}: {len(asked)} requests, reads {statuses}, tokens given {issuer.asked}")
    assert set(statuses) == {200}
    for daemon in rotation.daemons.values():
        assert not any(secret in daemon.log() for secret in (*seen, *secure.secrets()))
        assert daemon.stop() == 0
    rotation.undo()
