"""README and docs/ print what they show: each command block is run against the
system that `make run` brings up, and its output compared in shape.

A block ```console holds `$ commands` and what each prints; ids and times may
differ, white space doesn't count, an ellipsis stands for anything.  A block
```python runs as it is, with each release of the SDK.  A block ```json is a
file of the tree, ```text a drawing.
"""

import os
import re
import signal
import subprocess

import pytest
from programs import ROOT, wait_for

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")),
         *(page for page in (ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md") if page.exists())]
RELEASES = sorted(path.stem for path in (ROOT / "tests/sdk").glob("*.txt"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A line of a block that is only indented.
COMMAND = re.compile(r"^ {4}(?:schedrun\S*|make|curl|redis-cli|systemctl|journalctl|printf|kafka-\S+) .*$", re.MULTILINE)
# `make run` and `make test` are what runs this; test_alerts.py has the runbook, make
# procedures (procedures.py) what operators do by hand.
RUN_ELSEWHERE = {"README.md": ("make run ", "make test "),
                 "runbook.md": ("curl ", "schedrun ", "journalctl "),
                 "procedures.md": ("schedrun ", "systemctl ", "kafka-", "redis-cli ")}
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def blocks(page, language):
    return [body for kind, body in FENCE.findall(page.read_text()) if kind == language]


def steps(block):
    """The block's commands, each with what it is said to print."""
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = step.split("\n")
        n = 1
        while lines[n - 1].endswith("\\"):
            n += 1
        yield "\n".join(lines[:n]), "\n".join(lines[n:])


def shape(said):
    """What output has to match: see above."""
    parts = re.split(f"({UUID}|{TIME}|…)", re.sub(r"\s", "", said))
    kinds = [UUID, TIME, "…"]
    return "".join(
        next((".*" if kind == "…" else kind for kind in kinds if re.fullmatch(kind, part)), re.escape(part))
        for part in parts)


def same_shape(said, printed):
    return re.fullmatch(shape(said), re.sub(r"\s", "", printed), re.DOTALL) is not None


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Runs commands as in another shell beside `make run`, in the tree's root."""
    home = tmp_path_factory.mktemp("documents")
    for name in ("tests", "deploy", "docs", "schemas", "build"):
        (home / name).symlink_to(ROOT / name)
    log = home / "run.log"
    with log.open("w") as out:
        system = subprocess.Popen([ROOT / "deploy/local/run.sh", "run"], stdout=out,
                                  stderr=subprocess.STDOUT, env={**os.environ, "RUN_DIR": str(home / ".run")})

    def up():
        assert system.poll() is None, log.read_text()
        return "stays up until ^C" in log.read_text()

    def run(command):
        return subprocess.run(["bash", "-c", f". .run/env\n{command}"], cwd=home, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)

    try:
        wait_for("the system to be up", up, 120)
        run.log = log
        yield run
    finally:
        system.send_signal(signal.SIGTERM)
        system.wait(60)


def folded(shell, command):
    """A build that has just been asked for is known once the adapter has it."""
    done = None

    def is_known():
        nonlocal done
        done = shell(command)
        return done.returncode != 3 or "folds builds" not in done.stderr

    wait_for(f"the build to be known to: {command}", is_known, 20)
    return done


def test_what_commands_print(shell):
    ran = 0
    for page in PAGES:
        for block in blocks(page, "console"):
            for command, said in steps(block):
                done = folded(shell, command)
                assert same_shape(said, done.stdout), \
                    f"{page.name}: $ {command}\nhas\n{said}\nbut prints\n{done.stdout}\n{done.stderr}"
                ran += 1
    assert ran >= 8


@pytest.mark.parametrize("release", RELEASES)
def test_python_runs_as_written(shell, release):
    python = ROOT / ".cache/sdk" / release / "bin/python"
    programs = [body for page in PAGES for body in blocks(page, "python")]
    assert programs
    for i, program in enumerate(programs):
        done = shell(f"{python} - <<'END'\n{program}\nEND")
        assert done.returncode == 0, done.stderr
        assert re.search(rf"ri\.scheduler\.main\.run\.{UUID}", done.stdout), done.stdout


def test_what_run_prints(shell):
    """The demonstration's own words: exports that another shell can take."""
    text = shell.log.read_text()
    for name in ("PATH", "SCHEDRUN_KAFKA_BOOTSTRAP_SERVERS", "SCHEDRUN_REDIS_URL", "API", "TOKEN"):
        assert f"export {name}=" in text
    assert "\033" not in text


def test_a_second_run_leaves_the_first_alone(shell):
    second = subprocess.run([ROOT / "deploy/local/run.sh", "demo"], text=True, capture_output=True, timeout=60,
                            env={**os.environ, "RUN_DIR": str(shell.log.parent / ".run")})
    assert second.returncode == 1 and "is at work in" in second.stderr and "RUN_DIR=" in second.stderr
    assert shell("schedrun schedule list").returncode == 0


def test_json_is_a_file_of_the_tree():
    """So that programs read it in some test, and it can't rot."""
    files = [path.read_text().strip() for path in (ROOT / "tests/samples").iterdir()]
    for page in PAGES:
        for block in blocks(page, "json"):
            assert block.strip() in files, f"{page.name} shows what is no file:\n{block}"


def test_nothing_is_shown_that_no_test_runs():
    for page in PAGES:
        text = page.read_text()
        kinds = {kind for kind, _ in FENCE.findall(text)}
        assert kinds <= {"console", "python", "json", "jsonl", "text", "sh", "properties", "c"}, page.name
        outside = FENCE.sub("", text)
        assert not re.search(r"^ {4}\$ ", outside, re.MULTILINE), f"{page.name}: a session in no console block"
        stray = {line.strip() for line in COMMAND.findall(outside)}
        assert all(line.startswith(RUN_ELSEWHERE.get(page.name, ())) for line in stray), \
            f"{page.name}: commands in no console block: {stray}"


@pytest.mark.parametrize("said, printed, same", [
    ('{"a":1,…}', '{"a":1,"b":2}', True),
    ("one\n  two", "one two", True),
    ("one", "one two", False),
    ("run.d4290379-8188-57b5-9ae8-061b3a312543", "run.00000000-8188-57b5-9ae8-061b3a312543", True),
    ("run.d4290379-8188-57b5-9ae8-061b3a312543", "run.nonsense", False),
    ("2026-11-24T16:23:05.940Z", "2027-01-01T00:00:00.000Z", True),
    ("2026-11-24T16:23:05.940Z", "yesterday", False),
])
def test_shapes(said, printed, same):
    assert same_shape(said, printed) is same


def test_each_page_is_in_the_site():
    """make docs refuses one that no group has, but it isn't made here."""
    groups = (ROOT / "docs/site").read_text().partition("GROUPS = ")[2].partition("FENCE = ")[0]
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert pages == {name for name in re.findall(r'"([^"]+\.md)"', groups) if name.startswith("docs/")}


def test_asyncapi_has_every_topic_message_and_reason():
    """make check-deploy holds it against AsyncAPI's schema, and more; this needs no more than the tree."""
    text = (ROOT / "docs/asyncapi.yaml").read_text()
    assert set(re.findall(r"schemas/(\w+\.avsc)", text)) == {
        path.name for path in (ROOT / "schemas").glob("*.avsc") if not re.search(r"_v\d+\.avsc$", path.name)}  # earlier versions
    topics = re.findall(r'"topics\.\w+",\s*"([^"]+)"', (ROOT / "common/config/keys.c").read_text())
    assert sorted(re.findall(r"^    address: (\S+)$", text, re.M)) == sorted(topics) and len(topics) == 5
    reasons = re.findall(r'\[DEAD_\w+\] = "([a-z-]+)"', (ROOT / "schemas/message/dead_reason.c").read_text())
    listed = re.search(r"Reason:\n\s+type: string\n\s+enum: \[([^\]]*)\]", text)[1]
    assert sorted(re.split(r",\s*", listed)) == sorted(reasons)
