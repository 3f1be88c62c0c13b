"""What a build system reports: commit, run, finish, run again; and failures."""

import concurrent.futures
import json
import uuid

import catalogues
import pytest
from catalogues import dataset, transaction
from programs import wait_for

NAMESPACE = uuid.UUID("fe988db1-2db0-579e-8f7f-872f9f1084bd")
UNKNOWN_BUILD = "ri.foundry.main.build.00000000-0000-4000-8000-000000000000"


def uuid5(*parts):
    return str(uuid.uuid5(NAMESPACE, "\n".join(parts)))


def build_catalogue():
    """raw -> clean -> report, a twin job, a pinned input, a feature branch."""
    datasets = {
        dataset("raw"): catalogues.stored("raw-1"),
        dataset("clean"): catalogues.stored(None),
        dataset("report"): catalogues.stored(None),
        dataset("report-log"): catalogues.stored(None),
        dataset("rates"): catalogues.stored("rates-1", branch="stable"),
        dataset("lonely"): {"project": catalogues.PROJECT},
    }
    specs = [
        catalogues.job_spec("clean", ["raw"]),
        {"rid": "ri.foundry.main.jobspec.report", "branch": "master", "logic": "r1",
         "outputs": [dataset("report"), dataset("report-log")],
         "inputs": [dataset("clean"), {"rid": dataset("rates"), "branch": "stable"},
                    {"rid": dataset("clean"), "branch": "master"}]},
    ]
    upstream = {"type": "upstream", "targetRids": [dataset("report")]}
    schedules = [
        catalogues.schedule("report", ["report"], target=upstream),
        catalogues.schedule("feature", ["clean"], branchName="feature",
                            fallbackBranches=["master"]),
        catalogues.schedule("often", ["clean"], forceBuild=True),
    ]
    return {"projects": {catalogues.PROJECT: {}}, "users": catalogues.users(),
            "datasets": datasets, "jobSpecs": specs, "schedules": schedules}


@pytest.fixture(scope="module")
def shop(fresh_system):
    """One worker and one adapter for the whole file."""
    fresh_system.delete_topics()
    fresh_system.init()
    fresh_system.apply(build_catalogue())
    fresh_system.worker()
    fresh_system.folder()
    for daemon in fresh_system.daemons:
        daemon.wait_ready()
    return fresh_system


def submit(system, name):
    """The run's result."""
    done = system.run("submit", catalogues.schedule_rid(name), "--wait", "30s")
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout.splitlines()[-1])["result"]


def branches(system, name):
    stored = system.cluster.redis().hget("schedrun:h", dataset(name))
    return json.loads(stored) if stored else None


def wait_folded(system, build):
    key = b"schedrun:b:" + uuid.UUID(build.rsplit(".", 1)[1]).bytes
    wait_for("the build's event in the run view",
             lambda: system.cluster.redis().hexists(key, "e"), 20)
    return key


def new_transaction(build, key, output):
    """What docs/keyspace.md, section 4, makes of a job's output, computed here anew."""
    job = "ri.foundry.main.job." + uuid5("job", build, key)
    return "ri.foundry.main.transaction." + uuid5("transaction", job, output)


def test_commit_run_finish_and_run_again(shop):
    shop.must("dataset", "commit", dataset("raw"), "--branch", "master",
              "--transaction", transaction("raw-2"))
    result = submit(shop, "report")
    assert result["type"] == "submitted"
    build = result["buildRid"]
    key = wait_folded(shop, build)
    said = json.loads(shop.must("build", "finish", build))
    assert said == {"buildRid": build, "state": "SUCCEEDED", "outputs": 3, "note": None}
    clean = new_transaction(build, dataset("clean"), dataset("clean"))
    assert branches(shop, "clean") == {"master": {
        "head": clean,
        "built": {"logic": "v1", "inputs": {dataset("raw"): transaction("raw-2")}}}}
    for name in ("report", "report-log"):
        assert branches(shop, name) == {"master": {
            "head": new_transaction(build, dataset("report"), dataset(name)),
            "built": {"logic": "r1", "inputs": {
                dataset("clean"): clean, f"{dataset('clean')}@master": clean,
                f"{dataset('rates')}@stable": transaction("rates-1")}}}}
    assert shop.cluster.redis().hget(key, "s") == b"SUCCEEDED"
    assert submit(shop, "report") == {"type": "ignored"}
    shop.must("dataset", "commit", dataset("raw"), "--branch", "master")
    assert submit(shop, "report")["type"] == "submitted"


def test_a_new_branch_has_the_fallback_as_its_parent(shop):
    build = submit(shop, "feature")["buildRid"]
    wait_folded(shop, build)
    shop.must("build", "finish", build)
    made = branches(shop, "clean")["feature"]
    assert made["parent"] == "master"
    assert made["head"] == new_transaction(build, dataset("clean"), dataset("clean"))
    assert submit(shop, "feature") == {"type": "ignored"}


def test_finished_stays_finished_and_failed_may_still_finish(shop):
    build = submit(shop, "often")["buildRid"]
    key = wait_folded(shop, build)
    before = branches(shop, "clean")
    assert json.loads(shop.must("build", "fail", build))["state"] == "FAILED"
    assert branches(shop, "clean") == before
    assert shop.cluster.redis().hget(key, "s") == b"FAILED"
    assert json.loads(shop.must("build", "fail", build))["note"] == "already so"
    shop.must("build", "finish", build)
    after = branches(shop, "clean")
    assert after["master"]["head"] == new_transaction(build, dataset("clean"), dataset("clean"))
    shop.must("dataset", "commit", dataset("clean"), "--branch", "master",
              "--transaction", transaction("by-hand"))
    assert json.loads(shop.must("build", "finish", build))["note"] == "already finished"
    assert branches(shop, "clean")["master"]["head"] == transaction("by-hand")
    refused = shop.run("build", "fail", build)
    assert refused.returncode == 1 and "has ended, SUCCEEDED, and stays so" in refused.stderr
    assert shop.cluster.redis().hget(key, "s") == b"SUCCEEDED"


def test_commits_at_once_all_count(shop):
    def commit(i):
        return shop.must("dataset", "commit", dataset("lonely"), "--branch", f"b{i}",
                         "--transaction", transaction(f"t{i}"), "--parent", "b0")
    shop.must("dataset", "commit", dataset("lonely"), "--branch", "b0")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(commit, range(1, 25)))
    made = branches(shop, "lonely")
    assert len(made) == 25
    assert all(made[f"b{i}"] == {"head": transaction(f"t{i}"), "parent": "b0"}
               for i in range(1, 25))


@pytest.mark.parametrize("arguments, code, says", [
    (["dataset", "commit", dataset("nowhere"), "--branch", "master"], 3, "not found"),
    (["dataset", "commit", "nonsense", "--branch", "master"], 2, "not the RID"),
    (["dataset", "commit", dataset("raw"), "--branch", "a\tb"], 2, "--branch"),
    (["dataset", "commit", dataset("raw"), "--branch", "b", "--transaction", "t"], 2, "RID"),
    (["dataset", "commit", dataset("raw"), "--branch", "own", "--parent", "own"], 4, "loop"),
    (["dataset", "commit", dataset("raw"), "--branch", "master", "--parent", "x"], 4, "parent"),
    (["dataset", "commit", dataset("raw")], 2, "--branch"),
    (["build", "finish", UNKNOWN_BUILD], 3, "folds builds"),
    (["build", "fail", UNKNOWN_BUILD], 3, "folds builds"),
    (["build", "finish", dataset("raw")], 2, "not the RID of a build"),
])
def test_what_cannot_be_reported(shop, arguments, code, says):
    before = branches(shop, "raw")
    done = shop.run(*arguments)
    assert done.returncode == code and says in done.stderr, done.stderr
    assert branches(shop, "raw") == before


def test_a_spoilt_event_changes_nothing(shop):
    build = submit(shop, "often")["buildRid"]
    key = wait_folded(shop, build)
    event = shop.cluster.redis().hget(key, "e")
    before = branches(shop, "clean")
    for spoilt in (b"", event[:40], event + b"x", event[:5] + b"\xff" * 30, b"\0\0\0\0\1" + event[5:],
                   b"\0\0\0\3\xe7" + event[5:]):
        shop.cluster.redis().hset(key, "e", spoilt)
        done = shop.run("build", "finish", build)
        assert done.returncode == 4 and "build event" in done.stderr, done.stderr
    assert branches(shop, "clean") == before


def test_an_output_that_the_catalogue_lost_is_named(shop):
    build = submit(shop, "report")["buildRid"]
    wait_folded(shop, build)
    smaller = build_catalogue()
    del smaller["datasets"][dataset("report-log")]
    for stored in smaller["datasets"].values():
        stored.pop("branches", None)
    path = shop.directory / "smaller.json"
    path.write_text(json.dumps({"datasets": smaller["datasets"]}))
    shop.must("apply", "--prune", str(path))
    done = shop.run("build", "finish", build)
    assert done.returncode == 0 and dataset("report-log") in done.stderr
    assert branches(shop, "report-log") is None
    assert branches(shop, "report")["master"]["head"] == \
        new_transaction(build, dataset("report"), dataset("report"))
