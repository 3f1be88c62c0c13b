"""The adapter as its callers see it: requests with a token, streams of events."""

import base64
import http.client
import socket
import threading

import catalogues
import requests
from cluster import free_ports

READ, WRITE = "api:orchestration-read", "api:orchestration-write"
API = "/api/v2/orchestration"
TOKENS = {
    "full": (catalogues.OWNER, READ, WRITE),
    "reader": (catalogues.OWNER, READ),
    "stranger": (catalogues.STRANGER, READ, WRITE),
    "viewer": (catalogues.VIEWER, READ, WRITE),
}


class Adapter:
    """A schedrun-http; its name is also that of its log."""

    def __init__(self, system, name="http-1", wait=True, **settings):
        tokens = system.directory / "tokens"
        if not tokens.exists():
            tokens.write_text("".join(f"{token} {' '.join(words)}\n"
                                      for token, words in TOKENS.items()))
            tokens.chmod(0o600)
        self.port = free_ports(1)[0]
        self.daemon = system.adapter(name, **{
            "http__auth": "token-file", "http__token__file": str(tokens),
            "http__listen": f"127.0.0.1:{self.port}", "http__drain": "0", **settings})
        if wait:
            self.daemon.wait_ready()

    def call(self, method, path, token="full", timeout=40, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return requests.request(method, f"http://127.0.0.1:{self.port}{path}", headers=headers,
                                timeout=timeout)

    def run(self, schedule, token="full", **headers):
        return self.call("POST", f"{API}/schedules/{schedule}/run?preview=true", token, **headers)

    def events(self, query="", token="full", **headers):
        return Stream(self.port, f"{API}/runEvents{query}", token, headers)


def pair(system):
    """Two adapters behind one Kafka and Redis."""
    both = [Adapter(system, f"http-{i}", wait=False) for i in (1, 2)]
    for adapter in both:
        adapter.daemon.wait_ready()
    return both


class Event:
    def __init__(self, fields):
        self.id = fields.get("id")
        self.kind = fields.get("event")
        self.data = requests.compat.json.loads(fields["data"]) if "data" in fields else None

    def __repr__(self):
        return f"Event({self.kind}, {self.data})"


class Stream:
    """Reads server-sent events as WHATWG's text says, in a thread of its own."""

    def __init__(self, port, path, token, headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.connection.request("GET", path, headers=headers)
        self.socket = self.connection.sock  # the answer takes it over
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.events, self.lines = [], []
        self.last_id = None
        self.ended = False
        self.changed = threading.Condition()
        self.thread = None
        if self.status == 200:
            self.thread = threading.Thread(target=self._read, daemon=True)
            self.thread.start()

    def _read(self):
        fields = {}
        try:
            for line in self.answer:
                line = line.decode().rstrip("\n")
                with self.changed:
                    self.lines.append(line)
                    fields = self._take(line, fields)
                    self.changed.notify_all()
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            pass
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def _take(self, line, fields):
        if line:
            if not line.startswith(":"):
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            return fields
        self.last_id = fields.get("id", self.last_id)
        if "data" in fields:
            self.events.append(Event(fields))
        return {}

    def wait(self, holds, what, timeout=30):
        with self.changed:
            assert self.changed.wait_for(lambda: holds(self), timeout), \
                f"waited {timeout} s in vain for {what}; {len(self.events)} events, " \
                f"last {self.events[-3:]}, ended {self.ended}, status {self.status}"

    def wait_events(self, n, timeout=30):
        self.wait(lambda s: len(s.events) >= n, f"{n} events", timeout)
        return self.events[:n]

    def wait_end(self, timeout=30):
        self.wait(lambda s: s.ended, "the end", timeout)

    def rids(self):
        with self.changed:
            return [event.data["rid"] for event in self.events if event.kind == "scheduleRun"]

    def close(self):
        """Like a client that goes away: the socket is cut."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.connection.close()
        if self.thread is not None:
            self.thread.join(10)


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def event_id(offsets):
    """The id of a place: independent of the adapter's own code."""
    raw = bytes([1]) + varint(len(offsets)) + b"".join(varint(offset) for offset in offsets)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def offsets_of(text):
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert raw[0] == 1
    values, value, shift = [], 0, 0
    for byte in raw[1:]:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            values.append(value)
            value = shift = 0
    assert len(values) == values[0] + 1
    return values[1:]
