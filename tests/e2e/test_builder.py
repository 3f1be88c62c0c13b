"""schedrun-builder: builds carried out by real processes, whatever ends or hangs."""

import fcntl
import json
import os
import signal
import subprocess
import time
import uuid

import catalogues
import checker
import pytest
from catalogues import dataset, transaction
from confluent_kafka import Producer
from programs import BUILD, wait_for
from test_registry import Registry

from load import Load, request

GROUP = "schedrun-builder"
# What a job does is its logic.  `go` lets those run on that wait for it.
JOB = """\
#!/bin/sh
cd {directory} || exit 1
cat >stdin.new && mv stdin.new "stdin.${{SCHEDRUN_OUTPUTS##*.}}"
echo "$SCHEDRUN_OUTPUTS $SCHEDRUN_ATTEMPT $SCHEDRUN_FENCE $$" >>ran
wait_for_go() {{ while [ ! -e "go.${{SCHEDRUN_OUTPUTS##*.}}" ]; do sleep 0.05; done; }}
case $SCHEDRUN_LOGIC in
fail) echo the disk is full >&2; exit 3 ;;
again) [ "$SCHEDRUN_ATTEMPT" -ge 3 ] || exit 75 ;;
always-again) exit 75 ;;
slow) wait_for_go ;;
stubborn) trap '' TERM; wait_for_go ;;
forks) sleep 1000 & echo $! >forked ;;
loud) i=0; while [ $i -lt 2000 ]; do echo "line $i of many, many lines that are written"; i=$((i + 1)); done; exit 1 ;;
own) echo ri.foundry.main.transaction.own >&3 ;;
nonsense) echo "not a rid" >&3 ;;
kills) until grep -q beside-it ran; do sleep 0.05; done; kill -9 $PPID ;;
look) env >env; ls /proc/self/fd | wc -l >files ;;
esac
"""


def build_catalogue():
    logics = ["ok", "fail", "again", "always-again", "slow", "stubborn", "forks", "loud", "own",
              "nonsense", "look", "kills", "beside-it", "schema", "canceled", "shared", "drained", "moved", "outage", "late", "older"]
    slow = {"shared": "slow", "drained": "slow", "moved": "slow", "outage": "slow", "late": "slow", "beside-it": "slow", "canceled": "slow"}
    datasets = {dataset("raw"): catalogues.stored("raw-1")}
    specs, schedules = [], []
    for name in logics:
        datasets[dataset(name)] = catalogues.stored(None)
        specs.append(catalogues.job_spec(name, ["raw"], logic=slow.get(name, name)))
        schedules.append(catalogues.schedule(name, [name], retryCount=2))
    datasets[dataset("own-raw")] = catalogues.stored("own-raw-1")
    datasets[dataset("twice")] = catalogues.stored(None)
    specs.append(catalogues.job_spec("twice", ["own-raw"], logic="slow"))
    schedules.append(catalogues.schedule("twice", ["twice"]))
    # a -> b, and beside them one that fails, one behind it, and one that is slow
    for name, inputs, logic in (("a", ["raw"], "ok"), ("b", ["a", "raw"], "own"), ("bad", ["raw"], "fail"),
                                ("behind", ["bad"], "ok"), ("beside", ["raw"], "slow")):
        datasets[dataset(name)] = catalogues.stored(None)
        specs.append(catalogues.job_spec(name, inputs, logic=logic))
    for name, more in (("chain", {}), ("abort", {"abortOnFailure": True}), ("go-on", {})):
        targets = ["b"] if name == "chain" else ["behind", "beside"]
        schedules.append(catalogues.schedule(name, targets, target={
            "type": "upstream", "targetRids": [dataset(t) for t in targets]}, **more))
    return {"projects": {catalogues.PROJECT: {}}, "users": catalogues.users(),
            "datasets": datasets, "jobSpecs": specs, "schedules": schedules}


@pytest.fixture(scope="module")
def plant(fresh_system):
    """One worker for the whole file, and a job that does as its logic says."""
    fresh_system.delete_topics()
    fresh_system.init()
    fresh_system.apply(build_catalogue())
    fresh_system.worker()
    fresh_system.job = fresh_system.directory / "job"
    fresh_system.job.write_text(JOB.format(directory=fresh_system.directory))
    fresh_system.job.chmod(0o755)
    fresh_system.daemons[0].wait_ready()
    return fresh_system


@pytest.fixture(scope="module")
def plain(plant):
    """A builder for those who do nothing to it."""
    return plant.builder(plant.job, builder__logs__max="20k").wait_ready()


def submit(system, name):
    done = system.run("submit", catalogues.schedule_rid(name), "--wait", "30s")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])["result"]["buildRid"]


def uuid_of(build):
    return uuid.UUID(build.rsplit(".", 1)[1])


def wait_state(system, build, state):
    redis = system.cluster.redis()
    key = b"schedrun:b:" + uuid_of(build).bytes
    wait_for(f"{build} to be {state}", lambda: redis.hget(key, "s") == state.encode(), 30)


def carry_out(system, name, state="SUCCEEDED"):
    build = submit(system, name)
    wait_state(system, build, state)
    return build


def said(system, build):
    """What is said of the jobs: state, attempt, code, text."""
    jobs = system.cluster.redis().hgetall(b"schedrun:j:" + uuid_of(build).bytes)
    found = {}
    for position, text in jobs.items():
        first, _, rest = text.decode().partition("\n")
        words = first.split(" ")
        found[int(position)] = (words[0], int(words[1]), int(words[4]), rest)
    return found


def ran(system, name):
    path = system.directory / "ran"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split() for line in lines if line.startswith(dataset(name) + " ")]


def go(system, name):
    (system.directory / f"go.{name}").touch()


def branch(system, name):
    stored = system.cluster.redis().hget("schedrun:h", dataset(name))
    return json.loads(stored).get("master") if stored else None


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat") as stat:  # a zombie that nobody has waited for
        return stat.read().rsplit(")", 1)[1].split()[0] == "Z"


def idle(system):
    """Every build's offset is committed, but for the markers of transactions."""
    return checker.lag(system.bootstrap, GROUP, "schedule-builds")


def test_one_that_has_nothing_to_do_stays_ready(plant, plain):
    """Kafka answers only who asks; what it said last is old after 10 s."""
    until = time.monotonic() + 13
    while time.monotonic() < until:
        assert plain.blamed() == {}
        time.sleep(0.5)


def test_a_chain_in_order_with_what_it_read(plant, plain):
    build = carry_out(plant, "chain")
    a = branch(plant, "a")["head"]
    assert branch(plant, "b") == {
        "head": transaction("own"),
        "built": {"logic": "own", "inputs": {dataset("a"): a, dataset("raw"): transaction("raw-1")}}}
    told = json.loads((plant.directory / "stdin.b").read_text())
    assert told["build"] == build and told["logic"] == "own" and told["attempt"] == 1
    assert told["inputs"] == [
        {"branch": "master", "rid": dataset("a"), "transaction": a},
        {"branch": "master", "rid": dataset("raw"), "transaction": transaction("raw-1")}]
    assert plant.must("plan", "--schedule", catalogues.schedule_rid("chain"), "-o", "json").find("ignored") > 0
    plain.wait_metric('schedrun_jobs_total{end="succeeded"}', 2)


def test_a_job_sees_nothing_of_ours(plant, plain):
    carry_out(plant, "look")
    names = {line.split("=")[0] for line in (plant.directory / "env").read_text().splitlines()}
    assert names <= {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_"} | {
        f"SCHEDRUN_{n}" for n in ("BUILD", "JOB", "SPEC", "LOGIC", "BRANCH", "ATTEMPT", "FENCE",
                                  "OUTPUTS", "INPUTS")}
    assert int((plant.directory / "files").read_text()) <= 5  # 0 to 3, and ls's own


def test_75_is_tried_again_up_to_the_retries(plant, plain):
    assert said(plant, carry_out(plant, "again"))[0][:2] == ("SUCCEEDED", 3)
    assert said(plant, carry_out(plant, "always-again", "FAILED"))[0][:3] == ("FAILED", 3, 75)


def test_what_fails_says_why(plant, plain):
    loud = carry_out(plant, "loud", "FAILED")
    text = said(plant, loud)[0][3]
    assert len(text.splitlines()) == 20 and text.splitlines()[-1].startswith("line 1999 ")
    log = plant.directory / "builds" / str(uuid_of(loud)) / "0.log"
    assert 20 * 1024 < log.stat().st_size < 21 * 1024 and "builder.logs.max" in log.read_text()
    assert "no transaction RID" in said(plant, carry_out(plant, "nonsense", "FAILED"))[0][3]
    assert branch(plant, "nonsense") is None or branch(plant, "nonsense")["head"] is None
    assert "the disk is full" in said(plant, carry_out(plant, "fail", "FAILED"))[0][3]
    assert "the disk is full" in plain.log()


def fold(system, build):
    """Without an adapter: the build's event is put where it would fold it."""
    for record in checker.read_topic(system.bootstrap, "schedule-builds"):
        if record.key() == build.encode():
            system.cluster.redis().hset(b"schedrun:b:" + uuid_of(build).bytes, "e", record.value())


def test_what_the_command_line_shows(plant, plain):
    build = carry_out(plant, "fail", "FAILED")
    fold(plant, build)
    logs = ["-s", f"builder.logs={plant.directory}/builds"]
    job = json.loads(plant.must("build", "get", build))
    assert (job["state"], job["code"], job["says"]) == ("FAILED", 3, "the disk is full")
    assert plant.must(*logs, "build", "logs", build) == "the disk is full\n"
    waited = plant.run("build", "get", build, "--wait", "1m")
    assert waited.returncode == 1 and "has ended, FAILED" in waited.stderr and json.loads(waited.stdout) == job
    elsewhere = plant.run("-s", "builder.logs=/no/such/folder", "build", "logs", build)
    assert elsewhere.stdout == "the disk is full\n" and job["host"] in elsewhere.stderr
    assert "-s builder.logs=" in elsewhere.stderr


def test_a_canceled_build_ends_with_what_runs_of_it(plant, plain):
    before = plain.metric('schedrun_builds_total{state="over"}')
    build = submit(plant, "canceled")
    wait_for("the job to run", lambda: ran(plant, "canceled"), 30)
    fold(plant, build)
    waited = plant.run("build", "get", build, "--wait", "300ms")
    assert waited.returncode == 6 and "has not ended within --wait" in waited.stderr
    assert (json.loads(waited.stdout)["state"], json.loads(waited.stdout)["code"]) == ("RUNNING", None)
    with plant.begin("build", "get", build, "--wait", "1m") as waiting:
        done = json.loads(plant.must("build", "cancel", build))
        assert "has ended, CANCELED" in waiting.communicate(timeout=20)[1] and waiting.returncode == 1
    assert (done["state"], done["note"]) == ("CANCELED", None)
    wait_for("the job to end", lambda: is_gone(int(ran(plant, "canceled")[0][3])), 20)
    plain.wait_metric('schedrun_builds_total{state="over"}', before + 1)
    assert said(plant, build)[0][0] == "SKIPPED" and "was canceled" in said(plant, build)[0][3]
    assert branch(plant, "canceled")["head"] is None and len(ran(plant, "canceled")) == 1
    assert json.loads(plant.must("build", "cancel", build))["note"] == "already so"
    failed = plant.run("build", "fail", build)
    assert failed.returncode == 1 and "has ended, CANCELED, and stays so" in failed.stderr


def test_what_a_job_leaves_behind_ends_with_it(plant, plain):
    carry_out(plant, "forks")
    pid = int((plant.directory / "forked").read_text())
    wait_for("the forked process to end", lambda: is_gone(pid), 10)


def test_others_go_on_behind_a_failure_unless_it_aborts(plant, plain):
    aborted = carry_out(plant, "abort", "FAILED")
    jobs = {state for state, *_ in said(plant, aborted).values()}
    assert jobs <= {"FAILED", "SKIPPED"} and not ran(plant, "behind")
    assert branch(plant, "beside") is None or branch(plant, "beside")["head"] is None
    go(plant, "beside")
    carry_out(plant, "go-on", "FAILED")
    assert branch(plant, "beside")["head"] and not ran(plant, "behind")


def test_200_requests_are_200_builds_and_one_piece_of_work(plant, plain):
    load = Load(plant.bootstrap)
    for i in range(200):
        load.send(request(catalogues.schedule_rid("shared"), f"r-{i}"))
    load.flush()
    plant.wait_drained()
    wait_for("the one job to run", lambda: ran(plant, "shared"), 30)
    plain.wait_metric("schedrun_open_builds", 200)
    wait_for("the lag to be told", lambda: plain.metric("schedrun_builder_lag_records") >= 200, 10)
    go(plant, "shared")
    ended = 'schedrun_builds_total{state="succeeded"}'
    before = plain.metric(ended)
    plain.wait_metric("schedrun_open_builds", 0)
    assert len(ran(plant, "shared")) == 1
    assert plain.metric('schedrun_jobs_total{end="up_to_date"}') >= 199, before
    assert len({line[2] for line in ran(plant, "shared")}) == 1
    wait_for("every build's offset", lambda: idle(plant) <= 0, 20)


def test_what_a_build_asks_for_is_made_once_whatever_comes_since(plant, plain):
    """The second build's fingerprint is the first's: what has come since is for who asks since."""
    builds = [submit(plant, "twice") for _ in range(2)]
    wait_for("the job to run", lambda: ran(plant, "twice"), 30)
    plant.must("dataset", "commit", dataset("own-raw"), "--branch", "master", "--transaction", transaction("own-raw-2"))
    go(plant, "twice")
    for build in builds:
        wait_state(plant, build, "SUCCEEDED")
    assert said(plant, builds[1])[0][0] == "UP_TO_DATE" and len(ran(plant, "twice")) == 1
    assert branch(plant, "twice")["built"]["inputs"] == {dataset("own-raw"): transaction("own-raw-1")}
    carry_out(plant, "twice")
    assert branch(plant, "twice")["built"]["inputs"] == {dataset("own-raw"): transaction("own-raw-2")}


def test_a_build_of_an_older_version_is_carried_out(plant, plain):
    """Its job has no fingerprint, by a schema that hadn't any."""
    build = carry_out(plant, "older")
    events = checker.read_topic(plant.bootstrap, "schedule-builds")
    datum = next(checker.decode("build_requested", event.value()) for event in events if event.key().decode() == build)
    assert uuid.UUID(datum["jobs"][0].pop("fingerprint")).version == 5
    datum["buildRid"] = "ri.foundry.main.build." + str(uuid.uuid4())
    producer = Producer({"bootstrap.servers": plant.bootstrap, "partitioner": "murmur2_random"})
    producer.produce("schedule-builds", checker.encode("build_requested_v1", datum), datum["buildRid"].encode())
    assert producer.flush(30) == 0
    wait_state(plant, datum["buildRid"], "SUCCEEDED")
    assert said(plant, datum["buildRid"])[0][0] == "UP_TO_DATE"


def test_without_redis_a_job_goes_on_and_is_reported_later(plant, plain):
    build = submit(plant, "outage")
    wait_for("the job to run", lambda: ran(plant, "outage"), 30)
    plant.cluster.stop_redis()
    go(plant, "outage")
    wait_for("it to say so", lambda: "redis" in plain.blamed(), 20)
    plant.cluster.start_redis()
    wait_state(plant, build, "SUCCEEDED")
    assert len(ran(plant, "outage")) == 1
    plant.cluster.stop_redis()  # while there is nothing to ask for
    wait_for("it to say so", lambda: "redis" in plain.blamed(), 20)
    plant.cluster.start_redis()
    plain.wait_ready()


def test_a_builder_that_is_killed_leaves_nothing_and_another_goes_on(plant, plain):
    plain.stop(30)
    first = plant.builder(plant.job, name="killed", session__timeout__ms=6000).wait_ready()
    build = submit(plant, "slow")
    wait_for("the job to run", lambda: ran(plant, "slow"), 30)
    first.kill()
    wait_for("the job to end with its builder", lambda: is_gone(int(ran(plant, "slow")[0][3])), 10)
    plant.cluster.redis().delete(f"schedrun:o:{dataset('slow')}\nmaster")  # lapses after 30 s
    second = plant.builder(plant.job, name="heir")
    wait_for("the job to run again", lambda: len(ran(plant, "slow")) == 2, 30)
    go(plant, "slow")
    wait_state(plant, build, "SUCCEEDED")
    assert int(ran(plant, "slow")[1][2]) > int(ran(plant, "slow")[0][2])  # the fence
    second.stop(30)


def test_a_lost_lease_ends_the_job_and_reports_nothing(plant):
    builder = plant.builder(plant.job, name="loser").wait_ready()
    build = submit(plant, "stubborn")
    wait_for("the job to run", lambda: ran(plant, "stubborn"), 30)
    lease = f"schedrun:o:{dataset('stubborn')}\nmaster"
    plant.cluster.redis().set(lease, "1", px=60000)  # somebody else's
    pid = int(ran(plant, "stubborn")[0][3])
    wait_for("the job to be killed", lambda: is_gone(pid), 20)
    builder.wait_metric('schedrun_jobs_total{end="lost"}', 1)
    assert said(plant, build)[0][0] == "RUNNING" and branch(plant, "stubborn")["head"] is None
    plant.cluster.redis().delete(lease)
    wait_for("the job to run again", lambda: len(ran(plant, "stubborn")) == 2, 30)
    go(plant, "stubborn")
    wait_state(plant, build, "SUCCEEDED")
    builder.stop(30)


def test_a_head_is_not_written_without_the_lease(plant):
    """The job ends well, before its builder has seen that the lease is another's."""
    builder = plant.builder(plant.job, name="fenced").wait_ready()
    build = submit(plant, "late")
    wait_for("the job to run", lambda: ran(plant, "late"), 30)
    lease = f"schedrun:o:{dataset('late')}\nmaster"
    plant.cluster.redis().set(lease, "1", px=60000)
    go(plant, "late")
    builder.wait_metric('schedrun_jobs_total{end="lost"}', 1)
    assert branch(plant, "late")["head"] is None and said(plant, build)[0][0] == "RUNNING"
    plant.cluster.redis().delete(lease)
    wait_state(plant, build, "SUCCEEDED")
    builder.stop(30)


def test_two_builders_one_output_and_a_drain(plant):
    """The partitions move when a second one comes, and again when the first ends."""
    one = plant.builder(plant.job, name="one", builder__drain="1s").wait_ready()
    builds = [submit(plant, "moved") for _ in range(4)]
    wait_for("the job to run", lambda: ran(plant, "moved"), 30)
    two = plant.builder(plant.job, name="two").wait_ready()
    assert len(ran(plant, "moved")) == 1
    assert one.stop(30) == 0  # the job gets SIGTERM after builder.drain
    wait_for("the job to run at the other one", lambda: len(ran(plant, "moved")) == 2, 30)
    go(plant, "moved")
    for build in builds:
        wait_state(plant, build, "SUCCEEDED")
    assert len(ran(plant, "moved")) == 2
    wait_for("every build's offset", lambda: idle(plant) <= 0, 20)
    two.stop(30)


def test_a_running_job_is_finished_while_draining(plant):
    builder = plant.builder(plant.job, name="drained").wait_ready()
    assert builder.metric('schedrun_dependency_up{dependency="redis"}') == 1
    assert builder.metric('schedrun_dependency_up{dependency="registry"}') is None  # none is set
    build = submit(plant, "drained")
    wait_for("the job to run", lambda: ran(plant, "drained"), 30)
    builder.signal(signal.SIGTERM)
    wait_for("it to drain", lambda: "draining" in builder.log(), 10)
    go(plant, "drained")
    assert builder.wait(30) == 0
    assert said(plant, build)[0][0] == "SUCCEEDED" and len(ran(plant, "drained")) == 1


def test_a_build_that_was_reported_by_hand_is_left_alone(plant):
    build = submit(plant, "ok")
    key = b"schedrun:b:" + uuid_of(build).bytes
    plant.cluster.redis().hset(key, "s", "FAILED")  # as `build fail`
    builder = plant.builder(plant.job, name="late").wait_ready()
    builder.wait_metric('schedrun_builds_total{state="over"}', 1)
    assert not ran(plant, "ok")
    builder.stop(30)


def test_the_output_of_old_builds_goes(plant):
    """Too old, or too much; not what is no build's, what is written, and what is new."""
    folder = plant.directory / "kept"
    now = time.time()

    def build(days, size, name="0.log"):
        home = folder / str(uuid.uuid4())
        home.mkdir(parents=True)
        (home / name).write_bytes(b"x" * size)
        for path in (home / name, home):
            os.utime(path, (now - days * 86400,) * 2)
        return home

    old, ancient, large, small = build(8, 10), build(90, 10), build(6, 900_000), build(5, 900_000)
    foreign, written = build(90, 10, "notes.txt"), build(90, 10)
    other = folder / "not-a-build"
    other.mkdir()
    with open(written / "0.log") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        builder = plant.builder(plant.job, name="keeper", builder__logs=folder, builder__logs__age="7d",
                                builder__logs__total="1M")
        wait_for("it to be told", lambda: "logs_removed" in builder.log(), 20)
        builder.stop(30)
    assert "builds=3" in builder.log() and "bytes=900020" in builder.log()
    assert {path.name for path in folder.iterdir()} == {path.name for path in (small, foreign, written, other)}
    assert (written / "0.log").exists() and not old.exists() and not ancient.exists() and not large.exists()


def test_a_job_that_kills_its_builder_fails_and_not_what_ran_beside_it(plant):
    """A group of its own for each start: nobody waits until the dead one is missed."""
    def start(n):
        for name in ("kills", "beside-it"):  # a lease lapses after 30 s
            plant.cluster.redis().delete(f"schedrun:o:{dataset(name)}\nmaster")
        return plant.builder(plant.job, name=f"start-{n}", builder__restarts=1, builder__group=f"starts-{n}")

    builds = [submit(plant, name) for name in ("kills", "beside-it")]
    started = start(0)
    assert started.wait(20) == -signal.SIGKILL
    wait_for("it to have ended", lambda: is_gone(int(ran(plant, "beside-it")[0][3])), 10)
    go(plant, "beside-it")
    assert start(1).wait(20) == -signal.SIGKILL  # each made its last try alone
    last = start(2)
    wait_state(plant, builds[0], "FAILED")
    assert "begun 2 times, and its end was never seen" in said(plant, builds[0])[0][3]
    wait_state(plant, builds[1], "SUCCEEDED")
    assert len(ran(plant, "kills")) == 2 and len(ran(plant, "beside-it")) == 2
    last.stop(30)


def test_without_the_registry_a_build_waits_and_that_is_said(plant):
    registry = Registry()
    registry.fault = (503, "{}")
    try:
        builder = plant.builder(plant.job, name="schemaless", schema__registry__url=registry.url)
        build = submit(plant, "schema")
        wait_for("it to say so", lambda: set(builder.blamed()) == {"registry"}, 30)
        assert builder.metric('schedrun_dependency_up{dependency="registry"}') == 0
        assert builder.metric('schedrun_dependency_up{dependency="redis"}') == 1
        assert not ran(plant, "schema")
        registry.fault = None
        wait_state(plant, build, "SUCCEEDED")
        builder.wait_ready()
        builder.stop(30)
    finally:
        registry.stop()


def test_a_redis_of_another_cluster_is_refused(plant):
    redis = plant.cluster.redis()
    ours = redis.hget("schedrun:meta", "cluster")
    builder = plant.builder(plant.job, name="astray").wait_ready()
    try:
        redis.hset("schedrun:meta", "cluster", "another")
        assert builder.wait(20) == 78 and "belongs to the Kafka cluster" in builder.log()
        checked = subprocess.run(
            [BUILD / "schedrun-builder", *plant.flags(), "-s", f"builder.command={plant.job}", "-s",
             f"builder.logs={plant.directory}/builds", "--check"], capture_output=True, text=True, timeout=60)
        assert checked.returncode == 78 and "belongs to the Kafka cluster" in checked.stderr
    finally:
        redis.hset("schedrun:meta", "cluster", ours)


@pytest.mark.parametrize("settings, says", [
    ({"builder.command": "sh -c true"}, "from the root on"),
    ({"builder.command": "/no/such/program"}, "No such file"),
    ({"builder.logs": "/no/such/folder"}, "builder.logs"),
])
def test_settings_that_make_no_sense(plant, settings, says):
    builder = plant.builder(settings.pop("builder.command", plant.job), name="refused",
                            **{key.replace(".", "__"): value for key, value in settings.items()})
    assert builder.wait(20) == 78 and says in builder.log()
