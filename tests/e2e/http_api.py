"""The adapter on a catalogue, and a caller with tokens of several users."""

import catalogues
import openapi
import requests
from cluster import free_ports

READ, WRITE = "api:orchestration-read", "api:orchestration-write"
BASE = "/api/v2/orchestration"
DOC, GA, UPPER = "doc", "ga", "ga-upper"
# token -> user, scopes
TOKENS = {
    "full": (catalogues.OWNER, READ, WRITE),
    "reader": (catalogues.OWNER, READ),
    "writer": (catalogues.OWNER, WRITE),
    "viewer": (catalogues.VIEWER, READ, WRITE),
    "stranger": (catalogues.STRANGER, READ, WRITE),
}


class Api:
    """`call` and its shorthands answer a requests.Response; each exchange is
    held against docs/openapi.yaml."""

    def __init__(self, system, name="http-1", **settings):
        tokens = system.directory / "tokens"
        tokens.write_text("".join(f"{token} {' '.join(of)}\n" for token, of in TOKENS.items()))
        tokens.chmod(0o600)
        self.port = free_ports(1)[0]
        keys = {"http__auth": "token-file", "http__token__file": str(tokens),
                "http__listen": f"127.0.0.1:{self.port}", "http__drain": "0", **settings}
        self.daemon = system.adapter(name, **keys)
        self.session = requests.Session()
        self.daemon.wait_ready()

    def call(self, method, path, token="full", profile=GA, preview=True, **more):
        headers = dict(more.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if profile:
            headers["Schedrun-Contract"] = profile
        params = dict(more.pop("params", {}))
        if preview:
            params["preview"] = "true"
        answer = self.session.request(method, f"http://127.0.0.1:{self.port}{path}",
                                      headers=headers, params=params, timeout=40, **more)
        openapi.check(method, path.partition("?")[0], answer, more.get("json"))
        return answer

    def get(self, path, **more):
        return self.call("GET", BASE + path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", BASE + path, json=body, **more)

    def put(self, path, body, **more):
        return self.call("PUT", BASE + path, json=body, **more)

    def delete(self, path, **more):
        return self.call("DELETE", BASE + path, **more)

    def run(self, schedule, wait=None, **more):
        headers = {"Prefer": f"wait={wait}"} if wait else {}
        return self.post(f"/schedules/{schedule}/run", headers=headers, **more)


def error(answer, status, name, **parameters):
    """Asserts the envelope of an error, with exactly these parameters."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert body["errorName"] == name, body
    assert body["parameters"] == parameters, body
    assert len(body["errorInstanceId"]) == 36 and body["errorCode"]
    return body


def ok(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None
