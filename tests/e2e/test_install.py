"""What `make install` brings, and how units, configuration and modes go together."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import urllib.request

import catalogues
import programs
import pytest
from programs import BUILD, ROOT, wait_for

UNITS = ["schedrun-http.service", "schedrun-worker@.service", "schedrun-builder.service",
         "schedrun-trigger.service"]
INSTANCES = ["schedrun-http.service", "schedrun-worker@12.service", "schedrun-builder.service",
             "schedrun-trigger.service"]
TOKENS = f"a-token {catalogues.OWNER} api:orchestration-read\n"


def make(target, root, **variables):
    subprocess.run(["make", "-s", target, f"SANITIZE={programs.SANITIZE}", f"DESTDIR={root}",
                    *(f"{name}={value}" for name, value in variables.items())],
                   cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def files(root):
    return {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    make("install", root, PREFIX="/opt/s")
    return root


def test_install_brings_all_and_uninstall_takes_it(installed, tmp_path):
    found = files(installed)
    for name in ("bin/schedrun", "bin/schedrun-http", "bin/schedrun-worker", "bin/schedrun-builder", "bin/schedrun-trigger",
                 *(f"lib/systemd/system/{unit}" for unit in UNITS),
                 "share/bash-completion/completions/schedrun", "share/zsh/site-functions/_schedrun",
                 "share/fish/vendor_completions.d/schedrun.fish", "share/schedrun/schedrun.conf",
                 "share/man/man1/schedrun.1", "share/man/man5/schedrun.conf.5", "share/man/man5/schedrun-catalogue.5",
                 "share/man/man7/schedrun-errors.7", "share/man/man8/schedrun-worker.8", "share/man/man8/schedrun-http.8",
                 "share/man/man8/schedrun-builder.8", "share/man/man8/schedrun-trigger.8"):
        path = found["opt/s/" + name]
        assert path.stat().st_mode & 0o777 == (0o755 if name.startswith("bin/") else 0o644), name
        assert path.stat().st_size > 200, name
    assert found["etc/schedrun/schedrun.conf"].read_text() == (ROOT / "deploy/schedrun.conf").read_text()
    for unit in UNITS:
        text = found[f"opt/s/lib/systemd/system/{unit}"].read_text()
        assert "ExecStart=/opt/s/bin/schedrun-" in text and "/usr/local" not in text
    settings = found["etc/schedrun/schedrun.conf"]
    copy = tmp_path / "root"
    shutil.copytree(installed, copy)
    make("uninstall", copy, PREFIX="/opt/s")
    assert not files(copy)
    shutil.copytree(installed, copy, dirs_exist_ok=True)
    settings = copy / "etc/schedrun/schedrun.conf"
    settings.write_text("redis.url = redis://mine:6379/0\n")
    make("install", copy, PREFIX="/opt/s")
    make("uninstall", copy, PREFIX="/opt/s")
    assert list(files(copy)) == ["etc/schedrun/schedrun.conf"] and "mine" in settings.read_text()


def test_systemd_takes_the_units(installed, tmp_path):
    """systemd-analyze says nothing of them, and that little is exposed."""
    root = tmp_path / "root"
    shutil.copytree(installed / "opt/s", root / "opt/s")
    system = root / "etc/systemd/system"
    system.mkdir(parents=True)
    for unit in UNITS:
        shutil.move(root / "opt/s/lib/systemd/system" / unit, system / unit)
    for target in ("sysinit", "basic", "shutdown", "network-online", "network", "multi-user"):
        (system / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    (root / "bin").mkdir()  # no more than a bare system has
    shutil.copy("/bin/sh", root / "bin/sh")
    for verb in (["verify", "--man=no"], ["security", "--offline=yes", "--threshold=15", "--no-pager"]):
        done = subprocess.run(["systemd-analyze", verb[0], f"--root={root}", *verb[1:], *INSTANCES],
                              capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done
        assert verb[0] == "security" or not done.stdout, done


def settings_of(unit, name):
    """Values of a setting of a shipped unit, as systemd has them for the instance."""
    text = (ROOT / "deploy/systemd" / unit).read_text()
    return re.findall(rf"^{name}=(.*)$", text, re.M)


def start_unit(system, unit, instance, root):
    """Starts the program as the unit does, with its environment and credentials."""
    name = unit.replace("@", f"@{instance}")
    runtime = root / f"run/{settings_of(unit, 'RuntimeDirectory')[0].replace('%i', instance)}"
    credentials = root / "run/credentials" / name
    for path in (runtime, credentials):
        path.mkdir(parents=True)
    fallbacks = dict(value.split(":", 1) for value in settings_of(unit, "SetCredential"))
    for value in settings_of(unit, "LoadCredential"):
        credential, source = value.split(":", 1)
        source = root / source.lstrip("/")
        (credentials / credential).write_text(
            source.read_text() if source.exists() else fallbacks[credential])
        (credentials / credential).chmod(0o400)

    def expand(text):
        for sign, value in (("%i", instance), ("%H", "host"), ("%t", f"{root}/run")):
            text = text.replace(sign, value)
        return text.replace("/etc/schedrun/schedrun.conf", f"{root}/etc/schedrun/schedrun.conf")
    environment = dict(expand(value).split("=", 1) for value in settings_of(unit, "Environment"))
    command = expand(settings_of(unit, "ExecStart")[0]).split()
    command[0] = str(BUILD / pathlib.Path(command[0]).name)
    log = open(root / f"{name}.log", "wb")
    process = subprocess.Popen(
        [*command, "-X", f"bootstrap.servers={system.bootstrap}", "--redis", system.redis_url],
        stderr=log, umask=0o077, cwd="/", env={
            "PATH": os.environ["PATH"], "RUNTIME_DIRECTORY": str(runtime),
            "CREDENTIALS_DIRECTORY": str(credentials), **environment})
    return process, runtime / "admin.port", root / f"{name}.log"


def test_twelve_workers_and_the_adapter_on_one_host(system, tmp_path):
    """As the units start them, from the sample, in strict mode; each is scraped."""
    system.init()
    system.apply(catalogues.outcomes())
    etc = tmp_path / "etc/schedrun"
    etc.mkdir(parents=True)
    (etc / "tokens").write_text(TOKENS)
    (etc / "tokens").chmod(0o640)
    sample = (ROOT / "deploy/schedrun.conf").read_text().replace("/run/", f"{tmp_path}/run/")
    (etc / "schedrun.conf").write_text(
        sample + f"strict = on\nhttp.listen = 127.0.0.1:0\nadmin.listen = 127.0.0.1:0\n"
        f"admin.port.file = {tmp_path}/run/schedrun-http/admin.port\n")
    started = [start_unit(system, UNITS[1], str(n), tmp_path) for n in range(1, 13)]
    started.append(start_unit(system, UNITS[0], "", tmp_path))
    ports = set()
    try:
        for process, port_file, log in started:
            wait_for(f"a port: {log}", lambda: port_file.exists() or process.poll() is not None, 30)
            assert process.poll() is None, log.read_text()
            assert port_file.stat().st_mode & 0o777 == 0o644  # who scrapes is somebody else
            ports.add(int(port_file.read_text()))
            with urllib.request.urlopen(f"http://127.0.0.1:{port_file.read_text().strip()}/metrics") as answer:
                assert "schedrun_build_info" in answer.read().decode()
            assert "secret_exposed" not in log.read_text()
        assert len(ports) == 13
    finally:
        for process, _, _ in started:
            process.terminate()
        codes = [process.wait(30) for process, _, _ in started]
    assert codes == [0] * 13


# --- `check` where units are installed ---------------------------------------------


@pytest.fixture
def host(tmp_path):
    """A host with the units, the sample's configuration, and its tokens."""
    tmp_path.chmod(0o755)
    etc, units = tmp_path / "etc", tmp_path / "units"
    for path in (etc, units):
        path.mkdir()
    for unit in UNITS:
        text = (ROOT / "deploy/systemd" / unit).read_text()
        (units / unit).write_text(text.replace("/etc/schedrun", str(etc)))
    (etc / "schedrun.conf").write_text((ROOT / "deploy/schedrun.conf").read_text())
    (etc / "tokens").write_text(TOKENS)
    (etc / "tokens").chmod(0o600)
    for path in reversed(tmp_path.parents):  # those of pytest are its user's alone
        if path.stat().st_mode & 0o001 == 0:
            path.chmod(path.stat().st_mode | 0o011)
    return tmp_path


def check(host):
    """What `check` says of each unit: [(unit, state, detail, mend)]."""
    done = subprocess.run(
        [str(BUILD / "schedrun"), "-c", str(host / "etc/schedrun.conf"), "-b", "127.0.0.1:1", "--redis",
         "redis://127.0.0.1:1/0", "--timeout", "100ms", "check", "-o", "jsonl"], capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{host}/none:{host}/units"}, timeout=30)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [(row["what"], row["state"], row["detail"], row["mend"]) for row in rows if row["what"] in UNITS]


def test_check_finds_shipped_units_and_sample_in_order(host):
    assert [row[:2] for row in check(host)] == [(UNITS[i], "ok") for i in (1, 0, 2, 3)]
    (host / "etc/schedrun.secrets").write_text("redis.password = x\n")
    (host / "etc/schedrun.secrets").chmod(0o600)
    assert [row[1] for row in check(host)] == ["ok"] * 4
    shutil.rmtree(host / "units")
    assert check(host) == []


def add_line(host, line):
    with open(host / "etc/schedrun.conf", "a") as file:
        file.write(line + "\n")


def name_key(host, mode=0o600):
    (host / "etc/key").write_text("k")
    (host / "etc/key").chmod(mode)
    add_line(host, f"kafka.ssl.key.location = {host}/etc/key")


def use_tokens_of(host, path):
    conf = host / "etc/schedrun.conf"
    conf.write_text(re.sub(r"(?m)^http.token.file = .*", f"http.token.file = {path}", conf.read_text()))


def name_password(host):
    (host / "etc/password").write_text("x")
    (host / "etc/password").chmod(0o640)
    add_line(host, f"redis.password.file = {host}/etc/password")


FAULTS = {
    "no tokens": (lambda host: (host / "etc/tokens").unlink(), UNITS[:1], "isn't there", "chmod 0600"),
    "tokens for all": (lambda host: (host / "etc/tokens").chmod(0o644), UNITS[:1], "everybody", "chmod 0600"),
    "tokens of root": (lambda host: use_tokens_of(host, f"{host}/etc/tokens"), UNITS[:1],
                       "user may not read", "LoadCredential="),
    "another name": (lambda host: use_tokens_of(host, f"/run/credentials/{UNITS[0]}/others"), UNITS[:1],
                     "no such credential", "LoadCredential=others:"),
    "another unit's": (lambda host: use_tokens_of(host, "/run/credentials/x.service/tokens"), UNITS[:1],
                       "another unit", "operation.md"),
    "a key of root": (name_key, UNITS, "kafka.ssl.key.location", "LoadCredential="),
    "a password of root": (name_password, UNITS, "redis.password", "LoadCredential="),
    "a configuration of root": (lambda host: (host / "etc/schedrun.conf").chmod(0o640), UNITS,
                                "user may not read", "chmod 0644"),
    "a folder of root": (lambda host: (host / "etc").chmod(0o700), UNITS, "user may not read", "chmod 0644"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_check_names_what_a_unit_can_not_read(host, what):
    spoil, units, says, mend = FAULTS[what]
    spoil(host)
    found = [row for row in check(host) if row[1] == "fault"]
    (host / "etc").chmod(0o755)
    assert sorted(row[0] for row in found) == sorted(units), found
    for row in found:
        assert says in row[2] and mend in row[3], row


def test_check_heeds_what_was_added_to_a_unit(host):
    """Drop-ins count: a credential, a value of the unit's own, another user."""
    name_key(host)
    drop_in = host / "units" / (UNITS[1] + ".d") / "key.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(f"[Service]\nLoadCredential=key:{host}/etc/key\n"
                       "Environment=SCHEDRUN_KAFKA_SSL_KEY_LOCATION=%d/key\n")
    assert {row[0]: row[1] for row in check(host)} == {
        UNITS[0]: "fault", UNITS[1]: "ok", UNITS[2]: "fault", UNITS[3]: "fault"}
    drop_in.write_text("[Service]\nSupplementaryGroups=schedrun\n")
    assert {row[0]: row[1] for row in check(host)} == {
        UNITS[0]: "fault", UNITS[1]: "ok", UNITS[2]: "fault", UNITS[3]: "fault"}
    drop_in.write_text("[Service]\nExecStart=\nExecStart=/usr/bin/schedrun-worker -c /other.conf\n")
    assert {row[0]: row[1] for row in check(host)} == {
        UNITS[0]: "fault", UNITS[1]: "note", UNITS[2]: "fault", UNITS[3]: "fault"}
