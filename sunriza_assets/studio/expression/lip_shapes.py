"""The lips of a face mesh in the shape of a viseme.

Lips, smiling or not, are first closed along a seam between their inner rims, then opened, widened
or rounded; the skin around them follows. Lengths here are in half mouth widths, origin in the
middle between the corners of the mouth, x to the right corner, y down.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.expression.easing import rise
from sunriza_assets.studio.expression.lips import SEAM
from sunriza_assets.studio.expression.visemes import LipShape
from sunriza_assets.studio.face.regions import CHIN, LOWER_LIP, NOSE_BASE, UPPER_LIP
from sunriza_assets.studio.face.topology import LIPS_OUTER, MESH_POINTS
from sunriza_assets.studio.motion.head_pose import eye_distance

__all__ = ["shape_lips"]

Array = NDArray[np.float64]

_UPPER_ARCH, _LOWER_ARCH = 1.7, 2.2
"""Exponents of the opening's outline: a bow above, a bowl below."""
_UPPER_LIP_STAYS: Final = (0.3, 1.2)
"""Opening over the photo's own over which the upper lip, which only closing brings down, stays up
and the jaw falls instead."""
_WIDE, _ROUND = 0.9, 0.65
"""Widths of the mouth from which on lips are rounded, and are so entirely."""
_BULGE: Final = 0.4
"""How much rounder the opening of rounded lips is: the outline's exponent falls by this."""
_STRAIGHTENED: Final = 0.85
"""Share of a smile's curve that rounding the lips takes away."""
_SMILE: Final = 0.1
"""Opening of the photo's mouth, IOD, from which on it is a smile that stretches the lips thin."""
_RELAXED: Final = 0.35
_THINNED: Final = (0.14, 0.09)
"""How much thicker lips thinned by a smile become when they are rounded, and from which thickness
of the lower lip on they count as thinned, IOD."""
_ROLLED: Final = 0.55
"""Share of the lips' thickness that disappears when they are rolled in entirely."""
_TUCKED: Final = 0.55
"""Share of the lower lip's thickness that disappears when it is tucked under the upper teeth."""
_SKIN_REACH: Final = (0.6, 0.85)
"""Distance from the lips over which the skin's share falls to 1/e, half mouth widths: so far at
least, and further, up to the second, where the lips move so much that skin would fold."""
_STEEPEST: Final = 0.7
"""Slope of the skin's displacement up to which it is pressed together and does not fold."""
_GAUSSIAN_SLOPE: Final = 0.86
"""Steepest slope of exp(-x x)."""
_BESIDE_NOSE: Final = (0.6, 1.1)
"""Distance from the middle at which skin is under the nose, and from which on beside it."""
_CHEEKS_WHOLE: Final = 0.25
"""Height below the corners of the mouth from which on skin beside the nose takes its whole share: a
fold from the nose to there bends and has no kink."""
_SKIN_POWER: Final = 3.0
_ROOM: Final = 0.52
"""Share of the way down to the chin that the lower lip falls at most; the rest is a chin's skin."""


@dataclass(frozen=True)
class _MouthFrame:
    """The coordinate frame of the mouth, in which lips are shaped."""

    origin: Array
    """(2,) middle between the mouth's outer corners, pixels."""
    axes: Array
    """(2, 2) rows: to the right corner, down; unit vectors."""
    half: float
    """Half the distance of the corners, pixels."""

    @classmethod
    def of(cls, mesh: NDArray[Any]) -> "_MouthFrame":
        left, right = mesh[UPPER_LIP[0, 0], :2], mesh[UPPER_LIP[0, -1], :2]
        half = max(float(np.linalg.norm(right - left)) / 2, 1.0)
        across = (right - left) / (2 * half)
        return cls((left + right) / 2, np.stack([across, [-across[1], across[0]]]), half)

    def local(self, pixels: NDArray[Any]) -> Array:
        return np.asarray((pixels - self.origin) @ self.axes.T / self.half)

    def pixels(self, local: Array) -> Array:
        return local @ self.axes * self.half + self.origin


def shape_lips(mesh: NDArray[Any], shape: LipShape | None, *, seam: float = SEAM) -> Array:
    """The portrait's mesh with its lips in a shape.

    Args:
        mesh: (>= 468, 3) the portrait at rest, pixels.
        shape: the viseme, None for the lips as they are.
        seam: where the lips meet when they close, from the lower rim (0) to the upper (1).

    Returns:
        (468, 3) mesh; z as it was.
    """
    result = np.array(mesh[:MESH_POINTS], dtype=np.float64)
    if shape is None:
        return result
    frame = _MouthFrame.of(result)
    unit = eye_distance(result) / frame.half
    local = frame.local(result[:, :2])
    upper, lower = local[UPPER_LIP], local[LOWER_LIP]
    moved = local.copy()
    room = _ROOM * max(float(local[CHIN, 1] - lower[0, :, 1].max()), 0.0)
    moved[UPPER_LIP], moved[LOWER_LIP] = _lips(upper, lower, shape, unit, room, seam)
    lips = np.unique(np.concatenate([UPPER_LIP.ravel(), LOWER_LIP.ravel()]))
    skin = np.setdiff1d(np.arange(MESH_POINTS), lips)
    moved[skin] += _skin_follows(local, moved, skin)
    result[:, :2] = frame.pixels(moved)
    return result


def _lips(
    upper: Array, lower: Array, shape: LipShape, unit: float, room: float, meet: float
) -> tuple[Array, Array]:
    """(4, 11, 2) rows of either lip, outer to inner -> their places in the shape.

    Args:
        upper: rows of the upper lip.
        lower: rows of the lower lip.
        shape: the shape.
        unit: one IOD in half mouth widths.
        room: how far the lower lip may fall.
        meet: where the lips meet, from the lower rim (0) to the upper (1).
    """
    gap = min(shape.opening * unit, room / (1.0 - shape.upper_share))
    parted = float((lower[-1] - upper[-1])[:, 1].max())
    meet = meet + (SEAM - meet) * float(rise(gap / max(parted, 1e-6), *_UPPER_LIP_STAYS))
    seam = meet * upper[-1] + (1.0 - meet) * lower[-1]
    half = max(float(np.abs(seam[:, 0]).max()), 1e-6)
    x = np.clip(np.abs(seam[:, 0]) / half, 0.0, 1.0)
    rounded = float(rise(shape.width, _WIDE, _ROUND))
    middle = float(seam[:, 1].mean())
    line = middle + (1.0 - _STRAIGHTENED * rounded) * (seam[:, 1] - middle)
    bulge = 1.0 - _BULGE * rounded
    up = shape.upper_share * gap * (1.0 - x**_UPPER_ARCH) ** bulge
    down = (1.0 - shape.upper_share) * gap * (1.0 - x**_LOWER_ARCH) ** bulge
    stretched = float(rise(parted / unit, 0.0, _SMILE))
    stretched *= float(rise((lower[0] - lower[-1])[:, 1].max() / unit, *_THINNED))
    thick = shape.puff * (1.0 - _ROLLED * shape.roll) * (1.0 + _RELAXED * rounded * stretched)
    rolled = 1.0 - _TUCKED * shape.tuck
    new_upper, new_lower = upper.copy(), lower.copy()
    new_upper[..., 1] = line - up + thick * (upper - upper[-1])[..., 1]
    new_lower[..., 1] = line + down + rolled * thick * (lower - lower[-1])[..., 1]
    for rows, rest in ((new_upper, upper), (new_lower, lower)):
        rows[..., 0] = shape.width * (seam[:, 0] + (rest - rest[-1])[..., 0])
        rows[:, [0, -1], 1] = line[[0, -1]]
    return new_upper, new_lower


def _skin_follows(local: Array, moved: Array, skin: NDArray[np.intp]) -> Array:
    """(N, 2) how far the skin around the lips goes with their outer edge.

    Inverse-distance weighting (D. Shepard, ACM '68) of the edge's displacement, fading with the
    distance from the lips and towards the base of the nose, which belongs to the skull.
    """
    edge = LIPS_OUTER
    apart = np.linalg.norm(local[skin, None] - local[edge], axis=2)
    weights = np.maximum(apart, 1e-3) ** -_SKIN_POWER
    pulled = moved[edge] - local[edge]
    shift = weights @ pulled / weights.sum(axis=1, keepdims=True)
    furthest = float(np.linalg.norm(pulled, axis=1).max())
    reach = np.clip(_GAUSSIAN_SLOPE * furthest / _STEEPEST, *_SKIN_REACH)
    fade = np.exp(-((apart.min(axis=1) / reach) ** 2))
    nose, lip = local[NOSE_BASE, 1], local[edge, 1].min()
    beside = rise(np.abs(local[skin, 0]), *_BESIDE_NOSE)
    whole = (1.0 - beside) * (0.3 * nose + 0.7 * lip) + beside * _CHEEKS_WHOLE
    fade *= rise(local[skin, 1], nose, whole)
    return np.asarray(shift * fade[:, None])
