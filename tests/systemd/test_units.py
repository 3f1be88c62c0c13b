"""The units under systemd as PID 1: started, confined, given their credentials, watched, loaded, stopped."""

import re

import catalogues
import machine as machines
import pytest
import requests
from catalogues import dataset, schedule_rid
from cluster import free_ports
from programs import GROUP, ROOT, wait_for

import checker
from load import Load, request

UNITS = ["schedrun-worker@1", "schedrun-worker@2", "schedrun-http", "schedrun-trigger", "schedrun-builder"]
SECRET = "canary-b1946ac92492d2347c6235b4d2611184"
TOKEN = "canary-591785b794601e212b260e25925636fd"
WATCHDOG_S = 15  # in place of 60


def catalogue():
    made = catalogues.many(40)
    made["datasets"][dataset("built")] = catalogues.stored(None)
    made["jobSpecs"].append(catalogues.job_spec("built", ["raw"]))
    made["schedules"].append(catalogues.schedule("built", ["built"], forceBuild=True))
    return made


@pytest.fixture(scope="module")
def host(fresh_system, tmp_path_factory):
    """A host with the package, set up by docs/operation.md, section 7, all of its units running."""
    system = fresh_system
    system.delete_topics()
    system.init()
    system.apply(catalogue())
    system.cluster.redis().acl_setuser("schedrun", enabled=True, passwords=f"+{SECRET}", keys="*", channels="*", categories=["+@all"])
    host = machines.Machine(machines.root(), ROOT / "build/dist", tmp_path_factory.mktemp("machine"))
    host.system = system
    host.port, *ports = free_ports(5)
    try:
        host.must("rm /usr/sbin/policy-rc.d")  # daemons may be started and stopped, which no other root wants
        host.must("dpkg -i /packages/schedrun_*.deb")
        assert not host.must("systemctl --failed --plain --no-legend")
        settings = host.must("cat /etc/schedrun/schedrun.conf")
        settings = re.sub(r"(?m)^(kafka.bootstrap.servers|redis.url) = .*", "", settings)
        host.write("/etc/schedrun/schedrun.conf", settings + f"""
kafka.bootstrap.servers = {system.bootstrap}
redis.url = {system.redis_url}
redis.username = schedrun
http.listen = 127.0.0.1:{host.port}
builder.command = /usr/local/bin/job
""")
        host.write("/etc/schedrun/schedrun.secrets", f"redis.password = {SECRET}\n", "600")
        host.write("/etc/schedrun/tokens", f"{TOKEN} {catalogues.OWNER} api:orchestration-read api:orchestration-write\n", "600")
        host.write("/usr/local/bin/job", "#!/bin/sh\nid -u; touch /etc/x || echo kept out\n", "755")
        for unit, port in zip(UNITS[2:], ports):
            host.write(f"/etc/systemd/system/{unit}.service.d/test.conf",
                       f"[Service]\nWatchdogSec={WATCHDOG_S}\nEnvironment=SCHEDRUN_ADMIN_LISTEN=127.0.0.1:{port} "
                       f"SCHEDRUN_ADMIN_PORT_FILE=%t/{unit}/admin.port\n")
        host.write("/etc/systemd/system/schedrun-worker@.service.d/test.conf", f"[Service]\nWatchdogSec={WATCHDOG_S}\n")
        host.must("systemctl daemon-reload")
        host.must("systemctl start " + " ".join(UNITS))
        yield host
    finally:
        host.stop()
        system.cluster.redis().acl_deluser("schedrun")


def port_of(host, unit):
    return host.must(f"cat /run/{unit.replace('@', '-')}/admin.port").strip()


def is_ready(host, unit):
    try:
        return requests.get(f"http://127.0.0.1:{port_of(host, unit)}/readyz", timeout=5).status_code == 200
    except (requests.ConnectionError, AssertionError):
        return False


def metric(host, unit, name):
    text = requests.get(f"http://127.0.0.1:{port_of(host, unit)}/metrics", timeout=5).text
    return float(re.search(rf"(?m)^{re.escape(name)} (.*)$", text)[1])


def run(host, schedule):
    answer = requests.post(f"http://127.0.0.1:{host.port}/api/v2/orchestration/schedules/{schedule_rid(schedule)}/run?preview=true",
                           headers={"Authorization": f"Bearer {TOKEN}", "Prefer": "wait=30"}, timeout=40)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def test_they_start_and_do_their_work(host):
    """Each says READY; the tokens and Redis's password come as credentials, as nobody else may read them."""
    for unit in UNITS:
        assert host.show(unit, "ActiveState", "SubState", "NRestarts") == {
            "ActiveState": "active", "SubState": "running", "NRestarts": "0"}, host.journal(unit)
        wait_for(f"{unit} to be ready", lambda: is_ready(host, unit))
        assert SECRET not in host.journal(unit) and TOKEN not in host.journal(unit)
    assert len({port_of(host, unit) for unit in UNITS}) == len(UNITS)
    wait_for("a status in plain words", lambda: "partitions, lag" in host.show(UNITS[0], "StatusText"))
    wait_for("the adapter to say so", lambda: host.show("schedrun-http", "StatusText") == "serving")
    build = run(host, "built")["buildRid"]
    key = b"schedrun:b:" + bytes.fromhex(build.rpartition(".build.")[2].replace("-", ""))
    wait_for("the build to end", lambda: host.system.cluster.redis().hget(key, "s") == b"SUCCEEDED")
    said = host.must("cat /var/log/private/schedrun-builder/*/0.log").split("\n")
    assert 61184 <= int(said[0]) <= 65519 and "kept out" in said  # a job, as the unit's transient user


def test_they_are_confined(host):
    for unit in UNITS:
        status = dict(line.split(":\t", 1) for line in host.must(f"cat {host.process_of(unit)}/status").splitlines() if ":\t" in line)
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", unit
        assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}, unit
        assert all(61184 <= int(uid) <= 65519 for uid in status["Uid"].split()), status["Uid"]
        limits = host.must(f"cat {host.process_of(unit)}/limits")
        assert re.search(r"Max core file size +0 +0", limits), unit
        assert unit != "schedrun-http" or re.search(r"Max open files +16384 +16384", limits)
        exposure = re.search(r"exposure level for .*: ([\d.]+) ", host.must(f"systemd-analyze security --no-pager {unit}"))
        assert float(exposure[1]) <= 1.5, exposure


def test_what_hangs_is_started_again(host):
    """A process that is stopped tells systemd nothing: the watchdog ends it, and it is back at its work."""
    before = {unit: host.show(unit, "MainPID") for unit in UNITS}
    for pid in before.values():
        host.must(f"kill -STOP {pid}")
    for unit in UNITS:
        wait_for(f"{unit} to be started again", lambda: host.show(unit, "NRestarts") == "1" and
                 host.show(unit, "MainPID") not in ("0", before[unit]), 90)
        assert "Watchdog timeout" in host.must(f"journalctl --no-pager -u {unit}"), unit
    for unit in UNITS:
        wait_for(f"{unit} to be ready", lambda: is_ready(host, unit))
    assert run(host, "s1")["type"] == "ignored"


def test_what_is_killed_comes_back_and_what_is_wrong_stays_down(host):
    host.must(f"kill -KILL {host.show('schedrun-trigger', 'MainPID')}")
    wait_for("the trigger to be back", lambda: host.show("schedrun-trigger", "NRestarts") == "2" and is_ready(host, "schedrun-trigger"))
    host.must("cp /etc/schedrun/schedrun.conf /etc/schedrun/fine && echo 'redis.urk = x' >>/etc/schedrun/schedrun.conf")
    host.run("systemctl restart schedrun-trigger")
    assert host.show("schedrun-trigger", "ActiveState", "ExecMainStatus") == {"ActiveState": "failed", "ExecMainStatus": "78"}
    assert "redis.urk" in host.journal("schedrun-trigger") and "redis.url" in host.journal("schedrun-trigger")
    host.must("mv /etc/schedrun/fine /etc/schedrun/schedrun.conf && systemctl restart schedrun-trigger")
    wait_for("the trigger to be ready", lambda: is_ready(host, "schedrun-trigger"))


def test_reload_reads_the_configuration(host):
    host.must("echo 'log.level = debug' >>/etc/schedrun/schedrun.conf")
    host.must("systemctl reload " + " ".join(UNITS))
    for unit in UNITS:
        wait_for(f"{unit} to have read it", lambda: "event=reread" in host.journal(unit))


def test_their_limits_are_enough_under_load(host):
    """cgroups of this container have no controllers, so what the units may take is held against what they take."""
    load = Load(host.system.bootstrap)
    for i in range(30000):
        load.send(request(schedule_rid(f"s{i % 40}")))
    load.flush()
    wait_for("the requests to be processed",
             lambda: checker.lag(host.system.bootstrap, GROUP, "schedule-run-requests") == 0, 120, 0.5)
    wait_for("the run view", lambda: metric(host, "schedrun-http", "schedrun_run_view_lag_records") == 0, 120, 0.5)
    for unit in UNITS:
        limits = host.show(unit, "MemoryMax", "TasksMax")
        if limits["MemoryMax"] != "infinity":
            taken = metric(host, unit, "process_resident_memory_bytes")
            print(f"{unit}: {taken / 1e6:.0f} MB of {int(limits['MemoryMax']) / 1e6:.0f}")
            assert taken < int(limits["MemoryMax"]), unit
        threads = int(re.search(r"(?m)^Threads:\s+(\d+)", host.must(f"cat {host.process_of(unit)}/status"))[1])
        assert threads < int(limits["TasksMax"]), unit


def test_they_drain_and_the_package_goes(host):
    host.must("systemctl stop " + " ".join(UNITS))
    for unit in UNITS:
        assert host.show(unit, "ActiveState", "Result", "ExecMainStatus") == {
            "ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}, host.journal(unit)
    host.must("systemctl start " + " ".join(UNITS))
    host.must("dpkg -P schedrun")
    assert host.must("systemctl list-units --plain --no-legend 'schedrun-*' --state=active") == ""
