"""Each program as the Redis user that deploy/redis-users.conf gives it: it can do all
that it does, and what is not its own it can't write."""

import json
import uuid

import boards
import catalogues
import checker
import injected
import pytest
import redis
from cluster import free_ports
from load import Load, request
from programs import ROOT, wait_for

import requests

PASSWORD = "a-password-of-the-tests"


def users(server):
    """Makes the users of the file, with a password that is known."""
    for line in (ROOT / "deploy" / "redis-users.conf").read_text().splitlines():
        words = line.split()
        if not words or words[0] != "user":
            continue
        rules = [f">{PASSWORD}" if word.startswith("#") else word for word in words[2:]]
        server.execute_command("ACL", "SETUSER", words[1], "reset", *rules)


@pytest.fixture
def guarded(system):
    server = system.cluster.redis()
    users(server)
    secret = system.directory / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    system.password = str(secret)
    yield system
    system.stop()
    for name in ("worker", "adapter", "builder", "trigger", "admin"):
        server.execute_command("ACL", "DELUSER", name)


def as_user(system, name):
    return {"redis.username": name, "redis.password.file": system.password}


def admin(system, *arguments, code=0, **more):
    flags = [f"{key}={value}" for key, value in as_user(system, "admin").items()]
    done = system.run("-s", flags[0], "-s", flags[1], *arguments, **more)
    assert done.returncode == code, (arguments, done.stderr)
    return done.stdout


def refused(system, name, *command):
    client = redis.Redis(port=system.cluster.redis_port, username=name, password=PASSWORD)
    with pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command)


def test_each_program_can_do_its_work(guarded):
    system = guarded
    admin(system, "init", "--partitions", "1", "--replication", "1")
    path = system.directory / "catalogue.json"
    path.write_text(json.dumps(catalogues.outcomes()))
    for flags in ([], ["--dry-run"], ["--prune"]):
        admin(system, "apply", "--allow-missing", *flags, str(path))
    system.worker(**as_user(system, "worker")).wait_ready()
    tokens = system.directory / "tokens"
    tokens.write_text(f"full {catalogues.OWNER} api:orchestration-read api:orchestration-write\n")
    tokens.chmod(0o600)
    port = free_ports(1)[0]
    system.adapter(http__auth="token-file", http__token__file=str(tokens), http__drain="0",
                   http__listen=f"127.0.0.1:{port}", **as_user(system, "adapter")).wait_ready()
    load = Load(system.bootstrap)
    for name, fields, *_ in catalogues.OUTCOMES:
        load.send(request(catalogues.schedule_rid(name), **fields))
    asked = load.flush()
    system.wait_drained()
    assert system.judge(asked).results == len(catalogues.OUTCOMES)
    trigger = system.trigger(**as_user(system, "trigger")).wait_ready()
    wait_for("it to note how far it is", lambda: system.cluster.redis().get("schedrun:t:at"))
    assert "NOPERM" not in trigger.log()
    # The adapter: a run, the run again, its list; the view is folded by it.
    base = f"http://127.0.0.1:{port}/api/v2/orchestration/schedules/{catalogues.schedule_rid('stale')}"
    headers = {"Authorization": "Bearer full", "Prefer": "wait=20", "Idempotency-Key": "once"}
    runs = [requests.post(f"{base}/run?preview=true", headers=headers, timeout=30) for _ in range(2)]
    assert [run.status_code for run in runs] == [200, 200] and runs[0].json() == runs[1].json()
    build = runs[0].json()["result"]["buildRid"]
    # The command line: whatever it writes and reads.
    key = b"schedrun:b:" + uuid.UUID(build.rsplit(".", 1)[1]).bytes
    wait_for("the build", lambda: system.cluster.redis().hexists(key, "e"))
    admin(system, "build", "fail", build)
    admin(system, "build", "finish", build)
    admin(system, "dataset", "commit", catalogues.dataset("raw"), "--branch", "master")
    # The trigger: what an event says.
    send = ["dataset", "commit", catalogues.dataset("raw"), "--branch", "master", "--kafka"]
    head = json.loads(admin(system, *send))["transactionRid"]
    wait_for("the trigger to commit it", lambda: head.encode() in system.cluster.redis().hget(
        "schedrun:h", catalogues.dataset("raw")))
    event = {"datasetRid": catalogues.dataset("fresh"), "jobSpecRid": "ri.foundry.main.jobspec.master-fresh",
             "branch": "master", "logic": "v9", "time": 0}
    load.producer.produce("schedule-events", checker.encode("logic_published", event))
    wait_for("the trigger to publish it", lambda: '"v9"' in admin(system, "export"))
    assert "NOPERM" not in trigger.log()
    for command in ("pause", "unpause", "get", "versions"):
        admin(system, "schedule", command, catalogues.schedule_rid("fresh"))
    admin(system, "schedule", "list")
    admin(system, "plan", "--schedule", catalogues.schedule_rid("fresh"))
    admin(system, "run", "list", "--schedule", catalogues.schedule_rid("stale"))
    admin(system, "run", "explain", runs[0].json()["rid"])
    # The builder: of what has just become stale.
    result = admin(system, "submit", catalogues.schedule_rid("stale"), "--wait", "20s").splitlines()[-1]
    builder = system.builder("/bin/true", **as_user(system, "builder"))
    key = b"schedrun:b:" + uuid.UUID(json.loads(result)["result"]["buildRid"].rsplit(".", 1)[1]).bytes
    wait_for("the build to be carried out",
             lambda: system.cluster.redis().hget(key, "s") == b"SUCCEEDED", 30)
    builder.wait_ready()
    exported = admin(system, "export")
    admin(system, "apply", "-", stdin=exported)
    admin(system, "submit", catalogues.schedule_rid("fresh"), "--wait", "20s")
    assert '"fault"' not in admin(system, "check")


def test_the_adapter_can_tell_its_page_everything(guarded):
    """By the adapter's user: each route of the dashboard, with something to tell."""
    admin(guarded, "init", "--partitions", "1", "--replication", "1")
    admin(guarded, "apply", "--allow-missing", "-", stdin=json.dumps(boards.shop()))
    guarded.worker(**as_user(guarded, "worker")).wait_ready()
    guarded.trigger(**as_user(guarded, "trigger")).wait_ready()
    board = boards.Dashboard(guarded, **as_user(guarded, "adapter"))
    run = board.finish(boards.NIGHT)
    for method, path, _ in boards.page_routes():
        named = path.format(runRid=run["rid"], scheduleRid=catalogues.schedule_rid(boards.NIGHT),
                            datasetRid=catalogues.dataset("orders"))
        body = {"json": {"letters": ["0:0"]}} if "redrive" in path else {}
        answer = board.call(method, f"/dashboard/{named}", **body)
        assert answer.status_code == 200, (path, answer.text)
        assert "NOPERM" not in answer.text and '"isPart":true' not in answer.text
    assert [one["wave"] for one in board.tell(f"datasets/{catalogues.dataset('orders')}/impact")["schedules"]].count(0) < 6
    assert "NOPERM" not in board.daemon.log()


def test_none_may_write_what_is_not_its_own(guarded):
    for command in (["SET", "schedrun:g", "9"], ["HSET", "schedrun:s", "a", "b"], ["HSET", "schedrun:u", "a", "b"],
                    ["HSET", "schedrun:h", "a", "b"], ["SET", "schedrun:r:x", "9"], ["SET", "schedrun:k", "9"],
                    ["HSET", "schedrun:meta", "format", "2"], ["FLUSHALL"], ["KEYS", "*"],
                    ["CONFIG", "GET", "*"], ["GET", "other:g"]):
        refused(guarded, "worker", *command)
    for command in (["SET", "schedrun:g", "9"], ["SET", "schedrun:m:t:0", "9"], ["HSET", "schedrun:u", "a", "b"],
                    ["HSET", "schedrun:d", "a", "b"], ["HSET", "schedrun:c:1:2", "a", "b"], ["HSET", "schedrun:h", "a", "b"], ["FLUSHALL"], ["GET", "other:g"]):
        refused(guarded, "adapter", *command)
    for command in (["SET", "schedrun:g", "9"], ["HSET", "schedrun:s", "a", "b"],
                    ["HSET", "schedrun:u", "a", "b"], ["HSET", "schedrun:d", "a", "b"], ["HSET", "schedrun:c:1:2", "a", "b"],
                    ["SET", "schedrun:m:t:0", "9"], ["FLUSHALL"], ["GET", "other:g"]):
        refused(guarded, "builder", *command)
    for command in (["HSET", "schedrun:meta", "format", "2"], ["SET", "schedrun:m:t:0", "9"], ["SET", "schedrun:r:x", "9"],
                    ["HSET", "schedrun:c:1:2", "a", "b"], ["FLUSHALL"], ["GET", "other:g"]):
        refused(guarded, "trigger", *command)
    for command in (["FLUSHALL"], ["GET", "other:g"], ["CONFIG", "SET", "save", ""], ["KEYS", "*"]):
        refused(guarded, "admin", *command)


def test_a_user_that_may_not_is_said_to_be_one(guarded):
    """The worker as the adapter's user: not its keys."""
    admin(guarded, "init", "--partitions", "1", "--replication", "1")
    admin(guarded, "apply", "--allow-missing", "-", stdin=json.dumps(catalogues.outcomes()))
    worker = guarded.worker(**as_user(guarded, "adapter"))
    injected.note("the adapter's user")
    wait_for("the worker to end or to say so", lambda: worker.process.poll() is not None
             or "NOPERM" in worker.log())
    assert "NOPERM" in worker.log()
    if worker.process.poll() is not None:
        assert worker.process.returncode == 77
    assert not checker.read_topic(guarded.bootstrap, "schedule-run-results")
