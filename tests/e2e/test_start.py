"""Start-up without Kafka or Redis, and the end by signals."""

import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import time

import catalogues
import programs
import pytest
from adapters import Adapter
from cluster import Cluster
from load import Load, request
from programs import Notified, System, stand_still, wait_for

SCHEDULE = catalogues.schedule_rid("stale")


def reasons(worker):
    """The names of the failing checks of /readyz."""
    answer = worker.admin("/readyz")
    if answer is None or answer[0] == 200:
        return set()
    return {check["name"] for check in json.loads(answer[1])["checks"] if not check["ok"]}


@pytest.mark.parametrize("server", ["kafka", "redis"])
def test_waits_for_a_server_and_goes_on(system, server):
    system.init()
    system.apply(catalogues.outcomes())
    load = Load(system.bootstrap)
    load.send(request(SCHEDULE, "before"))
    asked = load.flush()
    getattr(system.cluster, f"stop_{server}")()
    worker = system.worker()
    wait_for(f"the worker to say that {server} is away", lambda: server in reasons(worker))
    assert worker.admin("/healthz")[0] == 200
    wait_for("a line in the log", lambda: f"component={server}" in worker.log())
    getattr(system.cluster, f"start_{server}")()
    worker.wait_ready()
    system.wait_drained()
    assert system.judge(asked).results == 1


def test_offsets_of_a_cluster_that_has_had_no_group(tmp_path):
    """Who asks for a group's offsets is told that its coordinator is another one, until there is one."""
    cluster = Cluster(tmp_path / "cluster").start()
    system = System(cluster, tmp_path)
    try:
        system.init()
        asks = [("lag", "--for", "worker"), ("lag", "--for", "builder"), ("check",), ("lag", "--for", "trigger")]
        with concurrent.futures.ThreadPoolExecutor(len(asks)) as asking:
            codes = [done.returncode for done in asking.map(lambda ask: system.run(*ask), asks)]
        assert min(codes) >= 0, codes
        assert system.must("lag", "--for", "worker")
    finally:
        system.stop()
        cluster.stop()


def test_systemd_hears_each_second_what_is_waited_for(system):
    """From the start on, whatever a program's own calls wait for; and its watchdog must not end it for that."""
    system.init()
    system.apply(catalogues.outcomes())
    servers, seconds = (system.cluster.kafka_process, system.cluster.redis_process), 10
    notified = {name: Notified(system.directory / f"{name}.notify") for name in ("worker", "http", "trigger", "builder")}
    to = {name: {"NOTIFY_SOCKET": each.path} for name, each in notified.items()}
    with stand_still(servers[0]), stand_still(servers[1]):
        daemons = [system.worker(environment=to["worker"]), system.trigger(environment=to["trigger"]),
                   Adapter(system, wait=False, environment=to["http"]).daemon,
                   system.builder("/bin/true", environment=to["builder"])]
        await_seconds(notified.values(), seconds)
        assert all(each.told[0].startswith("READY=1\n") for each in notified.values())
    for daemon in daemons:
        daemon.wait_ready()
    with stand_still(servers[0]), stand_still(servers[1]):
        wait_for("both to be waited for", lambda: all(
            re.match("waiting: .*kafka: .*redis: ", each.status) for each in notified.values()))
        await_seconds(notified.values(), seconds)
    for daemon in daemons:
        daemon.wait_ready()


def await_seconds(notified, seconds):
    """Until each program has told that it waits, as often as there are seconds, at that pace."""
    before = {each: len(each.told) for each in notified}
    wait_for("all to tell", lambda: all(len(each.told) >= n + seconds for each, n in before.items()), 1.5 * seconds)
    for each, n in before.items():
        assert all("STATUS=waiting: " in message and "\nWATCHDOG=1" in message for message in each.told[n:]), each.told


def test_an_empty_redis_is_not_ready(system):
    """Without `init` and `apply` nothing is answered, least of all `not found`."""
    system.init()
    load = Load(system.bootstrap)
    load.send(request(SCHEDULE, "early"))
    asked = load.flush()
    worker = system.worker()
    wait_for("the worker to say what is to be done",
             lambda: "schedrun apply" in (worker.admin("/readyz") or ("", ""))[1])
    system.apply(catalogues.outcomes())
    worker.wait_ready()
    system.wait_drained()
    verdict = system.judge(asked)
    assert verdict.outcomes == {"submitted": 1}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drains_under_load_and_exits_0(system, number):
    system.init()
    system.apply(catalogues.outcomes())
    worker = system.worker(worker__batch__max__records="50").wait_ready()
    load = Load(system.bootstrap)
    for i in range(5000):
        load.send(request(SCHEDULE, f"load-{i}"))
    asked = load.flush()
    worker.signal(number)
    assert worker.wait(10) == 0, worker.tail()
    system.worker("worker-2").wait_ready()
    system.wait_drained()
    system.judge(asked)


def hang_up(daemon, path, *lines):
    """Writes the configuration's file and sends SIGHUP; the lines of the log since."""
    before = len(daemon.log().splitlines())
    path.write_text("".join(f"{line}\n" for line in lines))
    daemon.signal(signal.SIGHUP)
    return wait_for("an answer to SIGHUP", lambda: [
        line for line in daemon.log().splitlines()[before:]
        if re.search("event=(reread|not_reread|restart_needed)", line)], 10)


@pytest.mark.parametrize("program", ["worker", "adapter", "trigger", "builder"])
def test_a_hangup_takes_the_level_and_names_the_rest(system, program):
    """Neither program ends, drops what it has, or says that a change holds which doesn't."""
    system.init()
    system.apply(catalogues.outcomes())
    path = system.directory / "reread.conf"
    path.write_text("log.level = info\nredis.timeout.command = 2s\n")
    environment = {"SCHEDRUN_CONFIG": str(path)}
    if program == "adapter":
        daemon = system.adapter(environment=environment, http__auth="none",
                                http__listen="127.0.0.1:0", http__drain="0")
    elif program == "builder":
        daemon = system.builder("/bin/true", environment=environment)
    else:
        daemon = getattr(system, program)(environment=environment)
    daemon.wait_ready()
    line, = hang_up(daemon, path, "log.level = debug", "redis.timeout.command = 2s")
    assert "event=reread" in line and "log_level=debug" in line
    path.write_text("")
    daemon.signal(signal.SIGHUP)
    wait_for("the level to be taken back", lambda: "log_level=info" in daemon.log().splitlines()[-1])
    hang_up(daemon, path, "log.level = warn", "redis.timeout.command = 3s", "kafka.linger.ms = 7")
    wait_for("what needs a restart", lambda: "restart_needed" in daemon.log(), 10)
    told, = [line for line in daemon.log().splitlines() if "restart_needed" in line]
    assert 'keys="redis.timeout.command, kafka.linger.ms"' in told and "log.level," not in told
    line, = hang_up(daemon, path, "log.level = loud")
    assert "event=not_reread" in line and "allowed: debug|info|warn|error" in line
    assert daemon.is_ready() and daemon.stop() == 0


def stop_without_broker(system, signals):
    """Signals a worker that has a transaction under way; exit code and duration."""
    system.init()
    system.apply(catalogues.outcomes())
    worker = system.worker(worker__batch__max__records="50").wait_ready()
    load = Load(system.bootstrap)
    for i in range(5000):
        load.send(request(SCHEDULE, f"load-{i}"))
    asked = load.flush()
    broker = system.cluster.kafka_process
    with stand_still(broker):
        begun = time.monotonic()
        worker.signal(signals[0])
        wait_for("the first signal to be heard", lambda: "event=stopping" in worker.log())
        for number in signals[1:]:
            begun = time.monotonic()
            worker.signal(number)
        code, duration = worker.wait(20), time.monotonic() - begun
    system.worker("worker-2").wait_ready()
    system.wait_drained()
    system.judge(asked)
    return code, duration


def test_a_stop_while_the_broker_hangs(system):
    code, duration = stop_without_broker(system, [signal.SIGTERM])
    assert code == 0 and duration < 10


def test_a_stop_that_came_before_the_start(system):
    """A signal that waits when the worker begins is an orderly end like any other."""
    def with_a_stop_pending():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        os.kill(os.getpid(), signal.SIGTERM)

    system.init()
    system.apply(catalogues.outcomes())
    for _ in range(12):
        worker = subprocess.Popen([programs.BUILD / "schedrun-worker", *system.flags(), "-s", "admin.listen=127.0.0.1:0"],
                                  stderr=subprocess.PIPE, text=True, preexec_fn=with_a_stop_pending)
        _, log = worker.communicate(timeout=30)
        assert worker.returncode == 0 and "stopping" in log, log


def test_a_reload_beside_the_end(system):
    """SIGHUP while main ends by itself: nothing that the reload reads goes before it."""
    for _ in range(20):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            worker = subprocess.Popen([programs.BUILD / "schedrun-worker", *system.flags(), "-s",
                                       f"admin.listen=127.0.0.1:{taken.getsockname()[1]}"],
                                      stderr=subprocess.PIPE, text=True,
                                      preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
            while worker.poll() is None:
                worker.send_signal(signal.SIGHUP)
            assert worker.returncode == 78, worker.stderr.read()


def test_a_second_signal_ends_at_once(system):
    code, duration = stop_without_broker(system, [signal.SIGTERM, signal.SIGTERM])
    assert code == 128 + signal.SIGTERM and duration < 1


def test_an_evicting_redis_is_refused(system):
    system.init()
    system.apply(catalogues.outcomes())
    system.cluster.redis().config_set("maxmemory-policy", "allkeys-lru")
    worker = system.worker()
    assert worker.wait(30) == 78
    assert "noeviction" in worker.log()


def test_a_redis_of_another_format_is_refused(system):
    """What is said names the format that this version reads, and what helps."""
    system.init()
    system.apply(catalogues.outcomes())
    system.cluster.redis().hset("schedrun:meta", "format", "2")
    worker = system.worker()
    assert worker.wait(30) == 78
    assert "this version reads format 1" in worker.log()
    assert "redis.prefix" in worker.log()


def test_a_redis_that_is_emptied_is_seen_by_a_trigger(system):
    """Behind a connection that stays: nothing of it fails."""
    system.init()
    system.apply(catalogues.outcomes())
    trigger = system.trigger().wait_ready()
    system.cluster.redis().flushall()
    wait_for("the trigger to say what is to be done",
             lambda: "run schedrun init" in trigger.blamed().get("redis", ""), 20)
    system.init()
    system.apply(catalogues.outcomes())
    trigger.wait_ready(20)


AWAY = {"redis": ["-s", "redis.url=redis://127.0.0.1:1/0"], "registry": ["-s", "schema.registry.url=http://127.0.0.1:1"]}


def test_a_check_tells_what_is_away_from_what_is_wrong(system):
    """69: it may come; 78: a person has to do something; of each program."""
    system.init()
    system.apply(catalogues.outcomes())
    topics = {"worker": "requests", "http": "requests", "builder": "builds", "trigger": "events"}

    def check(program, flags):
        done = subprocess.run(
            [programs.BUILD / f"schedrun-{program}", *system.flags(), "-s", "http.auth=none", "-s",
             "builder.command=/bin/true", *flags, "--check"], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    for program, topic in topics.items():
        code, said = check(program, [])
        assert code == 0 and "the configuration is fine, Kafka and Redis answer" in said, (program, said)
        for away, flags in AWAY.items():
            code, said = check(program, flags)
            assert code == 69 and "127.0.0.1:1" in said, (program, away, code, said)
        code, said = check(program, ["-s", f"topics.{topic}=nowhere"])
        assert code == 78 and "topic nowhere" in said, (program, code, said)
    code, said = check("trigger", ["-s", "topics.requests=nowhere"])
    assert code == 78 and "topic nowhere" in said, said
    code, said = check("http", ["-s", "view.redis.url=redis://127.0.0.1:1/0"])
    assert code == 69 and "127.0.0.1:1" in said, said
