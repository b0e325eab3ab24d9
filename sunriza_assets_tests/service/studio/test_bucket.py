"""Files of avatars whose objects lie in a bucket: addresses, redirects, archives, previews."""

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resources.storage.firebase import FirebaseStorage
from resources.stores import OpenStores
from sunriza_assets_tests.resources.storage.storage_fixtures import (
    opened,
    storage,
    storage_server,
)
from sunriza_assets_tests.service.studio.test_creating import LookingEngine, portrait
from sunriza_assets_tests.service.studio.world import NAMES, World, studio_world

__all__ = ["opened", "storage", "storage_server"]


@pytest.fixture
def world(tmp_path: Path, storage: FirebaseStorage) -> Iterator[World]:
    with studio_world(tmp_path) as world:
        world.service.stores = OpenStores(world.avatars, storage, shared=True)
        world.service.engine = LookingEngine(folder=world.folder)
        yield world


def test_addresses_are_the_buckets_own(world: World, opened: Callable[[str], bytes | None]) -> None:
    world.add("anna", "u")
    first = world.publish("anna", "run-1")
    world.publish("anna", "run-2")
    client = world.client("u")
    found = client.get("/avatars/anna/gallery").json()
    assert "alt=media" in found["idle_url"]
    assert opened(found["idle_url"]) == b"run-2 idle.mp4"
    answer = client.get(f"/avatars/anna/versions/{first}/files/idle.mp4")
    assert answer.status_code == 307
    assert opened(answer.headers["location"]) == b"run-1 idle.mp4"
    archive = zipfile.ZipFile(io.BytesIO(client.get("/avatars/anna/zip").content))
    assert set(archive.namelist()) == {*NAMES, "manifest.json"}
    assert not list(world.service.folder.glob("zip-*"))
    shown = client.post(f"/avatars/anna/versions/{first}/publish").json()
    assert opened(shown["idle_url"]) == b"run-1 idle.mp4"


def test_a_portrait_is_downloaded_once_for_many_stills(world: World) -> None:
    client = world.client("u")
    made = client.post("/avatars", files={"portrait": ("p", portrait())}).json()["avatar"]
    for _ in range(2):
        assert client.post(f"/avatars/{made['id']}/preview").status_code == 200
    [kept] = (world.service.folder / "portraits").glob("*/portrait")
    assert kept.read_bytes() == portrait()
    assert [one.name for one in kept.parent.parent.iterdir()] == [kept.parent.name]
