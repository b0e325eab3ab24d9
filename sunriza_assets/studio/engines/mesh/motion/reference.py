"""The reference of relative motion: the clip's neutral face, or the frame that the portrait is.

Motion measured from the clip's neutral face is added to the portrait's own pose and expression.
That is right for a portrait taken elsewhere. But people also take a frame of the clip itself as the
portrait; that frame smiles or looks aside already, and adding the same smile once more would be
wrong. So when the portrait's shape is that of one of the clip's frames, to a precision that no
second person and no second moment reaches, motion is measured from that frame.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.topology import MESH_POINTS
from sunriza_assets.studio.motion.head_pose import (
    eye_distance,
    rotation_matrices,
    skull_centre,
)
from sunriza_assets.studio.motion.rigid import fit_similarity, rotation_vectors

__all__ = ["matching_frame", "relative_to"]

Arrays = Mapping[str, NDArray[Any]]

SAME_FRAME_DIFFERENCE: Final = 0.01
"""Root mean square difference of two shapes, IOD, up to which they are one face at one moment.

Two looks at one frame, differently scaled, differ by 0.001 to 0.006; the nearest frames of
different people by 0.017 to 0.07 (measured on 17 portraits against 3 clips)."""


def matching_frame(arrays: Arrays, points: NDArray[Any]) -> tuple[int, float]:
    """The clip's frame whose face is most like a portrait's, and how unlike it still is.

    Args:
        arrays: a mesh template's.
        points: (>= 468, 3) landmarks of the portrait, pixels.

    Returns:
        The frame, and the root mean square distance in IOD between the face as it is seen there
        and in the portrait, place, size and roll apart.
    """
    neutral = arrays["neutral"][:MESH_POINTS].astype(np.float64)
    iod = eye_distance(neutral)
    faces = neutral + iod * arrays["expression"].astype(np.float64)
    turns = rotation_matrices(arrays["rotation"])
    seen = ((faces - neutral.mean(axis=0)) @ np.swapaxes(turns, 1, 2))[..., :2]
    mesh = points[:MESH_POINTS, :2]
    apart = (fit_similarity(mesh, seen).apply(mesh) - seen) / iod
    residual = np.sqrt(np.mean(np.sum(apart**2, axis=-1), axis=-1))
    best = int(np.argmin(residual))
    return best, float(residual[best])


def relative_to(arrays: Arrays, frame: int) -> dict[str, NDArray[Any]]:
    """The same motion measured from one frame of it: that frame becomes neutral, posed as it is.

    Args:
        arrays: a mesh template's.
        frame: index of the new neutral frame.
    """
    neutral = arrays["neutral"].astype(np.float64)
    iod, centre = eye_distance(neutral), skull_centre(neutral)
    turns = rotation_matrices(arrays["rotation"])
    turn, growth = turns[frame], float(np.exp(arrays["log_scale"][frame]))
    expression = arrays["expression"].astype(np.float64)
    shape = neutral.copy()
    shape[:MESH_POINTS] += iod * expression[frame]
    posed = growth * (shape - centre) @ turn.T + centre + iod * arrays["translation"][frame]
    openness = 1.0 - arrays["closure"].astype(np.float64)
    result = dict(arrays)
    result["neutral"] = posed
    result["rotation"] = rotation_vectors(turns @ turn.T)
    result["log_scale"] = arrays["log_scale"] - arrays["log_scale"][frame]
    result["translation"] = (arrays["translation"] - arrays["translation"][frame]) / growth
    result["expression"] = (expression - expression[frame]) @ turn.T
    result["closure"] = 1.0 - openness / np.maximum(openness[frame], 0.2)
    result["gaze"] = arrays["gaze"] - arrays["gaze"][frame]
    return result
