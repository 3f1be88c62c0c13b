#!/usr/bin/env python3
"""Random bytes against the adapter: requests of the raw-byte tests, cut, joined
and damaged, in pieces, with half-closed and reset connections.

    tests/fuzz/http_bytes.py [--seconds 20] [--seed 1] [--threads 4]

What must hold: every answer has the form of one, the process lives, serves,
forgets all connections and ends with 0.  Best with a build for the sanitizers:
BUILD_DIR=build/sanitize-address-undefined.  Closes with "N passed, M failed"."""

import argparse
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import programs  # noqa: E402
import test_http_hygiene as hygiene  # noqa: E402
from cluster import free_ports  # noqa: E402
from raw_http import Connection  # noqa: E402

ROWS = [row[1] for row in hygiene.CLOSING + hygiene.KEEPING if len(row[1]) < 3000]
PIECES = [b"\r\n", b"\r", b"\n", b" ", b"\t", b"\0", b":", b"chunked", b"Content-Length: ",
          b"Transfer-Encoding: ", b"0\r\n\r\n", b"%", b"/", b"?", b"#", b"HTTP/1.1", b"HEAD ",
          b"Expect: 100-continue\r\n", b"\xff", b"ffffffff\r\n", b"Prefer: wait=1\r\n",
          b"Connection: close\r\n"]


def damage(rng, data):
    data = bytearray(data)
    for _ in range(rng.randint(0, 4)):
        at = rng.randint(0, len(data))
        how = rng.randint(0, 3)
        if how == 0:
            data[at:at] = rng.choice(PIECES)
        elif how == 1:
            del data[at:at + rng.randint(1, 8)]
        elif how == 2 and at < len(data):
            data[at] = rng.randint(0, 255)
        else:
            other = rng.choice(ROWS)
            data[at:] = other[rng.randint(0, len(other)):]
    return bytes(data)


def read_answers(connection, head_only):
    """All of them; a HEAD makes it unknowable where an answer ends."""
    try:
        while not head_only and connection.answer() is not None:
            pass
    except TimeoutError:
        pass


def fire(rng, port):
    data = b"".join(damage(rng, rng.choice(ROWS)) for _ in range(rng.randint(1, 4)))
    step = rng.choice([1 << 20, 1 << 20, 7, 50])
    with Connection(port, 0.02) as connection:
        for i in range(0, len(data), step):
            connection.send(data[i:i + step])
        end = rng.randint(0, 3)
        if end == 0:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1" + bytes(3) * 2 + b"\0")
            return
        if end == 1:
            try:
                connection.socket.shutdown(socket.SHUT_WR)
            except OSError:
                return  # it was cut already
        read_answers(connection, b"HEAD" in data)


class Fuzz:
    def __init__(self, options):
        self.options = options
        self.fired, self.faults = 0, []
        self.directory = tempfile.TemporaryDirectory()
        tokens = pathlib.Path(self.directory.name) / "tokens"
        tokens.write_text(f"full {hygiene.catalogues.OWNER} {hygiene.READ} {hygiene.WRITE}\n")
        tokens.chmod(0o600)
        self.port, self.admin, nobody = free_ports(3)
        self.log = pathlib.Path(self.directory.name) / "log"
        self.process = subprocess.Popen(
            [programs.BUILD / "schedrun-http", "-b", f"127.0.0.1:{nobody}",
             "--redis", f"redis://127.0.0.1:{nobody}/0", "-s", "http.auth=token-file",
             "-s", f"http.token.file={tokens}", "-s", f"http.listen=127.0.0.1:{self.port}",
             "-s", f"admin.listen=127.0.0.1:{self.admin}", "-s", "http.drain=0"],
            stderr=open(self.log, "wb"))

    def shoot(self, number):
        rng = random.Random(self.options.seed * 1000 + number)
        until = time.monotonic() + self.options.seconds
        while time.monotonic() < until and self.process.poll() is None:
            try:
                fire(rng, self.admin if number % 4 == 3 else self.port)
            except AssertionError as fault:
                self.faults.append(f"an answer without form: {fault}")
            except OSError as fault:
                if self.process.poll() is None:
                    self.faults.append(f"no connection: {fault}")
            self.fired += 1

    def ask(self, port, path):
        with Connection(port, 10) as connection:
            connection.send(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            return connection.answer()

    def check_end(self):
        if self.process.poll() is not None:
            self.faults.append(f"the adapter has ended with {self.process.returncode}")
            return
        if self.ask(self.port, b"/healthz").body != b"ok\n":
            self.faults.append("it does not serve any more")
        programs.wait_for("the connections to be forgotten", lambda: any(
            line == b"schedrun_http_connections 0"
            for line in self.ask(self.admin, b"/metrics").body.splitlines()), 40, 0.5)
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(30) != 0:
            self.faults.append(f"it ends with {self.process.returncode}")

    def run(self):
        programs.wait_for("the adapter", lambda: programs.urllib.request.urlopen(
            f"http://127.0.0.1:{self.port}/healthz", timeout=5) if self.listens() else None, 30)
        threads = [threading.Thread(target=self.shoot, args=(i,))
                   for i in range(self.options.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.check_end()
        log = self.log.read_text(errors="replace")
        self.faults += [line for line in log.splitlines()
                        if "ERROR: " in line or "runtime error" in line]

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(2), "big"))
    parser.add_argument("--threads", type=int, default=4)
    fuzz = Fuzz(parser.parse_args())
    try:
        fuzz.run()
    except AssertionError as fault:
        fuzz.faults.append(str(fault))
    finally:
        if fuzz.process.poll() is None:
            fuzz.process.kill()
    for fault in fuzz.faults[:20]:
        print(fault)
    print(f"http_bytes: seed {fuzz.options.seed}: {fuzz.fired - len(fuzz.faults)} passed, "
          f"{len(fuzz.faults)} failed")
    return 1 if fuzz.faults or fuzz.fired == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
