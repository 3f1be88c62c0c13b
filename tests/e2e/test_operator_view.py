"""One walk through a system's days: at each station all that an operator sees of it,
metrics, readiness, `lag`, `check`, systemd's status, agrees with what other clients see
of topics and store; and of an outage the dependency that is away is blamed, no other."""

import json
import struct
import time

import catalogues
import checker
import pytest
import redis
import requests
from redis.backoff import NoBackoff
from redis.retry import Retry
from adapters import Adapter
from confluent_kafka import (Consumer, ConsumerGroupTopicPartitions, KafkaException,
                             TopicPartition)
from confluent_kafka.admin import AdminClient
from load import TOPIC, Load, request
from programs import GROUP, Notified, stand_still, wait_for
from test_registry import Registry

BOUND = 5  # s, in which all is to be true after something has happened
JOIN = 15  # s, in which a broker that was away has its groups again: docs/faults.md, row 9
HELD = 5  # s, after which an open transaction is told of
PARTITIONS = 2
SCHEDULE = catalogues.schedule_rid("stale")
ALWAYS = {"replicas": ("kafka", "one broker"), "redis settings": ("redis", "expires")}  # notes of these servers
DEPENDENCIES = ("kafka", "redis", "registry")


class Outside:
    """What clients of their own see of Kafka, Redis and the registry."""

    def __init__(self, system, registry):
        self.bootstrap = system.bootstrap
        quiet = {"bootstrap.servers": system.bootstrap, "log_level": 0, "socket.timeout.ms": 2000}
        self.admin = AdminClient(quiet)
        self.reader = Consumer({**quiet, "group.id": "outside",
                                "isolation.level": "read_uncommitted"})
        self.store = redis.Redis(port=system.cluster.redis_port, socket_timeout=1, retry=Retry(NoBackoff(), 0))
        self.registry = registry

    def up(self):
        """Which dependencies answer."""
        return {"kafka": answers(lambda: self.admin.list_topics(timeout=1), KafkaException),
                "redis": answers(self.store.ping, redis.exceptions.RedisError),
                "registry": answers(lambda: requests.get(f"{self.registry.url}/schemas/ids/1", timeout=1)
                                    .raise_for_status(), requests.RequestException)}

    def ends(self, topic):
        return {p: self.reader.get_watermark_offsets(TopicPartition(topic, p), timeout=2)
                for p in self.admin.list_topics(topic, timeout=2).topics[topic].partitions}

    def lag(self):
        """As kafka-consumer-groups counts it: partition -> end - committed."""
        listed = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP)])
        committed = {p.partition: p.offset for p in listed[GROUP].result(4).topic_partitions
                     if p.topic == TOPIC and p.offset >= 0}
        return {p: (high - max(committed.get(p, 0), low), committed.get(p))
                for p, (low, high) in self.ends(TOPIC).items()}

    def view_lag(self):
        """Results and builds behind the places that Redis has for the view."""
        return sum(m.offset() >= int(self.store.get(f"schedrun:f:{topic}:{m.partition()}") or 0)
                   for topic in ("schedule-run-results", "schedule-builds")
                   for m in checker.read_topic(self.bootstrap, topic))


def answers(ask, refusal):
    try:
        ask()
        return True
    except refusal:
        return False


class Seen:
    """What one daemon says of itself now."""

    def __init__(self, daemon):
        self.alive = daemon.admin("/healthz")[0]
        self.ready, document = daemon.admin("/readyz")
        self.checks = {check["name"]: check for check in json.loads(document)["checks"]}
        self.bad = {name: check["reason"] for name, check in self.checks.items() if not check["ok"]}
        self.notes = {name: check["note"] for name, check in self.checks.items() if "note" in check}
        self.metrics = {}
        for line in daemon.admin("/metrics")[1].splitlines():
            series, _, value = line.rpartition(" ")
            if series and not series.startswith("#"):
                self.metrics[series] = float(value)

    def up(self):
        return {name: bool(self.metrics[f'schedrun_dependency_up{{dependency="{name}"}}'])
                for name in DEPENDENCIES}

    def lag(self):
        series = {p: self.metrics.get(f'schedrun_consumer_lag_records{{topic="{TOPIC}",partition="{p}"}}')
                  for p in range(PARTITIONS)}
        return {p: n for p, n in series.items() if n is not None}


class Walk:
    def __init__(self, system, registry):
        self.system, self.registry = system, registry
        self.outside = Outside(system, registry)
        self.load = Load(system.bootstrap)
        self.notified = {}
        self.workers = [self.start("worker-1")]
        self.adapter = self.start_adapter()
        self.others = [self.start_other("trigger"), self.start_other("builder", "/bin/true")]

    def start_other(self, program, *arguments):
        self.notified[f"{program}-1"] = Notified(self.system.directory / f"{program}-1.notify")
        return getattr(self.system, program)(*arguments, schema__registry__url=self.registry.url,
                                             environment={"NOTIFY_SOCKET": self.notified[f"{program}-1"].path})

    def start(self, name):
        self.notified[name] = Notified(self.system.directory / f"{name}.notify")
        return self.system.worker(name, environment={"NOTIFY_SOCKET": self.notified[name].path},
                                  schema__registry__url=self.registry.url)

    def start_adapter(self):
        self.notified["http-1"] = Notified(self.system.directory / "http-1.notify")
        return Adapter(self.system, wait=False, schema__registry__url=self.registry.url,
                       environment={"NOTIFY_SOCKET": self.notified["http-1"].path}).daemon

    def send(self, name, partition=0, schema=1, value=None, load=None):
        load = load or self.load
        datum = request(SCHEDULE, name)
        framed = value or struct.pack(">bI", 0, schema) + checker.encode("run_request", datum)[5:]
        load.producer.produce(TOPIC, framed, SCHEDULE.encode(), partition=partition, on_delivery=load._note(
            None if value else datum, framed, SCHEDULE.encode(), "malformed" if value else None))
        load.flush()

    # What is told by whom -------------------------------------------------------

    def differences(self, station):
        """What somebody says and is not so, as texts."""
        up = self.outside.up()
        found = [f"the world: {up}, not {station.away} away"] if station.away != {
            name for name, there in up.items() if not there} else []
        for worker in self.workers:
            found += self.of_daemon(worker, station, up, station.worker)
        found += self.of_daemon(self.adapter, station, up, station.adapter)
        for daemon in self.others:
            found += self.of_other(daemon, station)
        if up["kafka"] and station.started and not found:
            found += self.of_lag(station)
        return found or self.of_check(station)

    def of_daemon(self, daemon, station, up, expected):
        seen, name = Seen(daemon), daemon.name
        # The view is not there without what it is of and in, nor are the results, and say so.
        implied = {check for check in ("view", "results")
                   if any(word in seen.bad.get(check, "") for word in expected.values())}
        told = [("healthz", seen.alive, 200), ("readyz", seen.ready, 503 if expected else 200),
                ("blamed", set(seen.bad) - implied, set(expected))]
        should = {"kafka": up["kafka"], "redis": up["redis"] and "redis" not in expected,
                  "registry": "registry" not in expected}
        told += [(f"dependency_up {d}", seen.up()[d], should[d]) for d in DEPENDENCIES]
        told += [(f"schedrun_ready {d}", bool(seen.metrics[f'schedrun_ready{{check="{d}"}}']), seen.checks[d]["ok"])
                 for d in DEPENDENCIES]
        found = [f"{name}: {what} is {is_}, not {should}: {seen.bad}" for what, is_, should in told if is_ != should]
        found += [f"{name}: {check} says {seen.bad.get(check)!r}, nothing of {word!r}"
                  for check, word in expected.items() if word not in seen.bad.get(check, "")]
        notes = station.notes if daemon in self.workers else {}
        found += [f"{name}: note {seen.notes.get(check)!r}, not {notes.get(check)!r}" for check in seen.checks
                  if (notes.get(check) or "") not in seen.notes.get(check, "") or
                  bool(notes.get(check)) != bool(seen.notes.get(check))]
        status = self.notified[name].status
        words = [*expected.values()] or ["lag" if daemon in self.workers else "serving"]
        if not all(word in status for word in words):
            found.append(f"{name}: STATUS={status}, nothing of {words}")
        return found

    def of_other(self, daemon, station):
        """Of trigger and builder, which need the registry at their start alone."""
        seen, name, status = Seen(daemon), daemon.name, self.notified[daemon.name].status
        away = station.away - {"registry"}
        found = [f"{name}: healthz {seen.alive}"] if seen.alive != 200 else []
        is_prepared = station.started or not station.adapter  # none of them needs a catalogue
        if seen.ready != (200 if is_prepared and not away else 503):
            found.append(f"{name}: readyz {seen.ready}, {seen.bad}")
        if is_prepared and not away <= set(seen.bad) <= away | ({"events", "schedules"} if away else set()):
            found.append(f"{name}: {seen.bad} are blamed, where {away} are away")
        up = {d: bool(seen.metrics.get(f'schedrun_dependency_up{{dependency="{d}"}}')) for d in DEPENDENCIES}
        if is_prepared and up != {d: d not in away for d in DEPENDENCIES}:
            found.append(f"{name}: dependency_up {up}, {away} are away")
        found += [f"{name}: schedrun_ready of {check} is not {row}" for check, row in seen.checks.items()
                  if bool(seen.metrics[f'schedrun_ready{{check="{check}"}}']) != row["ok"]]
        if any(check not in status for check in seen.bad) or bool(seen.bad) != status.startswith("waiting"):
            found.append(f"{name}: STATUS={status}, blamed {seen.bad}")
        return found

    def of_lag(self, station):
        told, outside = [Seen(worker) for worker in self.workers], self.outside.lag()
        lag = {p: n for p, (n, _) in outside.items()}
        counted = [(p, n) for seen in told for p, n in seen.lag().items()]
        found = [] if sorted(counted) == sorted(lag.items()) else [f"metric {counted}, outside {lag}"]
        # A look by `check` leaves a marker, which nobody passes where nothing is read.
        if not station.lag <= sum(lag.values()) <= station.lag + (self.checked if station.lag else 0):
            found.append(f"outside lag {lag}, not {station.lag}")
        for worker, seen in zip(self.workers, told):
            words = f"{len(seen.lag())} partitions, lag {int(sum(seen.lag().values()))}"
            status = self.notified[worker.name].status
            if not station.worker and words not in status:
                found.append(f"{worker.name}: STATUS={status}, not {words}")
        rows = [json.loads(line) for line in self.system.must("lag", "-o", "jsonl").splitlines()]
        said = {row["partition"]: (row["lag"], row["committed"]) for row in rows[:-1]}
        if said != outside or rows[-1]["lag"] != sum(lag.values()):
            found.append(f"lag says {rows}, outside {outside}")
        waiting = [a.datum["createdTime"] for a in self.load.asked + station.held if a.datum
                   and a.offset >= (outside[a.partition][1] or 0)]
        age = time.time() - min(waiting) / 1000 if waiting and station.lag else 0
        ages = [rows[-1]["oldestAgeMs"], max(
            s.metrics["schedrun_oldest_request_age_seconds"] for s in told) * 1000]
        for who, is_ in zip(("lag", "metric"), ages):
            # Of what it can't read a worker knows only how long it has seen it wait.
            least = age - (BOUND if who == "metric" else 1.5)
            if not least < (is_ or 0) / 1000 < age + 1.5 or bool(is_) != bool(age):
                found.append(f"the oldest request is {age:.1f} s old, {who} says {is_} ms")
        if station.view:
            told, is_ = Seen(self.adapter).metrics["schedrun_run_view_lag_records"], self.outside.view_lag()
            found += [f"run_view_lag is {told}, not {is_}"] if told != is_ else []
        return found

    def of_check(self, station):
        self.checked += 1
        done = self.system.run("check", "-o", "jsonl", "--timeout",
                               "1s" if "kafka" in station.away else "2s" if station.away else "5s",
                               "-s", f"schema.registry.url={self.registry.url}")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        found = [f"check exits with {done.returncode}, not {station.code}: "
                 f"{[row for row in rows if row['state'] != 'ok']}"] if done.returncode != station.code else []
        always = {what: words for what, (of, words) in ALWAYS.items() if of not in station.away}
        if "kafka" in station.away:
            lag = self.system.run("lag", "--timeout", "1s")
            found += [f"lag exits with {lag.returncode}: {lag.stderr}"] if lag.returncode != 5 else []
        for state, expected in (("fault", station.faults), ("note", {**always, **station.checks})):
            told = {row["what"]: row["detail"] for row in rows if row["state"] == state}
            told.pop("requests", None)  # who waits for 5 s: `of_lag` knows better
            if set(told) != set(expected) or any(word not in told[what] for what, word in expected.items()):
                found.append(f"check's {state}s are {told}, not {expected}")
        return found

    def at(self, name, bound=BOUND, **expected):
        """Waits until all agree, `bound` s at most."""
        station, self.checked = Station(**expected), 0
        begun = time.monotonic()
        while True:
            looked = time.monotonic()
            try:
                found = self.differences(station)
            except (KafkaException, TimeoutError) as error:
                found = [f"the world: {error!r}"]
            if not found:
                break
            if looked - begun > bound:
                pytest.fail(f"{name}, after {looked - begun:.1f} s:\n" + "\n".join(found))
            time.sleep(0.1)
        print(f"{name}: true after {looked - begun:.1f} s, look {time.monotonic() - looked:.1f} s")


class Station:
    def __init__(self, away=(), worker=None, adapter=None, notes=None, lag=0, code=0, faults=None, checks=None,
                 held=(), started=True, view=False):
        self.away = set(away)
        self.worker, self.adapter, self.notes = worker or {}, adapter or {}, notes or {}
        self.lag, self.held, self.started, self.view = lag, list(held), started, view
        self.code, self.faults, self.checks = code, faults or {}, checks or {}


@pytest.fixture
def walk(system):
    system.cluster.redis().config_set("lazyfree-lazy-expire", "no")  # one of the notes: ALWAYS
    registry = Registry()
    walk = Walk(system, registry)
    yield walk
    registry.stop()


def test_a_walk(walk):
    system, cluster, registry = walk.system, walk.system.cluster, walk.registry
    wait_for("the admin ports", lambda: all(d.admin("/healthz") for d in (*walk.workers, walk.adapter, *walk.others)))
    topics = {f"topic {topic}": "does not exist" for topic in (
        TOPIC, "schedule-run-results", "schedule-builds", f"{TOPIC}.dlq", "schedule-events")}
    nobody = {f"group {GROUP}": "no worker runs"}
    walk.at("before init", started=False, code=1, checks=nobody,
            faults={**topics, "redis keys": "nothing of schedrun's", "catalogue": "none is loaded"},
            worker={"kafka": "schedrun init", "redis": "schedrun init"},
            adapter={"kafka": TOPIC, "redis": "schedrun init"})
    system.init(partitions=PARTITIONS)
    walk.at("before apply", started=False, code=1, checks=nobody, faults={"catalogue": "none is loaded"},
            worker={"redis": "schedrun apply"})
    system.apply(catalogues.outcomes())
    walk.at("idle", view=True)
    join_and_leave_under_load(walk)
    walk.at("idle after the load", view=True)
    away_one_after_the_other(walk)
    what_holds_and_passes(walk)
    cluster.stop_kafka(hard=True)
    walk.at("Kafka is killed", away=["kafka"], code=5, **KAFKA)
    cluster.start_kafka()
    walk.outside = Outside(system, registry)
    walk.at("Kafka is there again", bound=JOIN, checks=LETTER)
    walk.send("the last")
    walk.at("idle again", checks=LETTER, view=True)
    system.judge(walk.load.asked + walk.upstream)


LETTER = {"dead letters": "1 wait: 1 malformed"}
KAFKA = {"faults": {"kafka": "127.0.0.1"}, "worker": {"kafka": ""}, "adapter": {"kafka": ""}}


def join_and_leave_under_load(walk):
    """While all moves nothing but joining is told, and no more lag than there can be."""
    names, history = iter(range(10**6)), []

    def look():
        committed = {p: at for p, (_, at) in walk.outside.lag().items()}
        history.append((time.monotonic(), committed))
        for _ in range(50):
            number = next(names)
            walk.send(f"load-{number}", partition=number % PARTITIONS)
        for worker in walk.workers:
            seen = Seen(worker)
            assert seen.alive == 200 and all(seen.up().values()), seen.up()
            assert all("joining the group" in why for why in seen.bad.values()), seen.bad
            old = [at for when, at in history if when < time.monotonic() - 2][-1:]
            ends = walk.outside.ends(TOPIC)
            for p, lag in [(p, lag) for at in old for p, lag in seen.lag().items()]:
                assert lag <= ends[p][1] - (old[0][p] or 0), (p, lag, ends, old)
    second = walk.start("worker-2")
    walk.workers.append(second)
    wait_for("the second to listen", lambda: second.admin("/healthz"))
    walk.workers.remove(second)
    wait_for("both to have one", lambda: look() or all(
        w.metric("schedrun_assigned_partitions") == 1 for w in (*walk.workers, second)))
    walk.workers.append(second)
    walk.at("two workers")
    assert second.stop() == 0
    walk.workers.remove(second)
    wait_for("the first to have both", lambda: look() or
             walk.workers[0].metric("schedrun_assigned_partitions") == 2)


def away_one_after_the_other(walk):
    cluster, registry = walk.system.cluster, walk.registry
    with stand_still(cluster.redis_process):
        for partition in range(PARTITIONS):
            walk.send(f"redis-{partition}", partition)
        walk.at("Redis hangs", away=["redis"], lag=2, code=5, faults={"redis": ""},
                worker={"redis": "redis"}, adapter={"redis": "redis 127.0.0.1"})
    walk.at("Redis goes on")
    registry.stop()
    walk.send("waits", schema=9)
    walk.send("behind")
    wait_for("the registry to be blamed", lambda: "registry" in walk.workers[0].blamed())
    walk.send("after it was seen")
    walk.at("the registry is away", away=["registry"], lag=3, code=5, faults={"registry": ""},
            worker={"registry": registry.url})
    registry.start()
    walk.at("the registry is there again")
    with stand_still(cluster.kafka_process):
        walk.at("Kafka hangs", away=["kafka"], code=5, **KAFKA)
    walk.outside = Outside(walk.system, registry)
    walk.at("Kafka goes on", bound=JOIN)


def what_holds_and_passes(walk):
    upstream = Load(walk.system.bootstrap, {"transactional.id": "upstream"})
    upstream.producer.init_transactions(30)
    upstream.producer.begin_transaction()
    walk.send("held", 1, load=upstream)
    walk.send("behind it", 1)
    walk.at("an upstream's transaction is open", bound=HELD + BOUND, lag=2, held=upstream.asked,
            notes={"kafka": "an open transaction holds partition 1"},
            checks={"open transactions": "holds partition 1"})
    upstream.producer.commit_transaction(30)
    walk.at("its marker is the end of the partition")
    walk.upstream = upstream.asked
    ends = walk.outside.ends(TOPIC)
    for future in walk.outside.admin.delete_records(
            [TopicPartition(TOPIC, p, high) for p, (_, high) in ends.items()]).values():
        future.result(10)
    walk.at("retention has taken what was answered")
    walk.send("poison", value=struct.pack(">bI", 0, 1) + b"\xff" * 8)
    walk.at("a poison record", checks=LETTER)
