"""Each block of shell in docs/recipes.md does what is said of it."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest
from programs import BUILD, ROOT, wait_for

PAGE = (ROOT / "docs/recipes.md").read_text()
SHELL = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)
DBT = ROOT / ".cache/recipes/dbt/bin"
SCHEDULE = "ri.scheduler.main.schedule.example"
GIVEN = {"AIRFLOW_CTX_EXECUTION_DATE": "2026-01-31T09:00:00+00:00", "GITHUB_REPOSITORY": "shop/etl", "GITHUB_RUN_ID": "4711"}
ASKING = [block for block in SHELL if block.startswith("schedrun submit")]


def block(section):
    """Those of one section, in their order."""
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.partition(f"\n## {section}. ")[2].partition("\n## ")[0], re.M | re.S)


@pytest.fixture(scope="module")
def place(fresh_system):
    fresh_system.delete_topics()
    fresh_system.init()
    fresh_system.must("apply", "-", stdin=fresh_system.must("catalogue", "example"))
    fresh_system.worker().wait_ready()
    fresh_system.folder().wait_ready()
    fresh_system.project = fresh_system.directory / "shop"
    shutil.copytree(pathlib.Path(__file__).parent / "shop", fresh_system.project)
    return fresh_system


def environment_of(system):
    return {**os.environ, **GIVEN, "SCHEDRUN": str(ROOT), "PATH": f"{BUILD}:{DBT}:{os.environ['PATH']}",
            "SCHEDRUN_KAFKA_BOOTSTRAP_SERVERS": system.bootstrap, "SCHEDRUN_REDIS_URL": system.redis_url,
            "DO_NOT_TRACK": "1"}


def shell(system, text, cwd=None):
    done = subprocess.run(["sh", "-ec", text], cwd=cwd or system.directory, env=environment_of(system), capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_each_block_is_run_here():
    assert len(ASKING) == 3 and len(block(1)) == 2 and len(block(4)) == 3 and len(block(5)) == 1 and len(block(7)) == 3 and len(SHELL) == 11


@pytest.mark.parametrize("text", ASKING)
def test_who_asks_twice_gets_one_run(place, text):
    first = shell(place, text).splitlines()
    wait_for("the run to be known", lambda: '"result"' in place.run("run", "get", json.loads(first[0])["runRid"]).stdout)
    second = shell(place, text).splitlines()
    assert json.loads(first[0])["runRid"] == json.loads(second[0])["runRid"]
    result = json.loads(first[-1])["result"]
    assert result["type"] == "submitted" and json.loads(second[-1])["result"] == result
    assert '"repeat":true' in "".join(second) and "repeat" not in "".join(first)


@pytest.mark.parametrize("ended, code", [("fail", 1), ("finish", 0)])
def test_the_builds_end_is_waited_for(place, ended, code):
    def builds():
        return {json.loads(line)["buildRid"] for line in place.must(
            "build", "list", "--schedule", SCHEDULE).splitlines()}

    before = builds()
    text = block(1)[1].replace("example-$(date", f"{ended}-$(date")
    with subprocess.Popen(["sh", "-ec", text], env=environment_of(place), stdout=subprocess.PIPE, text=True) as waiting:
        build, = wait_for("its build", lambda: builds() - before)
        assert waiting.poll() is None
        place.must("build", ended, build)
        assert waiting.wait(30) == code
    place.must("dataset", "commit", "ri.foundry.main.dataset.example-orders", "--branch", "master")


def test_the_asking_of_three_is_of_three_runs(place):
    rows = [json.loads(line) for line in wait_for(
        "all runs to be known", lambda: place.must("run", "list", "--schedule", SCHEDULE)).splitlines()]
    assert len(rows) == len(ASKING) + 2


def test_a_dbt_project(place):
    load, commit, run_and_tell = block(4)
    shell(place, load, place.project)
    answer = json.loads(shell(place, commit))
    assert answer["datasetRid"].endswith("source.shop.crm.customers")
    subprocess.run([DBT / "python", "-c", "import duckdb; duckdb.connect('shop.duckdb').execute("
                    "\"create schema crm; create table crm.customers as select 1 customer_id, 'de' country\")"],
                   cwd=place.project, check=True)
    told = [json.loads(line) for line in shell(place, run_and_tell, place.project).splitlines() if line.startswith("{")]
    assert [row["datasetRid"] for row in told] == ["ri.foundry.main.dataset.model.shop.stg_customers"]


def test_dagsters_assets(place):
    shutil.copy(pathlib.Path(__file__).parent / "assets.py", place.project)
    (load,) = block(5)
    shell(place, load.replace("python3", str(ROOT / ".cache/recipes/dagster/bin/python")), place.project)
    assert place.must("schedule", "list").count(".schedule.dagster-shop-") == 4


def test_two_datasets_built_by_cron(place):
    load, start, commit = block(7)
    place.trigger().wait_ready()
    folder = place.directory / "own"
    folder.mkdir()
    shell(place, load, folder)
    pid = int(shell(place, f"{start}echo $!", folder))
    try:
        shell(place, commit, folder)
        report = folder / "data/ri.foundry.main.dataset.example-report"
        wait_for("the next minute's build", report.exists, 90)
        assert report.read_text() == "apple\npear\n"
        wait_for("the one behind it to find nothing to do", lambda: [
            row["outcome"] for row in map(json.loads, place.must(
                "run", "list", "--schedule", SCHEDULE, "--limit", "1").splitlines())] == ["ignored"], 90)
    finally:
        os.kill(pid, signal.SIGTERM)
