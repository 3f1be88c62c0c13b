"""Keys, key sets and tokens as an issuer makes them, and as an attacker does."""

import base64
import hashlib
import hmac
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

ISSUER, AUDIENCE = "https://issuer.test", "schedrun"
READ, WRITE = "api:orchestration-read", "api:orchestration-write"
USER = "f05f8da4-b84c-4fca-9c77-8af0b13d11de"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A signing key with its JWK; `kind` is RS256 or ES256."""

    def __init__(self, kid, kind="RS256", bits=2048):
        self.kid, self.kind = kid, kind
        if kind == "RS256":
            self.private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
            n = self.private.public_key().public_numbers()
            self.jwk = {"kty": "RSA", "kid": kid, "use": "sig", "alg": kind,
                        "n": number(n.n), "e": number(n.e)}
        else:
            self.private = ec.generate_private_key(ec.SECP256R1())
            n = self.private.public_key().public_numbers()
            self.jwk = {"kty": "EC", "kid": kid, "crv": "P-256",
                        "x": number(n.x, 32), "y": number(n.y, 32)}

    def pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, message):
        if self.kind == "RS256":
            return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        r, s = utils.decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def token(self, header=None, claims=None, **changes):
        """A good token but for what `header`, `claims` (JSON text or object) and
        `changes` (of single claims; None takes one out) say."""
        if header is None:
            header = {"alg": self.kind, "kid": self.kid}
        if claims is None:
            claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": USER, "exp": int(time.time()) + 600,
                      "scope": f"{READ} {WRITE}", **changes}
            claims = {k: v for k, v in claims.items() if v is not None}
        parts = [p if isinstance(p, str) else json.dumps(p) for p in (header, claims)]
        message = ".".join(b64(p.encode()) for p in parts)
        return f"{message}.{b64(self.sign(message.encode()))}"


def key_set(*keys):
    return json.dumps({"keys": [key if isinstance(key, dict) else key.jwk for key in keys]})


def unsigned(header, token, signature=""):
    """The claims of a token under another header."""
    return f"{b64(json.dumps(header).encode())}.{token.split('.')[1]}.{signature}"


def with_hmac(header, token, secret):
    message = unsigned(header, token)[:-1]
    return f"{message}.{b64(hmac.new(secret, message.encode(), hashlib.sha256).digest())}"
