"""HTTP as bytes: sends what no library would and reads what comes, strictly."""

import json
import re
import socket

LINE = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [\x20-\x7e]+")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\x20-\x7e]*)")


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def __getitem__(self, name):
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} twice: {values}"
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.body[:300]}>"


class Connection:
    """A socket that knows where answers end."""

    def __init__(self, port, timeout=8):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.settimeout(timeout)
        self.data = b""

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was cut meanwhile; what it said is still to be read

    def _more(self):
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            piece = b""
        self.data += piece
        return bool(piece)

    def answer(self, head_only=False):
        """The next answer, checked for its form; None at the end."""
        while b"\r\n\r\n" not in self.data:
            if not self._more():
                assert self.data == b"", f"cut in the head: {self.data[:200]}"
                return None
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        match = LINE.fullmatch(first)
        assert match, first
        fields = []
        for line in lines:
            field = FIELD.fullmatch(line)
            assert field, f"not a header field: {line}"
            fields.append((field[1].decode(), field[2].decode()))
        answer = Answer(int(match[1]), fields, b"")
        if answer.status == 100:
            assert not fields
            return answer
        size = 0 if head_only or answer.status == 204 else int(answer["Content-Length"])
        while len(self.data) < size:
            assert self._more(), "cut in the body"
        answer.body, self.data = self.data[:size], self.data[size:]
        return answer

    def ended(self):
        """Whether the peer sends nothing more; waits for its FIN."""
        try:
            return self.data == b"" and not self._more()
        except TimeoutError:
            return False

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def check_form(answer, head_only=False):
    """What every answer must have, whatever it says."""
    assert answer["Date"].endswith(" GMT") and len(answer["Date"]) == 29
    # The page's files may be kept, and are asked for by their ETag.
    assert answer["Cache-Control"] == ("no-cache" if answer["ETag"] else "no-store")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Server"] is None and answer["Content-Encoding"] is None
    if answer.status == 204:
        assert answer["Content-Length"] is None
    if answer["Content-Type"] == "application/json" and not head_only:
        answer.json()
    if answer.status in (401, 403):
        assert answer["WWW-Authenticate"].startswith('Bearer realm="schedrun"') or \
            answer.json()["errorName"] != "ApiUsageDenied"
    if answer.status in (429, 503):
        assert int(answer["Retry-After"]) >= 1
    if answer.status == 405:
        assert "OPTIONS" in answer["Allow"]
