"""The opening between the lips of one frame, pixel by pixel, in the mouth's own coordinates.

Along the mouth, from corner to corner, everything is a curve of one variable: the rims of both
lips, where the upper one is at rest, how far the mouth is open beyond the photo's own opening. The
curves are tabulated once for a frame and read by every pixel.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from sunriza_assets.studio.drawing.cavity import MouthInterior
from sunriza_assets.studio.expression.easing import rise, smoothstep
from sunriza_assets.studio.face.regions import LOWER_LIP, UPPER_LIP
from sunriza_assets.studio.motion.head_pose import HeadMotion

__all__ = ["Gap", "find_gap"]

Plane = NDArray[np.float32]
Array = NDArray[np.float64]

UPPER_RIM: Final = UPPER_LIP[-1]
LOWER_RIM: Final = LOWER_LIP[-1]
_PLACES: Final = 768
"""Places along the mouth that the curves are tabulated at."""
_MIDDLE: Final = slice(_PLACES // 3, 2 * _PLACES // 3)
_PURSED: Final = (0.05, 0.40)
"""Narrowing of the mouth over which it counts as pursed."""
_ROUND: Final = (0.30, 0.60)
"""Opening over width between which a mouth counts as round."""
_BLUR_SIGMA: Final = 0.5
_FULL_FROM: Final = 0.9
"""Deviation of the blur over half the width of an edge, and blurred coverage that counts as all."""
_SHIFT: Final = 4
"""Fractional bits of painted vertices."""
_CURVE: Final = (0.5, 0.6)
_SLOPE: Final = (0.7, 0.1)
"""Share of the resting rim's curvature and slope that the gums have, and their limits (per IOD, and
plain): no tooth follows a cupid's bow."""


@dataclass(frozen=True)
class Gap:
    """The opening between the lips of one frame, pixel by pixel."""

    window: tuple[slice, slice]
    inside: MouthInterior
    column: Plane
    """0 at the left corner, 1 at the right."""
    place: Plane
    """Where along the photo's own rims, in vertices: these belong to the skull, but no tooth is
    looked for beyond the corners of a mouth that has widened."""
    growth: Plane
    """Opening beyond the photo's own in this column, IOD."""
    below_rest: Plane
    """Below the upper lip's rim at rest, whatever its shape, IOD."""
    cover: Plane
    """0-1 how much of a pixel lies between the lips."""
    roundness: float
    """0 a slit, 1 a round opening."""
    iod: float
    """IOD of the frame in pixels, as far as the head's size goes."""


def find_gap(
    points: NDArray[Any],
    rest: Array,
    growth: Array,
    *,
    head: HeadMotion,
    centre: Array,
    iod: float,
    shape: tuple[int, ...],
    blur: float,
) -> Gap | None:
    """The gap of a frame; None where the mouth is outside of the picture.

    Args:
        points: (>= 468, 3) the mesh in this frame, pixels.
        rest: (>= 468, 3) the portrait's.
        growth: (11,) opening beyond the photo's own, column by column, IOD.
        head: motion of the skull.
        centre: (3,) what it turns about.
        iod: of the portrait, pixels.
        shape: of the picture.
        blur: half the width of the edge between lips and gap, IOD.
    """
    iod = iod * head.scale
    upper, lower = points[UPPER_RIM, :2], points[LOWER_RIM, :2]
    box = _box_around(np.concatenate([upper, lower]), 0.04 * iod + 2, shape)
    if box is None:
        return None
    cover = _covered(np.concatenate([upper, lower[-2:0:-1]]), box, blur * iod)
    origin, across = upper[0], upper[-1] - upper[0]
    width = max(float(np.linalg.norm(across)), 1.0)
    axes = np.stack([across / width, [-across[1] / width, across[0] / width]])
    still = head.apply(rest[UPPER_RIM], centre)[:, :2]
    upper, lower, still = ((rim - origin) @ axes.T for rim in (upper, lower, still))
    table = _curves(upper, lower, still, growth, width)
    rows, columns = box
    x = np.arange(columns.start, columns.stop) + 0.5 - origin[0]
    y = np.arange(rows.start, rows.stop)[:, None] + 0.5 - origin[1]
    along = (axes[0, 0] * x + axes[0, 1] * y).astype(np.float32)
    down = (axes[1, 0] * x + axes[1, 1] * y).astype(np.float32)
    at = np.clip(np.rint(along * ((_PLACES - 1) / width)), 0, _PLACES - 1).astype(np.intp)
    read = table.astype(np.float32)[at]
    opened = (table[_MIDDLE, 1] - table[_MIDDLE, 0]).max() / iod
    inside = MouthInterior(
        x=((along - np.float32(still[5, 0])) / iod),
        across=((along - np.float32(0.5 * width)) / iod),
        lower_x=((along - np.float32(lower[5, 0])) / iod),
        side=np.abs(2.0 * read[..., 3] - 1.0),
        below_upper=((down - read[..., 0]) / iod),
        above_lower=((read[..., 1] - down) / iod),
        below_root=(down / iod - _gum_line(still, (along - np.float32(still[5, 0])) / iod, iod)),
        opening=max(float(opened), 0.0),
        pursed=float(rise(1.0 - width / np.ptp(still[:, 0]), *_PURSED)),
    )
    return Gap(
        window=box,
        inside=inside,
        column=read[..., 3],
        place=read[..., 4],
        growth=read[..., 5],
        below_rest=(down - read[..., 2]) / iod,
        cover=cover,
        roundness=float(rise(iod * growth[4:7].mean() / width, *_ROUND)),
        iod=iod,
    )


def _covered(outline: Array, box: tuple[slice, slice], blur: float) -> Plane:
    """(h, w) 0-1 how much of each pixel of a box lies within an outline (N, 2), whose edge is
    `blur` pixels wide to either side; a little more than half of it lies inside, so that nothing of
    a photo's closed lips is left along it."""
    rows, columns = box
    size = (rows.stop - rows.start, columns.stop - columns.start)
    mask = np.zeros(size, np.uint8)
    corners = (outline - [columns.start, rows.start] - 0.5) * (1 << _SHIFT)
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)
    soft = cv2.GaussianBlur(mask, (0, 0), max(_BLUR_SIGMA * blur, 0.3)).astype(np.float32)
    return np.asarray(smoothstep(soft / np.float32(255.0 * _FULL_FROM)), dtype=np.float32)


def _curves(upper: Array, lower: Array, rest: Array, growth: Array, width: float) -> Array:
    """(`_PLACES`, 6) heights of the three rims, place along the upper one (0-1), place along the
    photo's rims (0-10), growth; rims are (11, 2), along and down from the left corner, pixels."""
    at = np.linspace(0.0, width, _PLACES)
    knots = np.arange(len(upper), dtype=np.float64)
    rim = _interpolated(upper[:, 0], np.column_stack([upper[:, 1], knots / knots[-1], growth]), at)
    fixed = np.interp(at, np.maximum.accumulate(rest[:, 0]), knots) - knots.mean()
    place = 10.0 * rim[:, 1] - knots.mean()
    place = np.where(np.abs(fixed) < np.abs(place), fixed, place) + knots.mean()
    return np.column_stack(
        [
            rim[:, 0],
            _interpolated(lower[:, 0], lower[:, 1], at),
            _interpolated(rest[:, 0], rest[:, 1], at),
            rim[:, 1],
            place,
            rim[:, 2],
        ]
    )


def _gum_line(rest: Array, x: Plane, iod: float) -> Plane:
    """(h, w) height of the resting upper rim as far as gums go along with it, IOD down.

    Args:
        rest: (11, 2) the rim at rest, pixels.
        x: (h, w) to the right of its middle, IOD.
        iod: pixels.
    """
    apart = (rest[:, 0] - rest[5, 0]) / iod
    curve, slope, height = np.polyfit(apart, rest[:, 1] / iod, 2)
    curve = np.clip(_CURVE[0] * curve, -_CURVE[1], _CURVE[1])
    slope = np.clip(_SLOPE[0] * slope, -_SLOPE[1], _SLOPE[1])
    return np.asarray((curve * x + slope) * x + height, dtype=np.float32)


def _box_around(
    outline: NDArray[Any], pad: float, shape: tuple[int, ...]
) -> tuple[slice, slice] | None:
    """Rows and columns of a picture of `shape` around (N, 2) points; None if outside of it."""
    low = np.clip(np.floor(outline.min(axis=0) - pad), 0, None).astype(int)
    high = np.minimum(np.ceil(outline.max(axis=0) + pad), [shape[1], shape[0]]).astype(int)
    if (high <= low).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _interpolated(knots: Array, values: NDArray[Any], at: Array) -> Array:
    """Monotone cubic interpolation of a rim's values at places along the mouth."""
    knots = np.maximum.accumulate(knots) + 1e-4 * np.arange(len(knots))
    return np.asarray(PchipInterpolator(knots, values)(at))
