"""Finds the neutral reference of a clip, relative to which all motion is measured.

A clip need not begin at rest. If it starts in the middle of a word or with a turned head, its first
frame would be a wrong reference. So the frame whose face is nearest to rest is found, and averaged
with the frames most like it.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import FaceError
from sunriza_assets.studio.motion.rest import rest_costs
from sunriza_assets.studio.motion.rigid import fit_similarity

__all__ = ["Neutral", "find_neutral"]

Array = NDArray[np.float64]

MIN_FRAMES: Final = 3
MAX_FRAMES: Final = 9
_COST_TOLERANCE: Final = 0.06
"""Frames within this of the best cost are averaged with it; about a mouth .01 IOD wider open."""

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

    Rest is judged by what faces at rest look like, see `rest`, not by what is usual in the clip.

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
    cost = rest_costs(points, rate, usable)
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
