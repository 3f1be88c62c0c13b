#!/usr/bin/env python3
"""Holds our HTTP parser against h11, another strict one, on requests whole and damaged.

usage: http_requests.py PROGRAM [--cases N] [--seed S]

PROGRAM is build/http_verdict.  A request that we take h11 takes, too, and reads as the
same method, target, fields, body and rest: else who stands before us would see another
request than we do.  What we refuse it may take: it joins folded lines, and reads a bare
LF as a line's end.  An empty line before a request, which a server should pass over (RFC
9112, section 2.2), it isn't shown.  Closes with "N passed, M failed"."""

import argparse
import collections
import pathlib
import random
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/fuzz"), str(ROOT / "tests/e2e")]
# The published SDK's client brings it.
sys.path += [str(path) for path in (ROOT / ".cache/sdk/1.111.0/lib").glob("python3*/site-packages")]

import h11  # noqa: E402
import http_bytes  # noqa: E402
import test_http_hygiene as hygiene  # noqa: E402

FORMS = [
    b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: a\r\nAccept: b\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n",
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nT: t\r\n\r\nX",
    b"PUT /a HTTP/1.0\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
]


# What would frame a message is any other field in a trailer, which we drop and h11 judges.
FRAMING = re.compile(rb"(?<=\r\n)(Content-Length|Transfer-Encoding|Host)(?=:)", re.IGNORECASE)


def without_framing(data):
    head, last_chunk, trailer = data.partition(b"\r\n0\r\n")
    return head + last_chunk + FRAMING.sub(b"T", b"\r\n" + trailer)[2:]


def hexes(*parts):
    return [bytes(part).hex() for part in parts]


def theirs(data):
    connection = h11.Connection(h11.SERVER)
    body, request = b"", None
    try:
        connection.receive_data(data.removeprefix(b"\r\n"))
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                fields = ",".join("=".join(hexes(*pair)) for pair in request.headers)
                method, target, body, rest = hexes(request.method, request.target, body,
                                                   connection.trailing_data[0])
                return f"ok {method} {target} {fields} {body} {rest}"
            else:
                return "more"
    except h11.RemoteProtocolError:
        return "refused"


def cases(n, seed):
    rng = random.Random(seed)
    http_bytes.ROWS[:] = [*http_bytes.ROWS, *FORMS]
    for row in http_bytes.ROWS:
        yield row
    for _ in range(n):
        yield http_bytes.damage(rng, rng.choice(http_bytes.ROWS))


def lowered(verdict):
    """With coding names in small letters, as h11 gives them."""
    return re.sub("(?<=[ ,]7472616e736665722d656e636f64696e67=)[0-9a-f]*",
                  lambda found: bytes.fromhex(found[0]).lower().hex(), verdict)


def fault(data, ours, other):
    if ours.startswith("ok"):
        fine = lowered(ours) in (other, theirs(without_framing(data)))
        return None if fine else "we take it otherwise"
    if ours == "more" and other.startswith("ok"):
        return "we wait for more"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--cases", type=int, default=30000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    all_cases = list(cases(arguments.cases, arguments.seed))
    done = subprocess.run([arguments.program], input="".join(data.hex() + "\n" for data in all_cases),
                          stdout=subprocess.PIPE, text=True, check=True)
    counts, failed = collections.Counter(), 0
    for data, ours in zip(all_cases, done.stdout.splitlines(), strict=True):
        other = theirs(data)
        counts[ours.split()[0], other.split()[0]] += 1
        what = fault(data, ours, other)
        if what:
            failed += 1
            if failed < 20:
                print(f"{what}: {data!r}\n  {ours}\n  {other}")
    for (our, their), n in sorted(counts.items()):
        print(f"  ours {our}, h11's {their}: {n}")
    print(f"http: {len(all_cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
