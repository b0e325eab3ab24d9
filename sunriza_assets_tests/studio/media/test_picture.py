"""Pictures in and out, read back."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.info import PictureInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.picture import (
    contact_sheet,
    picture_info,
    read_picture,
    read_picture_in_process,
    webp_data_uri,
    write_picture,
)
from sunriza_assets.studio.media.sheet import thumbnail_data_uri
from sunriza_assets_tests.studio.media.cases import Refused
from sunriza_assets_tests.studio.media.films import corner_error, picture
from sunriza_assets_tests.studio.media.picture_corpus import PICTURES, TEST, PictureCase


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("case", PICTURES, ids=lambda case: case.name)
def test_outcome(case: PictureCase, tmp_path: Path) -> None:
    path = tmp_path / case.name
    case.build(path)
    if isinstance(case.outcome, Refused):
        with pytest.raises(MediaError) as refusal:
            read_picture_in_process(path, max_size=None, limits=DEFAULT_LIMITS, accept=lambda: None)
        assert refusal.value.code == f"media.{case.outcome.code}", refusal.value
        return
    pixels = read_picture_in_process(
        path, max_size=None, limits=DEFAULT_LIMITS, accept=lambda: None
    )
    assert (pixels.dtype, pixels.shape) == (np.uint8, (*case.outcome.size[::-1], 3))
    assert corner_error(pixels) <= case.outcome.colour
    info = picture_info(path)
    assert info.size == case.outcome.size
    assert PictureInfo.from_dict(info.to_dict()) == info


def test_reading_in_the_child_gives_the_same_pixels(tmp_path: Path) -> None:
    TEST.save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png"), np.asarray(TEST))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_max_side_shrinks_in_proportion(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"large{suffix}"
    Image.fromarray(picture(3, (960, 640))).save(path)
    small = read_picture(path, max_side=96)
    assert small.shape == (64, 96, 3)
    assert corner_error(small) < 8
    assert read_picture(path, max_side=5000).shape == (640, 960, 3)


def test_a_transparent_ground_becomes_grey(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "nothing.png")
    assert (read_picture(tmp_path / "nothing.png") == 128).all()


def test_limits_are_the_callers(tmp_path: Path) -> None:
    TEST.save(tmp_path / "a.png")
    with pytest.raises(MediaError) as refusal:
        read_picture(tmp_path / "a.png", limits=Limits(side=95))
    assert refusal.value.code == "media.too_many_pixels"
    assert "96x64" in refusal.value.message


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_picture(picture(9), path, quality=95)
    assert corner_error(read_picture(path)) < 8
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_another_suffix_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"not \.tiff"):
        write_picture(picture(9), tmp_path / "a.tiff")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_picture(picture(9), path)
    with pytest.raises(TypeError):
        write_picture(np.zeros((2, 2, 7), np.uint8), path)
    assert corner_error(read_picture(path)) == 0
    assert len(list(tmp_path.iterdir())) == 1


def test_contact_sheet_shows_every_frame_in_its_cell() -> None:
    frames = [picture(i) for i in range(7)]
    sheet = contact_sheet(iter(frames), columns=3, cell_width=96)
    assert sheet.shape == (3 * 68 + 4, 3 * 100 + 4, 3)
    for i, frame in enumerate(frames):
        x, y = 4 + i % 3 * 100, 4 + i // 3 * 68
        assert np.array_equal(sheet[y : y + 64, x : x + 96], frame)


def test_labels_change_only_their_corner() -> None:
    plain = contact_sheet([picture(1)], 1, 96)
    labelled = contact_sheet([picture(1)], 1, 96, labels=["0.4 s"])
    changed = np.argwhere((plain != labelled).any(axis=2))
    assert 0 < changed[:, 0].max() < 30


def test_no_frames_no_sheet() -> None:
    with pytest.raises(MediaError, match="needs frames"):
        contact_sheet([], 3, 96)


def test_preview_keeps_to_its_bytes_even_for_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (900, 1200, 3)).astype(np.uint8)
    uri = webp_data_uri(noise, max_bytes=20_000)
    assert len(uri) <= 20_000
    head, data = uri.split(",")
    assert head == "data:image/webp;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).format == "WEBP"


def test_preview_of_a_plain_picture_keeps_its_size() -> None:
    data = webp_data_uri(picture(2)).split(",")[1]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (96, 64)


@pytest.mark.parametrize("size", [(900, 1200), (64, 3000), (3000, 2), (1, 1), (16, 16)])
def test_a_thumbnail_is_small_for_any_picture(size: tuple[int, int]) -> None:
    """The Dagster UI shows without a click what has less than a thousand characters."""
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    uri = thumbnail_data_uri(noise, 990)
    assert len(uri) <= 990
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as shown:
        assert max(shown.size) >= min(48, *size)


@pytest.mark.parametrize(
    ("name", "bits"),
    [("sixteen_bits.png", 16), ("sixteen_bits_grey.png", 16), ("bilevel.png", 8), ("plain.jpg", 8)],
)
def test_bits_are_those_of_the_file(tmp_path: Path, name: str, bits: int) -> None:
    next(case for case in PICTURES if case.name == name).build(tmp_path / name)
    assert picture_info(tmp_path / name).bit_depth == bits
