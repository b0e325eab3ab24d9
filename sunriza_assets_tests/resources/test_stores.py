"""The stores are chosen by configuration alone, and nothing secret comes out of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from resources.avatars.firestore import FirestoreAvatars
from resources.avatars.local import LocalAvatars
from resources.firebase import FirebaseSettings
from resources.settings import Settings
from resources.storage.firebase import FirebaseStorage
from resources.stores import describe_stores, open_stores
from sunriza_assets.errors import ParameterError, StoreError
from sunriza_assets_tests.resources.avatars.avatar_store_contract import INPUTS
from sunriza_assets_tests.resources.avatars.firestore_fixtures import firestore_server, own_server
from sunriza_assets_tests.resources.storage.storage_fixtures import (
    own_bucket_server,
    storage_server,
)
from sunriza_assets_tests.servers.firestore.server import FirestoreServer
from sunriza_assets_tests.servers.storage.server import StorageServer

__all__ = ["firestore_server", "own_bucket_server", "own_server", "storage_server"]

SETTINGS = (
    "SUNRIZA_STORE",
    "SUNRIZA_FIREBASE_PROJECT",
    "SUNRIZA_FIREBASE_BUCKET",
    "SUNRIZA_FIRESTORE_DATABASE",
    "GOOGLE_CLOUD_PROJECT",
    "FIREBASE_CREDENTIALS",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "FIRESTORE_EMULATOR_HOST",
    "STORAGE_EMULATOR_HOST",
    "SUNRIZA_ALLOWED_HOSTS",
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing said but the home."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path / "home"))


@pytest.fixture
def emulators(
    monkeypatch: pytest.MonkeyPatch, own_server: FirestoreServer, own_bucket_server: StorageServer
) -> None:
    """SUNRIZA_STORE=firebase against the tests' own servers."""
    monkeypatch.setenv("SUNRIZA_STORE", "firebase")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", own_server.host)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", own_bucket_server.url)
    monkeypatch.setenv("SUNRIZA_FIREBASE_PROJECT", "demo-stores")
    own_bucket_server.create_bucket("demo-stores.firebasestorage.app")


def test_the_default_is_local(tmp_path: Path) -> None:
    stores = open_stores()
    assert isinstance(stores.avatars, LocalAvatars)
    assert not stores.shared
    assert open_stores() is stores
    assert describe_stores() == f"local files below {tmp_path / 'home'}, read and write"
    assert not (tmp_path / "home").exists()


def test_another_home_is_another_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = open_stores()
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path / "other"))
    assert open_stores() is not first


def test_an_unknown_kind_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUNRIZA_STORE", "fire")
    with pytest.raises(ParameterError, match="'local' or 'firebase'"):
        open_stores()
    with pytest.raises(ParameterError):
        describe_stores()


@pytest.mark.usefixtures("emulators")
def test_firebase_by_emulators(tmp_path: Path) -> None:
    stores = open_stores()
    assert isinstance(stores.avatars, FirestoreAvatars)
    assert isinstance(stores.storage, FirebaseStorage)
    assert stores.shared
    picture = tmp_path / "x.jpg"
    picture.write_bytes(b"x")
    url = stores.storage.put(picture, "avatars/anna/images/hero.jpg").url
    stores.avatars.merge("anna", INPUTS | {"avatarImageUrl": url})
    found = open_stores().avatars.get("anna").hero_image_url
    path = stores.storage.resolve(found, tmp_path / "down", avatar_id="anna", max_bytes=9)
    assert path.read_bytes() == b"x"
    told = describe_stores()
    assert "project demo-stores, read and write" in told
    assert "bucket demo-stores.firebasestorage.app" in told
    assert "(emulators)" in told


@pytest.mark.usefixtures("emulators")
def test_missing_rights_are_listed(
    own_server: FirestoreServer, own_bucket_server: StorageServer
) -> None:
    import grpc

    own_bucket_server.denied = {"storage.objects.delete"}
    with pytest.raises(StoreError, match=r"storage\.objects\.delete") as caught:
        describe_stores()
    assert caught.value.code == "store.rights"
    own_bucket_server.heal()
    own_server.fail("Commit", status=grpc.StatusCode.PERMISSION_DENIED)
    with pytest.raises(StoreError) as caught:
        describe_stores()
    assert caught.value.code == "store.rights"
    own_server.heal()


@pytest.mark.parametrize("only", ["FIRESTORE_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"])
def test_half_an_emulator_is_refused(monkeypatch: pytest.MonkeyPatch, only: str) -> None:
    monkeypatch.setenv("SUNRIZA_STORE", "firebase")
    monkeypatch.setenv(only, "127.0.0.1:1")
    with pytest.raises(StoreError, match="both or none"):
        open_stores()


def test_without_a_project_or_credentials_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SUNRIZA_STORE", "firebase")
    monkeypatch.setenv("FIREBASE_CREDENTIALS", service_account_key(project=None))
    with pytest.raises(StoreError, match="SUNRIZA_FIREBASE_PROJECT"):
        open_stores()
    monkeypatch.delenv("FIREBASE_CREDENTIALS")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    with pytest.raises(StoreError) as caught:
        open_stores()
    assert caught.value.code == "store.credentials"


def test_credentials_by_json_in_the_environment_and_by_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SUNRIZA_STORE", "firebase")
    monkeypatch.setenv("FIREBASE_CREDENTIALS", service_account_key(project="own-project"))
    assert isinstance(open_stores().avatars, FirestoreAvatars)
    monkeypatch.delenv("FIREBASE_CREDENTIALS")
    file = tmp_path / "key.json"
    file.write_text(service_account_key(project="own-project"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    assert isinstance(open_stores().avatars, FirestoreAvatars)


@pytest.mark.parametrize(
    "text", ["{", "[]", "null", '"path/to/key.json"', '{"private_key": "TOP-SECRET"}']
)
def test_a_broken_key_is_not_quoted(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SUNRIZA_STORE", "firebase")
    monkeypatch.setenv("SUNRIZA_FIREBASE_PROJECT", "p")
    monkeypatch.setenv("FIREBASE_CREDENTIALS", text)
    with pytest.raises(StoreError) as caught:
        open_stores()
    assert caught.value.code == "store.credentials"
    assert "SECRET" not in caught.value.message
    assert caught.value.__suppress_context__


def test_settings_do_not_show_the_key() -> None:
    settings = FirebaseSettings.of(
        Settings.from_environment({"FIREBASE_CREDENTIALS": "TOP-SECRET"})
    )
    assert "SECRET" not in repr(settings)


def test_the_local_stores_load_nothing_of_googles() -> None:
    script = (
        "import sys\n"
        "from resources.stores import open_stores\n"
        "list(open_stores().avatars.ids())\n"
        "print([name for name in sys.modules if name.startswith(('google.', 'grpc', 'firebase'))])"
    )
    told = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"SUNRIZA_STORE": "local"},
        timeout=60,
    )
    assert told.stdout.strip() == "[]"


def service_account_key(project: str | None) -> str:
    """The JSON text of a key of no real account."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    content = {
        "type": "service_account",
        "client_email": "nobody@example.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
        "private_key": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    }
    return json.dumps(content if project is None else content | {"project_id": project})
