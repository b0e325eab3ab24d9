"""Which moment of a clip counts as "at rest": what all relative motion is measured from.

Nothing obliges a clip to begin at rest. One that starts in the middle of a word or with a turned
head would, if its first frame were the reference, keep every other frame open-mouthed or askew; so
the calmest, most closed, most frontal moment is looked for and averaged over its likes.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import FaceError
from sunriza_assets.studio.motion.rigid import (
    fit_similarity,
    mean_rotation,
    rotation_vectors,
)

__all__ = ["Neutral", "find_neutral"]

Array = NDArray[np.float64]

FEWEST: Final = 3
MOST: Final = 9
_ALIKE: Final = 0.12
"""Frames within this of the best cost are averaged with it; about a mouth .03 IOD wider open."""

# Indices into the 468-point face mesh.
_OUTER_EYE_CORNERS: Final = (33, 263)
_INNER_LIP_PAIRS: Final = ((82, 87), (13, 14), (312, 317))
_LID_PAIRS: Final = (((160, 144), (159, 145), (158, 153)), ((385, 380), (386, 374), (387, 373)))
_EYE_CORNERS: Final = ((33, 133), (362, 263))
_TEMPLES: Final = (127, 356)
_FOREHEAD: Final = 10
_BASE_OF_NOSE: Final = 2
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

    The cost of a frame is 4 x mouth opening (IOD) + 1.5 x angle to the clip's middle pose (rad)
    + 0.5 x |yaw| (rad) + 5 x speed (IOD a frame at 30 fps) + 2 x |eye opening / usual - 1|.
    The middle pose stands for "how this person sits", the yaw for "towards the camera"; so a clip
    whose speaker looks past the camera throughout keeps that as its rest.

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
    frames = _alike(cost)
    skull = list(_SKULL)
    to_best = fit_similarity(points[best, skull], points[frames][:, skull]).inverse()
    return Neutral(
        frame=best,
        frames=tuple(int(frame) for frame in frames),
        points=to_best.apply(points[frames]).mean(axis=0),
        cost=cost,
    )


def _alike(cost: Array) -> NDArray[np.intp]:
    """The frames to average: as good as the best one, at least three where there are three."""
    order = np.argsort(cost, kind="stable")[:MOST]
    good = cost[order] <= cost[order[0]] + _ALIKE
    good[:FEWEST] = np.isfinite(cost[order[:FEWEST]])
    return np.sort(order[good])


def _cost(points: Array, rate: Fraction) -> Array:
    iod = _distance(points, *_OUTER_EYE_CORNERS)
    mouth = _mean_distance(points, _INNER_LIP_PAIRS) / iod
    eyes = _eye_openings(points)
    usual = np.maximum(np.percentile(eyes, 65, axis=0), 1e-6)
    blink = np.abs(eyes / usual - 1.0).mean(axis=1)
    rotations = _head_axes(points)
    return np.asarray(
        4.0 * mouth
        + 1.5 * _angle_to_middle(rotations)
        + 0.5 * np.abs(_yaw(rotations))
        + 5.0 * _speed(points, iod, rate)
        + 2.0 * blink
    )


def _head_axes(points: Array) -> Array:
    """(T, N, 3) -> (T, 3, 3) rotations whose columns are the head's right, down and inward axes.

    Absolute, not relative to another frame: the line through the temples and the one down the
    forehead and nose span the face, whoever it belongs to.
    """
    right = _unit(points[:, _TEMPLES[1]] - points[:, _TEMPLES[0]])
    down = points[:, _BASE_OF_NOSE] - points[:, _FOREHEAD]
    down = _unit(down - np.sum(down * right, axis=1, keepdims=True) * right)
    return np.stack([right, down, np.cross(right, down)], axis=2)


def _yaw(rotations: Array) -> Array:
    """(T, 3, 3) head axes -> (T,) turn away from the camera, radians; z grows away from it."""
    return np.arctan2(rotations[:, 2, 0], rotations[:, 0, 0])


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


def _eye_openings(points: Array) -> Array:
    """(T, 2) lid distance over eye width, the eye at 33/133 first."""
    return np.stack(
        [
            _mean_distance(points, pairs) / _distance(points, *corners)
            for pairs, corners in zip(_LID_PAIRS, _EYE_CORNERS, strict=True)
        ],
        axis=1,
    )


def _mean_distance(points: Array, pairs: tuple[tuple[int, int], ...]) -> Array:
    return np.asarray(np.mean([_distance(points, a, b) for a, b in pairs], axis=0))


def _distance(points: Array, a: int, b: int) -> Array:
    return np.asarray(np.linalg.norm(points[:, a] - points[:, b], axis=1))


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
