"""A code location for test_dagster.py: a diamond, two assets of one step, a schedule."""

import pathlib

import dagster

PLACE = pathlib.Path(__file__).parent / "made"


def write(name):
    PLACE.mkdir(exist_ok=True)
    with open(PLACE / name, "a") as out:
        out.write("made\n")


@dagster.asset(deps=[dagster.AssetKey(["crm", "customers"])], code_version="1")
def clean():
    write("clean")


@dagster.multi_asset(specs=[dagster.AssetSpec(["marts", "orders"], deps=["clean"]), dagster.AssetSpec(["marts", "items"], deps=["clean"])])
def split():
    write("split")


@dagster.asset(deps=[dagster.AssetKey(["marts", "orders"]), "clean"], group_name="reports")
def report():
    write("report")


nightly = dagster.define_asset_job("nightly", selection=["report"])
defs = dagster.Definitions(
    assets=[clean, split, report, dagster.AssetSpec(["crm", "customers"])], jobs=[nightly],
    schedules=[dagster.ScheduleDefinition(job=nightly, cron_schedule="0 3 * * *", execution_timezone="Europe/Berlin")])
