"""A Firestore for a test: the own server, or the one that FIRESTORE_EMULATOR_HOST names."""

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from resources.avatars.firestore import FirestoreAvatars
from resources.google.firestore_client import FirestoreClient
from sunriza_assets_tests.servers.firestore.server import FirestoreServer

_GIVEN = os.environ.get("FIRESTORE_EMULATOR_HOST")


class App:
    """The mobile app: it writes documents with a client of its own."""

    def __init__(self, client: firestore.Client) -> None:
        self._avatars = client.collection("avatars")

    def save(self, avatar_id: str, fields: dict[str, Any]) -> None:
        self._avatars.document(avatar_id).set(fields, merge=True)

    def replace(self, avatar_id: str, data: dict[str, Any]) -> None:
        self._avatars.document(avatar_id).set(data)

    def read(self, avatar_id: str) -> dict[str, Any]:
        return self._avatars.document(avatar_id).get().to_dict() or {}

    def delete(self, avatar_id: str) -> None:
        self._avatars.document(avatar_id).delete()

    def forget_runs(self, avatar_id: str) -> None:
        """What no app may do: remove the server's record."""
        self._avatars.document(avatar_id).collection("server").document("basic").delete()


@pytest.fixture(scope="session")
def firestore_server() -> Iterator[FirestoreServer | None]:
    if _GIVEN:
        yield None
        return
    with FirestoreServer() as server:
        yield server


@pytest.fixture
def firestore_client(
    firestore_server: FirestoreServer | None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[firestore.Client]:
    """A client of a project of its own, so that tests do not meet."""
    if firestore_server is not None:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_server.host)
    client = FirestoreClient(
        project=f"test-{uuid.uuid4().hex[:12]}", credentials=AnonymousCredentials()
    )
    yield client
    client.close()
    if firestore_server is not None:
        firestore_server.heal()


@pytest.fixture
def own_server(firestore_server: FirestoreServer | None) -> FirestoreServer:
    """The test server itself, for tests that inject faults; skipped with a given emulator."""
    if firestore_server is None:
        pytest.skip("faults need the own server")
    return firestore_server


@pytest.fixture
def avatars(firestore_client: firestore.Client) -> FirestoreAvatars:
    return FirestoreAvatars(firestore_client)


@pytest.fixture
def client(firestore_client: firestore.Client) -> App:
    return App(firestore_client)
