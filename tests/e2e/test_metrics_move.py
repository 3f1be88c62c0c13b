"""Each metric of each daemon takes another value than its first: here, or in the test that is named."""

import pathlib
import re
from concurrent.futures import ThreadPoolExecutor

import catalogues
import checker
from adapters import Adapter
from catalogues import dataset, schedule_rid
from load import Load, request
from programs import stand_still, wait_for
from test_triggers import Clock, time_trigger

# What only a fault moves, and the test that looks at it.
ELSEWHERE = {
    "schedrun_builder_lag_records": "test_builder.py",
    "schedrun_trigger_lag_records": "test_events.py",
    "schedrun_claim_repairs_total": "test_delivery.py",
    "schedrun_claims_overwritten_total": "test_corrupt_store.py",
    "schedrun_kafka_errors_total": "test_rights.py",
    "schedrun_producer_rebuilds_total": "chaos_broker.py",  # of make chaos
    "schedrun_redis_errors_total": "test_redis_faults.py",
    "schedrun_stopped_partitions": "test_topics.py",
    "schedrun_trace_spans_total": "test_trace_queue.py",
    "schedrun_trigger_schedules": "test_triggers.py",
    "schedrun_trigger_replicas": "test_triggers.py",
    "schedrun_trigger_left_total": "test_triggers.py",
}
CONSTANT = {"schedrun_build_info"}  # says what runs


def values(daemon):
    """family -> {series: value} of all that it tells now."""
    families, family = {}, None
    for line in daemon.admin("/metrics")[1].splitlines():
        if line.startswith("# TYPE "):
            family = line.split()[2]
        elif line and not line.startswith("#") and family.startswith("schedrun_"):
            series, _, value = line.rpartition(" ")
            families.setdefault(family, {})[series] = value
    return families


def catalogue():
    made = catalogues.outcomes()
    stale = next(s for s in made["schedules"] if s["rid"] == schedule_rid("stale"))
    stale["versions"][0]["trigger"] = {"type": "datasetUpdated", "datasetRid": dataset("raw"),
                                       "branchName": "master"}
    made["schedules"][0]["versions"][0]["trigger"] = time_trigger("* * * * *")
    return made


def ask(system):
    """A request and its repeat, one under another's key, more that can't be read than are logged."""
    load = Load(system.bootstrap)
    datum = request(schedule_rid("stale"))
    for _ in range(2):
        load.send(datum)
    other = request(schedule_rid("no-spec"))
    load.producer.produce(load.topic, checker.encode("run_request", other), b"another key")
    for _ in range(20):
        load.producer.produce(load.topic, b"\0\0\0\0\1nonsense", b"x")
    load.flush()


def at_start(daemon):
    wait_for("the admin port", lambda: daemon.admin("/healthz"), pause=0.01)
    return values(daemon)


def test_each_metric_moves(system):
    system.init()
    system.apply(catalogue())
    job = system.directory / "job"
    job.write_text("#!/bin/sh\nsleep 1\n")
    job.chmod(0o755)
    worker = system.worker(log__rate=1)
    first = [at_start(worker)]  # before it has partitions
    adapter = Adapter(system, wait=False)
    daemons = [worker, adapter.daemon, system.builder(job),
               system.trigger(program=system.faulty("schedrun-trigger"), environment=Clock().environment)]
    first += [at_start(daemon) for daemon in daemons[1:]]
    known = {family for told in first for family in told}
    for daemon in daemons:
        daemon.wait_ready()
    moved = set()

    def look(only=daemons):
        for daemon, before in zip(daemons, first):
            if daemon not in only:
                continue
            now = values(daemon)
            known.update(now)
            moved.update(family for family in now if now[family] != before.get(family))
        return known <= moved | CONSTANT | set(ELSEWHERE)

    stream = adapter.events()
    ask(system)
    with ThreadPoolExecutor(1) as waiting:
        with stand_still(daemons[0].process):
            answer = waiting.submit(adapter.run, schedule_rid("stale"), Prefer="wait=30")
            wait_for("a request in flight",
                     lambda: look([adapter.daemon]) or "schedrun_http_in_flight_requests" in moved)
        assert answer.result().status_code == 200
    assert adapter.run(schedule_rid("stale"), token="nobody's").status_code == 401
    system.must("dataset", "commit", dataset("raw"), "--branch", "master", "--kafka")
    try:
        wait_for("each metric to move", look, 45)
    except AssertionError:
        raise AssertionError(sorted(known - moved - CONSTANT - set(ELSEWHERE))) from None
    stream.close()


def test_the_others_are_looked_at_elsewhere():
    here = pathlib.Path(__file__).parent
    for name, file in ELSEWHERE.items():
        said = (here / file).read_text()
        assert re.search(rf"(assert|wait_for|before|return daemon.metric).*\n?.*\b{name}\b", said), (name, file)
