"""`apply` loads a catalogue whole or not at all; `export` gives it back."""

import concurrent.futures
import copy
import itertools
import json
import re
import socket
import subprocess
import threading

import catalogues
import checker
import programs
import pytest
from catalogues import OWNER, PROJECT, dataset, schedule_rid, transaction, version_rid
from load import Load, request
from redis_proxy import Gate, RedisProxy

NUMBERS = itertools.count(1)


class Store:
    """A keyspace of one test's own: its prefix is prepared as `init` would."""

    def __init__(self, servers, directory):
        self.prefix = f"t{next(NUMBERS)}:"
        self.redis = servers.redis()
        self.url = servers.redis_url
        self.directory = directory
        self.redis.hset(self.prefix + "meta", mapping={
            "format": 1, "cluster": "c", "topic": "t", "group": "g", "created": 1,
            "claims": "", "shards": 1024})

    def key(self, name):
        return self.prefix + name

    def start(self, *arguments, url=None):
        command = [str(programs.BUILD / "schedrun"), "--redis", url or self.url,
                   "-s", f"redis.prefix={self.prefix}", *arguments]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def run(self, *arguments, stdin=None, url=None):
        process = self.start(*arguments, url=url)
        process.out, process.err = process.communicate(stdin, timeout=60)
        return process

    def file(self, document, name="catalogue.json"):
        path = self.directory / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return str(path)

    def apply(self, document, *flags):
        """Counts by what they are of."""
        done = self.run("apply", self.file(document), *flags)
        assert done.returncode == 0, done.err
        rows = [json.loads(line) for line in done.out.splitlines()]
        return {row.pop("what"): row for row in rows}

    def refuses(self, document, *flags):
        before = self.dump()
        done = self.run("apply", self.file(document), *flags)
        assert done.returncode == 4, (done.returncode, done.err)
        assert "nothing was applied" in done.err
        assert self.dump() == before
        return done.err

    def export(self):
        done = self.run("export")
        assert done.returncode == 0, done.err
        return done.out

    def dump(self):
        """Everything under the prefix but what was only begun."""
        return {key: self.redis.dump(key) for key in self.redis.scan_iter(self.prefix + "*")
                if not key.endswith(b"n:lock") and key != self.key("n").encode()
                and self.redis.ttl(key) < 0}

    def branches(self, name):
        return json.loads(self.redis.hget(self.key("h"), dataset(name)))


@pytest.fixture
def store(servers, tmp_path):
    return Store(servers, tmp_path)


def small():
    """Two datasets, a spec with two outputs, a schedule of two versions."""
    return {
        "projects": {PROJECT: {"references": [dataset("raw")]}, catalogues.OTHER_PROJECT: {}},
        "users": catalogues.users(),
        "datasets": {dataset("raw"): catalogues.stored("raw-1"),
                     dataset("out"): catalogues.stored("out-1", ("v1", {"raw": "raw-1"})),
                     dataset("log"): {"project": PROJECT, "trashed": True}},
        "jobSpecs": [{"rid": "ri.foundry.main.jobspec.1", "branch": "master", "logic": "v1",
                      "outputs": [dataset("out"), dataset("log")],
                      "inputs": [dataset("raw"), {"rid": dataset("raw"), "branch": "b"}],
                      "staleness": "always"}],
        "limits": {"maxJobs": 500, "maxRetries": 2},
        "schedules": [{"rid": schedule_rid("s"), "displayName": "Täglich", "description": "a\nb",
                       "versions": [catalogues.version("s", ["out"]), dict(
                           catalogues.version("s", ["raw"]), rid=version_rid("s2"))]}],
    }


def test_apply_export_apply(store, servers, tmp_path):
    counts = store.apply(small())
    assert counts["datasets"] == {"added": 3, "changed": 0, "removed": 0, "same": 0}
    assert counts["schedules"]["added"] == 1
    exported = store.export()
    again = store.apply(exported)
    assert all(c["added"] == c["changed"] == c["removed"] == 0 for c in again.values())
    assert store.export() == exported
    other = Store(servers, tmp_path)
    other.apply(exported)
    assert other.export() == exported
    document = json.loads(exported)
    assert document["schedules"][0]["displayName"] == "Täglich"
    assert document["datasets"][dataset("log")] == {"project": PROJECT, "trashed": True}
    assert document["jobSpecs"] == small()["jobSpecs"] or document["jobSpecs"][0]["outputs"] == [
        dataset("log"), dataset("out")]
    assert document["limits"] == small()["limits"]


def at(document, *path):
    for step in path[:-1]:
        document = document[step]
    return document, path[-1]


def put(value, *path):
    def change(document):
        node, last = at(document, *path)
        node[last] = value
    return change


D = f'$.datasets["{dataset("raw")}"]'
VERSION = "$.schedules[0].versions[0]"
TRIGGER = ("schedules", 0, "versions", 0, "trigger")
TIME = {"type": "time", "cronExpression": "0 6 * * *", "timeZone": "Europe/Berlin"}
FAULTS = {
    "unknown key": (put(1, "dataset"), "$"),
    "wrong type": (put([], "datasets"), "$.datasets"),
    "no project": (put({}, "datasets", dataset("raw")), D),
    "bad rid": (put({"project": PROJECT}, "datasets", "nonsense"), "$.datasets"),
    "bad head": (put("x", "datasets", dataset("raw"), "branches", "master", "head"), "head"),
    "parents in a loop": (put({"a": {"parent": "b"}, "b": {"parent": "a"}}, "datasets",
                              dataset("raw"), "branches"), "loop"),
    "bad role": (put("boss", "users", OWNER, "roles", PROJECT), "$.users"),
    "negative limit": (put(-1, "limits", "maxJobs"), "$.limits.maxJobs"),
    "no outputs": (put([], "jobSpecs", 0, "outputs"), "$.jobSpecs[0]"),
    "an output twice": (put([dataset("out")] * 2, "jobSpecs", 0, "outputs"), "$.jobSpecs[0]"),
    "bad staleness": (put("often", "jobSpecs", 0, "staleness"), "$.jobSpecs[0].staleness"),
    "no versions": (put([], "schedules", 0, "versions"), "$.schedules[0].versions"),
    "bad owner": (put("ann", "schedules", 0, "versions", 1, "createdBy"),
                  "$.schedules[0].versions[1]"),
    "version of another": (put(schedule_rid("x"), "schedules", 0, "versions", 0, "scheduleRid"),
                           "$.schedules[0].versions[0]"),
    "a version's typing error": (put(True, "schedules", 0, "versions", 0, "action", "force"),
                                 "$.schedules[0].versions[0].action"),
    "paused in a version": (put(True, "schedules", 0, "versions", 0, "paused"),
                            "$.schedules[0].versions[0]"),
    "a version twice": (put(version_rid("s"), "schedules", 0, "versions", 1, "rid"),
                        "$.schedules[0]"),
    "no time": (put("yesterday", "schedules", 0, "versions", 0, "createdTime"),
                "$.schedules[0].versions[0].createdTime"),
    "no day": (put("2026-02-30T00:00:00Z", "schedules", 0, "versions", 1, "createdTime"),
               "$.schedules[0].versions[1].createdTime"),
    "a user who is none": (put({}, "users", "somebody"), "$.users.somebody"),
    "a user in capitals": (put({}, "users", OWNER.upper()), f'$.users["{OWNER.upper()}"]'),
    "no cron": (put({"type": "time", "cronExpression": "daily", "timeZone": "UTC"}, "schedules", 0,
                    "versions", 0, "trigger"),
                "$.schedules[0].versions[0].trigger.cronExpression"),
    "no hour": (put(TIME | {"cronExpression": "0 24 * * *"}, *TRIGGER),
                f'{VERSION}.trigger.cronExpression: hour: "24" is none of 0 to 23'),
    "no cron at all": (put({"type": "time", "timeZone": "UTC"}, *TRIGGER), f"{VERSION}.trigger.cronExpression"),
    "no such zone": (put(TIME | {"timeZone": "Mars/Phobos"}, *TRIGGER),
                     f"{VERSION}.trigger.timeZone: no time zone Mars/Phobos"),
    "a zone's way out of its folder": (put(TIME | {"timeZone": "../../etc/passwd"}, *TRIGGER),
                                       f"{VERSION}.trigger.timeZone"),
    "no zone": (put({"type": "or", "triggers": [TIME, {"type": "time", "cronExpression": "0 6 * * *"}]}, *TRIGGER),
                f"{VERSION}.trigger.triggers[1].timeZone"),
    "a dataset as a version": (put(dataset("v"), "schedules", 0, "versions", 0, "rid"),
                               f"{VERSION}.rid: \"{dataset('v')}\" is no RID of a schedule-version, as "
                               "ri.scheduler.main.schedule-version.NAME"),
    "another service's version": (put("ri.x.main.schedule-version.v", "schedules", 0, "versions", 0, "rid"),
                                  f"{VERSION}.rid"),
    "a version as a dataset": (put({"project": PROJECT}, "datasets", version_rid("s")),
                               f'$.datasets["{version_rid("s")}"]: "{version_rid("s")}" is no RID of a dataset'),
    "a schedule as a target": (put([schedule_rid("s")], "schedules", 0, "versions", 0, "action", "target", "targetRids"),
                               f"{VERSION}.action.target.targetRids[0]"),
    "a dataset as a project": (put(dataset("raw"), "datasets", dataset("raw"), "project"), f"{D}.project"),
    "a dataset as a head": (put(dataset("raw"), "datasets", dataset("raw"), "branches", "master", "head"),
                            f"{D}.branches.master.head"),
    "a dataset as a spec": (put(dataset("spec"), "jobSpecs", 0, "rid"), "$.jobSpecs[0].rid"),
    "a role on a dataset": (put("owner", "users", OWNER, "roles", dataset("raw")), f"$.users"),
    "a dataset as a project's name": (put({}, "projects", dataset("raw")), f'$.projects["{dataset("raw")}"]'),
    "a dataset's schedule": (put({"type": "scheduleFailed", "scheduleRid": dataset("raw")}, *TRIGGER),
                             f"{VERSION}.trigger.scheduleRid: \"{dataset('raw')}\" is no RID of a schedule"),
    "a dataset as a table": (put({"type": "tableUpdated", "tableRid": dataset("raw"), "branchName": "b"}, *TRIGGER),
                             f"{VERSION}.trigger.tableRid: \"{dataset('raw')}\" is the RID of a dataset"),
    "huge number": (put(2147483648, "limits", "maxJobs"), "$.limits.maxJobs"),
    "a fraction": (put(1.5, "limits", "maxJobs"), "$.limits.maxJobs"),
    "long text": (put("x" * 201, "jobSpecs", 0, "logic"), "$.jobSpecs[0].logic"),
    "control character": (put("a\tb", "jobSpecs", 0, "logic"), "$.jobSpecs[0].logic"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_named_with_its_path(store, what):
    change, says = FAULTS[what]
    document = small()
    change(document)
    assert says in store.refuses(document)


def test_what_is_no_kind_of_ours_is_left_to_the_file(store):
    """Tables and media sets may be built of and to, as in the platform."""
    document = small()
    table, media = "ri.tables.main.table.t", "ri.mio.main.media-set.m"
    document["datasets"][table] = {"project": "ri.x.main.space.a"}
    document["projects"] = {"ri.x.main.space.a": {"references": [table]}}
    document["jobSpecs"][0]["inputs"] = [table]
    document["schedules"][0]["versions"][0]["trigger"] = {"type": "or", "triggers": [
        TIME, {"type": "mediaSetUpdated", "mediaSetRid": media, "branchName": "master"}]}
    store.apply(document)


def test_a_time_that_never_comes_is_noted(store):
    """The API takes it; each that comes once in decades is none."""
    document = small()
    for cron, said in (("0 0 31 2 *", True), ("0 0 30,31 2 *", True), ("0 0 31 4,6,9,11 *", True),
                       ("0 0 29 2 *", False), ("0 0 31 2 1", False), ("0 0 L 2 *", False), ("0 0 * 2 1#5", False)):
        document["schedules"][0]["versions"][0]["trigger"] = TIME | {"cronExpression": cron}
        done = store.run("apply", "--dry-run", store.file(document, "never.json"))
        assert done.returncode == 0, done
        assert ("$.schedules[0].versions[0].trigger.cronExpression: is never due" in done.err) == said, (cron, done.err)


@pytest.mark.parametrize("trigger, says", [
    ({"type": "dataSetUpdated"}, '$.type: is none of the values allowed'),
    ({"type": "or", "triggers": [TIME, {"type": "newLogic", "branchName": "master"}]},
     '$.triggers[1]: "datasetRid" is missing'),
    ({"type": "and", "triggers": []}, "that is empty"),
    ([], "must be of type object"),
])
def test_a_trigger_that_fires_nothing_is_noted(store, trigger, says):
    """The API refuses it; in a file it was always let in."""
    document = small()
    document["schedules"][0]["versions"][0]["trigger"] = trigger
    done = store.run("apply", store.file(document, "idle.json"))
    assert done.returncode == 0, done
    assert "$.schedules[0].versions[0].trigger: nothing fires by" in done.err and says in done.err, done
    document["schedules"][0]["versions"][0]["trigger"] = TIME
    assert "nothing fires" not in store.run("apply", "--dry-run", store.file(document, "time.json")).err


def test_without_zones_a_zone_is_a_note(store, tmp_path, monkeypatch):
    """A container may lack tzdata, where who fires has it."""
    document = small()
    document["schedules"][0]["versions"][0]["trigger"] = TIME
    monkeypatch.setenv("TZDIR", str(tmp_path / "none"))
    done = store.run("apply", store.file(document, "zones.json"))
    assert done.returncode == 0 and "install tzdata" in done.err, done


def test_all_faults_are_named_at_once(store):
    store.apply(small())
    document = small()
    for change, _ in (FAULTS["bad role"], FAULTS["no outputs"], FAULTS["bad owner"],
                      FAULTS["negative limit"]):
        change(document)
    said = store.refuses(document)
    for path in ("$.users", "$.jobSpecs[0]", "$.schedules[0].versions[1]", "$.limits"):
        assert path in said


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"datasets":{},"datasets":{}}',
                                  '{"limits":{"maxJobs":1e3}}', "{}{}", '{"a":"\\ud800"}',
                                  "[" * 5000])
def test_what_is_no_document(store, text):
    before = store.dump()
    done = store.run("apply", "-", stdin=text)
    assert done.returncode == 4 and store.dump() == before
    assert len(done.err.splitlines()) <= 3


def test_contradictions_to_what_is_stored(store):
    """A second spec for an output, and versions that changed: all named."""
    store.apply(small())
    document = {"jobSpecs": [], "schedules": copy.deepcopy(small()["schedules"])}
    for i, output in enumerate(("raw", "out")):
        document["jobSpecs"].append({"rid": f"ri.foundry.main.jobspec.n{i}", "branch": "master",
                                     "outputs": [dataset(output)], "inputs": [], "logic": "x"})
    for version in document["schedules"][0]["versions"]:
        version["action"]["forceBuild"] = True
    said = store.refuses(document)
    for path in ("$.jobSpecs[1]", "$.schedules[0].versions[0]", "$.schedules[0].versions[1]"):
        assert path in said, said
    assert "$.jobSpecs[0]" not in said


def test_a_spec_may_move_its_outputs(store):
    store.apply(small())
    spec = dict(small()["jobSpecs"][0], outputs=[dataset("out")])
    new = dict(spec, rid="ri.foundry.main.jobspec.2", outputs=[dataset("log")])
    store.apply({"jobSpecs": [new, spec]})
    assert [s["rid"] for s in json.loads(store.export())["jobSpecs"]] == [new["rid"], spec["rid"]]


def is_publish(command):
    return command[0] == b"EVALSHA" and command[2] != b"1" and command[3].endswith(b"n:lock")


def held_apply(store, document, matches=is_publish):
    """An apply that a proxy holds at a command; (process, gate, proxy)."""
    proxy = RedisProxy(store.redis.connection_pool.connection_kwargs["port"])
    gate = Gate(matches)
    proxy.hook = gate
    process = store.start("apply", store.file(document, "held.json"), url=proxy.url)
    gate.wait()
    return process, gate, proxy


@pytest.mark.parametrize("where", ["publish", "structure"])
def test_killed_before_publishing_nothing_has_happened(store, where):
    store.apply(small())
    before, exported = store.dump(), store.export()
    changed = small()
    changed["datasets"][dataset("new")] = catalogues.stored("new-1")
    changed["schedules"][0]["paused"] = True
    matches = is_publish if where == "publish" else lambda c: c[0] == b"HSET"
    process, gate, proxy = held_apply(store, changed, matches)
    process.kill()
    process.wait()
    proxy.close()
    gate.open()
    assert store.dump() == before and store.export() == exported
    for key in store.redis.scan_iter(store.prefix + "*"):
        if key not in before and key != store.key("n").encode():
            assert 0 < store.redis.ttl(key) <= 3600, key
    # Who comes after it is told whose lock it is, when it lapses, and what to do.
    done = store.run("apply", str(store.file(changed, "after.json")), "--timeout", "500ms")
    told = re.search(r"another apply is under way: (\S+), process (\d+), since (\S+Z) has \S+n:lock for (\d+\.\d) s from now, .*"
                     r"--timeout 35s", done.err)
    assert done.returncode == 5 and told, done.err
    assert told[1] == socket.gethostname() and int(told[2]) == process.pid and 0 < float(told[4]) <= 30
    store.redis.pexpire(store.key("n:lock"), 300)  # as 30 s do
    store.apply(changed)
    assert dataset("new") in store.export()
    assert len(store.redis.get(store.key("e"))) == 36


def test_applies_at_once_follow_each_other(store):
    def one(i):
        store.file({"datasets": {dataset(f"p{i}"): catalogues.stored(f"p{i}")},
                    "schedules": [catalogues.schedule(f"p{i}", [f"p{i}"])]}, f"p{i}.json")
        return store.run("apply", str(store.directory / f"p{i}.json"))
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert [p.returncode for p in pool.map(one, range(12))] == [0] * 12
    document = json.loads(store.export())
    assert len(document["datasets"]) == len(document["schedules"]) == 12
    assert not store.redis.exists(store.key("n:lock"))


def test_an_apply_that_lost_its_lock_publishes_nothing(store):
    store.apply(small())
    process, gate, _ = held_apply(store, {"datasets": {dataset("late"): catalogues.stored("l")}})
    store.redis.delete(store.key("n:lock"))
    store.apply({"datasets": {dataset("early"): catalogues.stored("e")}})
    exported = store.export()
    gate.open()
    assert process.wait(20) == 5 and "lock was lost" in process.stderr.read()
    assert store.export() == exported


def test_commits_in_between_are_not_lost(store):
    """Neither a commit nor a pause, whatever the file changes at the same time."""
    store.apply(small())
    document = {"datasets": {dataset("raw"): catalogues.stored("raw-file"),
                             dataset("out"): {"project": catalogues.OTHER_PROJECT}},
                "schedules": [{"rid": schedule_rid("s"), "displayName": "new",
                               "versions": small()["schedules"][0]["versions"]}]}
    process, gate, proxy = held_apply(store, document)
    for name in ("raw", "out"):
        done = store.run("dataset", "commit", dataset(name), "--branch", "master",
                         "--transaction", transaction(f"{name}-commit"))
        assert done.returncode == 0, done.err
    assert store.run("schedule", "pause", schedule_rid("s")).returncode == 0
    gate.open()
    assert process.wait(20) == 0, process.stderr.read()
    assert sum(map(is_publish, proxy.commands)) == 2
    assert store.branches("raw")["master"]["head"] == transaction("raw-commit")
    assert store.branches("out")["master"]["head"] == transaction("out-commit")
    exported = json.loads(store.export())
    assert exported["datasets"][dataset("out")]["project"] == catalogues.OTHER_PROJECT
    assert exported["schedules"][0]["paused"] and exported["schedules"][0]["displayName"] == "new"


def test_a_commit_and_a_new_generation_do_not_mix(store):
    """A commit that was read on the old catalogue is made again on the new one."""
    store.apply(small())
    proxy = RedisProxy(store.redis.connection_pool.connection_kwargs["port"])
    gate = Gate(lambda c: c[0] == b"EVALSHA")
    proxy.hook = gate
    process = store.start("dataset", "commit", dataset("out"), "--branch", "b", url=proxy.url)
    gate.wait()
    smaller = small()
    del smaller["datasets"][dataset("out")]
    store.apply(smaller, "--prune")
    gate.open()
    assert process.wait(20) == 3 and "not found" in process.stderr.read()
    assert not store.redis.hexists(store.key("h"), dataset("out"))


def test_prune_removes_what_the_sections_do_not_name(store):
    store.apply(small())
    store.apply({"schedules": [catalogues.schedule("other", ["raw"])]})
    smaller = {"datasets": {dataset("raw"): {"project": PROJECT}}, "jobSpecs": [], "users": {}}
    counts = store.apply(smaller, "--prune")
    assert counts["datasets"]["removed"] == 2 and counts["branches of datasets"]["removed"] == 2
    assert counts["job specs"]["removed"] == 2 and counts["users and roles"]["removed"] == 6
    document = json.loads(store.export())
    assert list(document["datasets"]) == [dataset("raw")]
    assert store.branches("raw")["master"]["head"] == transaction("raw-1")
    assert len(document["schedules"]) == 2 and document["limits"] == small()["limits"]
    assert document["projects"].keys() == small()["projects"].keys()
    counts = store.apply({"schedules": [catalogues.schedule("other", ["raw"])]}, "--prune")
    assert counts["schedules"] == {"added": 0, "changed": 0, "removed": 1, "same": 1}
    assert store.redis.hget(store.key("s"), schedule_rid("s")).startswith(b"-d")
    assert [s["rid"] for s in json.loads(store.export())["schedules"]] == [schedule_rid("other")]
    revived = store.apply({"schedules": small()["schedules"]})
    assert revived["schedules"]["changed"] == 1
    assert len(json.loads(store.export())["schedules"]) == 2


def test_a_dry_run_writes_nothing(store):
    store.apply(small())
    proxy = RedisProxy(store.redis.connection_pool.connection_kwargs["port"])
    changed = small()
    changed["datasets"][dataset("new")] = catalogues.stored("new-1")
    before = store.dump()
    done = store.run("apply", store.file(changed), "--dry-run", url=proxy.url)
    assert done.returncode == 0 and "nothing was applied" in done.err
    assert json.loads(done.out.splitlines()[0])["added"] == 1
    assert store.dump() == before
    writes = {b"SET", b"HSET", b"EVALSHA", b"INCR", b"DEL", b"UNLINK", b"RPUSH"}
    assert not [c for c in proxy.commands if c[0].upper() in writes]


def test_schedules_alone_need_no_catalogue_and_copy_none(store):
    counts = store.apply({"schedules": [catalogues.schedule("s", ["out"])]})
    assert counts["schedules"]["added"] == 1
    assert not store.redis.exists(store.key("g"))
    done = store.run("export")
    assert done.returncode == 3 and "schedrun apply" in done.err
    store.apply({"datasets": {dataset("out"): {"project": PROJECT}}})
    generation = store.redis.get(store.key("g"))
    store.apply({"schedules": [catalogues.schedule("s2", ["out"])]})
    assert store.redis.get(store.key("g")) == generation
    assert len(json.loads(store.export())["schedules"]) == 2


@pytest.mark.parametrize("time", [{}, {"createdTime": None}, {"createdTime": 7}], ids=str)
def test_a_version_without_a_time_gets_one_and_keeps_it(store, time):
    document = small()
    for version in document["schedules"][0]["versions"]:
        del version["createdTime"]
        version.update(time)
    store.apply(document)
    first = json.loads(store.export())["schedules"][0]["versions"][0]["createdTime"]
    assert first.startswith("20") and first.endswith("Z")
    assert store.apply(document)["schedules"]["same"] == 1
    assert json.loads(store.export())["schedules"][0]["versions"][0]["createdTime"] == first


def test_going_back_to_an_older_version(store):
    store.apply(small())
    back = copy.deepcopy(small()["schedules"])
    back[0]["versions"] = back[0]["versions"][:1]
    assert store.apply({"schedules": back})["schedules"]["changed"] == 1
    exported = store.export()
    rids = [v["rid"] for v in json.loads(exported)["schedules"][0]["versions"]]
    assert rids == [version_rid("s2"), version_rid("s")]
    assert store.apply(exported)["schedules"]["same"] == 1
    assert store.export() == exported


def test_apply_mends_what_cannot_be_read(store):
    store.apply(small())
    exported = store.export()
    spoilt = [("s", schedule_rid("s"), "??"), ("i", schedule_rid("s"), "{"),
              ("v", version_rid("s"), "[]"), ("h", dataset("raw"), "nonsense"),
              (f"g{store.redis.get(store.key('g')).decode()}:j", dataset("out") + "\nmaster",
               "=" + dataset("gone"))]
    for key, field, value in spoilt:
        store.redis.hset(store.key(key), field, value)
    assert store.run("export").returncode == 4
    store.apply(small())
    assert json.loads(store.export()) == json.loads(exported)


def commit(store, name, *more):
    done = store.run("dataset", "commit", dataset(name), "--branch", "master", *more)
    assert done.returncode == 0, done.err
    return json.loads(done.out)


def test_heads_stay_as_others_have_moved_them(store):
    document = small()
    store.apply(document)
    head = commit(store, "raw")["transactionRid"]
    commit(store, "log", "--branch", "made")
    document["datasets"][dataset("raw")]["branches"]["late"] = {"head": transaction("late")}
    document["datasets"][dataset("log")]["branches"] = {"master": {"head": None}}
    done = store.run("apply", store.file(document))
    assert done.returncode == 0 and "1 branches have moved on" in done.err
    assert store.branches("raw") == {"late": {"head": transaction("late")}, "master": {"head": head}}
    assert set(store.branches("log")) == {"made", "master"}
    exported = store.export()
    store.apply(exported)
    assert store.export() == exported
    commit(store, "log", "--transaction", transaction("log-1"))
    done = store.run("apply", store.file(document), "--heads")
    named = [line for line in done.err.splitlines() if " branch " in line]
    assert done.returncode == 0 and len(named) == 2
    assert dataset("raw") in named[1] and transaction("raw-1") in named[1] and head in named[1]
    assert store.branches("raw")["master"]["head"] == transaction("raw-1")
    assert set(store.branches("log")) == {"made", "master"}
    done = store.run("apply", store.file(document), "--heads", "--prune")
    assert "branch made: removed" in done.err and set(store.branches("log")) == {"master"}


def test_a_branch_without_data_takes_the_files_head(store):
    document = small()
    document["datasets"][dataset("raw")]["branches"] = {"master": {"head": None}}
    store.apply(document)
    document["datasets"][dataset("raw")] = catalogues.stored("raw-1")
    store.apply(document)
    assert store.branches("raw")["master"]["head"] == transaction("raw-1")


def test_parents_of_file_and_store_make_no_loop(store):
    document = small()
    store.apply(document)
    commit(store, "raw", "--branch", "b", "--parent", "a")
    document["datasets"][dataset("raw")]["branches"]["a"] = {"parent": "b"}
    assert "loop" in store.refuses(document)


def test_schedules_stay_as_others_have_changed_them(store):
    """Until the file says something new about them, or --heads is given."""
    document = small()
    document["schedules"][0]["paused"] = False
    store.apply(document)
    rid = schedule_rid("s")
    assert store.run("schedule", "pause", rid).returncode == 0
    done = store.run("apply", store.file(document))
    assert "1 schedules were changed by others" in done.err
    assert store.redis.hget(store.key("s"), rid).startswith(b"p-")
    document["schedules"][0]["displayName"] = "new"
    store.apply(document)
    exported = json.loads(store.export())["schedules"][0]
    assert exported["paused"] and exported["displayName"] == "new"
    done = store.run("apply", store.file(document), "--heads")
    assert f"schedule {rid}: set to --" in done.err
    assert store.redis.hget(store.key("s"), rid).startswith(b"--")
    assert store.run("schedule", "pause", rid).returncode == 0
    del document["schedules"][0]["paused"]
    store.apply(document)
    document["schedules"][0]["paused"] = False
    store.apply(document)
    assert store.redis.hget(store.key("s"), rid).startswith(b"--")
    deleted = b"-d" + version_rid("s2").encode()
    store.redis.hset(store.key("s"), rid, deleted)  # as over HTTP
    store.apply(document)
    assert store.redis.hget(store.key("s"), rid) == deleted
    new = dict(catalogues.version("s", ["raw"]), rid=version_rid("s3"))
    document["schedules"][0]["versions"].append(new)
    store.apply(document)
    assert store.redis.hget(store.key("s"), rid) == b"--" + version_rid("s3").encode()


NOWHERE = "ri.foundry.main.dataset.nowhere"
VERSION = ("schedules", 0, "versions", 0)
REFERENCES = {
    "$.jobSpecs[0].inputs[0]": put([NOWHERE], "jobSpecs", 0, "inputs"),
    "$.jobSpecs[0].inputs[1].rid": put([dataset("orders-raw"), {"rid": NOWHERE, "branch": "b"}],
                                       "jobSpecs", 0, "inputs"),
    "$.jobSpecs[0].outputs[1]": put([dataset("orders-clean"), NOWHERE], "jobSpecs", 0, "outputs"),
    "$.schedules[0].versions[0].action.target.targetRids[0]":
        put([NOWHERE], *VERSION, "action", "target", "targetRids"),
    "$.schedules[0].versions[0].action.target.ignoredRids[0]":
        put({"type": "upstream", "targetRids": [], "ignoredRids": [NOWHERE]}, *VERSION, "action",
            "target"),
    "$.schedules[0].versions[0].scopeMode.projectRids[0]":
        put(["ri.compass.main.folder.nowhere"], *VERSION, "scopeMode", "projectRids"),
    "$.schedules[0].versions[0].trigger.triggers[1].datasetRid":
        put({"type": "or", "triggers": [{"type": "manual"}, {
            "type": "newLogic", "datasetRid": NOWHERE, "branchName": "b"}]}, *VERSION, "trigger"),
    "$.schedules[0].versions[0].trigger.scheduleRid":
        put({"type": "scheduleFailed", "scheduleRid": schedule_rid("nowhere")}, *VERSION, "trigger"),
    f'$.datasets["{dataset("orders-raw")}"].project':
        put("ri.compass.main.folder.nowhere", "datasets", dataset("orders-raw"), "project"),
    '$.projects["ri.compass.main.folder.finance"].references[0]':
        put([NOWHERE], "projects", "ri.compass.main.folder.finance", "references"),
}


def sample():
    return json.loads((programs.ROOT / "deploy/local/catalogue.json").read_text())


@pytest.mark.parametrize("path", REFERENCES)
def test_a_reference_to_what_is_nowhere_is_refused(store, path):
    document = sample()
    REFERENCES[path](document)
    assert f"{path}: " in store.refuses(document)
    assert store.run("apply", store.file(document), "--allow-missing").returncode == 0
    assert store.apply(store.export())["datasets"]["changed"] == 0


def test_references_are_judged_by_file_and_store_together(store):
    """A file's part may name what the store has; a branch may be yet to come."""
    whole = sample()
    for section in ("datasets", "projects", "jobSpecs", "schedules"):
        store.apply({section: whole[section]})
    spec = dict(whole["jobSpecs"][0], inputs=[{"rid": dataset("orders-raw"), "branch": "to-come"}])
    store.apply({"jobSpecs": [spec]})
    pruned = {"datasets": {k: v for k, v in whole["datasets"].items() if "rates" not in k}}
    done = store.run("apply", "--prune", store.file(pruned))
    assert done.returncode == 0 and "sales-report-master still names" in done.err
    assert store.run("apply", store.file(store.export())).returncode == 0
    spec = dict(whole["jobSpecs"][0], inputs=[dataset("rates")], logic="new")
    assert "$.jobSpecs[0].inputs[0]" in store.refuses({"jobSpecs": [spec]})


def test_commit_tells_of_what_it_made(store):
    store.apply(small())
    assert commit(store, "raw")["note"] is None
    assert commit(store, "raw", "--branch", "mastr")["note"] == "branch mastr was made"
    note = commit(store, "raw", "--branch", "feat", "--parent", "nope")["note"]
    assert note == "branch feat was made; the dataset has no branch nope"


def test_a_byte_order_mark_is_skipped(store):
    done = store.run("apply", "-", stdin="\ufeff" + json.dumps(small()))
    assert done.returncode == 0, done.err
    case = {"world": {}, "version": None, "request": {
        "scheduleRid": schedule_rid("s"), "requestId": "r", "createdTime": "2026-11-30T00:00:00Z"}}
    world, version, ask = (store.file("\ufeff" + json.dumps(document), name)
                           for name, document in case.items())
    for arguments, text in ((["--world", world, "--version", version, "--request", ask], None),
                            (["--jsonl"], "\ufeff" + json.dumps(case) + "\n")):
        done = store.run("plan", *arguments, stdin=text)
        assert "scheduleNotFound" in done.out and "value is missing" not in done.err, done.err


@pytest.mark.parametrize("is_done", [True, False], ids=["done", "not done"])
def test_a_lost_answer_is_no_failure(store, is_done):
    """What is told is what has happened: the step is asked for again, and done once."""
    proxy = RedisProxy(store.redis.connection_pool.connection_kwargs["port"])
    lost = []

    def lose(command):
        if is_publish(command) and not lost:
            lost.append(command)
            if is_done:
                store.redis.execute_command(*command)
            raise OSError

    proxy.hook = lose
    done = store.run("apply", store.file(small()), url=proxy.url)
    assert lost and done.returncode == 0, done.err
    assert len(store.redis.lrange(store.key("w:") + schedule_rid("s"), 0, -1)) == 2


def large(n):
    datasets = {dataset("raw"): catalogues.stored("raw-1")}
    datasets.update((dataset(f"m{i:06}"), catalogues.stored(f"m{i}")) for i in range(n))
    return {"projects": {PROJECT: {}}, "users": catalogues.users(), "datasets": datasets,
            "schedules": [catalogues.schedule(f"m{i:06}", [f"m{i:06}"]) for i in range(n)]}


def slowest(store, document, *flags):
    """Applies; the longest that Redis was held by one command, in ms."""
    store.redis.config_set("slowlog-log-slower-than", 10000)
    store.redis.slowlog_reset()
    store.apply(document, *flags)
    return max([entry["duration"] / 1000 for entry in store.redis.slowlog_get(1000)], default=0)


PEAK = 1.5  # times the file, as docs/catalogue.md has it
BASE = 40 << 20  # of any command, and of a window of schedules


def peak_bytes(process):
    """The most memory that a running process has had."""
    with open(f"/proc/{process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def test_a_large_load_holds_redis_for_moments_and_goes_on_where_it_was_killed(store):
    n = 20000
    store.apply(small())
    document = large(n)
    process, gate, proxy = held_apply(
        store, document, lambda c: is_publish(c) and store.redis.hlen(store.key("s")) > n // 4)
    peak = peak_bytes(process)
    process.kill()
    process.wait()
    proxy.close()
    gate.open()
    done = store.redis.hlen(store.key("s"))
    assert 1 < done < n
    assert peak < PEAK * len(json.dumps(document)) + BASE, peak
    assert store.redis.get(store.key("g"))
    store.redis.delete(store.key("n:lock"))  # as 30 s do
    held = slowest(store, document)
    assert held < 500, f"{held} ms"  # 50 on a machine of one's own
    assert store.redis.hlen(store.key("s")) == store.redis.hlen(store.key("v")) - 1 == n + 1
    assert store.redis.hlen(store.key("h")) == n + 2
    counts = store.apply(document)
    assert counts["schedules"]["same"] == n and counts["branches of datasets"]["same"] == n + 1
    again = store.run("apply", store.file(document), "--heads")
    assert again.returncode == 0 and "set to" not in again.err


def test_a_store_that_is_not_prepared(store):
    store.redis.delete(store.key("meta"))
    for arguments in (["apply", store.file(small())], ["export"]):
        done = store.run(*arguments)
        assert done.returncode == 5 and "schedrun init" in done.err
    assert not list(store.redis.scan_iter(store.prefix + "*"))


def test_a_store_without_a_catalogue(store):
    for arguments in (["export"], ["dataset", "commit", dataset("raw"), "--branch", "b"],
                      ["plan", "--schedule", schedule_rid("daily")]):
        done = store.run(*arguments)
        assert done.returncode == 3 and "schedrun apply" in done.err
    assert not store.redis.exists(store.key("h"))


def sides(side):
    """Catalogue `side`: its schedules have versions that only its datasets fit."""
    schedules = [{"rid": schedule_rid(f"s{i}"), "versions": [dict(
        catalogues.version(f"s{i}", [f"{side}{i}"]), rid=version_rid(f"{side}{i}"))]}
        for i in range(20)]
    return {"projects": {PROJECT: {}}, "users": catalogues.users(),
            "datasets": {dataset("raw"): catalogues.stored("raw-1"),
                         **{dataset(f"{side}{i}"): catalogues.stored(None) for i in range(20)}},
            "jobSpecs": [catalogues.job_spec(f"{side}{i}", ["raw"], logic=side)
                         for i in range(20)],
            "schedules": schedules}


def test_a_worker_never_sees_half(system):
    """Under load the catalogue is replaced to and fro: half of one and half of the
    other would be a schedule whose dataset does not exist."""
    system.init()
    system.apply(sides("left"))
    worker = system.worker().wait_ready()
    stop = threading.Event()
    load = Load(system.bootstrap)
    sent = itertools.count()

    def ask():
        while not stop.wait(0.002):
            i = next(sent)
            load.send(request(schedule_rid(f"s{i % 20}"), f"r{i}"))

    def is_in_use(since):
        """Whether something that was asked after the first `since` is planned."""
        return worker.metric('schedrun_runs_total{outcome="submitted",error_name=""}') > since

    asking = threading.Thread(target=ask)
    asking.start()
    paths = []
    for side in ("right", "left"):
        path = system.directory / f"{side}.json"
        path.write_text(json.dumps(sides(side)))
        paths.append(str(path))
    for path in paths * 6:
        system.must("apply", "--prune", path)
        since = next(sent)
        programs.wait_for("the worker to plan with it", lambda: is_in_use(since))
    stop.set()
    asking.join()
    asked = load.flush()
    system.wait_drained()
    verdict = system.judge(asked)
    assert set(verdict.outcomes) == {"submitted"}, verdict.outcomes
    logics = {(e["scheduleVersionRid"].rsplit(".", 1)[1].rstrip("0123456789"), e["jobs"][0]["logic"])
              for e in (checker.decode("build_requested", m.value())
                        for m in checker.read_topic(system.bootstrap, "schedule-builds"))}
    assert logics == {("left", "left"), ("right", "right")}


def test_schedules_and_structure_are_of_one_moment(system):
    """An apply falls exactly between the worker's reads of the two."""
    system.init(partitions=1)
    system.apply(sides("left"))
    proxy = RedisProxy(system.cluster.redis_port)
    system.redis_url, direct = proxy.url, system.redis_url
    system.worker().wait_ready()
    system.redis_url = direct
    gate = Gate(lambda c: c[:2] == [b"HMGET", b"schedrun:s"])
    proxy.hook = gate
    load = Load(system.bootstrap)
    load.send(request(schedule_rid("s1"), "between"))
    asked = load.flush()
    gate.wait()
    path = system.directory / "right.json"
    path.write_text(json.dumps(sides("right")))
    system.must("apply", "--prune", str(path))
    gate.open()
    system.wait_drained()
    assert system.judge(asked).outcomes == {"submitted": 1}
