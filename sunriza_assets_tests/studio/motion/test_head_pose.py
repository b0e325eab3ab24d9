"""Pose and expression come apart again as they were put together."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sunriza_assets.studio.face.regions import SKULL
from sunriza_assets.studio.motion.head_pose import eye_distance, skull_centre, split

angles = st.floats(-0.6, 0.6)


@settings(max_examples=25, deadline=None)
@given(st.tuples(angles, angles, angles), st.floats(0.7, 1.4), st.tuples(angles, angles))
def test_a_known_motion_is_found_again(
    vector: tuple[float, float, float], scale: float, shift: tuple[float, float]
) -> None:
    random = np.random.default_rng(1)
    neutral = random.normal(0, 60, (478, 3))
    neutral[33], neutral[263] = [-50, 0, 0], [50, 0, 0]
    expression = random.normal(0, 3, (468, 3))
    expression[SKULL] = 0
    iod, centre = eye_distance(neutral), skull_centre(neutral)
    face = neutral.copy()
    face[:468] += expression
    turn = Rotation.from_rotvec(vector).as_matrix()
    offset = np.array([*shift, 0.0]) * iod
    posed = scale * (face - centre) @ turn.T + centre + offset
    parts = split(posed[None], neutral)
    np.testing.assert_allclose(parts.rotation[0], vector, atol=1e-6)
    np.testing.assert_allclose(parts.log_scale[0], np.log(scale), atol=1e-9)
    np.testing.assert_allclose(parts.translation[0] * iod, offset, atol=1e-6)
    np.testing.assert_allclose(parts.expression[0] * iod, expression, atol=1e-6)


def test_a_still_head_does_not_move(landmarks: NDArray[np.float64]) -> None:
    parts = split(np.stack([landmarks, landmarks]), landmarks)
    assert np.abs(parts.rotation).max() < 1e-6
    assert np.abs(parts.expression).max() < 1e-6
