"""A server of signing certificates, as Google publishes them, and the tokens that they verify."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

PROJECT = "sunriza-test"


@dataclass
class SigningKey:
    """An RSA key with its self-signed certificate."""

    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )

    def certificate(self) -> str:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securetoken")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=14))
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, text: bytes) -> bytes:
        return self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())


@dataclass
class KeyServer:
    """Publishes certificates by key id; `asked` counts the requests."""

    keys: dict[str, SigningKey] = field(default_factory=lambda: {"k1": SigningKey()})
    url: str = ""
    asked: int = 0
    status: int = 200
    max_age: int = 3600
    answering: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answering.set()

    def token(
        self,
        *,
        header: dict[str, Any] | None = None,
        signer: SigningKey | None = None,
        hmac_key: bytes | None = None,
        signature: bytes | None = None,
        **claims: Any,
    ) -> str:
        """A token that is right, but for what is given; a claim of None is left out."""
        now = int(time.time())
        head = {"alg": "RS256", "kid": "k1", "typ": "JWT", **(header or {})}
        body = {
            "iss": f"https://securetoken.google.com/{PROJECT}",
            "aud": PROJECT,
            "sub": "user-1",
            "user_id": "user-1",
            "auth_time": now - 60,
            "iat": now - 30,
            "exp": now + 3600,
            **claims,
        }
        body = {name: value for name, value in body.items() if value is not None}
        signed = f"{_encoded(json.dumps(head))}.{_encoded(json.dumps(body))}"
        if hmac_key is not None:
            signature = hmac.new(hmac_key, signed.encode(), hashlib.sha256).digest()
        elif signature is None:
            signature = (signer or self.keys["k1"]).sign(signed.encode())
        return f"{signed}.{_encoded(signature)}"


def _encoded(part: str | bytes) -> str:
    data = part.encode() if isinstance(part, str) else part
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def key_server() -> Iterator[KeyServer]:
    published = KeyServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            published.asked += 1
            published.answering.wait(30)
            body = json.dumps(
                {key_id: key.certificate() for key_id, key in published.keys.items()}
            ).encode()
            self.send_response(published.status)
            self.send_header("Cache-Control", f"public, max-age={published.max_age}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    published.url = f"http://127.0.0.1:{server.server_port}/certs"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield published
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
