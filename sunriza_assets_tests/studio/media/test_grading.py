"""Grading beside the encoder finds the same whatever the threads and cores, and ends with it."""

import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media import encoder, quality
from sunriza_assets.studio.media.encode import VideoWriter, encode
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.grading import Grader
from sunriza_assets.studio.media.quality import luma, ssim
from sunriza_assets_tests.studio.media.films import Image, picture

RATE = Fraction(30)


def shots(count: int) -> Iterator[Image]:
    return (picture(i, (96, 64)) for i in range(count))


def _graders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "grade"]


@pytest.mark.parametrize("cores", [1, 2, 16])
def test_bytes_and_grades_do_not_depend_on_the_cores(
    tmp_path: Path, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(name: str) -> tuple[bytes, quality.Likeness | object]:
        writer = VideoWriter(tmp_path / name, rate=RATE, published=True, encoder="libx264")
        with writer:
            for frame in shots(70):
                writer.write(frame)
        return (tmp_path / name).read_bytes(), writer.quality

    wanted = made("here.mp4")
    monkeypatch.setattr(quality, "core_count", lambda: cores)
    assert made("there.mp4") == wanted


@pytest.mark.parametrize("size", [(96, 64), (1282, 718), (50, 34), (2, 2)])
def test_colours_do_not_depend_on_the_cores(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    converted = []
    for cores in (1, 2, 3, 16):
        monkeypatch.setattr(encoder, "core_count", lambda cores=cores: cores)
        converted.append(encoder.to_yuv(frame).to_ndarray())
    assert all(np.array_equal(converted[0], other) for other in converted[1:])


def test_the_sample_is_told_and_is_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "idle.mp4"
    writer = VideoWriter(path, rate=RATE, published=True, crf=30)
    with writer:
        for frame in shots(65):
            writer.write(frame)
    found = writer.quality
    assert (found.compared_every, found.compared_frames) == (10, 7)
    pairs = list(zip(shots(65), read_frames(path), strict=True))[::10]
    scores = [ssim(luma(given), luma(got)) for given, got in pairs]
    assert found.mean_ssim == pytest.approx(np.mean(scores), abs=0.01)
    assert found.lowest_ssim == pytest.approx(min(scores), abs=0.01)


def test_a_hopeless_clip_is_given_up_on_early(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    taken = []

    def noise() -> Iterator[Image]:
        for number in range(1000):
            taken.append(number)
            yield dice.integers(0, 255, (256, 256, 3)).astype(np.uint8)

    with pytest.raises(MediaError, match=r"likeness is 0\.\d+, below") as refusal:
        encode(noise(), tmp_path / "n.mp4", rate=RATE, encoder="libx264")
    assert refusal.value.code == "media.too_detailed"
    assert len(taken) < 400
    assert not list(tmp_path.iterdir())
    assert not _graders()


def test_a_broken_off_clip_leaves_no_thread(tmp_path: Path) -> None:
    def breaking() -> Iterator[Image]:
        yield from shots(20)
        raise KeyError("painter")

    with pytest.raises(KeyError, match="painter"):
        encode(breaking(), tmp_path / "n.mp4", rate=RATE)
    assert not _graders()


def test_an_error_while_grading_is_raised_where_packets_are_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(first: object, second: object) -> float:
        raise ArithmeticError("comparison")

    monkeypatch.setattr(quality, "ssim", failing)
    with pytest.raises(ArithmeticError, match="comparison"):
        encode(shots(40), tmp_path / "n.mp4", rate=RATE)
    assert not _graders()
    assert not list(tmp_path.iterdir())


def test_a_grader_may_be_stopped_at_any_time() -> None:
    grader = Grader(None, 5, 0.9)
    grader.stop()
    grader.stop()
    assert not _graders()
