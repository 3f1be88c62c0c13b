"""The run view: folded by whoever is there, from the topics, again when lost."""

import time
import uuid

import catalogues
import checker
import pytest
import redis
from adapters import API, Adapter
from confluent_kafka import Producer
from programs import stand_still, wait_for
from redis_proxy import RedisProxy

SCHEDULE = catalogues.schedule_rid("stale")
RESULTS, BUILDS = "schedule-run-results", "schedule-builds"
PARTITIONS = 4
SESSION = {"session.timeout.ms": "6000"}


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init(PARTITIONS)
    fresh_system.apply(catalogues.outcomes())
    fresh_system.worker()
    return fresh_system


@pytest.fixture(scope="module")
def view(servers):
    """The view's Redis, one of its own."""
    return redis.Redis(port=servers.redis_port, db=1)


@pytest.fixture(scope="module")
def replicas(system, view):
    url = f"redis://127.0.0.1:{system.cluster.redis_port}/1"
    both = [Adapter(system, f"http-{i}", wait=False, view__redis__url=url, dedup__ttl="1m",
                    view__ttl="2m", **SESSION) for i in (1, 2)]
    for adapter in both:
        adapter.daemon.wait_ready()
    return both


def get(adapter, run, schedule=SCHEDULE):
    return adapter.call("GET", f"{API}/schedules/{schedule}/runs/{run}")


def wait_result(adapter, run, timeout=30):
    def look():
        answer = get(adapter, run)
        return answer if answer.status_code == 200 and "result" in answer.json() else None
    return wait_for(f"the result of {run} in the view", look, timeout).json()


def publish(servers, key, value):
    producer = Producer({"bootstrap.servers": servers.bootstrap, "partitioner": "murmur2_random"})
    producer.produce(RESULTS, key=key.encode(), value=value)
    assert producer.flush(20) == 0


def result(finished_ms, created_ms=None):
    request = str(uuid.uuid4())
    return {"rid": checker.run_rid(SCHEDULE, request), "requestId": request,
            "scheduleRid": SCHEDULE, "scheduleVersionRid": catalogues.version_rid("stale"),
            "createdTime": created_ms or finished_ms, "createdBy": None, "trigger": None,
            "finishedTime": finished_ms, "result": {},
            "why": {"phase": 1, "cause": "test", "selected": 0, "running": 0, "upToDate": 0,
                    "blocked": 0, "lists": {}}}


def members(view):
    return view.zrange(f"schedrun:x:{SCHEDULE}", 0, -1)


def test_any_replica_shows_what_the_other_was_asked(replicas, view):
    for asked, other in (replicas, replicas[::-1]):
        pending = asked.run(SCHEDULE).json()
        read = get(other, pending["rid"])
        assert read.status_code == 200
        assert {k: v for k, v in read.json().items() if k != "result"} == \
            {k: v for k, v in pending.items() if k != "result"}
        done = wait_result(other, pending["rid"])
        build = done["result"]["buildRid"].removeprefix("ri.foundry.main.build.")
        event = wait_for("the build's event", lambda: view.hget(
            b"schedrun:b:" + uuid.UUID(build).bytes, "e"))
        assert checker.decode("build_requested", event)["buildRid"] == done["result"]["buildRid"]


def test_who_has_been_told_can_read_it(system):
    """Also when the fold is slower than the event: a waiter's result and an event
    are in the view; and without a fold they come all the same, a little late."""
    proxy = RedisProxy(system.cluster.redis_port)

    def is_fold(command):
        return command[0] == b"EVALSHA" and command[3].startswith(b"schedrun:f:")
    proxy.hook = lambda command: time.sleep(0.1) if is_fold(command) else None
    adapter = Adapter(system, "http-told", http__group="told", view__ttl="1h", dedup__ttl="1m",
                      view__redis__url=f"redis://127.0.0.1:{proxy.port}/2", **SESSION)
    stream = adapter.events()
    for _ in range(3):
        run = adapter.run(SCHEDULE, Prefer="wait=30").json()
        assert "result" in run and get(adapter, run["rid"]).json() == run
    pending = adapter.run(SCHEDULE).json()["rid"]
    stream.wait(lambda s: pending in s.rids(), "its event")
    assert "result" in get(adapter, pending).json()
    proxy.hook = lambda command: b"-OOM no\r\n" if is_fold(command) else None
    run = adapter.run(SCHEDULE).json()["rid"]
    stream.wait(lambda s: run in s.rids(), "its event")
    assert "result" not in get(adapter, run).json()
    stream.close()
    assert adapter.daemon.stop() == 0
    proxy.close()


def test_a_flushed_view_folds_itself_again(replicas, view):
    runs = [replicas[i % 2].run(SCHEDULE, Prefer="wait=30").json() for i in range(6)]
    for run in runs:
        wait_result(replicas[0], run["rid"])
    before = {key: view.hget(key, "e") if key[9:10] == b"b" else view.get(key)
              for key in view.keys("*") if key[9:10] in b"rb"}
    view.flushdb()
    for run in runs:  # nothing else happens: no restart, no new result
        assert wait_result(replicas[1], run["rid"]) == run
    wait_for("every key to be back", lambda: before == {
        key: view.hget(key, "e") if key[9:10] == b"b" else view.get(key) for key in before})
    assert len(members(view)) >= len(runs)


def test_a_view_that_went_back_in_time_is_folded_on(replicas, view):
    run = replicas[0].run(SCHEDULE, Prefer="wait=30").json()
    wait_result(replicas[0], run["rid"])
    for key in view.keys("schedrun:f:*"):
        view.set(key, 0)
    for key in view.keys("schedrun:r:*"):
        view.delete(key)
    assert wait_result(replicas[1], run["rid"]) == run


def test_the_first_result_of_a_run_stays(servers, replicas, view):
    now = int(time.time() * 1000)
    first = result(now)
    second = {**first, "finishedTime": now + 5,
              "result": {"errorName": "Internal", "description": "a second one"}}
    mark = result(now)
    for datum in (first, second, mark):
        publish(servers, SCHEDULE, checker.encode("schedule_run", datum))
    wait_result(replicas[0], mark["rid"])
    assert wait_result(replicas[0], first["rid"])["result"]["type"] == "ignored"


def test_what_is_no_result_is_passed_over(servers, replicas):
    for bytes_ in (b"", b"\0\0\0\0\2", b"garbage", b"\0\0\0\0\x63rest",
                   checker.encode("schedule_run", {**result(1), "rid": "ri.x.main.y.z"})):
        publish(servers, SCHEDULE, bytes_)
    good = result(int(time.time() * 1000))
    publish(servers, SCHEDULE, checker.encode("schedule_run", good))
    wait_result(replicas[0], good["rid"])
    assert any("record_not_folded" in replica.daemon.log() for replica in replicas)


def test_what_is_too_old_is_not_kept(servers, replicas, view):
    now = int(time.time() * 1000)
    old = result(now - 200_000)
    nearly = result(now - 100_000)
    aged = result(now - 1000, created_ms=now - 500_000)  # finished lately, asked long ago
    fresh = result(now)
    for datum in (old, nearly, aged, fresh):
        publish(servers, SCHEDULE, checker.encode("schedule_run", datum))
    wait_result(replicas[0], fresh["rid"])
    assert get(replicas[0], old["rid"]).status_code == 404
    key = b"schedrun:r:" + uuid.UUID(nearly["rid"].split(".")[-1]).bytes
    assert 0 < view.pttl(key) <= 20_000
    oldest = min(int.from_bytes(member[:8], "big") for member in members(view))
    assert oldest >= now - 121_000
    assert all(0 < view.pttl(key) <= 120_000 for key in view.keys("schedrun:[rxb]:*"))


def test_a_zombie_does_no_harm(replicas, view):
    """It holds partitions, sleeps beyond its session, and wakes."""
    zombie, other = replicas
    with stand_still(zombie.daemon.process):
        runs = [other.run(SCHEDULE).json() for _ in range(8)]
        done = [wait_result(other, run["rid"], 60) for run in runs]
    zombie.daemon.wait_ready()
    assert [wait_result(zombie, run["rid"]) for run in runs] == done
    after = zombie.run(SCHEDULE, Prefer="wait=30").json()
    assert "result" in after and wait_result(other, after["rid"]) == after


def test_a_told_result_is_there_before_the_fold(replicas):
    """One who waited gets his run from the view, though its folder sleeps."""
    folder, other = replicas
    with stand_still(folder.daemon.process):
        told = [other.run(catalogues.schedule_rid(name), Prefer="wait=30").json()
                for name in ("stale", "fresh", "cycle", "no-spec", "owner-gone")]
        read = [get(other, run["rid"], run["scheduleRid"]).json() for run in told]
    folder.daemon.wait_ready()
    assert all("result" in run for run in told)
    assert read == told


def test_lag_is_told(replicas):
    wait_for("nothing to be folded", lambda: all(
        r.daemon.metric("schedrun_run_view_lag_records") == 0 for r in replicas))


def test_markers_of_transactions_are_folded_too(servers, system, view, replicas):
    """Behind the last result stands the marker of its transaction: once retention has
    taken it, nothing of the view is lost."""
    wait_result(replicas[0], replicas[0].run(SCHEDULE).json()["rid"])

    def passed():
        ends = checker.log_ends(servers.bootstrap, RESULTS)
        return all(int(view.get(f"schedrun:f:{RESULTS}:{p}") or end) >= end
                   for p, (_, end) in ends.items())
    wait_for("the fold to pass the markers", passed, 20)
