"""What the worker asks of Redis: in bulk, level by level, and only what plans touch.
A proxy before Redis counts."""

import json

import catalogues
import programs
import pytest
from catalogues import PROJECT, dataset, schedule_rid
from load import Load, request
from redis_proxy import RedisProxy

DEPTH = 6


def chains(n, idle=0):
    """`n` schedules over chains of DEPTH datasets of their own; `idle` more datasets
    that nobody touches."""
    datasets, specs, schedules = {}, [], []
    for i in range(n):
        for level in range(DEPTH):
            name = f"c{i:04}-{level}"
            datasets[dataset(name)] = catalogues.stored(f"{name}-1")
            if level:
                specs.append(catalogues.job_spec(name, [f"c{i:04}-{level - 1}"]))
        schedules.append(catalogues.schedule(f"c{i:04}", [], target={
            "type": "upstream", "targetRids": [dataset(f"c{i:04}-{DEPTH - 1}")]}))
    for i in range(idle):
        datasets[dataset(f"idle{i}")] = catalogues.stored(f"idle{i}-1")
        specs.append(catalogues.job_spec(f"idle{i}", [f"idle{i - 1}"]))
    return {"projects": {PROJECT: {}}, "users": catalogues.users(), "datasets": datasets,
            "jobSpecs": specs, "schedules": schedules}


def reads(proxy):
    """(hash's letter, fields) of each HMGET since the last call."""
    commands, proxy.commands = proxy.commands, []
    return [(c[1].decode().rsplit(":", 1)[1], [f.decode() for f in c[2:]])
            for c in commands if c[0] == b"HMGET" and c[1] != b"schedrun:meta"]


@pytest.fixture
def proxy(servers):
    proxy = RedisProxy(servers.redis_port)
    yield proxy
    proxy.close()


def test_what_is_read_does_not_depend_on_the_catalogues_size(system, proxy):
    """One target in 6 and in 20,000 datasets: the same commands, the same fields."""
    system.init()
    seen = []
    for idle in (0, 20000):
        system.apply(chains(1, idle))
        done = system.must("--redis", proxy.url, "plan", "--schedule", schedule_rid("c0000"))
        assert json.loads(done)["why"]["running"] == DEPTH - 1
        seen.append(reads(proxy))
    assert seen[0] == seen[1]
    named = [field for _, fields in seen[0] for field in fields]
    assert not any("idle" in field for field in named)
    assert len(seen[0]) <= 4 * (DEPTH + 2)


def worker_behind(system, proxy, **settings):
    system.redis_url, direct = proxy.url, system.redis_url
    worker = system.worker(**settings)
    system.redis_url = direct
    return worker


def ask_all(system, n):
    load = Load(system.bootstrap)
    for i in range(n):
        load.send(request(schedule_rid(f"c{i:04}"), f"r{i}"))
    return load.flush()


def test_a_batch_is_read_level_by_level(system, proxy):
    """300 plans over 1,800 datasets: rounds follow the depth, not the requests; each
    field is asked for once."""
    system.init(partitions=1)
    system.apply(chains(300))
    asked = ask_all(system, 300)
    worker = worker_behind(system, proxy).wait_ready()
    system.wait_drained()
    assert system.judge(asked).outcomes == {"submitted": 300}
    batches = worker.metric('schedrun_transactions_total{result="committed"}')
    asks = reads(proxy)
    per_hash = {}
    for letter, fields in asks:
        per_hash.setdefault(letter, []).append(fields)
    for letter, commands in per_hash.items():
        assert len(commands) <= batches * (DEPTH + 2), (letter, len(commands), batches)
    for letter in "dj":  # cached: once for good, however many batches
        fields = [field for command in per_hash[letter] for field in command]
        assert len(fields) == len(set(fields))
    heads = [field for command in per_hash["h"] for field in command]
    assert len(set(heads)) == 300 * DEPTH and len(heads) <= batches * 300 * DEPTH


def test_no_command_has_more_than_4000_fields(system, proxy):
    wide = chains(0)
    wide["datasets"] = {dataset(f"w{i:05}"): catalogues.stored(f"w{i}") for i in range(9001)}
    wide["jobSpecs"] = [catalogues.job_spec("w00000", [f"w{i:05}" for i in range(1, 9001)])]
    wide["schedules"] = [catalogues.schedule("wide", ["w00000"])]
    system.init()
    system.apply(wide)
    done = json.loads(system.must("--redis", proxy.url, "plan", "--schedule",
                                  schedule_rid("wide")))
    assert len(done["build"]["jobs"][0]["inputs"]) == 9000
    sizes = [len(fields) for _, fields in reads(proxy)]
    assert max(sizes) == 4000 and sum(sizes) < 5 * 9001


def test_repeated_batches_read_only_what_may_have_changed(system, proxy):
    """Nothing while nobody changes anything, but for a look each few seconds; after a
    commit of any dataset the heads, and nothing else."""
    system.init(partitions=1)
    system.apply(chains(1, idle=1))
    worker = worker_behind(system, proxy).wait_ready()
    load = Load(system.bootstrap)

    def reads_of_a_batch(i):
        reads(proxy)
        load.send(request(schedule_rid("c0000"), f"again-{i}"))
        load.flush()
        programs.wait_for("the commit", lambda: worker.metric(
            'schedrun_transactions_total{result="committed"}') >= i)
        return reads(proxy)

    assert {letter for letter, _ in reads_of_a_batch(1)} > {"s", "h", "d", "j"}
    again = [reads_of_a_batch(i) for i in range(2, 7)]
    assert [] in again
    assert {letter for asks in again for letter, _ in asks} <= {"s", "h"}
    system.must("dataset", "commit", dataset("idle0"), "--branch", "master")
    last = reads_of_a_batch(7)
    assert {letter for letter, _ in last} == {"s", "h"}
    assert sum(len(fields) for _, fields in last) == 1 + DEPTH
