#!/usr/bin/env python3
"""Plans random worlds with the model and with `schedrun plan --jsonl`.

usage: differential.py PROGRAM [--worlds N] [--seed S] [--most DATASETS]
                       [--keep DIRECTORY]

Every answer must be the same byte for byte; a malformed document must be
malformed to both.  Prints how often each cause came up, and the first
differences; exit 0 if there are none.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys

import documents
import model
import worlds


def expect(line):
    try:
        case = documents.read(line)
        model.keys(case, "line", "world version request")
        outcome = model.plan(case["world"], case["version"], case["request"])
    except model.Invalid as error:
        return None, str(error)
    return documents.canonical(outcome), outcome["why"]["cause"]


class Program:
    def __init__(self, path):
        self.process = subprocess.Popen(
            [path, "plan", "--jsonl"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def answer(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().rstrip("\n")


def is_same(expected, answer):
    if expected is None:
        try:
            return list(json.loads(answer)) == ["invalid"]
        except ValueError:
            return False
    return expected == answer


def compare(arguments):
    program = Program(arguments.program)
    causes = collections.Counter()
    differences = 0
    for i in range(arguments.worlds):
        seed = arguments.seed + i
        line = worlds.make_line(seed, arguments.most)
        expected, cause = expect(line)
        answer = program.answer(line)
        causes["invalid" if expected is None else cause] += 1
        if is_same(expected, answer):
            continue
        differences += 1
        if differences <= 20:
            print(f"seed {seed}: {cause}")
            print(f"  expected {str(expected)[:2000]}")
            print(f"  got      {answer[:2000]}", flush=True)
        if arguments.keep:
            path = pathlib.Path(arguments.keep) / f"{seed}.json"
            path.write_text(line + "\n")
    program.process.stdin.close()
    return causes, differences, program.process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=2000)
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    causes, differences, code = compare(arguments)
    for cause, n in causes.most_common():
        print(f"{n:8} {cause}")
    print(f"differential: {arguments.worlds - differences} passed, {differences} failed")
    return 0 if differences == 0 and code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
