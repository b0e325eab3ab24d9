"""The signing key: closed to others, made once, replaced without losing what it has signed."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sunriza_assets.errors import StoreError
from sunriza_assets.studio.marks import key as module
from sunriza_assets.studio.marks.key import (
    KEY_NAME,
    SigningKey,
    ensure_key,
    known_roots,
    load_key,
    make_key,
    rotate_key,
)


def test_a_key_is_closed_to_others_wherever_it_lies(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = tmp_path / "keys"
    made = ensure_key(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert load_key(folder / KEY_NAME) == made == ensure_key(folder)
    assert "PRIVATE" not in repr(made)


def test_its_certificate_is_verified_by_its_root(key: SigningKey) -> None:
    certificate, root = x509.load_pem_x509_certificates(key.chain_pem)
    certificate.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    names = {part.value for part in certificate.subject}
    assert names == {"Sunriza Assets", key.name}, "neither a person nor a machine"
    assert timedelta(days=3600) < key.expires - datetime.now(UTC) < timedelta(days=3700)


def test_many_at_once_get_one_key(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(ensure_key(tmp_path / "k").fingerprint))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 4


def test_rotating_keeps_the_former_certificates_and_no_former_private_key(tmp_path: Path) -> None:
    first = ensure_key(tmp_path / "k")
    second = rotate_key(tmp_path / "k")
    third = rotate_key(tmp_path / "k")
    roots = known_roots(tmp_path / "k")
    assert {x509.load_pem_x509_certificates(roots)[i] for i in range(3)} == {
        x509.load_pem_x509_certificate(one.root_pem) for one in (first, second, third)
    }
    private = [p for p in (tmp_path / "k").glob("*.pem") if b"PRIVATE" in p.read_bytes()]
    assert [path.name for path in private] == [KEY_NAME]
    assert load_key(tmp_path / "k" / KEY_NAME) == third


def test_a_rotation_that_dies_half_way_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ensure_key(tmp_path / "k")

    def die() -> SigningKey:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "make_key", die)
    with pytest.raises(KeyboardInterrupt):
        rotate_key(tmp_path / "k")
    assert ensure_key(tmp_path / "k") == first
    assert known_roots(tmp_path / "k").count(b"BEGIN") == 1


def test_a_key_that_is_about_to_expire_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "k").mkdir(mode=0o700)
    old = make_key(now=datetime.now(UTC) - timedelta(days=3630))
    (tmp_path / "k" / KEY_NAME).write_bytes(old.to_pem())
    new = ensure_key(tmp_path / "k")
    assert new != old
    assert old.root_pem in known_roots(tmp_path / "k")
    assert ensure_key(tmp_path / "k") == new


def test_what_is_no_key_is_refused_by_name(tmp_path: Path, key: SigningKey) -> None:
    other = make_key()
    path = tmp_path / "key.pem"
    for content in (
        b"",
        b"hello",
        key.private_pem,
        key.chain_pem,
        other.private_pem + key.chain_pem,
        key.private_pem + key.chain_pem.partition(b"-----END CERTIFICATE-----\n")[0],
        key.private_pem + key.root_pem,
    ):
        path.write_bytes(content)
        with pytest.raises(StoreError) as refusal:
            load_key(path)
        assert refusal.value.code == "store.key"
        assert "--rotate" in str(refusal.value.remedy)
    with pytest.raises(StoreError) as refusal:
        load_key(tmp_path / "missing.pem")
    assert refusal.value.code == "store.read"


def test_roots_of_nothing_are_none(tmp_path: Path, key: SigningKey) -> None:
    assert known_roots(tmp_path / "k") == b""
    assert known_roots(tmp_path / "k", key) == key.root_pem
    assert isinstance(x509.load_pem_x509_certificate(key.root_pem).public_key(),
                      ec.EllipticCurvePublicKey)  # fmt: skip
