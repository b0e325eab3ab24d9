"""How far the face of each frame is from rest: lips closed, gaze ahead, brows level, head still.

Rest is a property of a face, not of a clip. Somebody who smiles in most frames of a clip does not
rest with a smile, so nothing that a clip's median may be wrong about is compared with it.
"""

from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.measures import (
    eye_apertures,
    gaze_offsets,
    head_angles,
    mouth_aperture,
)
from sunriza_assets.studio.face.regions import NOSE_BASE, SKULL
from sunriza_assets.studio.face.topology import (
    LEFT_BROW,
    MOUTH_CORNERS,
    OUTER_EYE_CORNERS,
    POINTS,
    RIGHT_BROW,
)
from sunriza_assets.studio.motion.rigid import fit_similarity

__all__ = ["rest_costs"]

Array = NDArray[np.float64]

_USUAL_WIDTH: Final = (0.54, 0.04)
"""Width of a mouth at rest, IOD, and how far people differ (ten of them: 0.505 to 0.563)."""
_USUAL_CORNERS: Final = (-0.002, 0.022)
"""The same for how far the corners of the mouth are below the line of the lips."""
_FULL_LIPS: Final = 0.85
"""Share of the median height of the lips below which they are pressed together or rolled in."""
_CLOSED: Final = 0.004
"""Opening of closed lips, IOD."""
_AHEAD: Final = (0.03, 0.02)
"""Offset of the irises up to which somebody looks ahead, eye widths: from the middle of the eye
sideways; up and down, where lids bias it, from what is usual with open eyes."""
_OPEN_EYES: Final = 0.08
"""Difference from usual up to which eyes are open as usual, share."""
_OPEN_EYE_PERCENTILE: Final = 65
"""Percentile of an eye's apertures that counts as open; blinks would lower a mean."""
_PLAUSIBLE: Final = 8
_MIN_PLAUSIBLE: Final = 5
"""One frame of so many is a plausible rest, and at least so many are; their median is the person's
own rest, which the usual face knows nothing of."""
_NASION: Final = 168
_UPPER_LIP: Final = (0, 13)
_LOWER_LIP: Final = (14, 17)
"""Outer and inner edge of the upper lip's middle; inner and outer of the lower one's."""
_CHIN: Final = 152


def rest_costs(points: Array, rate: Fraction, usable: NDArray[np.bool_]) -> Array:
    """(T,) how far each frame is from rest, in tenths of an IOD or so; infinite where unusable.

    First every frame is compared with what rest looks like in anybody. The frames that come nearest
    are plausible rests, and all are then compared with the median of those: that throws out pouts
    and frowns, which lips of the usual width may hide.

    Args:
        points: (T, N >= 468, 3) face mesh of every frame, pixels; with N < 478 gaze is unknown.
        rate: frames per second.
        usable: (T,) false where the face was lost and its landmarks were filled in.
    """
    face = _Face(points, usable)
    cost = np.where(usable, face.unlike_anybody() + _restless(points, rate, usable), np.inf)
    count = max(_MIN_PLAUSIBLE, int(usable.sum()) // _PLAUSIBLE)
    plausible = np.argsort(cost, kind="stable")[: min(count, int(usable.sum()))]
    return cost + 2.0 * face.unlike(plausible)


class _Face:
    """The expression of every frame, undone by the head's motion; lengths in IOD."""

    def __init__(self, points: Array, usable: NDArray[np.bool_]) -> None:
        frame = int(np.argmin(np.where(usable, np.abs(head_angles(points)[:, 0]), np.inf)))
        reference = points[frame]
        upright = fit_similarity(reference[SKULL], points[:, SKULL]).inverse().apply(points)
        right, left = (reference[corner] for corner in OUTER_EYE_CORNERS)
        iod = max(float(np.linalg.norm(left - right)), 1e-6)
        across = (left - right) / iod
        down = reference[NOSE_BASE] - reference[_NASION]
        down = down - (down @ across) * across
        down /= max(float(np.linalg.norm(down)), 1e-6)
        height = upright @ down / iod

        def apart(one: int, other: int) -> Array:
            return np.asarray(np.linalg.norm(upright[:, one] - upright[:, other], axis=-1) / iod)

        corners = height[:, list(MOUTH_CORNERS)]
        brows = height[:, np.concatenate([RIGHT_BROW, LEFT_BROW])].mean(axis=1)
        self.opening = mouth_aperture(upright)
        self.width = apart(*MOUTH_CORNERS)
        self.corners = corners.mean(axis=1) - height[:, [13, 14]].mean(axis=1)
        self.slant = np.abs(corners[:, 0] - corners[:, 1])
        self.lips = apart(*_UPPER_LIP) + apart(*_LOWER_LIP)
        self.brows = height[:, _NASION] - brows
        self.chin = apart(_LOWER_LIP[1], _CHIN)
        eyes = eye_apertures(upright)
        usual = np.maximum(np.percentile(eyes[usable], _OPEN_EYE_PERCENTILE, axis=0), 1e-6)
        self.lids = np.abs(eyes / usual - 1.0).mean(axis=1)
        self.gaze = np.zeros((len(points), 2))
        if points.shape[1] >= POINTS:
            self.gaze = gaze_offsets(upright).mean(axis=1)
        open_ = usable & (self.lids < _OPEN_EYES)
        self._usual_gaze = float(np.median(self.gaze[open_ if open_.any() else usable, 1]))
        self._usable = usable

    def unlike_anybody(self) -> Array:
        """(T,) difference from a face at rest, whoever's it is."""
        usual_lips = float(np.median(self.lips[self._usable]))
        usual_brows = float(np.median(self.brows[self._usable]))
        return np.asarray(
            5.0 * np.maximum(self.opening - _CLOSED, 0.0)
            + 3.0 * _beyond(self.width, *_USUAL_WIDTH)
            + 3.0 * _beyond(self.corners, *_USUAL_CORNERS)
            + 2.0 * np.maximum(_FULL_LIPS * usual_lips - self.lips, 0.0)
            + 1.5 * self.slant
            + 4.0 * _beyond(self.gaze[:, 0], 0.0, _AHEAD[0])
            + 3.0 * _beyond(self.gaze[:, 1], self._usual_gaze, _AHEAD[1])
            + 3.0 * np.abs(self.brows - usual_brows)
            + 1.2 * np.maximum(self.lids - _OPEN_EYES, 0.0)
        )

    def unlike(self, frames: NDArray[np.intp]) -> Array:
        """(T,) difference from the median face of some frames."""
        curves = (
            self.width, self.corners, self.lips, 1.5 * self.brows,
            self.gaze[:, 0], self.gaze[:, 1], self.opening, self.chin,
        )  # fmt: skip
        return np.asarray(sum(np.abs(curve - np.median(curve[frames])) for curve in curves))


def _restless(points: Array, rate: Fraction, usable: NDArray[np.bool_]) -> Array:
    """(T,) cost of a turned and of a moving head. Somebody who looks past the camera throughout
    keeps that as rest; a nod and a bow are told from how the head is mostly held."""
    angles = np.abs(head_angles(points) - [0.0, 1.0, 0.0] * _median_angles(points, usable))
    return np.asarray(angles @ [0.9, 0.9, 0.3] + 4.0 * _speed(points, rate))


def _median_angles(points: Array, usable: NDArray[np.bool_]) -> Array:
    return np.asarray(np.median(head_angles(points[usable]), axis=0))


def _speed(points: Array, rate: Fraction) -> Array:
    """(T,) mean speed of the mesh in IOD a frame at 30 fps; central differences."""
    if len(points) < 2:
        return np.zeros(len(points))
    right, left = OUTER_EYE_CORNERS
    iod = np.linalg.norm(points[:, right] - points[:, left], axis=1)
    shift = np.gradient(points[..., :2], axis=0)
    return np.asarray(np.linalg.norm(shift, axis=2).mean(axis=1) / iod * float(rate / 30))


def _beyond(values: Array, middle: float, tolerance: float) -> Array:
    """(T,) by how much values are further from the middle than is tolerated."""
    return np.asarray(np.maximum(np.abs(values - middle) - tolerance, 0.0))
