"""What is written plays everywhere, and is read back to prove it."""

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sunriza_assets.errors import MediaError, StoreError
from sunriza_assets.studio.media import encoder
from sunriza_assets.studio.media.budget import byte_budget
from sunriza_assets.studio.media.conform import conform
from sunriza_assets.studio.media.encode import VideoWriter, encode
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets_tests.studio.media.films import Image, corner_error, number_of, picture

RATE = Fraction(25)


def shots(count: int, size: tuple[int, int] = (96, 64)) -> Iterator[Image]:
    return (picture(i, size) for i in range(count))


@pytest.mark.parametrize(
    "rate", [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50)]
)
def test_conforms_and_comes_back_frame_by_frame(tmp_path: Path, rate: Fraction) -> None:
    path = tmp_path / "idle.mp4"
    info = encode(shots(40), path, rate=rate)
    assert (info.rate, info.frame_count, info.duration) == (rate, 40, 40 / rate)
    frames = list(read_frames(path))
    assert [number_of(frame) for frame in frames] == list(range(40))
    assert max(corner_error(frame) for frame in frames) < 6
    found = conform(path, frame_count=40, rate=rate, reference=shots(40))
    assert found.problems == ()
    assert found.playable


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    count=st.integers(1, 9),
    width=st.integers(8, 90).map(lambda n: 2 * n),
    height=st.integers(8, 90).map(lambda n: 2 * n),
    rate=st.fractions(Fraction(1), Fraction(60), max_denominator=1001),
)
def test_any_size_and_rate(
    tmp_path: Path, count: int, width: int, height: int, rate: Fraction
) -> None:
    path = tmp_path / "any.mp4"
    frames = [np.full((height, width, 3), 40 + 20 * i, np.uint8) for i in range(count)]
    info = encode(iter(frames), path, rate=rate, encoder="libx264")
    assert (info.size, info.frame_count) == ((width, height), count)
    assert abs(info.duration - count / rate) < Fraction(1, 1000)
    means = [frame.mean() for frame in read_frames(path)]
    assert np.allclose(means, [frame.mean() for frame in frames], atol=2)


@pytest.mark.parametrize("size", [(90, 64), (96, 64), (722, 34)])
def test_frames_are_plain_arrays(tmp_path: Path, size: tuple[int, int]) -> None:
    """Rows follow one another without the decoder's padding, and writing to one is allowed."""
    encode(shots(2, size), tmp_path / "a.mp4", rate=RATE)
    for frame in read_frames(tmp_path / "a.mp4"):
        assert frame.flags.c_contiguous
        assert frame.shape == (size[1], size[0], 3)
        frame[0, 0] = 7


def test_colours_are_bt709_and_kept(tmp_path: Path) -> None:
    """Pure colours come back within rounding: the matrix that is said is the one used."""
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (120, 180, 60)]
    frames = [np.full((64, 64, 3), colour, np.uint8) for colour in colours]
    encode(iter(frames), tmp_path / "c.mp4", rate=RATE)
    for shown, colour in zip(read_frames(tmp_path / "c.mp4"), colours, strict=True):
        assert np.abs(shown.mean(axis=(0, 1)) - colour).max() < 4
    with av.open(str(tmp_path / "c.mp4")) as container:
        luma = next(container.decode(video=0)).to_ndarray()[:64].mean()
    assert luma == pytest.approx(16 + 219 * 0.2126, abs=1)  # BT.709 luma of red, limited range


def test_equal_frames_give_equal_bytes_at_any_pace(tmp_path: Path) -> None:
    dice = np.random.default_rng(1)

    def paced() -> Iterator[Image]:
        for frame in shots(30):
            time.sleep(dice.random() * 0.004)
            yield frame

    made = set()
    for _ in range(8):
        encode(paced(), tmp_path / "a.mp4", rate=RATE, encoder="libx264")
        made.add((tmp_path / "a.mp4").read_bytes())
    assert len(made) == 1


def test_noise_stays_within_the_budget(tmp_path: Path) -> None:
    """Grain that moves is the worst a portrait can be: the gate's two numbers hold together."""
    dice = np.random.default_rng(0)
    grain = np.clip(128 + 7 * dice.standard_normal((512, 512, 3)), 0, 255).astype(np.uint8)
    writer = VideoWriter(tmp_path / "n.mp4", rate=RATE, published=True)
    with writer:
        for i in range(125):
            writer.write(np.roll(grain, (i // 2, i // 3), (0, 1)))
    quality = writer.quality
    assert quality.size_bytes <= quality.budget_bytes == byte_budget((512, 512), Fraction(5))
    assert quality.mean_ssim is not None
    assert quality.mean_ssim >= 0.97


def test_what_cannot_be_alike_and_small_is_refused(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    noise = (dice.integers(0, 255, (512, 512, 3)).astype(np.uint8) for _ in range(30))
    with pytest.raises(MediaError, match=r"likeness is 0\.\d+, below 0\.97") as refusal:
        encode(noise, tmp_path / "n.mp4", rate=RATE)
    assert refusal.value.code == "media.too_detailed"
    assert not list(tmp_path.iterdir())


def test_measured_likeness_is_the_decoded_one(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "q.mp4", rate=RATE, crf=30, published=True)
    with writer:
        for frame in shots(30):
            writer.write(frame)
    finding = conform(writer._path, reference=shots(30)).findings[-1]
    assert finding.name == "ssim"
    assert float(finding.detail.split()[0]) == pytest.approx(writer.quality.mean_ssim, abs=0.01)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([], "no_frames"),
        ([np.zeros((63, 64, 3), np.uint8)], "unsupported"),
        ([np.zeros((64, 63, 3), np.uint8)], "unsupported"),
        ([np.zeros((64, 64, 3), np.uint8), np.zeros((32, 64, 3), np.uint8)], "unsupported"),
    ],
)
def test_refusals_leave_the_former_result(tmp_path: Path, frames: list[Image], code: str) -> None:
    path = tmp_path / "idle.mp4"
    path.write_bytes(b"former")
    with pytest.raises(MediaError) as refusal:
        encode(iter(frames), path, rate=RATE)
    assert refusal.value.code == f"media.{code}"
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"former"]


def test_an_error_in_the_frames_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[Image]:
        yield from shots(30)
        raise KeyError("the engine failed")

    with pytest.raises(KeyError):
        encode(broken(), tmp_path / "idle.mp4", rate=RATE)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        encode(shots(2), tmp_path / "missing" / "idle.mp4", rate=RATE)


def test_auto_takes_only_an_encoder_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has: what is picked has encoded three frames of this size."""
    name = encoder.pick_encoder(320, 240)
    assert name in ("libx264", "h264_nvenc")
    monkeypatch.setattr(encoder, "_nvenc_works", lambda width, height: False)
    assert encoder.pick_encoder(320, 240) == "libx264"


def test_one_frame_given_twice_is_two_frames(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", rate=RATE) as writer:
        frame = encoder.to_yuv(picture(3))
        writer.write_frame(frame)
        writer.write_frame(frame)
    assert [number_of(frame) for frame in read_frames(tmp_path / "a.mp4")] == [3, 3]


def test_what_is_hopeless_is_given_up_early(tmp_path: Path) -> None:
    """Rendering goes on while it is encoded; it is begun anew from a smoother portrait sooner."""
    dice = np.random.default_rng(0)
    given = 0

    def noise() -> Iterator[np.ndarray]:
        nonlocal given
        for _ in range(300):
            given += 1
            yield dice.integers(0, 255, (128, 128, 3)).astype(np.uint8)

    with pytest.raises(MediaError) as refusal:
        encode(noise(), tmp_path / "n.mp4", rate=RATE, encoder="libx264")
    assert refusal.value.code == "media.too_detailed"
    assert given < 150
    assert not list(tmp_path.iterdir())
