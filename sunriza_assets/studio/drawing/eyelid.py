"""The upper lid of a shut eye, painted once for each eye from the skin around it.

The photo of an open eye shows a narrow strip of its lid. Drawn out over all of it, lashes, liner
and the shadow of the brow become stripes. So the lid is made of colours: that of the skin above the
rim and that below the eye, column by column, domed, with a crease, and with the fine texture of the
skin below the eye.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.eye_frame import EyeFrame
from sunriza_assets.studio.drawing.skin import luma
from sunriza_assets.studio.expression.easing import rise, smoothstep

__all__ = ["PaintedLid", "paint_lid"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Array = NDArray[np.float64]

_KNOTS: Final = 24
_KNOTS_REACH: Final = (-0.12, 1.12)
_KNOT_WIDTH: Final = 0.10
"""Columns in which skin is looked at, where the first and the last of them is, and half the width
of one, eye widths."""
_ABOVE: Final = (0.30, 0.80)
_BELOW: Final = (0.30, 0.85)
"""Distance from the upper rim and from the lower one within which it is, lids."""
_USUAL_LIGHT: Final = (40, 85)
"""Percentiles of luma in a column within which it is skin: not lashes, liner or glints."""
_SMOOTHED: Final = 2.2
"""Deviation of the blur along the columns, columns."""
_MOST_BELOW: Final = 1.12
_LEAST_ABOVE: Final = 0.82
"""Most light of the skin below over that above, and least of that above over that below."""
_BELOW_SHARE: Final = 0.60
"""How much of the colour at the rim is that of the skin below."""
_TOP: Final = 0.75
"""Height above the open rim from which on the lid is painted, lids."""
_TOP_RAMP: Final = 0.60
"""Height over which it comes to cover what is there: the old lash arc has to go."""
_CORNERS: Final = (0.12, 0.14)
"""The same outside and inside of the corners, eye widths."""
_TEXTURE: Final = 0.7
_TEXTURE_SIGMA: Final = 0.03
_MOST_TEXTURE: Final = 12.0
"""Share of the skin's fine texture, what counts as fine (eye widths), and its limit (levels)."""
_MOST_LASHES: Final = 0.8
"""Most light that lashes and liner of the open eye take."""


@dataclass(frozen=True)
class PaintedLid:
    """A shut upper lid over the whole window of an eye."""

    colour: Plane
    """(h, w, 3) RGB 0-255."""
    mask: Plane
    """(h, w) 0-1 where it covers the photo when the eye is shut."""
    lashes: Plane
    """(h, w) 0-1 share of the light that lashes and liner take above the open rim."""


def paint_lid(frame: EyeFrame, picture: Image) -> PaintedLid:
    """Paint the lid of an eye from its surroundings in a picture (H, W, 3)."""
    photo = picture[frame.window].astype(np.float32)
    above, below = _skin_colours(frame, photo)
    lid, y = np.float32(frame.lid), frame.y
    top = frame.upper - np.float32(_TOP) * lid
    end = np.maximum(frame.lower - np.float32(0.06) * lid, top + np.float32(0.2) * lid)
    v = np.clip((y - top) / (end - top), 0.0, 1.2)
    weight = (_BELOW_SHARE * smoothstep(v))[:, :, None]
    colour = above + weight * (below - above)
    dome = 1.0 + 0.05 * frame.middle * np.exp(-(((v - 0.62) / 0.20) ** 2))
    dome -= 0.11 * rise(v, 0.72, 1.0) + 0.08 * (1.0 - frame.middle)
    crease = 1.0 - 0.10 * frame.middle * np.exp(-(((v - 0.34) / 0.06) ** 2))
    colour = colour * (dome * crease)[:, :, None] + _texture(frame, picture)
    height = frame.upper - y
    mask = 1.0 - rise(height, (_TOP - _TOP_RAMP) * frame.lid, _TOP * frame.lid)
    outside, inside = (share * frame.width for share in _CORNERS)
    width = np.float32(frame.width)
    mask = mask * rise(frame.x, -outside, inside) * rise(width - frame.x, -outside, inside)
    opened = np.clip(np.minimum(y - frame.upper, frame.lower - y) / frame.soft + 0.5, 0.0, 1.0)
    mask = np.maximum(mask, opened * (frame.lower - frame.upper > 0.5))
    dark = 1.0 - luma(photo) / np.maximum(luma(colour), 1.0)
    lashes = np.clip(dark, 0.0, _MOST_LASHES) * np.clip(height / frame.soft + 1.0, 0.0, 1.0)
    return PaintedLid(
        np.asarray(colour, np.float32), np.asarray(mask, np.float32), np.asarray(lashes, np.float32)
    )


def _skin_colours(frame: EyeFrame, photo: Plane) -> tuple[Plane, Plane]:
    """(h, w, 3) colours of the skin above and below the eye in each column of the window."""
    knots = frame.width * np.linspace(*_KNOTS_REACH, _KNOTS)
    most = max(min(_ABOVE[1] * frame.lid, 0.8 * frame.below_brow), (_ABOVE[0] + 0.1) * frame.lid)
    heights = (frame.upper - frame.y, frame.y - frame.lower)
    bands = ((_ABOVE[0] * frame.lid, most), (_BELOW[0] * frame.lid, _BELOW[1] * frame.lid))
    rows = []
    for height, (low, high) in zip(heights, bands, strict=True):
        band = (height >= low) & (height <= high)
        rows.append(_column_means(frame.x[band], photo[band], knots, frame.width))
    above, below = rows
    # A shut lid is turned to the light; what is above an open one lies in the shadow of the brow.
    dark, light = (np.maximum(luma(row), 1.0)[:, None] for row in rows)
    lack = (_LEAST_ABOVE * light - dark) / np.maximum(light - dark, 1.0)
    above = above + np.clip(lack, 0.0, 1.0) * (below - above)
    below = below * np.minimum(1.0, _MOST_BELOW * np.maximum(luma(above), 1.0)[:, None] / light)
    planes = [
        np.dstack([np.interp(frame.x, knots, row[:, channel]) for channel in range(3)])
        for row in (above, below)
    ]
    return planes[0].astype(np.float32), planes[1].astype(np.float32)


def _column_means(x: Plane, colours: Plane, knots: Array, width: float) -> Array:
    """(K, 3) colour of the skin among pixels at `x` (N,) around each of the knots (K,)."""
    light = luma(colours)
    found = np.full((len(knots), 3), np.nan)
    for number, knot in enumerate(knots):
        near = np.abs(x - knot) <= _KNOT_WIDTH * width
        if np.count_nonzero(near) < 3:
            continue
        low, high = np.percentile(light[near], _USUAL_LIGHT)
        skin = near & (light >= low) & (light <= high)
        found[number] = colours[skin].mean(axis=0)
    known = np.isfinite(found[:, 0])
    if not known.any():
        return np.full((len(knots), 3), 128.0)
    places = np.arange(len(knots))
    filled = [np.interp(places, places[known], found[known, channel]) for channel in range(3)]
    return np.asarray(
        cv2.GaussianBlur(
            np.stack(filled, axis=1), (1, 15), sigmaX=0.01, sigmaY=_SMOOTHED,
            borderType=cv2.BORDER_REPLICATE,
        )
    )  # fmt: skip


def _texture(frame: EyeFrame, picture: Image) -> Plane:
    """(h, w, 3) the fine texture of the skin below the eye, one to one: compressed or drawn out it
    would become stripes."""
    begin = frame.lower - frame.upper + np.float32((_TOP + 0.15) * frame.lid)
    read: Any = frame.read(picture, 0.0, begin)
    fine = read - cv2.GaussianBlur(read, (0, 0), max(_TEXTURE_SIGMA * frame.width, 0.6))
    return np.asarray(_TEXTURE * np.clip(fine, -_MOST_TEXTURE, _MOST_TEXTURE), dtype=np.float32)
