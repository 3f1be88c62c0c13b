"""The command line: usage, configuration, and every command on a real system."""

import concurrent.futures
import datetime
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
import uuid

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

import catalogues
import injected
import programs
import pytest
import tokens
from catalogues import dataset, schedule_rid, version_rid
from programs import BUILD, stand_still, wait_for

SCHEDRUN = str(BUILD / "schedrun")
STALE, FRESH, CYCLE = (schedule_rid(name) for name in ("stale", "fresh", "cycle"))
RUN = "ri.scheduler.main.run.00000000-0000-5000-8000-000000000000"
A_BUILD = "ri.foundry.main.build.00000000-0000-5000-8000-000000000000"


def call(*arguments, cwd="/", env=None, stdin=None):
    """`schedrun` with nothing of the outside's configuration."""
    clean = {"PATH": os.environ["PATH"], **(env or {})}
    return subprocess.run([SCHEDRUN, *arguments], cwd=cwd, env=clean, input=stdin,
                          capture_output=True, text=True, timeout=60)


def commands():
    listed = call("--help").stdout.split("Commands:\n")[1].split("\n\n")[0]
    return [line[2:20].strip() for line in listed.splitlines()]


# --- usage ---------------------------------------------------------------------


def test_every_help_ends_with_two_examples():
    names = commands()
    assert len(names) >= 23 and "dataset commit" in names
    for name in names:
        done = call(*name.split(), "--help")
        assert done.returncode == 0 and not done.stderr
        lines = done.stdout.rstrip("\n").splitlines()
        assert lines[-3] == "Examples:" and all(l.startswith("  ") for l in lines[-2:]), name
        assert "schedrun " in lines[-2] and f" {name}" in lines[-2], name
        assert max(map(len, lines)) <= 79, name


EXAMPLE_FILES = {"catalogue.json": "{}", "requests.jsonl": "", "results.jsonl": "", "W.json": "{}", "V.json": "{}",
                 "R.json": "{}", "schedrun.conf": "builder.command = /bin/true\nbuilder.logs = /tmp/builds\n", "etc/schedrun/schedrun.conf": ""}
# What an example pipes into needn't be installed; jq is asked for RIDs alone.
EXAMPLE_TOOLS = {"jq": "cat >/dev/null; echo ri.foundry.main.build.00000000-0000-4000-8000-000000000000", "dot": "cat >/dev/null"}
EXAMPLE_SCHEDRUN = """#!/bin/sh
timeout 3 {program} "$@" --timeout 100ms
code=$?
echo $code >>{folder}/codes
exit $code
"""


def run_example(line, folder):
    """Exit codes of the commands in a line of --help, in a world where nobody answers."""
    for name, text in EXAMPLE_FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "bin").mkdir()
    (folder / "etc/bash_completion.d").mkdir()
    for name, text in {"schedrun": EXAMPLE_SCHEDRUN.format(program=BUILD / "schedrun", folder=folder),
                       **{tool: f"#!/bin/sh\n{text}\n" for tool, text in EXAMPLE_TOOLS.items()}}.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    if "profile use" in line or "profile show" in line:
        (folder / ".config/schedrun/staging").mkdir(parents=True)
        (folder / ".config/schedrun/staging/schedrun.conf").write_text("redis.prefix = x:\n")
    kind = "run" if " run " in f" {line} " else "build" if " build " in line else "schedule"
    uid = "00000000-0000-4000-8000-000000000000"
    rid = {"run": f"ri.scheduler.main.run.{uid}", "build": f"ri.foundry.main.build.{uid}",
           "schedule": "ri.scheduler.main.schedule.daily"}[kind]
    line = line.replace("dataset commit RID", "dataset commit ri.foundry.main.dataset.orders")
    line = line.replace("--schedule RID", "--schedule ri.scheduler.main.schedule.daily")
    line = re.sub(r"\bRID\b", rid, line).replace("<uuid>", uid).replace("/etc/", f"{folder}/etc/")
    subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, timeout=60, stdin=subprocess.DEVNULL, env={
        "PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder),
        "SCHEDRUN_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "SCHEDRUN_REDIS_URL": "redis://127.0.0.1:1/0"})
    return (folder / "codes").read_text().split()


def test_every_example_is_understood(tmp_path):
    """None is wrong usage, and none is a bug; 124: it goes on for ever, as it says."""
    lines = [line.strip() for name in commands() for line in call(*name.split(), "--help").stdout.rstrip("\n").splitlines()[-2:]]
    assert len(lines) == 2 * len(commands())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: run_example(lines[i], tmp_path / str(i)), range(len(lines))))
    for line, codes in zip(lines, found):
        assert codes and set(codes) <= {"0", "1", "3", "4", "5"} | ({"124"} if "--watch" in line else set()), (line, codes)


def test_the_help_of_a_group_lists_its_commands():
    for group in {name.split()[0] for name in commands() if " " in name}:
        done = call(group, "--help")
        assert done.returncode == 0 and not done.stderr
        assert set(re.findall(rf"^  ({group} \w+) ", done.stdout, re.M)) == \
            {name for name in commands() if name.startswith(group + " ")}


def test_help_is_a_command_too():
    assert call("help").stdout == call("--help").stdout
    assert call("help", "submit").stdout == call("submit", "--help").stdout
    assert call("help", "run", "get").stdout == call("run", "get", "--help").stdout
    assert call("help", "run").stdout == call("run", "--help").stdout
    assert call("help", "sumbit").returncode == 2
    assert "counts as automatic" in " ".join(call("submit", "--help").stdout.split())


SAID = "schedrun: the output can't be written: "


def unwritable(target, program, *arguments, env=None):
    """Exit code and stderr of a program whose stdout is `target` of the shell."""
    done = subprocess.run(["sh", "-c", f'exec "$@" >{target}', "sh", str(BUILD / program),
                           *arguments], stderr=subprocess.PIPE, text=True, timeout=60, cwd="/",
                          env={"PATH": os.environ["PATH"], **(env or {})})
    return done.returncode, done.stderr


@pytest.mark.parametrize("target, why", [("/dev/full", "No space left on device"),
                                         ("&-", "Bad file descriptor")])
def test_an_answer_that_gets_lost_is_exit_1(target, why, tmp_path):
    conf = tmp_path / "c.conf"
    conf.write_text("")
    for arguments in (["--version"], ["--help"], ["help"], ["--print-config"], ["config", "keys"],
                      ["config", "show"], ["config", "check", str(conf)], ["completion", "bash"],
                      ["schedule", "--help"], *([*name.split(), "--help"] for name in commands())):
        assert unwritable(target, "schedrun", *arguments) == (1, f"{SAID}{why}\n"), arguments
    for program in ("schedrun-worker", "schedrun-http", "schedrun-builder", "schedrun-trigger"):
        for flag in ("--version", "--help", "--print-config"):
            code, said = unwritable(target, program, flag)
            assert code == 74 and said == f"{program}: the output can't be written: {why}\n"
    assert unwritable(target, "schedrun", "nonsense")[0] == 2


@pytest.mark.parametrize("arguments, says", [
    ([], "no command; try: schedrun --help"),
    (["sumbit"], 'unknown command "sumbit", did you mean "submit"?'),
    (["schedule", "lsit"], 'did you mean "schedule list"?'),
    (["config"], "config needs a command; try: schedrun config --help"),
    (["dataset", "comit"], 'did you mean "dataset commit"?'),
    (["submit", "--wiat", "3s"], 'unknown flag "--wiat", did you mean "--wait"?'),
    (["submit", "-Z", "x"], 'unknown flag "-Z"'),
    (["submit", "x", "--wait"], "--wait needs a value"),
    (["submit", "x", "--quiet=1"], "--quiet takes no value"),
    (["submit", "x", "--wait", "soon"], "not a duration such as 30s"),
    (["submit"], "either a schedule's RID or -f FILE"),
    (["submit", "a", "b"], "too many arguments: b"),
    (["submit", "a", "-f", "b"], "either a schedule's RID or -f FILE"),
    (["lag", "-o", "yaml"], "is not table, json or jsonl"),
    (["-o", "yaml", "lag"], "is not table, json or jsonl"),
    (["--timeout", "5", "lag"], "not a duration"),
    (["--timeout", "0s", "lag"], "not a duration"),
    (["watch", "--count", "0"], "--count 0: is not a number of 1 to"),
    (["run", "list", "--schedule", "x", "--limit", "-1"], "--limit -1: is not a number of 1 to"),
    (["schedule", "next", "-n", "many", "x"], "-n many: is not a number of 1 to"),
    (["init", "--shards", "0"], "--shards 0: is not a number of 1 to"),
    (["watch", "--from", "yesterday"], "beginning, end or a time ago"),
    (["watch", "--outcome", "good"], "submitted, ignored or error"),
    (["run", "get", "x"], "is not the RID of a run"),
    (["run", "list"], "--schedule RID is missing"),
    (["build", "list"], "--schedule RID is missing"),
    (["plan"], "--schedule RID"),
    (["dlq", "redrive"], "either letters (P:O...) or a filter such as --reason NAME"),
    (["dlq", "drop", "0:1", "--since", "1h"], "either letters (P:O...) or a filter"),
    (["dlq", "redrive", "0:1", "0"], '"0" is no letter: PARTITION:OFFSET'),
    (["dlq", "redrive", "--again", "--reason", "empty"], "--again needs the letters' names"),
    (["dlq", "list", "--reason", "nope"], "is none of empty, too-large, "),
    (["dlq", "list", "--since", "soon"], "is no duration such as 24h"),
    (["dlq", "list", "--limit", "0"], "--limit 0: is not a number of 1 to 2147483646"),
    (["dlq", "list", "0:1"], "too many arguments: 0:1"),
    (["dlq", "show", "0:-1"], '"0:-1" is no letter'),
    (["completion", "tcsh"], "is not bash, zsh or fish"),
])
def test_wrong_usage_is_one_line_and_exit_2(arguments, says):
    done = call(*arguments)
    assert done.returncode == 2 and not done.stdout
    assert says in done.stderr and done.stderr.startswith("schedrun: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("program", ["schedrun-worker", "schedrun-http", "schedrun-builder", "schedrun-trigger"])
def test_daemons_refuse_by_sysexits(program, tmp_path):
    def start(*arguments):
        return subprocess.run([str(BUILD / program), *arguments], capture_output=True, text=True,
                              timeout=30, cwd=tmp_path)
    for arguments, code, says in ((["--chek"], 64, "--check"), (["x"], 64, "too many"),
                                  (["-s", "x=1"], 78, "unknown key"), (["-c", "/no"], 78, "/no"),
                                  (["-X", "acks=1"], 78, "set by schedrun"),
                                  (["-s", "redis.password=x"], 78, "secret")):
        done = start(*arguments)
        assert done.returncode == code and says in done.stderr, (arguments, done.stderr)
        assert len(done.stderr.splitlines()) == 1
    assert start("--print-config").returncode == 0


def completed(*words):
    """What bash offers for the last of the words."""
    script = (f"source <('{SCHEDRUN}' completion bash)\n"
              f"COMP_WORDS=(schedrun {' '.join(words)})\n"
              f"COMP_CWORD={len(words)}\n_schedrun\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n")
    done = subprocess.run(["bash", "-uc", script], capture_output=True, text=True, timeout=30,
                          env={"PATH": f"{BUILD}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == len(set(done.stdout.split())), done.stdout
    return set(done.stdout.split())


def test_completion_knows_the_table():
    firsts = {name.split()[0] for name in commands()}
    assert completed("''") == firsts
    assert completed("sub") == {"submit"}
    assert completed("schedule", "''") == {"list", "get", "next", "versions", "pause", "unpause", "delete"}
    assert completed("dlq", "''") == {"list", "show", "redrive", "drop"}
    assert completed("dlq", "redrive", "--d") == {"--dry-run"}
    assert completed("-b", "x", "--redis=y", "dataset", "c") == {"commit"}
    assert {"--wait", "--request-id"} <= completed("submit", "--")
    assert "--parent" in completed("dataset", "commit", "x", "--p")
    assert completed("submit", "--wa") == {"--wait"}
    for flag in ("-o", "--output"):
        assert completed("lag", flag, "''") == {"table", "json", "jsonl"}
        assert completed(flag, "js") == {"json", "jsonl"}
    assert completed("-c", "''") == set()
    for shell in ("zsh", "fish"):
        script = call("completion", shell).stdout
        assert all(name.split()[-1] in script for name in commands())


# --- configuration -------------------------------------------------------------


def shown(*flags, cwd="/", env=None):
    """Key -> (value, source) of `config show`."""
    done = call(*flags, "config", "show", cwd=cwd, env=env)
    assert done.returncode == 0, done.stderr
    rows = map(json.loads, done.stdout.splitlines())
    return {row["key"]: (row["value"], row["source"]) for row in rows}


def test_flags_before_environment_before_file_before_default(tmp_path):
    (tmp_path / "schedrun.conf").write_text(
        "\ufeffredis.url = redis://file:1/0\r\ndedup.ttl = 2h\n# two\n"
        "kafka.bootstrap.servers = a:1,b:2\nkafka.client.rack = #1 \"${r}\"\n"
        "kafka-producer.linger.ms = 3\n")
    (tmp_path / "other.conf").write_text("dedup.ttl = 3h\n")
    env = {"SCHEDRUN_REDIS_URL": "redis://env:1/0", "SCHEDRUN_KAFKA_BOOTSTRAP_SERVERS": "e:1"}
    keys = shown(cwd=tmp_path)
    assert keys["redis.url"] == ("redis://file:1/0", "./schedrun.conf:1")
    assert keys["kafka.client.rack"] == ('#1 "${r}"', "./schedrun.conf:5")
    assert keys["kafka.bootstrap.servers"] == ("a:1,b:2", "./schedrun.conf:4")
    assert keys["kafka-producer.linger.ms"] == ("3", "./schedrun.conf:6")
    assert keys["view.ttl"] == ("7d", "default")
    keys = shown(cwd=tmp_path, env=env)
    assert keys["redis.url"] == ("redis://env:1/0", "env SCHEDRUN_REDIS_URL")
    assert keys["kafka.bootstrap.servers"] == ("e:1", "env SCHEDRUN_KAFKA_BOOTSTRAP_SERVERS")
    keys = shown("--redis", "redis://flag:1/0", "-b", "f:1", cwd=tmp_path, env=env)
    assert keys["redis.url"] == ("redis://flag:1/0", "flag -s")
    assert keys["kafka.bootstrap.servers"] == ("f:1", "flag -X")
    assert shown("-c", "other.conf", cwd=tmp_path)["dedup.ttl"] == ("3h", "other.conf:1")
    named = shown(cwd=tmp_path, env={"SCHEDRUN_CONFIG": str(tmp_path / "other.conf")})
    assert named["dedup.ttl"][0] == "3h"
    for empty in ("", str(tmp_path / "other.conf")):
        named = shown(cwd=tmp_path, env={"SCHEDRUN_CONFIG": empty})
        assert named["dedup.ttl"][0] == ("3h" if empty else "2h"), "empty means not set"
    assert shown("-s", "kafka-consumer.fetch.wait.max.ms=7", "-X", "linger.ms=8",
                 cwd=tmp_path)["kafka-consumer.fetch.wait.max.ms"] == ("7", "flag -s")
    assert shown(cwd=tmp_path, env={"SCHEDRUN_REDIS_USERNAME": ""}).get("redis.username") is None
    printed = call("--print-config", "lag", cwd=tmp_path)
    assert printed.returncode == 0 and "dedup.ttl = 2h\t# ./schedrun.conf:2" in printed.stdout
    assert "\nkafka-producer.linger.ms = 3\t# ./schedrun.conf:6\n" in printed.stdout


BAD_FILES = {
    "unknown": ("redis.ulr = x\n", 'x.conf:1: unknown key "redis.ulr", did you mean "redis.url"?'),
    "twice": ('a = 1\n'.replace("a", "dedup.ttl").replace("1", "1h") * 2,
              "x.conf:2: dedup.ttl: set twice, first in line 1"),
    "a property twice": ("kafka.x = 1\n\nkafka.x = 2\n",
                         "x.conf:3: kafka.x: set twice, first in line 1"),
    "a property's secret twice": ("kafka.sasl.password = x\nkafka.sasl.password.file = y\n",
                                  "x.conf:2: kafka.sasl.password.file: set twice, first in line 1"),
    "a secret twice": ("redis.password = x\nredis.password.file = y\n", "set twice"),
    "out of range": ("dedup.ttl = 5s\n", "(allowed: 1m to 366d)"),
    "no number": ("http.rate = many\n", "(allowed: a whole number)"),
    "no choice": ("log.level = loud\n", "(allowed: debug|info|warn|error)"),
    "empty": ("redis.url =\n", "not empty"),
    "quotes": ('log.level = info\nredis.url = "redis://h:1/0"\n',
               "x.conf:2: redis.url: a value stands without quotes; write KEY = VALUE"),
    "a comment behind": ("dedup.ttl = 2h # two\n", '"2h # two" is not allowed'),
    "a block": ("kafka {\n x = 1\n", "x.conf:1: there are no blocks; write kafka.NAME = VALUE"),
    "a line that goes on": ("redis.url = redis://h:1,\\\n h:2/0\n", "x.conf:1: redis.url: "),
    "no setting": ("redis.url\n", "x.conf:1: not of the form KEY = VALUE"),
    "a property without name": ("kafka. = x\n", "x.conf:1: a librdkafka property without a name"),
    "a protected property": ("kafka-producer.linger.ms = 1\n\nkafka.enable.idempotence = false\n",
                             "x.conf:3: enable.idempotence is set by schedrun"),
    "a property that the worker rests on": ("kafka.enable.partition.eof = false\n",
                                            "x.conf:1: enable.partition.eof is set by schedrun"),
    "not UTF-8": (b"log.level = \xff\n", "not UTF-8"),
    "a line of 1 MiB": ("redis.url = " + "x" * 1048560, "x.conf:1: a line of"),
    "time-outs that don't fit": ("kafka.message.timeout.ms = 30000\n",
                                 "transaction.timeout.ms (20000)"),
    "view shorter than dedup": ("view.ttl = 1h\n", "dedup.ttl (24h)"),
    "a broker's port": ("kafka.bootstrap.servers = a:9092,[::1]:74628",
                        "[::1]:74628: port 74628: 65535 at most"),
    "no broker": ("kafka.bootstrap.servers =", "bootstrap.servers: no broker in it"),
    "none in a list": ("kafka-consumer.bootstrap.servers = , ,", "bootstrap.servers: no broker in it"),
    "a broker's port 0": ("kafka.bootstrap.servers = a:0", "nobody listens on port 0"),
    "a broker of no scheme of Kafka's": ("kafka.bootstrap.servers = SSL://a:1,http://b:2",
                                         'bootstrap.servers: "http://" is none of Kafka\'s'),
    "a broker without a port": ("kafka.bootstrap.servers = a:9092,b:", 'b:: "" is no port'),
    "no host to listen on": ("http.listen = 8080", 'http.listen: "8080" is no address to listen on'),
    "empty brackets": ("admin.listen = []:0", 'admin.listen: "[]:0" is no address to listen on'),
    "brackets left open": ("http.listen = [::1:80", '"[::1:80" is no address to listen on'),
    "no port to listen on": ("http.listen = [::1]", "the port is missing"),
    "too high a port": ("http.listen = 127.0.0.1:99999", "port 99999: 65535 at most"),
    "a higher one": ("admin.listen = 127.0.0.1:94610", "port 94610: 65535 at most"),
    "dead letters as requests": ("topics.dlq = schedule-run-requests",
                                 'topics.requests and topics.dlq are both "schedule-run-requests"'),
    "no topic's name": ("topics.results = a b", '"a b" is no topic\'s name'),
    "a group of both": ("http.group = schedrun-worker", "worker.group and http.group are both"),
    "a path by way of another": ("http.base.path = /a/../b", '"/a/../b" is no path as clients send it'),
    "a path with an empty part": ("http.base.path = /a//b", '"/a//b" is no path as clients send it'),
    "a path that is encoded": ("http.base.path = /a b", '"/a b" is no path as clients send it'),
    "a path of no root": ("http.base.path = x", '"x" does not begin with "/"'),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_bad_configuration_is_named(what, tmp_path):
    content, says = BAD_FILES[what]
    path = tmp_path / "x.conf"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for arguments in (["-c", "x.conf", "lag"], ["config", "check", "x.conf"]):
        done = call(*arguments, cwd=tmp_path)
        assert done.returncode == 2 and says in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_an_empty_subject_is_nobody(tmp_path):
    done = call("user", "id", "", cwd=tmp_path)
    assert done.returncode == 2 and "a subject is not empty" in done.stderr


JWT = "http.jwks = k.json\nhttp.issuer = i\nhttp.audience = a\n"
REFUSED_AT_START = {
    "an unknown property": ("kafka.bootstrap.server = a:9092", "worker",
                            "kafka property bootstrap.server: No such configuration property"),
    **{f"one of a side, {daemon}": (f"{more}kafka-{side}.{name} = soon", daemon, f"kafka property {name}: ")
       for daemon, more in (("worker", ""), ("http", JWT), ("trigger", ""),
                            ("builder", "builder.command = /bin/true\nbuilder.logs = builds\n"))
       for side, name in (("producer", "linger.ms"), ("consumer", "fetch.wait.max.ms"))},
    "an origin that nobody has": (JWT + "http.cors.origins = https://a.test, https://b.test/",
                                  "http", '"https://b.test/" is no origin'),
    "no URL of Redis": ("redis.url = http://x", "worker", '"http://x" is not redis://'),
    "none of the view": (JWT + "view.redis.url = x", "http", '"x" is not redis://'),
    "none of a registry": ("schema.registry.url = x", "worker", "schema.registry.url: not a URL"),
    "a registry's scheme": ("schema.registry.url = ftp://r", "worker", '"ftp://r" is not http://'),
    "a registry's port": ("schema.registry.url = http://r:99999", "worker",
                          "schema.registry.url: http://r:99999: a port is 1 to 65535"),
    "a registry's query": ("schema.registry.url = http://r/?a=b", "worker",
                           'schema.registry.url: http://r/?a=b: paths are put behind it'),
    "a password in a URL": ("schema.registry.url = http://u:p@r", "worker",
                            "schema.registry.url: no user and password in a URL"),
    "no file of a CA": ("schema.registry.url = https://r\nschema.registry.ca = /nowhere", "worker",
                        "schema.registry.ca: /nowhere: No such file"),
    "a CA without a certificate": ("schema.registry.url = https://r\nschema.registry.ca = /etc/passwd",
                                   "worker", "/etc/passwd: no certificate in it"),
    "no CA of the keys": (JWT.replace("k.json", "https://x/k") + "http.jwks.ca = /nowhere", "http",
                          "http.jwks.ca: /nowhere: No such file"),
    "one port for both": (JWT + "http.listen = 127.0.0.1:8081\nadmin.listen = 0.0.0.0:8081", "http",
                          "http.listen (127.0.0.1:8081) and admin.listen (0.0.0.0:8081) are one port"),
    "no origin": (JWT + "http.cors.origins = ,", "http", '"," has no origin in it'),
    "no program of a job": ("builder.command = /nowhere/job", "builder", "/nowhere/job: No such file"),
    "no name of a user": ("kafka.security.protocol = SASL_PLAINTEXT\nkafka.sasl.mechanism = PLAIN",
                          "worker", "sasl.username and sasl.password must be set"),
    "no certificate": ("kafka.security.protocol = SSL\nkafka.ssl.ca.location = /nowhere", "worker",
                       "kafka.ssl.ca.location: /nowhere: No such file"),
    "no private key": ("kafka.ssl.key.location = /nowhere", "worker",
                       "kafka.ssl.key.location: /nowhere: No such file"),
    "no key set": ("http.auth = jwt", "http", "http.auth=jwt needs http.jwks"),
    "a key set in clear": ("http.jwks = http://x/k\nhttp.issuer = i\nhttp.audience = a", "http",
                           "http.jwks: "),
    "no issuer": ("http.jwks = k.json", "http", "http.auth=jwt needs http.issuer"),
    "everybody from anywhere": ("http.auth = none\nhttp.listen = 0.0.0.0:8080", "http",
                                "serves loopback only, not 0.0.0.0:8080"),
    "no token file": ("http.auth = token-file", "http", "needs http.token.file"),
    "one that isn't there": ("http.auth = token-file\nhttp.token.file = /nowhere/tokens", "http",
                             "/nowhere/tokens: No such file"),
}


KEYS = tokens.key_set(tokens.Key("k"))


@pytest.mark.parametrize("what", REFUSED_AT_START)
def test_config_check_says_what_the_daemon_says(what, tmp_path):
    content, daemon, says = REFUSED_AT_START[what]
    path = tmp_path / "x.conf"
    path.write_text(content + "\n")
    (tmp_path / "k.json").write_text(KEYS)
    done = call("config", "check", str(path), cwd=tmp_path)
    assert done.returncode == 2 and says in done.stderr and not done.stdout, done
    assert len(done.stderr.splitlines()) == 1
    sentence = done.stderr.removeprefix("schedrun: config check: ").strip()
    environment = {"PATH": os.environ["PATH"], "SCHEDRUN_START_TIMEOUT": "1s"}
    if "admin.listen" not in content:
        environment["SCHEDRUN_ADMIN_LISTEN"] = "127.0.0.1:0"  # another's may have the default
    started = subprocess.run(
        [str(BUILD / f"schedrun-{daemon}"), "-c", str(path), "--log-format", "json", "-X",
         "log_level=0"], capture_output=True, text=True, timeout=30, cwd=tmp_path,
        env=environment)
    assert started.returncode == 78, started
    assert sentence in [json.loads(line)["msg"] for line in started.stderr.splitlines()]


def test_a_token_stands_in_its_file_once(tmp_path):
    """Of two lines one would count in silence, and who takes its scope away takes nothing."""
    secrets = [f"secret-{i}" for i in range(40)]
    lines = [f"{secret} {catalogues.OWNER} api:orchestration-read" for secret in secrets]
    lines[30:30] = ["# again", f"{secrets[11]}\t{catalogues.STRANGER}"]
    (tmp_path / "tokens").write_text("\n".join(lines))
    (tmp_path / "tokens").chmod(0o600)
    (tmp_path / "x.conf").write_text("http.auth = token-file\nhttp.token.file = tokens\n")
    says = "tokens:32: the token of line 12 again"
    done = call("config", "check", "x.conf", cwd=tmp_path)
    assert done.returncode == 2 and says in done.stderr and "secret" not in done.stderr, done
    done = subprocess.run([str(BUILD / "schedrun-http"), "-c", "x.conf"], capture_output=True,
                          text=True, timeout=30, cwd=tmp_path)
    assert done.returncode == 78 and says in done.stderr and "secret" not in done.stderr, done


def test_config_check_of_what_the_programs_take(tmp_path):
    """A worker's file need not say how callers are let in; the shipped one is in order."""
    path = tmp_path / "x.conf"
    named = tmp_path / "tokens"
    named.write_text(f"token {catalogues.OWNER} api:orchestration-read\n")
    named.chmod(0o600)
    (tmp_path / "k.json").write_text(KEYS)
    shipped = (programs.ROOT / "deploy/schedrun.conf").read_text()
    for content in ("", "admin.listen = :0\nkafka.client.rack = r\n", "http.listen = [::1]:65535\n",
                    JWT, shipped,
                    shipped.replace("/run/credentials/schedrun-http.service/tokens", str(named))):
        path.write_text(content)
        done = call("config", "check", str(path), cwd=tmp_path)
        assert done.returncode == 0 and done.stdout == f"{path}: fine\n", done.stderr


@pytest.mark.parametrize("content, program, says", [
    ("", "worker", None),
    ("", "trigger", None),
    ("", "http", "http.auth=jwt needs http.jwks"),
    ("", "builder", "builder.command: is not set"),
    ("builder.command = sh -c true", None, "builder.command: it is the path of a program"),
    ("builder.command = /no/such/job", "worker", None),
    ("builder.command = /bin/true -x", "builder", None),
    ("", "nobody", "allowed are worker, http, builder and trigger"),
])
def test_config_check_for_one_program(content, program, says, tmp_path):
    path = tmp_path / "x.conf"
    path.write_text(content + "\n")
    done = call("config", "check", str(path), *(["--for", program] if program else []))
    assert (done.returncode, says or "") == (2 if says else 0, says or "") and (says or "") in done.stderr, done


@pytest.mark.parametrize("content, says", [
    ("http.jwks = /nowhere\nhttp.issuer = i\nhttp.audience = a\n", "http.jwks: /nowhere: No such file"),
    ("http.jwks = /etc/passwd\nhttp.issuer = i\nhttp.audience = a\n", "http.jwks: /etc/passwd: line 1"),
    ("admin.port.file = /nowhere/port\n", "admin.port.file: /nowhere: No such file"),
    ("schema.registry.ca = /nowhere\n", "schema.registry.ca: /nowhere: No such file"),
    ("kafka-consumer.ssl.crl.location = /etc\n", "ssl.crl.location: /etc: not a regular file"),
])
def test_config_check_looks_at_every_file_that_is_named(content, says, tmp_path):
    """Also what a daemon would wait for, as a key set that may yet come; its --check says the same."""
    path = tmp_path / "x.conf"
    path.write_text(content)
    done = call("config", "check", str(path))
    assert done.returncode == 2 and says in done.stderr, done
    if "http.jwks" in content:
        done = subprocess.run([str(BUILD / "schedrun-http"), "-c", str(path), "--check"],
                              capture_output=True, text=True, timeout=30)
        assert done.returncode == 78 and says in done.stderr, done


@pytest.mark.parametrize("flags, env, says", [
    (["-c", "/nowhere.conf"], {}, "/nowhere.conf: No such file"),
    (["-c", "/tmp"], {}, "not a regular file"),
    ([], {"SCHEDRUN_CONFIG": "/nowhere.conf"}, "/nowhere.conf: No such file"),
    ([], {"SCHEDRUN_FOO": "1"}, 'env SCHEDRUN_FOO: unknown key "foo"'),
    ([], {"SCHEDRUN_REDIS_ULR": "1"}, 'did you mean "redis.url"?'),
    ([], {"SCHEDRUN_KAFKA_ACKS": "1"}, "acks is set by schedrun"),
    (["-s", "redis"], {}, "not of the form key=value"),
    (["-s", "redis.ulr=x"], {}, 'did you mean "redis.url"?'),
    (["-s", "redis.password=x"], {}, "give redis.password.file"),
    (["-s", "kafka.sasl.password=x"], {}, "give kafka.sasl.password.file"),
    (["-X", "ssl.key.pem.file=/nowhere"], {}, "ssl.key.pem.file"),
    (["-X", "sasl.password=x"], {}, "give sasl.password.file"),
    (["-X", "sasl.password.file=/nowhere"], {}, "/nowhere: No such file"),
    (["-X", "isolation.level=read_uncommitted"], {}, "set by schedrun"),
    (["-X", "auto.commit.enable=true"], {}, "set by schedrun"),
    (["-X", "transactional.id=x"], {}, "use worker.id"),
])
def test_bad_flags_and_environment(flags, env, says):
    done = call(*flags, "lag", env=env)
    assert done.returncode == 2 and says in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_outage_is_one_line():
    """What librdkafka says of each try would stand before the command's own sentence."""
    done = call("-b", "127.0.0.1:1", "--timeout", "2s", "lag")
    assert done.returncode == 5 and len(done.stderr.splitlines()) == 1, done.stderr
    assert len(call("-b", "127.0.0.1:1", "--timeout", "2s", "-v", "lag").stderr.splitlines()) > 1


def test_an_unknown_librdkafka_property():
    done = call("-b", "127.0.0.1:1", "-X", "nonsense.prop=1", "--timeout", "1s", "lag")
    assert done.returncode == 2 and "nonsense.prop" in done.stderr


@pytest.mark.parametrize("content, says", [
    (b"one line", None), (b"one line\n", None), (b"one line\r\n", None), (b"\xef\xbb\xbfone line\n", None),
    (b"", "is empty"), (b"\n", "is empty"), (b"one\ntwo\n", "a secret is one line"),
    (b"one\n\n", "a secret is one line"), (b"one\0two", "a secret is one line"), (b"one\rtwo", "a secret is one line"),
])
def test_a_secret_is_one_line(content, says, tmp_path):
    """What stands behind it would be cut off in silence, and the login fail."""
    (tmp_path / "secret").write_bytes(content)
    (tmp_path / "x.conf").write_text(f"redis.password.file = {tmp_path}/secret\n")
    done = call("config", "check", "x.conf", cwd=tmp_path)
    assert (done.returncode, says or "") == (2 if says else 0, says or "") and (says or "") in done.stderr, done.stderr


CANARY = "canary-5f2b9c"


def test_secrets_come_from_files_and_are_never_shown(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(CANARY + "\n")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "schedrun.secrets").write_text(f"schema.registry.auth = user:{CANARY}\n")
    (credentials / "schedrun.secrets").chmod(0o600)
    env = {"SCHEDRUN_REDIS_PASSWORD_FILE": str(secret), "CREDENTIALS_DIRECTORY": str(credentials),
           "SCHEDRUN_KAFKA_SASL_PASSWORD_FILE": str(secret)}
    keys = shown(env=env)
    assert keys["redis.password"] == ("***", "env SCHEDRUN_REDIS_PASSWORD_FILE")
    assert keys["schema.registry.auth"][0] == keys["kafka.sasl.password"][0] == "***"
    for arguments in (["config", "show"], ["--print-config"], ["-v", "lag", "--timeout", "200ms",
                                                               "-b", "127.0.0.1:1"]):
        done = call(*arguments, env=env)
        assert CANARY not in done.stdout + done.stderr
    open_file = tmp_path / "open.conf"
    open_file.write_text(f"redis.password = {CANARY}\n")
    open_file.chmod(0o644)
    done = call("-c", str(open_file), "config", "show")
    assert done.returncode == 0 and "chmod 0640" in done.stderr
    done = call("-c", str(open_file), "-s", "strict=on", "config", "show")
    assert CANARY not in done.stdout + done.stderr
    for setting in ("redis.password.file", "kafka.sasl.password.file", "kafka.ssl.key.location"):
        for mode, code in ((0o644, 2), (0o640, 0)):
            secret.chmod(mode)
            done = call("-s", f"{setting}={secret}", "-s", "strict=on", "config", "show")
            assert done.returncode == code and (f"{secret}: holds a secret" in done.stderr) == (code == 2)


def test_secrets_beside_the_configuration(tmp_path):
    """Where no unit has loaded them; of another user's the command knows nothing."""
    (tmp_path / "x.conf").write_text("redis.username = me\n")
    secrets = tmp_path / "schedrun.secrets"
    secrets.write_text(f"redis.password = {CANARY}\n")
    secrets.chmod(0o600)
    for arguments, cwd in ((["-c", str(tmp_path / "x.conf")], "/"), (["-c", "x.conf"], tmp_path)):
        assert "redis.password = ***" in call(*arguments, "--print-config", cwd=cwd).stdout
    loaded = call("-c", str(tmp_path / "x.conf"), "--print-config", env={"CREDENTIALS_DIRECTORY": "/nowhere"})
    assert loaded.returncode == 0 and "redis.password" not in loaded.stdout


@pytest.mark.parametrize("flags", [
    ["--redis", "redis://u:s3cret@h/0"], ["--redis", "redis://:s3cret@h:1,:s3cret@k:2/0"],
    ["--redis", "redis://h/0?password=s3cret"], ["-s", "view.redis.url=redis://:s3/cret@h"],
    ["-s", "schema.registry.url=https://u:s3cret@h"],
    ["-X", "sasl.oauthbearer.token.endpoint.url=https://u:s3cret@h/x"],
])
def test_a_secret_in_a_url_is_not_shown(flags):
    for command in (["--print-config"], ["config", "show"], ["config", "show", "-o", "table"]):
        done = call(*flags, *command)
        assert done.returncode == 0 and "***" in done.stdout, done
        assert "s3" not in done.stdout + done.stderr and "cret" not in done.stdout.replace(
            ".secret", "")
    assert "s3" not in call(*flags, "--timeout", "100ms", "schedule", "list").stderr


def test_config_keys_lists_them_all():
    rows = [json.loads(line) for line in call("config", "keys").stdout.splitlines()]
    keys = {row["key"]: row for row in rows}
    assert keys["dedup.ttl"]["default"] == "24h" and keys["dedup.ttl"]["type"] == "duration"
    assert all(row["meaning"] for row in rows) and len(rows) > 40


# --- a real system -------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(fresh_system, servers):
    """One worker, one adapter, the catalogue of all outcomes, for the whole file."""
    servers.redis().config_set("lazyfree-lazy-expire", "yes")
    servers.redis().config_set("lazyfree-lazy-user-del", "yes")
    fresh_system.delete_topics()
    fresh_system.init()
    fresh_system.apply(catalogues.outcomes())
    fresh_system.worker()
    fresh_system.folder()
    for daemon in fresh_system.daemons:
        daemon.wait_ready()
    yield fresh_system
    servers.redis().config_set("maxmemory-policy", "noeviction")
    servers.redis().config_set("lazyfree-lazy-expire", "no")
    servers.redis().config_set("lazyfree-lazy-user-del", "no")


def rows(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def submit(shop, rid, *flags):
    done = shop.run("submit", rid, "--wait", "30s", *flags)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_submit_answers_by_its_exit_code(shop):
    code, (accepted, run) = submit(shop, STALE, "--by", catalogues.OWNER, "--trigger", "test")
    assert code == 0 and run["result"]["type"] == "submitted" and run["trigger"] == "test"
    assert accepted == {"requestId": run["requestId"], "runRid": run["rid"]}
    code, (_, run) = submit(shop, FRESH)
    assert code == 0 and run["result"] == {"type": "ignored"}
    code, (_, run) = submit(shop, CYCLE)
    assert code == 1 and run["result"]["errorName"] == "CyclicDependency"
    code, (_, run) = submit(shop, STALE, "--version", version_rid("never"))
    assert code == 1 and run["why"]["cause"] == "versionNotFound"


def test_submit_looks_the_schedule_up(shop):
    done = shop.run("submit", schedule_rid("nope"))
    assert done.returncode == 3 and not done.stdout
    assert done.stderr == (f'schedrun: submit: schedule "{schedule_rid("nope")}" not found in '
                           f"{shop.redis_url}; try: schedrun schedule list\n")
    for arguments in (["nonsense"], [STALE, "--by", "ann"], [STALE, "--request-id", "x" * 201],
                      [STALE, "--version", dataset("x")]):
        assert shop.run("submit", *arguments).returncode == 2


def test_submit_waits_in_vain(shop):
    worker = shop.daemons[0]
    with stand_still(worker.process):
        done = shop.run("submit", STALE, "--wait", "300ms", "--request-id", "slow")
    assert done.returncode == 6 and "--request-id slow is safe" in done.stderr
    assert f"schedrun run get {json.loads(done.stdout)['runRid']}" in done.stderr
    assert json.loads(done.stdout)["requestId"] == "slow"
    again, (_, run) = submit(shop, STALE, "--request-id", "slow-too")
    assert again == 0 and run["requestId"] == "slow-too"


def test_submit_lines_and_bad_ones(shop, tmp_path):
    good = [{"scheduleRid": FRESH, "requestId": f"line-{i}", "createdBy": None,
             "createdTime": "2026-01-31T09:05:07Z"} for i in range(3)]
    lines = [json.dumps(good[0]), "nonsense", "", json.dumps(dict(good[0], runRid="x")),
             json.dumps(good[1]), json.dumps({"scheduleRid": "x"}), "x" * 70000,
             json.dumps({"scheduleRid": FRESH, "createdBy": "ann"}), json.dumps(good[2])]
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(lines))
    for arguments, stdin in ((["-f", str(path)], None), (["-f", "-"], path.read_text())):
        done = shop.run("submit", *arguments, stdin=stdin)
        assert done.returncode == 1
        assert {json.loads(l)["requestId"] for l in done.stdout.splitlines()} == {
            f"line-{i}" for i in range(3)}
        named = [int(n) for n in re.findall(r"(?:lines\.jsonl|-):(\d+): ", done.stderr)]
        assert named == [2, 4, 6, 7, 8]
        assert done.stderr.splitlines()[-1].endswith(
            "5 of 8 lines were rejected, 3 requests accepted")
    for bad in ("/nowhere", "/tmp"):
        assert shop.run("submit", "-f", bad).returncode == 4
    blank = "\n" + json.dumps(good[0]) + "\n \t\n\r\nnope\n"
    done = shop.run("submit", "-f", "-", stdin=blank)
    assert done.returncode == 1 and re.findall(r"-:(\d+): ", done.stderr) == ["5"]
    assert done.stderr.endswith("1 of 2 lines were rejected, 1 requests accepted\n")


def test_submit_answers_a_pipe_line_by_line(shop):
    """Nothing is kept back until the end: a program may wait for each answer."""
    process = subprocess.Popen([SCHEDRUN, *shop.flags(), "submit", "-f", "-"], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for i in range(3):
        process.stdin.write(json.dumps({"scheduleRid": FRESH, "requestId": f"pipe-{i}"}) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["requestId"] == f"pipe-{i}"
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130


def on_terminal(shop, *arguments, env=None):
    """Output of a command that has a terminal for all three."""
    master, slave = pty.openpty()
    process = subprocess.Popen([SCHEDRUN, *shop.flags(), *arguments], stdin=slave, stdout=slave,
                               stderr=slave, env={"PATH": os.environ["PATH"], **(env or {})})
    os.close(slave)
    out = b""
    while select.select([master], [], [], 30)[0]:
        try:
            more = os.read(master, 65536)
        except OSError:
            break
        if not more:
            break
        out += more
    os.close(master)
    return process.wait(30), out.decode()


def test_a_terminal_gets_tables_colour_and_progress(shop, tmp_path):
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps({"scheduleRid": FRESH, "requestId": f"bar-{i}"}) + "\n"
                            for i in range(200)))
    code, out = on_terminal(shop, "submit", "-f", str(path))
    assert code == 0 and "100 %  200 sent, 200 acknowledged, 0 rejected" in out
    assert "100 %" not in on_terminal(shop, "-q", "submit", "-f", str(path))[1]
    code, out = on_terminal(shop, "schedule", "list")
    assert code == 0 and out.startswith("SCHEDULE ")
    plan = ["plan", "--schedule", CYCLE, "--explain"]
    assert "\x1b[" in on_terminal(shop, *plan)[1]
    assert "\x1b[" not in on_terminal(shop, *plan, env={"NO_COLOR": "1"})[1]
    assert "\x1b[" not in shop.must(*plan)


def test_answers_are_tables_where_they_are_asked_for(shop, tmp_path):
    def table(*arguments):
        return [re.split(r" {2,}", line)
                for line in shop.run(*arguments, "-o", "table").stdout.splitlines()]
    request, run = table("submit", FRESH, "--request-id", "table")
    assert request == ["REQUEST", "RUN"] and run[0] == "table" and ".run." in run[1]
    _, _, heading, told = table("submit", CYCLE, "--wait", "30s")
    assert heading == ["FINISHED", "SCHEDULE", "OUTCOME", "RUN", "BUILD", "ERROR", "DESCRIPTION"]
    assert told[1:3] == [CYCLE, "error"] and told[4:6] == ["-", "CyclicDependency"]
    path = tmp_path / "two.jsonl"
    path.write_text("".join(json.dumps({"scheduleRid": FRESH, "requestId": f"two-{i}"}) + "\n"
                            for i in range(2)))
    assert sorted(row[0] for row in table("submit", "-f", str(path))) == [
        "REQUEST", "two-0", "two-1"]
    seen = table("watch", "--from", "beginning", "--schedule", FRESH, "--count", "2")
    assert seen[0] == heading and [row[1] for row in seen[1:]] == [FRESH, FRESH]
    plan = ["plan", "--schedule", CYCLE]
    assert shop.must(*plan, "-o", "table") == shop.must(*plan, "--explain")
    assert "\x1b[" in on_terminal(shop, *plan)[1]
    assert re.search(r"^REQUEST +RUN\s", on_terminal(shop, "submit", FRESH)[1], re.M)
    done = shop.run("plan", "--jsonl", "-o", "table", stdin="")
    assert done.returncode == 2 and "--jsonl answers in JSON" in done.stderr


def unknown_commands(redis):
    return redis.info("errorstats").get("errorstat_ERR")


def test_nothing_is_written_into_a_connection(shop, tmp_path):
    """A closed descriptor's number would go to the next socket, and an answer into it."""
    path = tmp_path / "catalogue.json"
    path.write_text(shop.must("export"))
    lines = tmp_path / "lines.jsonl"
    lines.write_text(json.dumps({"scheduleRid": FRESH}) + "\n")
    redis = shop.cluster.redis()
    before = unknown_commands(redis)
    for arguments in (["schedule", "list"], ["schedule", "get", FRESH], ["apply", str(path)],
                      ["export"], ["lag"], ["check"], ["init"], ["plan", "--schedule", STALE],
                      ["submit", FRESH], ["submit", "-f", str(lines)], ["schedule", "unpause", FRESH],
                      ["run", "list", "--schedule", FRESH, "-o", "json"], ["lag", "--watch", "10ms"],
                      ["watch", "--from", "beginning"]):
        for target, why in (("&-", "Bad file descriptor"), ("/dev/full", "No space left on device"),
                            ("&- <&- ", "Bad file descriptor")):
            code, said = unwritable(target, "schedrun", *shop.flags(), *arguments)
            assert code == 1 and said.splitlines()[-1] == SAID + why, (arguments, said)
    assert unwritable("&- 2>&-", "schedrun", *shop.flags(), "schedule", "list")[0] == 1
    assert unknown_commands(redis) == before


def run_key(rid):
    return b"schedrun:r:" + uuid.UUID(rid.rsplit(".", 1)[1]).bytes


@pytest.mark.parametrize("where", ["view", "topic"])
@pytest.mark.parametrize("schedule, code", [(CYCLE, 1), (FRESH, 0)])
def test_an_id_that_is_asked_again_gets_its_answer(shop, where, schedule, code):
    """Also where the view has forgotten it, by every way to ask."""
    key = str(uuid.uuid4())
    first = submit(shop, schedule, "--request-id", key)
    assert first[0] == code and "repeat" not in first[1][1]
    run = first[1][1]
    folded(shop, run["rid"])
    if where == "topic":
        shop.cluster.redis().delete(run_key(run["rid"]))
    again = submit(shop, schedule, "--request-id", key)
    assert again == (code, [first[1][0], dict(run, repeat=True)])
    other = shop.run("submit", schedule, "--request-id", key, "--by", catalogues.OWNER, "--wait", "30s")
    assert other.returncode == 1 and "new --request-id" in other.stderr and not other.stdout
    if where == "topic":
        return
    assert rows(shop.run("submit", schedule, "--request-id", key)) == again[1]
    lines = [json.dumps({"scheduleRid": schedule, "requestId": asked, **more})
             for asked, more in ((key, {}), (str(uuid.uuid4()), {}), (key, {"createdBy": catalogues.OWNER}))]
    done = shop.run("submit", "-f", "-", stdin="\n".join(lines))
    assert done.returncode == 1 and "-:3: requestId" in done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[:2] == again[1] and len(told) == 3 and "repeat" not in told[2]
    assert "was asked before" in shop.run("submit", schedule, "--request-id", key, "-o", "table").stderr


def test_watch(shop):
    keys = [f"watch-{i}" for i in range(3)]
    for key, rid in zip(keys, (STALE, FRESH, CYCLE)):
        submit(shop, rid, "--request-id", key)
    seen = rows(shop.run("watch", "--from", "beginning", "--outcome", "error", "--count", "1"))
    assert seen[0]["result"]["type"] == "error"
    seen = rows(shop.run("watch", "--from", "-1h", "--schedule", FRESH, "--count", "2"))
    assert {run["scheduleRid"] for run in seen} == {FRESH}
    watching = subprocess.Popen([SCHEDRUN, *shop.flags(), "watch", "--from", "beginning",
                                 "--schedule", CYCLE], stdout=subprocess.PIPE, text=True)
    assert json.loads(watching.stdout.readline())["scheduleRid"] == CYCLE
    watching.send_signal(signal.SIGINT)
    assert watching.wait(10) == 130


def folded(shop, rid):
    return wait_for("the run in the view", lambda: (
        lambda done: done if done.returncode == 0 and not done.stderr else None)(
            shop.run("run", "explain", rid)), 20)


def test_runs_of_the_view(shop):
    _, (_, run) = submit(shop, STALE)
    explained = json.loads(folded(shop, run["rid"]).stdout)
    assert explained["build"]["jobs"][0]["outputs"][0]["rid"] == dataset("stale")
    assert explained["runRid"] == run["rid"] and explained["result"] == run["result"]
    got = json.loads(shop.must("run", "get", run["rid"]))
    assert got["result"] == run["result"] and got["requestId"] == run["requestId"]
    listed = rows(shop.run("run", "list", "--schedule", STALE, "--limit", "1"))
    assert [r["rid"] for r in listed] == [run["rid"]]
    text = shop.must("-o", "table", "run", "explain", run["rid"])
    assert text.startswith("submitted") and dataset("stale") in text
    assert shop.must("run", "explain", run["rid"], "--dot").startswith("digraph")
    assert "FIELD" in shop.must("-o", "table", "run", "get", run["rid"])
    for command in ("get", "explain"):
        done = shop.run("run", command, RUN)
        assert done.returncode == 3 and "schedrun watch" in done.stderr


def test_a_live_plan_is_what_the_worker_does(shop):
    key = str(uuid.uuid4())
    planned = json.loads(shop.must("plan", "--schedule", STALE, "--request-id", key,
                                   "--by", catalogues.OWNER))
    _, (_, run) = submit(shop, STALE, "--request-id", key, "--by", catalogues.OWNER)
    done = json.loads(folded(shop, run["rid"]).stdout)
    assert dict(planned, createdTime=None) == dict(done, createdTime=None)
    done = shop.run("plan", "--schedule", schedule_rid("nope"))
    assert done.returncode == 3 and "schedule list" in done.stderr


def test_schedules(shop):
    listed = rows(shop.run("schedule", "list"))
    assert [row["rid"] for row in listed] == sorted(row["rid"] for row in listed)
    assert {row["state"] for row in listed} == {"live", "paused"}
    for of in (["get"], ["versions"], ["pause"], ["unpause"], ["next"]):
        done = shop.run("schedule", *of, "ri.foundry.main.dataset.raw")
        assert done.returncode == 2 and "is not the RID of a schedule" in done.stderr, done.stderr
    got = json.loads(shop.must("schedule", "get", STALE))
    assert got["version"]["action"]["target"]["targetRids"] == [dataset("stale")]
    versions = rows(shop.run("schedule", "versions", STALE))
    assert versions[0]["rid"] == version_rid("stale") and versions[0]["state"] == "current"
    assert rows(shop.run("schedule", "pause", FRESH))[0]["note"] is None
    assert rows(shop.run("schedule", "pause", FRESH))[0]["note"] == "already so"
    _, (_, run) = submit(shop, FRESH)
    assert run["why"]["cause"] == "paused"
    assert rows(shop.run("schedule", "unpause", FRESH))[0]["state"] == "live"
    for command in ("get", "versions", "pause", "unpause", "delete"):
        assert shop.run("schedule", command, schedule_rid("nope")).returncode == 3
    for command in ("run", "build"):
        done = shop.run(command, "list", "--schedule", schedule_rid("nope"))
        assert done.returncode == 0 and "schedule list" in done.stderr


def test_a_schedule_that_is_deleted(shop, tmp_path):
    """It runs no more, is gone from an export, and comes back by apply --heads."""
    catalogue = shop.must("export")
    assert rows(shop.run("schedule", "delete", STALE))[0]["state"] == "deleted"
    again = shop.run("schedule", "delete", STALE)
    assert again.returncode == 3, again.stdout
    assert STALE not in {each["rid"] for each in json.loads(shop.must("export"))["schedules"]}
    _, (_, run) = submit(shop, STALE)
    assert run["why"]["cause"] == "scheduleDeleted"
    path = tmp_path / "catalogue.json"
    path.write_text(catalogue)
    shop.must("apply", "--heads", str(path))
    assert json.loads(shop.must("schedule", "get", STALE))["deleted"] is False


def clock_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_lag(shop):
    shop.wait_drained()
    table = rows(shop.run("lag"))
    assert len(table) == 5 and table[-1]["partition"] == "total"
    assert table[-1]["lag"] == 0 and sum(row["end"] for row in table[:-1]) == table[-1]["end"]
    assert all(row["owner"] for row in table[:-1])
    with stand_still(shop.daemons[0].process):
        shop.must("submit", STALE)
        table = rows(shop.run("lag"))
    assert table[-1]["lag"] == 1 and table[-1]["oldestAgeMs"] >= 0
    assert "ts" not in table[0]
    before = datetime.datetime.now(datetime.timezone.utc)
    watching = subprocess.Popen([SCHEDRUN, *shop.flags(), "lag", "--watch", "100ms"],
                                stdout=subprocess.PIPE, text=True)
    lines = [json.loads(watching.stdout.readline()) for _ in range(12)]
    assert [line["ts"] for line in lines] == sorted(line["ts"] for line in lines)
    assert all(clock_of(line["ts"]) > before for line in lines)
    watching.send_signal(signal.SIGINT)
    assert watching.wait(20) == 130


def test_a_check_that_has_no_time_ends_in_order(shop):
    """librdkafka aborts where a request of a group times out as it is sent."""
    for _ in range(12):
        done = shop.run("check", "--timeout", "1ms")
        assert done.returncode in (1, 5) and "Assertion" not in done.stderr, done.stderr


@pytest.mark.parametrize("arguments", [["schedule", "list"], ["lag"], ["check"],
                                       ["dlq", "list"],
                                       ["schedule", "versions", STALE],
                                       ["config", "show"], ["config", "keys"],
                                       ["run", "list", "--schedule", STALE],
                                       ["build", "list", "--schedule", STALE]])
def test_one_list_in_three_forms(shop, arguments):
    lines = rows(shop.run(*arguments))
    whole = json.loads(shop.must("-o", "json", *arguments))
    assert isinstance(whole, list) and len(whole) == len(lines)
    assert [list(row) for row in whole] == [list(row) for row in lines]
    table = shop.must(*arguments, "-o", "table").splitlines()
    assert len(table) == len(lines) + 1 and table[0].isupper()


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_is_all_that_is_printed(shop, tmp_path, form):
    """Also by what speaks in sentences; what can't be JSON says so, and prints nothing."""
    path = tmp_path / "x.conf"
    path.write_text("")
    found = []
    for arguments in (["init"], ["init", "--dry-run"], ["config", "check", str(path)], ["check"], ["lag"],
                      ["config", "show"], ["config", "keys"], ["user", "id", "a"], ["dlq", "list"],
                      ["schedule", "next", "--cron", "0 6 * * *"]):
        done = shop.run("-o", form, *arguments)
        found += json.loads(done.stdout) if form == "json" else [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0 and all(isinstance(row, dict) for row in found[-1:]), done
    states = {(row["what"], row["state"]) for row in found if "what" in row}
    assert {("topic", "is there"), ("schema", "id 1"), ("redis", "is prepared")} <= states
    assert {"file": str(path), "state": "fine"} in found
    for arguments in (["completion", "bash"], ["plan", "--schedule", schedule_rid("stale"), "--dot"],
                      ["plan", "--schedule", schedule_rid("stale"), "--explain"]):
        done = shop.run("-o", form, *arguments)
        assert (done.returncode, done.stdout) == (2, "") and f"has one form: no -o {form}" in done.stderr, done


# --- what is wrong, and how it is mended ----------------------------------------


def checked(shop, *flags):
    done = shop.run(*flags, "check")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {row["what"]: row for row in found if row["state"] == "fault"}


def test_check_finds_nothing(shop):
    assert checked(shop) == (0, {})


def test_check_names_the_fault_and_the_command_that_mends_it(shop):
    redis = shop.cluster.redis()

    def keep(name):
        redis.rename("schedrun:" + name, "kept")

    def back(name):
        redis.rename("kept", "schedrun:" + name)
    faults = [
        (lambda: redis.config_set("maxmemory-policy", "allkeys-lru"),
         lambda: redis.config_set("maxmemory-policy", "noeviction"),
         "redis memory", "redis-cli config set maxmemory-policy noeviction"),
        (lambda: keep("meta"), lambda: back("meta"), "redis keys", "schedrun init"),
        (lambda: redis.hset("schedrun:meta", "cluster", "other"),
         lambda: redis.hset("schedrun:meta", "cluster", shop.cluster.cluster_id),
         "redis keys", "schedrun init --cluster"),
        (lambda: redis.hset("schedrun:meta", "topic", "other"),
         lambda: redis.hset("schedrun:meta", "topic", "schedule-run-requests"),
         "redis keys", "topics.requests"),
        (lambda: keep("g"), lambda: back("g"), "catalogue", "schedrun apply"),
        (lambda: (keep("g"), redis.lpush("schedrun:g", 1)), lambda: back("g"),
         "catalogue", "schedrun apply"),
    ]
    adapter = shop.daemons[-1].process
    for spoil, mend, what, command in faults:
        with stand_still(adapter):  # it would end itself at another's meta
            spoil()
            code, found = checked(shop)
            mend()
        assert code == 1 and list(found) == [what], found
        assert command in found[what]["mend"] and found[what]["detail"]
    code, found = checked(shop, "-s", "topics.requests=not-there")
    assert code == 1 and all(word in found["redis keys"]["detail"]
                             for word in ("not-there", "schedule-run-requests"))
    code, found = checked(shop, "-s", "topics.dlq=not-there")
    assert code == 1 and found["topic not-there"]["mend"] == "schedrun init"
    assert checked(shop) == (0, {})


@pytest.mark.parametrize("settings, words", [
    ({"appendonly": "no", "save": ""}, ["catalogue", "heads", "claims", "run view", "replicas"]),
    ({"appendonly": "no", "save": "3600 1"}, ["snapshots alone"]),
    ({"appendonly": "yes", "appendfsync": "no"}, ["appendfsync"]),
    ({}, None)])
def test_check_says_what_a_restart_of_redis_loses(shop, settings, words):
    redis = shop.cluster.redis()
    before = {name: redis.config_get(name)[name] for name in settings}
    for name, value in settings.items():
        redis.config_set(name, value)
    found = {row["what"]: row for row in rows(shop.run("check"))}["redis persistence"]
    for name, value in before.items():
        redis.config_set(name, value)
    assert found["state"] == ("note" if words else "ok")
    assert all(word in found["detail"] for word in words or ())


@pytest.mark.parametrize("setting, value, says", [
    ("maxmemory", "1", "OOM"), ("min-replicas-to-write", "1", "NOREPLICAS")])
def test_check_says_when_redis_takes_no_write(shop, setting, value, says):
    redis = shop.cluster.redis()
    keys = redis.dbsize()
    redis.config_set(setting, value)
    done = shop.run("check")
    redis.config_set(setting, "0")
    found = {row["what"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert found["redis writes"]["state"] == "fault" and done.returncode == 1
    assert says in found["redis writes"]["detail"]
    assert {row["what"]: row for row in rows(shop.run("check"))}["redis writes"]["state"] == "ok"
    assert redis.dbsize() == keys


def test_another_group_is_a_note(shop):
    found = {row["what"]: row for row in rows(shop.run("-s", "worker.group=second", "check"))}
    assert found["redis keys"]["state"] == "note" and "second" in found["redis keys"]["detail"]


@pytest.mark.parametrize("arguments", [
    ["submit", STALE], ["schedule", "list"], ["schedule", "get", STALE],
    ["schedule", "versions", STALE], ["schedule", "pause", STALE], ["run", "get", RUN],
    ["run", "list", "--schedule", STALE], ["run", "explain", RUN], ["build", "fail", A_BUILD],
    ["build", "finish", A_BUILD], ["plan", "--schedule", STALE], ["export"],
    ["dataset", "commit", dataset("raw"), "--branch", "b"]])
def test_a_store_that_was_emptied_is_said_to_be_one(shop, arguments):
    done = shop.run("-s", "redis.prefix=emptied:", *arguments)
    assert done.returncode == 5 and not done.stdout
    assert "run schedrun init, then schedrun apply" in done.stderr


@pytest.mark.parametrize("flags, what", [
    (["--redis", "redis://127.0.0.1:1/0"], "redis"), (["-b", "127.0.0.1:1"], "kafka")])
def test_check_without_a_server(shop, flags, what):
    code, found = checked(shop, *flags, "--timeout", "500ms")
    assert code == 5 and found[what]["mend"]


@pytest.mark.parametrize("arguments", [
    ["--redis", "redis://127.0.0.1:1/0", "schedule", "list"],
    ["--redis", "redis://127.0.0.1:1/0", "apply", "-"],
    ["--redis", "redis://127.0.0.1:1/0", "submit", STALE],
    ["--redis", "redis://127.0.0.1:1/0", "dataset", "commit", dataset("raw"), "--branch", "b"],
    ["--redis", "redis://127.0.0.1:1/0", "run", "get", RUN],
    ["-b", "127.0.0.1:1", "submit", STALE],
    ["-b", "127.0.0.1:1", "lag"],
    ["-b", "127.0.0.1:1", "watch"],
    ["-b", "127.0.0.1:1", "init"],
])
def test_nobody_answers_in_time(shop, arguments):
    begun = time.monotonic()
    done = shop.run("--timeout", "500ms", *arguments, stdin="{}")
    assert done.returncode == 5, done.stderr
    assert "127.0.0.1:1" in done.stderr and time.monotonic() - begun < 10


def test_wrong_credentials_are_exit_7(shop, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    redis = shop.cluster.redis()
    redis.execute_command("ACL", "SETUSER", "reader", "on", ">right", "~schedrun:*", "+ping",
                          "+auth", "+role", "+client|setname", "+hget")
    flags = ["-s", "redis.username=reader", "-s", f"redis.password.file={secret}"]
    done = shop.run(*flags, "schedule", "get", STALE)
    injected.note("a wrong password")
    assert done.returncode == 7 and "WRONGPASS" in done.stderr
    assert CANARY not in done.stderr
    secret.write_text("right")
    assert shop.run(*flags, "schedule", "get", STALE).returncode == 0
    done = shop.run(*flags, "schedule", "pause", STALE)
    assert done.returncode == 7 and "NOPERM" in done.stderr
    code, found = checked(shop, *flags)
    assert code == 7 and "acl setuser" in found["redis rights"]["mend"]
    redis.execute_command("ACL", "DELUSER", "reader")


def test_what_the_brokers_refuse_is_exit_2(shop):
    done = shop.run("-s", "topics.dlq=never-made", "init", "--replication", "99")
    assert done.returncode == 2 and "eplication" in done.stderr


def test_an_empty_store_has_nothing_to_export(shop):
    empty = ["-s", "redis.prefix=empty:"]
    assert shop.run(*empty, "export").returncode == 5
    assert shop.run(*empty, "init").returncode == 0
    done = shop.run(*empty, "export")
    assert done.returncode == 3 and not done.stdout and "run schedrun apply" in done.stderr


def test_init_again_is_harmless(shop):
    before = shop.cluster.redis().hgetall("schedrun:meta")
    shop.must("init", "--partitions", "4", "--replication", "1")
    assert shop.cluster.redis().hgetall("schedrun:meta") == before
    assert shop.run("init", "--dry-run", "--partitions", "4", "--replication", "1").returncode == 0


def test_an_id_whose_answer_is_gone_is_not_asked_for_ever(shop):
    key = str(uuid.uuid4())
    _, (_, run) = submit(shop, FRESH, "--request-id", key)
    folded(shop, run["rid"])
    shop.cluster.redis().delete(run_key(run["rid"]))
    admin = AdminClient({"bootstrap.servers": shop.bootstrap, "log_level": 0})
    ends = [TopicPartition("schedule-run-results", p, -1) for p in range(4)]
    for future in admin.delete_records(ends).values():
        future.result(20)
    done = shop.run("submit", FRESH, "--request-id", key, "--wait", "2s")
    assert done.returncode == 3 and "with a new --request-id" in done.stderr
