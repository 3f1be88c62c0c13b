"""deploy/import/dbt.jq and dbt-job, by dbt itself: what a plan calls stale is what
dbt calls modified, and what the builder builds is that and no more."""

import json
import os
import pathlib
import random
import re
import select
import shutil
import subprocess

import jsonschema
import pytest
from programs import ROOT, wait_for

HERE = pathlib.Path(__file__).parent
DBT = ROOT / ".cache/recipes/dbt/bin"
SEED = int(os.environ.get("SEED") or random.randrange(10**6))
CHANGES = int(os.environ.get("CHANGES") or 50)
DATASET = "ri.foundry.main.dataset."
ALL = "ri.scheduler.main.schedule.dbt-shop-all"
# Some that dbt itself selects beside what is modified, but nobody builds.
BUILT = ("--resource-type", "model", "--resource-type", "seed", "--resource-type", "snapshot")


class Shop:
    """The sample project, and the system that it is loaded into."""

    def __init__(self, system):
        self.system = system
        self.home = system.directory / "shop"
        shutil.copytree(HERE / "shop", self.home)
        self.shell = subprocess.Popen(
            [DBT / "python", HERE / "dbt_shell.py", self.home], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"})
        self.sql("create schema crm; create table crm.customers as select 1 customer_id, 'de' country "
                 "union all select 2, 'fr'; create table crm.countries as select 'de' code, 'Germany' as name "
                 "union all select 'fr', 'France'")

    def sql(self, statements):
        subprocess.run([DBT / "python", "-c", "import duckdb, sys; duckdb.connect('shop.duckdb').execute(sys.argv[1])",
                        statements], cwd=self.home, check=True)

    def dbt(self, *words):
        self.shell.stdin.write(json.dumps(["--quiet", "--no-use-colors", *words]) + "\n")
        self.shell.stdin.flush()
        assert select.select([self.shell.stdout], [], [], 600)[0], f"dbt {words} keeps silent"
        answer = json.loads(self.shell.stdout.readline())
        assert answer["ok"], (words, answer["why"])
        return answer["listed"]

    def catalogue(self, *arguments):
        self.dbt("parse")
        done = subprocess.run(["jq", *arguments, "-f", ROOT / "deploy/import/dbt.jq", "target/manifest.json"],
                              cwd=self.home, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def load(self):
        return self.system.must("apply", "-", stdin=self.catalogue())

    def keep_state(self):
        """What was built last is what dbt compares with."""
        shutil.rmtree(self.home / "state", ignore_errors=True)
        (self.home / "state").mkdir()
        shutil.copy(self.home / "target/manifest.json", self.home / "state")

    def modified(self, sources):
        """Unique ids that dbt would build anew."""
        listed = self.dbt("ls", *BUILT, "--state", "state", "--output", "json", "--output-keys", "unique_id", "config",
                          "--select", "state:modified+", *(f"source:{source}+" for source in sources))
        rows = [json.loads(row) for row in listed if row.startswith("{")]
        return {row["unique_id"] for row in rows if row["config"]["materialized"] != "ephemeral"}

    def stale(self):
        """Unique ids of the jobs that a run would do now."""
        plan = json.loads(self.system.must("plan", "--schedule", ALL, "-o", "json"))
        jobs = plan["build"]["jobs"] if plan["result"]["type"] == "submitted" else []
        assert plan["result"]["type"] in ("submitted", "ignored"), plan
        return {output["rid"].removeprefix(DATASET) for job in jobs for output in job["outputs"]}

    def submit(self):
        answer = self.system.must("submit", ALL, "--wait", "60s")
        return json.loads(answer.splitlines()[-1])["result"]

    def commit(self, source):
        return self.system.must("dataset", "commit", f"{DATASET}source.shop.{source}", "--branch", "master")


@pytest.fixture(scope="module")
def shop(fresh_system):
    fresh_system.delete_topics()
    fresh_system.init()
    shop = Shop(fresh_system)
    shop.load()
    fresh_system.worker().wait_ready()
    fresh_system.folder().wait_ready()
    yield shop
    shop.shell.stdin.close()
    shop.shell.wait(30)


def test_the_catalogue_is_one_and_stays_the_same(shop):
    first = shop.catalogue("--argjson", "cron", '{"daily": "0 6 * * *"}', "--arg", "zone", "Europe/Berlin",
                           "--arg", "branch", "dev")
    catalogue = json.loads(first)
    jsonschema.Draft202012Validator(
        json.loads((ROOT / "docs/catalogue.schema.json").read_text())).validate(catalogue)
    specs = {spec["outputs"][0].removeprefix(DATASET): spec for spec in catalogue["jobSpecs"]}
    assert len(specs) == 10 and not any("good_orders" in name for name in specs)
    assert [rid.removeprefix(DATASET) for rid in specs["model.shop.orders"]["inputs"]] == [
        "model.shop.stg_customers", "model.shop.stg_orders", "model.shop.stg_payments"]  # through two inlined ones
    schedules = {s["rid"].rpartition("dbt-shop-")[2]: s["versions"][-1] for s in catalogue["schedules"]}
    assert set(schedules) == {"all", "tag-daily", "tag-finance", "tag-apart", "exposure-revenue_board"}
    assert schedules["tag-daily"]["trigger"] == {
        "type": "time", "cronExpression": "0 6 * * *", "timeZone": "Europe/Berlin"}
    assert "trigger" not in schedules["all"] and schedules["all"]["action"]["branchName"] == "dev"
    shutil.rmtree(shop.home / "target")  # parsed anew, in whatever order
    assert shop.catalogue() == shop.catalogue() != first


def test_only_what_is_stale_is_built(shop):
    """By the builder, with dbt as its command; DuckDB takes one writer at a time."""
    builder = shop.system.builder(
        f"{ROOT}/deploy/import/dbt-job {shop.home} {DBT}/dbt --no-use-colors", builder__parallel=1).wait_ready()

    def build():
        wanted = shop.stale()
        before = builder.metric('schedrun_jobs_total{end="succeeded"}')
        rid = shop.submit()["buildRid"]
        wait_for("the build to end", lambda: shop.system.cluster.redis().hget(
            b"schedrun:b:" + bytes.fromhex(rid.rsplit(".", 1)[1].replace("-", "")), "s"), 900)
        jobs = [json.loads(line) for line in shop.system.must("build", "get", rid).splitlines()]
        assert {job["state"] for job in jobs} == {"SUCCEEDED"}, jobs
        assert {job["output"].removeprefix(DATASET) for job in jobs} == wanted
        assert builder.metric('schedrun_jobs_total{end="succeeded"}') == before + len(wanted)
        assert not shop.stale() and shop.submit()["type"] == "ignored"
        return wanted

    assert len(build()) == 10
    shop.keep_state()
    with open(shop.home / "seeds/raw_payments.csv", "a") as seed:
        seed.write("4,open\n")
    shop.load()
    changed = shop.modified([])
    assert build() == changed and "seed.shop.raw_payments" in changed and "model.shop.stg_orders" not in changed
    shop.keep_state()
    shop.commit("crm.countries")
    assert build() == {"model.shop.by_country"} == shop.modified(["crm.countries"])
    builder.stop(60)
    shop.sql("select revenue from main.revenue")


def append(path, text):
    with open(path, "a") as out:
        out.write(text)


def replaced(path, pattern, value):
    path.write_text(re.sub(pattern, value, path.read_text(), count=1))


def change(shop, pick, n):
    """One thing that a developer may do; the source that has new data, if it is that."""
    kind = pick.choice(["model", "model", "seed", "macro", "config", "source", "nothing"])
    if kind == "model":
        append(pick.choice(sorted(shop.home.glob("models/*.sql"))), f"\n-- {n}")
    elif kind == "seed":
        path = pick.choice(sorted(shop.home.glob("seeds/*.csv")))
        append(path, f"{100 + n},{'open' if 'payments' in path.name else '1,5'}\n")
    elif kind == "macro":
        name = pick.choice(["cents", "euros", "scaled"])
        replaced(shop.home / "macros/money.sql", rf"({name}\([^)]*\) %}})", rf"\g<1>/* {n} */")
    elif kind == "config":
        path = pick.choice([path for path in sorted(shop.home.glob("models/*.sql")) if "ephemeral" not in path.read_text()])
        text = re.sub(r"^\{\{ config\(.*\n", "", path.read_text())
        path.write_text(f"{{{{ config(materialized='{pick.choice(['view', 'table'])}', meta={{'n': {n}}}) }}}}\n{text}")
    elif kind == "source":
        source = pick.choice(["crm.customers", "crm.countries"])
        shop.commit(source)
        return source
    return None


def test_stale_is_what_dbt_calls_modified(shop):
    """50 rounds of random changes; each is then reported as built."""
    print(f"SEED={SEED}")
    pick = random.Random(SEED)
    shop.load()
    if shop.stale():
        shop.system.must("build", "finish", shop.submit()["buildRid"])
    shop.keep_state()
    sizes = []
    for n in range(CHANGES):
        sources = {source for source in (change(shop, pick, n) for _ in range(pick.randint(1, 3))) if source}
        shop.load()
        wanted = shop.modified(sources)
        assert shop.stale() == wanted, f"SEED={SEED}, round {n}"
        sizes.append(len(wanted))
        if wanted:
            build = shop.submit()["buildRid"]
            wait_for("the build to be known", lambda: shop.system.run("build", "finish", build).returncode == 0, 30)
        shop.keep_state()
    assert CHANGES < 50 or (len(set(sizes)) > 3 and max(sizes) > 4), sizes


def test_a_tag_that_comes_and_goes(shop):
    """A schedule's versions are functions of what it builds."""
    def versions():
        rows = shop.system.must("schedule", "versions", "ri.scheduler.main.schedule.dbt-shop-tag-apart").splitlines()
        return [json.loads(row)["rid"] for row in rows]

    def current():
        return json.loads(shop.system.must("schedule", "get", "ri.scheduler.main.schedule.dbt-shop-tag-apart"))["version"]["rid"]

    path = shop.home / "models/revenue.sql"
    before = path.read_text()
    first, was = versions(), current()
    path.write_text(f"{{{{ config(tags=['apart']) }}}}\n{before}")
    shop.load()
    assert len(versions()) == len(first) + 1
    path.write_text(before)
    shop.load()
    assert current() == was
