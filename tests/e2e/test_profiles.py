"""Profiles, templates of `watch`, and what a command says while it waits."""

import json
import os
import pty
import re
import subprocess

import catalogues
import pytest
from catalogues import schedule_rid
from cluster import free_ports
from programs import BUILD, wait_for


@pytest.fixture
def home(tmp_path):
    """`schedrun ...` of a user of its own, who stands in an empty folder."""
    (tmp_path / "here").mkdir()

    def run(*words, code=0, **environment):
        done = subprocess.run([BUILD / "schedrun", *words], capture_output=True, text=True, cwd=tmp_path / "here", timeout=60,
                              env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment})
        assert done.returncode == code, (words, done)
        return done
    run.folder = tmp_path / ".config/schedrun"
    run.here = tmp_path / "here"
    return run


def rows(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def source(run, key, *flags, **environment):
    """Value and source of a key, as the configuration has them."""
    (row,) = [row for row in rows(run("config", "show", *flags, **environment)) if row["key"] == key]
    return row["value"], row["source"]


def test_a_profile_is_kept_used_shown_and_put_away(home):
    assert rows(home("profile", "list")) == []
    assert "no profile is in use" in home("profile", "show", code=1).stderr
    home("-b", "b:9092", "--redis", "redis://r:1/0", "profile", "create", "staging")
    home("profile", "create", "laptop", "-s", "redis.prefix=me:", "-X", "linger.ms=7")
    staging, laptop = (str(home.folder / name / "schedrun.conf") for name in ("staging", "laptop"))
    assert rows(home("profile", "list")) == [{"profile": "laptop", "inUse": "yes", "file": laptop},
                                             {"profile": "staging", "inUse": None, "file": staging}]
    assert rows(home("profile", "show")) == [
        {"key": "redis.prefix", "value": "me:", "source": f"{laptop}:1"},
        {"key": "kafka.linger.ms", "value": "7", "source": f"{laptop}:2"}]
    assert source(home, "redis.prefix") == ("me:", f"{laptop}:1")
    assert source(home, "redis.url", "--profile", "staging") == ("redis://r:1/0", f"{staging}:2")
    home("profile", "use", "staging")
    assert source(home, "redis.url") == ("redis://r:1/0", f"{staging}:2")
    # Its secrets stand beside it, and are shown by nobody.
    (home.folder / "staging/schedrun.secrets").write_text("redis.password = canary\n")
    (home.folder / "staging/schedrun.secrets").chmod(0o600)
    assert {"key": "redis.password", "value": "***", "source": f"{home.folder}/staging/schedrun.secrets:1"} in \
        rows(home("profile", "show", "staging"))
    home("profile", "use", "-")
    assert source(home, "redis.url")[1] == "default"
    assert {path.stat().st_mode & 0o777 for path in home.folder.glob("*/schedrun.conf")} == {0o600}


def test_what_is_nearer_goes_before_the_profile_in_use(home):
    home("profile", "create", "far", "-s", "redis.prefix=far:")
    named = home.here / "named.conf"
    named.write_text("redis.prefix = named:\n")
    assert source(home, "redis.prefix", "-c", str(named))[0] == "named:"
    assert source(home, "redis.prefix", SCHEDRUN_CONFIG=str(named))[0] == "named:"
    assert source(home, "redis.prefix", SCHEDRUN_REDIS_PREFIX="env:")[0] == "env:"
    (home.here / "schedrun.conf").write_text("redis.prefix = here:\n")
    assert source(home, "redis.prefix")[0] == "here:"
    assert source(home, "redis.prefix", "--profile", "far")[0] == "far:"
    # The daemons have none.
    done = subprocess.run([BUILD / "schedrun-worker", "--print-config"], capture_output=True, text=True, cwd="/",
                          env={"HOME": str(home.folder.parents[1])})
    assert "redis.prefix = schedrun:\t# default" in done.stdout


@pytest.mark.parametrize("words, reason", [
    (["profile", "create", "wrong", "-s", "redis.urk=x"], 'did you mean "redis.url"?'),
    (["profile", "create", "wrong"], "nothing to keep"),
    (["profile", "create", "there", "-s", "redis.prefix=x:"], "is there already"),
    (["profile", "create", "a/b", "-s", "redis.prefix=x:"], "no profile's name"),
    (["profile", "create", "wrong", "-s", "redis.password=x"], "everybody can read"),
    (["profile", "use", "wrong"], "try: schedrun profile list"),
    (["profile", "show", "wrong"], "try: schedrun profile list"),
    (["--profile", "wrong", "config", "show"], 'no profile "wrong"'),
    (["--profile", "../there", "config", "show"], "is no name"),
])
def test_refused(home, words, reason):
    home("profile", "create", "there", "-s", "redis.prefix=there:")
    assert reason in home(*words, code=2).stderr
    assert not (home.folder / "wrong").exists()
    assert source(home, "redis.prefix")[0] == "there:"


def test_print_config_has_the_form_that_was_asked_for(home):
    shown = rows(home("config", "show"))
    assert rows(home("--print-config", "-o", "jsonl")) == shown == rows(home("lag", "--print-config", "-o", "jsonl"))
    assert json.loads(home("--print-config", "-o", "json").stdout) == shown
    assert home("--print-config", "-o", "table").stdout.startswith("KEY ")
    assert home("--print-config").stdout.startswith("worker.group = schedrun-worker\t# default\n")


@pytest.mark.parametrize("template, reason", [
    ("{outcom}", 'no member "outcom", did you mean "outcome"?'),
    ("a {rid", '"{" without its end'), ("a } b", '"}" without its end'), ("\\q", '"\\" without its end'), ("\\", "without its end"),
    ("{}", 'no member ""'),
])
def test_a_template_that_is_none(home, template, reason):
    assert reason in home("watch", "--output-template", template, code=2).stderr


def test_watch_by_a_template_outlives_the_broker(system):
    """Line by line as the template has it; an outage is no noise."""
    system.init()
    system.apply(catalogues.outcomes())
    system.worker().wait_ready()
    out, said = system.directory / "watched", system.directory / "said"
    template = r"{{{outcome}}}\t{errorName}\t{scheduleRid}\\{requestId}"
    with open(out, "wb") as to, open(said, "wb") as errors:
        watch = subprocess.Popen([BUILD / "schedrun", *system.flags(), "watch", "--from", "beginning", "--count", "3",
                                  "--output-template", template], stdout=to, stderr=errors)
    for name, identity in (("stale", "one"), ("cycle", "two")):
        system.run("submit", schedule_rid(name), "--request-id", identity, "--wait", "30s")
    wait_for("two lines", lambda: len(out.read_text().splitlines()) == 2)
    system.cluster.stop_kafka()
    system.cluster.start_kafka()
    wait_for("the worker to be back", system.daemons[0].is_ready)
    system.must("submit", schedule_rid("fresh"), "--request-id", "three", "--wait", "30s")
    assert watch.wait(60) == 0
    assert out.read_text().splitlines() == [
        "{submitted}\t\t" + schedule_rid("stale") + "\\one",
        "{error}\tCyclicDependency\t" + schedule_rid("cycle") + "\\two",
        "{ignored}\t\t" + schedule_rid("fresh") + "\\three"]
    assert said.read_text() == ""


def test_who_waits_is_told_what_for(home):
    """On a terminal from the second second on; what it stood on is clean behind it."""
    port, = free_ports(1)
    flags = ["-b", f"127.0.0.1:{port}", "--redis", f"redis://127.0.0.1:{port}/0", "--timeout", "3s"]
    ours, theirs = pty.openpty()
    done = subprocess.run([BUILD / "schedrun", *flags, "check"], stdout=subprocess.PIPE, stderr=theirs, cwd=home.here, timeout=60)
    os.close(theirs)
    told = b""
    try:
        while piece := os.read(ours, 65536):
            told += piece
    except OSError:  # the terminal's end
        pass
    assert done.returncode == 5
    drawn = re.findall(rb"\r\x1b\[K([^\r\x1b]*)", told)
    assert drawn[0] == b"looking at Kafka, 1 s" and b"waiting for Redis, " in b" ".join(drawn) and drawn[-1] == b""
    quiet = home(*flags, "-q", "export", code=5)
    assert "waiting" not in quiet.stderr
