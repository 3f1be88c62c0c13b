"""An HTTPS server with a CA of its own that gives out a key set, well or badly."""

import datetime
import http.server
import ipaddress
import ssl
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class Authority:
    """Makes certificates for 127.0.0.1; its own is in `path`."""

    def __init__(self, directory):
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = f"test CA {directory.name}"
        self.certificate = self._certify(self.key, self.name, self.key.public_key(), True)
        self.path = directory / "ca.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _certify(self, signer, subject, public_key, is_ca):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateBuilder().subject_name(name(subject))
                   .issuer_name(name(self.name)).public_key(public_key)
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(hours=1))
                   .not_valid_after(now + datetime.timedelta(days=1))
                   .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), True))
        if not is_ca:
            builder = builder.add_extension(x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        return builder.sign(signer, hashes.SHA256())

    def context(self):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certify(self.key, "127.0.0.1", key.public_key(), False)
        path = self.directory / "server.pem"
        path.write_bytes(pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


class KeyServer:
    """`body`, `status`, `delay` may be changed while it runs; `asked` counts GETs."""

    def __init__(self, body, context=None):
        self.body, self.status, self.delay, self.location = body, 200, 0, None
        self.drip = False  # a byte every 0.2 s
        self.asked = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                try:
                    outer._answer(self)
                except OSError:
                    pass  # the client has had enough

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        if context:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_address[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}/keys"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def _answer(self, handler):
        time.sleep(self.delay)  # the fault itself: a slow server
        body = self.body if isinstance(self.body, bytes) else self.body.encode()
        handler.send_response(self.status)
        if self.location:
            handler.send_header("Location", self.location)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if not self.drip:
            handler.wfile.write(body)
            return
        for i in range(len(body)):
            handler.wfile.write(body[i:i + 1])
            handler.wfile.flush()
            time.sleep(0.2)

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
