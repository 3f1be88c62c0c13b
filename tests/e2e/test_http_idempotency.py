"""Idempotency-Key: one run for one key, whoever is asked, whatever fails."""

import copy
import hashlib
import struct
import threading
import time
import uuid

import catalogues
import checker
import pytest
import requests
from adapters import Adapter, pair
from proxy import Proxy
from programs import wait_for

SCHEDULE = catalogues.schedule_rid("stale")
OTHER = catalogues.schedule_rid("fresh")
REQUESTS, RESULTS = "schedule-run-requests", "schedule-run-results"
PRODUCE = 0


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init()
    fresh_system.apply(catalogues.outcomes())
    fresh_system.worker()
    return fresh_system


@pytest.fixture(scope="module")
def replicas(system):
    return pair(system)


@pytest.fixture
def key():
    return str(uuid.uuid4())


def request_id(user, schedule, key):
    """Recomputed from the words of docs/http.md, section 7."""
    joined = b"".join(struct.pack(">i", len(part)) + part.encode()
                      for part in (user, schedule, key))
    return "http:" + hashlib.sha256(joined).hexdigest()


def records_of(system, topic, name, run):
    return [datum for datum in (checker.decode(name, m.value())
                                for m in checker.read_topic(system.bootstrap, topic))
            if run in (datum.get("rid"), datum.get("runRid"))]


def same(run, other):
    return all(run[name] == other[name] for name in
               ("rid", "scheduleRid", "scheduleVersionRid", "createdTime", "createdBy"))


def test_at_once_at_both_replicas(system, replicas, key):
    n, answers, gate = 32, [], threading.Barrier(32)

    def ask(replica):
        gate.wait()
        answers.append(replica.run(SCHEDULE, Idempotency_Key=key))

    threads = [threading.Thread(target=ask, args=(replicas[i % 2],)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.status_code for a in answers] == [200] * n, [a.text for a in answers]
    runs = [a.json() for a in answers]
    assert all(same(run, runs[0]) for run in runs)
    first = [a for a in answers if "Idempotency-Replayed" not in a.headers]
    assert len(first) == 1
    assert all(a.headers["Idempotency-Replayed"] == "true" for a in answers if a is not first[0])
    system.wait_drained()
    assert len(records_of(system, RESULTS, "schedule_run", runs[0]["rid"])) == 1
    asked = records_of(system, REQUESTS, "run_request", runs[0]["rid"])
    assert {r["requestId"] for r in asked} == {request_id(catalogues.OWNER, SCHEDULE, key)}
    assert len({(r["createdTime"], r["scheduleVersionRid"]) for r in asked}) == 1


def test_the_result_comes_with_the_replay(replicas, key):
    done = replicas[0].run(SCHEDULE, Idempotency_Key=key, Prefer="wait=30").json()
    assert "result" in done
    again = wait_for("the result in the view", lambda: (
        lambda a: a if "result" in a.json() else None)(
            replicas[1].run(SCHEDULE, Idempotency_Key=key)))
    assert again.json() == done and again.headers["Idempotency-Replayed"] == "true"


def asked_until(replica, key, outcome):
    """The answer, once the claim was given back."""
    def ask():
        run = replica.run(SCHEDULE, Idempotency_Key=key, Prefer="wait=1").json()
        return run if run.get("result", {}).get("type") == outcome else None
    return wait_for("the answer", ask)


def test_damage_does_not_spend_the_key(system, replicas, key):
    """Mended, the same key is answered; the run stands in its list once."""
    redis, orders = system.cluster.redis(), catalogues.dataset("stale")
    before = redis.hget("schedrun:h", orders)
    redis.hset("schedrun:h", orders, "nonsense")
    redis.set("schedrun:e", str(uuid.uuid4()))
    try:
        run = replicas[0].run(SCHEDULE, Idempotency_Key=key, Prefer="wait=30").json()
        assert run["result"]["errorName"] == "Internal", run
        assert asked_until(replicas[1], key, "error") == run
    finally:
        redis.hset("schedrun:h", orders, before) if before else redis.hdel("schedrun:h", orders)
        redis.set("schedrun:e", str(uuid.uuid4()))
    mended = asked_until(replicas[1], key, "submitted")
    assert same(mended, run)
    assert replicas[0].run(SCHEDULE, Idempotency_Key=key, Prefer="wait=30").json() == mended


def test_bare_or_quoted_is_the_same_key(replicas, key):
    bare = replicas[0].run(SCHEDULE, Idempotency_Key=key).json()
    assert same(replicas[1].run(SCHEDULE, Idempotency_Key=f'"{key}"').json(), bare)


def test_another_caller_or_schedule_is_another_run(system, replicas, key):
    catalogue = catalogues.outcomes()
    catalogue["users"][catalogues.STRANGER] = {"roles": {catalogues.PROJECT: "editor"}}
    system.apply(catalogue)
    rids = {replicas[0].run(SCHEDULE, Idempotency_Key=key).json()["rid"],
            replicas[0].run(OTHER, Idempotency_Key=key).json()["rid"],
            replicas[0].run(SCHEDULE, Idempotency_Key=key + "x").json()["rid"],
            replicas[0].run(SCHEDULE).json()["rid"], replicas[0].run(SCHEDULE).json()["rid"]}
    stranger = wait_for("the stranger's new role", lambda: (
        lambda a: a if a.status_code == 200 else None)(
            replicas[0].run(SCHEDULE, token="stranger", Idempotency_Key=key)))
    rids.add(stranger.json()["rid"])
    assert len(rids) == 6


def test_who_lost_the_right_hears_so_first(system, replicas, key):
    assert replicas[0].run(SCHEDULE, Idempotency_Key=key).status_code == 200
    lost = copy.deepcopy(catalogues.outcomes())
    for roles, status, name in (({}, 404, "ScheduleNotFound"),
                                ({catalogues.PROJECT: "viewer"}, 403,
                                 "RunSchedulePermissionDenied")):
        lost["users"][catalogues.OWNER] = {"roles": roles}
        system.apply(lost, "--prune")
        refused = wait_for("the role to be gone", lambda: [
            a for a in [replicas[1].run(SCHEDULE, Idempotency_Key=key)]
            if a.status_code == status])
        assert refused[0].json()["errorName"] == name
    system.apply(catalogues.outcomes(), "--prune")
    wait_for("the role to be back",
             lambda: replicas[1].run(SCHEDULE, Idempotency_Key=key).status_code == 200)


def test_the_pinned_version_stays(system, replicas, key):
    catalogue = catalogues.outcomes()
    first = replicas[0].run(SCHEDULE, Idempotency_Key=key).json()
    newer = catalogues.version("stale", ["fresh"])
    newer["rid"] = catalogues.version_rid("stale-2")
    for schedule in catalogue["schedules"]:
        if schedule["rid"] == SCHEDULE:
            schedule["versions"].append(newer)
    system.apply(catalogue)
    fresh = replicas[0].run(SCHEDULE).json()
    assert fresh["scheduleVersionRid"] == newer["rid"]
    assert same(replicas[1].run(SCHEDULE, Idempotency_Key=key).json(), first)
    assert first["scheduleVersionRid"] == catalogues.version_rid("stale")


@pytest.mark.parametrize("value", ["", '""', "k" * 201, "a b", '"open', "tab\there"])
def test_malformed_keys(replicas, value):
    answer = replicas[0].run(SCHEDULE, Idempotency_Key=value)
    assert answer.status_code == 400
    assert answer.json()["parameters"]["parameter"] == "Idempotency-Key"


def test_long_keys(replicas):
    assert replicas[0].run(SCHEDULE, Idempotency_Key="k" * 200).status_code == 200


@pytest.fixture
def behind_a_proxy(system):
    """An adapter whose way to the broker a test can hold up."""
    proxy = Proxy(("127.0.0.1", system.cluster.proxied_port), system.cluster.proxy_port, kafka=True)
    adapter = Adapter(system, "http-proxied",
                      **{"bootstrap.servers": f"127.0.0.1:{proxy.port}"})
    yield adapter, proxy
    proxy.heal()
    proxy.close()


class Asking(threading.Thread):
    """A request that is under way."""

    def __init__(self, adapter, **headers):
        super().__init__(daemon=True)
        self.adapter, self.headers = adapter, headers
        self.answer = self.failure = None
        self.start()

    def run(self):
        try:
            self.answer = self.adapter.run(SCHEDULE, **self.headers)
        except requests.RequestException as failure:
            self.failure = failure


@pytest.mark.parametrize("delivered", [True, False], ids=["delivered", "not delivered"])
def test_killed_between_produce_and_answer(system, replicas, behind_a_proxy, key, delivered):
    adapter, proxy = behind_a_proxy
    proxy.hold(PRODUCE, [True])
    asking = Asking(adapter, Idempotency_Key=key)
    [held] = proxy.wait_held(1)
    assert asking.is_alive(), "answered before the broker had it"
    adapter.daemon.kill()
    asking.join(10)
    assert asking.failure is not None and asking.answer is None
    if delivered:
        held.release()
    answer = replicas[1].run(SCHEDULE, Idempotency_Key=key, Prefer="wait=30")
    run = answer.json()
    assert answer.status_code == 200 and "result" in run
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert run["rid"] == checker.run_rid(
        SCHEDULE, request_id(catalogues.OWNER, SCHEDULE, key))
    system.wait_drained()
    asked = records_of(system, REQUESTS, "run_request", run["rid"])
    assert len(asked) == (2 if delivered else 1)
    assert len(records_of(system, RESULTS, "schedule_run", run["rid"])) == 1


def test_no_200_before_the_broker_has_it(behind_a_proxy, key):
    adapter, proxy = behind_a_proxy
    proxy.hold(PRODUCE, [True])
    asking = Asking(adapter, Idempotency_Key=key, Prefer="wait=30")
    [held] = proxy.wait_held(1)
    time.sleep(0.7)  # longer than the first look for a result
    assert adapter.call("GET", "/healthz", token=None).status_code == 200
    assert asking.is_alive()
    held.release()
    asking.join(35)
    assert asking.answer.status_code == 200 and "result" in asking.answer.json()
    assert adapter.daemon.stop() == 0
