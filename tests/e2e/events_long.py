"""`make events-long`: many commits while each part is killed; heads and runs are what the events say.

EVENTS=100000 commits, KILLS=36 kills, SEED=1."""

import collections
import json
import os
import random
import time

import catalogues
import checker
from catalogues import dataset, schedule_rid, version_rid
from confluent_kafka import Producer
from programs import wait_for

EVENTS, KILLS, SEED = (int(os.environ.get(name) or default) for name, default in (
    ("EVENTS", 100_000), ("KILLS", 36), ("SEED", 1)))
DATASETS, WATCHED = 400, 20
PAIRS = 12
TOPIC = "schedule-events"
GROUPS = {"schedrun-trigger": TOPIC, "schedrun-worker": "schedule-run-requests",
          "schedrun-builder": "schedule-builds"}


def catalogue():
    """Of the first raw datasets each commit is waited for, and each build that comes of it."""
    datasets = {dataset(f"raw-{i}"): catalogues.stored(None) for i in range(DATASETS)}
    specs, schedules = [], []
    for i in range(WATCHED):
        for kind, trigger in (
                ("made", {"type": "datasetUpdated", "datasetRid": dataset(f"raw-{i}"), "branchName": "master"}),
                ("after", {"type": "scheduleSucceeded", "scheduleRid": schedule_rid(f"made-{i}")})):
            datasets[dataset(f"{kind}-{i}")] = catalogues.stored(None)
            specs.append(catalogues.job_spec(f"{kind}-{i}", [f"raw-{i}"]))
            schedules.append(catalogues.schedule(f"{kind}-{i}", [f"{kind}-{i}"]))
            schedules[-1]["versions"][0]["trigger"] = trigger
    for name in ("left", "right", "both"):
        datasets[dataset(name)] = catalogues.stored(None)
    specs.append(catalogues.job_spec("both", ["left", "right"]))
    schedules.append(catalogues.schedule("both", ["both"]))
    schedules[-1]["versions"][0]["trigger"] = {"type": "and", "triggers": [
        {"type": "datasetUpdated", "datasetRid": dataset(name), "branchName": "master"}
        for name in ("left", "right")]}
    return {"projects": {catalogues.PROJECT: {}}, "users": catalogues.users(),
            "datasets": datasets, "jobSpecs": specs, "schedules": schedules}


class Parts:
    """What runs, and is killed and started anew; a name of its own for each start."""

    def __init__(self, system):
        self.system, self.random, self.starts = system, random.Random(SEED), collections.Counter()
        system.folder().wait_ready()
        self.running = {name: self.start(name) for name in ("trigger-a", "trigger-b", "worker", "builder")}

    def start(self, name):
        self.starts[name] += 1
        own = {"name": f"{name}-{self.starts[name]}", "session__timeout__ms": 6000}
        if name == "worker":
            return self.system.worker(**own)
        if name == "builder":
            return self.system.builder("/bin/true", **own)
        return self.system.trigger(trigger__build__wait="1h", **own)

    def kill(self, name):
        cluster = self.system.cluster
        if name in self.running:
            self.running[name].kill()
            time.sleep(self.random.uniform(0, 1))  # how long it is gone: any time will do
            self.running[name] = self.start(name)
        elif name == "broker":
            cluster.stop_kafka(hard=True)
            cluster.start_kafka()
        else:
            cluster.stop_redis(hard=True)
            cluster.start_redis()


def has_read(system, group):
    try:
        return checker.lag(system.bootstrap, group, GROUPS[group]) <= 0
    except Exception as error:  # the coordinator is away, or reads its log
        print("asked again:", error)
        return False


def is_done(system):
    """No group has anything left, and none has made anything of what another had done meanwhile."""
    def ends():
        return [checker.log_ends(system.bootstrap, topic) for topic in GROUPS.values()]

    try:
        before = ends()
        return all(checker.lag(system.bootstrap, group, topic) <= 0
                   for group, topic in GROUPS.items()) and ends() == before
    except Exception as error:  # the coordinator is away, or reads its log
        print("asked again:", error)
        return False


def commit(system, producer, last, i, chance):
    name = f"raw-{chance.randrange(DATASETS)}"
    last[name] = f"ri.foundry.main.transaction.c-{i}"
    datum = {"datasetRid": dataset(name), "branch": "master", "transactionRid": last[name], "parent": None,
             "time": int(time.time() * 1000)}
    producer.produce(TOPIC, checker.encode("dataset_committed", datum), dataset(name).encode(),
                     on_delivery=lambda error, _: error and system.failed.append(error))
    return name, last[name]


def send_all(system, parts):
    """The commits in order, by each of which the head moved; a kill after each piece."""
    producer = Producer({"bootstrap.servers": system.bootstrap, "enable.idempotence": True, "log_level": 0,
                         "partitioner": "murmur2_random", "message.timeout.ms": 600_000, "linger.ms": 5})
    chance, last, sent = random.Random(SEED), {}, []
    victims = []
    for k in range(KILLS):
        victims += parts.random.sample([*parts.running, "broker", "redis"], 6) if k % 6 == 0 else []
        for i in range(EVENTS * k // KILLS, EVENTS * (k + 1) // KILLS):
            sent.append(commit(system, producer, last, i, chance))
            producer.poll(0)
        parts.kill(victims[k])
    assert producer.flush(600) == 0 and not system.failed
    return last, sent


def expected(system, sent):
    """Schedule and requestId of each run that must be there."""
    wanted = set()
    for name, transaction in sent:
        if int(name.rpartition("-")[2]) < WATCHED:
            made = name.replace("raw", "made")
            cause = f"{dataset(name)}@master, transaction {transaction}"
            wanted.add((schedule_rid(made), checker.uuid5("firing", version_rid(made), cause)))
    told = {}
    for record in checker.read_topic(system.bootstrap, TOPIC):
        if record.key().startswith(b"ri.foundry.main.build."):
            told[record.key().decode()] = checker.decode("build_finished", record.value())["state"]
    for record in checker.read_topic(system.bootstrap, "schedule-builds"):
        build, event = record.key().decode(), checker.decode("build_requested", record.value())
        assert told.pop(build) == "SUCCEEDED", build  # each was told, and ...
        name = event["scheduleRid"].rpartition(".")[2]
        if name.startswith("made-"):
            after = name.replace("made", "after")
            wanted.add((schedule_rid(after), checker.uuid5("firing", version_rid(after), f"{build} SUCCEEDED")))
    assert not told  # ... no other
    return wanted


def test_commits_under_kills_of_everything(fresh_system):
    system, system.failed = fresh_system, []
    system.delete_topics()
    system.init(partitions=4)
    system.apply(catalogue())
    parts = Parts(system)
    began = time.monotonic()
    last, sent = send_all(system, parts)
    print(f"{len(sent)} commits sent, {KILLS} kills, {time.monotonic() - began:.0f} s")
    wait_for("all of it to be done", lambda: is_done(system), 600 + EVENTS // 20, pause=2)
    print(f"done after {time.monotonic() - began:.0f} s")
    stored = {name: system.cluster.redis().hget("schedrun:h", dataset(name)) for name in last}
    heads = {name: json.loads(value)["master"]["head"] for name, value in stored.items()}
    assert heads == last
    runs = collections.Counter()
    for record in checker.read_topic(system.bootstrap, "schedule-run-results"):
        run = checker.decode("schedule_run", record.value())
        runs[run["scheduleRid"], run["requestId"]] += 1
    wanted = expected(system, sent)
    print(f"{len(wanted)} runs of {len(sent)} commits and of builds, {parts.starts}")
    assert not wanted - runs.keys(), "runs that are missing"
    assert not runs.keys() - wanted, "runs that nothing asked for"
    assert set(runs.values()) == {1}, "runs that were done twice"
    assert not checker.read_topic(system.bootstrap, "schedule-run-requests.dlq")


def test_an_and_is_exact_while_redis_lives(fresh_system):
    """Each pair of commits is one run, whatever else is killed; one of the two alone is none."""
    system = fresh_system
    system.stop()
    parts = Parts(system)

    def fired():
        runs = [checker.decode("schedule_run", record.value())
                for record in checker.read_topic(system.bootstrap, "schedule-run-results")]
        return [run["requestId"] for run in runs if run["scheduleRid"] == schedule_rid("both")]

    for n in range(1, PAIRS + 1):
        first, second = parts.random.sample(("left", "right"), 2)
        for _ in range(parts.random.randrange(1, 4)):
            system.must("dataset", "commit", dataset(first), "--branch", "master", "--kafka")
        parts.kill(parts.random.choice([*parts.running, "broker"]))
        # All of them, so that none is left for the next pair.
        wait_for("them to be applied", lambda: has_read(system, "schedrun-trigger"), 120, pause=0.5)
        system.must("dataset", "commit", dataset(second), "--branch", "master", "--kafka", "--timeout", "60s")
        wait_for(f"run {n}", lambda: len(fired()) >= n, 120, pause=1)
        assert len(fired()) == n
    system.wait_drained()
    assert len(set(fired())) == len(fired()) == PAIRS
