#!/usr/bin/python3
"""Brings the faults of docs/faults.md, section 1, about, a table's row for each.

usage: chaos.py [--long]      the starred rows; --long: all
       ONLY=9,43  these rows   SEED=7  its timetables again   LANES=1  so many side by side

A row has passed if what the checker counts is 0, something was injected, and what the
row's tests ask for beyond that holds.  What fails is kept in .run/chaos-SEED/.
"""

import os
import pathlib
import random
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEED = os.environ.setdefault("SEED", str(random.randrange(10 ** 6)))
EVIDENCE = pathlib.Path(os.environ.setdefault("CHAOS_EVIDENCE", str(ROOT / ".run" / f"chaos-{SEED}")))
HERE, E2E = ROOT / "tests" / "chaos", ROOT / "tests" / "e2e"
# Also for pytest's own processes, one a lane.
os.environ["PYTHONPATH"] = f"{HERE}:{E2E}"
sys.path[:0] = [str(HERE), str(E2E)]
sys.dont_write_bytecode = True

import pytest  # noqa: E402
from rows import ROWS  # noqa: E402

COLUMNS = "row  injected  requests  lost doubled  torn order   ids offsets other  recovery  fault"


class Table:
    """Takes the tests' reports, prints a row when all of its are there."""

    def __init__(self, rows):
        self.waiting = {row.number: set(row.tests) for row in rows}
        self.rows = {row.number: row for row in rows}
        self.told = {row.number: [] for row in rows}
        self.state = {}  # row -> passed, FAILED or why it was not run
        self.reports = []

    def pytest_runtest_logreport(self, report):
        test = report.nodeid.split("/")[-1]
        if report.when == "teardown":
            for number, tests in self.waiting.items():
                if test in tests:
                    tests.discard(test)
                    if not tests:
                        self.end(number)
            return
        if report.failed:
            self.reports.append(report)
        for number, row in self.rows.items():
            if test not in row.tests:
                continue
            self.told[number] += [dict(value, test=test) for name, value in report.user_properties if name == "chaos"]
            if report.skipped:
                self.state[number] = f"NOT RUN: {report.longrepr[2].removeprefix('Skipped: ')}"
            elif report.failed:
                self.state[number] = "FAILED"

    def end(self, number):
        told = self.told[number]
        for one in told:
            if not one["injected"]:
                self.state.setdefault(number, f"FAILED: {one['test']} has injected nothing")
            if any(one["counts"].values()):
                self.state.setdefault(number, "FAILED")
        state = self.state.setdefault(number, "passed")
        count = lambda *kinds: sum(one["counts"].get(kind, 0) for one in told for kind in kinds)  # noqa: E731
        recovered = [one["recovered"] for one in told if one["recovered"] is not None]
        print(f"{number:3}  {sum(one['injected'] for one in told):8}  {sum(one['requests'] for one in told):8}  "
              f"{count('lost'):4} {count('doubled'):7}  {count('torn'):4} {count('order'):5} {count('ids'):5} "
              f"{count('offsets'):7} {count('fields', 'foreign'):5}  "
              + (f"{max(recovered):6.1f} s" if recovered else "       –")
              + f"  {self.rows[number].fault}: {state}"
              + "".join(f"; {remark}" for one in told for remark in one["remarks"]), flush=True)


def chosen():
    only = {int(number) for number in os.environ.get("ONLY", "").split(",") if number}
    unknown = only - {row.number for row in ROWS}
    if unknown:
        sys.exit(f"chaos: no such rows: {sorted(unknown)}")
    return [row for row in ROWS if (row.number in only if only else row.starred or "--long" in sys.argv)]


def main():
    rows = chosen()
    table = Table(rows)
    tests = list(dict.fromkeys(str(E2E / test) for row in rows for test in row.tests))
    lanes = os.environ.get("LANES", "2")
    begun = time.monotonic()
    print(f"seed {SEED} (SEED={SEED} repeats it), {len(rows)} rows, {len(tests)} tests in {lanes} lanes, "
          f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n\n{COLUMNS}", flush=True)
    code = pytest.main(["-p", "no:cacheprovider", "-p", "no:terminal", "-p", "recorder", "-n", lanes,
                        "--maxschedchunk=1", *tests], plugins=[table])
    for number in table.rows:
        if number not in table.state:
            table.state[number] = "FAILED: its tests did not end"
            print(f"{number:3}  {table.rows[number].fault}: {table.state[number]}")
    for report in table.reports:
        print(f"\n== {report.nodeid.split('/')[-1]}\n{report.longreprtext[-3000:]}")
    passed = sum(state == "passed" for state in table.state.values())
    if passed < len(rows):
        print(f"\nevidence, if any, in {EVIDENCE}")
    print(f"\nseed {SEED}, {time.monotonic() - begun:.0f} s"
          f"\n{passed} passed, {len(rows) - passed} failed", flush=True)
    sys.exit(0 if passed == len(rows) and code in (0, 1) else 1)


if __name__ == "__main__":
    main()
