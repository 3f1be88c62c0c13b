"""builder.rules: other commands, and limits, for some of the jobs of a plan."""

import json
import sys

import catalogues
import programs
import pytest
from catalogues import dataset
from test_builder import carry_out, said, submit, wait_state

SALES = catalogues.OTHER_PROJECT
# Says by which of its names it was run, and what it is given; its first argument is a script.
JOB = """\
#!/bin/sh
echo "${{0##*/}} $* $(ulimit -Sn) $(ulimit -Hn) $(ulimit -v)" >{directory}/ran."${{SCHEDRUN_OUTPUTS##*.}}"
eval "$1"
"""


def catalogue():
    datasets = {dataset("raw"): catalogues.stored("raw-1")}
    specs, schedules = [], []
    for name, inputs, project in (("first", ["raw"], catalogues.PROJECT), ("second", ["first"], SALES),
                                  ("third", ["second"], catalogues.PROJECT)):
        datasets[dataset(name)] = catalogues.stored(None, project=project)
        specs.append(catalogues.job_spec(name, inputs))
    for name in ("slow", "stubborn", "hungry", "many-files", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"):
        datasets[dataset(name)] = catalogues.stored(None)
        specs.append(catalogues.job_spec(name, ["raw"]))
        schedules.append(catalogues.schedule(name, [name], retryCount=2))
    schedules.append(catalogues.schedule("plan", ["third"], target={
        "type": "upstream", "targetRids": [dataset("third")]},
        scope={"type": "project", "projectRids": [catalogues.PROJECT, SALES]}))
    users = {catalogues.OWNER: {"roles": {catalogues.PROJECT: "editor", SALES: "editor"}}}
    return {"projects": {catalogues.PROJECT: {}, SALES: {}}, "users": users,
            "datasets": datasets, "jobSpecs": specs, "schedules": schedules}


@pytest.fixture(scope="module")
def ruled(fresh_system):
    system = fresh_system
    system.delete_topics()
    system.init()
    system.apply(catalogue())
    for name in ("job", "of-spec", "of-project"):
        path = system.directory / name
        path.write_text(JOB.format(directory=system.directory))
        path.chmod(0o755)
    own = [str(system.directory / name) for name in ("of-spec", "of-project")]
    system.rules = system.directory / "rules.json"
    system.rules.write_text(json.dumps([
        {"dataset": "*a" * 40 + "*b", "command": own[:1]},
        {"spec": "ri.foundry.main.jobspec.*-first", "command": [own[0], "true", "$(exit 7); `exit 7`"],
         "limits": {"time": "1h", "memory": "1G", "files": 64}},
        {"project": SALES, "dataset": "*.third", "command": ["/bin/false"]},
        {"project": SALES, "command": [own[1]]},
        {"dataset": "*.slow", "command": [own[0], "sleep 1000"], "limits": {"time": "1s"}},
        {"dataset": "*.stubborn", "command": [own[0], "trap '' TERM; while :; do sleep 1; done"],
         "limits": {"time": "1s"}},
        {"dataset": "*.hungry", "command": [own[0], "head -c 400000000 /dev/zero | tail >/dev/null; exit 9"],
         "limits": {"memory": "200M"}},
        {"dataset": "*.many-files", "command": [own[0], f"{sys.executable} -c 'all = [open(\"/dev/null\") for i in range(30)]'"],
         "limits": {"files": 20}},
    ]))
    system.worker().wait_ready()
    system.ours = system.builder(system.directory / "job", builder__rules=system.rules).wait_ready()
    return system


def given(system, name):
    """By which command, with what, and within what: soft and hard files, memory in KiB."""
    words = (system.directory / f"ran.{name}").read_text().split()
    return words[0], " ".join(words[1:-3]), words[-3:]


def test_two_commands_in_one_plan(ruled):
    carry_out(ruled, "plan")
    assert given(ruled, "first") == ("of-spec", "true $(exit 7); `exit 7`", ["64", "64", str(1024 * 1024)])
    command, more, free = given(ruled, "second")
    assert (command, more, free[2]) == ("of-project", "", "unlimited") and free[1] != "64"
    assert given(ruled, "third") == ("job", "", free)


def test_a_pattern_that_backtracks_costs_nothing(ruled):
    name = "a" * 50
    carry_out(ruled, name)
    assert given(ruled, name)[0] == "job"


def test_a_job_that_is_overdue_is_ended(ruled):
    """SIGTERM behind its time, SIGKILL 10 s later; that is an end, and no reason to try again."""
    for name in ("slow", "stubborn"):
        build = submit(ruled, name)
        wait_state(ruled, build, "FAILED")
        state, attempt, code, text = said(ruled, build)[0]
        assert (state, attempt, code) == ("FAILED", 1, 143 if name == "slow" else 137)
        assert text.splitlines()[-1] == ("schedrun-builder: it was ended behind the time that its rule gives it "
                                         "(builder.rules)")


def test_what_a_job_may_take(ruled):
    state, _, code, text = said(ruled, carry_out(ruled, "hungry", "FAILED"))[0]
    assert (state, code) == ("FAILED", 9) and "memory exhausted" in text
    state, _, code, text = said(ruled, carry_out(ruled, "many-files", "FAILED"))[0]
    assert state == "FAILED" and "Too many open files" in text and given(ruled, "many-files")[2][:2] == ["20", "20"]


def test_rules_that_make_no_sense(ruled):
    """Told by the check, and at the start, in the same words; what doesn't go on isn't started."""
    bad = ruled.directory / "bad.json"
    bad.write_text('[{"spec": "ri.*", "command": ["job"]}]')
    conf = ruled.directory / "rules.conf"
    conf.write_text(f"builder.command = /bin/true\nbuilder.rules = {bad}\nbuilder.logs = {ruled.directory}/builds\n")
    says = "$[0].command: it is the path of a program, from the root on"
    checked = ruled.run("config", "check", str(conf))
    assert checked.returncode == 2 and f"builder.rules: {bad}: {says}" in checked.stderr
    refused = ruled.builder(ruled.directory / "job", name="refused", builder__rules=bad)
    assert refused.wait(20) == 78 and says in refused.log()
    bad.unlink()
    checked = ruled.run("config", "check", str(conf))
    assert checked.returncode == 2 and "No such file" in checked.stderr


def test_the_sample_of_the_documents_makes_sense(ruled):
    conf = ruled.directory / "sample.conf"
    conf.write_text(f"builder.command = /bin/true\nbuilder.rules = {programs.ROOT}/tests/samples/builder-rules.json\n")
    checked = ruled.run("config", "check", "--for", "builder", str(conf))
    # What it names are programs of others' machines.
    assert checked.returncode == 2 and "$[0].command" in checked.stderr and "No such file" in checked.stderr
