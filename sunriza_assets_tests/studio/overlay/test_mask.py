"""The mask: opaque over all lips, zero at its rim, smooth between, and written as 8-bit grey."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sunriza_assets.studio.overlay.mask import draw_mask, mask_problems, write_mask
from sunriza_assets_tests.studio.overlay.speaking import SIZE, cells


def test_all_lips_lie_under_it_and_the_rim_is_free(tmp_path: Path) -> None:
    made = cells()
    mask = write_mask(made, tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as picture:
        assert picture.mode == "L"
        np.testing.assert_array_equal(np.asarray(picture), mask)
    assert mask.shape == (made.roi.h, made.roi.w)
    for name, cell in made.cells.items():
        lips = (cell != cell[0, 0]).any(axis=2)
        assert mask[lips].min() >= 230, name
    assert mask_problems(tmp_path / "mask.png", SIZE) == []


@settings(max_examples=30, deadline=None)
@given(
    st.integers(24, 160),
    st.integers(16, 120),
    st.floats(8.0, 300.0),
    st.floats(0.05, 0.6),
    st.floats(0.0, 1.0),
)
def test_no_mask_has_an_edge(width: int, height: int, iod: float, size: float, at: float) -> None:
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    lips = size * np.array([width, height]) * circle + at * np.array([width, height])
    mask = draw_mask(lips[None], (width, height), iod)
    assert mask.shape == (height, width)
    for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
        assert edge.max() == 0


def test_its_edge_is_soft() -> None:
    mask = draw_mask(cells().lips, (93, 61), 90.0).astype(int)
    assert np.abs(np.diff(mask, axis=0)).max() < 80
    assert np.abs(np.diff(mask, axis=1)).max() < 80


def test_it_grows_with_the_face() -> None:
    near, far = (draw_mask(cells().lips, (93, 61), iod) for iod in (90.0, 30.0))
    assert near.mean() > far.mean()


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.new("RGB", (20, 20)), "not 8-bit grey"),
        (Image.new("L", (20, 20)), "nowhere does it show"),
        (Image.new("L", (20, 20), 255), "it has an edge"),
        (Image.new("L", (400, 20)), "do not fit"),
    ],
)
def test_a_bad_mask_is_reported(tmp_path: Path, picture: Image.Image, expected: str) -> None:
    picture.save(tmp_path / "mask.png")
    assert any(expected in problem for problem in mask_problems(tmp_path / "mask.png", SIZE))


def test_a_file_that_is_no_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert "cannot be read" in mask_problems(tmp_path / "mask.png", SIZE)[0]
    assert "cannot be read" in mask_problems(tmp_path / "none.png", SIZE)[0]
