"""Finds the neutral reference of a clip, relative to which all motion is measured.

A clip need not begin at rest. If it starts in the middle of a word or with a turned head, its first
frame would be a wrong reference. So the frame with the least motion, the most closed mouth and the
most frontal head is found, and averaged with the frames most like it.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sunriza_assets.errors import FaceError
from sunriza_assets.studio.face.measures import eye_apertures, head_angles, mouth_aperture
from sunriza_assets.studio.face.topology import OUTER_EYE_CORNERS
from sunriza_assets.studio.motion.rigid import (
    fit_similarity,
    mean_rotation,
    rotation_vectors,
)

__all__ = ["Neutral", "find_neutral"]

Array = NDArray[np.float64]

MIN_FRAMES: Final = 3
MAX_FRAMES: Final = 9
_OPEN_EYE_PERCENTILE: Final = 65
"""Percentile of an eye's apertures that counts as open; blinks would lower a mean."""
_COST_TOLERANCE: Final = 0.12
"""Frames within this of the best cost are averaged with it; about a mouth .03 IOD wider open."""

_MOUTH_CORNERS: Final = (61, 291)

# What the skull carries along and no expression moves: brow ridge, temples, bridge, eye corners.
_SKULL: Final = (
    10, 67, 109, 151, 297, 338, 103, 332, 54, 284, 21, 251, 162, 389, 127, 356,
    6, 168, 197, 195, 8, 33, 133, 362, 263,
)  # fmt: skip


@dataclass(frozen=True)
class Neutral:
    """The reference at rest."""

    frame: int
    """The best single frame."""
    frames: tuple[int, ...]
    """The frames averaged, ascending; `frame` is among them."""
    points: Array
    """(N, 3) averaged landmarks, standing where they stand in `frame`; pixels."""
    cost: Array
    """(T,) how far each frame is from rest, >= 0, in the units of `find_neutral`'s weights."""


def find_neutral(
    landmarks: NDArray[Any], rate: Fraction, *, usable: NDArray[np.bool_] | None = None
) -> Neutral:
    """Choose the frames nearest to rest and average them in one pose.

    The cost of a frame is 4 x mouth opening (IOD) + 4 x |mouth width - usual| (IOD) + 1.5 x angle
    to the clip's middle pose (rad) + 0.5 x |yaw| (rad) + 5 x speed (IOD a frame at 30 fps)
    + 2 x |eye opening / usual - 1|. The usual width tells lips at rest from the pursed ones of a
    "p", which are shut, too. The middle pose stands for "how this person sits", the yaw for
    "towards the camera"; so a clip whose speaker looks past the camera throughout keeps that as
    its rest.

    Args:
        landmarks: (T, N >= 468, 3) face mesh of every frame, pixels, z on the scale of x.
        rate: frames per second.
        usable: (T,) false where the face was lost and its landmarks were filled in.

    Raises:
        FaceError: no usable frame.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    usable = np.ones(len(points), dtype=bool) if usable is None else usable
    if not usable.any():
        raise FaceError("No frame of the clip shows the face clearly enough to start from")
    cost = np.where(usable, _cost(points, rate), np.inf)
    best = int(np.argmin(cost))
    frames = _frames_near_rest(cost)
    skull = list(_SKULL)
    to_best = fit_similarity(points[best, skull], points[frames][:, skull]).inverse()
    return Neutral(
        frame=best,
        frames=tuple(int(frame) for frame in frames),
        points=to_best.apply(points[frames]).mean(axis=0),
        cost=cost,
    )


def _frames_near_rest(cost: Array) -> NDArray[np.intp]:
    """Indices of the frames to average: within `_COST_TOLERANCE` of the best, at least three."""
    order = np.argsort(cost, kind="stable")[:MAX_FRAMES]
    near = cost[order] <= cost[order[0]] + _COST_TOLERANCE
    near[:MIN_FRAMES] = np.isfinite(cost[order[:MIN_FRAMES]])
    return np.sort(order[near])


def _cost(points: Array, rate: Fraction) -> Array:
    right, left = OUTER_EYE_CORNERS
    iod = np.linalg.norm(points[:, right] - points[:, left], axis=1)
    left_end, right_end = _MOUTH_CORNERS
    width = np.linalg.norm(points[:, left_end] - points[:, right_end], axis=1) / iod
    eyes = eye_apertures(points)
    open_aperture = np.maximum(np.percentile(eyes, _OPEN_EYE_PERCENTILE, axis=0), 1e-6)
    blink = np.abs(eyes / open_aperture - 1.0).mean(axis=1)
    angles = head_angles(points)
    rotations = Rotation.from_euler("YXZ", angles * (-1.0, 1.0, 1.0)).as_matrix()
    return np.asarray(
        4.0 * mouth_aperture(points)
        + 4.0 * np.abs(width - np.median(width))
        + 1.5 * _angle_to_middle(rotations)
        + 0.5 * np.abs(angles[:, 0])
        + 5.0 * _speed(points, iod, rate)
        + 2.0 * blink
    )


def _angle_to_middle(rotations: Array) -> Array:
    """(T,) radians between each pose and the middle one.

    The middle is a mean first and then the mean of the nearer half, as good as a median against a
    clip that spends a third of its time turned away.
    """
    nearer = np.ones(len(rotations), dtype=bool)
    for _ in range(2):
        middle = mean_rotation(rotations[nearer])
        angle = np.linalg.norm(rotation_vectors(middle.T @ rotations), axis=1)
        nearer = angle <= np.median(angle)
    return np.asarray(angle)


def _speed(points: Array, iod: Array, rate: Fraction) -> Array:
    """(T,) mean speed of the mesh in IOD a frame at 30 fps; central differences."""
    if len(points) < 2:
        return np.zeros(len(points))
    shift = np.gradient(points[..., :2], axis=0)
    return np.asarray(np.linalg.norm(shift, axis=2).mean(axis=1) / iod * float(rate / 30))
