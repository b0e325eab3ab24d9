"""Emotion pictures and outputs over HTTP, drawn by the real engine."""

import io
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from sunriza_assets.service import context
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.engine_socket import EngineSocket
from sunriza_assets.service.engine_wire import engine_socket
from sunriza_assets.service.outputs import OutputFolder
from sunriza_assets.studio.expression.emotions import EMOTIONS
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.service.engine.conftest import RunningEngine
from sunriza_assets_tests.service.serving import Served, make_service, serving

ANSWER = {
    "output_path", "filename", "url", "emotion", "intensity", "latency_ms", "gpu_used",
    "model_version", "width", "height", "engine", "cached", "seed_scale",
}  # fmt: skip


@pytest.fixture(scope="module")
def served(engine: RunningEngine) -> Iterator[Served]:
    """A service beside the engine process, on the same home."""
    service = make_service(engine.home)
    service.engine = EngineSocket(engine_socket(engine.home))
    with serving(service) as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.fixture
def picture(client: httpx.Client, portrait: Path) -> str:
    """The path of a fresh output."""
    return str(post(client, portrait, emotion="happy", output_format="jpg").json()["output_path"])


def post(
    client: httpx.Client, portrait: Path, to: str = "/render", **fields: object
) -> httpx.Response:
    """The answer to a form with a portrait."""
    with portrait.open("rb") as file:
        return client.post(to, files={"source_image": ("my photo.png", file)}, data=fields)


def test_a_picture_is_drawn_fetched_and_deleted(client: httpx.Client, portrait: Path) -> None:
    made = post(client, portrait, emotion="happy", intensity="0.8")
    assert made.status_code == 200
    answer = made.json()
    assert set(answer) == ANSWER
    assert (answer["emotion"], answer["intensity"]) == ("happy", 0.8)
    assert (answer["engine"], answer["gpu_used"]) == ("mesh", False)
    assert answer["output_path"] == f"/output/{answer['filename']}"
    assert answer["seed_scale"]["expression_scale"] == 1.3
    file = client.get(answer["url"])
    assert (file.status_code, file.headers["content-type"]) == (200, "image/png")
    assert file.headers["content-disposition"] == f'inline; filename="{answer["filename"]}"'
    assert file.headers["x-content-type-options"] == "nosniff"
    assert Image.open(io.BytesIO(file.content)).size == (answer["width"], answer["height"])
    head = client.head(answer["output_path"])
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(file.content))
    assert client.delete(answer["output_path"]).status_code == 204
    for gone in (client.delete, client.get, client.head):
        assert gone(answer["output_path"]).status_code == 404


def test_a_key_draws_once(client: httpx.Client, portrait: Path) -> None:
    def sent(**fields: object) -> httpx.Response:
        with portrait.open("rb") as file:
            return client.post(
                "/render",
                files={"source_image": file},
                data=fields,
                headers={"Idempotency-Key": "one-picture"},
            )

    first, again = sent(emotion="sad"), sent(emotion="sad")
    assert (first.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    other = sent(emotion="happy")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.mismatch")


def test_formats_are_what_they_say(client: httpx.Client, portrait: Path) -> None:
    for output_format, media_type in (("jpg", "image/jpeg"), ("webp", "image/webp")):
        answer = post(client, portrait, emotion="sad", output_format=output_format).json()
        assert answer["filename"].endswith(f".{output_format}")
        assert client.get(answer["url"]).headers["content-type"] == media_type


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"emotion": "bored"}, 400, "parameter.unknown"),
        ({}, 400, "parameter.missing"),
        ({"emotion": "happy", "intensity": "1.01"}, 400, "parameter.out_of_range"),
        ({"emotion": "happy", "intensity": "nan"}, 400, "parameter.out_of_range"),
        ({"emotion": "happy", "intensity": "1e999"}, 400, "parameter.out_of_range"),
        ({"emotion": "happy", "intensity": "strong"}, 400, "parameter"),
        ({"emotion": "happy", "width": "63"}, 400, "parameter.out_of_range"),
        ({"emotion": "happy", "height": "2049"}, 400, "parameter.out_of_range"),
        ({"emotion": "happy", "width": "²"}, 400, "parameter"),
        ({"emotion": "happy", "output_format": "gif"}, 400, "parameter.unknown"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    client: httpx.Client, portrait: Path, fields: dict[str, str], status: int, code: str
) -> None:
    answer = post(client, portrait, **fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_portraits_without_one_face_are_refused(
    client: httpx.Client, tmp_path: Path, portrait: Path
) -> None:
    grey, two = tmp_path / "grey.png", tmp_path / "two.png"
    Image.new("RGB", (400, 400), "grey").save(grey)
    face = Image.open(portrait)
    both = Image.new("RGB", (600, 400))
    both.paste(face, (0, 0))
    both.paste(face, (300, 0))
    both.save(two)
    svg, clip = tmp_path / "a.jpg", tmp_path / "b.jpg"
    svg.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    clip.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    for path, status, code in (
        (grey, 422, "face.none"),
        (two, 422, "face.several"),
        (svg, 422, "media.unsupported"),
        (clip, 422, "media.unsupported"),
    ):
        answer = post(client, path, emotion="happy")
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_a_batch_is_all_emotions_or_those_asked_for(client: httpx.Client, portrait: Path) -> None:
    whole = post(client, portrait, "/render/batch", output_format="jpg").json()
    assert [one["emotion"] for one in whole["results"]] == list(EMOTIONS)
    assert whole["count"] == 7 and len({one["filename"] for one in whole["results"]}) == 7
    shown = {client.get(one["url"]).content for one in whole["results"]}
    assert len(shown) == 7
    for emotions in (["sad", "happy"], "sad,happy", '["sad", "happy"]'):
        answer = post(client, portrait, "/render/batch", emotions=emotions, output_format="jpg")
        results = answer.json()["results"]
        assert [one["emotion"] for one in results] == ["sad", "happy"]
        assert all(one["cached"] for one in results)
    for emotions in (["sad"] * 17, "sad,bored", "[1]", "[", "[" * 60_000):
        answer = post(client, portrait, "/render/batch", emotions=emotions)
        assert answer.status_code == 400, emotions


def test_the_emotions_are_told_in_both_scales(client: httpx.Client) -> None:
    answer = client.get("/emotions").json()
    assert [one["name"] for one in answer["emotions"]] == list(EMOTIONS)
    happy = next(one for one in answer["emotions"] if one["name"] == "happy")
    assert happy["seed_scale"] == {
        "mouth": 0.6, "eyes": 0.9, "eyebrows": 0.2, "expression_scale": 1.3,
    }  # fmt: skip
    assert happy["action_units"]["corners"] > 0


def test_without_an_engine_callers_are_asked_to_come_back(tmp_path: Path, portrait: Path) -> None:
    service = make_service(tmp_path)
    service.engine = EngineSocket(engine_socket(tmp_path))
    with serving(service) as running, running.client() as client:
        answer = post(client, portrait, emotion="happy")
        assert (answer.status_code, answer.json()["code"]) == (503, "engine.unreachable")
        assert int(answer.headers["retry-after"]) >= 1
        assert str(tmp_path) not in answer.text
        assert list(service.uploads_folder.iterdir()) == []


def test_ranges(client: httpx.Client, picture: str) -> None:
    whole = client.get(picture)
    size, tag = len(whole.content), whole.headers["etag"]

    def ranged(value: str, **more: str) -> httpx.Response:
        return client.get(picture, headers={"Range": value, **more})

    for value, first, last in (
        ("bytes=0-9", 0, 9),
        ("bytes=-10", size - 10, size - 1),
        ("bytes=10-", 10, size - 1),
        ("bytes=0-999999999", 0, size - 1),
        ("bytes=5-9,0-7", 0, 9),  # overlapping ones become one
        ("bytes=0-3,999999999-", 0, 3),
    ):
        part = ranged(value)
        assert part.status_code == 206, value
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
        assert part.content == whole.content[first : last + 1]
    two = ranged("bytes=0-1,10-11")
    assert two.headers["content-type"].startswith("multipart/byteranges")
    assert whole.content[10:12] in two.content
    for value in (
        "bytes=9-5",
        "bytes=a-b",
        "lines=1-2",
        "bytes=-",
        "bytes=" + "0-1," * 1000 + "2-3",
    ):
        assert ranged(value).content == whole.content, value
    beyond = ranged(f"bytes={size}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert beyond.headers["content-type"] == "application/problem+json"
    assert ranged("bytes=-0").status_code == 416
    assert ranged("bytes=0-1", **{"If-Range": tag}).status_code == 206
    assert ranged("bytes=0-1", **{"If-Range": '"other"'}).status_code == 200
    assert ranged("bytes=999999999-", **{"If-Range": '"other"'}).status_code == 200
    known = client.get(picture, headers={"If-None-Match": f'"x", W/{tag}'})
    assert (known.status_code, known.content) == (304, b"")


@pytest.mark.parametrize(
    "name",
    [
        "../service.db", "%2e%2e%2fservice.db", "..%5cservice.db", "%00.png", "/etc/passwd",
        "a" * 4096, "0" * 32 + ".png%00", "0" * 32 + ".gif", "0" * 31 + "A.png", "0" * 32 + ".png",
        "٠" * 32 + ".png", "CON.png", "0" * 32 + ".png/", "0" * 32 + ".PNG",
    ],
)  # fmt: skip
def test_other_names_are_not_found(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/output/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_links_are_not_followed(served: Served, client: httpx.Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    orders, folder = served.service.orders, served.service.outputs_folder
    soon = datetime.now(UTC) + timedelta(hours=1)
    for number, make in enumerate((lambda p: p.symlink_to(secret), Path.mkdir, os.mkfifo)):
        name = f"{number:032x}.png"
        make(folder / name)
        orders.add_output(name, "local", order_id=None, expires_at=soon)
        assert client.get(f"/output/{name}").status_code == 404


def test_outputs_of_others_are_not_there(
    served: Served, client: httpx.Client, portrait: Path
) -> None:
    path = post(client, portrait, emotion="happy", output_format="jpg").json()["output_path"]
    name = path.rpartition("/")[2]
    orders = served.service.orders
    orders.remove_output(name)
    for method in ("GET", "HEAD", "DELETE"):
        assert client.request(method, path).status_code == 404
    assert (served.service.outputs_folder / name).exists()
    stranger = Principal("stranger", via="token", scopes=frozenset({"render"}))
    owned = datetime.now(UTC) + timedelta(hours=1)
    orders.add_output(name, "somebody", order_id=None, expires_at=owned)
    served.app.dependency_overrides[context._principal] = lambda: stranger
    try:
        for method in ("GET", "HEAD", "DELETE"):
            assert client.request(method, path).status_code == 404
    finally:
        served.app.dependency_overrides.clear()
    assert client.get(path).status_code == 200


def test_a_reader_that_leaves_closes_the_file(served: Served, picture: str) -> None:
    def descriptors() -> int:
        return sum(
            1
            for link in Path("/proc/self/fd").iterdir()
            if link.is_symlink() and picture.rpartition("/")[2] in str(link.readlink())
        )

    for _ in range(5):
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(f"GET {picture} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert connection.recv(1) == b"H"  # the file is open by now
    wait_for(lambda: descriptors() == 0, seconds=20)


def test_outputs_go_after_their_time_and_unclaimed_ones_after_an_hour(
    served: Served, client: httpx.Client, portrait: Path
) -> None:
    orders, folder = served.service.orders, OutputFolder(served.service.outputs_folder)
    kept, orphan, young, due = (f"{number:032x}.jpg" for number in range(100, 104))
    for name in (kept, orphan, young, due):
        (folder.folder / name).write_bytes(b"x" * 10)
    now = datetime.now(UTC)
    orders.add_output(kept, "u", order_id=None, expires_at=now + timedelta(hours=1))
    orders.add_output(due, "u", order_id=None, expires_at=now - timedelta(seconds=1))
    folder.sweep(orders)
    left = {path.name for path in folder.folder.iterdir()}
    assert {kept, orphan, young} <= left
    assert due not in left
    folder.sweep(orders, unclaimed_s=-1)
    left = {path.name for path in folder.folder.iterdir()}
    assert kept in left
    assert not {orphan, young} & left
    folder.sweep(orders, most_bytes=0)
    assert kept not in {path.name for path in folder.folder.iterdir()}
    assert orders.output_owner(kept) is None


def test_pixels_are_those_of_the_engine(client: httpx.Client, portrait: Path) -> None:
    still = post(client, portrait, emotion="fearful", intensity="0").json()
    data = client.get(still["url"]).content
    shown = np.asarray(Image.open(io.BytesIO(data)))
    assert np.array_equal(shown, np.asarray(Image.open(portrait)))
