"""Crop geometry: continuous pixels in, continuous pixels out, at any size, angle and place."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sunriza_assets.studio.face.crop import FaceCrop
from sunriza_assets.studio.face.topology import OUTER_EYE_CORNERS

SIZE = 64


def ramps(width: int, height: int) -> NDArray[np.uint8]:
    """A picture whose red grows along x and whose green grows along y, 0 to 255."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x * 255 / width, y * 255 / height, 0 * x], axis=-1).round().astype(np.uint8)


@settings(max_examples=30, deadline=None)
@given(
    st.floats(0.4, 0.6),
    st.floats(0.4, 0.6),
    st.floats(0.05, 0.5),
    st.floats(-math.pi, math.pi),
    st.sampled_from([(256, 256), (400, 300), (1200, 1600)]),
)
def test_a_sample_shows_what_lies_at_its_place(
    u: float, v: float, share: float, angle: float, size: tuple[int, int]
) -> None:
    width, height = size
    crop = FaceCrop(u * width, v * height, share * min(size), angle)
    sampled = crop.sample(ramps(width, height), SIZE)
    x, y = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    flat = np.column_stack([x.ravel(), y.ravel(), 0 * x.ravel()]).astype(np.float32)
    places = crop.placed(flat, SIZE)[:, :2]
    shown = sampled.reshape(-1, 3)[:, :2] * (np.array(size) / 255)
    # Half a pixel of displacement would show: the mean of thousands of rounded greys is fine.
    step = np.array(size) / 255
    assert np.abs((shown - places).mean(axis=0)).max() < 0.15 * max(step.max(), 1)
    assert np.abs(shown - places).max() < 1.6 * max(step.max(), 1)


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
