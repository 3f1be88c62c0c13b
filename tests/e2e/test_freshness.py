"""A worker that remembers its plans answers as a worker that knows nothing would.

Each test asks first, so that the answer is remembered, then changes one thing
that the answer rests on, and asks again at once.
"""

import json
import time

import catalogues
import pytest
from catalogues import dataset, schedule_rid
from load import Load, request
from programs import wait_for

FRESH, STALE, FORCED = schedule_rid("fresh"), schedule_rid("stale"), schedule_rid("forced")


@pytest.fixture
def warm(system):
    system.init(partitions=1)
    system.apply(catalogues.outcomes())
    worker = system.worker().wait_ready()
    # What is asked for the second time is remembered.
    assert causes(system, FRESH, 4) == [("ignored", "upToDate")] * 4
    hits = 'schedrun_cache_requests_total{cache="answers",result="hit"}'
    wait_for("the answer to be remembered", lambda: worker.metric(hits) >= 2)
    for result in ("miss", "hit"):
        wait_for(f"a {result}", lambda: worker.metric(f'schedrun_cache_requests_total{{cache="heads",result="{result}"}}'))
    return system


def causes(system, schedule, n=3, *flags):
    """Types and causes of `n` runs, one after the other."""
    found = []
    for _ in range(n):
        done = system.run("submit", schedule, "--wait", "30s", *flags)
        run = json.loads(done.stdout.splitlines()[-1])
        found.append((run["result"]["type"], run["why"]["cause"]))
    return found


def test_commit_of_an_input(warm):
    warm.must("dataset", "commit", dataset("raw"), "--branch", "master")
    assert causes(warm, FRESH) == [("submitted", "stale")] * 3


def test_pause_and_unpause(warm):
    warm.must("schedule", "pause", FRESH)
    assert causes(warm, FRESH, 1) == [("ignored", "paused")]
    warm.must("schedule", "unpause", FRESH)
    assert causes(warm, FRESH, 1) == [("ignored", "upToDate")]


def test_new_catalogue(warm):
    """New logic of the job alone: another generation."""
    catalogue = catalogues.outcomes()
    for spec in catalogue["jobSpecs"]:
        if spec["outputs"] == [dataset("fresh")]:
            spec["logic"] = "v2"
    warm.apply(catalogue)
    assert causes(warm, FRESH) == [("submitted", "stale")] * 3


def test_who_asks_matters(warm):
    """The same schedule, asked by a person, is another question."""
    assert causes(warm, FRESH, 2, "--by", catalogues.OWNER) == \
        [("ignored", "upToDate")] * 2
    assert causes(warm, FRESH, 2, "--by", catalogues.STRANGER) == \
        [("error", "requesterUnknown")] * 2
    assert causes(warm, FRESH, 2) == [("ignored", "upToDate")] * 2


def test_a_writer_that_knows_no_edition(warm):
    """Somebody else's HSET is seen as well, if only after five seconds."""
    redis = warm.cluster.redis()
    stored = json.loads(redis.hget("schedrun:h", dataset("raw")))
    stored["master"]["head"] = catalogues.transaction("raw-by-hand")
    redis.hset("schedrun:h", dataset("raw"), json.dumps(stored))
    changed = time.monotonic()
    while causes(warm, FRESH, 1) != [("submitted", "stale")]:
        assert time.monotonic() - changed < 15


def test_ids_are_each_requests_own(system):
    """Remembered answers carry their own request's run, build and job ids."""
    system.init(partitions=1)
    system.apply(catalogues.outcomes())
    system.worker().wait_ready()
    load = Load(system.bootstrap)
    for i in range(50):
        load.send(request(STALE, f"own-{i}"))
        load.send(request(FORCED, f"own-{i}"))
    asked = load.flush()
    system.wait_drained()
    assert system.judge(asked).outcomes["submitted"] == 100
