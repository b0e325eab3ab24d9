"""Blinks and gaze, drawn analytically into the portrait before it is warped.

A mesh cannot close an eye: the lid that comes down is folded away in the photo. So every eye gets
coordinates of its own in which both lid rims are curves, and is redrawn with its rims wherever they
have to be. Layers, from back to front: eyeball, lower lid, upper lid with its lashes. A lid that
begins to fall is the photo's own skin, slid down; from there on it is `eyelid`'s.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.eye_frame import EyeFrame
from sunriza_assets.studio.drawing.eyeball import Eyeball
from sunriza_assets.studio.drawing.eyelid import paint_lid
from sunriza_assets.studio.drawing.sampling import read_linearly_at
from sunriza_assets.studio.expression.easing import rise, smoothstep

__all__ = ["WIDEST_CLOSURE", "Eye"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Array = NDArray[np.float64]

WIDEST_CLOSURE: Final = -0.42
"""Closure of the widest eye that is drawn; there is no eyeball above it in the photo."""
_MEETING_SHARE: Final = 0.05
"""Where closed lids meet: this share of the opening above the lower rim."""
_LASH_STRIP: Final = 0.16
"""Height of the strip that slides without stretching, A."""
_SLIDE: Final = (0.04, 0.22)
"""Fall of the rim over which a slid lid gives way to the painted one, lids."""
_UPPER_INSET: Final = 0.07
_LOWER_INSET: Final = 0.10
"""How much further out the rims are read, A, so that no eye white sticks to them."""
_LOWER_REACH: Final = 0.8
"""How far below its rim the lower lid stretches, A."""
_LID_SHADOW: Final = 0.35
_LASH_LINE: Final = 0.022
_LINE_SIDES: Final = (0.8, 1.5)
"""Width of the line that a shut eye's lashes make, W, and its share above the rim and below."""
_LINE_SHADE: Final = 0.72
_LINE_ONSET: Final = (0.15, 0.75)
"""How dark it is in a shut eye, and the closure over which it comes to be seen."""
_LASH_FADE: Final = 0.10
_LASHES_LOST: Final = 0.45
"""Height above the rim over which the open eye's lashes and liner fade, A, and how much of them a
shut eye has lost."""
_SEALED: Final = (0.85, 1.0)
"""Closure over which nothing of the ball is left between the lids."""
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
        white: (3,) RGB of the whites of both eyes; None where they are not seen.
    """

    def __init__(
        self,
        points: NDArray[Any],
        side: int,
        picture: Image,
        *,
        rims: NDArray[np.uint8] | None = None,
        white: Plane | None = None,
    ) -> None:
        frame = self._frame = EyeFrame(points, side, picture)
        reach = 0.95 * frame.below_brow
        self._lid_height = float(np.clip(reach, 0.9 * frame.opening, 2.2 * frame.opening))
        self._picture, self._rims = _without_rims(picture, rims, frame.window)
        self._original = picture[frame.window].astype(np.float32)
        self._shut_in_photo = frame.y.size == 0 or frame.opening < _MIN_OPENING * frame.width
        if self._shut_in_photo:
            return
        self._lash_rgb = self._lash_colour()
        photo = self._picture[frame.window].astype(np.float32)
        self._ball = Eyeball(frame, photo, white)
        self._lid = paint_lid(frame, self._picture)

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the picture that the eye may change."""
        return self._frame.window

    def limited(self, gaze: NDArray[Any]) -> Array:
        """(2,) a shift of the iris in eye widths, as far as this eye has room for it."""
        return np.zeros(2) if self._shut_in_photo else self._ball.limited(gaze)

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
        moved = max(abs(closure), squint, float(np.abs(gaze).max())) > _MIN_CHANGE
        if not moved or self._shut_in_photo:
            return None
        frame = self._frame
        gap = frame.lower - frame.upper
        meeting = gap * (1.0 - _MEETING_SHARE)
        overlap = 1.5 * frame.soft * rise(closure, 0.8, 1.0)
        fall = (closure * meeting + overlap * smoothstep(8.0 * gap / frame.opening)).astype(
            np.float32
        )
        shut = max(closure, 0.0)
        lift = np.float32(shut * _MEETING_SHARE + (1.0 - shut) * squint) * gap
        upper, lower = frame.upper + fall, frame.lower - lift
        ball = self._eyeball(upper, gaze, closure)
        lower_skin = self._lower_lid(lower, lift)
        upper_skin = self._upper_lid(upper, fall, closure)
        below = np.clip((frame.y - lower) / frame.soft + 0.5, 0.0, 1.0)[:, :, None]
        above = np.clip((upper - frame.y) / frame.soft + 0.5, 0.0, 1.0)[:, :, None]
        result = ball + below * (lower_skin - ball)
        result += above * (upper_skin - result)
        line = self._lash_line(upper, closure)[:, :, None]
        result += line * (np.minimum(self._lash_rgb, result) - result)
        if self._rims is not None:
            result += self._rims * (self._original - result)
        return np.clip(np.rint(result), 0, 255).astype(np.uint8)

    def _eyeball(self, upper: Plane, shift: NDArray[Any], closure: float) -> Plane:
        """What the lids leave free; a wider eye is filled from below its rim."""
        frame = self._frame
        ball = self._ball.at(shift)
        if closure < 0.0:
            risen = np.maximum(frame.upper - upper, 0.0)
            depth = (frame.y - upper) / np.maximum(frame.lower - upper, 1e-3)
            dy = (risen + 0.5 * frame.soft * (risen > 0)) * np.clip(1.0 - depth, 0.0, 1.0)
            return read_linearly_at(ball, frame.shifted(np.float32(0.0), dy))
        shade = np.exp(-np.maximum(frame.y - upper, 0.0) / (0.2 * frame.opening))
        shade *= np.clip((frame.lower - frame.upper) / (0.1 * frame.opening), 0.0, 1.0)
        ball = ball * (1.0 - (_LID_SHADOW + 0.3 * closure) * closure * shade)[:, :, None]
        sealed = float(rise(closure, *_SEALED))
        inside = np.clip((frame.lower - frame.upper) / frame.soft - 0.5, 0.0, 1.0)
        share = (sealed * inside)[:, :, None]
        return np.asarray(ball + share * (self._lid.colour - ball), dtype=np.float32)

    def _lower_lid(self, lower: Plane, lift: Plane) -> Plane:
        frame = self._frame
        depth = frame.y - lower
        reach = _LOWER_REACH * frame.opening
        source = depth - lift * smoothstep(depth / (reach + lift))
        inset = _LOWER_INSET * np.minimum(lift / _MEETING_SHARE, frame.opening)
        source += inset * np.exp(-np.abs(depth) / (0.12 * frame.opening))
        return frame.read(self._picture, 0.0, frame.lower + source - frame.y)

    def _upper_lid(self, upper: Plane, fall: Plane, closure: float) -> Plane:
        """The skin above the rim: the photo's while it moves little, then the painted lid's."""
        painted = float(rise(closure * self._frame.opening / self._frame.lid, *_SLIDE))
        if painted <= 0.0:
            return self._slid_lid(upper, fall)
        frame, lid = self._frame, self._lid
        share = (painted * lid.mask)[:, :, None]
        behind = self._slid_lid(upper, fall) if painted < 1.0 else self._original_skin()
        skin = behind + share * (lid.colour - behind)
        height = np.maximum(upper - frame.y, 0.0)
        carried = read_linearly_at(lid.lashes, frame.shifted(np.float32(0.0), -fall))
        carried = carried * np.exp(-height / np.float32(_LASH_FADE * frame.opening))
        dark = painted * (1.0 - _LASHES_LOST * closure) * carried
        return np.asarray(skin * (1.0 - dark)[:, :, None], dtype=np.float32)

    def _original_skin(self) -> Plane:
        return self._picture[self._frame.window].astype(np.float32)

    def _slid_lid(self, upper: Plane, fall: Plane) -> Plane:
        """The photo's lid with its rim moved: a strip with the lashes slides, the skin above it
        stretches up to the brow."""
        frame = self._frame
        height = upper - frame.y
        strip = _LASH_STRIP * frame.opening
        span = np.maximum(self._lid_height + fall - strip, 1e-3)
        source = height - fall * smoothstep((height - strip) / span)
        inset = _UPPER_INSET * np.clip(4.0 * fall, 0.0, frame.opening)
        source += inset * np.exp(-np.abs(height) / (0.12 * frame.opening))
        return frame.read(self._picture, 0.0, frame.upper - source - frame.y)

    def _lash_line(self, upper: Plane, closure: float) -> Plane:
        """(h, w) how dark the lashes lie along the lid's rim: nothing on an open eye, where the
        photo has its own, most on a shut one, where they are all that is left to see."""
        frame = self._frame
        width = _LASH_LINE * frame.width + 0.35 * frame.soft
        apart = frame.y - upper
        line = np.exp(-((apart / (width * np.where(apart < 0.0, *_LINE_SIDES))) ** 2))
        shade = _LINE_SHADE * float(rise(closure, *_LINE_ONSET))
        return np.asarray(shade * line * np.sqrt(frame.middle), dtype=np.float32)

    def _lash_colour(self) -> Plane:
        """(3,) the darkest that the rim of the open upper lid shows."""
        frame = self._frame
        rim = np.abs(frame.y - frame.upper) < 0.12 * frame.opening
        rim &= frame.lower - frame.upper > 0.5 * frame.opening
        colours = self._original[rim]
        if len(colours) == 0:
            return np.full(3, 40.0, np.float32)
        dark = colours[np.argsort(colours.sum(axis=1))[: max(1, len(colours) // 6)]]
        return np.asarray(0.85 * dark.mean(axis=0), dtype=np.float32)


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
