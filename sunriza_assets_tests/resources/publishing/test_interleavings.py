"""Runs, sensors, clients and readers in random order: nothing dangles, is lost or doubled."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.avatars.firestore import FirestoreAvatars
from resources.avatars.local import LocalAvatars
from resources.avatars.owned import Throttle
from resources.home import Home
from resources.publishing.publication import Retention
from resources.storage.firebase import FirebaseStorage
from resources.storage.local import LocalStorage
from sunriza_assets_tests.resources.avatars.firestore_fixtures import (
    App,
    avatars,
    client,
    firestore_client,
    firestore_server,
    own_server,
)
from sunriza_assets_tests.resources.avatars.test_local import Editor
from sunriza_assets_tests.resources.publishing.interleavings import World
from sunriza_assets_tests.resources.publishing.publications import AT_ONCE, DAY
from sunriza_assets_tests.resources.storage.storage_fixtures import (
    opened,
    own_bucket_server,
    storage,
    storage_server,
)
from sunriza_assets_tests.resources.storage.test_local import opened as opened_file
from sunriza_assets_tests.servers.firestore.server import FirestoreServer
from sunriza_assets_tests.servers.storage.server import StorageServer

__all__ = [
    "avatars",
    "client",
    "firestore_client",
    "firestore_server",
    "opened",
    "opened_file",
    "own_bucket_server",
    "own_server",
    "storage",
    "storage_server",
]

EVERYDAY = range(6)
PLAYS = int(os.environ.get("SUNRIZA_TEST_PLAYS", "50"))
"""Fifty on Firebase take twenty seconds of a processor; after changes of publishing, try more."""

SEEDS = [
    pytest.param(EVERYDAY, id="a few"),
    pytest.param(range(EVERYDAY.stop, PLAYS), id="many", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("republishes", [False, True], ids=["runs alone", "versions again"])
@pytest.mark.parametrize("keep", [DAY, AT_ONCE], ids=["kept", "at once"])
@pytest.mark.parametrize("seeds", SEEDS)
def test_on_files(
    tmp_path: Path,
    opened_file: Callable[[str], bytes | None],
    seeds: range,
    keep: Retention,
    republishes: bool,
) -> None:
    for seed in seeds:
        home = Home(tmp_path / str(seed))
        local = LocalAvatars(home)
        local._throttle = Throttle(every_s=0)
        World(
            seed,
            avatars=local,
            storage=LocalStorage(home),
            client=Editor(home),
            opened=opened_file,
            folder=home.cache,
            retention=keep,
            republishes=republishes,
        ).play()


@pytest.mark.parametrize("seeds", SEEDS)
def test_on_firebase(
    avatars: FirestoreAvatars,
    storage: FirebaseStorage,
    client: App,
    opened: Callable[[str], bytes | None],
    tmp_path: Path,
    seeds: range,
) -> None:
    avatars._throttle = Throttle(every_s=0)
    for seed in seeds:
        World(
            seed,
            avatars=avatars,
            storage=storage,
            client=client,
            opened=opened,
            folder=tmp_path,
            retention=DAY if seed % 2 else AT_ONCE,
            republishes=seed % 3 == 0,
        ).play()
        _forget(client, storage)


@pytest.mark.slow
def test_on_a_firebase_that_fails(
    avatars: FirestoreAvatars,
    storage: FirebaseStorage,
    client: App,
    opened: Callable[[str], bytes | None],
    tmp_path: Path,
    own_server: FirestoreServer,
    own_bucket_server: StorageServer,
) -> None:
    """Answers get lost on the way, before or after the work was done."""
    avatars._throttle = Throttle(every_s=0)
    for seed in range(PLAYS * 3 // 5):
        for skip in range(2, 60, 7):
            when = "after" if (seed + skip) % 2 else "before"
            own_server.fail("Commit", skip=skip, when=when)
            own_bucket_server.fail("POST", skip=skip, when=when)
        World(
            seed,
            avatars=avatars,
            storage=storage,
            client=client,
            opened=opened,
            folder=tmp_path,
        ).play()
        own_server.heal()
        own_bucket_server.heal()
        _forget(client, storage)


def _forget(client: App, storage: FirebaseStorage) -> None:
    """An empty stage for the next play."""
    client.delete("anna")
    client.forget_runs("anna")
    for stored in list(storage.list("")):
        storage.delete(stored.name)
