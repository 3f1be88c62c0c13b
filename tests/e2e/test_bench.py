"""`make bench` at its smallest: that it measures, and verifies, what today's worker writes."""

import json
import os
import subprocess
import sys

from programs import ROOT

PROGRAMS = [f"build/bench/{name}" for name in ("backlog", "copy", "watch")]


def test_the_bench_verifies_what_it_measures(tmp_path):
    subprocess.run(["make", "-s", *PROGRAMS], cwd=ROOT, check=True)
    out = tmp_path / "results.json"
    bench = subprocess.run(
        [sys.executable, ROOT / "tests/bench/bench.py"], capture_output=True, text=True, timeout=300,
        env={**os.environ, "BENCH_N": "2000", "BENCH_ROUNDS": "1", "BENCH_PARTS": "throughput",
             "BENCH_MIXES": "mix", "BENCH_SIDES": "floor,worker", "BENCH_OUT": str(out)})
    assert bench.returncode == 0, bench.stdout + bench.stderr
    rows = json.loads(out.read_text())["throughput"]["mix"]
    assert rows["worker"]["per_second"] > 0 and rows["floor"]["per_second"] > 0
