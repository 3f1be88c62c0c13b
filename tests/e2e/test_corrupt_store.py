"""A Redis that holds nonsense: each request gets a result that names the entry, or
the worker is not ready and names the key; it never crashes, and goes on when the
entry is mended."""

import json
import time
import uuid

import catalogues
import checker
import programs
import pytest
from catalogues import PROJECT, dataset, schedule_rid, version_rid
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from load import Load, request
from programs import wait_for
from redis_proxy import RedisProxy

MIB = 1024 * 1024
MANY = 200


def owner(i):
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"owner-{i}"))


def many_catalogue(tag="v1"):
    """Schedules `c<i>` that share nothing but `raw`: each may be spoilt alone."""
    datasets = {dataset("raw"): catalogues.stored("raw-1")}
    users, specs, schedules = catalogues.users(), [], []
    for i in range(MANY):
        datasets[dataset(f"c{i}")] = catalogues.stored(None)
        specs.append(catalogues.job_spec(f"c{i}", ["raw"], logic=tag))
        users[owner(i)] = {"roles": {PROJECT: "editor"}}
        scope = {"type": "user"} if i % 2 else None
        schedules.append(catalogues.schedule(f"c{i}", [f"c{i}"], owner=owner(i), scope=scope))
    return {"projects": {PROJECT: {}}, "users": users, "datasets": datasets,
            "jobSpecs": specs, "schedules": schedules, "limits": {"maxJobs": 1000}}


class Store:
    """The keys under the prefix, as who spoils and mends them sees them."""

    def __init__(self, redis):
        self.redis = redis

    def key(self, part):
        """`h`, or `g:d` of the current generation."""
        if not part.startswith("g:"):
            return f"schedrun:{part}"
        return f"schedrun:g{self.redis.get('schedrun:g').decode()}:{part[2:]}"

    def put(self, part, field, value):
        if value is None:
            self.redis.hdel(self.key(part), field)
        else:
            self.redis.hset(self.key(part), field, value)
        self.redis.set("schedrun:e", str(uuid.uuid4()))  # as every writer does


class Results:
    """What the results topic says of each request, read as it comes."""

    def __init__(self, bootstrap):
        self.consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "judge",
                                  "isolation.level": "read_committed",
                                  "enable.auto.commit": False, "log_level": 0})
        partitions = self.consumer.list_topics("schedule-run-results", timeout=20)
        partitions = partitions.topics["schedule-run-results"].partitions
        self.consumer.assign([TopicPartition("schedule-run-results", p, OFFSET_BEGINNING)
                              for p in partitions])
        self.seen = {}

    def of(self, request_id, timeout=30):
        """The one result of a request."""
        deadline = time.monotonic() + timeout
        while request_id not in self.seen:
            assert time.monotonic() < deadline, f"no result of {request_id}"
            message = self.consumer.poll(0.2)
            if message is not None and message.error() is None:
                run = checker.decode("schedule_run", message.value())
                self.seen.setdefault(run["requestId"], []).append(run)
        return self.seen[request_id][-1]

    def wait(self, request_id, n):
        """Until it has `n` results."""
        def read():
            if len(self.seen.get(request_id, [])) < n:
                others = self.seen.pop(request_id, [])
                self.of(request_id)
                self.seen[request_id] = others + self.seen[request_id]
            return len(self.seen[request_id]) >= n
        wait_for(f"{n} results", read)

    def close(self):
        self.consumer.close()


class Shop:
    def __init__(self, system):
        self.system = system
        self.redis = system.cluster.redis()
        self.store = Store(self.redis)
        self.load = Load(system.bootstrap)
        self.results = Results(system.bootstrap)
        self.taken = 0
        self.sent = 0

    def fresh(self):
        """A case's number: its schedule has never been looked at."""
        self.taken += 1
        assert self.taken < MANY
        return self.taken

    def ask(self, name, **fields):
        self.sent += 1
        datum = request(schedule_rid(name), f"ask-{self.sent}", **fields)
        self.load.send(datum)
        self.load.flush()
        return datum["requestId"]

    def answer(self, name, **fields):
        return self.results.of(self.ask(name, **fields))


@pytest.fixture(scope="module")
def shop(fresh_system):
    fresh_system.delete_topics()
    fresh_system.init(partitions=1)
    fresh_system.apply(many_catalogue())
    fresh_system.worker().wait_ready()
    shop = Shop(fresh_system)
    yield shop
    shop.results.close()


@pytest.fixture(autouse=True)
def still_alive(shop):
    """Whatever the case did, the worker still answers."""
    yield
    shop.system.daemons[-1].wait_ready(20)


def internal(run, cause, *words):
    assert checker.result_type(run["result"]) == "error", run
    assert run["result"]["errorName"] == "Internal" and run["why"]["cause"] == cause, run
    for word in words:
        assert word in run["result"]["description"], run["result"]["description"]


def submitted(run):
    assert checker.result_type(run["result"]) == "submitted", run


DEEP = "[" * 1000 + "]" * 1000

# (part, field of case i, spoilt value of case i, cause)
ENTRIES = {
    "head empty": ("s", lambda i: schedule_rid(f"c{i}"), lambda i: "", "versionUnreadable"),
    "head garbage": ("s", lambda i: schedule_rid(f"c{i}"), lambda i: "\0\xff\n", "versionUnreadable"),
    "head without version": ("s", lambda i: schedule_rid(f"c{i}"), lambda i: "--", "versionUnreadable"),
    "version broken": ("v", lambda i: version_rid(f"c{i}"), lambda i: '{"rid":', "versionUnreadable"),
    "version not ours": ("v", lambda i: version_rid(f"c{i}"), lambda i: "[1,2]", "versionUnreadable"),
    "version of another rid": ("v", lambda i: version_rid(f"c{i}"), lambda i: json.dumps(
        catalogues.version("c0", ["c0"])), "versionUnreadable"),
    "version deep": ("v", lambda i: version_rid(f"c{i}"), lambda i: DEEP, "versionUnreadable"),
    "version over 1 MiB": ("v", lambda i: version_rid(f"c{i}"), lambda i: json.dumps(
        dict(catalogues.version(f"c{i}", [f"c{i}"]), trigger="x" * MIB)), "versionUnreadable"),
    "version missing": ("v", lambda i: version_rid(f"c{i}"), lambda i: None, "versionUnreadable"),
    "branches broken": ("h", lambda i: dataset(f"c{i}"), lambda i: "{", "catalogueUnreadable"),
    "branches of wrong types": ("h", lambda i: dataset(f"c{i}"), lambda i: '{"master":7}',
                                "catalogueUnreadable"),
    "branches in a loop": ("h", lambda i: dataset(f"c{i}"), lambda i: json.dumps(
        {"a": {"parent": "b"}, "b": {"parent": "a"}}), "catalogueUnreadable"),
    "branches deep": ("h", lambda i: dataset(f"c{i}"), lambda i: DEEP, "catalogueUnreadable"),
    "branches not UTF-8": ("h", lambda i: dataset(f"c{i}"), lambda i: b'{"\xff":{}}',
                           "catalogueUnreadable"),
    "dataset garbage": ("g:d", lambda i: dataset(f"c{i}"), lambda i: "nowhere", "catalogueUnreadable"),
    "dataset empty": ("g:d", lambda i: dataset(f"c{i}"), lambda i: "", "catalogueUnreadable"),
    "spec broken": ("g:j", lambda i: dataset(f"c{i}") + "\nmaster", lambda i: "{}",
                    "catalogueUnreadable"),
    "spec empty": ("g:j", lambda i: dataset(f"c{i}") + "\nmaster", lambda i: "",
                   "catalogueUnreadable"),
    "spec points nowhere": ("g:j", lambda i: dataset(f"c{i}") + "\nmaster",
                            lambda i: "=" + dataset("gone"), "catalogueUnreadable"),
    "spec points at itself": ("g:j", lambda i: dataset(f"c{i}") + "\nmaster",
                              lambda i: "=" + dataset(f"c{i}"), "catalogueUnreadable"),
    "spec points at nothing": ("g:j", lambda i: dataset(f"c{i}") + "\nmaster", lambda i: "=",
                               "catalogueUnreadable"),
    "spec of another": ("g:j", lambda i: dataset(f"c{i}") + "\nmaster",
                        lambda i: json.dumps(catalogues.job_spec("c0", [])), "catalogueUnreadable"),
    "spec of another branch": ("g:j", lambda i: dataset(f"c{i}") + "\nmaster",
                               lambda i: json.dumps(catalogues.job_spec(f"c{i}", [], branch="b")),
                               "catalogueUnreadable"),
}


def test_each_spoilt_entry_is_named_and_its_neighbours_live(shop):
    asked = []
    for what, (part, field, value, cause) in ENTRIES.items():
        i = shop.fresh()
        before = shop.redis.hget(shop.store.key(part), field(i))
        shop.store.put(part, field(i), value(i))
        for by in (None, catalogues.OWNER):
            asked.append((what, i, part, field(i), before, cause,
                          shop.ask(f"c{i}", createdBy=by)))
        submitted(shop.answer(f"c{shop.fresh()}"))
    for what, i, part, field, before, cause, request_id in asked:
        internal(shop.results.of(request_id), cause, field.replace("\n", "\\n"),
                 shop.store.key(part))
        shop.store.put(part, field, before)
        submitted(shop.answer(f"c{i}"))  # mended: seen without a restart


@pytest.mark.parametrize("field, value", [
    (lambda i: owner(i), "7"), (lambda i: f"{owner(i)}\n{PROJECT}", "x"),
    (lambda i: f"{owner(i)}\n{PROJECT}", "")])
def test_rights_that_cannot_be_read_are_no_verdict(shop, field, value):
    i = shop.fresh()
    i += 1 - i % 2  # of user scope
    shop.taken = i
    before = shop.redis.hget(shop.store.key("g:u"), field(i))
    shop.store.put("g:u", field(i), value)
    internal(shop.answer(f"c{i}"), "catalogueUnreadable", owner(i), shop.store.key("g:u"))
    shop.store.put("g:u", field(i), before)
    submitted(shop.answer(f"c{i}"))


@pytest.mark.parametrize("part, field, cause", [
    ("v", lambda i: version_rid(f"c{i}"), "versionUnreadable"),
    ("g:d", lambda i: dataset(f"c{i}"), "catalogueUnreadable"),
    ("h", lambda i: dataset(f"c{i}"), "catalogueUnreadable")])
def test_huge_values_are_named(shop, part, field, cause):
    """One over what a value may have, one over what an answer may have."""
    for size in (9 * MIB, 13 * MIB):
        i = shop.fresh()
        before = shop.redis.hget(shop.store.key(part), field(i))
        shop.store.put(part, field(i), "x" * size)
        asked = [shop.ask(f"c{i}", createdBy=by) for by in (None, catalogues.OWNER)]
        submitted(shop.answer(f"c{shop.fresh()}"))
        for request_id in asked:
            internal(shop.results.of(request_id), cause, field(i))
        shop.store.put(part, field(i), before)
        submitted(shop.answer(f"c{i}"))


def test_large_but_honest_values_are_read_in_pieces(shop):
    """Together over what an answer may have: no fault of anybody's."""
    numbers = [shop.fresh() for _ in range(16)]
    for i in numbers:
        version = dict(catalogues.version(f"c{i}", [f"c{i}"]), trigger="x" * (MIB - 1000))
        shop.redis.hset("schedrun:v", version_rid(f"c{i}"), json.dumps(version))
        branches = {f"b{n}": {"head": catalogues.transaction("x" * 150)} for n in range(4500)}
        shop.redis.hset("schedrun:h", dataset(f"c{i}"), json.dumps(branches))
    asked = [shop.ask(f"c{i}") for i in numbers]
    for request_id in asked:
        submitted(shop.results.of(request_id))


@pytest.mark.parametrize("part", ["s", "v", "h", "g:d", "g:j", "g:u"])
def test_a_key_of_another_type_is_named(shop, part):
    i = shop.fresh()
    i += 1 - i % 2
    shop.taken = i
    key = shop.store.key(part)
    shop.redis.rename(key, "kept")
    shop.redis.set(key, "not a hash")
    cause = "versionUnreadable" if part in "sv" else "catalogueUnreadable"
    runs = [shop.answer(f"c{i}", createdBy=by) for by in (None, catalogues.OWNER)]
    dry = json.loads(shop.system.must("plan", "--schedule", schedule_rid(f"c{i}"),
                                      "--by", catalogues.OWNER))
    shop.redis.rename("kept", key)
    for run in (*runs, dry):
        internal(run, cause, key)
    submitted(shop.answer(f"c{i}"))


def reason(worker):
    """Why the worker is not ready; empty if it is."""
    answer = worker.admin("/readyz")
    if answer is None or answer[0] == 200:
        return ""
    return " ".join(c.get("reason", "") for c in json.loads(answer[1])["checks"] if not c["ok"])


def break_g(redis, value):
    redis.rename("schedrun:g", "kept")
    if value is not None:
        value(redis, "schedrun:g")


@pytest.mark.parametrize("spoil, says", [
    (None, "no catalogue"),
    (lambda r, key: r.set(key, "abc"), "schedrun:g"),
    (lambda r, key: r.set(key, "-5"), "schedrun:g"),
    (lambda r, key: r.set(key, ""), "schedrun:g"),
    (lambda r, key: r.lpush(key, "1"), "schedrun:g"),
], ids=["missing", "text", "negative", "empty", "list"])
def test_a_generation_that_is_none_means_not_ready(shop, spoil, says):
    worker = shop.system.daemons[0]
    i = shop.fresh()
    break_g(shop.redis, spoil)
    asked = shop.ask(f"c{i}")
    wait_for("the worker to be not ready", lambda: says in reason(worker), 20)
    assert asked not in shop.results.seen
    shop.redis.rename("kept", "schedrun:g")
    submitted(shop.results.of(asked))


def test_a_limit_that_is_no_number_means_not_ready(shop):
    """Only read with a new generation; it must not be guessed."""
    worker = shop.system.daemons[0]
    shop.system.apply({"limits": {"maxJobs": 999}})
    shop.redis.hset(shop.store.key("g:l"), "maxJobs", "many")
    asked = shop.ask(f"c{shop.fresh()}")
    wait_for("the worker to name the limits",
             lambda: shop.store.key("g:l") in reason(worker), 20)
    shop.redis.hset(shop.store.key("g:l"), "maxJobs", "998")
    submitted(shop.results.of(asked))


def logic_of(shop, name):
    """The logic that a new run of the schedule would build with."""
    request_id = shop.ask(name)
    build = checker.build_rid(shop.results.of(request_id)["rid"])
    for message in reversed(checker.read_topic(shop.system.bootstrap, "schedule-builds")):
        event = checker.decode("build_requested", message.value())
        if event["buildRid"] == build:
            return event["jobs"][0]["logic"]
    raise AssertionError("no build event")


def test_a_generation_that_goes_back_is_followed(shop):
    old = shop.redis.get("schedrun:g")
    name = f"c{shop.fresh()}"
    assert logic_of(shop, name) == "v1"
    shop.system.apply({"jobSpecs": many_catalogue("v2")["jobSpecs"]})
    assert logic_of(shop, name) == "v2"
    new = shop.redis.get("schedrun:g")
    assert int(new) > int(old)
    shop.redis.set("schedrun:g", old)
    assert logic_of(shop, name) == "v1"
    shop.redis.set("schedrun:g", new)
    assert logic_of(shop, name) == "v2"


def test_a_store_made_anew_is_not_taken_for_the_old_one(shop):
    """Emptied, prepared, loaded again while the worker looks away: the same names
    with other content, as a test machine has it every day."""
    name = f"c{shop.fresh()}"
    logic_of(shop, name)
    other = many_catalogue("v3")
    for schedule in other["schedules"]:
        schedule["versions"][0]["action"]["branchName"] = "develop"
        schedule["versions"][0]["action"]["fallbackBranches"] = ["master"]
    with programs.stand_still(shop.system.daemons[0].process):
        shop.redis.flushall()
        shop.system.init(partitions=1)
        shop.system.apply(other)
    request_id = shop.ask(name)
    build = checker.build_rid(shop.results.of(request_id)["rid"])
    event = next(e for e in (checker.decode("build_requested", m.value()) for m in
                             checker.read_topic(shop.system.bootstrap, "schedule-builds"))
                 if e["buildRid"] == build)
    assert event["branch"] == "develop" and event["jobs"][0]["logic"] == "v3"


def claim_of(shop, request_id, name):
    """(key, field) of the request's claim."""
    run = checker.run_rid(schedule_rid(name), request_id)
    field = uuid.UUID(run.rsplit(".", 1)[1]).bytes
    for key in shop.redis.scan_iter("schedrun:c*", count=10000):
        if shop.redis.hexists(key, field):
            return key, field
    raise AssertionError("no claim")


@pytest.mark.parametrize("value", [b"", b"x", b"y" * 18, b"z" * MIB])
def test_a_claim_that_is_none_of_ours_is_overwritten(shop, value):
    worker = shop.system.daemons[0]
    name = f"c{shop.fresh()}"
    datum = request(schedule_rid(name), f"claimed-{len(value)}")
    shop.load.send(datum)
    shop.load.flush()
    shop.results.of(datum["requestId"])
    key, field = claim_of(shop, datum["requestId"], name)
    before = worker.metric("schedrun_claims_overwritten_total")
    mine = shop.redis.hget(key, field)
    shop.redis.hset(key, field, value)
    shop.load.send(datum)
    shop.load.flush()
    # One has a claim's form, and a partition that the topic lacks: nobody's.
    wait_for("the claim to be overwritten",
             lambda: worker.metric("schedrun_claims_overwritten_total") > before, 20)
    submitted(shop.answer(f"c{shop.fresh()}"))
    assert len(shop.redis.hget(key, field)) == len(mine)


def has_claim(shop, request_id, name):
    try:
        return claim_of(shop, request_id, name)
    except AssertionError:
        return None


@pytest.mark.parametrize("part, field, cause", [
    ("h", dataset, "catalogueUnreadable"), ("v", version_rid, "versionUnreadable")])
def test_damage_does_not_spend_the_id(shop, part, field, cause):
    """Asked again as often as it is damaged; and once answered, no more."""
    name = f"c{shop.fresh()}"
    asked = request(schedule_rid(name), f"again-{cause}")
    before = shop.redis.hget(shop.store.key(part), field(name))
    shop.store.put(part, field(name), "nonsense")
    for n in (1, 2):
        shop.load.send(asked)
        shop.load.flush()
        shop.results.wait(asked["requestId"], n)
        internal(shop.results.of(asked["requestId"]), cause, "asked again")
        wait_for("the claim to be given back", lambda: not has_claim(shop, asked["requestId"], name))
    shop.store.put(part, field(name), before)
    for _ in range(3):
        shop.load.send(asked)
        shop.load.flush()
        submitted(shop.answer(f"c{shop.fresh()}"))
    assert [checker.result_type(run["result"]) for run in shop.results.seen[asked["requestId"]]] == \
        ["error", "error", "submitted"]
    key, run = claim_of(shop, asked["requestId"], name)
    assert shop.redis.hlen(key) >= 2 and shop.redis.pttl(key) > 0 and shop.redis.hexists(key, run)


@pytest.mark.parametrize("value", ["garbage", "-7"])
def test_a_mark_that_is_none_is_repaired(shop, value):
    mark = "schedrun:m:schedule-run-requests:0"
    submitted(shop.answer(f"c{shop.fresh()}"))
    shop.redis.set(mark, value)
    submitted(shop.answer(f"c{shop.fresh()}"))
    assert shop.redis.get(mark).isdigit()


def test_a_claim_of_another_type_means_not_ready(shop):
    worker = shop.system.daemons[0]
    name = f"c{shop.fresh()}"
    datum = request(schedule_rid(name), "claimed-by-a-list")
    shop.load.send(datum)
    shop.load.flush()
    shop.results.of(datum["requestId"])
    key, _ = claim_of(shop, datum["requestId"], name)
    shop.redis.rename(key, "kept")
    shop.redis.lpush(key, "1")
    shop.load.send(datum)
    shop.load.flush()
    wait_for("the worker to name the claim", lambda: "holds a list" in reason(worker), 20)
    assert key[:12].decode() in reason(worker)
    shop.redis.delete(key)
    shop.redis.rename("kept", key)
    submitted(shop.answer(f"c{shop.fresh()}"))
    assert len(shop.results.seen[datum["requestId"]]) == 1


def test_a_mark_of_another_type_means_not_ready(shop):
    worker = shop.system.daemons[0]
    mark = "schedrun:m:schedule-run-requests:0"
    shop.redis.rename(mark, "kept")
    shop.redis.lpush(mark, "1")
    asked = shop.ask(f"c{shop.fresh()}")
    wait_for("the worker to name the mark", lambda: mark in reason(worker), 20)
    shop.redis.delete(mark)
    shop.redis.rename("kept", mark)
    submitted(shop.results.of(asked))


POISON = {
    "nested": b"*1\r\n" * 1000 + b":1\r\n",
    "endless array": b"*2147483647\r\n",
    "negative": b"*-7\r\n",
    "huge bulk": b"$600000000\r\nxxxx",
    "garbage": b"\x00\xffnonsense\r\n",
    "too many": b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
    "too few": b"*0\r\n",
    "an integer": b":7\r\n",
}


def test_answers_that_are_no_answers_end_the_connection(shop):
    proxy = RedisProxy(shop.system.cluster.redis_port)
    shop.system.daemons[0].stop()
    shop.system.daemons.clear()
    shop.system.redis_url, direct = proxy.url, shop.system.redis_url
    worker = shop.system.worker("worker-behind").wait_ready()
    shop.system.redis_url = direct
    for what, answer in POISON.items():
        proxy.hook = lambda command, answer=answer: (
            answer if command[:2] == [b"HMGET", b"schedrun:s"] else None)
        asked = shop.ask(f"c{shop.fresh()}")
        wait_for(f"not ready for {what}", lambda: reason(worker), 20)
        assert worker.process.poll() is None and worker.admin("/healthz")[0] == 200
        proxy.hook = None
        submitted(shop.results.of(asked))
    assert worker.metric("process_resident_memory_bytes") < 200 * MIB
