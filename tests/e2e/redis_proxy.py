"""A proxy before Redis that understands its protocol: a test sees every command,
can hold one, or answer it with bytes of its own."""

import socket
import threading


class Closed(Exception):
    pass


class Reader:
    """Cuts a stream into whole commands or whole answers, as bytes."""

    def __init__(self, connection):
        self.connection = connection
        self.buffer = b""

    def _more(self):
        more = self.connection.recv(65536)
        if not more:
            raise Closed
        self.buffer += more

    def _line(self, at):
        while True:
            end = self.buffer.find(b"\r\n", at)
            if end >= 0:
                return self.buffer[at:end], end + 2
            self._more()

    def _value(self, at):
        """(end, parsed) of the value at this place."""
        line, end = self._line(at)
        kind, rest = line[:1], line[1:]
        if kind == b"$" and int(rest) >= 0:
            stop = end + int(rest) + 2
            while len(self.buffer) < stop:
                self._more()
            return stop, self.buffer[end:stop - 2]
        if kind == b"*" and int(rest) >= 0:
            items = []
            for _ in range(int(rest)):
                end, item = self._value(end)
                items.append(item)
            return end, items
        return end, rest

    def take(self):
        end, value = self._value(0)
        whole, self.buffer = self.buffer[:end], self.buffer[end:]
        return whole, value


class RedisProxy:
    """`hook(command)` sees each command, a list of bytes; what it returns, if it is
    not None, is sent instead of Redis's answer.  It may block."""

    def __init__(self, target_port):
        self.target_port = target_port
        self.hook = None
        self.commands = []  # of all connections, in order
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.connections = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = socket.create_connection(("127.0.0.1", self.target_port))
        self.connections |= {client, server}
        commands, answers = Reader(client), Reader(server)
        try:
            while True:
                whole, command = commands.take()
                self.commands.append(command)
                hook = self.hook
                answer = hook(command) if hook else None
                if answer is None:
                    server.sendall(whole)
                    answer = answers.take()[0]
                client.sendall(answer)
        except (OSError, Closed, ValueError):
            pass
        finally:
            client.close()
            server.close()
            self.connections -= {client, server}

    def close(self):
        self.listener.close()
        for connection in list(self.connections):
            connection.close()


class Gate:
    """Holds the first command that `matches`, until it is let go."""

    def __init__(self, matches):
        self.matches = matches
        self.reached = threading.Event()
        self.gate = threading.Event()
        self.lock = threading.Lock()

    def __call__(self, command):
        with self.lock:
            first = not self.reached.is_set() and self.matches(command)
            if first:
                self.reached.set()
        if first:
            assert self.gate.wait(60), "the gate was never opened"

    def wait(self, timeout=30):
        assert self.reached.wait(timeout), "the command never came"

    def open(self):
        self.gate.set()
