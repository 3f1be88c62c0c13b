"""`schedrun plan` on documents: what it prints, how it ends, what it says is wrong."""

import json
import os
import pty
import random
import re
import resource
import shutil
import subprocess

import pytest
from programs import BUILD, ROOT

SCHEDRUN = str(BUILD / "schedrun")
CASES = {case["name"]: case for case in
         json.loads((ROOT / "tests/golden/planner-cases.json").read_text())}
DOCUMENTS = ("world", "version", "request")


def canonical(node):
    return json.dumps(node, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def write(directory, case):
    for name in DOCUMENTS:
        (directory / name).write_text(json.dumps(case[name]))


def plan(directory, *arguments, stdin=None, **files):
    """`schedrun plan` on the files of a directory, or on others by name."""
    flags = []
    for name in DOCUMENTS:
        flags += [f"--{name}", files.get(name, name)]
    return subprocess.run([SCHEDRUN, "plan", *flags, *arguments], cwd=directory, input=stdin,
                          capture_output=True, text=True, timeout=60)


@pytest.fixture
def documents(tmp_path):
    def make(name):
        write(tmp_path, CASES[name])
        return tmp_path
    return make


@pytest.mark.parametrize("name", ["manual-never-built", "paused-automatic", "cycle",
                                  "schedule-unknown"])
def test_every_outcome_is_exit_0_and_one_line(documents, name):
    done = plan(documents(name))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == canonical(CASES[name]["outcome"]) + "\n"


@pytest.mark.parametrize("which", DOCUMENTS)
def test_each_document_can_come_from_standard_input(documents, which):
    directory = documents("fallback-job-specs-and-inputs")
    text = (directory / which).read_text()
    done = plan(directory, stdin=text, **{which: "-"})
    assert done.stdout == plan(directory).stdout != ""


MALFORMED = [
    ("world", '{"users": {"x": {"actve": true}}}', "$.world.users.x.actve"),
    ("world", '{"datasets": {"nowhere": {}}}', "$.world.datasets.nowhere"),
    ("world", "{", "world: line 1, column 2"),
    ("world", '{"users": {}, "users": {}}', "twice"),
    ("world", "", "empty"),
    ("version", "[]", "$.version"),
    ("request", '{"requestId": "r", "scheduleRid": "ri.a.b.c.d", "createdTime": "yesterday"}',
     "$.request.createdTime"),
]


@pytest.mark.parametrize("which, text, place", MALFORMED)
def test_malformed_documents_are_exit_4_and_name_the_place(documents, which, text, place):
    directory = documents("manual-never-built")
    (directory / which).write_text(text)
    done = plan(directory)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("schedrun: plan: ") and done.stderr.count("\n") == 1
    assert place in done.stderr


def test_a_file_that_is_not_there(documents):
    done = plan(documents("cycle"), world="nowhere.json")
    assert done.returncode == 4 and "nowhere.json: No such file" in done.stderr


USAGE = [
    ["plan"],
    ["plan", "--world", "w"],
    ["plan", "--world", "-", "--version", "-", "--request", "r"],
    ["plan", "--jsonl", "--world", "w", "--version", "v", "--request", "r"],
    ["plan", "--jsonl", "--explain"],
    ["plan", "--jsonl", "--dot"],
    ["plan", "--jsonl", "more"],
    ["plan", "--world", "w", "--version", "v", "--request", "r", "--dot", "--explain"],
    ["plan", "--jsonl", "--pin", "ri.a.b.c.d"],
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage_is_exit_2(arguments):
    done = subprocess.run([SCHEDRUN, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == "" and "schedrun" in done.stderr


def test_help_has_examples():
    done = subprocess.run([SCHEDRUN, "plan", "--help"], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    for word in ("--world", "--jsonl", "--explain", "--dot", "Examples:"):
        assert word in done.stdout


def test_lines_are_answered_one_by_one(documents):
    """The next line is sent only when the one before is answered."""
    case = {name: CASES["cycle"][name] for name in DOCUMENTS}
    lines = [(json.dumps(case), canonical(CASES["cycle"]["outcome"])),
             ("", None), ("[]", None), ('{"world":{}}', None), ("{", "line 1, column 2"),
             ("not JSON \x00 \ufffd", None),
             (json.dumps({**case, "more": 1}), None),
             (json.dumps(case), canonical(CASES["cycle"]["outcome"]))]
    process = subprocess.Popen([SCHEDRUN, "plan", "--jsonl"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    for line, outcome in lines:
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        answer = process.stdout.readline().decode()
        assert answer.endswith("\n")
        if outcome is None:
            assert re.fullmatch(r".+: .+", json.loads(answer)["invalid"]) or line in ("", "[]")
        elif line == "{":
            assert json.loads(answer)["invalid"].startswith(outcome)
        else:
            assert answer == outcome + "\n"
    process.stdin.write(json.dumps(case).encode())  # the last line has no end
    process.stdin.close()
    assert process.stdout.read().decode() == canonical(CASES["cycle"]["outcome"]) + "\n"
    assert process.wait(10) == 0


def test_input_that_cannot_be_read_is_no_end(tmp_path):
    directory = os.open(tmp_path, os.O_RDONLY)
    done = subprocess.run([SCHEDRUN, "plan", "--jsonl"], stdin=directory, capture_output=True,
                          text=True, timeout=60)
    os.close(directory)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "schedrun: plan: standard input: Is a directory\n"


def test_output_that_is_lost_is_said(documents):
    with open("/dev/full", "w") as full:
        done = subprocess.run([SCHEDRUN, "plan", "--world", "world", "--version", "version",
                               "--request", "request"], cwd=documents("cycle"), stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode != 0 and "No space left" in done.stderr


def on_terminal(directory, environment):
    """What --explain prints when standard output is a terminal."""
    main, sub = pty.openpty()
    subprocess.run([SCHEDRUN, "plan", "--world", "world", "--version", "version", "--request",
                    "request", "--explain"], cwd=directory, stdout=sub, check=True, timeout=60,
                   env={**os.environ, **environment})
    os.close(sub)
    printed = b""
    try:
        while piece := os.read(main, 65536):
            printed += piece
    except OSError:  # Linux's end of a terminal whose other side is closed
        pass
    os.close(main)
    return printed.decode().replace("\r\n", "\n")


def test_colours_are_for_terminals_that_want_them(documents):
    directory = documents("fallback-job-specs-and-inputs")
    plain = plan(directory, "--explain").stdout
    assert "\033" not in plain
    coloured = on_terminal(directory, {"NO_COLOR": ""})
    assert "\033[" in coloured and re.sub("\033\\[[0-9]*m", "", coloured) == plain
    assert on_terminal(directory, {"NO_COLOR": "1"}) == plain


EXPLAINED = [
    ("fallback-job-specs-and-inputs",
     ["submitted: 3 of 3 jobs run", "on branch feature, falling back to master",
      "0  ri.foundry.main.dataset.a (new branch off master)", "never built: ",
      "by the job spec of branch master", "after 0"]),
    ("new-logic", ["new logic: v1 -> v2, of ri.foundry.main.dataset.a"]),
    ("upstream-propagates", ["inputs changed: ri.foundry.main.dataset.raw",
                             "upstream runs: ri.foundry.main.dataset.b", "after 1"]),
    ("upstream-force", ["forced"]),
    ("always-stale", ["always stale"]),
    ("user-scope-prunes-upstream", ["kept out by the scope (1):", "ri.foundry.main.dataset.a"]),
    ("connecting-ignored-closes-path", ["targets dropped (1):"]),
    ("manual-up-to-date", ["ignored (upToDate): 1 job is up to date", "targets up to date (1):"]),
    ("cycle", ["error CyclicDependency (cycle, phase 8)", "3 job specs form a cycle: ",
               "offenders (3):"]),
    ("paused-automatic", ["ignored (paused)"]),
]


@pytest.mark.parametrize("name, words", EXPLAINED)
def test_a_plan_explained(documents, name, words):
    done = plan(documents(name), "--explain")
    assert done.returncode == 0
    at = 0
    for word in words:  # in this order
        found = done.stdout.find(word, at)
        assert found >= 0, f"{word!r} is not in\n{done.stdout[at:]}"
        at = found


@pytest.mark.parametrize("name", ["manual-never-built", "no-fallback-no-spec"])
def test_names_that_a_terminal_would_obey(documents, name):
    """A document may name a branch so; only --explain and --dot are for terminals."""
    directory = documents(name)
    branch = CASES[name]["version"]["action"]["branchName"]
    for which in DOCUMENTS:
        path = directory / which
        path.write_text(path.read_text().replace(f'"{branch}"', '"\\u009b31mred\\u0085"'))
    assert "\u009b31mred" in plan(directory).stdout
    for view in ("--explain", "--dot"):
        done = plan(directory, view)
        assert done.returncode == 0
        assert not any(0x7f <= ord(c) < 0xa0 for c in done.stdout)
    assert "?31mred?" in plan(directory, "--explain").stdout
    (directory / "version").write_text('{"\u009b31mred": 1}')
    done = plan(directory)
    assert done.returncode == 4 and "\\x9b31mred" in done.stderr


def taken_by_graphviz(text):
    if shutil.which("dot"):  # the judge, where it is installed
        subprocess.run(["dot", "-Tsvg"], input=text, text=True, check=True,
                       stdout=subprocess.DEVNULL, timeout=60)


def processor_time(line):
    """Seconds of its own that the program takes to answer the line."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([SCHEDRUN, "plan", "--jsonl"], input=line, text=True, check=True,
                          stdout=subprocess.PIPE, timeout=60)
    assert '"type":"submitted"' in done.stdout
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def test_many_targets_of_one_job_cost_no_more_than_one():
    """A job of 50,000 outputs, looked at once and not once for each of its targets."""
    case = {name: json.loads(json.dumps(CASES["manual-never-built"][name])) for name in DOCUMENTS}
    names = [f"ri.foundry.main.dataset.o{i:05}" for i in range(50000)]
    datasets = case["world"]["datasets"]
    datasets.update((name, datasets["ri.foundry.main.dataset.a"]) for name in names)
    case["world"]["jobSpecs"][0]["outputs"] = names
    seconds = []
    for n in (1, 10000):
        case["version"]["action"]["target"]["targetRids"] = names[:n]
        seconds.append(processor_time(json.dumps(case) + "\n"))
    assert seconds[1] < 4 * seconds[0] + 0.1, seconds


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 32, 33, 1000])
def test_a_job_that_reads_many(n):
    """Inputs are looked up several at a time: none is lost or mixed up at the seams."""
    case = {name: json.loads(json.dumps(CASES["manual-never-built"][name])) for name in DOCUMENTS}
    names = [f"ri.foundry.main.dataset.i{i:04}" for i in range(n)]
    project = case["world"]["datasets"]["ri.foundry.main.dataset.a"]["project"]
    for i, name in enumerate(names):
        case["world"]["datasets"][name] = {"project": project, "branches": {
            branch: {"head": f"ri.foundry.main.transaction.{branch}-{i}"}
            for branch in ("master", "stable")}}
    case["world"]["jobSpecs"][0]["inputs"] = [
        {"rid": name, "branch": "stable"} if i % 3 == 0 else name
        for i, name in reversed(list(enumerate(names)))]
    done = subprocess.run([SCHEDRUN, "plan", "--jsonl"], input=json.dumps(case) + "\n", text=True,
                          check=True, stdout=subprocess.PIPE, timeout=60)
    branches = ["stable" if i % 3 == 0 else "master" for i in range(n)]
    assert json.loads(done.stdout)["build"]["jobs"][0]["inputs"] == [
        {"rid": name, "branch": branch, "transaction": f"ri.foundry.main.transaction.{branch}-{i}"}
        for i, (name, branch) in enumerate(zip(names, branches))]


def ordered(reads):
    """Of the jobs whose producers are all done the one with the smallest key, again and again."""
    waits = {name: set(producers) for name, producers in reads.items()}
    order = []
    while waits:
        order.append(min((n for n in waits if not waits[n]), key=lambda n: n.encode()))
        del waits[order[-1]]
        for producers in waits.values():
            producers.discard(order[-1])
    return order


@pytest.mark.parametrize("seed", range(12))
def test_build_order(seed):
    """Keys that begin alike or end early; ready all at once, one by one, mixed."""
    dice = random.Random(seed)
    case = {name: json.loads(json.dumps(CASES["manual-never-built"][name])) for name in DOCUMENTS}
    start = "ri.foundry.main.dataset.x" + "x" * dice.choice([0, 1, 30])
    names = sorted({start + "".join(dice.choices("ab0Z-._", k=dice.choice([1, 2, 7, 8, 9, 20])))
                    for _ in range(200)})
    dice.shuffle(names)
    width = dice.choice([0, 1, 3])
    reads = {name: sorted(set(dice.choices(names[:i], k=width)) if i > 0 else [])
             for i, name in enumerate(names)}
    world = case["world"]
    dataset = world["datasets"]["ri.foundry.main.dataset.a"]
    world["datasets"].update((name, dataset) for name in names)
    world["jobSpecs"] = [{"rid": f"ri.foundry.main.jobspec.{i}", "branch": "master", "logic": "v1",
                          "inputs": inputs, "outputs": [name]}
                         for i, (name, inputs) in enumerate(reads.items())]
    case["version"]["action"]["target"].update(type="upstream", targetRids=names)
    done = subprocess.run([SCHEDRUN, "plan", "--jsonl"], input=json.dumps(case) + "\n", text=True,
                          check=True, stdout=subprocess.PIPE, timeout=60)
    jobs = json.loads(done.stdout)["build"]["jobs"]
    assert [job["outputs"][0]["rid"] for job in jobs] == ordered(reads)


STATEMENT = re.compile(r'  (j\d+ -> j\d+|j\d+ \[label="([^"\\]|\\.)*"\]|rankdir=LR'
                       r'|node \[shape=box\]|label="([^"\\]|\\.)*");')


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if "invalid" not in c["outcome"]])
def test_a_graph(documents, name):
    done = plan(documents(name), "--dot")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and lines[0] == "digraph build {" and lines[-1] == "}"
    for line in lines[1:-1]:
        assert STATEMENT.fullmatch(line), line
    jobs = CASES[name]["outcome"].get("build", {"jobs": []})["jobs"]
    edges = {tuple(map(int, e)) for e in re.findall(r"j(\d+) -> j(\d+);", done.stdout)}
    ring = CASES[name]["outcome"]["why"].get("offenders", {"first": []})["first"] \
        if CASES[name]["outcome"]["why"]["cause"] == "cycle" else []
    assert edges == {(d, i) for i, job in enumerate(jobs) for d in job["dependsOn"]} | \
        {((i + 1) % len(ring), i) for i in range(len(ring))}
    assert done.stdout.count("[label=") == len(jobs) + len(ring)
    taken_by_graphviz(done.stdout)


def test_a_long_cycle_is_drawn_from_its_start(documents):
    """Job a0 reads a1 ... reads a24 reads a0: 20 jobs and a node for the rest."""
    directory = documents("cycle-of-one")
    case = json.loads(json.dumps(CASES["cycle-of-one"]))
    names = [f"ri.foundry.main.dataset.a{i:02}" for i in range(25)]
    a = case["world"]["datasets"]["ri.foundry.main.dataset.a"]
    case["world"]["datasets"] = {name: a for name in names}
    case["world"]["jobSpecs"] = [
        {**case["world"]["jobSpecs"][0], "outputs": [name], "inputs": [names[(i + 1) % 25]]}
        for i, name in enumerate(names)]
    case["version"]["action"]["target"] = {"type": "upstream", "targetRids": [names[7]]}
    write(directory, case)
    drawn = plan(directory, "--dot").stdout
    assert drawn.count("[label=") == 21 and 'j20 [label="5 more"];' in drawn
    edges = re.findall(r"j(\d+) -> j(\d+);", drawn)
    assert sorted((int(a), int(b)) for a, b in edges) == sorted(
        ((i + 1) % 21, i) for i in range(21))
    taken_by_graphviz(drawn)
