"""Spans on their way to a collector that is busy, refuses, or is dead; and what of trace.* is refused."""

import re
import socket
import subprocess
import uuid

import catalogues
import pytest
from catalogues import schedule_rid
from checker import decode, read_topic
from collectors import Stub
from programs import BUILD, wait_for

from load import Load, request


def told(daemon, result):
    return daemon.metric(f'schedrun_trace_spans_total{{result="{result}"}}')


def test_who_is_told_again_and_what_counts_as_failed(system, tmp_path):
    """A collector that is busy is asked again, one that refuses isn't; the secret stays one."""
    canary = "canary-d41d8cd98f"
    secret = tmp_path / "headers"
    secret.write_text(f"authorization=Bearer {canary}, x-team=schedrun\n")
    secret.chmod(0o600)
    stub = Stub()
    stub.answers = [(503, b""), (429, b""), (200, b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}')]
    system.init()
    system.apply(catalogues.many(2))
    worker = system.worker(trace__url=stub.url, trace__headers__file=str(secret), trace__one__of=1)
    system.must("submit", schedule_rid("s0"), "--wait", "30s")
    wait_for("the third try", lambda: told(worker, "failed") == 2)
    assert told(worker, "sent") == 1 and len(stub.headers) == 3 and len(stub.spans()) == 3
    assert all(sent["authorization"] == f"Bearer {canary}" and sent["x-team"] == "schedrun" for sent in stub.headers)
    stub.answers = [(400, b"no")]
    system.must("submit", schedule_rid("s1"), "--wait", "30s")
    wait_for("the refusal", lambda: told(worker, "failed") == 5)
    assert len(stub.headers) == 4 and 'msg="too old"' in worker.log() and "status 400" in worker.log()
    shown = system.run("config", "show", "-s", f"trace.headers.file={secret}", "-s", f"trace.url={stub.url}")
    assert canary not in worker.log() + shown.stdout + shown.stderr + worker.admin("/metrics")[1]
    assert worker.stop() == 0
    stub.stop()


def test_a_dead_collector_holds_nothing_up(system):
    """One that takes connections and never answers: spans are dropped and counted, runs are not."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    system.init()
    system.apply(catalogues.many(50))
    worker = system.worker(trace__url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces").wait_ready()
    load = Load(system.bootstrap)
    for i in range(8000):
        load.send(request(schedule_rid(f"s{i % 50}")))
    load.flush()
    system.wait_drained()
    system.judge(load.asked)
    # 8000 runs are 24,000 spans; 512 are under way, 16,384 wait.
    assert told(worker, "dropped") == 24000 - 512 - 16384 and told(worker, "sent") == 0
    assert worker.stop() == 0
    listener.close()


def test_one_of_many_is_traced(system):
    stub = Stub()
    system.init()
    system.apply(catalogues.many(2))
    worker = system.worker(trace__url=stub.url, trace__one__of=4).wait_ready()
    load = Load(system.bootstrap)
    for _ in range(400):
        load.send(request(schedule_rid("s0")))
    load.flush()
    system.wait_drained()
    runs = {uuid.UUID(decode("schedule_run", record.value())["rid"].rpartition(".run.")[2]) for record in read_topic(system.bootstrap, "schedule-run-results")}
    chosen = {run.hex for run in runs if int.from_bytes(run.bytes[12:], "little") % 4 == 0}
    assert worker.stop() == 0  # what waits is sent
    assert {span.trace for span in stub.spans()} == chosen and 50 < len(chosen) < 150
    stub.stop()


@pytest.mark.parametrize("settings, reason", [
    (["trace.url=collector:4318"], "not a URL|not http"),
    (["trace.url=http://collector:4318"], "has no path; a collector's is http://collector:4318/v1/traces"),
    (["trace.url=ftp://collector/v1/traces"], "is not http:// or https://"),
    (["trace.url=http://user:word@collector/v1/traces"], "no user and password in a URL"),
    (["trace.url=http://collector:70000/v1/traces"], "a port is 1 to 65535"),
    (["trace.url=http://collector/v1/traces", "trace.headers.file=HEADERS"], "expected https"),
    (["trace.url=https://collector/v1/traces", "trace.headers.file=WRONG"], "trace.headers: the 2. is none"),
    (["trace.url=https://collector/v1/traces", "trace.ca=HEADERS"], "trace.ca: .*no certificate"),
    (["trace.headers=authorization=x"], "trace.headers"),
    (["trace.one.of=0"], "trace.one.of"),
])
def test_refused_at_the_start_and_by_config_check(tmp_path, settings, reason):
    for name, text in (("HEADERS", "authorization=Bearer x"), ("WRONG", "a=b, c d=e")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    settings = [re.sub("HEADERS|WRONG", lambda found: str(tmp_path / found[0]), one) for one in settings]
    flags = [word for one in settings for word in ("-s", one)]
    for command in (["schedrun-worker", *flags, "--check"], ["schedrun", *flags, "config", "check", str(tmp_path / "conf")]):
        (tmp_path / "conf").write_text("")
        done = subprocess.run([BUILD / command[0], *command[1:]], capture_output=True, text=True, timeout=30)
        assert done.returncode in (2, 64, 78) and re.search(reason, done.stderr), (command, done)
