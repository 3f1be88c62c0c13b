"""A Kafka that lets in by TLS, mutual TLS, PLAIN, SCRAM and OAUTHBEARER, with an issuer of
tokens; a Redis with TLS and users.  Each program has a principal of its own, with the
rights that deploy/ gives it and none else."""

import base64
import ctypes
import http.server
import json
import os
import re
import ssl
import subprocess
import threading
import time
import urllib.parse

import key_server
import redis
import tokens
from cluster import JAVA, JVM, ROOT, Cluster, free_ports
from confluent_kafka.admin import (
    AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType, ResourceType,
    ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion)
from programs import BUILD, System, wait_for

PROGRAMS = ("worker", "adapter", "builder", "trigger")
ACLS = ROOT / "deploy" / "kafka-acls.md"
USERS = ROOT / "deploy" / "redis-users.conf"
SCRAM_KAFKA = "3.9.1"  # Kafka 4 lets in no librdkafka before 2.6.1
RESOURCES = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP,
             "transactional id": ResourceType.TRANSACTIONAL_ID}
OPERATIONS = {"Read": AclOperation.READ, "Write": AclOperation.WRITE,
              "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS}

LISTENERS = """\
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location={server}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/
listener.name.password.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.password.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
listener.name.password.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.token.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.token.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.token.oauthbearer.sasl.server.callback.handler.class={validator}
listener.name.token.oauthbearer.connections.max.reauth.ms=60000
sasl.oauthbearer.jwks.endpoint.url={jwks}
sasl.oauthbearer.jwks.endpoint.refresh.ms=2000
sasl.oauthbearer.expected.audience=kafka
sasl.oauthbearer.expected.issuer={issuer}
"""
VALIDATOR = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler"
ALLOWED = "org.apache.kafka.sasl.oauthbearer.allowed.urls"


def has_old_scram():
    """Whether the programs' librdkafka is one that Kafka 4 refuses by SCRAM."""
    return ctypes.CDLL("librdkafka.so.1").rd_kafka_version() < 0x020601ff


def granted(program):
    """(operation, kind, name, is a prefix) for each right of the first table of the paper."""
    table = ACLS.read_text().split("\n\n")
    rows = next(part for part in table if part.startswith("| program")).splitlines()[2:]
    topics, found = [], []
    for row in rows:
        who, operation, of = (cell.strip() for cell in row.strip("|").split("|"))
        if who != program:
            continue
        names = re.findall("`([^`]+)`", re.split(", for ", of)[0])
        kind = next(kind for kind in RESOURCES if kind in of)
        if of.startswith("these"):
            names = list(topics)
        if kind == "topic":
            topics += [name for name in names if name not in topics]
        found += [(operation, kind, name, "begin with" in of) for name in names]
    return found


class Issuer:
    """Gives tokens for client credentials over HTTPS, and its keys over HTTP, which the
    broker asks.  `lifetime` in seconds; `down` answers 503; `asked` counts."""

    def __init__(self, authority, secrets):
        self.secrets = {name: {secret} for name, secret in secrets.items()}
        self.keys = [tokens.Key("first")]
        self.lifetime, self.down, self.asked, self.given = 300, False, 0, []
        self.servers = [self._serve(None), self._serve(authority.context())]
        self.issuer = "https://issuer.test"
        self.jwks = f"http://127.0.0.1:{self.servers[0].server_address[1]}/jwks"
        self.endpoint = f"https://127.0.0.1:{self.servers[1].server_address[1]}/token"

    def _serve(self, context):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(200, json.loads(tokens.key_set(*outer.keys)))

            def do_POST(self):
                outer.asked += 1
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self.answer(*outer._token(self.headers.get("Authorization", ""), body))

            def answer(self, status, what):
                body = json.dumps(what).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def _token(self, authorization, body):
        if self.down:
            return 503, {"error": "temporarily_unavailable"}
        form = urllib.parse.parse_qs(body)
        name, _, secret = base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")
        if form.get("grant_type") != ["client_credentials"] or secret not in self.secrets.get(name, ()):
            return 401, {"error": "invalid_client"}
        now = int(time.time())
        token = self.keys[-1].token(claims={
            "iss": self.issuer, "aud": "kafka", "sub": name, "iat": now, "exp": now + self.lifetime,
            "scope": form.get("scope", [""])[0]})
        self.given.append(token)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()


class Authority(key_server.Authority):
    def certificate_for(self, name, path):
        """A file with key and certificate in which `name` is the subject, for 127.0.0.1."""
        key = key_server.ec.generate_private_key(key_server.ec.SECP256R1())
        certificate = self._certify(self.key, name, key.public_key(), False)
        path.write_bytes(key_server.pem(key) + certificate.public_bytes(key_server.serialization.Encoding.PEM))
        path.chmod(0o600)
        return path


class Secured(Cluster):
    """Its plain listener is the tests' own: whoever comes there may do all."""

    def __init__(self, directory, secrets, kafka=None):
        directory.mkdir(parents=True, exist_ok=True)
        self.secrets = secrets
        self.authority = Authority(directory)
        self.issuer = Issuer(self.authority, secrets)
        self.tls_port, self.mutual_port, self.password_port, self.token_port = free_ports(4)
        java = [*JVM, "-cp", f"{ROOT}/.cache/kafka/{kafka}/libs/*"] if kafka else JAVA
        self.java = [java[0], f"-D{ALLOWED}={self.issuer.jwks}", *java[1:]]
        super().__init__(directory)

    def _format(self):
        super()._format()
        ports = {"TLS": (self.tls_port, "SSL"), "MUTUAL": (self.mutual_port, "SSL"),
                 "PASSWORD": (self.password_port, "SASL_SSL"), "TOKEN": (self.token_port, "SASL_SSL")}
        lines = []
        for line in self.properties.read_text().splitlines():
            if line.startswith(("listeners=", "advertised.listeners=")):
                line += "".join(f",{name}://127.0.0.1:{port}" for name, (port, _) in ports.items())
            if line.startswith("listener.security.protocol.map="):
                line += "".join(f",{name}:{kind}" for name, (_, kind) in ports.items())
            if not line.startswith("super.users="):
                lines.append(line)
        self.base = "\n".join(lines) + "\n"
        self.server = self.authority.certificate_for("broker", self.directory / "broker.pem")
        self.write_properties(self.secrets)

    def write_properties(self, secrets):
        """With these passwords for PLAIN; holds after a restart."""
        users = " ".join(f'user_{name}="{secret}"' for name, secret in secrets.items())
        self.properties.write_text(self.base + LISTENERS.format(
            server=self.server, ca=self.authority.path, users=users, validator=VALIDATOR,
            jwks=self.issuer.jwks, issuer=self.issuer.issuer))

    def start(self):
        super().start()
        self.grant()
        self.set_scram(self.secrets)
        return self

    def stop(self):
        super().stop()
        self.issuer.stop()

    def admin(self):
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def grant(self):
        """What deploy/kafka-acls.md says, to a principal for each program."""
        rows = [AclBinding(RESOURCES[kind], name,
                           ResourcePatternType.PREFIXED if prefix else ResourcePatternType.LITERAL,
                           f"User:{program}", "*", OPERATIONS[operation], AclPermissionType.ALLOW)
                for program in PROGRAMS for operation, kind, name, prefix in granted(program)]
        admin = self.admin()
        for future in admin.create_acls(rows).values():
            future.result(20)

    def set_scram(self, secrets):
        rows = [UserScramCredentialUpsertion(name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096),
                                             secret.encode()) for name, secret in secrets.items()]
        admin = self.admin()
        for future in admin.alter_user_scram_credentials(rows).values():
            future.result(20)


class TlsRedis:
    """A tunnel to a Redis that listens with TLS alone and wants the client's certificate.
    `path`: the socket that the programs come to."""

    def __init__(self, cluster):
        directory, authority = cluster.directory, cluster.authority
        self.server = authority.certificate_for("redis", directory / "redis.pem")
        self.client = authority.certificate_for("tunnel", directory / "tunnel.pem")
        (self.port,) = free_ports(1)
        client = cluster.redis()
        for name, value in (("tls-cert-file", self.server), ("tls-key-file", self.server),
                            ("tls-ca-cert-file", authority.path), ("tls-auth-clients", "yes"),
                            ("tls-port", self.port)):
            client.config_set(name, str(value))
        self.path = directory / "redis.sock"
        settings = directory / "stunnel.conf"
        settings.write_text(f"""\
foreground = yes
pid =
[redis]
client = yes
accept = {self.path}
connect = 127.0.0.1:{self.port}
cert = {self.client}
CAfile = {authority.path}
verifyChain = yes
checkIP = 127.0.0.1
""")
        self.log = open(directory / "stunnel.log", "wb")
        self.process = subprocess.Popen(["stunnel", str(settings)], stdout=self.log, stderr=self.log)
        wait_for("the tunnel", self.answers, 10)

    def answers(self):
        assert self.process.poll() is None, "the tunnel has ended"
        try:
            return redis.Redis(unix_socket_path=str(self.path)).ping()
        except redis.exceptions.RedisError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


class Entry:
    """How programs come to Kafka: the settings of one, from files alone."""

    def __init__(self, name, mechanism=None):
        self.name, self.mechanism = name, mechanism
        self.has_principal = name != "tls"  # else all are anonymous

    def settings(self, system, program):
        cluster = system.cluster
        found = {"kafka.ssl.ca.location": cluster.authority.path}
        port = {"tls": cluster.tls_port, "mutual": cluster.mutual_port, "plain": cluster.password_port,
                "scram": cluster.password_port, "token": cluster.token_port}[self.name]
        found["kafka.bootstrap.servers"] = f"127.0.0.1:{port}"
        found["kafka.security.protocol"] = "sasl_ssl" if self.mechanism else "ssl"
        if self.name == "mutual":
            found["kafka.ssl.certificate.location"] = system.certificate(program)
            found["kafka.ssl.key.location"] = system.certificate(program)
        if self.mechanism:
            found["kafka.sasl.mechanisms"] = self.mechanism
        if self.name in ("plain", "scram"):
            found["kafka.sasl.username"] = program
            found["kafka.sasl.password.file"] = system.secret(program)
        if self.name == "token":
            found.update({
                "kafka.sasl.oauthbearer.method": "oidc", "kafka.sasl.oauthbearer.client.id": program,
                "kafka.sasl.oauthbearer.client.secret.file": system.secret(program),
                "kafka.sasl.oauthbearer.token.endpoint.url": cluster.issuer.endpoint,
                "kafka.sasl.oauthbearer.scope": "runs of schedules",
                "kafka.https.ca.location": cluster.authority.path})
        return found


ENTRIES = {"tls": Entry("tls"), "mutual": Entry("mutual"), "plain": Entry("plain", "PLAIN"),
           "scram": Entry("scram", "SCRAM-SHA-512"), "token": Entry("token", "OAUTHBEARER")}


class SecuredSystem(System):
    """Each program is its own principal in Kafka and its own user of Redis."""

    def __init__(self, cluster, directory, entry, redis_url=None):
        super().__init__(cluster, directory)
        self.entry, self.redis_url = entry, redis_url or self.redis_url
        self.setup = System(cluster, directory)  # by the tests' own listener
        self.redis_passwords = {name: f"redis-secret-of-{name}-{os.urandom(6).hex()}" for name in PROGRAMS}
        for name, password in self.redis_passwords.items():
            self.file(f"{name}.redis", password)
            self.set_redis_user(name, [password])
        for name, secret in cluster.secrets.items():
            self.file(f"{name}.secret", secret)
            cluster.authority.certificate_for(name, self.certificate(name))

    def file(self, name, content):
        path = self.directory / name
        path.touch(0o600)
        path.write_text(content)
        return path

    def secret(self, program):
        return self.directory / f"{program}.secret"

    def certificate(self, program):
        return self.directory / f"{program}.pem"

    def set_redis_user(self, name, passwords):
        """As deploy/redis-users.conf has it, but for the password."""
        (words,) = [line.split() for line in USERS.read_text().splitlines() if line.startswith(f"user {name} ")]
        rules = [rule for word in words[2:] for rule in (
            [f">{password}" for password in passwords] if word.startswith("#") else [word])]
        self.cluster.redis().execute_command("ACL", "SETUSER", name, "reset", *rules)

    def flags(self):
        return ["--redis", self.redis_url]

    def of(self, program):
        """The settings of a program, as keys of `System.worker` and the like."""
        return {"redis.username": program, "redis.password.file": self.directory / f"{program}.redis",
                **self.entry.settings(self, program)}

    def check(self, program, option, timeout="30s"):
        words = [word for key, value in self.of(program).items() for word in ("-s", f"{key}={value}")]
        return subprocess.run([str(BUILD / "schedrun"), *self.flags(), *words, "--timeout", timeout, "check", "--for", option],
                              capture_output=True, text=True, timeout=120, cwd=self.directory)

    def client(self, program):
        """Settings of another Kafka client, as this program's principal, over PLAIN."""
        return {"bootstrap.servers": f"127.0.0.1:{self.cluster.password_port}", "log_level": 0,
                "security.protocol": "sasl_ssl", "ssl.ca.location": str(self.cluster.authority.path),
                "sasl.mechanisms": "PLAIN", "sasl.username": program,
                "sasl.password": self.cluster.secrets[program]}
