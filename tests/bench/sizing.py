"""`make sizing`: what things take: a schedule, a request and a run in Redis, a request
in each topic, the daemons' memory.  Prints the rows of docs/sizing.md.  SIZING_N
requests (200000) of SIZING_SCHEDULES schedules (10000).
"""

import json
import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import catalogues  # noqa: E402
from cluster import Cluster  # noqa: E402
from programs import System, wait_for  # noqa: E402

N = int(os.environ.get("SIZING_N", 200000))
SCHEDULES = int(os.environ.get("SIZING_SCHEDULES", 10000))


def used(cluster):
    """Bytes that Redis holds for its values, once what it has freed is given back."""
    store = cluster.redis()
    store.execute_command("MEMORY", "PURGE")
    return store.info("memory")["used_memory_dataset"]


def resident(daemon):
    text = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def log_bytes(cluster, topic):
    folders = [path for path in pathlib.Path(cluster.directory).rglob(f"{topic}-*") if path.is_dir()]
    sizes = [path.stat().st_size for folder in folders
             if folder.name.removeprefix(f"{topic}-").isdigit() for path in folder.glob("*.log")]
    assert sizes, topic
    return sum(sizes)


def row(what, figure):
    print(f"| {what} | {figure} |", flush=True)


def measure(system):
    cluster = system.cluster
    system.init(6)
    empty = used(cluster)
    names = [f"{i:08x}-0000-4000-8000-{i:012x}" for i in range(SCHEDULES)]
    system.apply(catalogues.many(SCHEDULES, names.__getitem__))
    applied = used(cluster)
    row("a schedule with its version, dataset, job spec", f"{(applied - empty) / SCHEDULES:,.0f} bytes of Redis")
    trigger = system.trigger()
    trigger.wait_ready()
    row(f"a trigger beside {SCHEDULES:,} schedules, none due by time", f"{resident(trigger):.0f} MB")
    builder = system.builder("/bin/true")
    builder.wait_ready()
    row("a builder", f"{resident(builder):.0f} MB")
    builder.stop()
    worker = system.worker()
    worker.wait_ready()
    row("a worker that waits", f"{resident(worker):.0f} MB")
    lines = "".join(json.dumps({"scheduleRid": catalogues.schedule_rid(names[i % SCHEDULES])}) + "\n" for i in range(N))
    (system.directory / "requests.jsonl").write_text(lines)
    system.must("submit", "-f", system.directory / "requests.jsonl", timeout=600)
    system.wait_drained(600)
    claimed = used(cluster)
    row("a request's claim, for one to two times `dedup.ttl`", f"{(claimed - applied) / N:,.0f} bytes of Redis")
    row(f"a worker that has answered {N:,} requests of {SCHEDULES:,} schedules", f"{resident(worker):.0f} MB")
    adapter = system.folder()
    wait_for("the adapter to have folded all", lambda: adapter.is_ready() and
             adapter.metric("schedrun_run_view_lag_records") == 0, 600, 0.5)
    row("a run of the run view with its build, for `view.ttl`", f"{(used(cluster) - claimed) / N:,.0f} bytes of Redis")
    row(f"an adapter that has folded {N:,} runs", f"{resident(adapter):.0f} MB")
    for topic in ("schedule-run-requests", "schedule-run-results", "schedule-builds"):
        row(f"a request in `{topic}`", f"{log_bytes(cluster, topic) / N:,.0f} bytes of disk, for each replica")


def main():
    with tempfile.TemporaryDirectory() as folder:
        system = System(Cluster(pathlib.Path(folder) / "cluster").start(), folder)
        try:
            measure(system)
        finally:
            system.stop()
            system.cluster.stop()


main()
