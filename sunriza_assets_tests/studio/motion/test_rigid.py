"""Similarities: known motion is found again, for one frame and for many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sunriza_assets.studio.motion.rigid import fit_similarity, mean_rotation, rotation_vectors

angles = st.floats(-1.5, 1.5)


def cloud(seed: int, count: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3))


@given(st.integers(0, 99), st.tuples(angles, angles, angles), st.floats(0.2, 5.0))
def test_a_known_similarity_is_found(seed: int, vector: tuple[float, ...], scale: float) -> None:
    points, turn, shift = cloud(seed), Rotation.from_rotvec(vector), np.array([3.0, -2.0, 7.0])
    found = fit_similarity(points, scale * turn.apply(points) + shift)
    assert found.scale == pytest.approx(scale)
    np.testing.assert_allclose(rotation_vectors(found.rotation), vector, atol=1e-6)
    np.testing.assert_allclose(found.translation, shift, atol=1e-6)
    np.testing.assert_allclose(found.inverse().apply(found.apply(points)), points, atol=1e-9)


def test_frames_are_fitted_one_by_one() -> None:
    points = cloud(1)
    turns = Rotation.from_rotvec(np.linspace([0, 0, 0], [0.3, 0.8, -0.2], 5))
    targets = np.stack([turn.apply(points) for turn in turns])
    found = fit_similarity(points, targets)
    assert found.scale.shape == (5,)
    np.testing.assert_allclose(found.apply(points), targets, atol=1e-9)
    np.testing.assert_allclose(rotation_vectors(found.rotation), turns.as_rotvec(), atol=1e-7)


def test_a_mirror_image_is_never_the_answer() -> None:
    points = cloud(2)
    found = fit_similarity(points, points * [-1.0, 1.0, 1.0])
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)


def test_noise_is_averaged_out() -> None:
    points, noise = cloud(3, 400), np.random.default_rng(0).normal(scale=0.05, size=(400, 3))
    turn = Rotation.from_rotvec([0.1, 0.4, 0.0])
    found = fit_similarity(points, turn.apply(points) + noise)
    assert np.linalg.norm(rotation_vectors(found.rotation @ turn.as_matrix().T)) < 0.01


def test_mean_rotation_lies_in_the_middle() -> None:
    turns = Rotation.from_rotvec([[0.0, -0.3, 0.0], [0.0, 0.5, 0.0]]).as_matrix()
    np.testing.assert_allclose(rotation_vectors(mean_rotation(turns)), [0, 0.1, 0], atol=1e-9)
