"""Kafka over TLS: certificates that are wrong, over, replaced under load; wrong passwords."""

import os
import re
import subprocess

import catalogues
import injected
import pytest
from chaos_host import clock
from cluster import PASSWORD, Cluster, free_ports
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from injected import fair
from programs import System, wait_for
from proxy import Proxy

STORES = """\
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location={good}
listener.name.expired.ssl.keystore.type=PEM
listener.name.expired.ssl.keystore.location={expired}
"""


def openssl(*words, environment=None):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True,
                   env={**os.environ, **(environment or {})})


class Authority:
    """Makes certificates for 127.0.0.1."""

    def __init__(self, directory, name):
        self.directory, self.name = directory, name
        self.certificate, self.key = directory / f"{name}.crt", directory / f"{name}.key"
        self.past, _ = clock(directory / f"{name}-clock", ahead=-30 * 86400)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.certificate,
                "-days", 3650, "-subj", f"/CN={name}", environment=self.past)

    def sign(self, name, past=False):
        """A file with key and certificate, as Kafka reads them."""
        stem = self.directory / name
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{stem}.key", "-out", f"{stem}.csr",
                "-subj", "/CN=broker")
        stem.with_suffix(".ext").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", f"{stem}.csr", "-CA", self.certificate, "-CAkey", self.key,
                "-CAcreateserial", "-days", 10, "-extfile", f"{stem}.ext", "-out", f"{stem}.crt",
                environment=self.past if past else None)
        both = stem.with_suffix(".pem")
        both.write_text(stem.with_suffix(".key").read_text() + stem.with_suffix(".crt").read_text())
        return both


class TlsCluster(Cluster):
    def __init__(self, directory):
        directory.mkdir()
        self.authority = Authority(directory, "authority")
        self.tls_port, self.tls_proxy_port, self.expired_port = free_ports(3)
        super().__init__(directory)

    def _format(self):
        super()._format()
        lines = self.properties.read_text().splitlines()
        for i, line in enumerate(lines):
            if line.startswith("listeners="):
                lines[i] += f",TLS://127.0.0.1:{self.tls_port},EXPIRED://127.0.0.1:{self.expired_port}"
            if line.startswith("advertised.listeners="):
                lines[i] += f",TLS://127.0.0.1:{self.tls_proxy_port},EXPIRED://127.0.0.1:{self.expired_port}"
            if line.startswith("listener.security.protocol.map="):
                lines[i] += ",TLS:SSL,EXPIRED:SSL"
        self.properties.write_text("\n".join(lines) + "\n" + STORES.format(
            good=self.authority.sign("good"), expired=self.authority.sign("expired", past=True)))

    def rotate(self):
        """The broker takes another certificate of the same authority."""
        path = self.authority.sign("rotated")
        entry = ConfigEntry("listener.name.tls.ssl.keystore.location", str(path),
                            incremental_operation=AlterConfigOpType.SET)
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for future in admin.incremental_alter_configs(
                [ConfigResource("broker", "1", incremental_configs=[entry])]).values():
            future.result(30)


@pytest.fixture
def system(tmp_path):
    """In place of the one without TLS."""
    cluster = TlsCluster(tmp_path / "cluster")
    try:
        cluster.start()
        system = System(cluster, tmp_path)
        yield system
        system.stop()
    finally:
        cluster.stop()


def presented(port):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}"], input="", text=True,
                          capture_output=True)
    return done.stdout[done.stdout.index("-----BEGIN"):done.stdout.index("-----END")]


def test_a_certificate_that_is_replaced_under_load(campaign, system):
    """Row 42: all connections are cut, and the new ones see the new certificate."""
    proxy = Proxy(("127.0.0.1", system.cluster.tls_port), system.cluster.tls_proxy_port)
    try:
        chaos = campaign(name="rotated", workers=2, **{
            "bootstrap.servers": f"127.0.0.1:{proxy.port}", "security.protocol": "ssl",
            "ssl.ca.location": system.cluster.authority.certificate})
        before = presented(system.cluster.tls_port)
        system.cluster.rotate()
        injected.note("another certificate")
        wait_for("the broker to show it", lambda: presented(system.cluster.tls_port) != before)
        chaos.pause(1, 3)
        proxy.reset()
        chaos.recover(15)
        chaos.judge()
    finally:
        proxy.close()


def test_what_is_wrong_is_named(system):
    """Row 42: another authority, a certificate that is over, a port without TLS, a wrong
    password: exit 77, or waits for ever; the file or reason is told, no secret."""
    cluster = system.cluster
    system.init(partitions=2)
    system.apply(catalogues.many(10))
    other = Authority(system.directory, "other").certificate
    right = cluster.authority.certificate
    secret = system.directory / "secret"
    secret.write_text("not-the-password")
    secret.chmod(0o600)
    tls = lambda port, ca: {"bootstrap.servers": f"127.0.0.1:{port}", "security.protocol": "ssl",  # noqa: E731
                            "ssl.ca.location": ca}
    cases = [
        ("another authority", tls(cluster.tls_port, other), "certificate verify failed|self.signed|unable to get"),
        ("expired", tls(cluster.expired_port, right), "expired|certificate verify failed"),
        ("a port without TLS", tls(cluster.broker_port, right), "SSL|PLAINTEXT"),
        ("no such file", tls(cluster.tls_port, "/nowhere/ca.pem"), "/nowhere/ca.pem"),
        ("a wrong password", {
            "bootstrap.servers": f"127.0.0.1:{cluster.guarded_port}", "security.protocol": "sasl_plaintext",
            "sasl.mechanisms": "PLAIN", "sasl.username": "app", "kafka.sasl.password.file": secret},
         "uthentication"),
    ]
    for i, (what, settings, reason) in enumerate(cases):
        worker = system.worker(f"wrong-{i}", **settings)
        injected.note(what)
        wait_for(f"{what} to be told", lambda: told(worker, reason), fair(30))
        print(f"    {what}: exit {worker.process.poll()}: {worker.log().splitlines()[-1][:200]}")
        assert worker.stop() in (0, 77, 78), worker.tail()
        for word in ("not-the-password", PASSWORD, "PRIVATE KEY"):
            assert word not in worker.log()


def told(worker, reason):
    return re.search(reason, worker.log())
