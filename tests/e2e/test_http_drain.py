"""SIGTERM: nobody is left without an answer; SIGKILL is for the next replica."""

import http.client
import signal
import threading
import time

import catalogues
import pytest
from adapters import API, Adapter
from programs import wait_for
from proxy import Proxy

SCHEDULE = catalogues.schedule_rid("stale")
PRODUCE = 0


@pytest.fixture(scope="module")
def system(fresh_system):
    """No worker: what is asked stays pending."""
    fresh_system.init()
    fresh_system.apply(catalogues.outcomes())
    return fresh_system


class Waiting(threading.Thread):
    def __init__(self, call):
        super().__init__(daemon=True)
        self.call, self.answer, self.seconds = call, None, None
        self.start()

    def run(self):
        started = time.monotonic()
        self.answer = self.call()
        self.seconds = time.monotonic() - started


def waiting(adapter):
    return adapter.daemon.metric("schedrun_http_in_flight_requests")


def test_waits_and_streams_are_ended(system):
    adapter = Adapter(system, http__drain="1s")
    pending = adapter.run(SCHEDULE).json()
    path = f"{API}/schedules/{SCHEDULE}/runs/{pending['rid']}"
    waits = [Waiting(lambda: adapter.run(SCHEDULE, Prefer="wait=50")) for _ in range(3)]
    waits += [Waiting(lambda: adapter.call("GET", path, Prefer="wait=50")) for _ in range(2)]
    stream = adapter.events()
    kept = http.client.HTTPConnection("127.0.0.1", adapter.port, timeout=10)
    kept.request("GET", "/healthz")
    kept.getresponse().read()
    wait_for("all to wait", lambda: waiting(adapter) == 5)
    adapter.daemon.signal(signal.SIGTERM)
    wait_for("not ready", lambda: adapter.daemon.admin("/readyz")[0] == 503, 1, 0.01)
    refused = adapter.run(SCHEDULE)
    assert refused.status_code == 503 and refused.headers["Retry-After"] == "1"
    assert adapter.call("GET", f"{API}/runEvents").status_code == 503
    kept.request("GET", "/healthz")
    answer = kept.getresponse()
    assert answer.status == 200 and answer.headers["Connection"] == "close"
    stream.wait_end(10)
    assert [(e.kind, e.data) for e in stream.events] == [("end", {"reason": "DRAINING"})]
    for wait in waits:
        wait.join(10)
        assert wait.answer.status_code == 200 and "result" not in wait.answer.json()
        assert wait.answer.headers["Preference-Applied"] == "wait=45", "at most"
        assert wait.answer.headers["Connection"] == "close"
    assert adapter.daemon.wait(5) == 0


def test_a_delivery_under_way_is_awaited(system):
    proxy = Proxy(("127.0.0.1", system.cluster.proxied_port), system.cluster.proxy_port, kafka=True)
    try:
        adapter = Adapter(system, "http-proxied",
                          **{"bootstrap.servers": f"127.0.0.1:{proxy.port}"})
        proxy.hold(PRODUCE, [True])
        asking = Waiting(lambda: adapter.run(SCHEDULE))
        [held] = proxy.wait_held(1)
        adapter.daemon.signal(signal.SIGTERM)
        wait_for("not ready", lambda: adapter.daemon.admin("/readyz")[0] == 503)
        assert asking.is_alive() and adapter.daemon.process.poll() is None
        held.release()
        asking.join(10)
        assert asking.answer.status_code == 200
        assert adapter.daemon.wait(10) == 0
    finally:
        proxy.close()


def test_a_second_signal_ends_it_at_once(system):
    adapter = Adapter(system, "http-impatient", http__drain="30s")
    stream = adapter.events()
    adapter.daemon.signal(signal.SIGTERM)
    wait_for("draining", lambda: adapter.daemon.admin("/readyz")[0] == 503)
    adapter.daemon.signal(signal.SIGTERM)
    assert adapter.daemon.wait(2) == 143
    stream.wait_end(5)


def test_new_connections_end_after_the_drain(system):
    adapter = Adapter(system, "http-closing", http__drain="500ms")
    stream = adapter.events()
    adapter.daemon.signal(signal.SIGTERM)
    assert adapter.call("GET", "/healthz", token=None).status_code == 200
    stream.wait_end(5)
    assert adapter.daemon.wait(5) == 0
