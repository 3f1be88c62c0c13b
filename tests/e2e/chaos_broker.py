"""A broker that dies, hangs, or can't be reached."""

import signal
import time

import pytest
from proxy import (ADD_PARTITIONS_TO_TXN, END_TXN, INIT_PRODUCER_ID, PRODUCE, TXN_OFFSET_COMMIT,
                   Proxy)
from programs import wait_for


@pytest.fixture
def proxied(campaign, system):
    """A campaign whose workers reach the broker through a proxy."""
    proxy = Proxy(("127.0.0.1", system.cluster.proxied_port), system.cluster.proxy_port,
                  kafka=True)

    def make(**settings):
        chaos = campaign(**{"bootstrap.servers": f"127.0.0.1:{proxy.port}", **settings})
        chaos.proxy = proxy
        return chaos

    yield make
    proxy.close()


def test_kills_of_the_broker(campaign, system):
    """Row 9: the workers stay up and are ready again within 15 s after it."""
    chaos = campaign(name="broker kills")
    for _ in range(2):
        time.sleep(chaos.rng.uniform(1, 3))
        system.cluster.stop_kafka(hard=True)
        time.sleep(chaos.rng.uniform(0, 3))
        system.cluster.start_kafka()
        chaos.note("SIGKILL and restart of the broker")
        more = chaos.progress.wait_for_more(30)
        print(f"    ready after {chaos.wait_ready(15):.1f} s, results after {more:.1f} s")
    chaos.judge()


@pytest.mark.parametrize("seconds", [5, 25])
def test_stops_of_the_broker(campaign, system, seconds):
    """Row 10: 25 s is longer than a transaction may take."""
    chaos = campaign(name=f"broker stop {seconds}")
    system.cluster.kafka_process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    system.cluster.kafka_process.send_signal(signal.SIGCONT)
    chaos.note(f"broker stopped for {seconds} s")
    more = chaos.progress.wait_for_more(30)
    print(f"    results after {more:.1f} s, all ready after {chaos.wait_ready(15):.1f} s more")
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
    time.sleep(chaos.rng.uniform(3.5, 6))
    for one in held:
        one.gate.set()
    chaos.note(f"{len(held)} requests held, api key {key}")
    chaos.progress.wait_for_more(30)
    chaos.judge()


@pytest.mark.parametrize("key", [PRODUCE, END_TXN])
def test_answers_that_are_lost(proxied, key):
    """Rows 13 and 16: the broker has done it, and nobody hears of it."""
    chaos = proxied(name=f"lost {key}", workers=1)
    rebuilds = chaos.total("schedrun_producer_rebuilds_total")
    chaos.proxy.lose_answers(key, 1)
    wait_for("an answer to be lost", lambda: chaos.proxy.lost == 1)
    chaos.note(f"an answer lost, api key {key}")
    chaos.progress.wait_for_more(30)
    chaos.judge()
    assert chaos.total("schedrun_producer_rebuilds_total") - rebuilds <= 2


def test_silence(proxied):
    """Row 14: no byte passes for 30 s, nothing is closed."""
    chaos = proxied(name="silence")
    chaos.proxy.drop()
    begun = time.monotonic()
    wait_for("all to be not ready", lambda: not any(w.is_ready() for w in chaos.workers), 15)
    print(f"    not ready after {time.monotonic() - begun:.1f} s")
    time.sleep(max(0, 30 - (time.monotonic() - begun)))
    chaos.proxy.heal()
    chaos.note("no byte for 30 s")
    print(f"    ready after {chaos.wait_ready(15):.1f} s")
    chaos.progress.wait_for_more(15)
    chaos.judge()


def test_resets_and_delay(proxied):
    """Row 15: connections cut by RST again and again; then 200 ms each way."""
    chaos = proxied(name="resets", rate=300)
    for _ in range(10):
        time.sleep(chaos.rng.uniform(0.2, 1.5))
        chaos.proxy.reset()
        chaos.note("RST of all connections")
    chaos.wait_ready(15)
    chaos.progress.wait_for_more(15)
    chaos.proxy.delay = 0.2
    chaos.note("200 ms of delay")
    chaos.progress.wait_for_more(20)
    time.sleep(5)
    chaos.proxy.delay = 0
    chaos.judge()
