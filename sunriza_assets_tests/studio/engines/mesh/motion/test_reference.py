"""A portrait that is a frame of the clip is recognised, and its motion measured from that frame."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sunriza_assets.studio.engines.mesh.motion.reference import (
    SAME_FRAME_DIFFERENCE,
    matching_frame,
    relative_to,
)
from sunriza_assets.studio.face.regions import LOWER_LIP
from sunriza_assets.studio.motion.head_pose import eye_distance, skull_centre, split

T = 9


def clip_of(neutral: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 478, 3) the face turning, nodding, shifting and opening its mouth."""
    iod, centre = eye_distance(neutral), skull_centre(neutral)
    frames = []
    for k in range(T):
        face = neutral.copy()
        face[np.unique(LOWER_LIP), 1] += 0.03 * k * iod
        turn = Rotation.from_rotvec([0.03 * k, -0.05 * k, 0.01 * k]).as_matrix()
        frames.append((face - centre) @ turn.T * (1 + 0.01 * k) + centre + [3.0 * k, k, 0])
    return np.stack(frames)


def template_arrays(
    clip: NDArray[np.float64], neutral: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    parts = split(clip, neutral)
    return {
        "neutral": neutral,
        "rotation": parts.rotation,
        "log_scale": parts.log_scale,
        "translation": parts.translation,
        "expression": parts.expression,
        "closure": np.linspace(0, 0.6, T)[:, None].repeat(2, 1),
        "gaze": np.zeros((T, 2, 2)),
    }


def test_a_frame_of_the_clip_is_found(landmarks: NDArray[np.float64]) -> None:
    clip = clip_of(landmarks)
    arrays = template_arrays(clip, landmarks)
    smaller = 0.4 * clip[5] + [10, 20, 0]
    frame, unlike = matching_frame(arrays, smaller)
    assert frame == 5
    assert unlike < 0.1 * SAME_FRAME_DIFFERENCE


def test_another_face_is_not(landmarks: NDArray[np.float64]) -> None:
    arrays = template_arrays(clip_of(landmarks), landmarks)
    other = landmarks * [1.0, 1.12, 1.0]
    assert matching_frame(arrays, other)[1] > SAME_FRAME_DIFFERENCE


def test_motion_from_a_frame_rebuilds_the_clip(landmarks: NDArray[np.float64]) -> None:
    """Neutral posed by the new arrays stands where the clip's landmarks stood."""
    clip = clip_of(landmarks)
    arrays = relative_to(template_arrays(clip, landmarks), 4)
    neutral, iod = arrays["neutral"], eye_distance(arrays["neutral"])
    np.testing.assert_allclose(neutral[:468], clip[4][:468], atol=1e-6)
    centre = skull_centre(neutral)
    for k in range(T):
        turn = Rotation.from_rotvec(arrays["rotation"][k]).as_matrix()
        face = neutral[:468] + iod * arrays["expression"][k]
        posed = np.exp(arrays["log_scale"][k]) * (face - centre) @ turn.T + centre
        posed += iod * arrays["translation"][k]
        np.testing.assert_allclose(posed, clip[k][:468], atol=0.03 * iod)
    assert np.abs(arrays["closure"][4]).max() == 0
    assert arrays["closure"][8].max() < 0.6
