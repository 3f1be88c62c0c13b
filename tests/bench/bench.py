"""`make bench`: how fast the worker is, as ratios to floors taken in the same run.

Sides are interleaved and the medians of their rounds compared, since absolute
figures drift with the machine.  Fails on results that can't be (missing, doubled
or wrong ones) and on more memory than a worker may take.  By environment:
  BENCH_N       records of a backlog                       (300000)
  BENCH_ROUNDS  rounds of each side                        (3)
  BENCH_MIXES   of mix,once,repeat,wide,connecting: what is asked, see mixes.py
                (all; what takes only one takes the first)
  BENCH_PARTS   of throughput,latency,lone,distance,workers,start,planner,adapter  (all)
  BENCH_SIDES   of copy,floor,worker                       (all)
  BENCH_PEERS   of java,go,rust: peers/, measured with them   (none)
  BENCH_FLAGS   more flags for the worker, as a shell has them
  BENCH_OUT     where the results go                                (bench/results.json)
"""

import json
import os
import pathlib
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from confluent_kafka.admin import AdminClient, NewTopic

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import cluster as cluster_module  # noqa: E402
import mixes  # noqa: E402
from programs import wait_for  # noqa: E402

BUILD = pathlib.Path(os.environ.get("BUILD_DIR", ROOT / "build"))
N = int(os.environ.get("BENCH_N", 300000))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", 3))
PEERS = os.environ.get("BENCH_PEERS", "").replace(",", " ").split()
SIDES = os.environ.get("BENCH_SIDES", "copy,floor,worker").split(",") + PEERS
MIXES = [mixes.of(name, N) for name in
         os.environ.get("BENCH_MIXES", ",".join(mixes.NAMES)).split(",")]
PARTITIONS = 6
PEAK_MB = 200  # of a worker, whatever waits and whatever is asked
REDIS_DELAY_MS = 5
GROUPS = (1, 2, 4)
PACE, PACE_SECONDS = 1000, 10
LONE_PACE, LONE_COUNT = 4, 40
OUT = pathlib.Path(os.environ.get("BENCH_OUT", ROOT / "bench" / "results.json"))
PEER_JARS = ROOT / ".cache" / "peers"
# A broker as one would run it, not the tests' small and quickly started one.
JAVA = ["java", "-Xms1g", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp", f"{cluster_module.JARS}/*"]


class Impossible(Exception):
    """What was measured is no result of a working worker."""


def program(name):
    return str(BUILD / "bench" / name)


def cpu_seconds(pid):
    """CPU that a process has used, all its threads, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)


def memory_mb(pid, field):
    """VmRSS or VmHWM of a process."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


class Cluster(cluster_module.Cluster):
    java = JAVA


class Bench:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.cluster = Cluster(self.directory / "cluster").start()
        self.admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap, "log_level": 0})
        self.count = 0
        self.loaded = None  # whose catalogue Redis has
        self.processes = []

    def spawn(self, command, **more):
        process = subprocess.Popen(command, cwd=self.directory, **more)
        self.processes.append(process)
        return process

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.cluster.stop()

    def make_topic(self, name):
        for future in self.admin.create_topics([NewTopic(name, PARTITIONS, 1)]).values():
            future.result(30)

    def delete_topics(self, names):
        for future in self.admin.delete_topics(names).values():
            future.result(30)

    def fill(self, mix):
        """The mix's backlog, once."""
        if mix.topic not in self.admin.list_topics(timeout=20).topics:
            self.make_topic(mix.topic)
            subprocess.run([program("backlog"), self.cluster.bootstrap, mix.topic, str(mix.n),
                            mix.text()], check=True)

    def schedrun(self, flags, *arguments):
        subprocess.run([str(BUILD / "schedrun"), *flags, "-s", "redis.timeout.command=20s",
                        *arguments], check=True,
                       stdout=subprocess.DEVNULL, cwd=self.directory)

    def prepare_redis(self, flags, mix):
        """A Redis with the mix's catalogue and nothing else: no side finds another's claims."""
        store = self.cluster.redis()
        init = ("init", "--partitions", str(PARTITIONS), "--replication", "1")
        if self.loaded is mix:
            mixes.forget_the_rest(store)
        else:
            store.flushall()
            store.config_set("auto-aof-rewrite-percentage", 0)  # not while we measure
            self.schedrun(flags, *init)
            small = self.directory / "catalogue.json"
            small.write_text(json.dumps(mix.catalogue()))
            self.schedrun(flags, "apply", str(small))
            mix.multiply(store)
            self.loaded = mix
        self.schedrun(flags, *init)


class Side:
    """A program that turns the records of a topic into those of another."""

    def __init__(self, bench, mix, requests=None, redis_url=None):
        bench.count += 1
        self.bench = bench
        self.mix = mix
        self.requests = requests or mix.topic
        self.name = f"bench-{bench.count}"
        self.results, self.builds, self.dlq = (
            f"{self.name}-{kind}" for kind in ("results", "builds", "dlq"))
        self.redis_url = redis_url or bench.cluster.redis_url
        self.log = bench.directory / f"{self.name}.log"
        self.process = None

    def start(self):
        self.prepare()
        with open(self.log, "wb") as log:
            self.process = self.bench.spawn(self.command(), stdout=log, stderr=log)
        return self

    def processes(self):
        return [self.process]

    def stop(self):
        for process in self.processes():
            process.send_signal(signal.SIGTERM)
        for process in self.processes():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.bench.delete_topics(self.topics())

    def fail_if_ended(self):
        if self.process.poll() is not None:
            raise Impossible(f"{self.name} ended with {self.process.returncode}:\n"
                             f"{self.log.read_text()[-2000:]}")

    def assigned_at(self):
        """When it had its partitions, in seconds since 1970; None: not yet."""
        self.fail_if_ended()
        for line in self.log.read_text().splitlines():
            if line.startswith("assigned "):
                return int(line.split()[1]) / 1e6
        return None


class Copy(Side):
    kind = "copies"

    def topics(self):
        return [self.results]

    def prepare(self):
        self.bench.make_topic(self.results)

    def command(self):
        return [program("copy"), self.bench.cluster.bootstrap, self.name, self.requests,
                self.results]


class Floor(Copy):
    def prepare(self):
        super().prepare()
        self.bench.prepare_redis(Worker(self.bench, self.mix, self.requests).flags(), self.mix)

    def command(self):
        return [*super().command(), str(self.bench.cluster.redis_port)]


class Peer(Floor):
    """A program in another language, as one would write it there; it plans nothing."""

    kind = "answers"
    program = []

    def command(self):
        return [*self.program, str(ROOT / "schemas"), self.bench.cluster.bootstrap, self.name,
                self.requests, self.results, str(self.bench.cluster.redis_port)]


class Java(Peer):
    program = ["java", "-Xms256m", "-Xmx256m", "-cp", f"{BUILD}/bench/peer:{PEER_JARS}/*", "Peer"]


class Go(Peer):
    program = [program("peer-go")]


class Rust(Peer):
    program = [program("peer-rust")]


class Worker(Side):
    kind = "results"

    def topics(self):
        return [self.results, self.builds, self.dlq]

    def flags(self):
        return ["-X", f"bootstrap.servers={self.bench.cluster.bootstrap}",
                "--redis", self.redis_url,
                "-s", f"topics.requests={self.requests}", "-s", f"topics.results={self.results}",
                "-s", f"topics.builds={self.builds}", "-s", f"topics.dlq={self.dlq}",
                "-s", f"worker.group={self.name}"]

    def prepare(self):
        self.bench.prepare_redis(self.flags(), self.mix)

    def command(self, number=1):
        return [os.environ.get("BENCH_WORKER", str(BUILD / "schedrun-worker")), *self.flags(),
                "-s", f"worker.id={number}", "-s", "admin.listen=127.0.0.1:0", "--log-format", "json",
                *shlex.split(os.environ.get("BENCH_FLAGS", ""))]

    def assigned_at(self):
        self.fail_if_ended()
        times = [parse_time(json.loads(line)["ts"]) for log in self.logs()
                 for line in log.read_text().splitlines() if '"partitions_assigned"' in line]
        return min(times, default=None)

    def logs(self):
        return [self.log]


class Group(Worker):
    """Several workers; all but the first join while it works."""

    def __init__(self, bench, mix, size):
        super().__init__(bench, mix)
        self.size, self.others = size, []

    def processes(self):
        return [self.process, *self.others]

    def logs(self):
        return [self.log, *self.log.parent.glob(f"{self.log.name}.*")]

    def start(self):
        super().start()
        for number in range(2, self.size + 1):
            with open(f"{self.log}.{number}", "wb") as log:
                self.others.append(self.bench.spawn(self.command(number), stdout=log, stderr=log))
        return self


def parse_time(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    return (time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - time.timezone
            + float(f"0.{fraction or 0}"))


class Watch:
    """The independent reader of a topic; see watch.c."""

    def __init__(self, side, topic, kind):
        self.process = side.bench.spawn(
            [program("watch"), side.bench.cluster.bootstrap, topic, str(side.mix.n),
             side.mix.text(), kind],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def wait_done(self):
        word, _, when = self.process.stdout.readline().partition(" ")
        assert word == "done", "watch has ended"
        return int(when) / 1e6

    def judge(self):
        self.process.stdin.close()
        verdict = json.loads(self.process.stdout.read())
        self.process.wait()
        if verdict["seen"] != verdict["wanted"] or verdict["doubled"] or verdict["wrong"]:
            raise Impossible(str(verdict))


def measure_backlog(side):
    """Works the mix's backlog off; verified."""
    n = side.mix.n
    side.start()
    watch = Watch(side, side.results, side.kind)
    pids = [process.pid for process in side.processes()]
    cluster = side.bench.cluster
    others = {"redis_us": cluster.redis_process.pid, "broker_us": cluster.kafka_process.pid}
    started = wait_for(f"{side.name} to be assigned", side.assigned_at, pause=0.005)
    cpu_before = sum(map(cpu_seconds, pids))
    before = {name: cpu_seconds(pid) for name, pid in others.items()}
    ended = watch.wait_done()
    used = sum(map(cpu_seconds, pids)) - cpu_before
    around = {name: (cpu_seconds(pid) - before[name]) / n * 1e6 for name, pid in others.items()}
    peak = max(memory_mb(pid, "VmHWM") for pid in pids)
    claims = side.bench.cluster.redis().info("memory")["used_memory"]
    watch.judge()
    if isinstance(side, Worker):
        builds = Watch(side, side.builds, "builds")
        builds.wait_done()
        builds.judge()
    side.stop()
    return {"per_second": n / (ended - started), "cpu_us": used / n * 1e6, "peak_mb": peak,
            "redis_bytes": claims, **around}


def medians(rounds):
    return {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}


KINDS = {"copy": Copy, "floor": Floor, "worker": Worker,
         "java": Java, "go": Go, "rust": Rust}


def throughput(bench):
    return {mix.name: throughput_of(bench, mix) for mix in MIXES}


def throughput_of(bench, mix):
    rounds = {name: [] for name in SIDES}
    bench.fill(mix)
    measure_backlog(KINDS[SIDES[0]](bench, mix))  # warms the broker
    for _ in range(ROUNDS):
        for name in SIDES:
            rounds[name].append(measure_backlog(KINDS[name](bench, mix)))
    found = {name: medians(rounds[name]) for name in SIDES}
    print(f"\n{mix}: {mix.n} requests waiting, {mix.schedules} schedules, exactly once, "
          f"medians of {ROUNDS}")
    print(f"{'':8}{'msgs/s':>10}{'of floor':>10}{'of copy':>10}{'CPU us':>8}{'of floor':>10}"
          f"{'peak MB':>9}{'Redis us':>10}{'broker us':>11}   rounds")
    for name, row in found.items():
        for base in KINDS:
            if base in found:
                row[f"of_{base}"] = row["per_second"] / found[base]["per_second"]
        if "floor" in found:
            row["cpu_of_floor"] = row["cpu_us"] / found["floor"]["cpu_us"]
        print(f"{name:8}{row['per_second']:10.0f}{row.get('of_floor', 0):10.2f}"
              f"{row.get('of_copy', 0):10.2f}{row['cpu_us']:8.2f}"
              f"{row.get('cpu_of_floor', 0):10.2f}{row['peak_mb']:9.0f}"
              f"{row['redis_us']:10.2f}{row['broker_us']:11.2f}   "
              + " ".join(f"{r['per_second'] / 1000:.0f}k" for r in rounds[name]), flush=True)
        row["rounds"] = [r["per_second"] for r in rounds[name]]
    if PEERS and "worker" in found:
        best = max(PEERS, key=lambda name: found[name]["per_second"])
        found["worker"]["of_best_peer"] = found["worker"][f"of_{best}"]
        print(f"worker: {found['worker']['of_best_peer']:.2f} of {best}, the fastest peer, "
              "which plans nothing")
    if "worker" in found and mix is MIXES[0]:
        found["claim_bytes"] = claim_bytes(bench, mix)
        print(f"Redis holds a claim in {found['claim_bytes']:.0f} bytes")
    return found


def claim_bytes(bench, mix):
    """What one more claim costs Redis, memory after less memory before."""
    worker = Worker(bench, mix)
    worker.prepare()
    before = bench.cluster.redis().info("memory")["used_memory_dataset"]
    worker.prepare = lambda: None
    measure_backlog(worker)
    after = bench.cluster.redis().info("memory")["used_memory_dataset"]
    return (after - before) / (mix.n - mix.n // 20)


def pace(bench, side, rate, count, first):
    done = subprocess.run(
        [program("pace"), bench.cluster.bootstrap, side.requests, side.results, str(rate),
         str(count), side.mix.text(), str(first)], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    if found["answered"] != count or found["wrong"]:
        raise Impossible(f"{side.name}: {found}")
    return found


def measure_pace(bench, rate, count, title):
    """p50 and p99 of each side in turn, ROUNDS times."""
    rounds = {name: [] for name in SIDES}
    for _ in range(ROUNDS):
        for name in SIDES:
            topic = f"bench-{bench.count + 1}-requests"
            bench.make_topic(topic)
            side = KINDS[name](bench, MIXES[0], topic).start()
            wait_for(f"{name} to be assigned", side.assigned_at, pause=0.01)
            rounds[name].append(pace(bench, side, rate, count, 0))
            side.stop()
            bench.delete_topics([topic])
    found = {name: medians(rounds[name]) for name in SIDES}
    print(f"\n{MIXES[0]}: {title}, medians of {ROUNDS}")
    print(f"{'':8}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}{'p50 of copy':>13}{'p99 of copy':>13}")
    for name, row in found.items():
        for figure in ("p50", "p99"):
            if "copy" in found:
                row[f"{figure}_of_copy"] = row[f"{figure}_ms"] / found["copy"][f"{figure}_ms"]
        print(f"{name:8}{row['p50_ms']:10.2f}{row['p99_ms']:10.2f}{row['max_ms']:10.2f}"
              f"{row.get('p50_of_copy', 0):13.2f}{row.get('p99_of_copy', 0):13.2f}")
    return found


def latency(bench):
    return measure_pace(bench, PACE, PACE * PACE_SECONDS,
                        f"Latency at {PACE} requests a second, open loop")


def lone(bench):
    """One request alone: copy's latency is that of a transaction with one record."""
    return measure_pace(bench, LONE_PACE, LONE_COUNT, "Latency of one lone request")


def distance(bench):
    """The same backlog with Redis farther away: does the pipeline hide it?"""
    mix = MIXES[0]
    bench.fill(mix)
    proxy = bench.spawn([program("delay"), str(bench.cluster.redis_port), str(REDIS_DELAY_MS)],
                        stdout=subprocess.PIPE, text=True)
    url = f"redis://127.0.0.1:{int(proxy.stdout.readline())}/0"
    rounds = {"near": [], "far": []}
    for _ in range(ROUNDS):
        rounds["near"].append(measure_backlog(Worker(bench, mix)))
        rounds["far"].append(measure_backlog(Worker(bench, mix, redis_url=url)))
    found = {name: medians(rounds[name]) for name in rounds}
    found["ratio"] = found["far"]["per_second"] / found["near"]["per_second"]
    print(f"\n{mix}: Redis {REDIS_DELAY_MS} ms away: {found['far']['per_second']:.0f} msgs/s, "
          f"{found['ratio']:.2f} of {found['near']['per_second']:.0f} beside it")
    return found


def workers(bench):
    """The same backlog by groups of workers."""
    mix = MIXES[0]
    bench.fill(mix)
    rounds = {size: [] for size in GROUPS}
    for _ in range(ROUNDS):
        for size in GROUPS:
            rounds[size].append(measure_backlog(Group(bench, mix, size)))
    found = {size: medians(rows) for size, rows in rounds.items()}
    alone = found[GROUPS[0]]["per_second"]
    print(f"\n{mix}: " + "; ".join(
        f"{size} workers {row['per_second']:.0f} msgs/s, {row['per_second'] / alone:.2f} of one"
        for size, row in found.items()), flush=True)
    return found


def start(bench):
    """Exec to ready without the group's join, and memory when idle."""
    topic = f"bench-{bench.count + 1}-requests"
    bench.make_topic(topic)
    times, idle = [], []
    for _ in range(ROUNDS):
        side = Worker(bench, MIXES[0], topic)
        side.prepare()
        side.prepare = lambda: None
        begun = time.time()
        side.start()
        assigned = wait_for("the worker to be assigned", side.assigned_at, pause=0.002)
        times.append((assigned - begun) * 1000)
        time.sleep(2)  # idle is a length of time
        idle.append(memory_mb(side.process.pid, "VmRSS"))
        side.stop()
    found = {"assigned_ms": statistics.median(times), "idle_mb": statistics.median(idle)}
    print(f"\nexec to partitions assigned, join included: {found['assigned_ms']:.0f} ms; "
          f"idle: {found['idle_mb']:.0f} MB")
    return found


def planner(_):
    done = subprocess.run([program("plan_bench"), "--json"], check=True, capture_output=True,
                          text=True)
    found = json.loads(done.stdout)
    print(f"\n{'plan':26}{'us':>12}{'bytes/job':>12}")
    for name, row in found.items():
        print(f"{name:26}{row['us']:12.1f}{row['bytesPerJob']:12.0f}")
    return found


def adapter(bench):
    import adapter as part
    return part.measure(bench, MIXES[0], program, BUILD, ROUNDS)


PARTS = {"throughput": throughput, "latency": latency, "lone": lone, "distance": distance,
         "workers": workers, "start": start, "planner": planner, "adapter": adapter}


def main():
    wanted = os.environ.get("BENCH_PARTS", ",".join(PARTS)).split(",")
    found = {"records": N, "rounds": ROUNDS, "partitions": PARTITIONS}
    with tempfile.TemporaryDirectory(prefix="schedrun-bench-") as directory:
        bench = Bench(directory)
        try:
            for name in wanted:
                found[name] = PARTS[name](bench)
        except Impossible as error:
            print(f"bench: impossible: {error}", file=sys.stderr)
            return 1
        finally:
            bench.close()
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(found, indent=2) + "\n")
    heavy = [f"{row['worker']['peak_mb']:.0f} MB on {mix}"
             for mix, row in found.get("throughput", {}).items()
             if "worker" in row and row["worker"]["peak_mb"] > PEAK_MB]
    if heavy:
        print(f"bench: a worker took {', '.join(heavy)}, more than {PEAK_MB} MB", file=sys.stderr)
    return 1 if heavy else 0


if __name__ == "__main__":
    sys.exit(main())
