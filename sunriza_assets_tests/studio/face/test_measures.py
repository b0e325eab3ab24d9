"""Measures against known truth: turned heads, shut lids, scripted blinks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sunriza_assets.studio.face.measures import (
    blink_frames,
    eye_apertures,
    head_angles,
    mouth_aperture,
)
from sunriza_assets.studio.face.topology import (
    LOWER_LIP_ROWS,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    RIGID_HEAD,
    RIGID_POINTS,
    UPPER_LIP_ROWS,
)

angles = st.floats(-1.2, 1.2)


@settings(max_examples=50, deadline=None)
@given(angles, angles, angles, st.floats(10, 500))
def test_a_turned_head_reads_as_it_was_turned(
    yaw: float, pitch: float, roll: float, iod: float
) -> None:
    turn = Rotation.from_euler("YXZ", [-yaw, pitch, roll]).as_matrix()
    points = np.zeros((478, 3))
    points[RIGID_POINTS] = RIGID_HEAD @ turn.T * iod + (300, 200, 0)
    np.testing.assert_allclose(head_angles(points), (yaw, pitch, roll), atol=1e-9)


def test_signs_are_those_of_the_docstring() -> None:
    nose = int(np.flatnonzero(RIGID_POINTS == 4)[0])
    points = np.zeros((478, 3))
    for axis, coordinate in ((0, 0), (1, 1)):  # yaw moves the nose along x, pitch along y
        turn = [0.0, 0.0, 0.0]
        turn[axis] = 0.3
        matrix = Rotation.from_euler("YXZ", [-turn[0], turn[1], turn[2]]).as_matrix()
        head = RIGID_HEAD @ matrix.T
        points[RIGID_POINTS] = head
        assert head[nose, coordinate] > RIGID_HEAD[nose, coordinate] + 0.05
        assert head_angles(points)[axis] == pytest.approx(0.3)


def test_the_portrait_looks_roughly_at_us(recorded: NDArray[np.float64]) -> None:
    assert np.degrees(np.abs(head_angles(recorded))).max() < 10


def test_shut_lids_and_lips_read_zero(recorded: NDArray[np.float64]) -> None:
    shut = recorded.copy()
    shut[RIGHT_UPPER_LID] = shut[RIGHT_LOWER_LID]
    shut[UPPER_LIP_ROWS[-1]] = shut[LOWER_LIP_ROWS[-1]]
    assert eye_apertures(shut)[0] == 0
    assert eye_apertures(shut)[1] == eye_apertures(recorded)[1] > 0.2
    assert mouth_aperture(shut) == 0
    assert mouth_aperture(recorded) > 0


def test_measures_do_not_depend_on_place_and_size(recorded: NDArray[np.float64]) -> None:
    other = recorded * 3.7 + (100, -50, 8)
    np.testing.assert_allclose(eye_apertures(other), eye_apertures(recorded))
    np.testing.assert_allclose(mouth_aperture(other), mouth_aperture(recorded))
    np.testing.assert_allclose(head_angles(other), head_angles(recorded), atol=1e-9)


def test_a_clip_is_measured_frame_by_frame(recorded: NDArray[np.float64]) -> None:
    clip = np.stack([recorded, recorded + 1, recorded * 2])
    for measure, shape in ((eye_apertures, (3, 2)), (mouth_aperture, (3,)), (head_angles, (3, 3))):
        values = measure(clip)
        assert values.shape == shape
        np.testing.assert_allclose(values[0], measure(recorded), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([24.0, 25.0, 29.97, 30.0, 60.0]),
    st.lists(st.integers(0, 11), max_size=6, unique=True),
    st.floats(0.45, 1.0),
    st.integers(0, 1000),
)
def test_scripted_blinks_are_counted_exactly(
    rate: float, slots: list[int], depth: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    times = np.arange(int(7 * rate)) / rate
    at = np.sort(np.array([0.5 + 0.5 * slot for slot in slots]))
    closure = sum((np.exp(-(((times - t) / 0.07) ** 2)) for t in at), np.zeros_like(times))
    opening = 0.3 * (1 - depth * closure)
    apertures = np.stack([opening, 1.1 * opening], axis=1) + rng.normal(0, 0.004, (len(times), 2))
    found = blink_frames(apertures, rate)
    assert len(found) == len(at)
    np.testing.assert_allclose(found / rate, at, atol=2 / rate + 0.03)


def test_a_squint_is_no_blink() -> None:
    times = np.arange(150) / 30
    closure = 0.6 / (1 + np.exp(-20 * (0.5 - np.abs(times - 2.5))))  # for a second
    apertures = np.repeat(0.3 * (1 - closure)[:, None], 2, axis=1)
    assert len(blink_frames(apertures, 30)) == 0


def test_a_wink_is_no_blink() -> None:
    times = np.arange(90) / 30
    closure = np.exp(-(((times - 1.5) / 0.07) ** 2))
    one_eye = 0.3 * (1 - np.stack([0.9 * closure, 0.1 * closure], axis=1))
    assert len(blink_frames(one_eye, 30)) == len(blink_frames(one_eye, 30, doubtful=True)) == 0
    unlike = 0.3 * (1 - np.stack([0.9 * closure, 0.4 * closure], axis=1))
    assert len(blink_frames(unlike, 30)) == 1


def test_a_blink_half_seen_is_a_doubtful_one() -> None:
    times = np.arange(90) / 30
    closure = 0.2 * np.exp(-(((times - 1.5) / 0.07) ** 2))
    apertures = np.repeat(0.3 * (1 - closure)[:, None], 2, axis=1)
    assert len(blink_frames(apertures, 30)) == 0
    assert blink_frames(apertures, 30, doubtful=True).tolist() == [45]
