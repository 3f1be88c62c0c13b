"""`make instructions`: what a request of each mix costs the worker in instructions,
counted by valgrind: much the same on a quiet machine and on a busy one.

The worker's own code, hiredis and libcrypto are held against the committed figure
(instructions.json), libc and librdkafka, whose threads turn as the clock goes, are
told only.  What each function costs: callgrind_annotate build/bench/mix.callgrind.
Exit 1: over 6 % more or less.  By environment:
  BENCH_MIXES  of mix,once,repeat,wide,connecting  (mix,once)
  RECORD=1     writes what was counted to instructions.json
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import bench
import checker
import mixes
from programs import wait_for

FIGURES = pathlib.Path(__file__).with_suffix(".json")
# Warm enough that which batch a request is of hardly matters: a plan is kept from the second time on.
WARM, N = 80000, 10000
HELD = ("schedrun-worker", "hiredis", "crypto")
WITHIN = 0.06


class Valgrind(bench.Worker):
    def command(self):
        return ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no",
                f"--callgrind-out-file={self.counted}", *super().command()]

    @property
    def counted(self):
        return bench.BUILD / "bench" / f"{self.mix}.callgrind"


def by_object(path):
    """{object: instructions in its own code}"""
    names, found, at, inclusive = {}, collections.Counter(), None, False
    for line in path.read_text().splitlines():
        name = re.match(r"(c?ob)=(\(\d+\))(?: (.*))?", line)
        if name:
            if name[3]:
                names[name[2]] = pathlib.Path(name[3]).name
            if name[1] == "ob":
                at = names[name[2]]
        elif line.startswith("calls="):
            inclusive = True  # the next line is what the called ones cost
        elif re.match(r"[-+*\d]", line):
            if not inclusive:
                found[at] += int(line.split()[1])
            inclusive = False
    return found


def control(side, *arguments):
    subprocess.run(["callgrind_control", *arguments, str(side.process.pid)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ask(side, first, end):
    subprocess.run([bench.program("backlog"), side.bench.cluster.bootstrap, side.requests,
                    str(end), side.mix.text(), str(first)], check=True)
    wait_for("the requests to be processed", lambda: checker.lag(
        side.bench.cluster.bootstrap, side.name, side.requests) == 0, 300, 0.2)


def count(on, mix):
    on.make_topic(mix.topic)
    side = Valgrind(on, mix).start()
    wait_for(f"{side.name} to be assigned", side.assigned_at, 120)
    ask(side, 0, WARM)
    control(side, "-i", "on")
    ask(side, WARM, WARM + N)
    control(side, "-i", "off")
    side.stop()
    found = collections.Counter()
    for name, instructions in by_object(side.counted).items():
        found[re.sub(r"^lib|[.]so.*", "", name or "?")] += instructions / N
    return found


def main():
    wanted = os.environ.get("BENCH_MIXES", "mix,once").split(",")
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    bad = 0
    with tempfile.TemporaryDirectory(prefix="schedrun-instructions-") as directory:
        on = bench.Bench(directory)
        try:
            for name in wanted:
                found = count(on, mixes.of(name, WARM + N))
                held = sum(found[part] for part in HELD)
                was = known.get(name, held)
                known[name] = round(held)
                bad += abs(held / was - 1) > WITHIN
                print(f"{name}: {held:.0f} instructions a request, {held / was:.3f} of {was}: "
                      + ", ".join(f"{part} {n:.0f}" for part, n in found.most_common(6)), flush=True)
        finally:
            on.close()
    if os.environ.get("RECORD"):
        FIGURES.write_text(json.dumps(known, indent=1) + "\n")
    elif bad:
        print(f"instructions: {bad} differ by over {WITHIN:.0%}; if they should: "
              "RECORD=1 make instructions", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
