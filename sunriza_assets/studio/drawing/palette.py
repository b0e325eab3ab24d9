"""The colours of a mouth in one portrait's light, mixed from what the portrait shows.

Teeth take the white point of the picture, seen in skin and eye whites; tongue, gums and throat
take the lips' and the skin's colour. In a grey picture all of them are grey.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.skin import colourfulness, luma
from sunriza_assets.studio.face.regions import LOWER_LIDS, UPPER_LIDS
from sunriza_assets.studio.face.topology import IRIS_CENTRES
from sunriza_assets.studio.motion.head_pose import eye_distance

__all__ = ["Palette", "eye_white", "side_light"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

_SHADE: Final = np.array([0.80, 1.08, 1.14], dtype=np.float32)
"""Exponents that make shade inside a mouth reddish: light has come through flesh."""
_COOL: Final = np.array([0.90, 1.03, 1.10], dtype=np.float32)
"""The same for the shade of teeth, which is less so."""
_YELLOW: Final = np.array([0.1, 0.45, 1.0], dtype=np.float32)
"""What the necks of teeth lose of each channel."""
_IVORY: Final = np.array([1.0, 0.955, 0.875], dtype=np.float32)
_TINT: Final = (0.35, 0.5)
"""How much of the skin's colour teeth have, the light's share of it; and how much of that of skin
and eye whites together, where these are seen."""
_WHITE: Final = (0.86, 10.0)
"""White as a share of the skin's brightest channel, and grey levels above that."""
_EYE_WHITE: Final = (1.06, 0.75, 1.25)
"""White over the eye whites' luma, and how far below and above the skin's guess it may be."""
_TOOTH: Final = 1.03
"""Luma of a tooth over white."""
_WHITEST: Final = 226.0
"""Brightest channel of teeth in any face, grey levels."""
_OWN_TEETH: Final = 0.95
_OWN_HUE: Final = 0.25
"""Least luma of the photo's own teeth, as a share of a tooth's, and how much of their hue is taken:
a lip's shadow lies on them, and its red."""
_REDDEST: Final = 0.3
"""Colourfulness from which on what is taken for the photo's own teeth is none, or as the skin's."""
_COLOURFUL: Final = 0.2
"""Colourfulness of skin from which on a mouth has its full colour."""
_LIPS_COUNT: Final = 0.5
"""How much the colourfulness of lips says about that: pale skin has a red mouth, too."""
_TONGUE: Final = (0.56, np.array([1.42, 0.84, 0.82], dtype=np.float32))
_GUM: Final = (0.74, np.array([1.36, 0.84, 0.86], dtype=np.float32))
_THROAT: Final = (0.80, np.array([1.50, 0.78, 0.76], dtype=np.float32))
"""Luma over the skin's, and colour."""
_LIP_COLOUR: Final = (0.6, 1.6)
"""Least and most that a channel of the lips' colour is over their luma."""
_WET: Final = 0.16
"""What light mirrored by a wet tongue adds, as a share of the skin's luma."""
_BRIGHT_BAND: Final = (70, 95)
"""Percentiles of luma between which an eye's pixels are its white."""
_IRIS_REACH: Final = 0.25
"""Distance from the middle of the iris up to which it is not white, eye widths."""
_CHEEKS: Final = (205, 425)
"""Vertices of the right and the left cheek."""
_SIDE_GAIN: Final = 2.2
_MOST_SIDE: Final = 1.2
"""How much stronger than on cheeks side light is in a mouth, and its limit, per IOD."""


@dataclass(frozen=True)
class Palette:
    """The colours of a mouth, RGB 0-255."""

    throat: Plane
    tongue: Plane
    gum: Plane
    teeth: Plane
    shade: Plane
    """Exponents of the shade inside, which has come through flesh."""
    cool: Plane
    """Exponents of the shade of teeth."""
    yellow: Plane
    """How much more than red each channel loses towards the neck of a tooth, 0-1."""
    wet: float
    """What mirrored light adds on the tongue, grey levels."""

    @classmethod
    def of(
        cls,
        skin: Plane,
        lips: Plane,
        *,
        white: Plane | None = None,
        teeth: Plane | None = None,
    ) -> "Palette":
        """Mixed for one face; as colourful as its skin or its lips are, grey in a grey photo.

        Args:
            skin: (3,) its colour.
            lips: (3,) theirs.
            white: (3,) the colour of its eye whites, None where they are not seen.
            teeth: (3,) the colour of the teeth that the photo shows, None where it shows none.
        """
        brightest = max(float(skin.max()), 1.0)
        flesh = max(colourfulness(skin), _LIPS_COUNT * colourfulness(lips))
        colour = min(1.0, flesh / _COLOURFUL) ** 0.5
        level = _WHITE[0] * brightest + _WHITE[1]
        ivory = _IVORY * (skin / brightest) ** _TINT[0]
        if white is not None:
            cast = (skin / brightest) * (white / max(float(white.max()), 1.0))
            ivory = _IVORY * np.sqrt(cast) ** _TINT[1]
            share, least, most = _EYE_WHITE
            seen = float(np.clip(share * luma(white), least * level, most * level))
            level = 0.5 * (level + seen)
        ivory /= luma(ivory)
        tooth = _TOOTH * level
        if teeth is not None and colourfulness(teeth) <= max(_REDDEST, colourfulness(skin)):
            ivory += _OWN_HUE * (teeth / max(luma(teeth), 1.0) - ivory)
            tooth = max(luma(teeth), _OWN_TEETH * tooth)
        enamel = _muted(tooth * ivory, colour)
        enamel *= min(1.0, _WHITEST / max(float(enamel.max()), 1.0))
        own = np.clip(lips / max(luma(lips), 1.0), *_LIP_COLOUR)
        brightness = luma(skin)

        def mixed(share: float, colours: Plane) -> Plane:
            return _muted(share * brightness * colours, colour)

        return cls(
            throat=mixed(*_THROAT),
            tongue=mixed(_TONGUE[0], 0.5 * (_TONGUE[1] + own)),
            gum=mixed(_GUM[0], 0.5 * (_GUM[1] + own)),
            teeth=enamel,
            shade=_muted(_SHADE, colour),
            cool=_muted(_COOL, colour),
            yellow=_muted(_YELLOW, colour),
            wet=_WET * brightness,
        )


def eye_white(picture: Image, points: NDArray[Any]) -> Plane | None:
    """(3,) colour of the eye whites of a face (478 landmarks); None where too little is seen."""
    found = []
    for side in (0, 1):
        upper, lower = points[UPPER_LIDS[side], :2], points[LOWER_LIDS[side], :2]
        width = float(np.linalg.norm(upper[-1] - upper[0]))
        across = np.linspace(0.0, len(upper) - 1.0, max(8, round(width)))
        knots = np.arange(len(upper))
        top, bottom = (
            np.stack([np.interp(across, knots, rim[:, axis]) for axis in (0, 1)], axis=1)
            for rim in (upper, lower)
        )
        shares = np.linspace(0.3, 0.85, 6)[:, None, None]
        places = top + shares * (bottom - top)
        away = np.linalg.norm(places - points[IRIS_CENTRES[side], :2], axis=2)
        kept = places[away > _IRIS_REACH * width]
        column, row = np.floor(kept).astype(int).T
        height, wide = picture.shape[:2]
        inside = (column >= 0) & (column < wide) & (row >= 0) & (row < height)
        found.append(picture[row[inside], column[inside]])
    colours = np.concatenate(found).astype(np.float32)
    if len(colours) < 12:
        return None
    brightness = luma(colours)
    low, high = np.percentile(brightness, _BRIGHT_BAND)
    band = (brightness >= low) & (brightness <= high)
    return np.asarray(colours[band].mean(axis=0), dtype=np.float32)


def side_light(picture: Image, points: NDArray[Any]) -> float:
    """How much brighter a mouth is to the right of its middle, per IOD: as the cheeks are."""
    radius = max(1, round(0.05 * eye_distance(points)))
    sides = []
    for cheek in _CHEEKS:
        column, row = np.floor(points[cheek, :2]).astype(int)
        patch = picture[
            max(row - radius, 0) : max(row + radius + 1, 0),
            max(column - radius, 0) : max(column + radius + 1, 0),
        ]
        if patch.size == 0:
            return 0.0
        sides.append(float(np.median(luma(patch.astype(np.float32)))))
    right, left = sides
    gain = _SIDE_GAIN * (left - right) / max(left + right, 1.0)
    return float(np.clip(gain, -_MOST_SIDE, _MOST_SIDE))


def _muted(colour: NDArray[Any], share: float) -> Plane:
    """A colour with only a share of its difference from grey."""
    grey = colour.mean()
    return np.asarray(grey + share * (colour - grey), dtype=np.float32)
