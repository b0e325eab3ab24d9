"""Addresses from documents lead to allowed, public hosts, or nowhere."""

import datetime
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from resources.downloads import https_target
from resources.downloads.public_download import PublicDownload, public_addresses
from sunriza_assets.errors import StoreError

HOST = "media.example.com"
ALLOWED = (HOST, "10.0.0.1")


class _Site(BaseHTTPRequestHandler):
    """A small website; its response depends on the path."""

    def do_GET(self) -> None:
        self.server.seen.append((self.headers["Host"], self.path))  # type: ignore[attr-defined]
        answers: dict[str, tuple[int, dict[str, str], bytes]] = {
            "/ok.mp4?token=secret": (200, {"Content-Length": "5"}, b"video"),
            "/unsaid": (200, {}, b"x" * 5000),
            "/huge": (200, {"Content-Length": "99999999999"}, b""),
            "/zipped": (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b"),
            "/away": (302, {"Location": "/ok.mp4?token=secret"}, b""),
            "/private": (302, {"Location": "https://10.0.0.1/"}, b""),
            "/metadata": (302, {"Location": "http://169.254.169.254/"}, b""),
            "/elsewhere": (302, {"Location": "https://evil.example/"}, b""),
            "/nowhere": (302, {"Location": "https://[/"}, b""),
            "/round": (302, {"Location": "/round"}, b""),
        }
        status, headers, body = answers.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the test's host, signed by itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "site.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def site(authority: Path) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    server.seen = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def fetch(site: Any, authority: Path, tmp_path: Path) -> Callable[..., Path]:
    """Downloads from the site, whose address passes for a public one."""

    def addresses(host: str) -> list[str]:
        return ["127.0.0.1"] if host == HOST else public_addresses(host)

    def run(url: str, max_bytes: int = 1000, allowed: tuple[str, ...] = ALLOWED) -> Path:
        downloads = PublicDownload(
            allowed,
            addresses=addresses,
            port=site.server_address[1],
            authorities=str(authority),
        )
        return downloads.fetch(url, tmp_path / "file", max_bytes=max_bytes)

    return run


def test_an_allowed_address_is_read(fetch: Callable[..., Path], site: Any) -> None:
    assert fetch(f"https://{HOST}/ok.mp4?token=secret").read_bytes() == b"video"
    assert site.seen == [(HOST, "/ok.mp4?token=secret")]
    assert fetch(f"https://{HOST}/away").read_bytes() == b"video"
    assert fetch(f"https://{HOST.upper()}:443/unsaid", 5000).stat().st_size == 5000


def test_a_leading_dot_allows_subdomains(fetch: Callable[..., Path]) -> None:
    url = f"https://{HOST}/ok.mp4?token=secret"
    assert fetch(url, allowed=(".example.com",)).read_bytes() == b"video"
    for allowed in ((), ("example.com",), (".ple.com",), ("xmedia.example.com",)):
        with pytest.raises(StoreError, match="SUNRIZA_ALLOWED_HOSTS"):
            fetch(url, allowed=allowed)


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}/ok.mp4?token=secret",
        f"https://{HOST}:8443/",
        f"https://user:word@{HOST}/",
        "https://evil.example/",
        f"https://{HOST}.evil.example/",
        f"https://evil.example#@{HOST}/",
        "https://[::1]/",
        "https://",
        "ftp://x",
        "https://[",
        f"https://{HOST}:99999/",
        f"https://{HOST}/{'x' * 10_000}",
        f"https://a\0.{HOST}/",
        f"https://\u00fc.{HOST}/",
    ],
)
def test_other_addresses_are_not_asked(fetch: Callable[..., Path], site: Any, url: str) -> None:
    with pytest.raises(StoreError) as caught:
        fetch(url)
    assert caught.value.code == "store.address"
    assert site.seen == []


@pytest.mark.parametrize(
    "path", ["/private", "/metadata", "/elsewhere", "/nowhere", "/round", "/zipped"]
)
def test_redirects_and_tricks_are_refused(
    fetch: Callable[..., Path], path: str, tmp_path: Path
) -> None:
    with pytest.raises(StoreError) as caught:
        fetch(f"https://{HOST}{path}")
    assert caught.value.code == "store.address"
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("path", ["/unsaid", "/huge"])
def test_what_is_too_large_is_not_kept(
    fetch: Callable[..., Path], path: str, tmp_path: Path
) -> None:
    with pytest.raises(StoreError) as caught:
        fetch(f"https://{HOST}{path}")
    assert caught.value.code == "store.too_large"
    assert list(tmp_path.iterdir()) == []


def test_errors_do_not_quote_tokens(fetch: Callable[..., Path]) -> None:
    with pytest.raises(StoreError) as caught:
        fetch(f"https://{HOST}/gone?token=secret")
    assert "secret" not in caught.value.message


def test_the_certificate_must_be_for_the_host(site: Any, authority: Path, tmp_path: Path) -> None:
    """Whoever answers at the checked address must prove to be the host."""
    downloads = PublicDownload(
        ["other.example.com"],
        addresses=lambda _: ["127.0.0.1"],
        port=site.server_address[1],
        authorities=str(authority),
    )
    with pytest.raises(StoreError):
        downloads.fetch("https://other.example.com/", tmp_path / "file", max_bytes=10)
    assert site.seen == []


def test_a_name_is_resolved_once(site: Any, authority: Path, tmp_path: Path) -> None:
    """A name server that gives a public address first and a private one later gains nothing."""
    asked: list[str] = []

    def rebinding(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    downloads = PublicDownload(
        [HOST], addresses=rebinding, port=site.server_address[1], authorities=str(authority)
    )
    downloads.fetch(f"https://{HOST}/ok.mp4?token=secret", tmp_path / "file", max_bytes=10)
    assert asked == [HOST]


PRIVATE = [
    # Of each range its ends; from IANA's registries of special-purpose addresses.
    # this network
    "0.0.0.0", "0.255.255.255",  # noqa: S104  refused here, not bound
    # private
    "10.0.0.0", "10.1.2.3", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0",
    "192.168.255.255",
    # carriers
    "100.64.0.0", "100.127.255.255",
    # this host
    "127.0.0.1", "127.255.255.255", "::1", "::",
    # this link
    "169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::1%eth0", "febf::1",
    # protocol assignments
    "192.0.0.0", "192.0.0.8", "192.0.0.9", "192.0.0.170", "192.0.0.255", "2001:1::1",
    "2001:1ff::1",
    # documentation
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "2001:db8:ffff::", "3fff::1",
    "3fff:fff::1",
    # AS112 and AMT
    "192.31.196.1", "192.52.193.1", "192.175.48.1", "2620:4f:8000::1", "2001:4:112::1",
    "2001:3::1",
    # 6to4 relays
    "192.88.99.0", "192.88.99.1", "192.88.99.255",
    # benchmarks
    "198.18.0.0", "198.19.255.255", "2001:2::1",
    # multicast
    "224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1",
    # reserved
    "240.0.0.1", "255.255.255.254", "255.255.255.255",
    # site-local
    "fec0::1", "feff::1",
    # unique local
    "fc00::1", "fdff::1",
    # discard
    "100::1",
    # segment routing
    "5f00::1",
    # Teredo
    "2001:0:1:2:3:4:5:6",
    # ORCHID
    "2001:10::1", "2001:20::1", "2001:30::1",
    # 6to4
    "2002:a00:1::", "2002:7f00:1::", "2002:5db8:d70e::1",
    # mapped
    "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:100.64.0.1", "::ffff:0.0.0.0",
    # compatible
    "::10.0.0.1", "::93.184.215.14",
    # translated
    "::ffff:0:10.0.0.1", "::ffff:0:93.184.215.14",
    # NAT64
    "64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::c000:0",
    # local NAT64
    "64:ff9b:1::a00:1", "64:ff9b:1::5db8:d70e", "64:ff9b:0:1::1",
    # never given out
    "1::1", "400::1", "4000::1", "8000::1", "c000::1", "e000::1", "f000::1", "f800::1",
]  # fmt: skip
PUBLIC = [
    # The neighbours of those ranges, and the addresses that some names really have.
    "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
    "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0",
    "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255",
    "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255", "93.184.215.14",
    "2000::1", "2001:200::1", "2001:db7:ffff::1", "2001:db9::1", "2001:4860:4860::8888",
    "2003::1", "2400:cb00::1", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2620:4f:7fff::1",
    "2620:4f:8001::1", "2a00:1450::1", "3ffe:ffff::1", "3fff:1000::1", "64:ff9b::5db8:d70e",
    "::ffff:93.184.215.14",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    answers = [(0, 0, 0, "", ("93.184.215.14", 443)), (0, 0, 0, "", (address, 443))]
    monkeypatch.setattr(https_target.socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(StoreError, match="private"):
        public_addresses("rebinding.example")


def test_public_addresses_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(0, 0, 0, "", (address, 443)) for address in PUBLIC]
    monkeypatch.setattr(https_target.socket, "getaddrinfo", lambda *_, **__: answers)
    assert public_addresses("example.com") == PUBLIC
