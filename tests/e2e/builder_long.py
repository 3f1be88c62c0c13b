"""`make builder-long`: a builder that is killed at each command that it sends to Redis for a
build, before it and behind it; a job that prints a gigabyte, and one beside a full disk."""

import itertools
import json
import pathlib
import uuid

import catalogues
import checker
import pytest
from catalogues import dataset, transaction
from programs import wait_for
from redis_proxy import RedisProxy

JOB = """\
#!/bin/sh
cat >/dev/null
echo "$SCHEDRUN_BUILD $SCHEDRUN_OUTPUTS" >>{directory}/ran
case $SCHEDRUN_LOGIC in
gigabyte) head -c 1000000000 /dev/zero | tr '\\0' x ;;
megabyte) head -c 1000000 /dev/zero | tr '\\0' x ;;
esac
"""
KILLS_MOST = 200


def build_catalogue():
    datasets = {dataset("raw"): catalogues.stored("raw-0")}
    specs = [catalogues.job_spec("a", ["raw"]), catalogues.job_spec("b", ["a", "raw"]),
             *(catalogues.job_spec(name, ["raw"], logic=name) for name in ("gigabyte", "megabyte"))]
    schedules = [catalogues.schedule("chain", ["b"], target={"type": "upstream", "targetRids": [dataset("b")]}),
                 *(catalogues.schedule(name, [name]) for name in ("gigabyte", "megabyte"))]
    datasets.update({dataset(name): catalogues.stored(None) for name in ("a", "b", "gigabyte", "megabyte")})
    return {"projects": {catalogues.PROJECT: {}}, "users": catalogues.users(),
            "datasets": datasets, "jobSpecs": specs, "schedules": schedules}


@pytest.fixture(scope="module")
def plant(fresh_system):
    system = fresh_system
    system.delete_topics()
    system.init(partitions=1)
    system.apply(build_catalogue())
    system.worker().wait_ready()
    system.folder().wait_ready()
    system.job = system.directory / "job"
    system.job.write_text(JOB.format(directory=system.directory))
    system.job.chmod(0o755)
    system.groups = itertools.count()
    return system


def start(system, **settings):
    """In a group of its own: nobody waits for the session of one that was killed."""
    n = next(system.groups)
    return system.builder(system.job, name=f"builder-{n}", builder__group=f"group-{n}", **settings)


def submit(system, name):
    done = system.must("submit", catalogues.schedule_rid(name), "--wait", "60s")
    return json.loads(done.splitlines()[-1])["result"]["buildRid"]


def state(system, build):
    return system.cluster.redis().hget(b"schedrun:b:" + uuid.UUID(build.rpartition(".")[2]).bytes, "s")


def branch(system, name):
    return json.loads(system.cluster.redis().hget("schedrun:h", dataset(name)))["master"]


class Killer:
    """Kills the builder at the `n`th command from the one on that names the build."""

    def __init__(self, build, n, before):
        self.name = uuid.UUID(build.rpartition(".")[2]).bytes
        self.left, self.before = n, before
        self.is_armed, self.struck, self.builder = False, None, None

    def __call__(self, command):
        self.is_armed = self.is_armed or any(isinstance(word, bytes) and self.name in word for word in command)
        if not self.is_armed or self.struck is not None:
            return b"-ERR it is dead\r\n" if self.struck is not None else None
        if self.left > 0:
            self.left -= 1
            return None
        self.struck = b" ".join(word for word in command[:1] if isinstance(word, bytes)).decode()
        self.builder.kill()
        return b"-ERR it is dead\r\n" if self.before else None


def told(system):
    return [record.key().decode() for record in checker.read_topic(system.bootstrap, "schedule-events")
            if record.key().startswith(b"ri.foundry.main.build.")]


@pytest.mark.parametrize("before", (True, False))
def test_a_kill_at_every_step(plant, before):
    proxy = RedisProxy(plant.cluster.redis_port)
    builds, struck = [], []
    for n in range(KILLS_MOST):
        head = transaction(f"raw-{before}-{n}")
        plant.must("dataset", "commit", dataset("raw"), "--branch", "master", "--transaction", head)
        builds.append(submit(plant, "chain"))
        killer = Killer(builds[-1], n, before)
        killer.builder = first = start(plant, redis__url=proxy.url)
        proxy.hook = killer
        wait_for("a kill, or the end", lambda: killer.struck or state(plant, builds[-1]) == b"SUCCEEDED"
                 and builds[-1] in told(plant), 60)
        if killer.struck is None:
            first.stop(30)
            break
        proxy.hook = None
        struck.append(killer.struck)
        for lease in plant.cluster.redis().scan_iter("schedrun:o:*"):
            plant.cluster.redis().delete(lease)  # they lapse after 30 s
        heir = start(plant)
        wait_for(f"the heir to finish after {n} {struck[-1]}", lambda: state(plant, builds[-1]) == b"SUCCEEDED", 60)
        wait_for("its event", lambda: builds[-1] in told(plant), 60)
        heir.stop(30)
        made = {name: branch(plant, name) for name in ("a", "b")}
        assert made["a"]["built"]["inputs"] == {dataset("raw"): head}
        assert made["b"]["built"]["inputs"] == {dataset("raw"): head, dataset("a"): made["a"]["head"]}
    print(f"{len(struck)} kills {'before' if before else 'behind'}: {' '.join(struck)}")
    assert 10 < len(struck) < KILLS_MOST
    assert set(told(plant)) >= set(builds)
    ran = (plant.directory / "ran").read_text().split()
    for build in builds:
        assert 2 <= ran.count(build) <= 4  # two jobs, of which each may have begun again


def resident_mb(builder):
    return int(pathlib.Path(f"/proc/{builder.process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


def log_of(system, build):
    return system.directory / "builds" / build.rpartition(".")[2] / "0.log"


def test_a_job_that_prints_a_gigabyte(plant):
    builder = start(plant, builder__logs__max="1M").wait_ready()
    build = submit(plant, "gigabyte")
    wait_for("the job to end", lambda: state(plant, build) == b"SUCCEEDED", 120)
    assert 1_000_000 <= log_of(plant, build).stat().st_size < 1_100_000
    assert resident_mb(builder) < 150
    assert builder.stop(30) == 0


def test_a_full_disk_ends_no_job(plant):
    """What the job prints has no room; that is no reason to call it failed."""
    logs = plant.directory / "small"
    logs.mkdir()
    builder = start(plant, builder__logs=logs, wrapper=(
        "unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o size=64k none {logs} && exec "$0" "$@"'))
    builder.wait_ready()
    build = submit(plant, "megabyte")
    wait_for("the job to end", lambda: state(plant, build) == b"SUCCEEDED", 60)
    inside = pathlib.Path(f"/proc/{builder.process.pid}/root{logs}") / build.rpartition(".")[2] / "0.log"
    assert inside.stat().st_size < 65536
    assert builder.stop(30) == 0
