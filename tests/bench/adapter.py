"""The adapter's part of `make bench`: requests per second as ratios to the same
server's /healthz, the latency of a run against that of one produce, and live
events to many subscribers.  By environment:
  BENCH_ADAPTER  of lone,requests,latency,events  (all)
"""

import json
import os
import pathlib
import statistics
import subprocess
import time
import uuid

import catalogues
import checker
from cluster import free_ports
from confluent_kafka import Producer
from mixes import schedule_name
from programs import wait_for

READ, WRITE = "api:orchestration-read", "api:orchestration-write"
API = "/api/v2/orchestration"
SECONDS, CONNECTIONS = 4, 256
PACE, PACE_SECONDS = 1000, 6
LONE_PACE = 50  # less than it could do: nobody waits for another
STREAMS, EVENTS_RATE, EVENTS_SECONDS = 1000, 1000, 8
USER = catalogues.OWNER


class Adapter:
    def __init__(self, bench, mix, program, build):
        self.bench, self.program = bench, program
        self.name = f"adapter-{uuid.uuid4().hex[:6]}"
        self.port, self.admin = free_ports(2)
        self.topics = {kind: f"{self.name}-{kind}" for kind in
                       ("requests", "results", "builds", "dlq")}
        flags = ["-X", f"bootstrap.servers={bench.cluster.bootstrap}",
                 "--redis", bench.cluster.redis_url]
        for kind, topic in self.topics.items():
            flags += ["-s", f"topics.{kind}={topic}"]
        bench.prepare_redis(flags, mix)
        tokens = bench.directory / "tokens"
        tokens.touch(0o600)
        tokens.write_text(f"token {USER} {READ} {WRITE}\n")
        self.log = bench.directory / f"{self.name}.log"
        with open(self.log, "wb") as log:
            self.process = bench.spawn(
                [os.environ.get("BENCH_HTTP", str(build / "schedrun-http")), *flags,
                 "-s", f"http.listen=127.0.0.1:{self.port}", "-s", "http.drain=0",
                 "-s", "http.auth=token-file", "-s", f"http.token.file={tokens}",
                 "-s", f"http.group={self.name}",
                 "-s", f"admin.listen=127.0.0.1:{self.admin}", "--log-format", "json"],
                stdout=log, stderr=log)
        wait_for("the adapter to be ready", self.is_ready)

    def is_ready(self):
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        done = subprocess.run(["curl", "-fs", f"http://127.0.0.1:{self.admin}/readyz"],
                              capture_output=True)
        return done.returncode == 0

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0
        self.bench.delete_topics(list(self.topics.values()))

    def ask(self, requests, connections=CONNECTIONS, seconds=SECONDS, rate=0):
        done = subprocess.run([self.program("ask"), str(self.port), str(connections),
                               str(seconds), str(rate)], input="\0".join(requests),
                              capture_output=True, text=True)
        found = json.loads(done.stdout)
        if done.returncode != 0 or found["failed"] or not found["sent"]:
            raise AssertionError(f"{found}: {done.stderr}")
        return found

    def cpu(self):
        return time.clock_gettime((~self.process.pid << 3) | 2)


def request(method, path, body=True):
    return (f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer token\r\n"
            + ("Content-Length: 0\r\n" if method == "POST" else "") + "\r\n")


def run_requests():
    return [request("POST", f"{API}/schedules/ri.scheduler.main.schedule.{schedule_name(i)}"
                            "/run?preview=true") for i in range(1000)]


def get_requests(adapter):
    """Of runs that the view has, with their results."""
    producer = Producer({"bootstrap.servers": adapter.bench.cluster.bootstrap})
    asked = []
    for i in range(200):
        schedule = f"ri.scheduler.main.schedule.{schedule_name(i)}"
        rid = publish(producer, adapter.topics["results"], schedule)
        asked.append((schedule, rid))
    producer.flush(20)
    last = asked[-1]
    redis = adapter.bench.cluster.redis()
    wait_for("the view", lambda: all(
        redis.exists(b"schedrun:r:" + uuid.UUID(rid.split(".")[-1]).bytes) for _, rid in asked))
    assert last
    return [request("GET", f"{API}/schedules/{schedule}/runs/{rid}") for schedule, rid in asked]


def publish(producer, topic, schedule):
    request_id = str(uuid.uuid4())
    rid = checker.run_rid(schedule, request_id)
    now = int(time.time() * 1000)
    producer.produce(topic, key=schedule.encode(), value=checker.encode("schedule_run", {
        "rid": rid, "requestId": request_id, "scheduleRid": schedule,
        "scheduleVersionRid": "ri.scheduler.main.schedule-version.bench",
        "createdTime": now, "createdBy": USER, "trigger": None, "finishedTime": now,
        "result": {"buildRid": checker.build_rid(rid)},
        "why": {"phase": 6, "cause": "stale", "selected": 1, "running": 1, "upToDate": 0,
                "blocked": 0, "lists": {}}}))
    return rid


def requests(adapter, rounds):
    """Requests per second, sides interleaved."""
    sides = {"healthz": [request("GET", "/healthz")],
             "POST run": run_requests(),
             "GET run": get_requests(adapter)}
    found = {name: [] for name in sides}
    for texts in sides.values():  # warm
        adapter.ask(texts, seconds=1)
    for _ in range(rounds):
        for name, texts in sides.items():
            before = adapter.cpu()
            row = adapter.ask(texts)
            row["cpu_us"] = (adapter.cpu() - before) / row["sent"] * 1e6
            found[name].append(row)
    base = statistics.median(row["per_second"] for row in found["healthz"])
    print(f"\n{'adapter, ' + str(CONNECTIONS) + ' connections':28}{'per second':>12}"
          f"{'of healthz':>12}{'CPU us':>9}{'p50 ms':>9}{'p99 ms':>9}")
    summary = {}
    for name, rows in found.items():
        middle = {key: statistics.median(row[key] for row in rows)
                  for key in ("per_second", "cpu_us", "p50_us", "p99_us")}
        middle["of_healthz"] = middle["per_second"] / base
        summary[name] = middle
        print(f"{name:28}{middle['per_second']:12.0f}{middle['of_healthz']:12.2f}"
              f"{middle['cpu_us']:9.1f}{middle['p50_us'] / 1e3:9.2f}{middle['p99_us'] / 1e3:9.2f}")
    return summary


def lone(adapter, rounds):
    """One caller who waits for each answer: what a request takes by itself."""
    sides = {"healthz": [request("GET", "/healthz")],
             "POST run": run_requests(),
             "GET run": get_requests(adapter)}
    rows = {name: [] for name in sides}
    for _ in range(rounds):
        for name, texts in sides.items():
            before = adapter.cpu()
            row = adapter.ask(texts, connections=1, rate=LONE_PACE)
            row["cpu_us"] = (adapter.cpu() - before) / row["sent"] * 1e6
            rows[name].append(row)
    found = {name: {key: statistics.median(row[key] for row in of)
                    for key in ("p50_us", "p99_us", "cpu_us")} for name, of in rows.items()}
    print(f"\n{'adapter, one caller':28}{'p50 us':>9}{'p99 us':>9}{'CPU us':>9}")
    for name, row in found.items():
        print(f"{name:28}{row['p50_us']:9.0f}{row['p99_us']:9.0f}{row['cpu_us']:9.1f}")
    return found


def latency(adapter, rounds):
    """A run at 1,000/s against one acks=all produce at 1,000/s."""
    rows = {"produce": [], "POST run": []}
    for _ in range(rounds):
        done = subprocess.run([adapter.program("ack"), adapter.bench.cluster.bootstrap,
                               adapter.topics["requests"], str(PACE), str(PACE_SECONDS)],
                              check=True, capture_output=True, text=True)
        rows["produce"].append(json.loads(done.stdout))
        rows["POST run"].append(adapter.ask(run_requests(), seconds=PACE_SECONDS,
                                            rate=PACE))
    found = {name: {key: statistics.median(row[key] for row in of) / 1e3
                    for key in ("p50_us", "p99_us")} for name, of in rows.items()}
    print(f"\n{PACE}/s, open loop{'p50 ms':>22}{'p99 ms':>9}")
    for name, row in found.items():
        print(f"{name:28}{row['p50_us']:8.2f}{row['p99_us']:9.2f}")
    found["p99_ratio"] = found["POST run"]["p99_us"] / found["produce"]["p99_us"]
    print(f"p99: {found['p99_ratio']:.2f} of a produce")
    return found


def events(adapter, _):
    """Each of many subscribers gets each of many results."""
    n = EVENTS_RATE * EVENTS_SECONDS
    listen = adapter.bench.spawn(
        [adapter.program("listen"), str(adapter.port), str(STREAMS), str(n),
         str(EVENTS_SECONDS + 20)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    listen.stdin.write(request("GET", f"{API}/runEvents"))
    listen.stdin.close()
    assert listen.stdout.readline() == "open\n", "the streams did not open"
    producer = Producer({"bootstrap.servers": adapter.bench.cluster.bootstrap, "linger.ms": 1})
    before, begun = adapter.cpu(), time.monotonic()
    for i in range(n):
        publish(producer, adapter.topics["results"],
                f"ri.scheduler.main.schedule.{schedule_name(i % 100)}")
        producer.poll(0)
        ahead = begun + i / EVENTS_RATE - time.monotonic()
        if ahead > 0.005:
            time.sleep(ahead)
    producer.flush(20)
    published = time.monotonic() - begun
    found = json.loads(listen.stdout.readline())
    listen.wait()
    found |= {"published_seconds": published, "cpu_share": (adapter.cpu() - before) / published,
              "resident_mb": resident_mb(adapter.process.pid)}
    if found["least"] != n or found["most"] != n:
        raise AssertionError(f"not every subscriber got each of {n} results: {found}")
    print(f"\nevents: {STREAMS} subscribers got each of {n} results at "
          f"{n / published:.0f}/s; {found['megabytes'] / found['seconds']:.0f} MB/s, "
          f"{found['cpu_share'] * 100:.0f} % CPU, {found['resident_mb']:.0f} MB, "
          f"the last {found['seconds'] - published:.2f} s after its result")
    return found


def resident_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return None


def measure(bench, mix, program, build, rounds):
    wanted = os.environ.get("BENCH_ADAPTER", "lone,requests,latency,events").split(",")
    parts = {"lone": lone, "requests": requests, "latency": latency, "events": events}
    adapter = Adapter(bench, mix, program, build)
    found = {name: parts[name](adapter, rounds) for name in wanted}
    adapter.stop()
    return found
