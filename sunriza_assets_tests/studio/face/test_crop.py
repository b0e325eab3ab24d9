"""Crop geometry: continuous pixels in, continuous pixels out, at any size, angle and place."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sunriza_assets.studio.face.crop import FaceCrop
from sunriza_assets.studio.face.topology import OUTER_EYE_CORNERS

SIZE = 64


def ramps(width: int, height: int, crop: FaceCrop, slope: float) -> NDArray[np.uint8]:
    """A picture whose red grows along x and whose green grows along y, 128 at the crop's centre."""
    x, y = np.meshgrid(np.arange(width) + 0.5 - crop.x, np.arange(height) + 0.5 - crop.y)
    greys = 128 + slope * np.stack([x, y, 0 * x], axis=-1)
    return greys.round().clip(0, 255).astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.4, 0.6),
    st.floats(0.4, 0.6),
    st.floats(20, 400),
    st.floats(-math.pi, math.pi),
    st.sampled_from([(700, 700), (1200, 900)]),
)
def test_a_sample_shows_what_lies_at_its_place(
    u: float, v: float, side: float, angle: float, size: tuple[int, int]
) -> None:
    crop = FaceCrop(u * size[0], v * size[1], side, angle)
    slope = 200 / (side * math.sqrt(2))  # greys per pixel; the crop stays within 28..228
    shown = crop.sample(ramps(*size, crop, slope), SIZE).reshape(-1, 3)[:, :2].astype(float)
    x, y = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    flat = np.column_stack([x.ravel(), y.ravel(), 0 * x.ravel()]).astype(np.float32)
    expected = 128 + slope * (crop.placed(flat, SIZE)[:, :2] - (crop.x, crop.y))
    # Grey values are rounded once in the picture and once in the sample.
    assert np.abs((shown - expected).mean(axis=0)).max() < 0.6
    assert np.abs(shown - expected).max() < 1.6


@settings(max_examples=30, deadline=None)
@given(st.floats(-3, 3), st.floats(20, 300), st.floats(-2000, 2000), st.floats(-2000, 2000))
def test_a_crop_around_points_holds_them_all_and_levels_the_eyes(
    angle: float, scale: float, x: float, y: float
) -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(-1, 1, (478, 2))
    points[list(OUTER_EYE_CORNERS)] = (-0.5, 0), (0.5, 0)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    crop = FaceCrop.around_points(points @ turn.T * scale + (x, y))
    assert math.isclose(math.remainder(crop.angle - angle, 2 * math.pi), 0, abs_tol=1e-6)
    matrix = crop.to_picture(SIZE)
    inside = (points @ turn.T * scale + (x, y) - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    mesh = inside[:468]
    assert mesh.min() > 0
    assert mesh.max() < SIZE
    np.testing.assert_allclose(np.ptp(mesh, axis=0).max(), SIZE / 1.5, rtol=1e-6)


def test_a_crop_beyond_the_picture_repeats_its_edge() -> None:
    picture = np.full((40, 30, 3), 77, np.uint8)
    for crop in (FaceCrop(-500, -500, 80, 0.3), FaceCrop(900, 20, 900, 1.0)):
        assert (crop.sample(picture, SIZE) == 77).all()
