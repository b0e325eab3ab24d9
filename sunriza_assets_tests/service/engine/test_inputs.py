"""What the engine process does with inputs: trimmed clips, findings, previews."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sunriza_assets.errors import FaceError, LimitError, MediaError, ParameterError
from sunriza_assets.service.engine_socket import EngineSocket
from sunriza_assets_tests.service.engine.conftest import RunningEngine, calling

RATE = 25


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds at 25 frames per second whose grey level tells the frame, with a tone."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=RATE, options={"crf": "10", "g": "50"})
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = file.add_stream("aac", rate=48_000)
        for number in range(75):
            grey = np.full((64, 64, 3), 20 + 3 * number, np.uint8)
            file.mux(video.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            tone = np.sin(np.arange(1920) / 10, dtype=np.float32)[None]
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate = 48_000
            frame.pts = number * 1920
            file.mux(sound.encode(frame))
        file.mux(video.encode(None))
        file.mux(sound.encode(None))
    return path


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds that take a while to encode."""
    path = tmp_path_factory.mktemp("clip") / "long.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=30, options={"preset": "ultrafast", "crf": "30"})
        video.width, video.height, video.pix_fmt = 640, 480, "yuv420p"
        for number in range(300):
            moved = av.VideoFrame.from_ndarray(np.roll(noise, number * 7, 1), format="rgb24")
            file.mux(video.encode(moved))
        file.mux(video.encode(None))
    return path


def frames(path: Path) -> Iterator[int]:
    """Which frames of the clip a trimmed one shows."""
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            yield round((float(frame.to_ndarray(format="rgb24").mean()) - 20) / 3)


def test_a_clip_is_cut_exactly_to_the_frame_with_its_sound(
    engine: RunningEngine, clip: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made.mp4"
    for start, end, first, count in ((0.4, 1.2, 10, 20), (0.0, 0.04, 0, 1), (2.0, 4.0, 50, 25)):
        number = calling(
            engine, lambda client, s=start, e=end: client.trim(clip, s, e, made, owner="u")
        )
        assert (number, list(frames(made))) == (count, list(range(first, first + count)))
        with av.open(str(made)) as file:
            assert file.streams.audio


def test_clips_that_cannot_be_cut_are_refused(
    engine: RunningEngine, clip: Path, tmp_path: Path
) -> None:
    made, text = tmp_path / "made.mp4", tmp_path / "text.mp4"
    text.write_text("no clip")
    for path, start, end, kind in (
        (text, 0.0, 1.0, MediaError),
        (clip, 30.0, 31.0, MediaError),
        (clip, 1.0, 1.0, ParameterError),
        (clip, -1.0, 1.0, ParameterError),
        (clip, 0.0, 11.5, ParameterError),
    ):
        with pytest.raises(kind):
            calling(engine, lambda client, p=path, s=start, e=end: client.trim(p, s, e, made))
        assert not made.exists()


def test_two_clips_are_trimmed_at_a_time_and_whoever_leaves_ends_his(
    engine: RunningEngine, clip: Path, long_clip: Path, tmp_path: Path
) -> None:
    async def run(client: EngineSocket) -> None:
        at_work = [
            asyncio.create_task(client.trim(long_clip, 0, 10, tmp_path / f"{number}.mp4"))
            for number in range(2)
        ]
        while not at_work[0].done() and len(list(tmp_path.glob(".*.part"))) < 2:
            await asyncio.sleep(0.01)
        with pytest.raises(LimitError) as refusal:
            await client.trim(clip, 0, 1, tmp_path / "third.mp4")
        assert refusal.value.code == "limit.trims"
        assert refusal.value.retry_after_s
        for task in at_work:
            task.cancel()
        async with asyncio.timeout(60):
            while True:  # their places are free as soon as their processes have ended
                try:
                    assert await client.trim(clip, 0, 1, tmp_path / "third.mp4") == RATE
                    break
                except LimitError:
                    await asyncio.sleep(0.05)
            while list(tmp_path.glob(".*.part")):
                await asyncio.sleep(0.05)
        assert [path.name for path in tmp_path.iterdir()] == ["third.mp4"]

    calling(engine, run)


def test_findings_of_the_coach(
    engine: RunningEngine, portrait: Path, clip: Path, tmp_path: Path
) -> None:
    grey = tmp_path / "grey.png"
    Image.new("RGB", (300, 300), "grey").save(grey)
    good = calling(engine, lambda client: client.inspect(portrait, None, {}))
    assert all(finding["severity"] == "advise" for finding in good)
    both = calling(engine, lambda client: client.inspect(grey, clip, {"maxSeconds": 2}))
    assert {finding["subject"] for finding in both} == {"portrait", "clip"}
    assert both[0]["severity"] == "refuse"
    with pytest.raises(ParameterError):
        calling(engine, lambda client: client.inspect(portrait, None, {"maxSeconds": 99}))


def test_a_preview_shows_the_parameters(
    engine: RunningEngine, portrait: Path, tmp_path: Path
) -> None:
    plain, happy, crop = (
        calling(engine, lambda client, p=parameters: client.preview(portrait, p, size=200))
        for parameters in ({}, {"emotion": "happy"}, {"flagPasteback": False})
    )
    assert Image.open(plain).size == (150, 200)
    assert Image.open(crop).size == (200, 200)
    difference = np.asarray(Image.open(plain)).astype(int) - np.asarray(Image.open(happy))
    assert np.abs(difference).max() > 30
    for parameters, kind in (({"emotion": "bored"}, ParameterError), ({"x": 1}, ParameterError)):
        with pytest.raises(kind):
            calling(engine, lambda client, p=parameters: client.preview(portrait, p))
    grey = tmp_path / "grey.png"
    Image.new("RGB", (300, 300), "grey").save(grey)
    with pytest.raises(FaceError):
        calling(engine, lambda client: client.preview(grey, {}))
