"""Start-up without Kafka or Redis, and the end by signals."""

import json
import signal
import socket
import time

import catalogues
import pytest
from load import Load, request
from programs import wait_for

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


def test_systemd_hears_of_a_worker_that_waits(system):
    """Its watchdog must not end what waits for Kafka."""
    system.init()
    system.apply(catalogues.outcomes())
    system.cluster.stop_kafka()
    path = str(system.directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(path)
        notified.settimeout(10)
        system.worker(environment={"NOTIFY_SOCKET": path})
        beats = 0
        while beats < 3:
            beats += b"WATCHDOG=1" in notified.recv(4096)


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
    broker.send_signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        worker.signal(signals[0])
        wait_for("the first signal to be heard", lambda: "event=stopping" in worker.log())
        for number in signals[1:]:
            begun = time.monotonic()
            worker.signal(number)
        code, duration = worker.wait(20), time.monotonic() - begun
    finally:
        broker.send_signal(signal.SIGCONT)
    system.worker("worker-2").wait_ready()
    system.wait_drained()
    system.judge(asked)
    return code, duration


def test_a_stop_while_the_broker_hangs(system):
    code, duration = stop_without_broker(system, [signal.SIGTERM])
    assert code == 0 and duration < 10


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
