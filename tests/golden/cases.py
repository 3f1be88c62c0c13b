#!/usr/bin/env python3
"""Runs the golden cases through the model and through `schedrun plan --jsonl`.

usage: cases.py PATH/TO/schedrun     exit 0 if every outcome is the same byte
                                     for byte
"""

import json
import pathlib
import subprocess
import sys

import documents
import model

CASES = pathlib.Path(__file__).with_name("planner-cases.json")


def by_model(case):
    try:
        outcome = model.plan(case["world"], case["version"], case["request"])
    except model.Invalid:
        outcome = {"invalid": True}
    return documents.canonical(outcome)


def by_program(program, cases):
    lines = "".join(
        json.dumps({k: case[k] for k in ("world", "version", "request")}) + "\n"
        for case in cases
    )
    done = subprocess.run(
        [program, "plan", "--jsonl"],
        input=lines.encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    answers = done.stdout.decode().splitlines()
    return [
        '{"invalid":true}' if a.startswith('{"invalid":') else a for a in answers
    ]


def main():
    cases = json.loads(CASES.read_text())
    failed = 0
    answers = by_program(sys.argv[1], cases) if len(sys.argv) > 1 else []
    for i, case in enumerate(cases):
        expected = documents.canonical(case["outcome"])
        sides = {"model": by_model(case)}
        if answers:
            sides["program"] = answers[i]
        for side, outcome in sides.items():
            if outcome != expected:
                failed += 1
                print(f"{case['name']}: {side}")
                print(f"  expected {expected}\n  got      {outcome}")
    print(f"golden: {len(cases) - failed} passed, {failed} failed")
    return 0 if failed == 0 and len(answers) in (0, len(cases)) else 1


if __name__ == "__main__":
    sys.exit(main())
