"""`trimVideo`: what the app sends, what it may name, what it gets."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from sunriza_assets.errors import LimitError, MediaError
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.service.jobs.world import World, world

CLIP = b"a clip"


@pytest.fixture
def clips(served: World, tmp_path: Path) -> World:
    """Alice's avatar anna, bob's eve, and bob's public pia, each with a clip."""
    source = tmp_path / "clip.mp4"
    source.write_bytes(CLIP)
    for avatar, user in (("anna", "alice"), ("eve", "bob"), ("pia", "bob")):
        served.add_avatar(avatar, user, isPublic=avatar == "pia")
        served.service.stores.storage.put(source, f"avatars/{avatar}/videos/clip.mp4")
    return served


def trim(served: World, url: object, start: object = 0.5, end: object = 2) -> httpx.Response:
    with served.client() as client:
        return client.post(
            "/trimVideo",
            content=json.dumps({"video_url": url, "start_time": start, "end_time": end}),
            headers={"Content-Type": "application/json"},
        )


def check_no_uploads(served: World) -> None:
    """A file is deleted just after its last byte was sent."""
    wait_for(lambda: list(served.service.uploads_folder.iterdir()) == [])


@pytest.mark.parametrize("path", ["/trimVideo", "/trim-video"])
def test_the_answer_is_the_clip_itself(clips: World, path: str) -> None:
    url = clips.service.stores.storage.stat("avatars/anna/videos/clip.mp4")
    assert url is not None
    with clips.client() as client:
        answer = client.post(
            path,
            json={"video_url": url.url, "start_time": 0.5, "end_time": 10},
            headers={"Range": "bytes=0-1"},
        )
    assert (answer.status_code, answer.content) == (200, b"cut " + CLIP)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["content-disposition"] == 'attachment; filename="trimmed.mp4"'
    assert clips.engine.asked[0][1:] == (0.5, 10.0)
    check_no_uploads(clips)


def test_a_clip_is_named_as_this_service_serves_it(clips: World) -> None:
    for url in (
        "/files/avatars/anna/videos/clip.mp4",
        f"{clips.url}/files/avatars/anna/videos/clip.mp4",
        "http://localhost:3001/files/avatars%2Fanna/videos/clip.mp4",
        "avatars/anna/videos/clip.mp4",
        f"{clips.url}/files/avatars/pia/videos/clip.mp4",
        "/avatars/anna/inputs/clip",
        f"{clips.url}/avatars/anna/inputs/clip",
    ):
        assert trim(clips, url).status_code == 200, url


def test_a_foreign_clip_is_an_absent_one(clips: World) -> None:
    answers = [
        trim(clips, url)
        for url in (
            "/files/avatars/eve/videos/clip.mp4",
            "/files/avatars/eve/videos/none.mp4",
            "/files/avatars/nobody/videos/clip.mp4",
            "/files/avatars/anna/videos/none.mp4",
            "/avatars/eve/inputs/clip",
            "/avatars/nobody/inputs/clip",
            "/avatars/eve/versions/v1/files/idle.mp4",
            "/avatars/anna/versions/v1/files/idle.mp4",
            "/avatars/anna/versions/v1/files/../../../../../eve/videos/clip.mp4",
            "/files/avatars/anna/dynamics/basic/idle.mp4",
            "/files/avatars/anna/../eve/videos/clip.mp4",
            "/files/avatars/anna/%2e%2e/eve/videos/clip.mp4",
            "/files/pipeline/x/y.mp4",
            "avatars/anna",
            "file:///etc/passwd/storage/avatars/eve/videos/clip.mp4",
        )
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert clips.engine.asked == []
    check_no_uploads(clips)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/clip.mp4",
        "http://example.com/files/avatars/anna/videos/clip.mp4",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1/avatars/anna/videos/clip.mp4",
        "https://[::1]/clip.mp4",
        "https://2130706433/clip.mp4",
        "https://user:pass@example.com/clip.mp4",
        "gopher://127.0.0.1/x",
        "data:video/mp4;base64,AAAA",
        "file:///etc/passwd",
        "//169.254.169.254/x",
        "https://example.com/" + "x" * 9000,
        "https://exa\nmple.com/",
    ],
)
def test_no_other_address_is_read(clips: World, url: str) -> None:
    answer = trim(clips, url)
    assert (answer.status_code, answer.json()["code"]) == (403, "store.address")
    check_no_uploads(clips)


def test_the_words_for_missing_parameters_are_the_known_ones(clips: World) -> None:
    with clips.client() as client:
        for body, missing in (
            ({}, "video_url, start_time, end_time"),
            ({"video_url": "x", "start_time": 0}, "end_time"),
            ({"video_url": "", "start_time": 0, "end_time": None}, "video_url, end_time"),
        ):
            answer = client.post("/trimVideo", json=body)
            assert answer.status_code == 400
            text = f"Missing required parameters: {missing}"
            assert answer.json()["detail"] == answer.json()["error"] == text


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (2, 2),
        (3, 2),
        (-1, 2),
        (0, 11.01),
        ("0", 2),
        (0, "2"),
        (True, 2),
        ([0], 2),
        (0, float("nan")),
        (0, float("inf")),
        (float("-inf"), 1),
        (10**400, 10**400 + 1),
    ],
)
def test_a_time_that_is_none_is_refused(clips: World, start: object, end: object) -> None:
    answer = trim(clips, "/files/avatars/anna/videos/clip.mp4", start, end)
    assert answer.status_code == 400, answer.text
    assert clips.engine.asked == []


def test_eleven_seconds_are_the_most(clips: World) -> None:
    assert trim(clips, "/files/avatars/anna/videos/clip.mp4", 1, 12).status_code == 200


def test_what_cannot_be_cut_is_said_and_leaves_nothing(clips: World) -> None:
    for problem, status in (
        (MediaError("The clip is shorter", code="range"), 422),
        (LimitError("busy"), 503),
    ):
        clips.engine.problem = problem
        answer = trim(clips, "/files/avatars/anna/videos/clip.mp4")
        assert answer.status_code == status
        check_no_uploads(clips)
        if status == 503:
            assert int(answer.headers["retry-after"]) >= 1


def test_a_third_trim_at_once_has_to_wait(clips: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = [], asyncio.Event()

    async def slow(
        clip: Path, start_s: float, end_s: float, destination: Path, *, owner: str | None = None
    ) -> int:
        begun.append(asyncio.get_running_loop())
        await go_on.wait()
        destination.write_bytes(b"cut")
        return 1

    monkeypatch.setattr(clips.engine, "trim", slow)
    with ThreadPoolExecutor(2) as pool:
        first = [pool.submit(trim, clips, "/files/avatars/anna/videos/clip.mp4") for _ in "12"]
        wait_for(lambda: len(begun) == 2)
        third = trim(clips, "/files/avatars/anna/videos/clip.mp4")
        begun[0].call_soon_threadsafe(go_on.set)
        assert [one.result().status_code for one in first] == [200, 200]
    assert (third.status_code, third.json()["code"]) == (503, "limit.queue")
    assert int(third.headers["retry-after"]) >= 1


def test_open_mode_trims_every_avatars_clips(tmp_path: Path) -> None:
    with world(tmp_path / "home", open_mode=True) as served:
        source = tmp_path / "clip.mp4"
        source.write_bytes(CLIP)
        served.add_avatar("anna", "somebody")
        served.service.stores.storage.put(source, "avatars/anna/videos/clip.mp4")
        body = {"video_url": "avatars/anna/videos/clip.mp4", "start_time": 0, "end_time": 1}
        with served.client(None) as client:
            assert client.post("/trimVideo", json=body).status_code == 200
