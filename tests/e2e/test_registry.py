"""A schema registry that errs, lags, hangs and goes away: only what needs it waits."""

import base64
import http.server
import io
import json
import os
import signal
import struct
import subprocess
import threading
import time

import avro.io
import avro.schema
import pytest
import requests

import catalogues
import checker
import injected
from adapters import Adapter
from cluster import free_ports
from key_server import Authority
from load import TOPIC, Load, request
from programs import ROOT, wait_for

SCHEDULE = catalogues.schedule_rid("stale")
SCHEMAS = {i + 1: (ROOT / "schemas" / f"{name}.avsc").read_text()
           for i, name in enumerate(("run_request", "schedule_run", "build_requested_v1", "dataset_committed",
                                  "build_finished", "logic_published", "build_requested"))}
SUBJECTS = {"schedule-run-requests-value": 1, "schedule-run-results-value": 2, "schedule-builds-value": 7,
            "schedule-events-schedrun.DatasetCommitted": 4, "schedule-events-schedrun.BuildFinished": 5,
            "schedule-events-schedrun.LogicPublished": 6}
HANG = "hang"
LACKS = (404, '{"error_code":40403,"message":"Schema not found"}')


class Registry:
    """Knows the shipped schemas by the shipped ids; every other id but those it lacks is a request's."""

    def __init__(self):
        self.fault = None    # (status, body) for all that is asked, or HANG
        self.lacks = set()
        self.bodies = {}     # what is said of an id, of another one than above
        self.asked = []      # (id, when)
        self.server = None
        self.port = 0
        self.released = threading.Event()
        self.start()

    def start(self):
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                schema = int(self.path.rpartition("/")[2])
                registry.asked.append((schema, time.monotonic()))
                if schema in registry.lacks:
                    self.say(*LACKS)
                else:
                    self.say(200, json.dumps(registry.bodies.get(
                        schema, {"schema": SCHEMAS.get(schema, SCHEMAS[1])})))

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.say(200, json.dumps({"id": SUBJECTS[self.path.split("/")[2]]}))

            def say(self, status, body):
                if registry.fault == HANG:
                    registry.released.wait(60)
                    return
                status, body = registry.fault or (status, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()

    def stop(self):
        if self.server is not None:
            self.released.set()
            self.server.shutdown()
            self.server.server_close()
        self.server = None


class RealRegistry:
    """Apicurio's, in memory, on a port of its own."""

    def __init__(self, directory):
        port = free_ports(1)[0]
        self.origin, self.path = f"http://127.0.0.1:{port}", "/apis/ccompat/v7"
        self.url = self.origin + self.path
        (jar,) = (ROOT / ".cache" / "registry").glob("*-runner.jar")
        with open(directory / "registry.log", "wb") as log:
            self.process = subprocess.Popen(
                ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar", str(jar)],
                stdout=log, stderr=log, cwd=directory,
                env={**os.environ, "QUARKUS_HTTP_HOST": "127.0.0.1", "QUARKUS_HTTP_PORT": str(port)})

    def is_up(self):
        assert self.process.poll() is None
        try:
            return requests.get(f"{self.url}/subjects", timeout=2).status_code == 200
        except requests.RequestException:  # it is not up, or still busy with that
            return False

    def register(self, schema, subject=f"{TOPIC}-value"):
        answer = requests.post(f"{self.url}/subjects/{subject}/versions", timeout=10,
                               json={"schema": json.dumps(schema)})
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


class Door:
    """Stands before a registry: by TLS alone, and for who logs in."""

    def __init__(self, registry, context, login):
        wanted = "Basic " + base64.b64encode(login.encode()).decode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def relay(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, content = 401, b""
                if self.headers.get("Authorization") == wanted:
                    answer = requests.request(self.command, registry.origin + self.path, data=body, timeout=60, headers={
                        "Content-Type": self.headers.get("Content-Type") or "application/json"})
                    status, content = answer.status_code, answer.content
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = relay

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}{registry.path}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def real_registry(tmp_path):
    registry = RealRegistry(tmp_path)
    try:
        wait_for("the registry to be up", registry.is_up, 90, pause=0.3)
        yield registry
    finally:
        registry.stop()


@pytest.fixture
def registry():
    registry = Registry()
    yield registry
    registry.stop()


def begin(system, partitions=2):
    system.init(partitions=partitions)
    system.apply(catalogues.outcomes())
    return Load(system.bootstrap)


def worker_with(system, registry, name="worker-1", **settings):
    return system.worker(name, schema__registry__url=registry.url, **settings)


def send(load, name, schema=1, partition=0, reason=None, tail=b""):
    datum = request(SCHEDULE, name)
    value = struct.pack(">bI", 0, schema) + checker.encode("run_request", datum)[5:] + tail
    key = SCHEDULE.encode()
    load.producer.produce(TOPIC, value, key, partition=partition,
                          on_delivery=load._note(datum, value, key, reason))
    return load.flush()


def answered(system):
    """The requestIds of all results, in the order of their partitions."""
    return [checker.decode("schedule_run", message.value())["requestId"]
            for message in checker.read_topic(system.bootstrap, "schedule-run-results")]


def wait_answered(system, name, timeout=20):
    wait_for(f"the answer to {name}", lambda: name in answered(system), timeout, pause=0.2)


def checks(daemon):
    answer = daemon.admin("/readyz")
    return {check["name"]: check for check in json.loads(answer[1])["checks"]} if answer else {}


def reasons(daemon):
    return {name for name, check in checks(daemon).items() if not check["ok"]}


def up(daemon, dependency):
    return daemon.metric(f'schedrun_dependency_up{{dependency="{dependency}"}}')


OUTAGES = {
    "a default backend": (404, "<html>default backend</html>"),
    "a 404 without a code": (404, "{}"),
    "a 404 of another kind": (404, '{"error_code":40401}'),
    "in trouble": (500, '{"error_code":50001}'),
    "a gateway": (503, ""),
    "no credentials": (401, ""),
    "forbidden": (403, ""),
    "too many": (429, ""),
    "a redirect": (302, ""),
    "a login page": (200, "<html>log in</html>"),
    "another JSON": (200, "{}"),
    "nobody there": None,
    "hangs": HANG,
}


def test_an_outage_holds_only_what_needs_it(system, registry):
    load = begin(system)
    worker = worker_with(system, registry).wait_ready()
    for i, (outage, fault) in enumerate(OUTAGES.items()):  # the first one before any request
        injected.note(f"the registry: {outage}")
        registry.fault = fault
        registry.released.clear()
        if fault is None:
            registry.stop()
        send(load, f"waits-{i}", schema=100 + i)
        send(load, f"behind-{i}")
        started = time.monotonic()
        send(load, f"goes-on-{i}", partition=1)
        wait_answered(system, f"goes-on-{i}")
        assert time.monotonic() - started < 5, outage
        wait_for(f"{outage} to be told", lambda: reasons(worker) == {"registry"})
        if fault in ((401, ""), (403, "")):
            assert "check schema.registry.auth" in checks(worker)["registry"]["reason"]
        steady = time.monotonic() + 2
        while time.monotonic() < steady:
            assert reasons(worker) == {"registry"}, outage
            time.sleep(0.1)
        assert up(worker, "registry") == 0 and up(worker, "redis") == 1 and up(worker, "kafka") == 1
        worker.wait_metric(f'schedrun_consumer_lag_records{{topic="{TOPIC}",partition="0"}}', 2)
        registry.fault = None
        registry.released.set()
        if fault is None:
            registry.start()
        wait_answered(system, f"behind-{i}")
        wait_for("the registry to be there again", worker.is_ready)
        assert up(worker, "registry") == 1
    asked = load.asked
    system.wait_drained()
    verdict = system.judge(asked)
    assert verdict.dead == 0 and verdict.results == 3 * len(OUTAGES)
    # In each partition the order of the requests.
    names = [name for name in answered(system) if name.startswith(("waits", "behind"))]
    assert names == [f"{what}-{i}" for i in range(len(OUTAGES)) for what in ("waits", "behind")]
    assert worker.metric('schedrun_redis_errors_total{kind="unavailable"}') == 0
    assert "redis_not_ready" not in worker.log() and "kafka_not_ready" not in worker.log()
    assert "event=registry_not_ready component=registry" in worker.log()
    assert "event=registry_ready" in worker.log()


def test_a_moment_of_another_404_buries_nothing(system, registry):
    load = begin(system)
    worker = worker_with(system, registry).wait_ready()
    registry.fault = OUTAGES["a default backend"]
    for i in range(9):
        send(load, f"valid-{i}", schema=8)
        if i == 1:
            registry.fault = None
        time.sleep(0.3)
    system.wait_drained()
    assert system.judge(load.asked).results == 9
    assert worker.metric('schedrun_dead_letters_total{reason="unknown-schema"}') == 0


def test_types_of_others(system, registry):
    """An extra field is passed over, also one that holds itself; what is no Avro is named."""
    load = begin(system)
    worker_with(system, registry).wait_ready()
    tree = {"type": "record", "name": "Tree", "fields": [
        {"name": "kids", "type": {"type": "array", "items": "Tree"}}, {"name": "up", "type": ["null", "Tree"]}]}
    schema = json.loads(SCHEMAS[1])
    schema["fields"].append({"name": "tree", "type": tree})
    registry.bodies = {20: {"schema": json.dumps(schema)},
                       21: {"schemaType": "PROTOBUF", "schema": 'syntax = "proto3";'},
                       22: {"schemaType": "JSON", "schema": "{}"}}
    send(load, "tree", schema=20, tail=b"\2" b"\0\0" b"\0" b"\2\0\0")
    send(load, "deep", schema=20, tail=b"\2" * 300 + b"\0" * 600)
    send(load, "protobuf", schema=21)
    send(load, "json", schema=22)
    send(load, "last")
    wait_answered(system, "last")
    assert answered(system) == ["tree", "last"]
    letters = [dict(m.headers()) for m in checker.read_topic(system.bootstrap, "schedule-run-requests.dlq")]
    assert [letter["schedrun.dlq.reason"] for letter in letters] == [b"malformed", b"bad-schema", b"bad-schema"]
    for letter, says in zip(letters, ("field tree is nested more than 256 deep", "is PROTOBUF, not AVRO",
                                      "is JSON, not AVRO")):
        assert says in letter["__connect.errors.exception.message"].decode(), letter


def test_an_id_that_comes_late_is_waited_for(system, registry):
    load = begin(system)
    worker = worker_with(system, registry, registry__wait="30s").wait_ready()
    registry.lacks = {8}
    send(load, "late", schema=8)
    send(load, "other", partition=1)
    wait_answered(system, "other")
    wait_for("a note", lambda: "the id 8 yet" in checks(worker)["registry"].get("note", ""))
    assert reasons(worker) == set() and up(worker, "registry") == 1
    wait_for("the id to be asked for again", lambda: len(registry.asked) > 4)
    registry.lacks = set()
    wait_answered(system, "late")
    system.wait_drained()
    assert system.judge(load.asked).results == 2


def test_an_unknown_id_is_buried_after_its_wait(system, registry):
    load = begin(system)
    worker = worker_with(system, registry, registry__wait="3s").wait_ready()
    registry.lacks = {8}
    for i in range(3):
        send(load, f"unknown-{i}", schema=8, reason=None)
    started = time.monotonic()
    send(load, "behind")
    buried = 'schedrun_dead_letters_total{reason="unknown-schema"}'
    while time.monotonic() < started + 2:
        assert worker.metric(buried) == 0
        time.sleep(0.1)
    wait_answered(system, "behind")
    assert 2.5 < time.monotonic() - started < 10  # they waited together, not one by one
    worker.wait_metric(buried, 3)
    letters = checker.read_topic(system.bootstrap, "schedule-run-requests.dlq")
    assert [dict(m.headers())["schedrun.dlq.reason"] for m in letters] == [b"unknown-schema"] * 3


def test_what_waits_survives_a_rebalance_and_a_crash(system, registry):
    load = begin(system)
    worker_with(system, registry).wait_ready()
    send(load, "first")
    wait_answered(system, "first")
    registry.fault = (503, "")
    for partition in (0, 1):
        send(load, f"waits-{partition}", schema=9, partition=partition)
        send(load, f"behind-{partition}", partition=partition)
    second = worker_with(system, registry, "worker-2")
    wait_for("a worker without its schema ids to say so", lambda: reasons(second) == {"registry"})
    registry.fault = None
    registry.lacks = {9}
    second.wait_ready()
    wait_for("both to have a partition", lambda: all(
        d.metric("schedrun_assigned_partitions") == 1 for d in system.daemons))
    send(load, "more-0", partition=0)
    send(load, "more-1", partition=1)
    second.kill()
    system.cluster.stop_redis()
    time.sleep(1)
    system.cluster.start_redis()
    registry.lacks = set()
    system.wait_drained()
    verdict = system.judge(load.asked)
    assert verdict.results == 7 and verdict.dead == 0


def test_a_worker_waits_for_it_at_start(system, registry):
    load = begin(system)
    registry.stop()
    worker = worker_with(system, registry)
    wait_for("the registry to be blamed", lambda: reasons(worker) == {"registry"})
    send(load, "early", schema=10)
    steady = time.monotonic() + 12  # longer than what was found once is believed
    while time.monotonic() < steady:
        assert reasons(worker) == {"registry"}
        time.sleep(0.2)
    assert up(worker, "registry") == 0 and up(worker, "redis") == 1 and up(worker, "kafka") == 1
    registry.start()
    worker.wait_ready()
    system.wait_drained()
    assert system.judge(load.asked).results == 1


def test_without_a_registry_nothing_is_said_of_one(system):
    begin(system)
    worker = system.worker().wait_ready()
    assert up(worker, "registry") is None and up(worker, "redis") == 1
    assert "registry" not in checks(worker)


def test_check_says_what_is_the_matter_with_it(system, registry):
    system.init()
    system.apply(catalogues.outcomes())
    flags = ("-o", "jsonl", "-s", f"schema.registry.url={registry.url}")
    assert system.run("check", *flags).returncode in (0, 1)  # 1: no settings of this one broker
    for fault, code, said in (((404, "<html>"), 5, "answered 404"), ((401, ""), 5, "check schema.registry.auth"),
                              (None, 5, registry.url), ((404, '{"error_code":40401}'), 5, "not registered")):
        if fault is None:
            registry.stop()
        registry.fault = fault
        done = system.run("check", *flags)
        assert done.returncode == code
        row = next(line for line in done.stdout.splitlines() if '"registry"' in line)
        assert said in row
        assert ("schedrun init" in row) == (said == "not registered")
        assert ("schema.registry.url" in row) == (said != "not registered")
        if fault is None:
            registry.start()


def test_the_adapter_waits_for_it_at_start(system, registry):
    system.init(partitions=2)
    system.apply(catalogues.outcomes())
    system.worker().wait_ready()
    registry.stop()
    adapter = Adapter(system, wait=False, schema__registry__url=registry.url)
    wait_for("the registry to be blamed", lambda: reasons(adapter.daemon) == {"registry"})
    assert up(adapter.daemon, "registry") == 0
    answer = adapter.run(SCHEDULE)
    assert answer.status_code == 503
    registry.start()
    adapter.daemon.wait_ready()
    assert adapter.run(SCHEDULE, Prefer="wait=20").json()["result"]["type"] == "submitted"


def test_the_run_view_waits_for_it_and_goes_on(system, registry):
    system.init(partitions=2)
    system.apply(catalogues.outcomes())
    system.worker().wait_ready()  # its ids are the shipped ones, which are the registry's
    adapter = Adapter(system, schema__registry__url=registry.url)
    registry.fault = OUTAGES["a default backend"]
    run = adapter.run(SCHEDULE).json()["rid"]
    wait_for("the registry to be blamed", lambda: reasons(adapter.daemon) == {"registry"})
    steady = time.monotonic() + 12  # the view may lag for 10 s
    while time.monotonic() < steady:
        assert reasons(adapter.daemon) == {"registry"}
        time.sleep(0.2)
    assert up(adapter.daemon, "registry") == 0
    assert adapter.daemon.metric('schedrun_redis_errors_total{kind="unavailable"}') == 0
    registry.fault = None
    adapter.daemon.wait_ready()
    wait_for("the run to be in the view", lambda: system.run("run", "get", run, "-o", "json").returncode == 0
             and '"submitted"' in system.run("run", "get", run, "-o", "json").stdout)
    assert "record_not_folded" not in adapter.daemon.log()


def test_an_adapter_without_one_says_nothing_of_it(system):
    system.init()
    system.apply(catalogues.outcomes())
    adapter = Adapter(system)
    assert up(adapter.daemon, "registry") is None and up(adapter.daemon, "redis") == 1
    assert "registry" not in checks(adapter.daemon)


def test_a_real_registry(system, real_registry):
    """Registration, look-up, an id that it lacks, writers that are older and newer."""
    flags = ("-s", f"schema.registry.url={real_registry.url}")
    system.must("init", "--partitions", "2", "--replication", "1", *flags)
    system.must("init", "--partitions", "2", "--replication", "1", *flags)  # the same again
    subjects = requests.get(f"{real_registry.url}/subjects", timeout=10).json()
    assert set(subjects) >= set(SUBJECTS)
    system.apply(catalogues.outcomes())
    worker = worker_with(system, real_registry, registry__wait="3s").wait_ready()
    adapter = Adapter(system, schema__registry__url=real_registry.url)
    assert adapter.run(SCHEDULE, Prefer="wait=20").json()["result"]["type"] == "submitted"
    ours = json.loads(SCHEMAS[1])
    newer = {**ours, "fields": [*ours["fields"], {"name": "later", "type": "string", "default": ""}]}
    older = {**ours, "fields": [f for f in ours["fields"] if f["name"] != "trigger"]}
    load = Load(system.bootstrap)
    for name, schema in (("newer", newer), ("older", older)):
        out = io.BytesIO()
        fields = {**request(SCHEDULE, name), "later": "x"}
        # Times as the numbers that they are on the wire.
        parsed = avro.schema.parse(json.dumps(schema).replace(', "logicalType": "timestamp-millis"', ""))
        avro.io.DatumWriter(parsed).write({field["name"]: fields[field["name"]] for field in schema["fields"]},
                                          avro.io.BinaryEncoder(out))
        frame = struct.pack(">bI", 0, real_registry.register(schema))
        load.producer.produce(TOPIC, frame + out.getvalue(), SCHEDULE.encode(), partition=1)
    load.producer.flush()
    buried = 'schedrun_dead_letters_total{reason="unknown-schema"}'
    send(load, "unknown", schema=99999)
    worker.wait_metric(buried, 1)
    system.wait_drained()
    worker.wait_metric('schedrun_runs_total{outcome="submitted",error_name=""}', 3)
    assert adapter.daemon.is_ready() and worker.is_ready()
    assert system.run("check", *flags, "-o", "jsonl").stdout.count(real_registry.url) == 1


def test_a_real_registry_behind_a_login_and_tls(system, real_registry, tmp_path):
    """Nobody gets in without both; then it stands still, and only what needs it waits."""
    authority = Authority(tmp_path)
    door = Door(real_registry, authority.context(), "user:secret")
    url, ca = ("-s", f"schema.registry.url={door.url}"), ("-s", f"schema.registry.ca={authority.path}")
    login = {"SCHEDRUN_SCHEMA_REGISTRY_AUTH": "user:secret"}
    init = ("init", "--partitions", "2", "--replication", "1")
    try:
        done = system.run(*init, *url, environment=login, timeout=60)
        assert done.returncode == 5 and "certificate" in done.stderr, done
        for wrong in ({}, {"SCHEDRUN_SCHEMA_REGISTRY_AUTH": "user:another"}):
            done = system.run(*init, *url, *ca, environment=wrong)
            assert done.returncode == 7 and "check schema.registry.auth" in done.stderr, done
        system.must(*init, *url, *ca, environment=login)
        system.apply(catalogues.outcomes())
        worker = system.worker(environment=login, schema__registry__url=door.url,
                               schema__registry__ca=authority.path).wait_ready()
        answered_so_far = lambda: worker.metric('schedrun_runs_total{outcome="submitted",error_name=""}') or 0  # noqa: E731
        ours = json.loads(SCHEMAS[1])
        known = real_registry.register(ours)
        load = Load(system.bootstrap)
        send(load, "known", schema=known)
        wait_for("an answer", lambda: answered_so_far() == 1, 20)
        new = real_registry.register({**ours, "doc": "another"})
        real_registry.process.send_signal(signal.SIGSTOP)
        send(load, "new", schema=new)
        send(load, "beside it", schema=known, partition=1)
        wait_for("the other partition's answer", lambda: answered_so_far() == 2, 20)
        wait_for("it to be blamed", lambda: reasons(worker) == {"registry"}, 30)
        real_registry.process.send_signal(signal.SIGCONT)
        system.wait_drained()
        assert answered_so_far() == 3 and worker.metric(
            'schedrun_dead_letters_total{reason="unknown-schema"}') in (None, 0)
        worker.wait_ready()
    finally:
        real_registry.process.send_signal(signal.SIGCONT)
        door.stop()
