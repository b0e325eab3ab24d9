"""The ball of an eye with its iris elsewhere: a whole disc over a white that has none.

The white beneath the iris is inpainted from either side of it, and what lids hide of the iris is
filled by rings around its middle: both are made once for each eye, and only shifted afterwards.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.eye_frame import EyeFrame
from sunriza_assets.studio.drawing.sampling import read_linearly_at
from sunriza_assets.studio.drawing.skin import luma
from sunriza_assets.studio.expression.easing import knee, rise

__all__ = ["Eyeball"]

Plane = NDArray[np.float32]
Array = NDArray[np.float64]

_LIMITS: Final = ((0.17, 0.24), (0.06, 0.10))
"""Shift of the iris sideways, and up or down, from which on it is slowed down, and that it never
exceeds, eye widths."""
_CORNER: Final = 0.29
_LEAST_ROOM: Final = 0.04
"""Distance from the middle of the eye that an iris never exceeds, and the shift that one which is
there already may make all the same, eye widths."""
_REPLACED: Final = (1.12, 1.45)
"""Distance from the middle of the iris within which the white is painted, and from which on it is
the photo's, radii."""
_WHITE_FROM: Final = 1.3
_FADE: Final = 2.6
"""Distance from which on white is seen, and over which its two sides are mixed, radii."""
_WHITE_PERCENTILE: Final = 25
"""Of the white's luma, from which on it is not in shadow."""
_LEAST_WHITE: Final = 0.95
_WHITE_RANGE: Final = 0.25
"""Luma over both eyes' below which a side's white is in shadow, and how much lower it is no white
at all."""
_FEW: Final = 6
"""Pixels that tell the colour of a side."""
_RINGS: Final = 10
_SEEN: Final = (0.12, 0.06)
"""Distance from the upper and from the lower rim at which an iris is seen, openings."""
_EDGE: Final = 0.10
"""Half the softness of the iris' edge, radii; at least a pixel's."""
_ONSET: Final = 0.02
"""Shift over which the painted ball comes to take the photo's place, eye widths."""
_SHADE: Final = 0.30
_SHADE_REACH: Final = 0.16
"""Light that the upper lid takes from a painted ball, and how far below its rim, openings."""


class Eyeball:
    """The ball of one eye.

    Args:
        frame: the eye's coordinates.
        photo: (h, w, 3) the window of the picture.
        white: (3,) the colour of the whites of both eyes; None where they are not seen.
    """

    def __init__(self, frame: EyeFrame, photo: Plane, white: Plane | None = None) -> None:
        self._frame, self._photo, self._usual_white = frame, photo, white
        radius = max(frame.iris_radius, 1.0)
        distance = np.hypot(frame.x - frame.iris[0], frame.y - frame.iris[1]) / np.float32(radius)
        whole = self._white(distance)
        replaced = (1.0 - rise(distance, *_REPLACED)).astype(np.float32)[:, :, None]
        self._without = photo + replaced * (whole - photo)
        edge = max(_EDGE, 1.0 / radius)
        alpha = 1.0 - rise(distance, 1.0 - edge, 1.0 + edge)
        self._iris = np.dstack([self._whole_iris(distance), alpha]).astype(np.float32)

    def limited(self, gaze: NDArray[Any]) -> Array:
        """(2,) a shift of the iris in eye widths, as far as this eye has room for it."""
        own = float(self._frame.iris[0]) / self._frame.width - 0.5
        room = max(_CORNER - own if gaze[0] > 0.0 else _CORNER + own, _LEAST_ROOM)
        (free, most), vertical = _LIMITS
        share = min(room / most, 1.0)
        sideways = float(knee(gaze[0], share * free, share * most))
        return np.array([sideways, float(knee(gaze[1], *vertical))])

    def at(self, shift: NDArray[Any]) -> Plane:
        """(h, w, 3) the ball with the iris shifted by `shift` (2,) eye widths."""
        frame = self._frame
        moved = float(rise(np.linalg.norm(shift), 0.0, _ONSET))
        if moved <= 0.0:
            return self._photo
        dx, dy = -shift * frame.width
        iris = read_linearly_at(self._iris, frame.shifted(np.float32(dx), np.float32(dy)))
        ball = self._without + iris[..., 3:] * (iris[..., :3] - self._without)
        below = np.maximum(frame.y - frame.upper, 0.0) / np.float32(_SHADE_REACH * frame.opening)
        shade = 1.0 - _SHADE * np.exp(-below) * np.minimum(iris[..., 3] + 0.3, 1.0)
        ball *= shade[:, :, None]
        return np.asarray(self._photo + moved * (ball - self._photo), dtype=np.float32)

    def _white(self, distance: Plane) -> Plane:
        """(h, w, 3) the white of the eye as if there were no iris; `distance` in radii."""
        frame = self._frame
        depth = (frame.y - frame.upper) / np.maximum(frame.lower - frame.upper, 1.0)
        inside = (depth > 0.2) & (depth < 0.9) & (distance > _WHITE_FROM)
        inside &= (frame.x > 0.06 * frame.width) & (frame.x < 0.94 * frame.width)
        sides = [inside & (frame.x < frame.iris[0]), inside & (frame.x >= frame.iris[0])]
        colours = [_bright_mean(self._photo[side]) for side in sides]
        known = [colour for colour in colours if colour is not None]
        if not known:  # an iris from corner to corner: as light as what is next to the eye
            around = self._photo[(depth > 1.2) & (depth < 2.0)]
            level = float(luma(around).mean()) if len(around) else 128.0
            known = [np.full(3, 0.9 * level, np.float32)]
        left, right = (
            self._lightened(known[0] if colour is None else colour) for colour in colours
        )
        radius = _FADE * max(frame.iris_radius, 1.0)
        across = rise(frame.x - np.float32(frame.iris[0]), -0.5 * radius, 0.5 * radius)
        colour = left + across[:, :, None] * (right - left)
        light = 0.60 + 0.40 * rise(depth, 0.0, 0.45)
        light *= 1.0 - 0.35 * np.abs(2.0 * frame.x / np.float32(frame.width) - 1.0) ** 3
        return np.asarray(colour * np.clip(light, 0.3, 1.0)[:, :, None], dtype=np.float32)

    def _lightened(self, colour: Plane) -> Plane:
        """A side's white (3,), no darker than most of the whites of both eyes: the photo shows
        only the shadowed corner of some."""
        if self._usual_white is None:
            return colour
        least = _LEAST_WHITE * luma(self._usual_white)
        lack = float(rise(luma(colour), least, (1.0 - _WHITE_RANGE) * least))
        return np.asarray(colour + lack * (_LEAST_WHITE * self._usual_white - colour))

    def _whole_iris(self, distance: Plane) -> Plane:
        """(h, w, 3) the photo's iris where it is seen, and else the median of its ring."""
        frame = self._frame
        height = np.float32(frame.opening)
        above = (frame.y - frame.upper) / height - _SEEN[0]
        below = (frame.lower - frame.y) / height - _SEEN[1]
        seen = np.minimum(above, below)
        ring = np.minimum((distance * _RINGS).astype(np.intp), _RINGS + 2)
        table = np.full((_RINGS + 3, 3), np.nan)
        for number in range(_RINGS + 1):
            of_ring = self._photo[(ring == number) & (seen > 0.0)]
            if len(of_ring) >= 3:
                table[number] = np.median(of_ring, axis=0)
        known = np.flatnonzero(np.isfinite(table[:, 0]))
        if len(known) == 0:
            return self._photo
        places = np.minimum(distance * _RINGS, _RINGS) - 0.5
        rings = np.dstack([np.interp(places, known, table[known, c]) for c in range(3)])
        weight = rise(seen, 0.0, 0.10)
        weight = cv2.GaussianBlur(weight.astype(np.float32), (0, 0), max(0.02 * frame.width, 0.5))
        weight = weight * (1.0 - rise(distance, 0.92, 1.05))
        return np.asarray(rings + weight[:, :, None] * (self._photo - rings), dtype=np.float32)


def _bright_mean(colours: Plane) -> Plane | None:
    """(3,) mean of the colours (N, 3) that are not in shadow; None where there are too few."""
    if len(colours) < _FEW:
        return None
    light = luma(colours)
    kept = colours[light >= np.percentile(light, _WHITE_PERCENTILE)]
    return np.asarray(np.median(kept, axis=0), dtype=np.float32)
