"""Collectors of spans: a stub that judges each field of OTLP's JSON, and the OpenTelemetry
collector itself, where COLLECTOR names its program (make test-traces)."""

import collections
import http.server
import json
import os
import re
import subprocess
import threading

import requests
from cluster import free_ports
from programs import wait_for

Span = collections.namedtuple("Span", "service name trace id parent kind begun ended attributes failure")
KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


def attributes_of(rows):
    values = {}
    for row in rows:
        (kind, value), = row["value"].items()
        assert row["key"] not in values, f"{row['key']} twice"
        values[row["key"]] = value if kind == "stringValue" else int(value)
    return values


def spans_of(document):
    """What a request tells, in the form in which the collector writes it, too."""
    found = []
    for resource in document["resourceSpans"]:
        service = attributes_of(resource["resource"]["attributes"])
        assert set(service) == {"service.name", "service.instance.id", "service.version"}, service
        for scope in resource["scopeSpans"]:
            assert scope["scope"]["name"] == "schedrun"
            found += [Span(service["service.name"], span["name"], span["traceId"], span["spanId"],
                           span.get("parentSpanId") or None, KINDS[span["kind"]], int(span["startTimeUnixNano"]),
                           int(span["endTimeUnixNano"]), attributes_of(span.get("attributes", [])),
                           span.get("status", {}).get("message") if span.get("status", {}).get("code") == 2 else None)
                      for span in scope["spans"]]
    return found


# Messages by opentelemetry-proto's trace.proto and its rules for JSON: names in lowerCamelCase, ids in
# hexadecimal, 64 bits as decimal strings, enums as numbers. A list is of many, "?" may be left out.
LONG = re.compile(r"0|-?[1-9]\d*")
FORMS = {
    "ExportTraceServiceRequest": {"resourceSpans": ["ResourceSpans"]},
    "ResourceSpans": {"resource": "Resource", "scopeSpans": ["ScopeSpans"]},
    "Resource": {"attributes": ["KeyValue"]},
    "ScopeSpans": {"scope": "InstrumentationScope", "spans": ["Span"]},
    "InstrumentationScope": {"name": str, "version": str},
    "Span": {"traceId": re.compile("(?!0{32})[0-9a-f]{32}"), "spanId": re.compile("(?!0{16})[0-9a-f]{16}"),
             "parentSpanId?": re.compile("(?!0{16})[0-9a-f]{16}"), "flags": range(0, 1 << 32), "name": str,
             "kind": range(0, 6), "startTimeUnixNano": LONG, "endTimeUnixNano": LONG,
             "attributes": ["KeyValue"], "status?": "Status"},
    "Status": {"code": range(0, 3), "message?": str},
    "KeyValue": {"key": str, "value": "AnyValue"},
    "AnyValue": {"stringValue?": str, "intValue?": LONG},
}


def judge(form, value, where="request"):
    if isinstance(form, list):
        assert isinstance(value, list) and value, where
        for i, one in enumerate(value):
            judge(form[0], one, f"{where}[{i}]")
    elif isinstance(form, re.Pattern):
        assert isinstance(value, str) and form.fullmatch(value), f"{where}: {value!r}"
    elif isinstance(form, range):
        assert type(value) is int and value in form, f"{where}: {value!r}"
    elif form is str:
        assert isinstance(value, str) and value, where
    else:
        members = FORMS[form]
        assert isinstance(value, dict), where
        required = {name for name in members if not name.endswith("?")}
        known = {name.rstrip("?"): of for name, of in members.items()}
        assert required <= set(value) <= set(known), f"{where}: {sorted(value)}"
        assert form != "AnyValue" or len(value) == 1, where
        for name, of in known.items():
            if name in value:
                judge(of, value[name], f"{where}.{name}")


class Stub:
    """Judges what comes, keeps it, and answers the next of `answers` (status, body), or 200."""

    def __init__(self):
        stub = self
        self.answers, self.headers, self.faults, self.kept = [], [], [], []
        self.lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with stub.lock:
                    status, answer = stub.answers.pop(0) if stub.answers else (200, b"{}")
                    stub.headers.append(dict(self.headers))
                    try:
                        assert self.path == "/v1/traces" and self.headers["Content-Type"] == "application/json"
                        document = json.loads(body)
                        judge("ExportTraceServiceRequest", document)
                        if status == 200:
                            stub.kept += spans_of(document)
                    except (AssertionError, ValueError, KeyError) as fault:
                        stub.faults.append(f"{type(fault).__name__}: {fault}")
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self):
        with self.lock:
            assert not self.faults, self.faults
            return list(self.kept)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        assert not self.faults, self.faults


class Collector:
    """The OpenTelemetry collector, which writes what it has understood into a file."""

    def __init__(self, program, directory):
        port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{port}/v1/traces"
        self.file = directory / "spans.jsonl"
        config = directory / "collector.yaml"
        config.write_text(json.dumps({
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
            "exporters": {"file": {"path": str(self.file), "flush_interval": "100ms"}},
            "service": {"telemetry": {"metrics": {"level": "none"}},
                        "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}}}}))
        self.log = open(directory / "collector.log", "wb")
        self.process = subprocess.Popen([program, "--config", f"file:{config}"], stdout=self.log, stderr=self.log)
        wait_for("the collector to listen", self.listens)

    def listens(self):
        assert self.process.poll() is None, "the collector has ended, see its log"
        try:  # it refuses what is no request, and says so
            return requests.post(self.url, b"{", headers={"Content-Type": "application/json"}, timeout=5).status_code == 400
        except requests.ConnectionError:
            return False

    def spans(self):
        text = self.file.read_text() if self.file.exists() else ""
        return [span for line in text[:text.rfind("\n") + 1].splitlines() for span in spans_of(json.loads(line))]

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


def collector(directory):
    program = os.environ.get("COLLECTOR")
    return Collector(program, directory) if program else Stub()
