"""The worker, `plan --schedule` and `plan --world` on what `export` prints must say
the same, to the byte: random worlds of the golden generator, side by side in one
catalogue."""

import json
import pathlib
import sys
import uuid

import pytest
from programs import wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "golden"))

import documents  # noqa: E402
import worlds  # noqa: E402

WORLDS = 80
TIME = "2026-01-31T09:05:07.042Z"


def renamed(case, seed):
    """The case with names that no other world has."""
    text = json.dumps(case)
    for kind in ("foundry.main.dataset", "foundry.main.jobspec", "compass.main.folder",
                 "scheduler.main.schedule", "scheduler.main.schedule-version"):
        text = text.replace(f'"ri.{kind}.', f'"ri.{kind}.w{seed}.')
    for user in worlds.USERS:
        text = text.replace(f'"{user}"', f'"{uuid.uuid5(uuid.NAMESPACE_OID, user + str(seed))}"')
    return json.loads(text)


def make_cases():
    """Catalogue parts and requests that a store can hold."""
    for seed in range(1, WORLDS + 1):
        case = renamed(worlds.Maker(seed, most=150).make(), seed)
        version = case["version"]
        if version is None or not catalogues_may_have(version):
            continue
        case["world"].pop("limits", None)
        paused = version.pop("paused", False)
        version.pop("deleted", None)
        request = {"requestId": f"r-{seed}", "scheduleRid": version["scheduleRid"],
                   "createdTime": TIME, "createdBy": case["request"].get("createdBy"),
                   "scheduleVersionRid": version["rid"] if seed % 3 == 0 else None}
        yield case["world"], {"rid": version["scheduleRid"], "paused": paused,
                              "versions": [version]}, request


def catalogues_may_have(version):
    """`apply` wants owners that clients can read."""
    try:
        return str(uuid.UUID(version["createdBy"])) == version["createdBy"]
    except ValueError:
        return False


def merged(cases):
    whole = {"projects": {}, "users": {}, "datasets": {}, "jobSpecs": [], "schedules": []}
    for world, schedule, _ in cases:
        for key in ("projects", "users", "datasets"):
            whole[key].update(world.get(key, {}))
        whole["jobSpecs"] += world.get("jobSpecs", [])
        whole["schedules"].append(schedule)
    return whole


@pytest.fixture(scope="module")
def shop(fresh_system):
    fresh_system.delete_topics()
    fresh_system.init()
    fresh_system.worker()
    fresh_system.folder()
    return fresh_system


def plan_offline(shop, exported, requests):
    """One outcome per request, from the exported world alone."""
    world = {key: value for key, value in exported.items() if key != "schedules"}
    schedules = {schedule["rid"]: schedule for schedule in exported["schedules"]}
    lines = []
    for request in requests:
        schedule = schedules[request["scheduleRid"]]
        version = dict(schedule["versions"][-1], paused=schedule["paused"])
        lines.append(documents.canonical(
            {"world": world, "version": version, "request": request}))
    answers = shop.must("plan", "--jsonl", stdin="\n".join(lines) + "\n")
    return answers.splitlines()


def plan_live(shop, request):
    flags = ["--schedule", request["scheduleRid"], "--request-id", request["requestId"]]
    if request["createdBy"]:
        flags += ["--by", request["createdBy"]]
    if request["scheduleVersionRid"]:
        flags += ["--pin", request["scheduleVersionRid"]]
    outcome = json.loads(shop.must("plan", *flags))
    outcome["createdTime"] = TIME
    return documents.canonical(outcome)


def submit(shop, requests):
    """The run of each request id."""
    said = shop.must("submit", "-f", "-", stdin="".join(
        json.dumps({k: v for k, v in r.items() if v is not None}) + "\n" for r in requests))
    return {json.loads(line)["requestId"]: json.loads(line)["runRid"]
            for line in said.splitlines()}


def test_one_plan_in_three_places(shop):
    cases = list(make_cases())
    assert len(cases) > WORLDS / 2
    shop.apply(merged(cases))
    exported = json.loads(shop.must("export"))
    requests = [request for _, _, request in cases]
    for daemon in shop.daemons:
        daemon.wait_ready()
    runs = submit(shop, requests)
    offline = plan_offline(shop, exported, requests)
    outcomes = set()
    for request, expected in zip(requests, offline):
        assert plan_live(shop, request) == expected, request
        done = wait_for(f"the run of {request['requestId']} in the view",
                        lambda: explained(shop, runs[request["requestId"]], expected))
        assert done == expected
        outcomes.add(json.loads(expected)["why"]["cause"])
    assert {"stale", "upToDate"} < outcomes and len(outcomes) > 8, outcomes


def explained(shop, run, expected):
    """`run explain`; None until both topics are folded as far as it needs."""
    done = shop.run("run", "explain", run)
    if done.returncode != 0 or (done.stderr and '"build"' in expected):
        return None
    return done.stdout.rstrip("\n")


def may_run_again(case, outcome):
    """Forced builds, and what follows from jobs that are always stale."""
    _, schedule, _ = case
    causes = {job["reason"]["cause"] for job in outcome["build"]["jobs"]}
    return schedule["versions"][-1]["action"].get("forceBuild") or \
        ("alwaysStale" in causes and causes <= {"alwaysStale", "upstream"})


def test_what_is_finished_is_up_to_date(shop):
    """Every build is run, finished and asked for again: through Kafka and Redis."""
    cases = list(make_cases())
    shop.apply(merged(cases), "--prune")
    for daemon in shop.daemons:
        daemon.wait_ready()
    first = [dict(r, requestId=f"first-{r['requestId']}") for _, _, r in cases]
    submit(shop, first)
    offline = plan_offline(shop, json.loads(shop.must("export")), first)
    submitted = [i for i, text in enumerate(offline) if '"build":' in text]
    assert len(submitted) > 10
    for i in submitted:
        build = json.loads(offline[i])["build"]["buildRid"]
        wait_for("the build to be folded and finished",
                 lambda: shop.run("build", "finish", build).returncode == 0)
    again = [dict(cases[i][2], requestId=f"again-{i}") for i in submitted]
    runs = submit(shop, again)
    offline = plan_offline(shop, json.loads(shop.must("export")), again)
    ignored = 0
    for i, request, expected in zip(submitted, again, offline):
        done = wait_for(f"the run of {request['requestId']} in the view",
                        lambda: explained(shop, runs[request["requestId"]], expected))
        assert done == expected
        outcome = json.loads(expected)
        ignored += outcome["result"]["type"] == "ignored"
        assert outcome["why"]["cause"] == "upToDate" or may_run_again(cases[i], outcome)
    assert ignored > 5
