"""Creases of the skin, which a photo of a resting face does not have and a mesh cannot make.

A brow that frowns folds the skin between the brows; the fold is seen by its shade and by the light
on its edges. Each crease is a line through vertices of the mesh, a dark furrow between two faintly
brighter ridges, multiplied into the portrait before it is warped: so grain and make-up stay, and
the crease goes with the skin.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.skin import colourfulness
from sunriza_assets.studio.expression.easing import rise
from sunriza_assets.studio.expression.emotions import Crease
from sunriza_assets.studio.motion.head_pose import eye_distance

__all__ = ["Creases"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Array = NDArray[np.float64]
Window = tuple[slice, slice]

_FINEST_IOD: Final = 120.0
"""Pixels of IOD from which on shades are computed at a reduced size: they are soft."""
_RIDGE: Final = 0.16
"""Brightness of the ridges over the darkness of the furrow."""
_RIDGE_PLACE: Final = 2.0
_RIDGE_WIDTH: Final = 1.5
"""Where the ridges are and how wide, in widths of the furrow."""
_TINT: Final = (-0.75, 0.25, 0.6)
"""How much more than grey a shade darkens red, green and blue of a skin as colourful as one is:
light that comes out of a fold has passed through more of it."""
_TINT_SHARE: Final = 1.4
_MOST_TINT: Final = 0.36
"""How much of that a skin has for its colourfulness, and at most: more looks like paint."""
_LOG_LIMIT: Final = (-0.9, 0.25)
"""Least and most logarithm of the brightness, where creases cross."""
_END: Final = 0.35
"""Share of a crease's length, at either end, over which it begins."""


@dataclass(frozen=True)
class _Stroke:
    """One line of a crease."""

    knots: tuple[tuple[int, int, float], ...]
    """(a, b, t): the place t of the way from vertex a to vertex b."""
    width: float
    """From the middle to where it is 1/e as dark, IOD."""
    depth: float
    """Logarithm of the brightness lost in the middle of a crease as deep as it gets."""
    ridges: float = 1.0
    """Share of the ridges that it has; a mere shade has none."""
    lee: float = 1.0
    """How much softer it is on the side nearer to the middle of the face."""
    ends: tuple[bool, bool] = (True, True)
    """Whether it begins and ends softly."""


_MIRRORED: Final = {
    55: 285, 107: 336, 193: 417, 122: 351, 129: 358, 203: 423, 206: 426, 216: 436, 212: 432,
    43: 273, 57: 287, 61: 291, 202: 422, 204: 424, 66: 296, 105: 334, 104: 333, 69: 299,
    108: 337, 245: 465, 188: 412, 114: 343, 217: 437, 198: 420, 49: 279, 36: 266, 83: 313,
    182: 406, 221: 441, 222: 442, 189: 413, 56: 286, 65: 295, 52: 282, 228: 448, 229: 449,
    230: 450, 231: 451, 232: 452, 31: 261, 233: 453, 190: 414, 174: 399, 28: 258, 27: 257,
    223: 443, 196: 419, 186: 410, 63: 293, 106: 335, 68: 298, 3: 248, 236: 456, 131: 360,
    126: 355, 98: 327, 92: 322,
}  # fmt: skip
"""Vertices of the subject's right half of the face -> of the left; others are in the middle."""


def _both(*strokes: _Stroke) -> tuple[_Stroke, ...]:
    """Strokes of the right half and the same of the left."""
    return strokes + tuple(
        replace(
            stroke,
            knots=tuple((_MIRRORED.get(a, a), _MIRRORED.get(b, b), t) for a, b, t in stroke.knots),
        )
        for stroke in strokes
    )


_NASOLABIAL: Final = (
    (49, 129, 0.5), (129, 203, 0.25), (203, 206, 0.3), (206, 92, 0.12), (216, 186, 0.35),
    (57, 212, 0.3),
)  # fmt: skip
"""Knots from the wing of the nose around the corner of the mouth."""
_STROKES: Final[Mapping[Crease, tuple[_Stroke, ...]]] = {
    # Two upright lines between the brows, and the shade of the skin bunched there (AU4).
    "frown": (
        *_both(
            _Stroke(((108, 9, 0.75), (107, 9, 0.64), (55, 8, 0.50), (193, 168, 0.36)), 0.030, 0.28)
        ),
        _Stroke(((9, 8, 0.0), (8, 8, 0.0), (168, 8, 0.4)), 0.11, 0.18, ridges=0.0),
    ),
    # The shade of a lowered brow over the inner half of the eye (AU4).
    "socket": _both(
        _Stroke(((65, 28, 0.5), (222, 56, 0.5), (221, 55, 0.2), (193, 189, 0.4)),
                0.06, 0.44, ridges=0.0),
    ),
    # Lines across the root of the nose (AU9).
    "nose_root": (
        _Stroke(((193, 189, 0.3), (8, 168, 0.75), (417, 413, 0.3)), 0.030, 0.23, ridges=0.6),
        _Stroke(((245, 122, 0.2), (168, 6, 0.55), (465, 351, 0.2)), 0.030, 0.18, ridges=0.0),
    ),
    # From the wing of the nose around the corner of the mouth (AU9, AU10, AU12): sharp towards
    # the cheek, soft towards the lip: a thin line at the fold, and the shade that falls from it.
    "nasolabial": _both(
        _Stroke(_NASOLABIAL, 0.013, 0.20, lee=1.4),
        _Stroke(_NASOLABIAL, 0.026, 0.13, lee=3.0),
    ),
    # Lines across the whole forehead (AU1 with AU2).
    "forehead": (
        _Stroke(((63, 68, 0.6), (105, 104, 0.45), (66, 69, 0.46), (107, 108, 0.42), (9, 151, 0.46),
                 (336, 337, 0.42), (296, 299, 0.46), (334, 333, 0.45), (293, 298, 0.6)),
                0.030, 0.13),
        _Stroke(((105, 104, 0.85), (66, 69, 0.88), (107, 108, 0.80), (9, 151, 0.84),
                 (336, 337, 0.80), (296, 299, 0.88), (334, 333, 0.85)), 0.030, 0.11),
    ),
    # Short lines above raised inner ends of the brows (AU1 with AU4).
    "brow_worry": (
        _Stroke(((66, 69, 0.50), (107, 108, 0.36), (9, 151, 0.40), (336, 337, 0.36),
                 (296, 299, 0.50)), 0.032, 0.16),
        _Stroke(((66, 69, 0.90), (107, 108, 0.72), (9, 151, 0.76), (336, 337, 0.72),
                 (296, 299, 0.90)), 0.030, 0.12),
        *_both(_Stroke(((107, 9, 0.62), (55, 8, 0.52), (193, 168, 0.45)), 0.032, 0.17)),
    ),
    # Down from the corners of the mouth (AU15).
    "mouth_droop": _both(
        _Stroke(((61, 57, 0.25), (43, 57, 0.35), (204, 43, 0.45)), 0.036, 0.26, ends=(False, True)),
    ),
    # The furrow above a chin that is pushed up (AU17).
    "chin": (
        _Stroke(((182, 106, 0.3), (83, 182, 0.2), (18, 18, 0.0), (313, 406, 0.2), (406, 335, 0.3)),
                0.05, 0.24),
    ),
    # Below lower lids that are raised (AU6, AU7).
    "eye_bag": _both(
        _Stroke(((232, 232, 0.0), (231, 231, 0.0), (230, 230, 0.0), (229, 229, 0.0),
                 (228, 31, 0.4)), 0.028, 0.20),
    ),
}  # fmt: skip


class Creases:
    """The creases of one portrait.

    Args:
        points: (>= 468, 3) landmarks of the portrait, pixels.
        skin: (3,) RGB of its skin.
        size: (width, height) of the picture.
        around: windows of the picture that are drawn along with the creases, the eyes'.
    """

    def __init__(
        self,
        points: NDArray[Any],
        skin: NDArray[Any],
        *,
        size: tuple[int, int],
        around: Iterable[Window],
    ) -> None:
        self._points = np.asarray(points[:, :2], dtype=np.float64)
        self._iod = eye_distance(points)
        self._window = self._hull(size, around)
        tint = min(_TINT_SHARE * colourfulness(skin), _MOST_TINT)
        self._channels = (1.0 + tint * np.array(_TINT)).astype(np.float32)
        self._planes: dict[Crease, Plane] = {}

    def draw(
        self,
        picture: Image,
        parts: Iterable[tuple[Window, Image]],
        depths: Mapping[Crease, float],
    ) -> tuple[Window, Image]:
        """A window of a picture with parts of it replaced and creases laid over all of it.

        Args:
            picture: (H, W, 3) RGB.
            parts: (window, its content) of what has been drawn anew.
            depths: how deep each crease is, 0-1.

        Returns:
            The window and its content.
        """
        rows, columns = self._window
        content = picture[self._window].copy()
        for (its_rows, its_columns), part in parts:
            content[
                its_rows.start - rows.start : its_rows.stop - rows.start,
                its_columns.start - columns.start : its_columns.stop - columns.start,
            ] = part
        shade = np.zeros(content.shape[:2], np.float32)
        for name, depth in depths.items():
            shade += np.float32(depth) * self._plane(name)
        shade = np.clip(shade, *_LOG_LIMIT)
        gain = np.exp(shade[:, :, None] * self._channels)
        cv2.multiply(content, gain, dst=content, dtype=cv2.CV_8U)
        return self._window, content

    def _hull(self, size: tuple[int, int], around: Iterable[Window]) -> Window:
        """The smallest window that holds all creases and the windows `around`."""
        face = self._points[:468]
        low = np.clip(np.floor(face.min(axis=0)), 0, size).astype(int)
        high = np.clip(np.ceil(face.max(axis=0)), 0, size).astype(int)
        for rows, columns in around:
            low = np.minimum(low, [columns.start, rows.start])
            high = np.maximum(high, [columns.stop, rows.stop])
        return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))

    def _plane(self, name: Crease) -> Plane:
        """(h, w) logarithm of the brightness of a crease as deep as it gets, kept once drawn."""
        if name not in self._planes:
            rows, columns = self._window
            size = (columns.stop - columns.start, rows.stop - rows.start)
            scale = min(1.0, _FINEST_IOD / self._iod)
            small = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
            plane = np.zeros((small[1], small[0]), np.float32)
            factors = np.array(small) / np.maximum(size, 1)
            for stroke in _STROKES[name]:
                knots = np.array(
                    [(1.0 - t) * self._points[a] + t * self._points[b] for a, b, t in stroke.knots]
                )
                line = (knots - [columns.start, rows.start]) * factors
                middle = (self._points[4] - [columns.start, rows.start]) * factors
                _add_stroke(plane, line, stroke, self._iod * float(factors.mean()), middle)
            self._planes[name] = np.asarray(cv2.resize(plane, size), dtype=np.float32)
        return self._planes[name]


def _add_stroke(plane: Plane, knots: Array, stroke: _Stroke, iod: float, middle: Array) -> None:
    """Add the shade of a stroke through `knots` (N, 2), pixels of the plane, in place.

    Args:
        plane: (h, w) logarithm of the brightness.
        knots: (N, 2) pixels of the plane.
        stroke: the stroke.
        iod: pixels of the plane.
        middle: (2,) the tip of the nose, which is on the lee side.
    """
    line = _smooth(knots)
    width = stroke.width * iod
    reach = (_RIDGE_PLACE + 2.0 * _RIDGE_WIDTH) * width * stroke.lee + 1.0
    shape = np.array([plane.shape[1], plane.shape[0]])
    low = np.clip(np.floor(line.min(axis=0) - reach), 0, shape).astype(int)
    high = np.clip(np.ceil(line.max(axis=0) + reach), 0, shape).astype(int)
    if (high <= low).any():
        return
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5
    distance = np.full(x.shape, np.inf)
    place = np.zeros(x.shape)
    side = np.zeros(x.shape)
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    ends = np.concatenate([[0.0], np.cumsum(steps)]) / max(float(steps.sum()), 1e-6)
    for number, (start, end) in enumerate(pairwise(line)):
        along = end - start
        share = (x - start[0]) * along[0] + (y - start[1]) * along[1]
        share = np.clip(share / max(float(along @ along), 1e-9), 0.0, 1.0)
        apart = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
        nearer = apart < distance
        distance[nearer] = apart[nearer]
        turned = (x - start[0]) * along[1] - (y - start[1]) * along[0]
        inner = (middle[0] - start[0]) * along[1] - (middle[1] - start[1]) * along[0]
        side[nearer] = (turned * np.sign(inner))[nearer]
        at = ends[number] + share * (ends[number + 1] - ends[number])
        place[nearer] = at[nearer]
    fade = np.ones(x.shape)
    if stroke.ends[0]:
        fade *= rise(place, 0.0, _END)
    if stroke.ends[1]:
        fade *= rise(1.0 - place, 0.0, _END)
    off = distance / (width * np.where(side > 0.0, stroke.lee, 1.0))
    shade = np.exp(-(off**2))
    ridges = np.exp(-(((off - _RIDGE_PLACE) / _RIDGE_WIDTH) ** 2))
    profile = stroke.ridges * _RIDGE * ridges - shade
    plane[low[1] : high[1], low[0] : high[0]] += (stroke.depth * fade * profile).astype(np.float32)


def _smooth(knots: Sequence[Any] | Array) -> Array:
    """(M, 2) a Catmull-Rom curve through knots (N, 2)."""
    knots = np.asarray(knots, dtype=np.float64)
    padded = np.concatenate([[2 * knots[0] - knots[1]], knots, [2 * knots[-1] - knots[-2]]])
    t = np.linspace(0.0, 1.0, 5)[:-1, None]
    pieces = []
    for a, b, c, d in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True):
        pieces.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
                   + (3 * b - a - 3 * c + d) * t**3)
        )  # fmt: skip
    return np.concatenate([*pieces, knots[-1:]])
