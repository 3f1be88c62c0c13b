"""`make minutes`: schedules that are due each minute, fired by one trigger: how late, at
what cost; and what a trigger costs that has nothing to do.

SCHEDULES=1000000 of them, for MINUTES=3.  They are stored as `apply` stores them,
copies of one that it has stored: it would take longer than all the rest.
"""

import json
import os
import pathlib
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import catalogues  # noqa: E402
import checker  # noqa: E402
from cluster import Cluster  # noqa: E402
from programs import System, wait_for  # noqa: E402

SCHEDULES, MINUTES = (int(os.environ.get(name) or default) for name, default in (
    ("SCHEDULES", 1_000_000), ("MINUTES", 3)))
IDLE_S = 30
TOPIC = "schedule-run-requests"
PIECE = 20_000


def cpu(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process):
    return int(pathlib.Path(f"/proc/{process.pid}/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024


def catalogue():
    made = catalogues.many(1, name=lambda _: "model")
    made["schedules"][0]["versions"][0]["trigger"] = {
        "type": "time", "cronExpression": "* * * * *", "timeZone": "Europe/Berlin"}
    return made


def copy_model(store):
    """As many as are wanted, of the one that is there."""
    rid, version = catalogues.schedule_rid("model"), catalogues.version_rid("model")
    stored = {key: store.hget(f"schedrun:{key}", rid).decode() for key in "si"}
    stored["v"] = store.hget("schedrun:v", version).decode()
    for first in range(1, SCHEDULES, PIECE):
        pipe = store.pipeline(transaction=False)
        names = [f"{i:08x}-0000-4000-8000-000000000000" for i in range(first, min(first + PIECE, SCHEDULES))]
        for key, of in (("s", catalogues.schedule_rid), ("i", catalogues.schedule_rid), ("v", catalogues.version_rid)):
            pipe.hset(f"schedrun:{key}", mapping={
                of(name): stored[key].replace(rid, of(name) if key != "v" else catalogues.schedule_rid(name)).replace(
                    version, catalogues.version_rid(name)) for name in names})
        pipe.execute()
    store.set("schedrun:e", "another")


def sent(system):
    while True:
        try:
            return sum(end for _, end in checker.log_ends(system.bootstrap, TOPIC).values())
        except Exception as error:  # a broker that is busy says this and that
            print("asked again:", error)


def histogram(trigger):
    """Upper bound in seconds -> how many were not later."""
    lines = [line for line in trigger.admin("/metrics")[1].splitlines()
             if line.startswith("schedrun_trigger_lateness_seconds_bucket")]
    return {line.partition('le="')[2].partition('"')[0]: float(line.split()[-1]) for line in lines}


def idle(system):
    trigger = system.trigger("idle").wait_ready()
    time.sleep(2)  # what it does at its start is not meant
    before = cpu(trigger.process)
    time.sleep(IDLE_S)
    print(f"idle: {(cpu(trigger.process) - before) / IDLE_S:.2%} of a core, {resident(trigger.process):.0f} MB", flush=True)
    trigger.stop()


def fire(system):
    cluster = system.cluster
    began = time.monotonic()
    trigger = system.trigger().wait_ready(600)
    print(f"{SCHEDULES:,} schedules known after {time.monotonic() - began:.0f} s, "
          f"{resident(trigger.process):.0f} MB", flush=True)
    wait_for("the first minute", lambda: sent(system) >= SCHEDULES, 600, 0.5)
    for _ in range(MINUTES):
        start = sent(system) // SCHEDULES + 1
        minute = time.time() // 60 * 60 + 60
        time.sleep(max(0, minute - time.time()))
        before = [cpu(process) for process in (trigger.process, cluster.redis_process, cluster.kafka_process)]
        wait_for("all of a minute to be sent", lambda: sent(system) >= start * SCHEDULES, 600, 0.5)
        took = time.time() - minute
        costs = [cpu(process) - was for process, was in zip(
            (trigger.process, cluster.redis_process, cluster.kafka_process), before)]
        print(f"{SCHEDULES:,} fired within {took:.1f} s; CPU: trigger {costs[0]:.1f} s, "
              f"Redis {costs[1]:.1f} s, Kafka {costs[2]:.1f} s", flush=True)
    print("lateness:", json.dumps(histogram(trigger)))


def main():
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(pathlib.Path(folder)).start()
        system = System(cluster, pathlib.Path(folder))
        try:
            system.init(partitions=12)
            system.apply(catalogue())
            idle(system)
            copy_model(cluster.redis())
            fire(system)
        finally:
            system.stop()
            cluster.stop()


main()
