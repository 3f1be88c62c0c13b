"""The spans of a run, from who asks for it to its jobs. With COLLECTOR=program they are told to the
OpenTelemetry collector itself: make test-traces.
"""

import json
import uuid

import catalogues
import pytest
from catalogues import dataset, schedule_rid
from collectors import collector
from confluent_kafka import Consumer
from http_api import Api, ok
from programs import wait_for

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
JOB = "#!/bin/sh\nenv >{directory}/env\n"


def catalogue():
    fired = catalogues.schedule("fired", ["built"])
    fired["versions"][0]["trigger"] = {"type": "datasetUpdated", "datasetRid": dataset("raw"), "branchName": "master"}
    return {"projects": {catalogues.PROJECT: {}}, "users": catalogues.users(),
            "datasets": {dataset("raw"): catalogues.stored("raw-1"), dataset("built"): catalogues.stored(None)},
            "jobSpecs": [catalogues.job_spec("built", ["raw"])],
            "schedules": [catalogues.schedule("built", ["built"], forceBuild=True), fired,
                          catalogues.schedule("wrong", ["missing"])]}


@pytest.fixture(scope="module")
def traced(fresh_system, tmp_path_factory):
    """Every program, telling one collector."""
    system = fresh_system
    system.delete_topics()
    system.init()
    system.apply(catalogue())
    system.collector = collector(tmp_path_factory.mktemp("collector"))
    job = system.directory / "job"
    job.write_text(JOB.format(directory=system.directory))
    job.chmod(0o755)
    told = {"trace__url": system.collector.url}
    system.worker(**told)
    system.builder(job, **told)
    system.trigger(**told)
    system.api = Api(system, **told)
    for daemon in system.daemons:
        daemon.wait_ready()
    yield system
    system.stop()
    system.collector.stop()


def spans_of(system, trace, *names):
    """The spans of a trace by their names, once all of these are told."""
    def told():
        found = {span.name: span for span in system.collector.spans() if span.trace == trace}
        return found if set(names) <= set(found) else None
    return wait_for(f"{names} of {trace}", told)


def headers_of(system, topic, run):
    """The trace headers of the record of a run."""
    consumer = Consumer({"bootstrap.servers": system.bootstrap, "group.id": str(uuid.uuid4()),
                         "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
    consumer.subscribe([topic])
    try:
        def look():
            message = consumer.poll(0.2)
            if message is None or message.error() or run.encode() not in message.value():
                return None
            return [dict(message.headers() or [])]
        return wait_for(f"the record of {run}", look, pause=0)[0]
    finally:
        consumer.close()


def run_of(system, schedule, **headers):
    return system.api.post(f"/schedules/{schedule_rid(schedule)}/run", headers={"Prefer": "wait=30", **headers})


POST = "POST /api/v2/orchestration/schedules/{scheduleRid}/run"


def test_a_run_from_its_caller_to_its_job_is_one_trace(traced):
    answer = ok(run_of(traced, "built", **{"traceparent": CALLER, "tracestate": "vendor=1"}))
    run = answer["rid"]
    spans = spans_of(traced, CALLER[3:35], POST, "request", "plan", "commit", "build", "job")
    parents = {name: span.parent for name, span in spans.items()}
    assert parents == {POST: CALLER[36:52], "request": spans[POST].id, "plan": spans["request"].id,
                       "commit": spans["request"].id, "build": spans["request"].id, "job": spans["build"].id}
    assert {name: span.service for name, span in spans.items()} == {
        POST: "schedrun-http", "request": "schedrun-worker", "plan": "schedrun-worker", "commit": "schedrun-worker",
        "build": "schedrun-builder", "job": "schedrun-builder"}
    assert {name: span.kind for name, span in spans.items()} == {
        POST: "server", "request": "consumer", "plan": "internal", "commit": "internal", "build": "consumer",
        "job": "internal"}
    for name in (POST, "request", "build"):
        assert spans[name].attributes["schedrun.run"] == run
        assert spans[name].attributes["schedrun.schedule"] == schedule_rid("built")
    assert spans[POST].attributes["http.response.status_code"] == 200
    assert spans["request"].attributes["schedrun.outcome"] == "submitted"
    assert spans["request"].attributes["messaging.destination.name"] == "schedule-run-requests"
    assert spans["job"].attributes["schedrun.output"] == dataset("built")
    assert spans["job"].attributes["process.exit.code"] == 0
    assert not any(span.failure for span in spans.values())
    for name, within in (("plan", "request"), ("commit", "request"), ("job", "build")):
        assert spans[within].begun <= spans[name].begun <= spans[name].ended <= spans[within].ended
    assert spans["plan"].ended <= spans["commit"].begun
    # Whoever comes next stands below us, and the job too.
    for topic in ("schedule-run-results", "schedule-builds"):
        assert headers_of(traced, topic, run) == {
            "traceparent": f"00-{CALLER[3:35]}-{spans['request'].id}-01".encode(), "tracestate": b"vendor=1"}
    environment = (traced.directory / "env").read_text()
    assert f"TRACEPARENT=00-{CALLER[3:35]}-{spans['job'].id}-01\n" in environment


def test_without_a_caller_the_trace_is_the_runs(traced):
    done = traced.run("submit", schedule_rid("wrong"), "--wait", "30s")
    assert done.returncode == 1, done.stderr
    run = json.loads(done.stdout.splitlines()[-1])["rid"]
    trace = run.rpartition(".run.")[2].replace("-", "")
    spans = spans_of(traced, trace, "request", "plan", "commit")
    assert spans["request"].parent is None and spans["request"].failure == "TargetResolutionFailure"
    assert spans["request"].attributes["error.type"] == "TargetResolutionFailure"


def test_a_run_that_fires_begins_its_trace(traced):
    traced.must("dataset", "commit", dataset("raw"), "--branch", "master", "--kafka")
    fire = wait_for("the trigger's span", lambda: next(
        (span for span in traced.collector.spans() if span.name == "fire"), None))
    spans = spans_of(traced, fire.trace, "fire", "request", "build", "job")
    assert fire.parent is None and fire.service == "schedrun-trigger" and fire.kind == "producer"
    assert fire.trace == fire.attributes["schedrun.run"].rpartition(".run.")[2].replace("-", "")
    assert spans["request"].parent == fire.id and spans["build"].parent == spans["request"].id


def test_what_the_caller_does_not_record_is_not_told(traced):
    trace = "1" * 32
    header = f"00-{trace}-{'2' * 16}-00"
    run = ok(run_of(traced, "built", traceparent=header))["rid"]
    assert headers_of(traced, "schedule-run-results", run) == {"traceparent": header.encode()}
    later = "3" * 32  # told after it, so it would be there
    ok(run_of(traced, "built", traceparent=f"00-{later}-{'2' * 16}-01"))
    spans_of(traced, later, POST, "request")
    assert not [span for span in traced.collector.spans() if span.trace == trace]
