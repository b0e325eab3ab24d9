"""Publishing on Firestore and Firebase Storage, over TCP, and what may happen on the way."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resources.avatars.firestore import FirestoreAvatars
from resources.google import errors as google_errors
from resources.publishing.publication import publish_avatar
from resources.storage.firebase import FirebaseStorage
from sunriza_assets.errors import StoreError
from sunriza_assets_tests.resources.avatars.avatar_store_contract import INPUTS
from sunriza_assets_tests.resources.avatars.firestore_fixtures import (
    avatars,
    client,
    firestore_client,
    firestore_server,
    own_server,
)
from sunriza_assets_tests.resources.publishing.publication_contract import PublicationContract
from sunriza_assets_tests.resources.publishing.publications import (
    NAMES,
    files_of,
    published,
    versions_seen,
)
from sunriza_assets_tests.resources.publishing.versions_contract import VersionsContract
from sunriza_assets_tests.resources.storage.storage_fixtures import (
    opened,
    own_bucket_server,
    storage,
    storage_server,
)
from sunriza_assets_tests.servers.firestore.server import FirestoreServer
from sunriza_assets_tests.servers.storage.server import StorageServer

__all__ = [
    "avatars",
    "client",
    "firestore_client",
    "firestore_server",
    "opened",
    "own_bucket_server",
    "own_server",
    "storage",
    "storage_server",
]


class TestContract(PublicationContract, VersionsContract):
    """All of it."""


class Watched:
    """A store that calls a hook before an operation."""

    def __init__(self, store: object, operation: str, hook: Callable[[], None]) -> None:
        self._store = store
        self._operation = operation
        self._hook = hook

    def __getattr__(self, name: str) -> Any:
        if name == self._operation:
            self._hook()
        return getattr(self._store, name)


def test_firestore_killed_between_upload_and_commit_and_back_again(
    avatars: FirestoreAvatars,
    storage: FirebaseStorage,
    opened: Callable[[str], bytes | None],
    own_server: FirestoreServer,
    tmp_path: Path,
) -> None:
    avatars.merge("anna", INPUTS)
    published(storage, avatars, tmp_path, "run-1")
    avatars.claim("anna", "run-2")

    def kill_and_restart() -> None:
        own_server.stop()
        threading.Timer(0.3, own_server.start).start()

    watched: Any = Watched(avatars, "publish", kill_and_restart)
    document = _publish(storage, watched, tmp_path, "run-2")
    assert versions_seen(document.basic, opened) == dict.fromkeys(NAMES, "run-2")


def test_firestore_that_stays_away_after_the_upload_leaves_the_former_version(
    avatars: FirestoreAvatars,
    storage: FirebaseStorage,
    opened: Callable[[str], bytes | None],
    own_server: FirestoreServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    avatars.merge("anna", INPUTS)
    published(storage, avatars, tmp_path, "run-1")
    avatars.claim("anna", "run-2")
    monkeypatch.setattr(google_errors, "PATIENCE_S", 0.3)
    own_server.fail("Commit", times=10_000)
    with pytest.raises(StoreError) as caught:
        _publish(storage, avatars, tmp_path, "run-2")
    assert caught.value.code == "store.unavailable"
    own_server.heal()
    document = avatars.get("anna")
    assert document.status == "generating"
    assert versions_seen(document.basic, opened) == dict.fromkeys(NAMES, "run-1")
    assert avatars.fail("anna", "run-2", code="store.unavailable", message="Please try again.")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("skip", range(5))
def test_answers_that_get_lost_while_uploading(
    avatars: FirestoreAvatars,
    storage: FirebaseStorage,
    opened: Callable[[str], bytes | None],
    own_bucket_server: StorageServer,
    tmp_path: Path,
    when: str,
    skip: int,
) -> None:
    avatars.merge("anna", INPUTS)
    own_bucket_server.fail("POST", when=when, skip=skip, status=503 if skip % 2 else 0)
    document = published(storage, avatars, tmp_path, "run-1")
    assert versions_seen(document.basic, opened) == dict.fromkeys(NAMES, "run-1")
    folder = "avatars/anna/dynamics/basic/"
    assert len(list(storage.list(folder))) == 2 * len(NAMES)


def _publish(storage: FirebaseStorage, avatars: FirestoreAvatars, folder: Path, run_id: str) -> Any:
    return publish_avatar(
        storage,
        avatars,
        "anna",
        run_id,
        files=files_of(folder, run_id),
        parameters={"fps": 25},
        overridden={},
    )
