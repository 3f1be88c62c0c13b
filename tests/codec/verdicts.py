#!/usr/bin/env python3
"""Holds our codec against Apache Avro for Java over a corpus of records.

usage: verdicts.py PROGRAM [VERDICTS]
       verdicts.py --dump FILE [--cases N] [--seed S]

PROGRAM is build/verdict; VERDICTS are Java's (java-verdicts.txt, made as
JavaVerdicts.java says).  What we accept Java accepts, with the same values in
the same fields; whole records we accept if and only if Java does.  Broken ones
we may refuse where Java does not look (a boolean of 2, a block's false size).
Closes with "N passed, M failed".
"""

import argparse
import collections
import pathlib
import subprocess
import sys

import corpus

HERE = pathlib.Path(__file__).parent


def lines_of(cases):
    return [f"{kind}\t{schema}\t{body.hex()}" for kind, schema, body, _ in cases]


def ask(program, lines):
    done = subprocess.run(
        [program],
        input="\n".join(lines) + "\n",
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def fault(ours, java, is_whole):
    """What is wrong with our answer; None if it is right."""
    if ours.startswith("ok"):
        return None if ours == java else "we accept it otherwise"
    if is_whole and java.startswith("ok"):
        return "we refuse a whole record"
    return None


def compare(program, verdicts, cases):
    ours = ask(program, lines_of(cases))
    java = pathlib.Path(verdicts).read_text().splitlines()
    counts = collections.Counter()
    failed = 0
    for case, our, their in zip(cases, ours, java, strict=True):
        counts[our.split()[0], "ok" if their.startswith("ok") else "no"] += 1
        what = fault(our, their, case[3])
        if what:
            failed += 1
            print(f"{what}: {case[:2]} {case[2].hex()}\n  {our}\n  {their}")
    for (our, their), n in sorted(counts.items()):
        print(f"  ours {our}, Java {their}: {n}")
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?")
    parser.add_argument("verdicts", nargs="?", default=HERE / "java-verdicts.txt")
    parser.add_argument("--cases", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--dump")
    arguments = parser.parse_args()
    cases = list(corpus.cases(arguments.cases, arguments.seed))
    if arguments.dump:
        pathlib.Path(arguments.dump).write_text("\n".join(lines_of(cases)) + "\n")
        return 0
    failed = compare(arguments.program, arguments.verdicts, cases)
    print(f"codec: {len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
