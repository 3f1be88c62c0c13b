"""`schedrun schedule next`: when cron expressions are due, held against croniter and zoneinfo."""

import datetime
import itertools
import json
import re
import subprocess
import zoneinfo

import pytest
from croniter import croniter
from programs import BUILD

UTC = datetime.timezone.utc
SECOND, HOUR, DAY = (datetime.timedelta(seconds=n) for n in (1, 3600, 86400))
ZONES = ["UTC", "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/St_Johns",
         "America/Nuuk", "Africa/Casablanca", "Africa/Cairo", "Asia/Kathmandu", "Asia/Tehran",
         "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Apia", "Antarctica/Troll"]
YEARS = [2011, 2026, 2038, 2099]
SELDOM = ["30 2 * * *", "15 1 * * *", "0 0 * * *", "45 0,1,2,3 * * 0", "0 6 * * MON-FRI",
          "59 23 L * *", "0 3 * * 5L", "5 1 * * 1#2", "0 12 1,15 * fri", "0 0 29 2 *",
          "30 1 L * 7", "10/20 4 */10 jan-MAR,oct *", "7 2-3 1-7/2 * 1-6/2",
          "0 0 * 11 sun#1,2L"]
OFTEN = ["* * * * *", "*/17 * * * *", "30 * * * *", "20 */2 * * *", "*/20 0-4 * * *",
         "5/25 1-3 * * *"]


def ours(expression, zone, after, n):
    done = subprocess.run(
        [BUILD / "schedrun", "schedule", "next", "--cron", expression, "--zone", zone,
         "--from", after.strftime("%Y-%m-%dT%H:%M:%SZ"), "-n", str(n), "-o", "jsonl"],
        capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def exists(local, zone, fold):
    """The instant at which clocks show it, or None."""
    at = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    return at if at.astimezone(zone).replace(tzinfo=None) == local else None


def behind_gap(local, zone):
    """The moment of the change that skips a local time, by bisection."""
    low, high = sorted(local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    before = low.astimezone(zone).utcoffset()
    while high - low > SECOND:
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def theirs(expression, name, after, n):
    zone = zoneinfo.ZoneInfo(name)
    by_time = expression.split()[1] == "*"
    fields = croniter(re.sub(r"(\d)L", r"L\1", expression),
                      after.replace(tzinfo=None) - 2 * DAY, max_years_between_matches=60)
    found = set()
    while True:
        for local in (fields.get_next(datetime.datetime) for _ in range(n)):
            firsts = [exists(local, zone, fold) for fold in (0, 1)]
            found.update(filter(None, firsts) if by_time
                         else [firsts[0] or behind_gap(local, zone)])
        # A local time of two days behind may still come before it.
        due = sorted(at for at in found if at > after)
        if len(due) >= n and local.replace(tzinfo=UTC) - 2 * DAY > due[n - 1]:
            return due[:n]


def changes(name, year):
    """Hours before those in which a zone's clocks are changed."""
    zone = zoneinfo.ZoneInfo(name)
    hours = [datetime.datetime(year, 1, 1, tzinfo=UTC) + n * HOUR for n in range(366 * 24)]
    return [a - HOUR for a, b in itertools.pairwise(hours)
            if a.astimezone(zone).utcoffset() != b.astimezone(zone).utcoffset()]


def compare(expression, zone, after, n):
    got = [row["due"] for row in ours(expression, zone, after, n)]
    expected = [at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
                for at in theirs(expression, zone, after, n)]
    assert got == expected, (expression, zone, after)
    return len(got)


@pytest.mark.parametrize("zone", ZONES)
def test_due_as_croniter_and_zoneinfo_say(zone):
    which = itertools.cycle(SELDOM)
    often = itertools.cycle(OFTEN)
    looked = 0
    for year in YEARS:
        for _ in range(3):
            looked += compare(next(which), zone, datetime.datetime(year, 1, 1, tzinfo=UTC), 30)
        for hour in changes(zone, year):
            looked += compare(next(often), zone, hour, 130)
            looked += compare("30 2 * * *", zone, hour - 2 * DAY, 4)
            looked += compare("*/15 0-3,23 * * *", zone, hour - DAY, 60)
    assert looked >= 360


def test_says_what_clocks_do():
    rows = ours("30 2 * * *", "Europe/Berlin", datetime.datetime(2026, 3, 28, 12), 2)
    assert [(row["local"], row["note"]) for row in rows] == [
        ("2026-03-29T03:00+02:00", "clocks skip 02:30: the next that they show"),
        ("2026-03-30T02:30+02:00", None)]
    [row] = ours("30 2 * * *", "Europe/Berlin", datetime.datetime(2026, 10, 24, 12), 1)
    assert (row["local"], row["note"]) == ("2026-10-25T02:30+02:00",
                                           "clocks show 02:30 twice: the first")


@pytest.mark.parametrize("flags, code, says", [
    (["--cron", "0 6 * *"], 4, 'cron expression "0 6 * *": 4 fields for five'),
    (["--cron", "0 6 * * *", "--zone", "Mars/Olympus"], 4, "no time zone Mars/Olympus"),
    (["--cron", "0 6 * * *", "--zone", "../../../etc/passwd"], 4, "is no name of a time zone"),
    (["--cron", "0 6 * * *", "--zone", "zone.tab"], 4, "is no name of a time zone"),
    (["--cron", "0 0 30 2 *"], 1, "never due"),
    (["--cron", "0 6 * * *", "--from", "9999-12-31T07:00:00Z"], 1, "never due"),
    (["--cron", "0 6 * * *", "--from", "tomorrow"], 2, "is no time"),
    (["--cron", "0 6 * * *", "-n", "0"], 2, "-n 0: is not a number of 1 to 2147483647"),
    ([], 2, "name a schedule"),
])
def test_says_what_is_wrong(flags, code, says):
    done = subprocess.run([BUILD / "schedrun", "schedule", "next", *flags],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert says in done.stderr
