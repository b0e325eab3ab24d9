"""The clip's own mouth between the lips of a portrait that is a frame of that clip.

It shows that person's own teeth, and fits the gap that it was cut from. In any other face it would
be stretched to another gap, and its light and sharpness would be another picture's.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.gap import Gap
from sunriza_assets.studio.drawing.palette import Palette
from sunriza_assets.studio.drawing.sampling import read_at
from sunriza_assets.studio.drawing.skin import colourfulness, deepened, luma, toned
from sunriza_assets.studio.expression.easing import rise, smoothstep

__all__ = ["ClipMouth", "MouthDetail", "fit_clip_mouth"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

_ONSET: Final = (0.010, 0.035)
"""Opening of the clip's mouth over which its picture comes to be trusted, IOD."""
_ROUND_INSET: Final = 0.13
"""Share of the clip's mouth that is left out on each side when it is round: landmarks then lie on
the lips instead of inside them, and a second pair of lips would show."""
_INNER: Final = (slice(4, 44), slice(12, 84))
"""Rows and columns of a mouth of 48 x 96 pixels that are judged: the rest may be lips."""
_TOOTH_LIGHT: Final = 0.42
_TOOTH_COLOUR: Final = (0.34, 8.0)
"""Least channel of a tooth over the skin's luma, and the most that its channels differ, as a share
of the largest and in grey levels above that; more in a light that colours skin more."""
_MIN_CONTRAST: Final = 0.5
_TOOTH_AREA: Final = (0.04, 0.75)
_MIN_BETWEEN: Final = 0.03
_MIN_FINE: Final = 0.028
"""What a mouth must have to be used; a burnt-out one is all teeth, a blurred one has none."""


@dataclass(frozen=True)
class ClipMouth:
    """The inside of the clip's mouth in one frame."""

    texture: Image
    """(h, w, 3) columns from corner to corner, rows from upper to lower rim."""
    opening: float
    """How far the clip's mouth was open, IOD; a shut one shows lips, not a mouth."""
    skin: NDArray[Any]
    """(3,) RGB of the clip's skin around the mouth, which `texture` is toned from."""


@dataclass(frozen=True)
class MouthDetail:
    """What is told apart in a mouth cut out between its lips, in units of the skin's luma."""

    contrast: float
    """Range of brightness, from the 5th percentile to the 95th."""
    teeth: float
    """Share that is as bright and colourless as teeth."""
    between_teeth: float
    """Standard deviation of the lines between them, on them."""
    fine: float
    """Standard deviation of all fine detail."""

    @classmethod
    def of(cls, texture: Image, skin: NDArray[Any]) -> "MouthDetail":
        """Of a mouth (48, 96, 3) in a face whose skin (3,) has this colour."""
        level = max(luma(skin), 1.0)
        inner = np.ascontiguousarray(texture[_INNER]).astype(np.float32)
        grey = luma(inner) / level
        low, high = np.percentile(grey, (5, 95))
        least, most = inner.min(axis=2), inner.max(axis=2)
        colour = max(_TOOTH_COLOUR[0], colourfulness(skin))
        tooth = least > _TOOTH_LIGHT * (1.0 - colour) / (1.0 - _TOOTH_COLOUR[0]) * level
        tooth &= most - least < colour * most + _TOOTH_COLOUR[1]
        lines = cv2.GaussianBlur(grey, (0, 0), 0.8, sigmaY=2.5)
        lines -= cv2.GaussianBlur(grey, (0, 0), 4.0, sigmaY=2.5)
        fine = cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 0.7), cv2.CV_32F)
        return cls(
            contrast=float(high - low),
            teeth=float(tooth.mean()),
            between_teeth=float(lines[tooth].std()) if tooth.any() else 0.0,
            fine=float(np.std(fine)),
        )

    @property
    def shows_teeth(self) -> bool:
        """Whether teeth are told apart: neither burnt out, nor blurred, nor hidden."""
        return (
            self.contrast >= _MIN_CONTRAST
            and _TOOTH_AREA[0] <= self.teeth <= _TOOTH_AREA[1]
            and self.between_teeth >= _MIN_BETWEEN
            and self.fine >= _MIN_FINE
        )


def fit_clip_mouth(
    canvas: Plane, gap: Gap, clip: ClipMouth, *, skin: Plane, palette: Palette
) -> Plane:
    """The clip's mouth fitted into the gap over `canvas` (h, w, 3), in the portrait's light."""
    weight = float(rise(clip.opening, *_ONSET))
    if weight <= 0.0:
        return canvas
    rows, columns = clip.texture.shape[:2]
    inside = gap.inside
    inset = 0.04 + (_ROUND_INSET - 0.04) * gap.roundness
    down = np.clip(inside.below_upper / inside.gap, 0.0, 1.0)
    down, across = (inset + (1.0 - 2.0 * inset) * share for share in (down, gap.column))
    places = np.dstack([across * columns - 0.5, down * rows - 0.5]).astype(np.float32)
    shade = np.clip(np.minimum(inside.below_upper, inside.above_lower) / 0.06, 0.0, 1.0)
    shade = np.minimum(shade, np.clip((1.0 - inside.side) / 0.35, 0.0, 1.0))
    shade = 1.0 - 0.3 * gap.roundness * (1.0 - smoothstep(shade))
    inner = deepened(toned(clip.texture, clip.skin, skin), skin, palette.shade)
    read = read_at(inner, places) * shade[:, :, None] * inside.shadow(palette)
    return np.asarray(canvas + weight * (read - canvas), dtype=np.float32)
