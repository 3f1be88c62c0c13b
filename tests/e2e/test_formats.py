"""What docs/ lists of the programs is all there is: the samples of docs/formats.md, each
loaded and shown as it is; keys, log events, reasons, causes of the other papers."""

import json
import re
import shutil
import subprocess

import pytest
import requests
import openapi
from cluster import free_ports
from programs import BUILD, ROOT, wait_for

SAMPLES = ROOT / "tests/samples"
DOCUMENT = "".join((ROOT / "docs" / name).read_text() for name in ("formats.md", "builder.md"))
OPERATION = (ROOT / "docs/operation.md").read_text()
SEMANTICS = (ROOT / "docs/semantics.md").read_text()
SCHEDULE = "ri.scheduler.main.schedule.daily-report"
API = "/api/v2/orchestration"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
SOME_TIME = "2026-01-31T09:05:09.117Z"  # where a sample shows a time of its run


def sample(name):
    return (SAMPLES / name).read_text()


def one_line(name):
    """A sample that is shown on several lines, as the programs print it."""
    return json.dumps(json.loads(sample(name)), separators=(",", ":"), ensure_ascii=False)


def with_a_time(line, member):
    """The line with the time of its own run replaced by the sample's."""
    changed, n = re.subn(rf'("{member}":"){TIME}', rf"\g<1>{SOME_TIME}", line)
    assert n == 1, line
    return changed


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.iterdir()))
def test_the_document_shows_the_sample(name):
    shown = re.findall(r"^```\w*\n(.*?)^```$", DOCUMENT, re.M | re.S)
    assert sample(name) in shown
    assert f"tests/samples/{name}" in DOCUMENT


def test_the_plan_of_the_documents():
    flags = [word for name in ("world", "version", "request")
             for word in (f"--{name}", str(SAMPLES / f"{name}.json"))]
    done = subprocess.run([BUILD / "schedrun", "plan", *flags], capture_output=True, text=True,
                          timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == one_line("outcome.json") + "\n"


def test_the_plan_of_lines():
    done = subprocess.run([BUILD / "schedrun", "plan", "--jsonl"], input=sample("plan.jsonl"),
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == sample("plan-answers.jsonl")


@pytest.mark.parametrize("name, schedules", [("catalogue.json", 1), ("catalogue-full.json", 1)])
def test_the_catalogues_are_applied_and_exported(system, name, schedules):
    system.init()
    rows = [json.loads(line) for line in system.must("apply", SAMPLES / name).splitlines()]
    assert {row["what"]: row["added"] for row in rows}["schedules"] == schedules
    exported = json.loads(system.must("export"))
    written = json.loads(sample(name))
    assert exported["datasets"].keys() == written["datasets"].keys()
    assert [s["rid"] for s in exported["schedules"]] == [s["rid"] for s in written["schedules"]]


@pytest.fixture(scope="module")
def shop(fresh_system):
    """The small catalogue, its requests sent and answered; adapter with the tokens."""
    fresh_system.delete_topics()
    fresh_system.init()
    fresh_system.must("apply", SAMPLES / "catalogue.json")
    fresh_system.worker().wait_ready()
    tokens = shutil.copy(SAMPLES / "tokens.txt", fresh_system.directory / "tokens")
    tokens.chmod(0o640)
    fresh_system.port = free_ports(1)[0]
    fresh_system.adapter(http__auth="token-file", http__token__file=str(tokens), http__drain="0",
                         http__listen=f"127.0.0.1:{fresh_system.port}").wait_ready()
    fresh_system.sent = fresh_system.must("submit", "-f", SAMPLES / "requests.jsonl")
    return fresh_system


def test_the_lines_of_submit(shop):
    lines = shop.sent.splitlines()
    assert len(lines) == len(sample("requests.jsonl").splitlines())
    assert lines[-1] == sample("submit.json").rstrip("\n")


def test_a_result_of_watch(shop):
    lines = shop.must("watch", "--from", "beginning", "--count", "2").splitlines()
    assert with_a_time(lines[-1], "finishedTime") == one_line("watch.json")


def test_a_run_and_its_build(shop):
    run = json.loads(sample("run.json"))

    def finished():
        done = shop.run("run", "get", run["rid"])
        return '"result"' in done.stdout and done.stdout.rstrip("\n")

    line = re.sub(r'"at":"\d\.\d"', f'"at":"{run["at"]}"', wait_for("the run", finished))
    assert with_a_time(line, "finishedTime") == one_line("run.json")
    build = run["result"]["buildRid"]
    wait_for("the build", lambda: shop.run("run", "explain", run["rid"], "-o", "jsonl")
             .stdout.startswith('{"build"'))
    assert shop.must("build", "finish", build) == sample("build-finish.json")


def test_a_commit(shop):
    shown = json.loads(sample("dataset-commit.json"))
    assert shop.must("dataset", "commit", shown["datasetRid"], "--branch", shown["branch"],
                     "--transaction", shown["transactionRid"]) == sample("dataset-commit.json")


def test_the_tokens(shop):
    def ask(token):
        return requests.get(f"http://127.0.0.1:{shop.port}{API}/schedules/{SCHEDULE}/runs",
                            headers={"Authorization": f"Bearer {token}"},
                            params={"preview": "true"}, timeout=40).status_code

    lines = [line.split() for line in sample("tokens.txt").splitlines() if line[0] != "#"]
    assert [ask(words[0]) for words in lines] == [200, 404]  # let in; the second has no role
    assert ask("nobody's") == 401


def test_the_example_is_one_to_begin_with(shop):
    printed = shop.must("catalogue", "example")
    assert printed == (ROOT / "docs/catalogue.example.json").read_text()
    rows = [json.loads(line) for line in shop.must("apply", "-", stdin=printed).splitlines()]
    assert {row["what"]: row["added"] for row in rows}["datasets"] == 2
    answer = shop.must("submit", json.loads(printed)["schedules"][0]["rid"], "--wait", "30s")
    assert json.loads(answer.splitlines()[-1])["result"]["type"] == "submitted"


def rows(document, heading):
    """The cells of all rows of the table whose head begins so."""
    table = document.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in table.splitlines()[2:]]


def source(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.c")):
            yield path.read_text()


def calls(text, name):
    """The arguments of each call, split where no bracket is open."""
    for found in re.finditer(rf"\b{name}\(", text):
        arguments, depth, start = [], 1, found.end()
        for at in range(start, len(text)):
            depth += (text[at] in "({") - (text[at] in ")}")
            if depth == 0 or (depth == 1 and text[at] == ","):
                arguments.append(text[start:at])
                start = at + 1
            if depth == 0:
                break
        yield arguments


def test_every_key_is_described():
    done = subprocess.run([BUILD / "schedrun", "config", "keys", "-o", "jsonl"],
                          capture_output=True, text=True, check=True)
    keys = [json.loads(line) for line in done.stdout.splitlines()]
    described = {row[0].strip("`"): row for row in rows(OPERATION, "key")}
    assert list(described) == [key["key"] for key in keys]
    for key in keys:
        name, kind, default, programs_, meaning = described[key["key"]]
        assert default == (key["default"] or "–"), name
        assert kind == "secret" or kind.replace(" ", "").startswith(
            key["type"].replace(" ", "")), name
        assert set(programs_.split()) <= {"W", "H", "B", "T", "C"} and meaning, name


def test_every_log_event_is_described_with_its_fields():
    events = {}
    for text in source("common", "producer", "schemas", "worker"):
        for macro, place in (("log_event", 2), ("log_audit", 1)):
            for arguments in calls(text, macro):
                fields = re.findall(r'LOG_[TSI]\(\s*"(\w+)"', ",".join(arguments[place + 2:]))
                for name in re.findall(r'"(\w+)"', arguments[place]):
                    events.setdefault(name, set()).update(fields)
    described = {}
    for names, _, fields, _ in rows(OPERATION, "event"):
        for name in re.findall(r"`(\w+)`", names):
            described[name] = set(re.findall(r"\w+", fields))
    assert described == events


def test_every_dead_letters_reason_is_described():
    table = (ROOT / "schemas/message/dead_reason.c").read_text()
    reasons = re.findall(r'\[DEAD_\w+\] = "([a-z-]+)"', table)
    assert sorted(row[0] for row in rows(OPERATION, "reason")) == sorted(reasons) != []


def test_every_cause_is_described_with_its_text():
    text = (ROOT / "worker/plan/errors.c").read_text()
    found = re.findall(r'\[CAUSE_\w+\] = \{ "(\w+)", (\d+),\s*(\w+),\s*'
                       r'((?:"[^"]*"\s*)+)\}', text)
    names = dict(re.findall(r'\[([A-Z_]+)\] = "(\w+)"',
                            (ROOT / "schemas/message/schedule_run.c").read_text()))
    written = [[cause, phase, names[name], "".join(re.findall(r'"([^"]*)"', words))]
               for cause, phase, name, words in found]
    described = rows(SEMANTICS, "cause | phase | errorName")
    described[-1][3] = described[-1][3].removesuffix(" (input keys)")
    assert described == written and len(written) > 30


def test_every_metric_is_described():
    made = {name for text in source("common", "producer", "worker")
            for name in re.findall(r'"(schedrun_\w+)"', text)}
    assert set(re.findall(r"^\| `(schedrun_\w+)`", OPERATION, re.M)) == made != set()


def test_every_command_is_described():
    done = subprocess.run([BUILD / "schedrun", "--help"], capture_output=True, text=True, check=True)
    names = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", done.stdout.partition("Commands:")[2], re.M)
    cells = [row[0] for row in rows(OPERATION, "command")]
    for name in names:
        group, _, word = name.partition(" ")
        assert any(re.search(rf"`{name}\b", cell) or
                   (word and cell.startswith(f"`{group} ") and re.search(rf"`{word}\b", cell))
                   for cell in cells), name
    assert len(names) > 20


def test_every_route_is_in_the_contract():
    described = set()
    for cell, *_ in rows((ROOT / "docs/http.md").read_text(), "method and path"):
        paths = re.findall(r"`([^`]+)`", cell)
        described |= {(cell.split()[0], path.replace("…", paths[0].rpartition("/")[0]))
                      for path in paths}
    assert described == {(operation.method.upper(), operation.path.removeprefix(API))
                         for operation in openapi.operations()}


def test_every_cause_has_an_edge_or_a_case():
    causes = set(re.findall(r'\[CAUSE_\w+\] = \{ "(\w+)"', (ROOT / "worker/plan/errors.c").read_text()))
    cases = json.loads((ROOT / "tests/golden/planner-cases.json").read_text())
    met = {(case["outcome"].get("why") or {}).get("cause") for case in cases}
    listed = subprocess.run(["/usr/bin/python3", "-c", "import edges; print(*{row[2] for row in edges.ROWS})"],
                            cwd=ROOT / "tests/golden", capture_output=True, text=True, check=True)
    assert causes - met - set(listed.stdout.split()) == set()
