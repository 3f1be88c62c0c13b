#!/usr/bin/env python3
"""Cases at the edges of the rules: the last value that is fine, the first that is not.

usage: edges.py PATH/TO/schedrun     exit 0 if each ends as its row says, and model
                                     and program agree byte for byte

A row is a change to one small case: paths with new values, or a raw text in their
place; then the cause that it must lead to, or INVALID.
"""

import copy
import json
import subprocess
import sys

import documents
import model

INVALID = "invalid"
FOLDER = "ri.compass.main.folder."
DATASET = "ri.foundry.main.dataset."
TRANSACTION = "ri.foundry.main.transaction."


def ds(name):
    return DATASET + name


def tx(name):
    return TRANSACTION + name


def dataset(head="1", built=None, **more):
    return {"project": FOLDER + "p", "branches": {"main": {"head": tx(head), **(
        {"built": built} if built else {})}}, **more}


def spec(outputs, inputs, branch="main", **more):
    return {"rid": f"ri.foundry.main.jobspec.{outputs[0]}", "branch": branch,
            "outputs": [ds(o) for o in outputs],
            "inputs": [i if isinstance(i, dict) else ds(i) for i in inputs],
            "logic": "v1", **more}


def pinned(name, branch):
    return {"rid": ds(name), "branch": branch}


BASE = {
    "world": {
        "datasets": {ds("raw"): dataset("raw2"), ds("a"): dataset(), ds("b"): dataset()},
        "jobSpecs": [spec(["a"], ["raw"]), spec(["b"], ["a"])],
        "users": {"ann": {"roles": {FOLDER + "p": "editor"}}},
    },
    "version": {
        "rid": "ri.scheduler.main.schedule-version.1",
        "scheduleRid": "ri.scheduler.main.schedule.1",
        "createdBy": "ann",
        "scopeMode": {"type": "project", "projectRids": [FOLDER + "p"]},
        "action": {"branchName": "main", "target": {"type": "upstream", "targetRids": [ds("b")]}},
    },
    "request": {"requestId": "r-1", "scheduleRid": "ri.scheduler.main.schedule.1",
                "createdTime": "2024-09-25T17:29:35.974Z"},
}
MISSING = object()


class Raw:
    """A JSON text as it is to be sent."""

    def __init__(self, text):
        self.text = text


def put(case, path, value):
    *steps, last = path.split("|")
    for step in steps:
        case = case[int(step) if isinstance(case, list) else step]
    if isinstance(case, list):
        case[int(last)] = value
    elif value is MISSING:
        del case[last]
    else:
        case[last] = value


def line_of(changes):
    """The line that is sent: raw texts are put where their marks stand."""
    case = copy.deepcopy(BASE)
    raws = {}
    for path, value in changes.items():
        if isinstance(value, Raw):
            mark = f"raw-{len(raws)}-raw"
            raws[json.dumps(mark)] = value.text
            value = mark
        put(case, path, value if value is MISSING else copy.deepcopy(value))
    line = documents.canonical(case)
    for mark, text in raws.items():
        line = line.replace(mark, text)
    return line


ID = "request|requestId"
RID = "request|scheduleRid"
TIME = "request|createdTime"
RETRIES = "version|action|retryCount"
TARGET = "version|action|target"
SPECS = "world|jobSpecs"
DATASETS = "world|datasets"
MAIN = f"world|datasets|{ds('a')}|branches|main"
BUILT = f"{MAIN}|built"


def connecting(targets, inputs, ignored=()):
    return {"type": "connecting", "targetRids": [ds(t) for t in targets],
            "inputRids": [ds(i) for i in inputs], "ignoredRids": [ds(i) for i in ignored]}


def ring(n):
    """n jobs that read from each other in a ring, and the target among them."""
    names = [f"c{i:02}" for i in range(n)]
    return {DATASETS: {ds(x): dataset() for x in names},
            SPECS: [spec([x], [names[(i + 1) % n]]) for i, x in enumerate(names)],
            TARGET: {"type": "upstream", "targetRids": [ds(names[n // 2])]}}


def lost(n):
    """n inputs that exist nowhere."""
    return {SPECS: [spec(["b"], [f"lost{i:02}" for i in range(n)])]}


def string_rows():
    for what, text, cause in [
            ("1 byte", "x", "stale"), ("200 bytes", "x" * 200, "stale"),
            ("201 bytes", "x" * 201, INVALID), ("empty", "", INVALID),
            ("100 characters of 2 bytes", "é" * 100, "stale"),
            ("and one more byte", "é" * 100 + "x", INVALID),
            ("50 characters of 4 bytes", "😀" * 50, "stale"),
            ("51 of them", "😀" * 51, INVALID),
            ("more bytes than a message shows, cut in a character", "x" + "é" * 150, INVALID),
            ("U+0000", "a\0b", INVALID), ("U+001F", "a\x1fb", INVALID),
            ("a space", " ", "stale"), ("U+007F", "a\x7fb", INVALID),
            ("U+0080", "a\x80b", "stale"), ("quotes", 'a"b\\c/d', "stale"),
            ("U+2028 and a byte order mark", "\u2028\ufeff", "stale")]:
        yield f"a string: {what}", {ID: text}, cause


def rid_rows():
    for text, cause in [
            ("ri.a.b.c.d", "wrongSchedule"), ("ri.a..c.d", "wrongSchedule"),
            ("ri.a-1.0-.c-.A._-", "wrongSchedule"), ("ri.a.b.c.d.e", "wrongSchedule"),
            ("ri.a.b.c." + "d" * 191, "wrongSchedule"), ("ri.a.b.c." + "d" * 192, INVALID),
            ("ri..b.c.d", INVALID), ("ri.a.b..d", INVALID), ("ri.a.b.c.", INVALID),
            ("ri.a.b.c", INVALID), ("ri.0.b.c.d", INVALID), ("ri.a.-.c.d", INVALID),
            ("ri.a.b.0.d", INVALID), ("ri.A.b.c.d", INVALID), ("ri.a.b.c.d/e", INVALID),
            ("ri.a.b.c.é", INVALID), ("ri.a.b.c.d@e", INVALID), ("ri.a.b.c.d ", INVALID),
            (" ri.a.b.c.d", INVALID), ("rj.a.b.c.d", INVALID), ("ri.a_.b.c.d", INVALID)]:
        yield f"a RID: {text[:40]}", {RID: text}, cause


def number_rows():
    for text, cause in [
            ("0", "stale"), ("2147483647", "stale"), ("2147483648", INVALID), ("-1", INVALID),
            ("1.0", INVALID), ("1e0", INVALID), ("4294967297", INVALID), ("-0", "stale"),
            ("99999999999999999999", INVALID), ("01", INVALID), ("+1", INVALID), ("NaN", INVALID),
            ("true", INVALID), ('"1"', INVALID), ("null", INVALID)]:
        yield f"a number: {text}", {RETRIES: Raw(text)}, cause


def time_rows():
    for text, cause in [
            ("2024-09-25T17:29:35Z", "stale"), ("2024-09-25T17:29:35.1Z", "stale"),
            ("2024-09-25T17:29:35.123456789Z", "stale"),
            ("2024-09-25T17:29:35.1234567890Z", INVALID), ("2024-09-25T17:29:35.Z", INVALID),
            ("2024-09-25T17:29:35,1Z", INVALID), ("2024-09-25T17:29:35", INVALID),
            ("2024-09-25T17:29:35+00:00", INVALID), ("2024-09-25 17:29:35Z", INVALID),
            ("2024-09-25t17:29:35z", INVALID), ("2024-02-29T00:00:00Z", "stale"),
            ("2023-02-29T00:00:00Z", INVALID), ("1900-02-29T00:00:00Z", INVALID),
            ("2000-02-29T00:00:00Z", "stale"), ("2024-04-31T00:00:00Z", INVALID),
            ("2024-13-01T00:00:00Z", INVALID), ("2024-00-01T00:00:00Z", INVALID),
            ("2024-01-00T00:00:00Z", INVALID), ("2024-01-01T24:00:00Z", INVALID),
            ("2024-01-01T23:60:00Z", INVALID), ("2024-01-01T23:59:60Z", INVALID),
            ("9999-12-31T23:59:59Z", "stale"), ("0001-01-01T00:00:00Z", "stale"),
            ("1969-12-31T23:59:59.999Z", "stale"), ("٢٠٢٤-01-01T00:00:00Z", INVALID)]:
        yield f"a time: {text}", {TIME: text}, cause


def null_rows():
    for path, value, cause in [
            (MAIN + "|head", None, "stale"), (MAIN + "|parent", None, "stale"),
            (BUILT, None, "stale"),
            (BUILT, {"logic": "v1", "inputs": {ds("raw"): None}}, "stale"),
            ("version|action|retryBackoffDuration", None, "stale"),
            ("request|scheduleVersionRid", None, "stale"), ("request|createdBy", None, "stale"),
            ("version", None, "scheduleNotFound"), ("world", None, INVALID),
            ("request", None, INVALID), (MAIN, None, INVALID),
            (f"{DATASETS}|{ds('a')}|trashed", None, INVALID),
            (f"{DATASETS}|{ds('a')}|branches", None, INVALID),
            ("world|limits", None, INVALID), ("world|users|ann|active", None, INVALID),
            ("version|paused", None, INVALID), ("version|action|forceBuild", None, INVALID),
            ("version|action|fallbackBranches", None, INVALID),
            ("version|action|target|ignoredRids", None, INVALID),
            (f"{SPECS}|0|staleness", None, INVALID), (BUILT, {"logic": "v1"}, INVALID),
            (BUILT, {"inputs": {}}, INVALID)]:
        yield f"null: {path} = {json.dumps(value)[:40]}", {path: value}, cause


def key_rows():
    for key, cause in [
            ("ri.a.b.c.d", "stale"), ("ri.a.b.c.d@x", "stale"), ("ri.a.b.c.d@x@y", "stale"),
            ("ri.a.b.c.d@" + "x" * 200, "stale"), ("ri.a.b.c.d@" + "x" * 201, INVALID),
            ("ri.a.b.c." + "d" * 191 + "@" + "x" * 200, "stale"),
            ("ri.a.b.c." + "d" * 192 + "@x", INVALID), ("ri.a.b.c.d@", INVALID),
            ("@x", INVALID), ("x", INVALID), ("", INVALID), ("ri.a.b.c.d@\t", INVALID)]:
        yield f"an input key: {key[:40]}", {BUILT: {"logic": "v1", "inputs": {key: None}}}, cause


def shape_rows():
    yield "no output", {SPECS + "|0|outputs": []}, INVALID
    yield "an output twice", {SPECS + "|0|outputs": [ds("a"), ds("a")]}, INVALID
    yield "an input twice", {SPECS + "|0|inputs": [ds("raw"), ds("raw")]}, "stale"
    yield "two specs for an output on a branch", {
        SPECS: [spec(["a"], []), spec(["b", "a"], ["raw"])]}, INVALID
    yield "two specs for an output on two branches", {
        SPECS: [spec(["b"], ["raw"]), spec(["b"], [], "other")]}, "stale"
    yield "a branch that is its own parent", {MAIN + "|parent": "main"}, INVALID
    yield "a parent that does not exist", {MAIN + "|parent": "gone"}, "stale"
    yield "a manual target with ignored datasets", {
        TARGET: {"type": "manual", "targetRids": [ds("b")], "ignoredRids": []}}, INVALID
    yield "an upstream target with inputs", {TARGET + "|inputRids": []}, INVALID
    yield "a target of no type", {TARGET + "|type": MISSING}, INVALID
    yield "a target of another type", {TARGET + "|type": "Manual"}, INVALID
    yield "a user scope with projects", {
        "version|scopeMode": {"type": "user", "projectRids": []}}, INVALID
    yield "a project scope without a list", {"version|scopeMode": {"type": "project"}}, INVALID
    yield "a project scope of no projects", {
        "version|scopeMode": {"type": "project", "projectRids": []}}, "buildDeniedProject"
    yield "a unit of time in capitals", {
        "version|action|retryBackoffDuration": {"unit": "WEEKS", "value": 1}}, "stale"
    yield "a unit of time in small letters", {
        "version|action|retryBackoffDuration": {"unit": "weeks", "value": 1}}, INVALID
    yield "a role that is none", {"world|users|ann|roles": {FOLDER + "p": "admin"}}, INVALID
    yield "an empty world", {"world": {}}, "datasetNotFound"
    for name in ("trigger", "displayName", "description", "createdTime"):
        for text in ('"a\\u0000\\u001f"', "99999999999999999999", "1e999", '""',
                     '{"a":{"b":[1.5,null,"' + "x" * 300 + '"]}}'):
            yield f"{name} is not looked into: {text[:20]}", {f"version|{name}": Raw(text)}, "stale"
        for text in ('{"a":1,"a":2}', '"\\ud800"', "[1,]", "nul"):
            yield f"{name} must be JSON: {text}", {f"version|{name}": Raw(text)}, INVALID


def named(n):
    return {"type": "upstream", "targetRids": [ds("b")],
            "ignoredRids": [ds(f"i{i}") for i in range(n - 1)]}


def limit_rows():
    yield "10,000 datasets named", {TARGET: named(10000)}, "stale"
    yield "10,001 datasets named", {TARGET: named(10001)}, "tooManyNamed"
    yield "10,001 times the same", {
        TARGET: {"type": "manual", "targetRids": [ds("b")] * 10001}}, "tooManyNamed"
    for n, cause in ((16, "stale"), (17, "tooManyBranches")):
        yield f"{n} fallbacks", {
            "version|action|fallbackBranches": [f"f{i}" for i in range(n)]}, cause
    for limit, value, cause in (("maxJobs", 2, "stale"), ("maxJobs", 1, "tooManyJobs"),
                                ("maxJobs", 0, "tooManyJobs"), ("maxInputs", 2, "stale"),
                                ("maxInputs", 1, "tooManyInputs"),
                                ("maxJobs", 2147483647, "stale")):
        yield f"{limit} {value}", {"world|limits": {limit: value}}, cause
    yield "too many jobs and inputs", {
        "world|limits": {"maxJobs": 1, "maxInputs": 1}}, "tooManyJobs"
    for n in (1, 5, 6, 20, 21, 25):
        yield f"{n} offenders", lost(n), "inputNotFound"
        yield f"a cycle of {n}", ring(n), "cycle"


def output_rows():
    both = {"world|jobSpecs|1|outputs": [ds("b"), ds("beside")]}
    yield "an output beside that is none", both, "outputNotFound"
    yield "an output beside in the trash", {
        **both, f"world|datasets|{ds('beside')}": dataset(trashed=True)}, "outputTrashed"
    yield "an output beside", {**both, f"world|datasets|{ds('beside')}": dataset()}, "stale"


def requester_rows():
    yield "an active requester", {"request|createdBy": "ann"}, "stale"
    yield "an inactive requester", {
        "request|createdBy": "ann", "world|users|ann|active": False}, "requesterInactive"


def name_rows():
    """What looks like a template's brace is but a name."""
    yield "an owner called {list}", {
        "version|createdBy": "{list}", "version|scopeMode": {"type": "user"},
        "world|users": {"{list}": {"roles": {FOLDER + "p": "viewer"}}}}, "buildDeniedUser"
    yield "a requester called {user}", {"request|createdBy": "{user}"}, "requesterUnknown"
    yield "a requester called {list}", {
        "request|createdBy": "{list}", "world|users|{list}": {}}, "requesterRole"
    yield "branches called {list}", {
        "version|action|branchName": "{list}", "version|action|fallbackBranches": ["{chain}", "%s"]
    }, "noJobSpec"
    yield "a branch called {list}, no path", {
        "version|action|branchName": "{list}", SPECS: [spec(["b"], [], "{list}")],
        TARGET: connecting(["b"], ["raw"])}, "notConnected"


def selection_rows():
    yield "an input that is ignored: paths start there", {
        TARGET: connecting(["b"], ["a"], ["a"])}, "stale"
    yield "an input that is ignored: none passes through", {
        TARGET: connecting(["b"], ["raw", "a"], ["a"])}, "stale"
    yield "an ignored dataset on the only path", {
        TARGET: connecting(["b"], ["raw"], ["a"])}, "notConnected"
    two = {DATASETS + "|" + ds("a2"): dataset(), SPECS + "|0": spec(["a", "a2"], ["raw"])}
    yield "a path through one output of several", {**two, TARGET: connecting(["b"], ["raw"])}, "stale"
    yield "the other output is ignored", {
        **two, TARGET: connecting(["b"], ["raw"], ["a2"])}, "ignoredOutput"
    yield "pinned to the build branch is an edge", {
        SPECS + "|1": spec(["b"], [pinned("a", "main")]), TARGET: connecting(["b"], ["raw"])}, "stale"
    yield "pinned to another branch is none", {
        SPECS + "|1": spec(["b"], [pinned("a", "other")]),
        TARGET: connecting(["b"], ["raw"])}, "notConnected"
    for a, b in (("a2", "a"), ("a", "a2")):
        yield f"only the spec behind {b} is selected, {a} is claimed by the chain", {
            DATASETS + "|" + ds("a2"): dataset(),
            SPECS: [spec([a], []), spec(["a", "a2"], ["raw"], "old")],
            "version|action|fallbackBranches": ["old"],
            TARGET: {"type": "manual", "targetRids": [ds(b)]}}, "conflictingSpecs"


def branches(**parents):
    return {"project": FOLDER + "p", "branches": {
        name: {} if parent is None else {"parent": parent} for name, parent in parents.items()}}


def branch_rows():
    chain = {"version|action|fallbackBranches": ["x", "y"]}
    for what, parents, cause in [
            ("in order", {"main": "x", "x": "y", "y": None}, "stale"),
            ("one left out", {"main": "y", "y": None}, "stale"),
            ("others between", {"main": "o", "o": "x", "x": "p", "p": "y", "y": None}, "stale"),
            ("the first two swapped", {"main": None, "x": "main"}, "stale"),
            ("the last two swapped", {"main": "y", "y": "x", "x": None}, "branchAncestry"),
            ("swapped, but a parent is missing", {"main": "o", "x": None, "y": "x"}, "stale"),
            ("swapped, the build branch is missing", {"y": None, "x": "o", "o": "y"}, "stale"),
            ("the build branch above its fallback", {"x": "main", "main": "y", "y": "x"}, INVALID)]:
        yield f"ancestry: {what}", {**chain, f"{DATASETS}|{ds('a')}": branches(**parents)}, cause


def never_rows():
    never = {SPECS + "|0": spec(["a"], ["raw"], staleness="never")}
    on_x = {**never, "version|action|fallbackBranches": ["x"],
            f"{DATASETS}|{ds('a')}": branches(x=None)}
    read = {SPECS + "|1": spec(["b"], [pinned("a", "main")])}
    yield "a sync with something to read", never, "stale"
    yield "a sync that won't make the branch that is read", {**on_x, **read}, "inputNoBranch"
    yield "a sync whose fallback is read", on_x, "stale"
    yield "a sync that is forced to", {
        **on_x, **read, "version|action|forceBuild": True}, "stale"
    yield "a sync of which an output has no branch", {
        **on_x, **read, SPECS + "|0": spec(["a", "a2"], [], staleness="never"),
        DATASETS + "|" + ds("a2"): branches()}, "stale"
    yield "an input nobody makes", {f"{DATASETS}|{ds('raw')}": branches()}, "inputNoBranch"


def built(inputs, logic="v1"):
    return {"logic": logic, "inputs": {k: v and tx(v) for k, v in inputs.items()}}


def fresh(a, b=None):
    """Only a's job, with a record of its last build."""
    return {BUILT: built(a), TARGET: {"type": "manual", "targetRids": [ds("a")]}}


def staleness_rows():
    yield "the same data", fresh({ds("raw"): "raw2"}), "upToDate"
    yield "other data", fresh({ds("raw"): "raw1"}), "stale"
    yield "no data then", fresh({ds("raw"): None}), "stale"
    yield "another key for the same data", fresh({ds("raw") + "@main": "raw2"}), "stale"
    yield "a key more", fresh({ds("raw"): "raw2", ds("old"): "1"}), "stale"
    yield "a key less", fresh({}), "stale"
    yield "an output that two branches built", {
        **fresh({ds("raw"): "raw2"}), "version|action|branchName": "dev",
        "version|action|fallbackBranches": ["main"]}, "stale"
    yield "always", {**fresh({ds("raw"): "raw2"}),
                     SPECS + "|0": spec(["a"], ["raw"], staleness="always")}, "stale"
    yield "never", {**fresh({}), SPECS + "|0": spec(["a"], ["raw"], staleness="never")}, "upToDate"


ROWS = [row for make in (string_rows, rid_rows, number_rows, time_rows, null_rows, key_rows,
                         shape_rows, limit_rows, name_rows, selection_rows, branch_rows,
                         never_rows, staleness_rows, output_rows, requester_rows) for row in make()]


def by_model(line):
    try:
        case = documents.read(line)
        outcome = model.plan(case["world"], case["version"], case["request"])
    except model.Invalid:
        return INVALID, INVALID
    return outcome["why"]["cause"], documents.canonical(outcome)


def by_program(program, lines):
    done = subprocess.run([program, "plan", "--jsonl"], check=True, stdout=subprocess.PIPE,
                          input="".join(line + "\n" for line in lines).encode())
    for answer in done.stdout.decode().split("\n")[:-1]:
        yield INVALID if list(json.loads(answer)) == ["invalid"] else answer


def main():
    lines = [line_of(changes) for _, changes, _ in ROWS]
    answers = list(by_program(sys.argv[1], lines))
    assert len(answers) == len(lines), f"{len(answers)} answers to {len(lines)} lines"
    failed = 0
    for (name, _, cause), line, answer in zip(ROWS, lines, answers):
        modelled, outcome = by_model(line)
        if modelled == cause and answer == outcome:
            continue
        failed += 1
        print(f"{name}: must be {cause}\n  model   {outcome[:1000]}\n  program {answer[:1000]}")
    print(f"edges: {len(ROWS) - failed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
