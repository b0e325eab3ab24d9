"""Head pose apart from facial expression.

The head is rigid, the face is not: the similarity that best fits the skull's landmarks is the
pose, and what is left once it is undone is the expression. Both are relative to a neutral face.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sunriza_assets.studio.face.regions import SKULL
from sunriza_assets.studio.face.topology import MESH_POINTS, OUTER_EYE_CORNERS
from sunriza_assets.studio.motion.rigid import fit_similarity, rotation_vectors

__all__ = [
    "HeadMotion",
    "MotionParts",
    "eye_distance",
    "rotation_matrices",
    "skull_centre",
    "split",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeadMotion:
    """Motion of a head relative to rest: x -> scale R (x - c) + c + shift."""

    rotation: Array
    """(3, 3) rotation R about the skull's centre c."""
    scale: float
    """> 0."""
    shift: Array
    """(2,) pixels, x right and y down."""

    @classmethod
    def still(cls) -> "HeadMotion":
        """The head at rest."""
        return cls(np.eye(3), 1.0, np.zeros(2))

    def apply(self, points: NDArray[Any], centre: NDArray[Any]) -> Array:
        """(N, 3) points at rest -> (N, 3) moved, turning about `centre` (3,)."""
        moved = self.scale * (points - centre) @ self.rotation.T + centre
        moved[:, :2] += self.shift
        return np.asarray(moved)


@dataclass(frozen=True)
class MotionParts:
    """Pose and expression of T frames relative to a neutral face."""

    rotation: Array
    """(T, 3) rotation vectors, radians."""
    log_scale: Array
    """(T,) natural logarithm of the size relative to neutral."""
    translation: Array
    """(T, 3) shift of the skull's centre in IOD; z is not measurable and means little."""
    expression: Array
    """(T, 468, 3) offsets from neutral in its own pose, IOD."""


def eye_distance(points: NDArray[Any]) -> float:
    """Distance of the outer eye corners in pixels, foreshortening undone: the unit IOD."""
    right, left = OUTER_EYE_CORNERS
    return float(np.linalg.norm(points[right] - points[left]))


def skull_centre(points: NDArray[Any]) -> Array:
    """(N, 3) landmarks -> (3,) the point that heads turn about here."""
    return np.asarray(points[SKULL].mean(axis=0), dtype=np.float64)


def split(landmarks: NDArray[Any], neutral: NDArray[Any]) -> MotionParts:
    """Take the pose out of a clip's landmarks.

    Args:
        landmarks: (T, N >= 468, 3) pixels.
        neutral: (N >= 468, 3) the face at rest, pixels.
    """
    heads = fit_similarity(neutral[SKULL], landmarks[:, SKULL])
    iod = eye_distance(neutral)
    centre = skull_centre(neutral)
    undone = heads.inverse().apply(landmarks[:, :MESH_POINTS])
    return MotionParts(
        rotation=rotation_vectors(heads.rotation),
        log_scale=np.log(heads.scale),
        translation=(heads.apply(centre[None])[..., 0, :] - centre) / iod,
        expression=(undone - neutral[:MESH_POINTS]) / iod,
    )


def rotation_matrices(vectors: NDArray[Any]) -> Array:
    """(..., 3) rotation vectors -> (..., 3, 3) matrices."""
    flat = Rotation.from_rotvec(np.asarray(vectors, dtype=np.float64).reshape(-1, 3)).as_matrix()
    return np.asarray(flat.reshape(*vectors.shape[:-1], 3, 3))
