"""The checker must fail where something is wrong: each fault planted once."""

import copy

import pytest
from confluent_kafka import Producer

import checker
from checker import Asked, build_rid, encode, job_rid, judge, run_rid

SCHEDULE = "ri.scheduler.main.schedule.one"
DATASET = "ri.foundry.main.dataset.a"


class Message:
    def __init__(self, offset, key, value, headers=None):
        self._offset, self._key, self._value, self._headers = offset, key, value, headers

    def partition(self):
        return 0

    def offset(self):
        return self._offset

    def key(self):
        return self._key

    def value(self):
        return self._value

    def headers(self):
        return self._headers


def asked(offset):
    return Asked(0, offset, {
        "requestId": f"r-{offset}", "runRid": None, "scheduleRid": SCHEDULE,
        "scheduleVersionRid": None, "createdTime": 1000 + offset, "createdBy": None,
        "trigger": None})


def run_of(a):
    rid = run_rid(SCHEDULE, a.datum["requestId"])
    return {
        "rid": rid, "requestId": a.datum["requestId"], "scheduleRid": SCHEDULE,
        "scheduleVersionRid": "ri.scheduler.main.schedule-version.1",
        "createdTime": a.datum["createdTime"], "createdBy": None, "trigger": None,
        "finishedTime": 5000, "result": {"buildRid": build_rid(rid)},
        "why": {"phase": 11, "cause": "stale", "selected": 1, "running": 1, "upToDate": 0,
                "blocked": 0, "lists": {}}}


def build_of(run):
    build = run["result"]["buildRid"]
    return {
        "buildRid": build, "runRid": run["rid"], "requestId": run["requestId"],
        "scheduleRid": SCHEDULE, "scheduleVersionRid": run["scheduleVersionRid"],
        "createdTime": run["createdTime"], "createdBy": None, "branch": "master",
        "fallbackBranches": [], "forceBuild": False, "abortOnFailure": False, "retryCount": 0,
        "retryBackoffDuration": None, "runAs": {"userId": "u"}, "notify": None,
        "jobs": [{"jobRid": job_rid(build, DATASET), "jobSpecRid": "ri.foundry.main.jobspec.1",
                  "specBranch": "master", "logic": "v1",
                  "outputs": [{"rid": DATASET, "newBranch": None}], "inputs": [],
                  "fingerprint": job_rid(build, DATASET).rpartition(".")[2],
                  "dependsOn": [], "reason": {"cause": "forced", "output": None, "from": None,
                                              "to": None, "inputs": None}}]}


class Story:
    """Three requests, the third a repeat of the first, and a bad record: all right."""

    def __init__(self):
        self.asked = [asked(0), asked(1), asked(2)]
        repeat = copy.deepcopy(self.asked[0])
        repeat.offset = 3
        self.asked.append(repeat)
        self.asked.append(Asked(0, 4, None, b"junk", b"k", "bad-magic"))
        self.runs = [run_of(a) for a in self.asked[:3]]
        self.builds = [build_of(run) for run in self.runs]
        self.dead = [(4, b"junk", "bad-magic")]
        self.committed = {0: 5}

    def judge(self):
        results = [Message(i, run["scheduleRid"].encode(), encode("schedule_run", run))
                   for i, run in enumerate(self.runs)]
        builds = [Message(i, b["buildRid"].encode(), encode("build_requested", b))
                  for i, b in enumerate(self.builds)]
        dead = [Message(i, b"k", value, [
            ("__connect.errors.partition", b"0"),
            ("__connect.errors.offset", str(offset).encode()),
            ("schedrun.dlq.reason", reason.encode())])
            for i, (offset, value, reason) in enumerate(self.dead)]
        return judge(self.asked, results, builds, dead, self.committed, {0: (0, 5)})


def lose(story):
    del story.runs[1], story.builds[1]


def double(story):
    story.runs.append(story.runs[0])


def swap(story):
    story.runs[0], story.runs[1] = story.runs[1], story.runs[0]


def wrong_id(story):
    story.runs[0]["rid"] = run_rid(SCHEDULE, "another")


def wrong_fingerprint(story):
    story.builds[0]["jobs"][0]["fingerprint"] = job_rid(story.builds[1]["buildRid"], DATASET).rpartition(".")[2]


def wrong_job(story):
    story.builds[0]["jobs"][0]["jobRid"] = job_rid("x", "y")


def tear_result(story):
    del story.builds[2]


def tear_build(story):
    story.runs[2]["result"] = {}


def wrong_field(story):
    story.runs[0]["trigger"] = "another"


def foreign(story):
    stranger = asked(9)
    story.runs.append(run_of(stranger))
    story.builds.append(build_of(story.runs[-1]))


def not_committed(story):
    story.committed = {0: 3}


def unburied(story):
    story.dead = []


def buried_twice(story):
    story.dead *= 2


def changed_bytes(story):
    story.dead = [(4, b"junk!", "bad-magic")]


def other_reason(story):
    story.dead = [(4, b"junk", "malformed")]


def test_the_untouched_story_is_clean():
    verdict = Story().judge()
    assert verdict.clean(), verdict
    assert verdict.outcomes == {"submitted": 3}


@pytest.mark.parametrize("plant, kind", [
    (lose, "lost"), (double, "doubled"), (swap, "order"), (wrong_id, "ids"), (wrong_job, "ids"),
    (wrong_fingerprint, "ids"),
    (tear_result, "torn"), (tear_build, "torn"), (wrong_field, "fields"), (foreign, "foreign"),
    (not_committed, "offsets"), (unburied, "lost"), (buried_twice, "doubled"),
    (changed_bytes, "fields"), (other_reason, "fields"),
])
def test_a_planted_fault_is_found(plant, kind):
    story = Story()
    plant(story)
    verdict = story.judge()
    assert verdict.counts[kind] >= 1, verdict


def test_what_a_killed_worker_leaves_open_is_awaited(system):
    topic = "schedule-run-results"
    system.init(partitions=1)
    producer = Producer({"bootstrap.servers": system.bootstrap, "transactional.id": "left open"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"unseen")
    producer.flush(30)
    with pytest.raises(TimeoutError, match="stays open"):
        checker.wait_settled(system.bootstrap, topic, timeout=1)
    producer.abort_transaction(30)
    checker.wait_settled(system.bootstrap, topic)
