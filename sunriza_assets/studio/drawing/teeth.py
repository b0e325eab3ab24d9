"""Rows of teeth: painted once for a portrait into a strip, then read by every frame.

A strip runs along a jaw's arch (columns, arc length) and from the biting edge to the gum (rows).
Teeth never stretch: a frame asks which place of the arch a pixel shows, from how far beside the
middle of the jaw it is and how far the head is turned, and how far above the biting edge.

Widths and heights of crowns are means of dental anatomy (an IOD is about 90 mm).
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.palette import Palette
from sunriza_assets.studio.expression.easing import rise

__all__ = ["LOWER_JAW", "UPPER_JAW", "Jaw", "ToothRow"]

Plane = NDArray[np.float32]
Array = NDArray[np.float64]

_MM: Final = 1.0 / 90.0
"""IOD in a millimetre."""
_ARCH_END: Final = 1.35
_ARCH_STEPS: Final = 271
"""Angle at which an arch ends, radians from its middle, and the places it is computed at."""
_PERSPECTIVE: Final = 6.0
"""Distance of the viewer from the front teeth, IOD."""
_COLUMNS: Final = 384
_DEPTHS: Final = (-0.03, 0.20)
_ROWS: Final = 96
"""Size of a strip, and the distances from the biting edge at its first and its last row, IOD."""
_REACH: Final = 0.6
_PLACES: Final = 1201
"""Distances beside the middle of a jaw that places are tabulated up to, IOD, and how many."""
_MOST_YAW: Final = 0.6
"""Turn of the head up to which an arch is seen turned, radians."""


@dataclass(frozen=True)
class Jaw:
    """One jaw's arch and the crowns on it, from the middle outwards."""

    half_width: float
    """Of the arch, IOD: a half ellipse, x = half_width sin p, z = depth (1 - cos p)."""
    depth: float
    widths: tuple[float, ...]
    """Of the crowns along the arch, mm."""
    heights: tuple[float, ...]
    """Of the crowns from the biting edge to the gum, mm."""
    shorter: tuple[float, ...]
    """How far each biting edge ends before that of the longest, IOD."""
    bow: float
    """How far the biting line recedes with the depth of the arch."""
    gum: float
    """Brightness of the gum over the palette's."""


UPPER_JAW: Final = Jaw(
    half_width=0.30,
    depth=0.42,
    widths=(8.6, 6.7, 7.7, 7.0, 6.8, 10.0),
    heights=(10.4, 9.0, 10.2, 8.4, 7.6, 7.0),
    shorter=(0.0, 0.007, 0.001, 0.008, 0.012, 0.014),
    bow=0.16,
    gum=0.92,
)
LOWER_JAW: Final = Jaw(
    half_width=0.265,
    depth=0.38,
    widths=(5.4, 5.9, 6.9, 7.1, 7.2, 11.0),
    heights=(8.8, 9.2, 10.4, 8.6, 8.0, 7.5),
    shorter=(0.003, 0.002, 0.0, 0.008, 0.012, 0.015),
    bow=0.10,
    gum=0.55,
)


class ToothRow:
    """A jaw's teeth in one portrait's colours and sharpness.

    Args:
        jaw: which.
        palette: the mouth's colours.
        blur: half the width over which an edge goes from one side to the other, IOD.
        yaw: the portrait's own turn of the head, radians.
    """

    def __init__(self, jaw: Jaw, palette: Palette, *, blur: float, yaw: float) -> None:
        self._bow = jaw.bow
        angle = np.linspace(-_ARCH_END, _ARCH_END, _ARCH_STEPS)
        self._x = jaw.half_width * np.sin(angle)
        self._z = jaw.depth * (1.0 - np.cos(angle))
        steps = np.hypot(np.diff(self._x), np.diff(self._z))
        self._s = np.concatenate([[0.0], np.cumsum(steps)])
        self._s -= self._s[_ARCH_STEPS // 2]
        self._strip = _painted(jaw, self._x, self._z, self._s, palette, blur=blur, yaw=yaw)
        self._yaw: float | None = None
        self._table = np.zeros((_PLACES, 2), np.float32)

    def over(
        self, canvas: Plane, x: Plane, depth: Plane, *, yaw: float, light: float, cover: Plane
    ) -> Plane:
        """The row laid over a picture of the mouth.

        Args:
            canvas: (h, w, 3) what is behind it, RGB 0-255.
            x: (h, w) to the right of the middle of the jaw, IOD.
            depth: (h, w) from the biting line of the front teeth towards the gum, IOD.
            yaw: turn of the head, radians, positive towards the picture's right.
            light: brightness of the row.
            cover: (h, w) 0-1 where it may be seen.

        Returns:
            (h, w, 3) a new picture.
        """
        column = self._places(yaw)[_index(x)][..., 0]
        row = (depth - _DEPTHS[0]) * np.float32((_ROWS - 1) / (_DEPTHS[1] - _DEPTHS[0]))
        read = cv2.remap(
            self._strip, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        share = (read[..., 3] * cover)[:, :, None]
        return np.asarray(canvas + share * (light * read[..., :3] - canvas), dtype=np.float32)

    def below_edge(self, x: Plane, depth: Plane, *, yaw: float) -> Plane:
        """(h, w) distance beyond the biting line of the row, IOD; less than 0 on the teeth."""
        behind = self._places(yaw)[_index(x)][..., 1]
        return np.asarray(np.float32(self._bow) * behind - depth, dtype=np.float32)

    def _places(self, yaw: float) -> Plane:
        """(`_PLACES`, 2) column of the strip, and depth of the arch, beside the jaw's middle."""
        yaw = float(np.clip(yaw, -_MOST_YAW, _MOST_YAW))
        if self._yaw != yaw:
            screen = _on_screen(self._x, self._z, yaw)
            middle = _ARCH_STEPS // 2
            screen[middle:] = np.maximum.accumulate(screen[middle:])
            screen[: middle + 1] = np.minimum.accumulate(screen[middle::-1])[::-1]
            at = np.linspace(-_REACH, _REACH, _PLACES)
            s = np.interp(at, screen, self._s)
            ends = self._s[-1]
            self._table[:, 0] = (s + ends) * ((_COLUMNS - 1) / (2.0 * ends))
            self._table[:, 1] = np.interp(s, self._s, self._z)
            self._yaw = yaw
        return self._table


def _index(x: Plane) -> NDArray[np.intp]:
    scaled = (x + np.float32(_REACH)) * np.float32((_PLACES - 1) / (2.0 * _REACH))
    return np.clip(np.rint(scaled), 0, _PLACES - 1).astype(np.intp)


def _on_screen(x: Array, z: Array, yaw: float) -> Array:
    """Where places of an arch are seen beside its middle under a turn of the head."""
    return (x * np.cos(yaw) - z * np.sin(yaw)) / (1.0 + z / _PERSPECTIVE)


def _painted(
    jaw: Jaw, x: Array, z: Array, s: Array, palette: Palette, *, blur: float, yaw: float
) -> Plane:
    """(rows, columns, 4) the strip: RGB 0-255, and how far it covers what is behind, 0-1."""
    along = np.linspace(s[0], s[-1], _COLUMNS)
    behind = np.interp(along, s, z)
    slope = np.gradient(_on_screen(x, z, float(np.clip(yaw, -_MOST_YAW, _MOST_YAW))), s)
    narrowed = np.maximum(np.interp(along, s, slope), 0.15)
    edges = np.concatenate([[0.0], np.cumsum(jaw.widths)]) * _MM
    number = np.clip(np.searchsorted(edges, np.abs(along), side="right") - 1, 0, 5)
    width = np.diff(edges)[number]
    outwards = 2.0 * (np.abs(along) - edges[number]) / width - 1.0  # -1 nearest to the middle
    height = np.array(jaw.heights)[number] * _MM
    depth = np.linspace(*_DEPTHS, _ROWS)[:, None] - jaw.bow * behind
    y = depth - np.array(jaw.shorter)[number]
    t = np.maximum(y, 0.0) / height
    size = np.abs(outwards)
    corner = 0.010 * size**5 * np.where(outwards > 0.0, 1.35, 0.8)
    cover = rise(y - corner, -blur, blur)
    cover = cover * rise(s[-1] - np.abs(along), 0.0, 0.03)
    gum = rise(y - (height - 0.018 * size**2), -1.5 * blur, 1.5 * blur)
    fine = 1.1 * blur
    apart = (1.0 - size) * width / 2.0 * narrowed
    line_width = np.maximum(0.0030 + 0.0065 * np.exp(-t / 0.10) + 0.0016 * t, fine)
    line = 0.40 * np.exp(-t / 0.14) + 0.17 + 0.05 * t
    line = line * np.clip(0.0034 / max(fine, 0.0034), 0.35, 1.0)  # thinner than a pixel, it fades
    shade = 1.0 - line * np.exp(-((apart / line_width) ** 2))
    shade *= (1.0 - 0.13 * size**2.4) * (1.0 - 0.05 * outwards)
    shade *= 1.0 - 0.10 * np.exp(-np.maximum(y, 0.0) / 0.012)
    bulge = ((outwards + 0.15) / 0.45) ** 2 + ((t - 0.42) / 0.22) ** 2
    shade *= 1.0 + 0.045 * np.exp(-bulge)
    shade *= np.exp(-((behind / 0.17) ** 1.25))
    yellow = 1.0 - 0.09 * np.minimum(t, 1.2)[:, :, None] * palette.yellow
    enamel = palette.teeth * shade[:, :, None] ** palette.cool * yellow
    gum_light = jaw.gum * np.exp(-behind / 0.2)
    colour = enamel + gum[:, :, None] * (palette.gum * gum_light[:, None] - enamel)
    return np.dstack([colour, cover]).astype(np.float32)
