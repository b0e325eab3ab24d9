"""The signing key of an installation: an ES256 key and the certificates that go with it.

    <folder>/signing.pem             private key, certificate, root certificate (0600)
    <folder>/former-<serial>.pem     certificates of keys that were replaced

The root signs the one certificate and its private key is then dropped: nobody can sign another.
C2PA takes no certificate that has signed itself, hence the two.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sunriza_assets.atomic import lock, make_folder, replaced, store_errors
from sunriza_assets.errors import StoreError

if TYPE_CHECKING:
    from cryptography.x509 import KeyUsage

__all__ = [
    "KEY_NAME",
    "SigningKey",
    "ensure_key",
    "expires_soon",
    "key_from_pem",
    "known_roots",
    "load_key",
    "make_key",
    "rotate_key",
]

KEY_NAME: Final = "signing.pem"
"""File name of the key in its folder."""
_VALID: Final = timedelta(days=3650)
_RENEWED_BEFORE: Final = timedelta(days=30)
"""A key that expires sooner is replaced."""
_CLOCK_SKEW: Final = timedelta(days=1)
_ORGANISATION: Final = "Sunriza Assets"
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs marks."""

    private_pem: bytes = field(repr=False)
    """PKCS #8, not encrypted."""
    chain_pem: bytes
    """The certificate, then those above it."""
    name: str
    """Common name of the certificate; names no person and no machine."""
    fingerprint: str
    """SHA-256 of the certificate, 64 hex digits."""
    expires: datetime
    """When the certificate does, UTC."""
    former_pem: bytes = b""
    """Roots of former keys, whose marks are known, too."""

    @property
    def root_pem(self) -> bytes:
        """The topmost certificate: what a verifier has to trust."""
        return _certificates(self.chain_pem)[-1]

    def to_pem(self) -> bytes:
        """Everything, as it is stored."""
        return self.private_pem + self.chain_pem + self.former_pem


def make_key(*, now: datetime | None = None) -> SigningKey:
    """A new key with its own root, valid for ten years.

    Args:
        now: the current time, UTC.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    at = now or datetime.now(UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    serial = x509.random_serial_number()
    name = f"Sunriza installation {serial & 0xFFFFFFFF:08x}"

    def named(text: str) -> x509.Name:
        return x509.Name([
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ])  # fmt: skip

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(named(f"{name} root"))
            .public_key(public)
            .not_valid_before(at - _CLOCK_SKEW)
            .not_valid_after(at + _VALID)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )

    root = (
        builder(named(f"{name} root"), root_key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    # C2PA 2.2, 14.5.1: an end entity's certificate signs only and names a purpose
    certificate = (
        builder(named(name), key.public_key())
        .serial_number(serial)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
        .add_extension(issuer, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return _checked(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        certificate.public_bytes(pem) + root.public_bytes(pem),
        where=None,
    )


def load_key(path: Path) -> SigningKey:
    """A key from its file, see `key_from_pem`.

    Raises:
        StoreError: it cannot be read (`store.read`), or is no such file (`store.key`).
    """
    with store_errors("read", path):
        content = path.read_bytes()
    return key_from_pem(content, where=path)


def key_from_pem(content: bytes, *, where: object = None) -> SigningKey:
    """A key from PEM: private key, certificate, those above it, then roots of former keys.

    Args:
        content: the text.
        where: named in errors.

    Raises:
        StoreError: `store.key`: it is no such text.
    """
    private, begin, rest = content.partition(_BEGIN)
    return _checked(private, begin + rest, where=where)


def ensure_key(folder: Path) -> SigningKey:
    """The key of a folder, made where it is missing, replaced where it is about to expire.

    Raises:
        StoreError: it cannot be read or written, or is damaged.
    """
    path = folder / KEY_NAME
    if path.exists():
        key = load_key(path)
        if not expires_soon(key):
            return key
    with _locked(folder):
        if path.exists():
            key = load_key(path)  # another process may have made it meanwhile
            if not expires_soon(key):
                return key
        return _replace_key(folder)


def rotate_key(folder: Path) -> SigningKey:
    """Replace the key of a folder; the former certificates stay, so that old marks are known.

    Raises:
        StoreError: it cannot be written.
    """
    with _locked(folder):
        return _replace_key(folder)


def known_roots(folder: Path, key: SigningKey | None = None) -> bytes:
    """Root certificates of a folder's keys, present and former, and of a further key; PEM.

    Files that are damaged are left out: what they have signed is then of an unknown signer.

    Raises:
        StoreError: one cannot be read.
    """
    roots = [] if key is None else [key.root_pem, *_certificates(key.former_pem)]
    for path in sorted(folder.glob("*.pem")) if folder.is_dir() else []:
        with store_errors("read", path):
            found = _certificates(path.read_bytes())
        roots += found[1:]
    return b"".join(dict.fromkeys(roots))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a key's folder, which is made for its owner alone where it is missing."""
    make_folder(folder.parent)
    with store_errors("make", folder):
        folder.mkdir(mode=0o700, exist_ok=True)
    with lock(folder / ".lock"):
        yield


def _replace_key(folder: Path) -> SigningKey:
    """Write a new key; the certificates of the former one first, so that they are never lost."""
    path = folder / KEY_NAME
    if path.exists():
        with store_errors("read", path):
            chain = b"".join(_certificates(path.read_bytes()))
        if chain:
            _write(folder / f"former-{sha256(chain).hexdigest()[:16]}.pem", chain)
    key = make_key()
    _write(path, key.to_pem())
    return key


def _write(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read, from its first byte on."""
    with replaced(path) as part:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def expires_soon(key: SigningKey) -> bool:
    """Whether it is time to replace a key."""
    return key.expires - datetime.now(UTC) < _RENEWED_BEFORE


def _usage(*, signs_certificates: bool) -> "KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _certificates(pem: bytes) -> list[bytes]:
    """The certificates in a text, each as PEM."""
    return list(_iter_certificates(pem))


def _iter_certificates(pem: bytes) -> Iterator[bytes]:
    end = b"-----END CERTIFICATE-----"
    for piece in pem.split(_BEGIN)[1:]:
        body, found, _ = piece.partition(end)
        if found:
            yield _BEGIN + body + end + b"\n"


def _checked(private_pem: bytes, certificates_pem: bytes, *, where: object) -> SigningKey:
    """A key whose parts belong together.

    Raises:
        StoreError: `store.key`: they do not.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    try:
        private = serialization.load_pem_private_key(private_pem, password=None)
        certificates = x509.load_pem_x509_certificates(certificates_pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise _no_key(where, "it cannot be read") from problem
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
        raise _no_key(where, "it is no ES256 key (P-256)")
    if certificates[0].public_key() != private.public_key():
        raise _no_key(where, "its first certificate belongs to another key")
    ends = [i for i, one in enumerate(certificates) if one.issuer == one.subject]
    length = ends[0] + 1 if ends else len(certificates)  # those of a CA come without its root
    if length < 2:
        raise _no_key(where, "the certificate of whoever issued it is missing")
    pieces = _certificates(certificates_pem)
    names = certificates[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return SigningKey(
        private_pem,
        b"".join(pieces[:length]),
        str(names[0].value) if names else "without a name",
        certificates[0].fingerprint(hashes.SHA256()).hex(),
        certificates[0].not_valid_after_utc,
        b"".join(pieces[i] for i in ends if i >= length),
    )


def _no_key(where: object, why: str) -> StoreError:
    return StoreError(
        f"This is no signing key: {why}",
        where=where,
        remedy="A PEM file with a P-256 private key, its certificate and those above it is"
        " expected. `sunriza keys signing --rotate` makes a new one.",
        code="key",
    )
