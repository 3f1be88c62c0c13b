"""deploy/import/dagster.py and dagster-job, by Dagster itself."""

import json
import pathlib
import re
import shutil
import subprocess

import jsonschema
import pytest
from programs import ROOT, wait_for

HERE = pathlib.Path(__file__).parent
DAGSTER = ROOT / ".cache/recipes/dagster/bin"
DATASET = "ri.foundry.main.dataset.dagster."
ALL = "ri.scheduler.main.schedule.dagster-shop-all"


def catalogue(home):
    done = subprocess.run([DAGSTER / "python", ROOT / "deploy/import/dagster.py", "-f", "assets.py", "--name", "shop"],
                          cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def specs(home):
    return {spec["outputs"][0].removeprefix(DATASET): spec for spec in json.loads(catalogue(home))["jobSpecs"]}


@pytest.fixture
def home(tmp_path):
    shutil.copy(HERE / "assets.py", tmp_path)
    return tmp_path


def test_the_catalogue_is_one_and_stays_the_same(home):
    first = catalogue(home)
    document = json.loads(first)
    jsonschema.Draft202012Validator(json.loads((ROOT / "docs/catalogue.schema.json").read_text())).validate(document)
    assert catalogue(home) == first
    found = specs(home)
    assert found["marts.items"]["outputs"] == [DATASET + "marts.items", DATASET + "marts.orders"]
    assert found["report"]["inputs"] == [DATASET + "clean", DATASET + "marts.orders"]
    assert document["datasets"][DATASET + "crm.customers"]["branches"] == {"master": {}}
    nightly = {s["rid"].rpartition("shop-")[2]: s["versions"][0] for s in document["schedules"]}["job-nightly"]
    assert nightly["trigger"] == {"type": "time", "cronExpression": "0 3 * * *", "timeZone": "Europe/Berlin"}
    assert nightly["action"]["target"] == {"type": "manual", "targetRids": [DATASET + "report"]}


def test_logic_changes_with_the_code_and_the_code_version(home):
    before = specs(home)
    text = (home / "assets.py").read_text()
    (home / "assets.py").write_text(re.sub('code_version="1"', 'code_version="2"', text.replace(
        'write("report")', 'write("report"), None')))
    after = specs(home)
    assert {name for name in before if before[name]["logic"] != after[name]["logic"]} == {"clean", "report"}


def test_only_what_is_stale_is_materialized(system, home):
    system.init()
    system.must("apply", "-", stdin=catalogue(home))
    system.worker().wait_ready()
    command = f"{ROOT}/deploy/import/dagster-job {DAGSTER}/dagster -f {home}/assets.py"
    builder = system.builder(command, builder__parallel=2).wait_ready()

    def build():
        answer = system.must("submit", ALL, "--wait", "60s")
        rid = json.loads(answer.splitlines()[-1])["result"]["buildRid"]
        key = b"schedrun:b:" + bytes.fromhex(rid.rsplit(".", 1)[1].replace("-", ""))
        state = wait_for("the build to end", lambda: system.cluster.redis().hget(key, "s"), 900)
        assert state == b"SUCCEEDED", builder.tail()
        return {path.name: len(path.read_text().splitlines()) for path in (home / "made").iterdir()}

    assert build() == {"clean": 1, "split": 1, "report": 1}
    text = (home / "assets.py").read_text()
    (home / "assets.py").write_text(text.replace('write("report")', 'write("report"), None'))
    system.must("apply", "-", stdin=catalogue(home))
    assert build() == {"clean": 1, "split": 1, "report": 2}
    system.must("dataset", "commit", DATASET + "crm.customers", "--branch", "master")
    assert build() == {"clean": 2, "split": 2, "report": 3}
