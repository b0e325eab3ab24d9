"""Crops, opening ratios and sizes equal the published code's."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunriza_assets.studio.engines.liveportrait import crop, ratios
from sunriza_assets.studio.engines.liveportrait.crop import FaceSquare, Scheme, cut, fitted_size
from sunriza_assets.studio.engines.liveportrait.reader import shrunk
from sunriza_assets.studio.face.topology import FACE_OVAL
from sunriza_assets_tests.studio.engines.liveportrait import recorded

POINTS_106 = Scheme(((33, 35, 40, 39), (87, 89, 94, 93)), (52, 61))
"""The published pipeline's landmarks of portraits, whose model is not free to use."""
SCHEMES = {"106": POINTS_106, "203": crop.POINTS_203}


def _found(name: str) -> np.ndarray:
    return recorded.arrays("crop.npz")[name]


def _picture() -> np.ndarray:
    return np.ascontiguousarray(recorded.picture("source", 640)[:480])


def _alike(got: np.ndarray, wanted: np.ndarray) -> bool:
    """OpenCV's versions interpolate with up to 3 grey levels between them, on few pixels."""
    off = np.abs(got.astype(int) - wanted)
    return bool(off.max() <= 3 and (off > 0).mean() < 0.02)


@pytest.mark.parametrize("points", ["106", "203"])
def test_the_square_around_a_face(points: str) -> None:
    square = FaceSquare.around(_found(f"crop/in/lmk{points}"), SCHEMES[points], crop.SOURCE)
    x, y, width, height, angle = _found(f"crop/rect{points}")
    assert width == height
    wanted = (x, y, width, angle)
    got = (square.x, square.y, square.side, square.angle)
    assert np.allclose(got, wanted, atol=3e-4)


@pytest.mark.parametrize("points", ["106", "203"])
@pytest.mark.parametrize("turned", [True, False])
def test_crops_of_a_portrait(points: str, turned: bool) -> None:
    name = f"crop/src{points}_{'rot' if turned else 'norot'}"
    framing = dataclasses.replace(crop.SOURCE, turned=turned)
    square = FaceSquare.around(_found(f"crop/in/lmk{points}"), SCHEMES[points], framing)
    to_crop = square.to_crop(512)
    assert np.abs(to_crop - _found(f"{name}/M_o2c")).max() < 3e-4
    assert np.abs(np.linalg.inv(to_crop) - _found(f"{name}/M_c2o")).max() < 3e-4
    close = cut(_picture(), to_crop, 512)
    assert _alike(close[::8, ::8], _found(f"{name}/img512_sub8"))
    small = shrunk(close, averaging=True)
    assert _alike(small[::4, ::4], _found(f"{name}/img256_area_sub4"))


def test_the_square_of_a_clip() -> None:
    names = ("crop/in/lmk203", "crop/in/lmk203_frame1")
    squares = [FaceSquare.around(_found(n), crop.POINTS_203, crop.DRIVING) for n in names]
    for square, box in zip(squares, _found("crop/drv/bbox_per_frame"), strict=True):
        half = square.side / 2
        got = (square.x - half, square.y - half, square.x + half, square.y + half)
        assert np.allclose(got, box, atol=3e-4)
    mean = crop.mean_square(np.array([[s.x, s.y, s.side] for s in squares]))
    to_crop = mean.to_crop(512)
    assert np.abs(to_crop - _found("crop/drv/M_o2c")).max() < 3e-4
    close = cut(_picture(), to_crop, 512)
    assert _alike(close[::8, ::8], _found("crop/drv/img512_sub8"))
    assert _alike(shrunk(close, averaging=False)[::4, ::4], _found("crop/drv/img256_linear_sub4"))


def test_what_the_landmarker_looks_at() -> None:
    square = FaceSquare.around(_found("crop/in/lmk106"), POINTS_106, crop.LANDMARKER)
    to_crop = square.to_crop(crop.LANDMARKER.size)
    assert np.abs(to_crop - _found("crop/landmark_runner/M_o2c")).max() < 3e-4
    seen = cut(_picture(), to_crop, crop.LANDMARKER.size)
    assert _alike(seen[::4, ::4], _found("crop/landmark_runner/img224_sub4"))


def test_opening_ratios() -> None:
    eyes, lip = ratios.opening_ratios(_found("crop/in/lmk203"), ratios.POINTS_203)
    assert np.allclose(eyes, _found("ratio/eye203")[0], atol=1e-5)
    assert np.allclose(lip, _found("ratio/lip203")[0], atol=1e-5)
    motion = recorded.arrays("motion.npz")
    eyes, lip = ratios.opening_ratios(motion["motion/src/lmk203"], ratios.POINTS_203)
    assert np.allclose(eyes, motion["motion/src/c_eyes"], atol=1e-5)
    assert np.allclose(lip, motion["motion/src/c_lip"], atol=1e-5)


def test_sizes() -> None:
    for height, width, longest, division, *wanted in _found(
        "resize_to_limit/h_w_max_div_outh_outw"
    ).tolist():
        limit = longest or max(height, width)  # 0: no limit
        assert fitted_size((height, width), limit, division) == tuple(wanted)


@given(
    angle=st.floats(-1.2, 1.2),
    scale=st.floats(0.3, 4.0),
    x=st.floats(-200, 200),
    y=st.floats(-200, 200),
)
def test_the_square_moves_with_the_face(angle: float, scale: float, x: float, y: float) -> None:
    points = _found("crop/in/lmk203").astype(np.float64)
    rest = FaceSquare.around(points, crop.POINTS_203, crop.SOURCE)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = FaceSquare.around(points @ turn.T + [x, y], crop.POINTS_203, crop.SOURCE)
    assert np.allclose([moved.x, moved.y], turn @ [rest.x, rest.y] + [x, y], atol=0.02)
    assert np.isclose(moved.side, scale * rest.side, rtol=1e-4)
    assert np.isclose(moved.angle, rest.angle + angle, atol=1e-4)


def test_the_mesh_is_framed_without_its_forehead() -> None:
    forehead = {10, 338, 297, 332, 284, 251, 21, 54, 103, 67, 109, 389, 162}
    outline = set(crop.MESH_478.outline or ())
    assert not outline & forehead
    assert set(FACE_OVAL.tolist()) - forehead <= outline


def test_a_crop_with_corners_maps_back() -> None:
    square = FaceSquare(120.0, 80.0, 100.0, 0.3)
    corners = (
        np.array([[0, 0, 1], [512, 0, 1], [512, 512, 1]]) @ np.linalg.inv(square.to_crop(512)).T
    )
    assert np.isclose(np.linalg.norm(corners[1] - corners[0]), 100.0)
    assert np.allclose((corners[0] + corners[2])[:2] / 2, [120.0, 80.0])
    assert cv2.contourArea(corners[:, :2].astype(np.float32)) > 0  # not mirrored
