"""A bucket for a test: the own server, or the one that STORAGE_EMULATOR_HOST names."""

import os
import uuid
from collections.abc import Callable, Iterator

import pytest
import urllib3
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as google_storage

from resources.storage.firebase import FirebaseStorage
from sunriza_assets_tests.servers.storage.server import StorageServer

_GIVEN = os.environ.get("STORAGE_EMULATOR_HOST")


@pytest.fixture(scope="session")
def storage_server() -> Iterator[StorageServer | None]:
    if _GIVEN:
        yield None
        return
    with StorageServer() as server:
        yield server


@pytest.fixture
def storage(
    storage_server: StorageServer | None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FirebaseStorage]:
    """A bucket of its own, so that tests do not meet."""
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    url = _GIVEN
    if storage_server is not None:
        url = storage_server.url
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        storage_server.create_bucket(bucket)
    client = google_storage.Client(project="test", credentials=AnonymousCredentials())
    if storage_server is None:
        client.create_bucket(bucket)
    yield FirebaseStorage(client, bucket, base_url=url or "")
    client.close()
    if storage_server is not None:
        storage_server.heal()


@pytest.fixture
def own_bucket_server(storage_server: StorageServer | None) -> StorageServer:
    """The test server itself, for tests that inject faults; skipped with a given emulator."""
    if storage_server is None:
        pytest.skip("faults need the own server")
    return storage_server


@pytest.fixture(scope="session")
def opened() -> Callable[[str], bytes | None]:
    """What the app gets from a URL, over plain HTTP and without the client library."""
    pool = urllib3.PoolManager(retries=False)

    def read(url: str) -> bytes | None:
        response = pool.request("GET", url)
        return response.data if response.status == 200 else None

    return read
