"""HTTP/1.1 to the letter, by raw bytes: what must be refused is, what must not be is not."""

import catalogues
import checker
import programs
import pytest
from cluster import free_ports
from raw_http import Connection, check_form

READ, WRITE = "api:orchestration-read", "api:orchestration-write"
SCHEDULE = catalogues.schedule_rid("stale").encode()
BASE = b"/api/v2/orchestration/schedules/"
RUN = BASE + SCHEDULE + b"/run?preview=true"
AFFECTED = BASE + SCHEDULE + b"/getAffectedResources?preview=true"
READ_RUN = BASE + SCHEDULE + b"/runs/ri.scheduler.main.run." + catalogues.OWNER.encode()
CREATE, BATCH = BASE[:-1] + b"?preview=true", BASE + b"getBatch?preview=true"
RUNS = BASE + SCHEDULE + b"/runs?preview=true"
EVENTS = b"/api/v2/orchestration/runEvents"
HOST = b"Host: x\r\n"
JSON = b"Content-Type: application/json\r\n"
AUTH = b"Authorization: Bearer full\r\n"
NEXT = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class Server:
    def __init__(self, system, name="http", **settings):
        tokens = system.directory / "tokens"
        tokens.write_text(f"full {catalogues.OWNER} {READ} {WRITE}\n")
        tokens.chmod(0o600)
        self.system = system
        self.port = free_ports(1)[0]
        settings = {"http__auth": "token-file", "http__token__file": str(tokens),
                    "http__listen": f"127.0.0.1:{self.port}", "http__drain": "0", **settings}
        self.daemon = system.adapter(name=name, **settings)
        self.daemon.wait_ready()

    def connect(self, timeout=8):
        return Connection(self.port, timeout)

    def ask(self, data, head_only=False):
        with self.connect() as connection:
            connection.send(data)
            return connection.answer(head_only)


@pytest.fixture(scope="module")
def shared(fresh_system):
    fresh_system.init()
    fresh_system.apply(catalogues.outcomes())
    return fresh_system


@pytest.fixture(scope="module")
def server(shared):
    return Server(shared)


def get(target=b"/healthz", fields=b"", line=b"GET %s HTTP/1.1"):
    return line % target + b"\r\n" + HOST + fields + b"\r\n"


def post(fields=b"", body=b"", target=RUN):
    return b"POST " + target + b" HTTP/1.1\r\n" + HOST + AUTH + fields + b"\r\n" + body


def sized(body, fields=b"Content-Type: application/json\r\n"):
    return post(fields + b"Content-Length: %d\r\n" % len(body), body)


def chunked(body, fields=b"Content-Type: application/json\r\n"):
    return post(fields + b"Transfer-Encoding: chunked\r\n", body)


def head(line):
    return line + b"\r\n" + HOST + b"\r\n"


def document(body, target=CREATE):
    return post(JSON + b"Content-Length: %d\r\n" % len(body), body, target)


TE = b"Transfer-Encoding: chunked\r\n"
CL = b"Content-Length: 2\r\n"

# Refused with this status, closed, and what follows is not answered.
CLOSING = [
    # who frames the body
    ("length, then chunked", post(JSON + CL + TE, b"{}"), 400),
    ("chunked, then length", post(JSON + TE + CL, b"0\r\n\r\n"), 400),
    ("length 0, then chunked", post(b"Content-Length: 0\r\n" + TE, b"0\r\n\r\n"), 400),
    ("two lengths", post(CL + b"Content-Length: 3\r\n", b"{}"), 400),
    ("two equal lengths", post(CL + CL, b"{}"), 400),
    ("two lengths, other case", post(CL + b"content-length: 2\r\n", b"{}"), 400),
    ("length +2", post(b"Content-Length: +2\r\n", b"{}"), 400),
    ("length -1", post(b"Content-Length: -1\r\n", b"{}"), 400),
    ("length 0x2", post(b"Content-Length: 0x2\r\n", b"{}"), 400),
    ("length 2, 2", post(b"Content-Length: 2, 2\r\n", b"{}"), 400),
    ("length 2 2", post(b"Content-Length: 2 2\r\n", b"{}"), 400),
    ("length 2;", post(b"Content-Length: 2;\r\n", b"{}"), 400),
    ("length 2.0", post(b"Content-Length: 2.0\r\n", b"{}"), 400),
    ("length 2e0", post(b"Content-Length: 2e0\r\n", b"{}"), 400),
    ("length \"2\"", post(b'Content-Length: "2"\r\n', b"{}"), 400),
    ("length empty", post(b"Content-Length:\r\n", b"{}"), 400),
    ("length of 20 digits", post(b"Content-Length: 00000000000000000002\r\n", b"{}"), 400),
    ("length in Arabic digits", post("Content-Length: \u0662\r\n".encode(), b"{}"), 400),
    ("length 2^63", post(b"Content-Length: 9223372036854775808\r\n"), 413),
    ("length 2^64+2", post(b"Content-Length: 18446744073709551618\r\n"), 400),
    ("length NUL", post(b"Content-Length: 2\0\r\n", b"{}"), 400),
    ("length with a vertical tab", post(b"Content-Length: \x0b2\r\n", b"{}"), 400),
    ("chunked in HTTP/1.0", b"POST " + RUN + b" HTTP/1.0\r\n" + HOST + TE + b"\r\n0\r\n\r\n", 400),
    ("gzip, chunked", post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), {400, 501}),
    ("chunked, gzip", post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"), {400, 501}),
    ("chunked, chunked", post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"), {400, 501}),
    ("identity", post(b"Transfer-Encoding: identity\r\n"), {400, 501}),
    ("identity with a length", post(b"Transfer-Encoding: identity\r\n" + CL, b"{}"), {400, 501}),
    ("xchunked", post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"), {400, 501}),
    ("chunked in quotes", post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"), {400, 501}),
    ("chunked;q=1", post(b"Transfer-Encoding: chunked;q=1\r\n", b"0\r\n\r\n"), {400, 501}),
    ("encoding empty", post(b"Transfer-Encoding:\r\n"), {400, 501}),
    ("encoding twice", post(TE + TE, b"0\r\n\r\n"), {400, 501}),
    ("encoding, then identity", post(TE + b"Transfer-Encoding: identity\r\n", b"0\r\n\r\n"), {400, 501}),
    ("encoding by a vertical tab", post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"), 400),
    ("encoding with a blank in the name", post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"), 400),
    ("encoding on a folded line", post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"), 400),
    ("encoding with an underscore", post(b"Transfer_Encoding: chunked\r\n" + CL + TE, b"{}"), 400),
    # field lines
    ("blank before the colon", get(fields=b"A : b\r\n"), 400),
    ("tab before the colon", get(fields=b"A\t: b\r\n"), 400),
    ("folded by a blank", get(fields=b"A: b\r\n c\r\n"), 400),
    ("folded by a tab", get(fields=b"A: b\r\n\tc\r\n"), 400),
    ("blank before the first field", b"GET /healthz HTTP/1.1\r\n Host: x\r\n\r\n", 400),
    ("empty name", get(fields=b": b\r\n"), 400),
    ("no colon", get(fields=b"A\r\n"), 400),
    ("blank in a name", get(fields=b"A B: c\r\n"), 400),
    ("quote in a name", get(fields=b'A"B: c\r\n'), 400),
    ("bracket in a name", get(fields=b"A(B): c\r\n"), 400),
    ("high byte in a name", get(fields=b"\xc3\xa9: c\r\n"), 400),
    ("NUL in a name", get(fields=b"A\0B: c\r\n"), 400),
    ("NUL in a value", get(fields=b"A: b\0c\r\n"), 400),
    ("bell in a value", get(fields=b"A: b\x07c\r\n"), 400),
    ("DEL in a value", get(fields=b"A: b\x7fc\r\n"), 400),
    ("bare CR in a value", get(fields=b"A: b\rc\r\n"), 400),
    ("bare LF in a value", get(fields=b"A: b\nB: c\r\n"), 400),
    ("bare LF behind the line", b"GET /healthz HTTP/1.1\nHost: x\r\n\r\n", 400),
    ("only LF", b"GET /healthz HTTP/1.1\nHost: x\n\n", 400),
    ("LF CR", b"GET /healthz HTTP/1.1\r\nHost: x\n\r\n\r", 400),
    ("CR CR LF", b"GET /healthz HTTP/1.1\r\r\nHost: x\r\n\r\n", 400),
    ("two empty lines first", b"\r\n\r\n" + get(), 400),
    ("LF first", b"\n" + get(), 400),
    # Host
    ("no Host", b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", get(fields=b"Host: y\r\n"), 400),
    ("two equal Hosts", get(fields=HOST), 400),
    ("Host empty", b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ("Host with a path", b"GET /healthz HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
    ("Host with a user", b"GET /healthz HTTP/1.1\r\nHost: u@x\r\n\r\n", 400),
    ("Host with a blank", b"GET /healthz HTTP/1.1\r\nHost: x y\r\n\r\n", 400),
    ("Host with a comma", b"GET /healthz HTTP/1.1\r\nHost: x, y\r\n\r\n", 400),
    # request line
    ("two blanks", head(b"GET  /healthz HTTP/1.1"), 400),
    ("two blanks before the version", head(b"GET /healthz  HTTP/1.1"), 400),
    ("tab for a blank", head(b"GET\t/healthz\tHTTP/1.1"), 400),
    ("blank first", head(b" GET /healthz HTTP/1.1"), 400),
    ("blank last", head(b"GET /healthz HTTP/1.1 "), 400),
    ("a word more", head(b"GET /healthz x HTTP/1.1"), 400),
    ("no version", head(b"GET /healthz"), 400),
    ("one word", head(b"garbage"), 400),
    ("no method", head(b"/healthz HTTP/1.1"), 400),
    ("method in brackets", head(b"<GET> /healthz HTTP/1.1"), 400),
    ("method with a colon", head(b"GET: /healthz HTTP/1.1"), 400),
    ("method with a high byte", head(b"G\xc3\x89T /healthz HTTP/1.1"), 400),
    ("version in lower case", head(b"GET /healthz http/1.1"), 400),
    ("version 1", head(b"GET /healthz HTTP/1"), 400),
    ("version 1.", head(b"GET /healthz HTTP/1."), 400),
    ("version 1.10", head(b"GET /healthz HTTP/1.10"), 400),
    ("version 1,1", head(b"GET /healthz HTTP/1,1"), 400),
    ("version 0.9", head(b"GET /healthz HTTP/0.9"), 400),
    ("version 2.0", head(b"GET /healthz HTTP/2.0"), 505),
    ("version 3", head(b"GET /healthz HTTP/3"), 505),
    ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    ("HTTPS/1.1", head(b"GET /healthz HTTPS/1.1"), 400),
    ("a blank in the target", head(b"GET /heal thz HTTP/1.1"), 400),
    ("high bytes in the target", head(b"GET /\xc3\xa9 HTTP/1.1"), 400),
    ("NUL in the target", head(b"GET /heal\0thz HTTP/1.1"), 400),
    ("CR in the target", head(b"GET /heal\rthz HTTP/1.1"), 400),
    ("TLS", bytes.fromhex("16030100c8010000c40303") + bytes(60), 400),
    ("SOCKS", b"\x05\x01\x00\r\n\r\n", 400),
    ("bytes of 0xff", b"\xff" * 100, 400),
    # limits
    ("request line of 8193 bytes", get(b"/" + b"a" * (8192 - 13)), 414),
    ("request line of 9000 bytes, without an end", b"GET /" + b"a" * 9000, 414),
    ("method of 9000 bytes", b"A" * 9000 + b" / HTTP/1.1\r\n\r\n", 414),
    ("header block over 32 KiB", get(fields=b"A: " + b"a" * 33000 + b"\r\n"), 431),
    ("header block over 32 KiB in many lines", get(fields=(b"A: " + b"a" * 1000 + b"\r\n") * 40), 431),
    ("header block that never ends", get(fields=b"A: " + b"a" * 70000)[:-2], 431),
    ("101 fields", get(fields=b"A: b\r\n" * 100), 431),
    ("run with 1025 bytes", sized(b" " * 1023 + b"{}"), 413),
    ("run with 1025 bytes in chunks", chunked(b"401\r\n" + b" " * 1023 + b"{}\r\n0\r\n\r\n"), 413),
    ("run with 2 MiB announced", post(b"Content-Length: 2097152\r\n"), 413),
    ("getAffectedResources with 1025 bytes", post(JSON + b"Content-Length: 1025\r\n", b" " * 1025, AFFECTED), 413),
    ("another with 1 MiB and a byte", b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 1048577\r\n\r\n", 413),
    ("GET with 1 MiB and a byte", get(fields=b"Content-Length: 1048577\r\n"), 413),
    ("announced and expected", post(b"Content-Length: 2097152\r\nExpect: 100-continue\r\n"), 413),
    ("endless chunks", b"POST /x HTTP/1.1\r\n" + HOST + TE + b"\r\n" + (b"ffff\r\n" + b"a" * 0xffff + b"\r\n") * 20, 413),
    ("Expect another", post(CL + b"Expect: 200-maybe\r\n", b"{}"), 417),
    ("Expect twice", post(CL + b"Expect: 100-continue\r\nExpect: 100-continue\r\n", b"{}"), {400, 417}),
    ("Expect with more", post(CL + b"Expect: 100-continue, x\r\n", b"{}"), 417),
    # chunks
    ("chunk size with a sign", chunked(b"+2\r\n{}\r\n0\r\n\r\n"), 400),
    ("chunk size negative", chunked(b"-2\r\n{}\r\n0\r\n\r\n"), 400),
    ("chunk size 0x2", chunked(b"0x2\r\n{}\r\n0\r\n\r\n"), 400),
    ("chunk size empty", chunked(b"\r\n{}\r\n0\r\n\r\n"), 400),
    ("chunk size no number", chunked(b"g\r\n{}\r\n0\r\n\r\n"), 400),
    ("chunk size with a blank before", chunked(b" 2\r\n{}\r\n0\r\n\r\n"), 400),
    ("chunk size with a blank behind", chunked(b"2 \r\n{}\r\n0\r\n\r\n"), 400),
    ("chunk size of 9 digits", chunked(b"000000002\r\n{}\r\n0\r\n\r\n"), 400),
    ("chunk size of 17 digits", chunked(b"10000000000000002\r\n{}\r\n0\r\n\r\n"), 400),
    ("chunk size with an underscore", chunked(b"0_2\r\n{}\r\n0\r\n\r\n"), 400),
    ("chunk line with LF", chunked(b"2\n{}\r\n0\r\n\r\n"), 400),
    ("chunk data with LF", chunked(b"2\r\n{}\n0\r\n\r\n"), 400),
    ("chunk data too long", chunked(b"2\r\n{} \r\n0\r\n\r\n"), 400),
    ("chunk data too short", chunked(b"3\r\n{}\r\n0\r\n\r\n"), 400),
    ("last chunk with LF", chunked(b"2\r\n{}\r\n0\n\n"), 400),
    ("bare CR in an extension", chunked(b"2;a=\rb\r\n{}\r\n0\r\n\r\n"), 400),
    ("LF in an extension", chunked(b"2;a=\nb\r\n{}\r\n0\r\n\r\n"), 400),
    ("NUL in an extension", chunked(b"2;\0\r\n{}\r\n0\r\n\r\n"), 400),
    ("extension of 10 KiB", chunked(b"2;" + b"a" * 10000 + b"\r\n{}\r\n0\r\n\r\n"), {400, 413, 431}),
    ("trailers of 10 KiB", chunked(b"2\r\n{}\r\n0\r\n" + b"A: b\r\n" * 2000 + b"\r\n"), {400, 413, 431}),
    ("folded trailer", chunked(b"2\r\n{}\r\n0\r\nA: b\r\n c\r\n\r\n"), 400),
    ("LF in a trailer", chunked(b"2\r\n{}\r\n0\r\nA: b\nB: c\r\n\r\n"), 400),
]


@pytest.mark.parametrize("name, data, status", CLOSING, ids=[row[0] for row in CLOSING])
def test_refused_and_closed(server, name, data, status):
    with server.connect() as connection:
        connection.send(data + NEXT)
        answer = connection.answer()
        assert answer is not None, "cut without a word"
        assert answer.status in (status if isinstance(status, set) else {status}), answer
        check_form(answer)
        assert answer["Connection"] == "close"
        assert connection.ended(), "what followed was answered"


def test_refused_in_small_pieces(server):
    """The verdict doesn't depend on how the bytes are cut."""
    for name, data, status in [row for row in CLOSING if len(row[1]) < 400][::3]:
        with server.connect() as connection:
            for i in range(len(data)):
                connection.send(data[i:i + 1])
            connection.send(NEXT)
            answer = connection.answer()
            assert answer.status in (status if isinstance(status, set) else {status}), name
            assert connection.ended(), name


# Answered with this status, and the connection goes on.
KEEPING = [
    ("plain", get(), 200),
    ("one empty line first", b"\r\n" + get(), 200),
    ("HTTP/1.2", head(b"GET /healthz HTTP/1.2"), 200),
    ("absolute form", head(b"GET http://elsewhere:1/healthz HTTP/1.1"), 200),
    ("absolute form in capitals", head(b"GET HTTP://x/healthz HTTP/1.1"), 200),
    ("absolute form with a query only", head(b"GET http://x?a=b/healthz HTTP/1.1"), {200, 404}),
    ("absolute form with a user", head(b"GET http://u@x/healthz HTTP/1.1"), 400),
    ("absolute form without a host", head(b"GET http:///healthz HTTP/1.1"), 400),
    ("another scheme", head(b"GET ftp://x/healthz HTTP/1.1"), 400),
    ("authority form", head(b"CONNECT x:80 HTTP/1.1"), 400),
    ("relative", head(b"GET healthz HTTP/1.1"), 400),
    ("asterisk by GET", head(b"GET * HTTP/1.1"), 400),
    ("asterisk by OPTIONS", head(b"OPTIONS * HTTP/1.1"), 204),
    ("request line of 8192 bytes", get(b"/" + b"a" * (8192 - 14)), 404),
    ("100 fields", get(fields=b"A: b\r\n" * 99), 200),
    ("header block of 32 KiB", get(fields=b"A: " + b"a" * 32000 + b"\r\n"), 200),
    ("empty value", get(fields=b"A:\r\n"), 200),
    ("high byte in a value", get(fields=b"A: \xc3\xa9\r\n"), 200),
    ("Host of IPv6", b"GET /healthz HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
    ("GET with a body", get(fields=b"Content-Length: 5\r\n") + b"GET /", 200),
    ("GET with chunks", get(fields=TE) + b"3\r\nabc\r\n0\r\n\r\n", 200),
    ("GET with 1 MiB", get(fields=b"Content-Length: 1048576\r\n") + b"a" * 1048576, 200),
    ("query on healthz", get(b"/healthz?x=1&x=2"), 200),
    ("empty query", get(b"/healthz?"), 200),
    ("upgrade to h2c", get(fields=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"), 200),
    ("TE: trailers", get(fields=b"TE: trailers\r\n"), 200),
    # routes and methods
    ("unknown route", get(b"/nothing"), 404),
    ("slash at the end", get(b"/healthz/"), 404),
    ("slash twice", get(b"//healthz"), 404),
    ("other case", get(b"/Healthz"), 404),
    ("dot", get(b"/./healthz"), 404),
    ("dots", get(b"/x/../healthz"), 404),
    ("encoded dots", get(b"/x/%2e%2e/healthz"), 404),
    ("encoded slash", get(b"/%2fhealthz"), 404),
    ("encoded letter", get(b"/%68ealthz"), 200),
    ("encoded twice", get(b"/%2568ealthz"), 404),
    ("semicolon", get(b"/healthz;x=1"), 404),
    ("backslash", get(b"/x\\..\\healthz"), 404),
    ("metrics", get(b"/metrics"), 404),
    ("readyz", get(b"/readyz"), 404),
    ("TRACE", head(b"TRACE /healthz HTTP/1.1"), 405),
    ("unknown method", head(b"BREW /healthz HTTP/1.1"), 405),
    ("method in lower case", head(b"get /healthz HTTP/1.1"), 405),
    ("method of 1000 letters", head(b"A" * 1000 + b" /healthz HTTP/1.1"), 405),
    ("TRACE on run", b"TRACE " + RUN + b" HTTP/1.1\r\n" + HOST + AUTH + b"\r\n", 405),
    ("GET on run", get(RUN, AUTH), 405),
    ("HEAD on run", b"HEAD " + RUN + b" HTTP/1.1\r\n" + HOST + AUTH + b"\r\n", 405),
    ("OPTIONS without a token", b"OPTIONS " + RUN + b" HTTP/1.1\r\n" + HOST + b"\r\n", 204),
    ("OPTIONS on nothing", head(b"OPTIONS /nothing HTTP/1.1"), 404),
    # paths
    ("%00", get(BASE + b"%00/runs", AUTH), 400),
    ("NUL in a rid", post(target=BASE + SCHEDULE + b"%00/run?preview=true"), 400),
    ("line break in a rid", post(target=BASE + SCHEDULE + b"%0d%0aX:y/run?preview=true"), 400),
    ("not UTF-8", post(target=BASE + b"%ff/run?preview=true"), 400),
    ("overlong", post(target=BASE + b"%c0%af/run?preview=true"), 400),
    ("surrogate", post(target=BASE + b"%ed%a0%80/run?preview=true"), 400),
    ("cut escape", post(target=BASE + b"%4/run?preview=true"), 400),
    ("escape of no digits", post(target=BASE + b"%zz/run?preview=true"), 400),
    ("C1 control", post(target=BASE + b"%c2%85/run?preview=true"), 400),
    ("fragment", get(b"/healthz#x"), 400),
    ("rid with dots", post(target=BASE + b"../run?preview=true"), 400),
    ("rid with %2f", post(target=BASE + SCHEDULE + b"%2Frun?preview=true"), {400, 404, 405}),
    ("rid with %2f inside", post(target=BASE + b"ri.scheduler.main.schedule.a%2fb/run?preview=true"), 400),
    ("rid with %2f, to be read", get(BASE + b"ri.scheduler.main.schedule.a%2fb?preview=true", AUTH), 400),
    ("rid of 201 bytes", post(target=BASE + b"ri.scheduler.main.schedule." + b"a" * 174 + b"/run?preview=true"), 400),
    ("rid of 200 bytes", post(target=BASE + b"ri.scheduler.main.schedule." + b"a" * 173 + b"/run?preview=true"), 404),
    ("rid of 5000 bytes", post(target=BASE + b"a" * 5000 + b"/run?preview=true"), 400),
    ("rid of another type", post(target=BASE + b"ri.foundry.main.build.x/run?preview=true"), 404),
    ("no rid", post(target=BASE + b"/run?preview=true"), {400, 404}),
    ("script in a rid", post(target=BASE + b"%3Cscript%3E/run?preview=true"), 400),
    ("rid encoded", post(target=BASE + SCHEDULE.replace(b"ri.", b"%72i%2e") + b"/run?preview=true"), 200),
    # query
    ("preview twice", post(target=RUN + b"&preview=true"), 400),
    ("preview twice, encoded", post(target=RUN + b"&%70review=true"), 400),
    ("preview=1", post(target=RUN.replace(b"true", b"1")), 400),
    ("preview=TRUE", post(target=RUN.replace(b"true", b"TRUE")), 400),
    ("preview without a value", post(target=RUN.replace(b"=true", b"")), 400),
    ("no preview", post(target=RUN.split(b"?")[0]), 400),
    ("unknown parameters", post(target=RUN + b"&x=1&x=2&&y"), 200),
    ("bad escape in the query", post(target=RUN + b"&x=%"), 400),
    ("NUL in the query", post(target=RUN + b"&x=%00"), 400),
    ("a thousand parameters", post(target=RUN + b"&a" * 1000), 200),
    ("three thousand parameters", post(target=RUN + b"&a" * 3000), {200, 400}),
    # bodies of run
    ("empty", post(), 200),
    ("length 0", post(b"Content-Length: 0\r\n"), 200),
    ("length 000", post(b"Content-Length: 000\r\n"), 200),
    ("{}", sized(b"{}"), 200),
    ("null", sized(b"null"), 200),
    ("blanks around", sized(b" \r\n\t{ } "), 200),
    ("1024 bytes", sized(b" " * 1022 + b"{}"), 200),
    ("charset", sized(b"{}", b"Content-Type: application/json; charset=utf-8\r\n"), 200),
    ("type in capitals", sized(b"{}", b"Content-Type: APPLICATION/JSON\r\n"), 200),
    ("type without a body", post(b"Content-Type: application/json\r\n"), 200),
    ("in one chunk", chunked(b"2\r\n{}\r\n0\r\n\r\n"), 200),
    ("in two chunks", chunked(b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"), 200),
    ("with an extension", chunked(b'2;a="b"\r\n{}\r\n0;c\r\n\r\n'), 200),
    ("with a trailer", chunked(b"2\r\n{}\r\n0\r\nA: b\r\n\r\n"), 200),
    ("trailer with a length", chunked(b"2\r\n{}\r\n0\r\nContent-Length: 50\r\n\r\n"), 200),
    ("size in capitals and zeros", chunked(b"00000002\r\n{}\r\n00\r\n\r\n"), 200),
    ("Chunked in capitals", post(JSON + b"Transfer-Encoding: CHUNKED\r\n", b"2\r\n{}\r\n0\r\n\r\n"), 200),
    ("[]", sized(b"[]"), 400),
    ("false", sized(b"false"), 400),
    ("0", sized(b"0"), 400),
    ("\"\"", sized(b'""'), 400),
    ("a member", sized(b'{"a":1}'), 400),
    ("only blanks", sized(b"   "), 400),
    ("cut", sized(b"{"), 400),
    ("trailing text", sized(b"{}x"), 400),
    ("two documents", sized(b"{}{}"), 400),
    ("trailing comma", sized(b'{"a":1,}'), 400),
    ("single quotes", sized(b"{'a':1}"), 400),
    ("comment", sized(b"{/**/}"), 400),
    ("duplicate members", sized(b'{"a":1,"a":1}'), 400),
    ("duplicate members, escaped", sized(b'{"a":1,"\\u0061":1}'), 400),
    ("NaN", sized(b"NaN"), 400),
    ("Infinity", sized(b'{"a":Infinity}'), 400),
    ("01", sized(b'{"a":01}'), 400),
    ("1e999", sized(b'{"a":1e999}'), 400),
    ("lone surrogate", sized(b'{"a":"\\ud800"}'), 400),
    ("NUL escaped", sized(b'{"a":"\\u0000"}'), 400),
    ("NUL raw", sized(b"{}\0"), 400),
    ("control in a string", sized(b'{"a":"\x01"}'), 400),
    ("not UTF-8 in a string", sized(b'{"a":"\xff"}'), 400),
    ("byte order mark", sized(b"\xef\xbb\xbf{}"), 200),
    ("UTF-16", sized("{}".encode("utf-16")), 400),
    ("400 deep", sized(b"[" * 400 + b"]" * 400), 400),
    ("400 deep, never closed", sized(b'{"a":' * 200), 400),
    ("no type", sized(b"{}", b""), 415),
    ("text/plain", sized(b"{}", b"Content-Type: text/plain\r\n"), 415),
    ("a form", sized(b"a=b", b"Content-Type: application/x-www-form-urlencoded\r\n"), 415),
    ("application/jsonp", sized(b"{}", b"Content-Type: application/jsonp\r\n"), 415),
    ("two types", sized(b"{}", JSON + b"Content-Type: text/plain\r\n"), {400, 415}),
    # fields that mean something
    ("two Authorizations", post(AUTH), 400),
    ("contract unknown", post(b"Schedrun-Contract: x\r\n"), 400),
    ("contract twice", post(b"Schedrun-Contract: doc\r\nSchedrun-Contract: doc\r\n"), 400),
    ("contract before the token", get(READ_RUN, b"Schedrun-Contract: x\r\n"), 400),
    ("key empty", post(b"Idempotency-Key:\r\n"), 400),
    ("key of blanks", post(b'Idempotency-Key: " "\r\n'), 400),
    ("key of 201 characters", post(b"Idempotency-Key: " + b"k" * 201 + b"\r\n"), 400),
    ("key of 200 characters", post(b"Idempotency-Key: " + b"k" * 200 + b"\r\n"), 200),
    ("key in quotes", post(b'Idempotency-Key: "k"\r\n'), 200),
    ("key with a high byte", post(b"Idempotency-Key: k\xc3\xa9\r\n"), 400),
    ("key with a tab", post(b"Idempotency-Key: k\tk\r\n"), 400),
    ("key twice", post(b"Idempotency-Key: k\r\nIdempotency-Key: k\r\n"), 400),
    ("nonsense in Prefer", post(b"Prefer: wait=x, , ;;, wait=-1, \xff\r\n"), 200),
    ("wait of 10^30", post(b"Prefer: respond-async; wait=1000000000000000000000000000000\r\n"), 200),
    ("Expect with a body there", sized(b"{}", JSON + b"Expect: 100-continue\r\n"), 200),
    ("Expect without a body", post(b"Expect: 100-continue\r\n"), 200),
    # documents
    ("create: nothing", post(target=CREATE), 400),
    ("create: no type", post(b"Content-Length: 2\r\n", b"{}", CREATE), 415),
    ("create: an array", document(b"[]"), 400),
    ("batch: a byte order mark", document(b"\xef\xbb\xbf" + b'[{"scheduleRid":"' + SCHEDULE + b'"}]', BATCH), 200),
    ("batch: two marks", document(b"\xef\xbb\xbf" * 2 + b"[]", BATCH), 400),
    ("create: null", document(b"null"), 400),
    ("create: unknown member", document(b'{"x":1}'), 400),
    ("create: duplicate member", document(b'{"action":1,"action":2}'), 400),
    ("create: duplicate far inside", document(b'{"action":{"target":{"type":"manual","type":"x"}}}'), 400),
    ("create: 33 deep", document(b'{"action":' + b"[" * 32 + b"]" * 32 + b"}"), 400),
    ("create: 10,000 deep", document(b"[" * 10000 + b"]" * 10000), 400),
    ("create: a million brackets", document(b"[" * 1000000), 400),
    ("create: a million objects", document(b'{"a":' * 200000), 400),
    ("create: NaN", document(b'{"action":NaN}'), 400),
    ("create: lone surrogate", document(b'{"displayName":"\\udc00"}'), 400),
    ("create: not UTF-8", document(b'{"displayName":"\xc0\xaf"}'), 400),
    ("create: trailing text", document(b"{} {}"), 400),
    ("create: 1 MiB of blanks", document(b" " * 1048576), 400),
    ("create: a string of 1 MiB", document(b'"' + b"a" * 1048574 + b'"'), 400),
    ("create: a script", document(b'{"<script>":1}'), 400),
    ("create: a number of 100,000 digits", document(b"1" * 100000), 400),
    ("batch: empty", document(b"[]", BATCH), 400),
    ("batch: not of objects", document(b"[1,2]", BATCH), 400),
    ("batch: 1001", document(b"[" + b",".join([b'{"scheduleRid":"' + SCHEDULE + b'"}'] * 1001) + b"]", BATCH), 400),
    ("batch: 1000", document(b"[" + b",".join([b'{"scheduleRid":"' + SCHEDULE + b'"}'] * 1000) + b"]", BATCH), 200),
    ("runs: pageSize no number", get(RUNS + b"&pageSize=x", AUTH), 400),
    ("runs: pageSize 0", get(RUNS + b"&pageSize=0", AUTH), 400),
    ("runs: pageSize of 100 digits", get(RUNS + b"&pageSize=" + b"9" * 100, AUTH), {200, 400}),
    ("runs: pageSize twice", get(RUNS + b"&pageSize=1&pageSize=1", AUTH), 400),
    ("runs: a token that isn't ours", get(RUNS + b"&pageToken=<x>", AUTH), 400),
    ("runs: a token of 7 KiB", get(RUNS + b"&pageToken=" + b"a" * 7000, AUTH), 400),
    ("events by POST", post(target=EVENTS), 405),
    ("events without a token", get(EVENTS), 401),
    ("events after two ids", get(EVENTS, AUTH + b"Last-Event-ID: AQEA\r\n" * 2), 400),
    ("events of nonsense", get(EVENTS + b"?scheduleRid=x", AUTH), 400),
    ("events of 101", get(EVENTS + b"?" + b"&".join(b"scheduleRid=ri.scheduler.main.schedule.%d" % i for i in range(101)), AUTH), 400),
    ("builds that are not ours to create", post(target=EVENTS.replace(b"runEvents", b"builds/create")), 404),
    ("jobs", get(EVENTS.replace(b"runEvents", b"jobs/ri.foundry.main.job.x"), AUTH), 404),
    ("no token", get(READ_RUN), 401),
    ("HEAD without a token", b"HEAD " + READ_RUN + b" HTTP/1.1\r\n" + HOST + b"\r\n", 401),
    ("unknown run", get(READ_RUN, AUTH), 404),
    ("script in the agent", get(READ_RUN, AUTH + b"User-Agent: <script>alert(1)</script>\r\n"), 404),
]


@pytest.mark.parametrize("name, data, status", KEEPING, ids=[row[0] for row in KEEPING])
def test_answered_and_kept(server, name, data, status):
    head_only = data.startswith(b"HEAD ")
    with server.connect() as connection:
        connection.send(data + NEXT)
        answer = connection.answer(head_only)
        assert answer is not None, "cut without a word"
        assert answer.status in (status if isinstance(status, set) else {status}), answer
        check_form(answer, head_only)
        assert answer["Connection"] is None
        assert b"<script>" not in answer.body
        if answer.status == 404 and answer["Content-Type"] is None:
            assert answer.body == b""
        elif answer.status >= 400 and not head_only:
            error = answer.json()
            assert set(error) >= {"errorCode", "errorName", "errorInstanceId", "parameters"}
        following = connection.answer()
        assert following.status == 200 and following.body == b"ok\n", following


def test_only_what_was_answered_has_happened(server):
    """Every run that was answered with 200 is a request, and nothing else is."""
    series = f'schedrun_http_requests_total{{route="/api/v2/orchestration/schedules/' \
        f'{{scheduleRid}}/run",method="POST",code="200"}}'
    answered = int(server.daemon.metric(series))
    requests = checker.read_topic(server.system.bootstrap, "schedule-run-requests")
    replayed = 0
    assert answered > 20 and len(requests) == answered - replayed


def test_pipelined_in_order(server):
    targets = [b"/healthz", b"/nothing", READ_RUN, b"/healthz#x", b"/healthz"] * 40
    with server.connect() as connection:
        connection.send(b"".join(get(target, AUTH) for target in targets))
        statuses = [connection.answer().status for _ in targets]
    assert statuses == [200, 404, 404, 400, 200] * 40


def test_pipelined_behind_a_waiting_one(server):
    """An answer is not overtaken, though the later ones are ready before it."""
    with server.connect() as connection:
        connection.send(post(b"Prefer: wait=2\r\n") + NEXT * 3)
        first = connection.answer()
        assert first.status == 200 and first["Preference-Applied"] == "wait=2"
        assert [connection.answer().body for _ in range(3)] == [b"ok\n"] * 3


def test_nothing_behind_the_end_is_answered(server):
    with server.connect() as connection:
        connection.send(get(fields=b"Connection: keep-alive, Close\r\n") + NEXT)
        assert connection.answer()["Connection"] == "close" and connection.ended()
    with server.connect() as connection:
        connection.send(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + NEXT)
        answer = connection.answer()
        assert answer.status == 200 and answer["Connection"] == "close" and connection.ended()


def test_half_closed_is_answered(server):
    with server.connect() as connection:
        connection.send(post(b"Prefer: wait=1\r\n") + NEXT)
        connection.socket.shutdown(1)
        assert connection.answer().status == 200
        assert connection.answer().body == b"ok\n" and connection.ended()


def test_a_head_is_a_get_without_its_body(server):
    for target, fields in ((b"/healthz", b""), (READ_RUN, AUTH), (b"/nothing", b"")):
        whole = server.ask(get(target, fields))
        short = server.ask(get(target, fields, b"HEAD %s HTTP/1.1"), head_only=True)
        assert short.status == whole.status and short.body == b""
        changing = ("Date", "Content-Length") if whole.status != 200 else ("Date",)
        assert [f for f in short.fields if f[0] not in changing] == \
            [f for f in whole.fields if f[0] not in changing]
        assert short["Content-Length"] == str(len(whole.body))


def test_a_head_that_is_refused_has_no_body(server):
    with server.connect() as connection:
        connection.send(get(fields=b"A : b\r\n", line=b"HEAD %s HTTP/1.1"))
        assert connection.answer(head_only=True).status == 400 and connection.ended()


def test_continue_comes_only_when_the_body_is_wanted(server):
    fields = JSON + CL + b"Expect: 100-continue\r\n"
    with server.connect() as connection:
        connection.send(post(fields))
        assert connection.answer().status == 100
        connection.send(b"{}" + NEXT)
        assert connection.answer().status == 200 and connection.answer().body == b"ok\n"
    with server.connect() as connection:
        connection.send(post(b"Content-Length: 2000\r\nExpect: 100-continue\r\n"))
        assert connection.answer().status == 413 and connection.ended()
    with server.connect() as connection:
        connection.send(post(b"Content-Length: 2\r\nExpect: x\r\n"))
        assert connection.answer().status == 417 and connection.ended()


def test_options_tells_methods_without_a_token(server):
    for target, allow in ((RUN, {"POST", "OPTIONS"}), (READ_RUN, {"GET", "HEAD", "OPTIONS"}),
                          (b"/healthz", {"GET", "HEAD", "OPTIONS"})):
        answer = server.ask(get(target, line=b"OPTIONS %s HTTP/1.1"))
        assert answer.status == 204 and set(answer["Allow"].split(", ")) == allow
        assert answer["Access-Control-Allow-Origin"] is None


def test_nothing_is_echoed_raw(server):
    mark = b"<script>alert(1)</script>"
    encoded = b"%3Cscript%3Ealert(1)%3C%2Fscript%3E"
    for data in (get(BASE + encoded + b"/runs/" + encoded, AUTH), post(target=RUN + b"&preview=" + encoded),
                 post(b"Schedrun-Contract: " + mark + b"\r\n"), sized(b'{"' + mark + b'":1}'),
                 sized(b"x", b"Content-Type: " + mark + b"\r\n"),
                 head(b"BREW" + b"|X" * 10 + b" /healthz HTTP/1.1"),
                 post(b"Idempotency-Key: " + mark + b"\xff\r\n"),
                 head(b"TRACE /healthz?" + encoded + b" HTTP/1.1")):
        answer = server.ask(data)
        assert answer.status >= 400 and mark not in answer.body, answer
        assert b"alert" not in " ".join(value for _, value in answer.fields).encode()


def test_errors_before_the_route_have_the_envelope(server):
    answer = server.ask(sized(b" " * 2000))
    assert answer.status == 413 and answer["Content-Type"] == "application/json"
    assert answer.json()["errorName"] == "Default:RequestEntityTooLarge"
    assert answer.json()["parameters"] == {"maximumBytes": 1024}
    answer = server.ask(b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 1048577\r\n\r\n")
    assert answer.json()["parameters"] == {"maximumBytes": 1048576}
    answer = server.ask(get(fields=b"A : b\r\n"))
    assert answer.json()["errorName"] == "Default:InvalidArgument"


def test_answers_vary_by_what_chooses_them(server):
    for request in (get(READ_RUN, AUTH), get(READ_RUN), get(b"/none"), get(b"/%zz")):
        assert server.ask(request)["Vary"] == "User-Agent, Fetch-User-Agent, Schedrun-Contract"


def test_ten_thousand_requests_and_no_more(server):
    with server.connect(timeout=30) as connection:
        for _ in range(10):
            connection.send(NEXT * 1000)
            answers = [connection.answer() for _ in range(1000)]
            assert all(answer.status == 200 for answer in answers)
            assert all(answer["Connection"] is None for answer in answers[:-1])
        assert answers[-1]["Connection"] == "close" and connection.ended()


def test_origins(shared):
    server = Server(shared, "cors", http__cors__origins="https://a.test, https://b.test:8443")
    preflight = b"OPTIONS " + RUN + b" HTTP/1.1\r\n" + HOST + b"Origin: %s\r\n" \
        b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n\r\n"
    for origin in (b"https://a.test", b"https://b.test:8443"):
        answer = server.ask(preflight % origin)
        assert answer.status == 204
        assert answer["Access-Control-Allow-Origin"] == origin.decode()
        assert "POST" in answer["Access-Control-Allow-Methods"]
        allowed = {name.strip().lower() for name in
                   answer["Access-Control-Allow-Headers"].split(",")}
        assert allowed >= {"authorization", "content-type", "fetch-user-agent", "idempotency-key",
                           "last-event-id", "prefer", "schedrun-contract", "traceparent",
                           "tracestate", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "baggage"}
        assert "Origin" in answer["Vary"]
        assert server.ask(post(b"Origin: " + origin + b"\r\n"))["Access-Control-Allow-Origin"] == \
            origin.decode()
        with server.connect() as connection:
            connection.send(get(EVENTS, AUTH + b"Origin: " + origin + b"\r\n"))
            stream = connection.answer(head_only=True)
        assert stream["Access-Control-Allow-Origin"] == origin.decode()
        assert "Origin" in stream["Vary"]
        refused = server.ask(get(READ_RUN, b"Origin: " + origin + b"\r\n"))
        assert refused.status == 401 and refused["Access-Control-Allow-Origin"] == origin.decode()
        assert "WWW-Authenticate" in refused["Access-Control-Expose-Headers"]
    for origin in (b"https://a.test.evil", b"https://a.tes", b"http://a.test", b"null", b"*",
                   b"https://a.test, https://b.test:8443", b"https://A.test"):
        answer = server.ask(preflight % origin)
        assert answer["Access-Control-Allow-Origin"] is None, origin
    assert server.daemon.stop() == 0


def test_runs_per_caller(shared):
    server = Server(shared, "rate", http__rate="5")
    statuses = [server.ask(post()).status for _ in range(30)]
    assert 10 <= statuses.count(200) < 20 and set(statuses) == {200, 429}
    answer = next(a for a in iter(lambda: server.ask(post()), None) if a.status == 429)
    check_form(answer)
    assert answer.json()["errorName"] == "Default:RateLimited"
    assert server.ask(get(READ_RUN, AUTH)).status == 404, "reading is not limited"
    commit = post(b"Content-Type: application/json\r\nContent-Length: 2\r\n", b"{}",
                  b"/api/v2/orchestration/datasets/%s/commits" % catalogues.dataset("raw").encode())
    statuses = [server.ask(commit).status for _ in range(15)]
    assert statuses.count(429) >= 5, "commits share the limit of runs"
    programs.wait_for("another token", lambda: server.ask(post()).status == 200, 5, 0.3)
    assert server.daemon.stop() == 0
