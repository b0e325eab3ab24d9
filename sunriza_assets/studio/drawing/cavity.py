"""A procedurally painted mouth: dark cavity, tongue, two rows of teeth.

For portraits with closed lips and no mouth texture from a clip. It is drawn in the mouth's own
coordinates, in IOD, and coloured from the portrait's skin, so that it suits dark, pale and
black-and-white faces. Teeth belong to the skull (the upper ones) or the jaw (the lower ones):
lips move over them, they never stretch.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.skin import colourfulness
from sunriza_assets.studio.expression.easing import rise, smoothstep

__all__ = [
    "MouthInterior",
    "Palette",
    "paint_cavity",
    "paint_lower_teeth",
    "paint_tongue",
    "paint_upper_teeth",
]

Plane = NDArray[np.float32]

_FLESH_LIGHT: Final = np.array([0.80, 1.08, 1.14], dtype=np.float32)
"""Exponents that make shade inside a mouth reddish."""
_CAVITY: Final = np.array([0.22, 0.10, 0.095], dtype=np.float32)
_TONGUE: Final = np.array([0.80, 0.50, 0.49], dtype=np.float32)
"""Colours as shares of the skin's."""
_TONGUE_REACH: Final = 0.14
"""How far a resting tongue is seen above the lower lip, IOD; in a narrower mouth, half of it."""
_WET: Final = 14.0
"""What the light mirrored by a wet tongue adds, grey levels."""
_CONTACT: Final = (0.25, 0.5)
_CONTACT_REACH: Final = 0.03
"""Light that is left right behind a lip, of a narrow mouth and of a wide one, and how far behind
it there is more, IOD."""
_CORNERS: Final = 0.22
_CORNERS_BEGIN: Final = (0.3, 0.8)
"""Light that is left at the corners, and where on the way to them it falls off: cheeks shade the
teeth behind them (dentists' buccal corridors)."""
_IVORY: Final = np.array([1.0, 0.965, 0.905], dtype=np.float32)
_WHITE: Final = 0.86
"""Brightness of teeth as a share of the skin's."""
_WHITEST: Final = 218.0
"""Brightest that teeth are in any face, grey levels."""
_TINT: Final = 0.4
"""How much of the skin's colour the teeth have: the light's share of it."""
_COLOURFUL: Final = 0.2
"""Colourfulness of skin from which on a mouth has its full colour."""
_LIPS_COUNT: Final = 0.5
"""How much the colourfulness of lips says about that: pale skin has a red mouth, too."""
_TOOTH_EDGES: Final = np.array([0.0, 0.094, 0.166, 0.229, 0.278, 0.315, 0.345])
"""Distance from the middle at which one upper tooth ends and the next begins as seen from the
front, IOD: incisors of 8.5 and 6.5 mm, then teeth that turn away (an IOD is about 90 mm)."""
_LOWER_SHARE: Final = 0.72
"""Width of a lower incisor over an upper one's."""
_UPPER_REACH: Final = 0.058
"""How far the upper teeth reach below the resting upper lip."""
_COVERED: Final = 0.6
"""Share of the upper teeth that protruding lips hide when they are entirely pursed."""
_LOWER_REACH: Final = 0.035
"""How far the lower teeth reach above the lower lip."""
_CROWN: Final = 0.105
"""Height of an upper front tooth from its edge to the gum, IOD."""
_PAPILLA: Final = 0.022
"""How much further down the gum reaches between two teeth."""
_GUM_LIGHT: Final = 1.05
"""Brightness of gums over that of the tongue."""
_EDGE: Final = 0.007
"""Softness of a tooth's edge."""


@dataclass(frozen=True)
class Palette:
    """The colours of a mouth in one portrait's light, RGB 0-255."""

    cavity: Plane
    tongue: Plane
    teeth: Plane
    shade: Plane
    """Exponents of the shade inside, which has come through flesh."""

    @classmethod
    def of(cls, skin: Plane, lips: Plane, *, teeth: Plane | None = None) -> "Palette":
        """Mixed for one face; as colourful as its skin or its lips are, grey in a grey photo.

        Args:
            skin: (3,) its colour.
            lips: (3,) theirs.
            teeth: (3,) the colour of the teeth that the photo shows, None where it shows none.
        """
        brightest = max(float(skin.max()), 1.0)
        flesh = max(colourfulness(skin), _LIPS_COUNT * colourfulness(lips))
        colour = min(1.0, flesh / _COLOURFUL) ** 0.5
        white = min(_WHITE * brightest + 10.0, _WHITEST)
        ivory = _IVORY * (skin / brightest) ** _TINT
        return cls(
            cavity=skin * _muted(_CAVITY, colour),
            tongue=skin * _muted(_TONGUE, colour),
            teeth=white * _muted(ivory, colour) if teeth is None else teeth,
            shade=_muted(_FLESH_LIGHT, colour),
        )


def _muted(colour: Plane, share: float) -> Plane:
    """A colour with only a share of its difference from grey."""
    grey = colour.mean()
    return np.asarray(grey + share * (colour - grey), dtype=np.float32)


@dataclass(frozen=True)
class MouthInterior:
    """The pixels between the lips in the mouth's own coordinates; planes (h, w) in IOD."""

    x: Plane
    """To the right of the middle of the upper jaw."""
    side: Plane
    """0 in the middle between the corners of the mouth, 1 at them."""
    below_upper: Plane
    """Below the upper lip's rim."""
    above_lower: Plane
    """Above the lower lip's rim."""
    below_root: Plane
    """Below where the upper lip's rim is at rest: fixed to the skull."""
    roundness: float
    """0 a slit, 1 a round opening."""
    pursed: float
    """0 as wide as at rest or wider, towards 1 the more the corners of the mouth come together."""

    def light(self, palette: Palette) -> Plane:
        """(h, w, 3) how much light falls in: little through a slit or between protruding lips."""
        open_ = 0.74 + 0.26 * rise(self.gap, 0.01, 0.10)
        near_lips = np.minimum(self.below_upper, self.above_lower) / 0.045
        shade = (0.70 + 0.30 * smoothstep(near_lips)) * open_ * self.light_share
        return np.asarray(shade[:, :, None] ** palette.shade, dtype=np.float32)

    def shadow(self, palette: Palette) -> Plane:
        """(h, w, 3) shadow of lips on what is close behind them, and of cheeks at the corners.

        It separates teeth from lips where lips are pale and teeth bright.
        """
        shade = 1.0 - (1.0 - _CORNERS) * rise(self.side, *_CORNERS_BEGIN)
        least = _CONTACT[0] + (_CONTACT[1] - _CONTACT[0]) * rise(self.gap, 0.08, 0.20)
        for distance in (self.below_upper, self.above_lower):
            shade = shade * (least + (1.0 - least) * smoothstep(distance / _CONTACT_REACH))
        return np.asarray(shade[:, :, None] ** palette.shade, dtype=np.float32)

    @property
    def light_share(self) -> float:
        """Share of the light that gets past protruding lips."""
        return 1.0 - 0.6 * self.pursed

    @property
    def gap(self) -> Plane:
        """Opening in this column."""
        return np.maximum(self.below_upper + self.above_lower, 1e-4)


def paint_cavity(inside: MouthInterior, palette: Palette) -> Plane:
    """(h, w, 3) darkness: a little light in front, none at the sides and under the upper lip."""
    depth = rise(inside.below_upper, 0.0, 0.12)
    light = 0.45 + 0.55 * depth * (1.0 - 0.7 * inside.side**2)
    return np.asarray(palette.cavity * light[:, :, None], dtype=np.float32)


def paint_tongue(
    canvas: Plane, inside: MouthInterior, palette: Palette, *, raised: float, out: float
) -> Plane:
    """Lay the tongue over `canvas`: on the floor at rest, up to the upper teeth or over them."""
    lifted = max(raised, out)
    across = np.minimum(inside.side / (0.84 - 0.14 * lifted), 1.0)
    middle = np.sqrt(1.0 - across**2)
    rest_top = np.minimum(_TONGUE_REACH, 0.5 * inside.gap)
    raised_top = np.maximum(inside.gap - 0.6 * _UPPER_REACH, 0.4 * inside.gap)
    out_top = np.maximum(inside.gap - 0.45 * _UPPER_REACH, 0.6 * inside.gap)
    top = rest_top + raised * (raised_top - rest_top)
    top = (top + out * (out_top - top)) * middle
    softness = 0.012 + 0.016 * (1.0 - lifted)  # what rests lies further back and ends in the dark
    cover = rise(top - inside.above_lower, -softness, softness)
    height = np.clip(inside.above_lower / np.maximum(top, 1e-3), 0.0, 1.0)
    light = (0.6 + 0.4 * middle) * _tongue_light(inside, height, lifted=lifted, out=out)
    wet = np.exp(-(((np.abs(inside.x) - 0.045) / 0.022) ** 2) - ((height - 0.42) / 0.16) ** 2)
    wet *= rise(inside.gap, 0.08, 0.18)  # a narrow mouth lets in no light to be mirrored
    colour = palette.tongue * light[:, :, None] + (_WET * wet)[:, :, None]
    return np.asarray(canvas + cover[:, :, None] * (colour - canvas), dtype=np.float32)


def _tongue_light(inside: MouthInterior, height: Plane, *, lifted: float, out: float) -> Plane:
    """How brightly the middle of a tongue is lit, `height` (0-1) of the way up to its top.

    It is a dome: bright where it faces the light that falls in from the front, dark where it turns
    away to the back and behind the lower lip, which shades its tip.
    """
    back = (0.55 - 0.35 * lifted) * smoothstep((height - 0.25) / 0.75)
    shaded = (0.55 - 0.45 * out) * (1.0 - rise(inside.above_lower, 0.0, 0.05))
    furrow = 0.13 * np.exp(-((inside.x / (0.010 + 0.012 * height)) ** 2)) * rise(height, 0.1, 0.5)
    return np.asarray((1.0 - back) * (1.0 - shaded) * (1.0 - furrow))


def paint_upper_teeth(
    canvas: Plane, inside: MouthInterior, palette: Palette, *, most: Plane | float
) -> Plane:
    """Lay the upper row over `canvas`; it reaches no further than `most` below the lip."""
    bow = 1.0 - 0.45 * (inside.x / 0.33) ** 2
    reach = _UPPER_REACH * (1.0 - _COVERED * inside.pursed)
    edge = inside.below_root - reach * bow + _scallop(np.abs(inside.x), _TOOTH_EDGES)
    edge = np.maximum(edge, inside.below_upper - most)
    row = _teeth(canvas, inside, palette.teeth, edge=edge, boundaries=_TOOTH_EDGES)
    return _gums(row, inside, palette, edge=edge)


def paint_lower_teeth(
    canvas: Plane, inside: MouthInterior, palette: Palette, *, share: float
) -> Plane:
    """Lay the lower row over `canvas`, up to `share` (0-1) of all of it."""
    boundaries = _LOWER_SHARE * _TOOTH_EDGES
    bow = 1.0 - 0.35 * (inside.x / 0.25) ** 2
    reach = np.maximum(_LOWER_REACH, 0.40 * inside.gap)
    edge = inside.above_lower - share * reach * bow + _scallop(np.abs(inside.x), boundaries)
    return _teeth(canvas, inside, 0.93 * palette.teeth, edge=edge, boundaries=boundaries)


def _teeth(
    canvas: Plane,
    inside: MouthInterior,
    white: Plane,
    *,
    edge: Plane,
    boundaries: NDArray[np.float64],
) -> Plane:
    """A row of teeth where `edge` (IOD beyond the biting edge) is negative."""
    away = np.abs(inside.x)
    cover = rise(-edge, -_EDGE, _EDGE) * (1.0 - rise(away, 0.85 * boundaries[-1], boundaries[-1]))
    cover = cover * (1.0 - rise(inside.side, 0.80, 0.98))
    between = np.min(np.abs(away[:, :, None] - boundaries), axis=2)
    gaps = 1.0 - 0.22 * np.exp(-((between / 0.0055) ** 2))
    turning = 1.0 - 0.50 * np.clip(away / boundaries[-1], 0.0, 1.0) ** 1.8
    tip = 0.90 + 0.10 * rise(-edge, 0.0, 0.02)
    colour = white * (gaps * turning * tip)[:, :, None]
    return np.asarray(canvas + cover[:, :, None] * (colour - canvas), dtype=np.float32)


def _gums(row: Plane, inside: MouthInterior, palette: Palette, *, edge: Plane) -> Plane:
    """Lay the gums over the necks of a row of upper teeth, which a raised lip bares."""
    away = np.abs(inside.x)
    between = np.min(np.abs(away[:, :, None] - _TOOTH_EDGES), axis=2)
    neck = _CROWN - _PAPILLA * np.exp(-((between / 0.016) ** 2))
    cover = rise(-edge - neck, -1.5 * _EDGE, 1.5 * _EDGE)
    cover = cover * (1.0 - rise(inside.side, 0.80, 0.98))
    light = 0.95 - 0.4 * np.clip(away / _TOOTH_EDGES[-1], 0.0, 1.0) ** 1.8
    colour = _GUM_LIGHT * palette.tongue * light[:, :, None]
    return np.asarray(row + cover[:, :, None] * (colour - row), dtype=np.float32)


def _scallop(away: Plane, boundaries: NDArray[np.float64]) -> Plane:
    """How much each tooth's edge draws back towards its neighbours, IOD."""
    between = np.min(np.abs(away[:, :, None] - boundaries), axis=2)
    return np.asarray(0.006 * np.exp(-((between / 0.012) ** 2)), dtype=np.float32)
