"""The inside of a mouth without its teeth: throat, tongue, and the shade of lips and cheeks.

Drawn in the mouth's own coordinates, in IOD, in the colours that `palette` mixes for a portrait.
Throat and tongue belong to the jaw: they are centred on the mouth as it is now.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.palette import Palette
from sunriza_assets.studio.expression.easing import rise

__all__ = [
    "MouthInterior",
    "paint_lifted_tongue",
    "paint_throat",
    "paint_tongue",
    "paint_tongue_tip",
]

Plane = NDArray[np.float32]

_OPEN_LIGHT: Final = (0.05, 0.30)
"""Opening over which light comes to fall in, IOD."""
_LIFTED_LIGHT: Final = 1.45
"""Brightness of a tongue near the teeth, where light falls, over one at rest."""
_TIP_LIGHT: Final = 1.2
"""The same of one between the teeth, in front of which there is no lip."""
_CORNER: Final = (0.55, 0.97)
_CORNER_SHADE: Final = 0.82
"""Where on the way to the corners light falls off, and how much of it: cheeks shade the teeth
behind them (dentists' buccal corridors)."""


@dataclass(frozen=True)
class MouthInterior:
    """The pixels between the lips in the mouth's own coordinates; planes (h, w) in IOD."""

    x: Plane
    """To the right of the middle of the upper jaw."""
    across: Plane
    """To the right of the middle between the corners of the mouth."""
    lower_x: Plane
    """To the right of the middle of the lower jaw."""
    side: Plane
    """0 in the middle between the corners of the mouth, 1 at them."""
    below_upper: Plane
    """Below the upper lip's rim."""
    above_lower: Plane
    """Above the lower lip's rim."""
    below_root: Plane
    """Below where the upper lip's rim is at rest: fixed to the skull."""
    opening: float
    """Largest gap in the middle third."""
    pursed: float
    """0 as wide as at rest or wider, towards 1 the more the corners of the mouth come together."""

    @property
    def gap(self) -> Plane:
        """Opening in this column."""
        return np.maximum(self.below_upper + self.above_lower, np.float32(1e-4))

    @property
    def lit(self) -> float:
        """0 a slit, 1 open wide enough for light to fall in."""
        return float(rise(self.opening, *_OPEN_LIGHT))

    def shadow(self, palette: Palette, *, side_light: float = 0.0) -> Plane:
        """(h, w, 3) light that lips and cheeks leave to what is behind them.

        Args:
            palette: the mouth's colours.
            side_light: how much brighter it is to the right, per IOD.
        """
        below, above = np.maximum(self.below_upper, 0.0), np.maximum(self.above_lower, 0.0)
        shade = 1.0 - (0.46 - 0.18 * self.lit) * np.exp(-below / 0.016)
        shade -= 0.10 * np.exp(-below / 0.05)
        shade *= 1.0 - 0.38 * np.exp(-above / 0.010)
        shade *= 1.0 - _CORNER_SHADE * rise(self.side, *_CORNER)
        shade *= (1.0 - 0.55 * self.pursed) * (0.80 + 0.20 * rise(self.gap, 0.01, 0.09))
        shade = np.clip(shade, 0.0, 1.0)[:, :, None] ** palette.shade
        if side_light:
            shade *= 1.0 + np.clip(side_light * self.across, -0.35, 0.35)[:, :, None]
        return np.asarray(shade, dtype=np.float32)


def paint_throat(inside: MouthInterior, palette: Palette) -> Plane:
    """(h, w, 3) the back of the mouth: brightest at cheeks and palate, dark in its middle."""
    wall = (0.10 + 0.26 * inside.lit) * (1.0 - 0.8 * rise(inside.side, 0.45, 1.0))
    open_ = inside.opening
    x = inside.across / (0.12 + 0.30 * open_)
    y = (inside.below_upper - 0.46 * open_) / (0.05 + 0.33 * open_)
    hole = np.exp(-((np.hypot(x, y) / 0.95) ** 2.2))
    shade = (wall * (1.0 - 0.93 * hole))[:, :, None] ** palette.shade
    return np.asarray(palette.throat * shade, dtype=np.float32)


def paint_tongue(
    canvas: Plane,
    inside: MouthInterior,
    palette: Palette,
    *,
    teeth: float,
    wet: Plane,
    share: float = 1.0,
) -> Plane:
    """Lay the resting tongue over `canvas`.

    Args:
        canvas: (h, w, 3) what is behind it.
        inside: its pixels.
        palette: the mouth's colours.
        teeth: how far the lower teeth in front of it show, IOD.
        wet: (h, w) values around 1 that break the light mirrored on it.
        share: 0-1 how much of it is there.
    """
    across = np.minimum(np.abs(inside.across) / 0.215, 1.0)
    middle = np.sqrt(1.0 - across**2.4)
    open_ = inside.opening
    top = min(teeth + 0.012 + 0.24 * open_, 0.50 * open_) * middle
    above = np.maximum(inside.above_lower, 0.0)
    height = np.clip(above / np.maximum(top, 1e-3), 0.0, 1.2)
    light = np.sqrt(np.maximum(1.0 - ((height - 0.42) / 0.75) ** 2, 0.0))
    light *= (1.0 - 0.62 * rise(height, 0.40, 1.05)) * (0.58 + 0.42 * inside.lit)
    light *= (0.50 + 0.50 * rise(above, 0.0, 0.045)) * (0.62 + 0.38 * middle)
    light *= 1.0 - 0.16 * np.exp(-((inside.across / 0.014) ** 2)) * rise(height, 0.1, 0.5)
    spots = ((np.abs(inside.across) - 0.05) / 0.022) ** 2 + ((height - 0.42) / 0.16) ** 2
    shine = palette.wet * inside.lit * np.exp(-spots) * wet
    cover = share * rise(top - above, -0.010, 0.010)
    return _over(canvas, palette.tongue * light[:, :, None] + shine[:, :, None], cover)


def paint_lifted_tongue(
    canvas: Plane, inside: MouthInterior, palette: Palette, *, share: float = 1.0
) -> Plane:
    """Lay a tongue over `canvas`, 0-1, whose tip touches behind the upper teeth, as in "l"."""
    height = inside.above_lower / inside.gap
    half = 0.155 - 0.045 * np.clip(height, 0.0, 1.0)
    across = inside.across / half
    light = 0.50 + 0.38 * rise(height, 0.05, 0.70)
    light *= 1.0 - 0.25 * np.minimum(np.abs(across), 1.0) ** 3
    light *= 1.0 - 0.18 * np.exp(-((inside.across / 0.012) ** 2)) * (1.0 - rise(height, 0.2, 0.6))
    light *= 1.0 - 0.35 * np.exp(-np.maximum(inside.below_upper - 0.03, 0.0) / 0.018)
    cover = share * (1.0 - rise(np.abs(across), 0.86, 1.06))
    return _over(canvas, palette.tongue * (_LIFTED_LIGHT * light)[:, :, None], cover)


def paint_tongue_tip(
    canvas: Plane,
    inside: MouthInterior,
    palette: Palette,
    *,
    edge: Plane,
    blur: float,
    shadow: Plane | float = 1.0,
    share: float = 1.0,
) -> Plane:
    """Lay a tongue over `canvas` that lies between the teeth, as in "th".

    Args:
        canvas: (h, w, 3) the mouth with both rows of teeth.
        inside: its pixels.
        palette: the mouth's colours.
        edge: (h, w) distance below the biting line of the upper teeth, IOD.
        blur: half the width of an edge, IOD.
        shadow: (h, w, 3) what lips and cheeks leave of the light.
        share: 0-1 how much of it is there.
    """
    across = np.minimum(np.abs(inside.across) / 0.16, 1.0)
    middle = np.sqrt(1.0 - across**2.4)
    below = edge + 0.008 - 0.012 * (1.0 - middle)
    height = inside.above_lower / np.maximum(inside.above_lower + np.maximum(below, 0.0), 1e-3)
    light = (0.72 + 0.28 * middle) * (1.0 - 0.40 * np.exp(-np.maximum(below, 0.0) / 0.012))
    light *= 1.0 - 0.10 * np.exp(-((inside.across / 0.012) ** 2))
    shine = 0.6 * palette.wet * np.exp(-(((height - 0.5) / 0.18) ** 2)) * middle
    cover = share * rise(below, -blur, blur) * (1.0 - rise(np.abs(inside.across), 0.145, 0.165))
    colour = palette.tongue * (_TIP_LIGHT * light)[:, :, None] + shine[:, :, None]
    return _over(canvas, colour * shadow, cover)


def _over(canvas: Plane, colour: NDArray[Any], cover: NDArray[Any]) -> Plane:
    return np.asarray(canvas + cover[:, :, None] * (colour - canvas), dtype=np.float32)
