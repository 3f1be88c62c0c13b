"""Slow clients, many clients, big clients, and the end: what the adapter bears."""

import os
import pathlib
import resource
import select
import selectors
import signal
import socket
import threading
import time

import catalogues
import programs
import pytest
from programs import wait_for
from raw_http import Connection, check_form
from test_http_hygiene import HOST, NEXT, RUN, TE, Server, get, post

HEAD_S, BODY_S, IDLE_S, SEND_S = 10, 10, 35, 30
# A sanitizer keeps what was freed and pads what is not.
MEMORY = (1500 if "sanitize" in str(programs.BUILD) else 300) * 1024 * 1024
HALF_HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: "


@pytest.fixture(scope="module")
def shared(fresh_system):
    fresh_system.init()
    fresh_system.apply(catalogues.outcomes())
    return fresh_system


@pytest.fixture(scope="module")
def server(shared):
    return Server(shared, http__idle__timeout=f"{IDLE_S}s")


def rss(process):
    """Resident bytes of a process."""
    pages = int(pathlib.Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Slow(threading.Thread):
    """Sends `first` at once, then `drip` again and again every `pause` seconds;
    notes when it is cut and what it was told."""

    def __init__(self, port, first, drip=b"", pause=0.5, after=b""):
        super().__init__(daemon=True)
        self.port, self.first, self.drip, self.pause, self.after = port, first, drip, pause, after
        self.seconds, self.data = None, b""
        self.start()

    def run(self):
        with socket.create_connection(("127.0.0.1", self.port), 10) as peer:
            began = time.monotonic()
            peer.sendall(self.first)
            peer.settimeout(self.pause)
            while time.monotonic() - began < 90:
                try:
                    piece = peer.recv(65536)
                    self.data += piece
                    if piece:
                        continue
                    break
                except TimeoutError:
                    if self.drip:
                        try:
                            peer.sendall(self.drip)
                        except OSError:
                            break
                except OSError:
                    break
            self.seconds = time.monotonic() - began

    def status(self):
        return int(self.data.rpartition(b"HTTP/1.1 ")[2][:3]) if self.data else None


SLOW = {
    "nothing sent": (b"", b"", HEAD_S, {None, 408}),
    "only an empty line": (b"\r\n", b"", HEAD_S, {None, 408}),
    "half a request line": (b"GET /hea", b"", HEAD_S, {None, 408}),
    "half a head": (HALF_HEAD, b"", HEAD_S, {None, 408}),
    "a head by drops": (HALF_HEAD, b"a", HEAD_S, {None, 408}),
    "a head by lines": (HALF_HEAD + b"a", b"\r\nB: c", HEAD_S, {None, 408}),
    "a second head by drops": (NEXT + HALF_HEAD, b"a", HEAD_S, {200, 408}),
    "no body": (post(b"Content-Length: 100\r\n"), b"", BODY_S, {None, 408}),
    "a body by drops": (post(b"Content-Length: 1000\r\n"), b" ", BODY_S, {None, 408}),
    "a body expected": (post(b"Content-Length: 9\r\nExpect: 100-continue\r\n"), b"", BODY_S,
                        {100, 408}),
    "chunks by drops": (post(TE), b"1\r\n \r\n", BODY_S, {None, 408}),
    "an extension by drops": (post(TE, b"1;"), b"a", BODY_S, {None, 408}),
    "trailers by drops": (post(TE, b"0\r\n"), b"A: b\r\n", BODY_S, {None, 408}),
    "a GET's body by drops": (get(fields=b"Content-Length: 1000\r\n"), b" ", BODY_S, {None, 408}),
    "idle": (NEXT, b"", IDLE_S, {200}),
}


class Deaf(threading.Thread):
    """Asks and asks, reads nothing, and notes when it is cut off."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.seconds = port, None
        self.start()

    def run(self):
        # answers of some 8 MB: more than the kernel takes
        peer = fill(self.port, post(target=RUN.replace(b"true", b"a" * 128)) * 10000)
        began = time.monotonic()
        poll = select.poll()
        poll.register(peer, 0)  # hang-up and errors are told anyhow
        if poll.poll(60000):
            self.seconds = time.monotonic() - began
        peer.close()


def test_slow_clients_are_cut_by_total_time(server):
    """All at once, each for its real time."""
    deaf = Deaf(server.port)
    slow = {name: Slow(server.port, first, drip) for name, (first, drip, _, _) in SLOW.items()}
    faults = []
    deaf.join(65)
    if deaf.seconds is None or not SEND_S - 3 <= deaf.seconds <= SEND_S + 3:
        faults.append(f"who reads nothing: cut after {deaf.seconds} s, not {SEND_S}")
    for name, client in slow.items():
        client.join(95)
        _, _, limit, statuses = SLOW[name]
        if client.seconds is None or not limit - 0.5 <= client.seconds <= limit + 3:
            faults.append(f"{name}: cut after {client.seconds} s, not {limit}")
        if client.status() not in statuses:
            faults.append(f"{name}: told {client.data[:100]}")
    assert not faults, "\n".join(faults)


def test_a_thousand_slow_lorises_hinder_nobody(server):
    """A byte a second each; others are served meanwhile; all are cut in time."""
    peers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(1000)]
    began = time.monotonic()
    for peer in peers:
        peer.setblocking(False)
        peer.send(HALF_HEAD)
    open_peers, slowest = set(peers), 0
    selector = selectors.DefaultSelector()
    for peer in peers:
        selector.register(peer, selectors.EVENT_READ)
    while open_peers and time.monotonic() - began < 20:
        tick = time.monotonic() + 1
        for peer in open_peers:
            try:
                peer.send(b"a")
            except OSError:
                pass
        before = time.monotonic()
        assert server.ask(NEXT).status == 200
        slowest = max(slowest, time.monotonic() - before)
        while time.monotonic() < tick:
            for key, _ in selector.select(max(0, tick - time.monotonic())):
                try:
                    alive = bool(key.fileobj.recv(4096))
                except OSError:
                    alive = False
                if not alive:
                    selector.unregister(key.fileobj)
                    open_peers.discard(key.fileobj)
    for peer in peers:
        peer.close()
    assert not open_peers, f"{len(open_peers)} of 1000 were not cut"
    assert HEAD_S - 0.5 < time.monotonic() - began < HEAD_S + 4
    assert slowest < 1, f"others waited {slowest} s"


def test_too_many_connections(shared):
    server = Server(shared, "few", http__max__connections="20")
    held = [server.connect() for _ in range(20)]
    for connection in held:
        connection.send(NEXT)
        assert connection.answer().status == 200
    for _ in range(5):
        with server.connect() as late:
            answer = late.answer()
            check_form(answer)
            assert answer.status == 503 and answer["Connection"] == "close"
            assert answer.json()["errorName"] == "Default:ServiceUnavailable" and late.ended()
    held[0].send(NEXT)
    assert held[0].answer().status == 200, "who is in stays in"
    held.pop().close()
    wait_for("the place of one that left", lambda: server.ask(NEXT).status == 200, 5)
    for connection in held:
        connection.close()
    assert server.daemon.stop() == 0


def raise_open_files(wanted):
    """How many descriptors this process may have now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted and os.geteuid() == 0:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, wanted))
        except (OSError, ValueError):
            pass
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    return allowed


def test_ten_thousand_connections_in_bounded_memory(shared, capsys):
    wanted = 10000
    allowed = raise_open_files(wanted + 600)
    n = min(wanted, allowed - 600)
    with capsys.disabled():
        print(f"\n[{n} connections of {wanted}: {allowed} open files are allowed]", end=" ")
    assert n >= 3000, "the limit on open files makes this test void"
    server = Server(shared, "many")
    assert server.ask(NEXT).status == 200
    before = rss(server.daemon.process)
    held = []
    for _ in range(n):
        connection = server.connect(timeout=30)
        connection.send(NEXT)
        held.append(connection)
    for connection in held:
        assert connection.answer().status == 200
    each = (rss(server.daemon.process) - before) / n
    assert server.daemon.metric("schedrun_http_connections") is not None
    wait_for("the gauge", lambda: server.daemon.metric("schedrun_http_connections") >= n, 5)
    if n == wanted:
        with server.connect() as late:
            assert late.answer().status == 503
    for connection in held[::50]:
        connection.send(NEXT)
        assert connection.answer().status == 200, "they are still served"
    with capsys.disabled():
        print(f"[{each:.0f} bytes each]", end=" ")
    # Sanitizers put zones around each allocation and keep what was freed.
    most = 4 * 4096 if programs.SANITIZE else 4096
    assert each <= most, f"{each} bytes for an idle connection"
    for connection in held:
        connection.close()
    wait_for("all to be gone", lambda: server.daemon.metric("schedrun_http_connections") <= 1, 10)
    assert server.daemon.stop() == 0


def fill(port, data):
    """Connects and sends what is taken; the socket."""
    peer = socket.create_connection(("127.0.0.1", port))
    peer.setblocking(False)
    sent = 0
    while sent < len(data):
        try:
            sent += peer.send(data[sent:])
        except BlockingIOError:
            selector = selectors.DefaultSelector()
            selector.register(peer, selectors.EVENT_WRITE)
            if not selector.select(0.2):
                break
        except OSError:
            break
    return peer


def test_bodies_share_a_bound(server):
    """400 bodies of 1 MiB less a byte: over 128 MiB is refused, others are served."""
    before = rss(server.daemon.process)
    body = b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 1048576\r\n\r\n" + b" " * 1048575
    peers = [fill(server.port, body) for _ in range(400)]
    refused = set()

    def count():
        for peer in peers:
            try:
                if peer.recv(100).startswith(b"HTTP/1.1 503"):
                    refused.add(peer)
            except OSError:
                pass  # nothing yet, or cut
        return len(refused) > 200

    wait_for("those over the bound to be refused", count, 9)
    grown = rss(server.daemon.process) - before
    assert server.ask(NEXT).status == 200
    for peer in peers:
        peer.close()
    assert grown < MEMORY, f"{grown} bytes"
    wait_for("room", lambda: server.ask(post()).status == 200, 10)


def test_what_is_pipelined_behind_a_wait_is_bounded(server):
    """Each waiting request with as much behind it as the server reads."""
    before = rss(server.daemon.process)
    data = post(b"Prefer: wait=8\r\n") + NEXT * 40000
    peers = [fill(server.port, data) for _ in range(600)]
    grown = rss(server.daemon.process) - before
    assert server.ask(NEXT).status in (200, 503)
    for peer in peers:
        peer.close()
    assert grown < MEMORY, f"{grown} bytes"
    wait_for("room", lambda: server.ask(post()).status == 200, 20)


def test_a_long_pipeline_lets_others_in(server):
    """Fifty connections with all the requests they may send, and who comes later."""
    peers = [fill(server.port, NEXT * 9000) for _ in range(50)]
    for _ in range(10):
        before = time.monotonic()
        assert server.ask(NEXT).status == 200
        assert time.monotonic() - before < 1
    for peer in peers:
        peer.close()


def test_clients_that_vanish(server):
    """Reset in each phase, a few hundred times: it goes on, and all are forgotten."""
    shapes = [b"", b"GET /h", get()[:-2], post(b"Content-Length: 5\r\n", b"{"), post(TE, b"1\r\n"),
              post(b"Prefer: wait=30\r\n"), NEXT, NEXT * 50, post() + NEXT, b"garbage\r\n\r\n",
              post(b"Prefer: wait=30\r\n") + b"x" * 100000]
    for i in range(400):
        peer = fill(server.port, shapes[i % len(shapes)])
        if i % 3:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
    assert server.ask(NEXT).status == 200
    wait_for("them to be forgotten",
             lambda: server.daemon.metric("schedrun_http_connections") <= 1, 40, 0.5)
    assert server.daemon.process.poll() is None


def admin_port(server):
    return int(server.daemon.port_file.read_text())


def test_the_admin_listener_makes_room(server):
    """Idle, slow and stuck clients on it do not keep a probe out."""
    shapes = [b"", b"GET /r", HALF_HEAD, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
              b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
              b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 200]
    peers = []
    for i in range(300):
        peers.append(fill(admin_port(server), shapes[i % len(shapes)]))
        if i % 20 == 0:
            for path in ("/readyz", "/healthz", "/metrics"):
                before = time.monotonic()
                assert server.daemon.admin(path)[0] == 200
                assert time.monotonic() - before < 1
    for peer in peers:
        peer.close()


@pytest.mark.parametrize("name, data, status", [
    ("length and chunked", b"POST /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n" + TE + b"\r\n0\r\n\r\n", 400),
    ("no Host", b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    ("POST", b"POST /metrics HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    ("TRACE", b"TRACE /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    ("unknown", get(b"/api"), 404),
    ("dots", get(b"/x/../metrics"), 404),
    ("large body", b"POST /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\n", 413),
    ("large head", get(fields=b"A: " + b"a" * 40000 + b"\r\n"), 431),
    ("health", get(), 200),
    ("query", get(b"/healthz?verbose"), 200),
])
def test_the_admin_listener_is_as_strict(server, name, data, status):
    with Connection(admin_port(server)) as connection:
        connection.send(data)
        answer = connection.answer()
        assert answer.status == status
        assert answer["Cache-Control"] == "no-store" and answer["Server"] is None


def test_the_end_answers_what_is_under_way(shared):
    server = Server(shared, "drained", http__drain="2s")
    waiting, idle, half, fresh = (server.connect(timeout=20) for _ in range(4))
    waiting.send(post(b"Prefer: wait=30\r\n"))
    idle.send(NEXT)
    assert idle.answer().status == 200
    half.send(HALF_HEAD)
    wait_for("the waiting request", lambda: server.daemon.metric(
        "schedrun_http_in_flight_requests") == 1, 10)
    began = time.monotonic()
    server.daemon.signal(signal.SIGTERM)
    wait_for("not ready", lambda: server.daemon.admin("/readyz")[0] == 503, 1, 0.01)
    assert "draining" in server.daemon.admin("/readyz")[1]
    answer = server.ask(NEXT)
    assert answer.status == 200 and answer["Connection"] == "close", "new ones come in meanwhile"
    assert server.ask(post()).status == 503, "but no run is begun"
    half.send(b"a\r\n\r\n")
    answer = half.answer()
    assert answer.status == 200 and answer["Connection"] == "close" and half.ended()
    answer = waiting.answer()
    assert answer.status == 200 and "result" not in answer.json() and waiting.ended()
    assert time.monotonic() - began < 5
    assert idle.ended()
    assert server.daemon.wait(10) == 0
    for connection in (waiting, idle, half, fresh):
        connection.close()
    with pytest.raises(OSError):
        server.connect()


def test_a_second_signal_ends_at_once(shared):
    server = Server(shared, "hurried", http__drain="30s")
    server.daemon.signal(signal.SIGTERM)
    wait_for("draining", lambda: server.daemon.admin("/readyz")[0] == 503, 5)
    began = time.monotonic()
    server.daemon.signal(signal.SIGTERM)
    assert server.daemon.wait(5) == 143 and time.monotonic() - began < 1


def test_few_open_files_are_told(shared):
    """With 300 descriptors: it says what that leaves room for, and refuses the rest."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    server = Server(shared, "poor", wrapper=["prlimit", "--nofile=300:300"])
    line = [x for x in server.daemon.log().splitlines() if "connections_limited" in x]
    assert line and "LimitNOFILE" in line[0] and "open_files=300" in line[0]
    peers = [fill(server.port, NEXT) for _ in range(400)]
    told = []
    for peer in peers:
        peer.setblocking(True)
        peer.settimeout(2)
        try:
            told.append(peer.recv(12)[9:12])
        except OSError:
            told.append(b"")
    assert told.count(b"200") >= 100 and told.count(b"503") >= 1, (told.count(b"200"), told.count(b"503"))
    for peer in peers:
        peer.close()
    wait_for("room", lambda: server.ask(NEXT).status == 200, 10)
    assert server.daemon.admin("/healthz")[0] == 200
    assert server.daemon.stop() == 0
