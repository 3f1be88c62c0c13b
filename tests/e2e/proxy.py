"""A TCP proxy before the broker or Redis that takes faults: it can hold Kafka
requests of one kind as a network would that delivers late, stop passing bytes
with the sockets left open, delay them, and reset connections.

A held request is delivered on release even if its client has long gone: that is
what makes an old EndTxn arrive in a later transaction.
"""

import collections
import ctypes
import socket
import struct
import threading
import time

import injected

PRODUCE = 0
LIST_OFFSETS = 2
FIND_COORDINATOR = 10
HEARTBEAT = 12
INIT_PRODUCER_ID = 22
ADD_PARTITIONS_TO_TXN = 24
END_TXN = 26
TXN_OFFSET_COMMIT = 28


class Held:
    def __init__(self, api_key, client_id, client):
        self.api_key = api_key
        self.client_id = client_id
        self.client = client
        self.gate = threading.Event()
        self.delivered = threading.Event()
        self.answer = None

    def cut(self):
        """Its client loses this connection; the request is still on its way."""
        close(self.client)

    def release(self, timeout=10):
        """Lets it go and waits until the broker has answered it."""
        self.gate.set()
        assert self.delivered.wait(timeout), "the held request was not answered"


class Proxy:
    """`kafka`: bytes are Kafka's, so whole requests can be held."""

    def __init__(self, target, port=0, kafka=False):
        self.target = target
        self.read = read_frame if kafka else read_some
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Condition()
        self.held = []
        self.answered = collections.Counter()  # api key -> answers passed on
        self.plans = {}  # api key -> for its next requests: True hold, False pass
        self.losing = None  # api key whose answers are lost
        self.to_lose = self.lost = 0
        self.passing = threading.Event()
        self.passing.set()
        self.answering = threading.Event()
        self.answering.set()
        self.delay = 0.0
        self.rate = 0  # bytes a second each way of a connection; 0: any
        self.pairs = set()
        self.closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, api_key, plan):
        """`plan`: for the next requests of this kind whether to hold each."""
        with self.lock:
            self.plans[api_key] = list(plan)

    def wait_held(self, n, timeout=60):
        """Waits until `n` requests have been held in all; returns them."""
        with self.lock:
            arrived = self.lock.wait_for(lambda: len(self.held) >= n, timeout)
            assert arrived, f"{len(self.held)} requests were held, not {n}"
            return self.held[:n]

    def wait_answered(self, api_key, n, timeout=60):
        """Waits until `n` requests of this kind have been answered in all."""
        with self.lock:
            arrived = self.lock.wait_for(lambda: self.answered[api_key] >= n, timeout)
            assert arrived, f"{self.answered[api_key]} requests were answered, not {n}"

    def lose_answers(self, api_key, n):
        """The next `n` answers to this kind never come, and its connection ends."""
        with self.lock:
            self.losing, self.to_lose, self.lost = api_key, n, 0

    def _loses(self, asked):
        with self.lock:
            if asked != self.losing or self.lost == self.to_lose:
                return False
            self.lost += 1
            injected.note(f"an answer lost, api key {asked}")
            return True

    def drop(self):
        """From now on no byte passes; the sockets stay open."""
        injected.note("no byte passes")
        self.passing.clear()

    def abandon(self):
        """Connections that were dropped stay silent for ever; new ones pass."""
        self.passing = threading.Event()
        self.passing.set()

    def drop_answers(self):
        """Requests still pass."""
        injected.note("no answer passes")
        self.answering.clear()

    def heal(self):
        self.passing.set()
        self.answering.set()

    def reset(self):
        """Cuts every connection with RST."""
        with self.lock:
            pairs, self.pairs = self.pairs, set()
        cut = sum(abort(end) for pair in pairs for end in pair)
        if cut and not self.closed:
            injected.note(f"RST of {cut} connections")

    def close(self):
        self.closed = True
        self.heal()
        close(self.listener)  # ends the accept that waits on it
        self.reset()

    def _accept(self):
        while not self.closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.pairs.add((client, server))
            answers = {}  # correlation id -> Held, or the api key of a watched kind
            passing = self.passing
            threading.Thread(target=self._requests, args=(client, server, answers, passing),
                             daemon=True).start()
            threading.Thread(target=self._answers, args=(server, client, answers, passing),
                             daemon=True).start()

    def _wants(self, frame, client):
        """A Held if this request is to be held, else None."""
        if not self.plans:
            return None
        api_key = struct.unpack(">h", frame[4:6])[0]
        with self.lock:
            plan = self.plans.get(api_key)
            if not plan or not plan.pop(0):
                return None
            size = struct.unpack(">h", frame[12:14])[0]
            held = Held(api_key, frame[14:14 + size].decode() if size > 0 else "",
                        client)
            self.held.append(held)
            injected.note(f"a request held, api key {api_key}")
            self.lock.notify_all()
            return held

    def _requests(self, client, server, answers, passing):
        try:
            while True:
                frame = self.read(client)
                if not frame:
                    break
                self._pass(frame, passing)
                held = self._wants(frame, client)
                if self.read is read_frame:
                    answers[frame[8:12]] = held or struct.unpack(">h", frame[4:6])[0]
                if held is not None:
                    held.gate.wait()
                server.sendall(frame)
        except OSError:
            pass
        if not any(isinstance(held, Held) for held in list(answers.values())):
            close(server)

    def _answers(self, server, client, answers, passing):
        try:
            while True:
                frame = self.read(server)
                if not frame:
                    break
                self._pass(frame, passing)
                self.answering.wait()
                asked = answers.pop(frame[4:8], None)
                if self._loses(asked):
                    break
                self._note(asked, frame)
                client.sendall(frame)
        except OSError:
            pass
        close(server)
        close(client)

    def _note(self, asked, frame):
        """An answer came to what was held, or to a request of this kind."""
        if isinstance(asked, Held):
            asked.answer = frame
            asked.delivered.set()
        elif asked is not None:
            with self.lock:
                self.answered[asked] += 1
                self.lock.notify_all()

    def _pass(self, data, passing):
        passing.wait()
        if self.delay:
            time.sleep(self.delay)
        if self.rate:
            time.sleep(len(data) / self.rate)


def read_some(end):
    return end.recv(65536)


def read_frame(end):
    """A Kafka frame with its size, or b'' at the end of the stream."""
    head = read_exactly(end, 4)
    if not head:
        return b""
    body = read_exactly(end, struct.unpack(">i", head)[0])
    return head + body if body else b""


def read_exactly(end, n):
    parts = []
    while n > 0:
        part = end.recv(n)
        if not part:
            return b""
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def abort(end):
    """Sends RST at once, although a thread reads of it, which close() would wait for;
    whether there was a connection."""
    libc = ctypes.CDLL(None)
    return libc.connect(end.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16) == 0


def close(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()
