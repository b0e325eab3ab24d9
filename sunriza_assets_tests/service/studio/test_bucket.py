"""Files of avatars whose objects lie in a bucket: addresses, redirects, archives, previews."""

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from resources.avatars.local import LocalAvatars
from resources.home import Home
from resources.storage.firebase import FirebaseStorage
from resources.stores import OpenStores
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.resources.storage.storage_fixtures import (
    opened,
    storage,
    storage_server,
)
from sunriza_assets_tests.service.jobs.world import world as jobs_world
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


def test_an_old_app_build_trims_what_it_has_the_token_of(
    tmp_path: Path, storage: FirebaseStorage
) -> None:
    """It sends no token of its own; the clip's download token shows that it may read the clip."""
    home = Home(tmp_path / "home")
    stores = OpenStores(LocalAvatars(home), storage, shared=True)
    clips = {}
    for avatar_id in ("anna", "eve"):
        clip = tmp_path / f"{avatar_id}.mp4"
        clip.write_bytes(avatar_id.encode())
        clips[avatar_id] = storage.put(clip, f"avatars/{avatar_id}/videos/clip.mp4").url
    private = storage.put(tmp_path / "eve.mp4", "pipeline/eve/clip.mp4", private=True).url
    bare, _, token = clips["anna"].partition("&token=")
    until = {"SUNRIZA_AUTH": "anonymous-until=2999-01-01"}
    with jobs_world(home.root, stores=stores, **until) as served, served.client(None) as client:

        def trim(url: str) -> httpx.Response:
            cut = {"video_url": url, "start_time": 0, "end_time": 1}
            return client.post("/trimVideo", json=cut)

        made = trim(clips["anna"])
        assert (made.status_code, made.content) == (200, b"cut anna")
        refused = [
            trim(url)
            for url in (
                bare,
                f"{bare}&token={token[:-1]}x",
                clips["eve"].partition("&token=")[0] + f"&token={token}",
                private,
            )
        ]
        assert [one.status_code for one in refused] == [404] * 4
        assert len({one.json()["detail"] for one in refused}) == 1
        wait_for(lambda: not list(served.service.uploads_folder.iterdir()))
