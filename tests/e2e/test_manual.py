"""The manual: mandoc takes each page, and what the programs have stands in it, as it is
read: each command, option, key with its default, exit code and error."""

import json
import os
import re
import subprocess

import pytest
import programs
from programs import BUILD, ROOT

DAEMONS = ["schedrun-worker", "schedrun-http", "schedrun-builder", "schedrun-trigger"]


@pytest.fixture(scope="module")
def manual():
    """Name of a page -> its text, as mandoc shows it, without its line breaks."""
    subprocess.run(["make", "-s", "man", f"SANITIZE={programs.SANITIZE}"], cwd=ROOT, check=True)
    pages = sorted((BUILD / "man").glob("*.[1-8]"))
    assert len(pages) == 8
    done = subprocess.run(["mandoc", "-T", "lint", *pages], capture_output=True, text=True)
    # What they refer to is not installed here, so mandoc doesn't find it.
    assert not [line for line in (done.stdout + done.stderr).splitlines() if "manual not found: Xr schedrun" not in line]
    return {page.name: " ".join(re.sub(".\b", "", subprocess.run(
        ["mandoc", "-T", "utf8", page], capture_output=True, text=True, check=True).stdout).split()) for page in pages}


def said(*words):
    return subprocess.run([BUILD / words[0], *words[1:], "--help"], capture_output=True, text=True, check=True,
                          env={**os.environ, "ARGP_HELP_FMT": "rmargin=2000"}).stdout


def options(text):
    return [flag.strip() for flag in re.findall(r"^ {2,6}(-\S.*?)(?:  |$)", text, re.M)]


def test_each_option_and_exit_code_of_a_daemon(manual):
    codes = {"schedrun-worker": "0 64 65 69 70 71 74 75 77 78 134", "schedrun-http": "0 64 70 71 74 77 78 143, 130",
             "schedrun-builder": "0 64 70 71 74 77 78", "schedrun-trigger": "0 64 70 71 74 77 78 143, 130"}
    for name in DAEMONS:
        page = manual[f"{name}.8"]
        assert len(options(said(name))) >= 14
        for flag in options(said(name)):
            assert f" {flag} " in page, (name, flag)
        status = page.partition(" EXIT STATUS ")[2].partition(" EXAMPLES ")[0]
        for code in codes[name].replace(", 130", "").split():
            assert re.search(rf"(^|[ .]){code}(, 130)? [a-zA-Z]", status), (name, code)
        assert ("removed by retention" in status) is (name == "schedrun-worker")
        assert said(name).strip().splitlines()[-1].strip() in page


def test_each_command_with_its_options(manual):
    page = manual["schedrun.1"]
    names = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", said("schedrun").partition("Commands:")[2], re.M)
    assert len(names) > 20
    for name in names:
        text = said("schedrun", *name.split())
        part = page.partition(f" {name} schedrun {name} [FLAG...]")[2]
        assert part, name
        shown = part.partition(" [FLAG...]")[0]
        own = text.partition(" Global flags:")[0]
        for flag in options(own):
            assert f" {flag} " in shown, (name, flag)
    exits = dict(re.findall(r"^\tEXIT_(\w+) = (\d+),", (ROOT / "producer/cli/command.h").read_text(), re.M))
    status = page.partition(" EXIT STATUS ")[2]
    assert len(exits) >= 8
    for code in exits.values():
        assert re.search(rf"(^|\s){code} [a-zA-Z]", status), code


def test_each_key_with_its_default(manual):
    page = manual["schedrun.conf.5"]
    keys = subprocess.run([BUILD / "schedrun", "config", "keys", "-o", "jsonl"], capture_output=True, text=True, check=True)
    for key in map(json.loads, keys.stdout.splitlines()):
        name, default = re.escape(key["key"]), re.escape(key["default"] or "none")
        assert re.search(rf" {name} (?!default ).{{3,600}}?; default {default}; read by ", page), key


def test_each_error(manual):
    page = manual["schedrun-errors.7"]
    for path, row in (("worker/plan/errors.c", r'\[CAUSE_\w+\] = \{ "(\w+)"'),
                      ("producer/base/error.c", r'"[A-Z_]+",\s*"([\w:]+)" \}'),
                      ("schemas/message/dead_reason.c", r'\[DEAD_\w+\] = "([a-z-]+)"')):
        found = re.findall(row, (ROOT / path).read_text())
        assert len(found) > 10, path
        for name in found:
            denied = re.sub(r"^(Run|Pause|Unpause|Replace|Delete)(SchedulePermissionDenied)$",
                            r"{Run,Pause,Unpause,Replace,Delete}\2", name)
            assert re.search(rf"(?<!\w){re.escape(denied)}(?![\w-])", page), (path, name)
