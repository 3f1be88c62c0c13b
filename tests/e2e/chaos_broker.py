"""A broker that dies, hangs, or can't be reached."""

import signal
import time

import injected
import pytest
from injected import fair
from proxy import (ADD_PARTITIONS_TO_TXN, END_TXN, INIT_PRODUCER_ID, PRODUCE, TXN_OFFSET_COMMIT,
                   Proxy)
from programs import wait_for


@pytest.fixture
def proxied(campaign, system):
    """A campaign whose workers reach the broker through a proxy."""
    proxy = Proxy(("127.0.0.1", system.cluster.proxied_port), system.cluster.proxy_port,
                  kafka=True)

    def make(**settings):
        chaos = campaign(revives=True, **{"bootstrap.servers": f"127.0.0.1:{proxy.port}", **settings})
        chaos.proxy = proxy
        return chaos

    yield make
    proxy.close()


def test_kills_of_the_broker(campaign, system):
    """Row 9: the workers stay up and are ready again within 15 s after it."""
    chaos = campaign(name="broker kills")
    for _ in range(2):
        chaos.pause(1, 3)
        away = time.monotonic()
        system.cluster.stop_kafka(hard=True)
        chaos.pause(0, 3)
        system.cluster.start_kafka()
        chaos.revives = time.monotonic() - away > 30  # a busy machine starts it slowly
        chaos.recover(15)
    chaos.judge()


@pytest.mark.parametrize("seconds", [5, 25])
def test_stops_of_the_broker(campaign, system, seconds):
    """Row 10: 25 s is longer than a transaction may take."""
    chaos = campaign(name=f"broker stop {seconds}", revives=seconds > 20)
    system.cluster.pause("kafka", seconds)
    chaos.recover(20)
    if seconds == 25:
        assert chaos.total("schedrun_producer_rebuilds_total") > 0
    chaos.judge()


@pytest.mark.parametrize("key", [ADD_PARTITIONS_TO_TXN, TXN_OFFSET_COMMIT, PRODUCE,
                                 INIT_PRODUCER_ID, END_TXN])
def test_requests_that_come_late(proxied, key):
    """Rows 11 and 12: held beyond socket.timeout.ms and delivered at last."""
    chaos = proxied(name=f"held {key}", workers=2, **{"socket.timeout.ms": 3000})
    if key == INIT_PRODUCER_ID:  # asked at a rebuild only
        chaos.proxy.hold(END_TXN, [True])
    chaos.proxy.hold(key, [False, True] if key != INIT_PRODUCER_ID else [True])
    held = chaos.proxy.wait_held(2 if key == INIT_PRODUCER_ID else 1, 60)
    chaos.pause(3.5, 6)
    for one in held:
        one.gate.set()
    chaos.recover(30)
    chaos.judge()


@pytest.mark.parametrize("key", [PRODUCE, END_TXN])
def test_answers_that_are_lost(proxied, key):
    """Rows 13 and 16: the broker has done it, and nobody hears of it."""
    chaos = proxied(name=f"lost {key}", workers=1)
    rebuilds = chaos.total("schedrun_producer_rebuilds_total")
    chaos.proxy.lose_answers(key, 1)
    wait_for("an answer to be lost", lambda: chaos.proxy.lost == 1)
    chaos.recover(30)
    chaos.judge()
    assert chaos.total("schedrun_producer_rebuilds_total") - rebuilds <= 2


def test_requests_pass_and_answers_do_not(proxied):
    """Row 16: for 20 s; whether the commit under way was done, the offset tells."""
    chaos = proxied(name="asymmetric", workers=2)
    chaos.proxy.drop_answers()
    time.sleep(20)
    chaos.proxy.heal()
    chaos.recover(20)
    chaos.judge()


def test_silence(proxied):
    """Row 14: no byte passes for 30 s, nothing is closed."""
    chaos = proxied(name="silence")
    chaos.proxy.drop()
    begun = time.monotonic()
    wait_for("all to be not ready", lambda: not any(w.is_ready() for w in chaos.workers), fair(15))
    print(f"    not ready after {time.monotonic() - begun:.1f} s")
    time.sleep(max(0, 30 - (time.monotonic() - begun)))
    chaos.proxy.heal()
    chaos.recover(15)
    chaos.judge()


def test_resets_and_delay(proxied):
    """Row 15: connections cut by RST again and again; then 200 ms each way; then 64 KiB/s."""
    chaos = proxied(name="resets", rate=300)
    for _ in range(10):
        chaos.pause(0.2, 1.5)
        chaos.proxy.reset()
    chaos.recover(15)
    for what, value in ("delay", 0.2), ("rate", 65536):
        setattr(chaos.proxy, what, value)
        injected.note(f"{what} {value}")
        chaos.recover(20)
        time.sleep(5)
        setattr(chaos.proxy, what, 0)
    chaos.judge()


def test_a_transaction_that_takes_too_long(proxied):
    """Row 17: the worker is stopped between B2 and B4 beyond transaction.timeout.ms, not
    beyond its session: fenced by the broker, it rebuilds its producer and does not end."""
    chaos = proxied(name="slow transaction", workers=1, **{
        "session.timeout.ms": 40000, "socket.timeout.ms": 6000, "transaction.timeout.ms": 8000, "message.timeout.ms": 7000,
        "commit__deadline": "7s"})
    rebuilds = chaos.total("schedrun_producer_rebuilds_total")
    worker = chaos.workers[0]
    chaos.proxy.hold(TXN_OFFSET_COMMIT, [True])
    (held,) = chaos.proxy.wait_held(1)
    worker.signal(signal.SIGSTOP)
    held.release()
    time.sleep(20)  # Kafka looks for those that are over each 10 s
    worker.signal(signal.SIGCONT)
    chaos.recover(20)
    assert chaos.total("schedrun_producer_rebuilds_total") > rebuilds
    chaos.judge()
