"""Beside each test (a plugin of pytest's): what was injected, what the checker said of
how many requests, how long it took to recover.  A test that fails leaves its topics, logs
and timetable below CHAOS_EVIDENCE, before its topics are deleted."""

import json
import os
import pathlib
import shutil
import subprocess

import checker
import injected
import pytest

judged = []  # (asked, Verdict) of the test that runs


def recording(judge):
    def judge_and_keep(bootstrap, asked, *more, **named):
        verdict = judge(bootstrap, asked, *more, **named)
        judged.append((list(asked), verdict))
        return verdict
    return judge_and_keep


checker.judge_topics = recording(checker.judge_topics)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    judged.clear()
    injected.begin()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" and not report.failed:
        return
    asked, verdict = judged[-1] if judged else ([], None)
    counts = {kind: verdict.counts[kind] for kind in checker.Verdict.KINDS} if verdict else {}
    for kind in injected.planted:
        injected.remarks.append(f"without the rule {counts.pop(kind, 0)} {kind}, as it must be")
    report.user_properties.append(("chaos", {
        "injected": len(injected.notes), "recovered": max(injected.recoveries, default=None),
        "requests": len(asked), "counts": counts,
        "remarks": list(injected.remarks)}))
    if report.failed and os.environ.get("CHAOS_EVIDENCE"):
        folder = pathlib.Path(os.environ["CHAOS_EVIDENCE"]) / item.nodeid.split("/")[-1].replace("::", ".")
        keep(folder, item, report, asked)


def keep(folder, item, report, asked):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "failure.txt").write_text(report.longreprtext)
    (folder / "output.txt").write_text(report.capstdout)
    (folder / "timetable.txt").write_text("".join(f"{at:8.2f} s  {what}\n" for at, what in injected.notes))
    for campaign in getattr(item.funcargs.get("campaign"), "made", []):
        asked = asked or campaign.abandon()
    (folder / "asked.jsonl").write_text("".join(json.dumps(note(one)) + "\n" for one in asked))
    system = item.funcargs.get("system")
    if system is None:
        return
    for daemon in system.daemons if shutil.which("gdb") else []:
        if daemon.process.poll() is None:
            done = subprocess.run(["gdb", "-p", str(daemon.process.pid), "-batch", "-ex", "thread apply all bt"],
                                  capture_output=True, text=True)
            (folder / f"{daemon.name}.stacks").write_text(done.stdout)
    for log in [*system.directory.glob("*.log"), *system.cluster.directory.glob("*.log")]:
        shutil.copy(log, folder)
    for topic in ("schedule-run-requests", "schedule-run-results", "schedule-builds",
                  "schedule-run-requests.dlq"):
        for isolation in ("read_committed", "read_uncommitted"):
            try:
                records = checker.read_topic(system.bootstrap, topic, isolation=isolation)
            except Exception as error:  # the broker may be what has failed
                (folder / f"{topic}.{isolation}.error").write_text(repr(error))
                continue
            (folder / f"{topic}.{isolation}.jsonl").write_text(
                "".join(json.dumps(record(message)) + "\n" for message in records))


def note(asked):
    """As checker.load_asked reads it."""
    return {"partition": asked.partition, "offset": asked.offset, "datum": asked.datum,
            "value": (asked.value or b"").hex(), "key": asked.key.hex() if asked.key is not None else None,
            "reason": asked.reason}


NAMES = {"schedule-run-requests": "run_request", "schedule-run-results": "schedule_run",
         "schedule-builds": "build_requested"}


def record(message):
    value = message.value()
    try:
        datum = checker.decode(NAMES[message.topic()], value)
    except Exception:  # a bad record, as was meant
        datum = None
    return {"partition": message.partition(), "offset": message.offset(), "timestamp": message.timestamp()[1],
            "key": repr(message.key()), "datum": datum, "value": value.hex() if value else None,
            "headers": repr(message.headers())}
