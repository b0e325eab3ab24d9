"""What stands beside idle.mp4, read back."""

import zipfile
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.chunks import chunk_bounds
from sunriza_assets.studio.media.conform import require_playable
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.media.extras import make_extras, zip_numbers
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets_tests.studio.media.films import corner_error, number_of, picture

_PICTURES = {"idle_chunks/heroImage_chunk.jpg", "poster.jpg", "thumbnail.jpg", "frames.zip"}


def chunk(number: int) -> str:
    return f"idle_chunks/idle_chunk{number}.mp4"


def numbers(path: Path) -> list[int]:
    return [number_of(frame) for frame in read_frames(path)]


@pytest.mark.parametrize(
    ("count", "rate", "expected"),
    [
        (175, Fraction(25), [range(50), range(50, 150), range(150, 175)]),
        (151, Fraction(25), [range(50), range(50, 150), range(150, 151)]),
        (150, Fraction(25), [range(50), range(50, 150)]),
        (40, Fraction(25), [range(40)]),
        (199, Fraction(30000, 1001), [range(60), range(60, 180), range(180, 199)]),
        (1, Fraction(25), [range(1)]),
    ],
)
def test_chunks_hold_every_frame_once(
    tmp_path: Path, count: int, rate: Fraction, expected: list[range]
) -> None:
    idle = tmp_path / "idle.mp4"
    encode((picture(i) for i in range(count)), idle, rate=rate)
    made = make_extras(idle, tmp_path / "out")
    wanted = {chunk(i + 1): frames for i, frames in enumerate(expected)}
    assert set(made.files) == set(wanted) | _PICTURES
    for name, frames in wanted.items():
        assert numbers(made.files[name]) == list(frames)
        assert made.frame_counts[name] == len(frames)
        require_playable(made.files[name], frame_count=len(frames), rate=rate)
    assert all(path.is_file() for path in made.files.values())
    assert not list((tmp_path / "out").rglob(".*"))


def test_pictures_are_the_first_frame(tmp_path: Path) -> None:
    idle = tmp_path / "idle.mp4"
    encode((picture(i, (640, 480)) for i in range(3)), idle, rate=Fraction(25))
    made = make_extras(idle, tmp_path)
    sizes = {"idle_chunks/heroImage_chunk.jpg": (640, 480), "poster.jpg": (640, 480),
             "thumbnail.jpg": (320, 240)}  # fmt: skip
    for name, size in sizes.items():
        with Image.open(made.files[name]) as image:
            assert (image.format, image.size) == ("JPEG", size)
            assert corner_error(np.asarray(image)) < 8


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(25), Fraction(30), Fraction(60)])
def test_zip_is_the_first_second_at_25(tmp_path: Path, rate: Fraction) -> None:
    idle = tmp_path / "idle.mp4"
    encode((picture(i) for i in range(70)), idle, rate=rate)
    made = make_extras(idle, tmp_path)
    with zipfile.ZipFile(made.files["frames.zip"]) as archive:
        assert archive.namelist() == [f"frame_{i:03d}.png" for i in range(1, 26)]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        shown = []
        for name in archive.namelist():
            with archive.open(name) as file, Image.open(file) as image:
                assert image.size == (96, 64)
                shown.append(number_of(np.asarray(image)))
    assert shown == [int(k * rate / 25 + Fraction(1, 2)) for k in range(25)]


def test_zip_of_a_short_idle_has_what_there_is(tmp_path: Path) -> None:
    encode((picture(i) for i in range(10)), tmp_path / "idle.mp4", rate=Fraction(25))
    made = make_extras(tmp_path / "idle.mp4", tmp_path)
    assert made.frame_counts["frames.zip"] == 10


def test_large_frames_are_shrunk_in_the_zip(tmp_path: Path) -> None:
    frames = (picture(i, (1280, 960)) for i in range(2))
    encode(frames, tmp_path / "idle.mp4", rate=Fraction(25))
    made = make_extras(tmp_path / "idle.mp4", tmp_path)
    with (
        zipfile.ZipFile(made.files["frames.zip"]) as archive,
        archive.open("frame_001.png") as file,
        Image.open(file) as image,
    ):
        assert image.size == (1024, 768)


def test_making_them_twice_gives_equal_bytes(tmp_path: Path) -> None:
    encode((picture(i) for i in range(60)), tmp_path / "idle.mp4", rate=Fraction(25))
    one, two = (make_extras(tmp_path / "idle.mp4", tmp_path / name) for name in ("a", "b"))
    for name, path in one.files.items():
        assert path.read_bytes() == two.files[name].read_bytes(), name


def test_a_damaged_idle_is_refused(tmp_path: Path) -> None:
    idle = tmp_path / "idle.mp4"
    encode((picture(i) for i in range(60)), idle, rate=Fraction(25))
    idle.write_bytes(idle.read_bytes()[:-200])
    with pytest.raises(MediaError):
        make_extras(idle, tmp_path / "out")


@given(st.integers(1, 700), st.fractions(Fraction(1), Fraction(60), max_denominator=1001))
def test_chunks_cover_the_idle_without_overlap(count: int, rate: Fraction) -> None:
    bounds = chunk_bounds(count, rate)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == count
    assert all(before[1] == after[0] for before, after in pairwise(bounds))
    for (begin, end), start in zip(bounds, (0, 2, 6), strict=True):
        if begin < end:
            assert begin / rate >= start
            assert begin == 0 or (begin - 1) / rate < start


@given(st.fractions(Fraction(1), Fraction(60), max_denominator=1001))
def test_zip_frames_are_the_nearest_in_time(rate: Fraction) -> None:
    for k, number in enumerate(zip_numbers(rate)):
        assert abs(Fraction(number) / rate - Fraction(k, 25)) <= 1 / (2 * rate)
