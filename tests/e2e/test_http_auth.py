"""Tokens: what is let in, what is refused and how it is said; the key set's life."""

import json
import signal
import threading
import time
import uuid

import catalogues
import cluster as cluster_module
import pytest
import requests
from key_server import Authority, KeyServer
from programs import wait_for
from tokens import AUDIENCE, ISSUER, READ, USER, WRITE, Key, key_set, unsigned, with_hmac

RSA, EC, OTHER, SMALL = Key("rsa-1"), Key("ec-1", "ES256"), Key("rsa-1"), Key("small", bits=1024)
API = "/api/v2/orchestration"
SCHEDULE = catalogues.schedule_rid("stale")
RUN = f"{API}/schedules/{SCHEDULE}/run?preview=true"
GET = f"{API}/schedules/{SCHEDULE}/runs/ri.scheduler.main.run.{USER}"
SUBJECTS = "c50de838-4288-5acf-9ab5-1d48325cd8c7"
REALM = 'Bearer realm="schedrun"'


class Adapter:
    """schedrun-http with http.auth=jwt."""

    def __init__(self, system, jwks, **settings):
        self.port = cluster_module.free_ports(1)[0]
        settings = {"http__auth": "jwt", "http__jwks": jwks, "http__issuer": ISSUER,
                    "http__audience": AUDIENCE, "http__drain": "0", **settings}
        self.daemon = system.adapter(name=f"http-{self.port}",
                                     http__listen=f"127.0.0.1:{self.port}", **settings)

    def call(self, method, path, token=None, **headers):
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return requests.request(method, f"http://127.0.0.1:{self.port}{path}", headers=headers,
                                timeout=30)

    def get(self, token):
        return self.call("GET", GET, token)

    def lets_in(self, token):
        """Behind the token check this run is not found."""
        answer = self.get(token)
        assert answer.status_code in (401, 503, 404), answer.text
        return answer.status_code == 404

    def reason(self, token):
        answer = self.get(token)
        assert answer.status_code == 401, answer.text
        return answer.json()["parameters"]["error"]

    def wait_listening(self):
        def alive():
            assert self.daemon.process.poll() is None, self.daemon.tail()
            try:
                return self.call("GET", "/healthz").status_code == 200
            except requests.ConnectionError:
                return False
        wait_for("the adapter to listen", alive, 20)
        return self

    def keys_check(self):
        checks = json.loads(self.daemon.admin("/readyz")[1])["checks"]
        return next(check for check in checks if check["name"] == "keys")


@pytest.fixture(scope="module")
def shared(fresh_system):
    """A system with a catalogue for all tests of this file."""
    fresh_system.init()
    fresh_system.apply(catalogues.outcomes())
    return fresh_system


@pytest.fixture(scope="module")
def adapter(shared):
    path = shared.directory / "keys.json"
    path.write_text(key_set(RSA, EC, SMALL))
    made = Adapter(shared, str(path))
    made.daemon.wait_ready()
    return made


GOOD = {
    "RS256": lambda: RSA.token(),
    "ES256": lambda: EC.token(),
    "aud in an array": lambda: RSA.token(aud=["x", AUDIENCE]),
    "nbf now": lambda: RSA.token(nbf=int(time.time())),
    "nbf within the leeway": lambda: RSA.token(nbf=int(time.time()) + 20),
    "exp within the leeway": lambda: RSA.token(exp=int(time.time()) - 20),
    "scope in an array": lambda: RSA.token(scope=[READ]),
    "scp": lambda: RSA.token(scope=None, scp=[READ, "x"]),
    "other scopes beside ours": lambda: RSA.token(scope=f"openid {READ}"),
    "16 KiB": lambda: RSA.token(pad="x" * 12000),
    "sub in capitals": lambda: RSA.token(sub=USER.upper()),
    "sub of another form": lambda: RSA.token(sub="auth0|5f7c8ec7c33c6c00"),
    "sub is a number": lambda: RSA.token(sub=1234567),
    "roles": lambda: RSA.token(scope=None, roles=[READ, WRITE]),
    "no kid, several keys": lambda: EC.token(header={"alg": "ES256"}),
}


@pytest.mark.parametrize("name", GOOD)
def test_lets_in(adapter, name):
    assert adapter.lets_in(GOOD[name]())


def now(seconds):
    return int(time.time()) + seconds


ATTACKS = {
    "alg none": (lambda: unsigned({"alg": "none", "kid": "rsa-1"}, RSA.token()), "ALGORITHM"),
    "alg None": (lambda: unsigned({"alg": "None", "kid": "rsa-1"}, RSA.token()), "ALGORITHM"),
    "alg none with a signature": (lambda: RSA.token(header={"alg": "none", "kid": "rsa-1"}),
                                  "ALGORITHM"),
    "HS256 by the public key": (lambda: with_hmac({"alg": "HS256", "kid": "rsa-1"}, RSA.token(),
                                                  RSA.pem()), "ALGORITHM"),
    "HS256 by the JWK's n": (lambda: with_hmac({"alg": "HS256", "kid": "rsa-1"}, RSA.token(),
                                               RSA.jwk["n"].encode()), "ALGORITHM"),
    "RS384": (lambda: RSA.token(header={"alg": "RS384", "kid": "rsa-1"}), "ALGORITHM"),
    "PS256": (lambda: RSA.token(header={"alg": "PS256", "kid": "rsa-1"}), "ALGORITHM"),
    "ES256 with the RSA key": (lambda: RSA.token(header={"alg": "ES256", "kid": "rsa-1"}),
                               "ALGORITHM"),
    "another key, same kid": (lambda: OTHER.token(), "SIGNATURE"),
    "key in the token": (lambda: OTHER.token(header={"alg": "RS256", "kid": "rsa-1",
                                                     "jwk": OTHER.jwk}), "SIGNATURE"),
    "claims of another token": (lambda: ".".join([*RSA.token(x=1).split(".")[:2],
                                                  RSA.token(x=2).split(".")[2]]), "SIGNATURE"),
    "a key of 1024 bits": (lambda: SMALL.token(), "UNKNOWN_KEY"),
    "no kid, another key": (lambda: OTHER.token(header={"alg": "RS256"}), "UNKNOWN_KEY"),
    "crit": (lambda: RSA.token(header={"alg": "RS256", "kid": "rsa-1", "crit": ["exp"]}), "CRIT"),
    "no exp": (lambda: RSA.token(exp=None), "NO_EXPIRY"),
    "exp is text": (lambda: RSA.token(exp=str(now(600))), "NO_EXPIRY"),
    "expired": (lambda: RSA.token(exp=now(-31)), "EXPIRED"),
    "not yet": (lambda: RSA.token(nbf=now(35)), "NOT_YET_VALID"),
    "other audience": (lambda: RSA.token(aud="another"), "AUDIENCE"),
    "no audience": (lambda: RSA.token(aud=None), "AUDIENCE"),
    "other issuer": (lambda: RSA.token(iss=ISSUER + "/"), "ISSUER"),
    "no issuer": (lambda: RSA.token(iss=None), "ISSUER"),
    "no sub": (lambda: RSA.token(sub=None), "SUBJECT"),
    "sub empty": (lambda: RSA.token(sub=""), "SUBJECT"),
    "no token at all": (lambda: "x", "MALFORMED"),
    "two parts": (lambda: RSA.token().rsplit(".", 1)[0], "MALFORMED"),
    "five parts": (lambda: RSA.token() + ".a.b", "MALFORMED"),
    "padding": (lambda: RSA.token() + "==", "MALFORMED"),
    "a blank inside": (lambda: RSA.token().replace(".", ". ", 1), "MALFORMED"),
    "duplicate alg": (lambda: RSA.token(header='{"alg":"none","alg":"RS256","kid":"rsa-1"}'),
                      "MALFORMED"),
    "duplicate exp": (lambda: RSA.token(claims='{"exp":1,"exp":9999999999}'), "MALFORMED"),
    "nested 1000 deep": (lambda: RSA.token(claims='{"a":' + "[" * 1000 + "]" * 1000 + "}"),
                         "MALFORMED"),
    "claims are a list": (lambda: RSA.token(claims="[]"), "MALFORMED"),
    "NaN": (lambda: RSA.token(claims='{"exp":NaN}'), "MALFORMED"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_refuses(adapter, name):
    make, reason = ATTACKS[name]
    answer = adapter.get(make())
    assert answer.status_code == 401
    error = answer.json()
    assert error["errorCode"] == "UNAUTHORIZED" and error["errorName"] == "Default:Unauthorized"
    assert error["parameters"] == {"error": reason}
    assert answer.headers["WWW-Authenticate"] == \
        f'{REALM}, error="invalid_token", error_description="{reason}"'


def test_missing_and_malformed_credentials(adapter):
    url = f"http://127.0.0.1:{adapter.port}{GET}"
    token = RSA.token()
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "},
                    {"Authorization": f"Basic {token}"}, {"Authorization": token},
                    {"Cookie": f"access_token={token}"}):
        answer = requests.get(url, headers=headers, timeout=10)
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == REALM
        assert answer.json()["errorName"] == "MissingCredentials"
    assert requests.get(f"{url}?access_token={token}", timeout=10).status_code == 401
    for scheme in ("bearer", "BEARER", "Bearer  "):
        assert requests.get(url, headers={"Authorization": f"{scheme} {token}"},
                            timeout=10).status_code == 404


def test_scopes_are_exact_and_apart(adapter):
    for scope in ("", WRITE + "s", f"{READ},{WRITE}", READ.upper()):
        answer = adapter.get(RSA.token(scope=scope))
        assert answer.status_code == 403 and answer.json()["errorName"] == "ApiUsageDenied"
        assert answer.json()["parameters"] == {"missingScope": READ}
        assert answer.headers["WWW-Authenticate"] == \
            f'{REALM}, error="insufficient_scope", scope="{READ}"'
    assert adapter.get(RSA.token(scope=WRITE)).status_code == 403
    assert adapter.call("POST", RUN, RSA.token(scope=READ)).status_code == 403


def test_the_subject_is_the_creator(adapter):
    owner = adapter.call("POST", RUN, RSA.token(sub=catalogues.OWNER))
    assert owner.status_code == 200 and owner.json()["createdBy"] == catalogues.OWNER
    shouted = adapter.call("POST", RUN, RSA.token(sub=catalogues.OWNER.upper()))
    assert shouted.status_code == 200 and shouted.json()["createdBy"] == catalogues.OWNER
    stranger = adapter.call("POST", RUN, RSA.token(sub=catalogues.STRANGER))
    assert stranger.status_code == 404


def test_a_token_as_long_as_the_head_takes(adapter):
    token = RSA.token(pad="x" * 20000)
    assert adapter.lets_in(token)
    assert adapter.get(token + "x" * (32 * 1024 - len(token))).status_code == 431


def test_subjects_and_scopes_of_other_claims(shared):
    """Another issuer's style: ids that are no UUIDs, keys without kid, padded numbers."""
    path = shared.directory / "style.json"
    nameless = [{name: value for name, value in key.jwk.items() if name != "kid"}
                for key in (RSA, EC)]
    nameless[0]["n"] = nameless[0]["n"].replace("-", "+").replace("_", "/") + "=="
    nameless[1]["x"] += "="
    path.write_text("\ufeff" + key_set(*nameless))
    adapter = Adapter(shared, str(path), http__user__claim="ids.oid",
                      http__scope__claims="realm_access.roles")
    adapter.daemon.wait_ready()
    oid = "auth0|5f7c8ec7c33c6c00"
    user = json.loads(shared.must("user", "id", oid))
    assert user == {"subject": oid, "user": str(uuid.uuid5(uuid.UUID(SUBJECTS), oid))}
    assert json.loads(shared.must("user", "id", USER.upper()))["user"] == USER
    catalogue = catalogues.outcomes()
    catalogue["users"][user["user"]] = catalogue["users"][catalogues.OWNER]
    shared.apply(catalogue)
    said = {"sub": None, "scope": READ, "realm_access": {"roles": [WRITE]}}
    for key in (RSA, EC):
        run = adapter.call("POST", RUN, key.token(ids={"oid": oid}, **said))
        assert run.status_code == 200 and run.json()["createdBy"] == user["user"]
    assert adapter.get(RSA.token(ids={"oid": oid}, **said)).status_code == 403
    assert adapter.reason(RSA.token(scope=WRITE)) == "SUBJECT"
    assert adapter.daemon.stop() == 0


def test_a_token_of_the_file(shared):
    path = shared.directory / "tokens"
    path.write_text(f"\ufeff{'s' * 9000} {catalogues.OWNER.upper()}\t{READ} {WRITE}\n")
    path.chmod(0o600)
    adapter = Adapter(shared, "unused", http__auth="token-file", http__token__file=str(path))
    adapter.daemon.wait_ready()
    run = adapter.call("POST", RUN, "s" * 9000)
    assert run.status_code == 200 and run.json()["createdBy"] == catalogues.OWNER, run.text
    assert adapter.reason(RSA.token()) == "UNKNOWN_TOKEN"
    assert adapter.daemon.stop() == 0


def test_no_token_or_key_is_logged(adapter):
    token = RSA.token()
    adapter.get(token)
    adapter.get(token[:-1] + ("A" if token[-1] != "A" else "B"))
    log = adapter.daemon.log()
    assert token.split(".")[2][:40] not in log and RSA.jwk["n"][:40] not in log


def test_a_file_is_noticed_when_it_changes(shared):
    old, new = Key("old"), Key("new", "ES256")
    path = shared.directory / "rotated.json"
    path.write_text(key_set(old))
    adapter = Adapter(shared, str(path)).wait_listening()
    kept = old.token()
    assert adapter.lets_in(kept) and adapter.lets_in(kept)
    path.write_text(key_set(old, new))
    assert adapter.lets_in(new.token()), "an unknown key is looked for at once"
    path.write_text(key_set(new))
    wait_for("the old key to be forgotten", lambda: not adapter.lets_in(kept), 5)
    assert adapter.reason(kept) == "UNKNOWN_KEY"
    for damage in ('{"keys":[', '{"keys":[]}', "", key_set(SMALL)):
        path.write_text(damage)
        adapter.daemon.signal(signal.SIGHUP)
        wait_for("the damage to be told", lambda: "keys_not_loaded" in adapter.daemon.log(), 5)
        assert adapter.lets_in(new.token()), "the last good set stays"
        assert adapter.keys_check()["ok"]
    path.unlink()
    adapter.daemon.signal(signal.SIGHUP)
    assert adapter.lets_in(new.token())
    path.write_text(key_set(old))
    adapter.daemon.signal(signal.SIGHUP)
    wait_for("the new set", lambda: adapter.lets_in(old.token()), 5)
    assert not adapter.lets_in(new.token())
    assert adapter.daemon.stop() == 0


def test_without_keys_it_serves_but_is_not_ready(shared):
    path = shared.directory / "later.json"
    adapter = Adapter(shared, str(path)).wait_listening()
    for content in (None, key_set(SMALL)):
        if content:
            path.write_text(content)
        wait_for("the check to say so", lambda: not adapter.keys_check()["ok"], 5)
        assert adapter.daemon.admin("/readyz")[0] == 503
        assert str(path) in adapter.keys_check()["reason"]
        answer = adapter.get(RSA.token())
        assert answer.status_code == 503 and answer.headers["Retry-After"]
        assert adapter.reason(unsigned({"alg": "none"}, RSA.token())) == "ALGORITHM"
        assert adapter.call("GET", "/healthz").status_code == 200
    path.write_text(key_set(RSA))
    wait_for("the keys", lambda: adapter.keys_check()["ok"], 5)
    assert adapter.lets_in(RSA.token())
    assert adapter.daemon.stop() == 0


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def key_server(authority):
    server = KeyServer(key_set(RSA), authority.context())
    yield server
    server.stop()


def test_keys_from_a_url(shared, authority, key_server):
    new = Key("new")
    adapter = Adapter(shared, key_server.url, http__jwks__ca=str(authority.path))
    adapter.wait_listening()
    wait_for("the keys", lambda: adapter.keys_check()["ok"], 10)
    assert adapter.lets_in(RSA.token())
    asked = key_server.asked
    key_server.body = key_set(RSA, new)
    assert adapter.lets_in(new.token()), "an unknown key is looked for"
    assert key_server.asked == asked + 1
    newer = Key("newer")
    key_server.body = key_set(new, newer)
    for token in [unsigned({"alg": "RS256", "kid": f"k{i}"}, RSA.token()) for i in range(20)]:
        answer = adapter.get(token)
        assert answer.status_code == 503 and 1 <= int(answer.headers["Retry-After"]) <= 5
    assert key_server.asked == asked + 1, "but at most every 5 s"
    assert adapter.get(newer.token()).status_code == 503, "who knows"
    key_server.delay = 3

    def ask():
        started = time.monotonic()
        run = adapter.call("POST", RUN, newer.token(), Prefer="wait=4")
        return run.status_code == 200 and time.monotonic() - started
    assert 4 <= wait_for("its turn", ask, 10, 0.3) < 6, "the look is part of the wait"
    key_server.delay = 0
    assert key_server.asked == asked + 2
    assert not adapter.lets_in(RSA.token())
    key_server.status, key_server.body = 500, "no"
    adapter.daemon.signal(signal.SIGHUP)
    wait_for("the failure to be told", lambda: "status 500" in adapter.daemon.log(), 10)
    assert adapter.lets_in(new.token()) and adapter.keys_check()["ok"], "the last good set stays"
    assert adapter.daemon.stop() == 0


def test_a_slow_key_server_blocks_nobody(shared, authority, key_server):
    adapter = Adapter(shared, key_server.url, http__jwks__ca=str(authority.path))
    adapter.wait_listening()
    wait_for("the keys", lambda: adapter.keys_check()["ok"], 10)
    key_server.delay = 60
    stranger = Key("stranger")
    answers = []
    started = time.monotonic()
    threads = [threading.Thread(target=lambda: answers.append(
        (adapter.get(stranger.token()).status_code, time.monotonic() - started)))
        for _ in range(5)]
    for thread in threads:
        thread.start()
    wait_for("the fetch", lambda: key_server.asked >= 2, 10)
    for _ in range(20):
        before = time.monotonic()
        assert adapter.lets_in(RSA.token())
        assert time.monotonic() - before < 1
    for thread in threads:
        thread.join()
    assert [status for status, _ in answers] == [503] * 5, "there may be such a key"
    assert all(4 < seconds < 9 for _, seconds in answers), answers
    before = time.monotonic()
    adapter.daemon.signal(signal.SIGHUP)
    wait_for("another fetch", lambda: key_server.asked >= 3, 10)
    assert adapter.daemon.stop() == 0
    assert time.monotonic() - before < 5, "the end does not wait for the key server"


@pytest.mark.parametrize("fault, told", [
    ("down", "connect"),
    ("redirect", "status 302"),
    ("error", "status 500"),
    ("large", "more than 1048576 bytes"),
    ("garbage", "line 1"),
    ("no usable key", "no key in it can be used"),
    ("slow", "timed out"),
    ("dripping", "timed out"),
    ("another CA", "certificate"),
    ("no TLS", "SSL"),
])
def test_a_bad_key_server_is_not_believed(shared, tmp_path, authority, fault, told):
    server = KeyServer(key_set(RSA), None if fault == "no TLS" else authority.context())
    good = KeyServer(key_set(RSA), authority.context())
    ca, url = authority.path, server.url.replace("http:", "https:")
    if fault == "down":
        server.stop()
    elif fault == "redirect":
        server.status, server.location = 302, good.url
    elif fault == "error":
        server.status = 500
    elif fault == "large":
        server.body = key_set(RSA) + " " * (1024 * 1024)
    elif fault == "garbage":
        server.body = "<html>" + key_set(RSA)
    elif fault == "no usable key":
        server.body = key_set(SMALL)
    elif fault == "slow":
        server.delay = 30
    elif fault == "dripping":
        server.drip = True
    elif fault == "another CA":
        (tmp_path / "other").mkdir()
        ca = Authority(tmp_path / "other").path
    adapter = Adapter(shared, url, http__jwks__ca=str(ca)).wait_listening()
    wait_for("the fault to be told", lambda: "keys_not_loaded" in adapter.daemon.log(), 15)
    line = [x for x in adapter.daemon.log().splitlines() if "keys_not_loaded" in x][0]
    assert told.lower() in line.lower() and url in line, line
    assert not adapter.keys_check()["ok"] and adapter.daemon.admin("/readyz")[0] == 503
    assert adapter.get(RSA.token()).status_code == 503
    assert good.asked == 0, "a redirect is not followed"
    assert adapter.daemon.stop() == 0
    if fault != "down":
        server.stop()
    good.stop()


def test_http_is_taken_from_this_machine(shared):
    server = KeyServer(key_set(RSA))
    adapter = Adapter(shared, server.url).wait_listening()
    wait_for("the keys", lambda: adapter.keys_check()["ok"], 10)
    assert adapter.lets_in(RSA.token())
    assert adapter.daemon.stop() == 0
    server.stop()


@pytest.mark.parametrize("changes, told", [
    ({"http__jwks": None}, "needs http.jwks"),
    ({"http__issuer": None}, "needs http.issuer"),
    ({"http__audience": None}, "needs http.audience"),
    ({"http__user__claim": " "}, "needs http.user.claim"),
    ({"http__scope__claims": ", "}, "needs http.scope.claims"),
    ({"http__jwks": "http://issuer.test/keys"}, "https"),
    ({"http__jwks": "http://127.0.0.1@issuer.test/keys"}, "user"),
    ({"http__jwks": "http://127.0.0.1.issuer.test/keys"}, "https"),
    ({"http__jwks": "file:///etc/passwd"}, "https"),
    ({"http__jwks": "https://"}, "URL"),
    ({"http__auth__leeway": "301s"}, "http.auth.leeway"),
    ({"http__auth": "basic"}, "jwt|token-file|none"),
    ({"http__auth": "token-file"}, "http.token.file"),
    ({"http__auth": "none", "http__listen": "0.0.0.0:1"}, "loopback"),
    ({"http__auth": "none", "http__listen": "127.evil.test:1"}, "loopback"),
    ({"http__auth": "none", "http__listen": ":1"}, "loopback"),
])
def test_what_makes_no_sense_is_said_at_the_start(system, tmp_path, changes, told):
    path = tmp_path / "keys.json"
    path.write_text(key_set(RSA))
    settings = {"http__auth": "jwt", "http__jwks": str(path), "http__issuer": ISSUER,
                "http__audience": AUDIENCE, **changes}
    settings = {key: value for key, value in settings.items() if value is not None}
    daemon = system.adapter(**settings)
    assert daemon.wait(20) == 78
    assert told in daemon.log(), daemon.log()


def test_none_is_loud(system):
    port = cluster_module.free_ports(1)[0]
    daemon = system.adapter(http__auth="none", http__listen=f"127.0.0.1:{port}", http__drain="0")
    wait_for("the warning", lambda: "auth_off" in daemon.log(), 10)
    assert "level=warn" in [x for x in daemon.log().splitlines() if "auth_off" in x][0]


def test_a_token_file_that_everybody_may_read(system, tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"secret {USER} {READ}\n")
    path.chmod(0o644)
    strict = system.adapter(name="strict", http__auth="token-file", http__token__file=str(path),
                            strict="on")
    assert strict.wait(20) == 78 and "0640" in strict.log()
    lax = system.adapter(name="lax", http__auth="token-file", http__token__file=str(path))
    wait_for("the warning", lambda: "secret_exposed" in lax.log(), 10)
    assert "secret " not in lax.log().replace("secret_exposed", "")
