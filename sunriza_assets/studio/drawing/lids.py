"""Blinks and gaze, drawn analytically into the portrait before it is warped.

A mesh cannot close an eye: the lid that comes down is folded away in the photo. So every eye gets
coordinates of its own (x from corner to corner, y down) in which both lid rims are curves, and the
upper lid is redrawn wherever its rim has to be: a strip with the lashes slides down unstretched,
the skin above it stretches up to the brow. Layers, from back to front: eyeball, lower lid, upper
lid. All lengths below scale with the eye's width W and its largest opening A.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from sunriza_assets.studio.drawing.sampling import read_at
from sunriza_assets.studio.expression.easing import rise, smoothstep
from sunriza_assets.studio.face.regions import LOWER_LIDS, UPPER_LIDS
from sunriza_assets.studio.face.topology import (
    IRIS_CENTRES,
    LEFT_BROW,
    LEFT_IRIS,
    RIGHT_BROW,
    RIGHT_IRIS,
)

__all__ = ["WIDEST_CLOSURE", "Eye"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

WIDEST_CLOSURE: Final = -0.42
"""Closure of the widest eye that is drawn; there is no eyeball above it in the photo."""
_MEETING_SHARE: Final = 0.14
"""Where closed lids meet: this share of the opening above the lower rim."""
_LASH_STRIP: Final = 0.16
"""Height of the strip that slides without stretching, A."""
_UPPER_INSET: Final = 0.07
_LOWER_INSET: Final = 0.10
"""How much further out the rims are read, A, so that no eye white sticks to them."""
_LOWER_REACH: Final = 0.8
"""How far below its rim the lower lid stretches, A."""
_LID_SMOOTH: Final = np.float32(0.75)
_LID_SMOOTHING: Final = 0.12
"""How much a drawn-out lid is smoothed, and over what distance along it, W."""
_LID_SHADOW: Final = 0.35
_LASH_SHADE: Final = 0.6
_GAZE_LIMITS: Final = (0.16, 0.06)
"""Largest iris shift sideways and up or down, W: beyond there is no eye white in the photo."""
_MIN_OPENING: Final = 0.06
"""An eye that opens less than this share of W is shut in the photo and stays so."""
_MIN_CHANGE: Final = 0.004


class Eye:
    """One eye of a portrait.

    Args:
        points: (478, 3) landmarks of the portrait, pixels.
        side: 0 the subject's right eye, 1 the left.
        picture: (H, W, 3) RGB.
        rims: (H, W) uint8 matte of the rims of glasses, which no lid moves; None for none.
    """

    def __init__(
        self,
        points: NDArray[Any],
        side: int,
        picture: Image,
        *,
        rims: NDArray[np.uint8] | None = None,
    ) -> None:
        size = (picture.shape[1], picture.shape[0])
        upper, lower = points[UPPER_LIDS[side], :2], points[LOWER_LIDS[side], :2]
        origin, across = upper[0], upper[-1] - upper[0]
        self._width = max(float(np.linalg.norm(across)), 1.0)
        right = across / self._width
        self._axes = np.stack([right, [-right[1], right[0]]]).astype(np.float32)  # rows: x, y
        upper, lower = ((rim - origin) @ self._axes.T for rim in (upper, lower))
        inner = np.linspace(0.0, self._width, 40)
        opening = _curve(lower)(inner) - _curve(upper)(inner)
        self._opening = float(opening.max())
        brow = points[(RIGHT_BROW, LEFT_BROW)[side], :2]
        brow_height = -float(np.max((brow - origin) @ self._axes[1]))
        lid_height = 0.95 * (brow_height + float(upper[:, 1].min()))
        self._lid_height = float(np.clip(lid_height, 0.9 * self._opening, 2.2 * self._opening))
        self._window, x, y = self._window_and_coordinates(origin, upper, lower, size)
        inside = np.clip(x, 0.0, self._width)
        self._upper = _curve(upper)(inside).astype(np.float32)
        self._lower = np.maximum(_curve(lower)(inside), self._upper).astype(np.float32)
        self._y = y
        iris = points[IRIS_CENTRES[side], :2]
        rim = points[(RIGHT_IRIS, LEFT_IRIS)[side][1:], :2]
        self._iris_radius = float(np.linalg.norm(rim - iris, axis=1).mean())
        centre = (iris - origin) @ self._axes.T
        self._from_iris = np.stack([x - centre[0], y - centre[1]], axis=2).astype(np.float32)
        self._soft = np.float32(max(0.8, 0.018 * self._width))
        self._picture, self._rims = _without_rims(picture, rims, self._window)
        self._original = picture[self._window].astype(np.float32)
        self._lash_rgb = self._lash_colour()

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the picture that the eye may change."""
        return self._window

    def draw(self, closure: float, gaze: NDArray[Any], *, squint: float = 0.0) -> Image | None:
        """The eye with its lids and iris moved.

        Args:
            closure: 0 as in the portrait, 1 shut, down to `WIDEST_CLOSURE` for wider.
            gaze: (2,) shift of the iris in eye widths, x along the eye to the right, y down.
            squint: share of the opening by which the lower lid rises, 0-0.5; a shut eye's does not.

        Returns:
            (h, w, 3) uint8 new content of `window`, or None where nothing changes.
        """
        closure = float(np.clip(closure, WIDEST_CLOSURE, 1.0))
        shift = np.clip(gaze, -np.array(_GAZE_LIMITS), _GAZE_LIMITS) * self._width
        moved = max(abs(closure), squint) > _MIN_CHANGE
        moved = moved or np.abs(shift).max() > _MIN_CHANGE * self._width
        if not moved or self._y.size == 0 or self._opening < _MIN_OPENING * self._width:
            return None
        gap = self._lower - self._upper
        meeting = gap * (1.0 - _MEETING_SHARE)
        overlap = self._soft * rise(closure, 0.8, 1.0)
        fall = (closure * meeting + overlap * smoothstep(8.0 * gap / self._opening)).astype(
            np.float32
        )
        shut = max(closure, 0.0)
        lift = np.float32(shut * _MEETING_SHARE + (1.0 - shut) * squint) * gap
        upper, lower = self._upper + fall, self._lower - lift
        ball = self._eyeball(upper, shift, closure)
        lower_skin = self._lower_lid(lower, lift)
        upper_skin = self._upper_lid(upper, fall)
        below = np.clip((self._y - lower) / self._soft + 0.5, 0.0, 1.0)[:, :, None]
        above = np.clip((upper - self._y) / self._soft + 0.5, 0.0, 1.0)[:, :, None]
        result = ball + below * (lower_skin - ball)
        result += above * (upper_skin - result)
        line = self._lash_line(upper, fall, closure)[:, :, None]
        result += line * (np.minimum(self._lash_rgb, result) - result)
        if self._rims is not None:
            result += self._rims * (self._original - result)
        return np.clip(np.rint(result), 0, 255).astype(np.uint8)

    def _eyeball(self, upper: Plane, shift: NDArray[Any], closure: float) -> Plane:
        """What the lids leave free: the iris shifted, a wider eye filled from below its rim."""
        from_iris = self._from_iris - shift.astype(np.float32)
        distance = np.linalg.norm(from_iris, axis=2)
        reach = 0.32 * self._width
        hold = 1.0 - smoothstep((distance - 1.05 * self._iris_radius) / reach)
        dx, dy = -shift[0] * hold, -shift[1] * hold
        risen = np.maximum(self._upper - upper, 0.0)
        depth = (self._y - upper) / np.maximum(self._lower - upper, 1e-3)
        dy = dy + (risen + 0.5 * self._soft * (risen > 0)) * np.clip(1.0 - depth, 0.0, 1.0)
        ball = self._read_shifted(dx, dy)
        shade = np.exp(-np.maximum(self._y - upper, 0.0) / (0.2 * self._opening))
        shade *= np.clip((self._lower - self._upper) / (0.1 * self._opening), 0.0, 1.0)
        return np.asarray(ball * (1.0 - _LID_SHADOW * max(closure, 0.0) * shade)[:, :, None])

    def _lower_lid(self, lower: Plane, lift: Plane) -> Plane:
        depth = self._y - lower
        reach = _LOWER_REACH * self._opening
        source = depth - lift * smoothstep(depth / (reach + lift))
        inset = _LOWER_INSET * lift / max(_MEETING_SHARE, 1e-3)
        source += inset * np.exp(-np.abs(depth) / (0.12 * self._opening))
        return self._read_shifted(0.0, self._lower + source - self._y)

    def _upper_lid(self, upper: Plane, fall: Plane) -> Plane:
        height = upper - self._y
        strip = _LASH_STRIP * self._opening
        span = np.maximum(self._lid_height + fall - strip, 1e-3)
        source = height - fall * smoothstep((height - strip) / span)
        inset = _UPPER_INSET * np.clip(4.0 * fall, 0.0, self._opening)
        source += inset * np.exp(-np.abs(height) / (0.12 * self._opening))
        skin = self._read_shifted(0.0, self._upper - source - self._y)
        # The small part of a lid that an open eye shows is stretched over all of it; smoothing
        # along the lid keeps specks from becoming streaks.
        smooth = cv2.GaussianBlur(skin, (0, 0), _LID_SMOOTHING * self._width, sigmaY=0.5)
        drawn_out = rise(fall / self._opening, 0.15, 0.7) * rise(height, strip, 2.0 * strip)
        drawn_out *= 1.0 - rise(height / (self._lid_height + fall), 0.7, 1.0)
        return np.asarray(skin + (_LID_SMOOTH * drawn_out)[:, :, None] * (smooth - skin))

    def _lash_line(self, upper: Plane, fall: Plane, closure: float) -> Plane:
        """(h, w) how dark the lashes lie along the lid's rim: nothing on an open eye, where the
        photo has its own, most on a shut one, where they are all that is left to see."""
        thickness = 0.035 * self._width + 0.5 * self._soft
        line = np.exp(-(((self._y - upper + 0.3 * thickness) / thickness) ** 2))
        reach = np.clip(fall / (0.4 * self._opening), 0.0, 1.0)
        return np.asarray(_LASH_SHADE * max(closure, 0.0) * line * reach, dtype=np.float32)

    def _lash_colour(self) -> Plane:
        """(3,) the darkest that the rim of the open upper lid shows."""
        rim = np.abs(self._y - self._upper) < 0.12 * self._opening
        rim &= self._lower - self._upper > 0.5 * self._opening
        colours = self._original[rim]
        if len(colours) == 0:
            return np.full(3, 40.0, np.float32)
        dark = colours[np.argsort(colours.sum(axis=1))[: max(1, len(colours) // 6)]]
        return np.asarray(0.85 * dark.mean(axis=0), dtype=np.float32)

    def _read_shifted(self, dx: Any, dy: Any) -> Plane:
        """The picture read (dx, dy) away in eye coordinates, float32."""
        rows, columns = self._window
        height, width = self._y.shape
        shift_x = dx * self._axes[0, 0] + dy * self._axes[1, 0]
        shift_y = dx * self._axes[0, 1] + dy * self._axes[1, 1]
        x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] + shift_x
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + shift_y
        places = np.empty((height, width, 2), dtype=np.float32)
        places[..., 0], places[..., 1] = x, y
        return read_at(self._picture, places).astype(np.float32)

    def _window_and_coordinates(
        self, origin: NDArray[Any], upper: NDArray[Any], lower: NDArray[Any], size: tuple[int, int]
    ) -> tuple[tuple[slice, slice], Plane, Plane]:
        """The window of the picture the eye may touch, and its pixels in eye coordinates."""
        top = float(upper[:, 1].min()) - self._lid_height - 1.2 * self._opening
        bottom = float(lower[:, 1].max()) + 1.2 * self._opening
        left, right = -0.25 * self._width, 1.25 * self._width
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        corners = corners @ self._axes + origin
        low = np.clip(np.floor(corners.min(axis=0)), 0, size).astype(int)
        high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, size).astype(int)
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5
        local = (np.stack([x, y], axis=2) - origin) @ self._axes.T
        window = (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
        return window, local[..., 0].astype(np.float32), local[..., 1].astype(np.float32)


def _without_rims(
    picture: Image, rims: NDArray[np.uint8] | None, window: tuple[slice, slice]
) -> tuple[Image, Plane | None]:
    """The picture with the rims of glasses inpainted in a window, and the matte that restores them
    (h, w, 1); skin under a rim is a guess from around (Telea inpainting)."""
    if rims is None or not rims[window].any():
        return picture, None
    hidden = cv2.dilate((rims[window] > 20).astype(np.uint8), np.ones((3, 3), np.uint8))
    bare = picture.copy()
    bare[window] = cv2.inpaint(np.ascontiguousarray(picture[window]), hidden, 3, cv2.INPAINT_TELEA)
    return bare, rims[window].astype(np.float32)[:, :, None] / 255.0


def _curve(rim: NDArray[Any]) -> PchipInterpolator:
    """A lid's rim, (N, 2) points from corner to corner, as a monotone cubic y(x)."""
    x = np.maximum.accumulate(rim[:, 0] + 1e-3 * np.arange(len(rim)))
    return PchipInterpolator(x + 1e-6 * np.arange(len(rim)), rim[:, 1])
