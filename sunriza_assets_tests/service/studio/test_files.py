"""Files of an avatar over HTTP."""

import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sunriza_assets.service.zipped import zip_stream
from sunriza_assets_tests.service.studio.world import NAMES, World, studio_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with studio_world(tmp_path_factory.mktemp("files")) as world:
        world.add("anna", "u")
        world.publish("anna", "run-1")
        yield world


def test_files_are_listed_and_served_in_ranges(world: World) -> None:
    client = world.client("u")
    listed = client.get("/avatars/anna/files").json()
    assert {file["name"] for file in listed["files"]} == {*NAMES, "manifest.json"}
    for file in listed["files"]:
        answer = client.get(file["url"])
        assert answer.headers["content-type"].startswith(file["content_type"])
        assert "immutable" in answer.headers["cache-control"]
        assert len(answer.content) == file["size"]
        assert file["purpose"]
    assert listed["size"] == sum(file["size"] for file in listed["files"])
    idle = next(file["url"] for file in listed["files"] if file["name"] == "idle.mp4")
    part = client.get(idle, headers={"Range": "bytes=6-9"})
    assert (part.status_code, part.content) == (206, b"idle")
    assert client.head(idle).headers["content-length"] == "14"
    tag = client.get(idle).headers["etag"]
    stale = client.get(idle, headers={"Range": "bytes=6-9", "If-Range": '"other"'})
    assert (stale.status_code, stale.content) == (200, b"run-1 idle.mp4")
    fresh = client.get(idle, headers={"Range": "bytes=6-9", "If-Range": tag})
    assert fresh.status_code == 206


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2f..%2f..%2f.server%2fanna.json", "../../../x", "nothing.mp4", "%00", ".objects",
        "idle.mp4/", "idle_chunks", "x" * 4000, "IDLE.MP4",
    ],
)  # fmt: skip
def test_no_other_file_is_served(world: World, name: str) -> None:
    version = world.avatars.get("anna").record.published[0].version
    answer = world.client("u").get(f"/avatars/anna/versions/{version}/files/{name}")
    assert answer.status_code in (400, 404)


def test_an_archive_of_all_files(world: World) -> None:
    answer = world.client("u").get("/avatars/anna/zip")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith('attachment; filename="anna-v000001-')
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    assert set(archive.namelist()) == {*NAMES, "manifest.json"}
    assert archive.read("idle.mp4") == b"run-1 idle.mp4"
    assert not list(world.service.folder.glob("zip-*"))


def test_an_archive_takes_little_memory(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(64 * 2**20)
    tracemalloc.start()
    size = sum(len(piece) for piece in zip_stream([("a", large), ("b", large)]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 128 * 2**20
    assert peak < 4 * 2**20


def test_a_gallery_names_one_version(world: World) -> None:
    client = world.client("u")
    found = client.get("/avatars/anna/gallery").json()
    version = world.avatars.get("anna").record.published[0].version
    assert found["version"] == version
    assert len(found["chunks"]) == 2
    for url in (
        found["idle_url"],
        found["poster_url"],
        found["atlas"],
        found["roi"],
        *found["chunks"],
    ):
        assert f"/versions/{version}/" in url
        assert client.get(url).status_code == 200
    world.add("new", "u")
    assert client.get("/avatars/new/gallery").status_code == 404


def test_a_gallery_of_a_cdn(tmp_path: Path) -> None:
    with studio_world(tmp_path, SUNRIZA_CDN="https://cdn.example.com/b/") as world:
        world.add("anna", "u")
        version = world.publish("anna", "run-1")
        found = world.client("u").get("/avatars/anna/gallery").json()
        assert found["idle_url"] == (
            f"https://cdn.example.com/b/avatars/anna/dynamics/basic/{version}/idle.mp4"
        )


def test_what_an_avatar_is_made_of(world: World) -> None:
    found = world.client("u").get("/avatars/anna/lineage").json()
    assert (found["engine"], found["seconds"], found["cost"]) == ("mesh", 25.0, 0.5)
    assert [step["asset"] for step in found["steps"]] == ["idle_video", "published_avatar"]
    assert found["steps"][1]["upstream"] == ["idle_video"]
    assert "idle.mp4" in found["text"]


def test_what_there_is_to_choose_from(world: World) -> None:
    client = world.client("u")
    found = client.get("/performances").json()
    assert [one["name"] for one in found["performances"]] == ["calm", "cheerful", "attentive"]
    assert found["default"] == "calm"
    rows = {row["name"]: row for row in client.get("/parameters").json()["parameters"]}
    gain = rows["driving_multiplier"]
    assert (gain["minimum"], gain["maximum"], gain["default"]) == (0.0, 3.0, 1.7)
    assert rows["lips"]["choices"] == ["clip", "still"]
    assert rows["emotion"]["shown_in_still"]
    assert all(row["meaning"] for row in rows.values())
