"""The mouth of a photo that shows teeth: what is between its lips, and lips that close over it.

The upper teeth belong to the skull: a lip that comes down covers them, one that rises moves them
along, because the photo shows nothing above them. What is below their edge moves with the lower
lip. Neither is stretched by lips that part, nor squeezed by lips that narrow.
"""

from typing import Any, Final

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.cavity import MouthInterior
from sunriza_assets.studio.drawing.gap import Gap
from sunriza_assets.studio.drawing.palette import Palette
from sunriza_assets.studio.drawing.sampling import read_at
from sunriza_assets.studio.expression.easing import rise
from sunriza_assets.studio.expression.lips import lip_gap
from sunriza_assets.studio.face.regions import LOWER_LIP, UPPER_LIP
from sunriza_assets.studio.motion.head_pose import eye_distance

__all__ = ["TEETH_FRINGE", "PhotoMouth"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Array = NDArray[np.float64]

TEETH_FRINGE: Final = 0.014
"""How much of the photo's teeth overlaps the rim of its lips, IOD: closed lips show none."""
_MIDDLE: Final = slice(3, 8)
"""Columns of the lips in which teeth are looked for."""
_UPPER_TEETH: Final = (0.25, 0.84)
"""Share of the photo's opening that its upper teeth take up, least and most; what is below is
shadow and lip even where that is as bright as they are."""
_TOOTH: Final = 0.65
"""Whiteness down to which it is still a tooth, share of the whitest."""
_KEPT_ROW: Final = 0.08
"""Height of the upper teeth that a photo shows, IOD, from which on they are kept in an opening
mouth; a narrower strip would hang over a cavity."""
_PURSED_SHADE: Final = 0.6
"""Light that pursed lips take from the teeth behind them."""
_EDGE: Final = 0.008
"""Softness of the teeth's edge, IOD."""
_LIP_OVER_TEETH: Final = 0.025
_LIP_DESCENDS: Final = 0.08
"""How far above the edge of the upper teeth closed lips meet, and how far an upper lip that a
smile has drawn up comes down at most, IOD."""
_TWO_ROWS: Final = (0.3, 0.5)
"""Share of the photo's opening below the upper teeth from which on it is more than shadow."""
_TOUCHING: Final = (0.004, 0.03)
"""Opening over which lips cease to touch, IOD: till then there is a line between them, which the
photo does not have."""
_LINE: Final = 0.35
_LINE_WIDTH: Final = 0.008
"""How much light is left in its middle, and from there to where it is 1/e as dark, IOD."""
_CORNERS: Final = (0.9, 1.0)
"""Where on the way to the corners of the mouth it ends: they touch in the photo, too."""


class PhotoMouth:
    """One portrait's own open mouth.

    Args:
        points: (>= 468, 3) landmarks of the portrait, pixels.
        picture: (H, W, 3) RGB.
    """

    def __init__(self, points: NDArray[Any], picture: Image) -> None:
        self._picture = picture
        self._iod = eye_distance(points)
        self._upper = np.asarray(points[UPPER_LIP[-1], :2], dtype=np.float64)
        self._lower = np.asarray(points[LOWER_LIP[-1], :2], dtype=np.float64)
        across = self._upper[-1] - self._upper[0]
        across = across / max(float(np.linalg.norm(across)), 1e-6)
        self._down = np.array([-across[1], across[0]])
        gap = lip_gap(points[:, :2]) / self._iod
        self._opening = Polynomial.fit(np.arange(len(gap)), gap, 4)  # no tooth follows the outline
        self._teeth_end = self._end_of_upper_teeth()
        self.tooth_colour = self._brighter_half()
        """(3,) RGB."""
        opening = float(gap[_MIDDLE].mean())
        descent = np.clip(self._teeth_end * opening - _LIP_OVER_TEETH, 0.0, _LIP_DESCENDS)
        self.reach = self._teeth_end * opening
        """How far the upper teeth are seen below the upper lip, IOD."""
        self.keeps_row = self.reach >= _KEPT_ROW
        """Whether that is enough to be a row of teeth, however far the mouth opens."""
        self.seam = 1.0 - float(descent) / opening
        """Where the lips meet when they close, from the lower rim (0) to the upper (1): where the
        upper one, at rest, ends just above the edge of its teeth."""

    def draw_teeth(
        self,
        canvas: Plane,
        gap: Gap,
        palette: Palette,
        *,
        changed: float,
        upper: float,
        below: float,
    ) -> Plane:
        """Draw what the photo shows between its lips over a canvas.

        Args:
            canvas: (h, w, 3) RGB 0-255.
            gap: the same pixels in the mouth's coordinates.
            palette: the mouth's colours.
            changed: 0 the lips are parted as in the photo, and all between them goes with the upper
                one; 1 they are not, and teeth and jaw go their own ways.
            upper: 0-1 how much is seen of the upper teeth.
            below: 0-1 how much is seen of what is below them.

        Returns:
            (h, w, 3) float32.
        """
        inside, place = gap.inside, gap.place
        opened = np.maximum(self._opening(place), 0.0)
        teeth = (1.0 - changed * (1.0 - self._teeth_end)) * opened
        light_share = 1.0 - _PURSED_SHADE * inside.pursed
        light = np.asarray(light_share ** (0.5 * palette.shade), dtype=np.float32)
        descent = np.maximum(gap.below_rest - inside.below_upper, 0.0)
        from_root = inside.below_upper + changed * descent
        below *= float(rise(1.0 - self._teeth_end, *_TWO_ROWS))
        for rim, down, spare, share in (
            (self._lower, -inside.above_lower, opened - teeth - inside.above_lower, below),
            (self._upper, from_root, teeth - from_root, upper),
        ):
            cover = share * rise(spare, -_EDGE, _EDGE)
            canvas = canvas + cover[:, :, None] * (light * self._at(rim, place, down) - canvas)
        return np.asarray(canvas, dtype=np.float32)

    def draw_closed_lips(
        self,
        canvas: Plane,
        covered: Plane,
        inside: MouthInterior,
        place: Plane,
        palette: Palette,
        *,
        shut: Plane,
    ) -> tuple[Plane, Plane]:
        """Draw lips that touch, and the line between them, where the photo's are parted.

        A warp cannot bring them together without a trace of the teeth that were there.

        Args:
            canvas: (h, w, 3) what is between the lips.
            covered: (h, w) 0-1 how much of it is seen.
            inside: the same pixels in the mouth's coordinates.
            place: (h, w) where along the photo's rims each is, 0-10.
            palette: the mouth's colours.
            shut: (h, w) 0-1 whether the lips are closer together than in the photo.

        Returns:
            `canvas` and `covered` with them, beyond the rims, too.
        """
        touching = shut * (1.0 - rise(inside.gap, *_TOUCHING))
        touching *= 1.0 - rise(inside.side, *_CORNERS)
        off = 0.5 * (inside.below_upper - inside.above_lower)  # from the line, down
        upper = self._at(self._upper, place, np.minimum(off, 0.0) - TEETH_FRINGE)
        lower = self._at(self._lower, place, np.maximum(off, 0.0) + TEETH_FRINGE)
        line = 1.0 - (1.0 - _LINE) * np.exp(-((off / _LINE_WIDTH) ** 2))
        lips = np.where(off[:, :, None] < 0.0, upper, lower) * line[:, :, None] ** palette.shade
        canvas = canvas + touching[:, :, None] * (lips - canvas)
        around = touching * (1.0 - rise(np.abs(off), TEETH_FRINGE, 2.0 * TEETH_FRINGE))
        return np.asarray(canvas, dtype=np.float32), np.maximum(covered, around)

    def _at(self, rim: Array, place: Plane, down: Plane) -> Plane:
        """(h, w, 3) the photo `down` IOD below places along one of its rims."""
        knots = np.arange(len(rim))
        x, y = (np.interp(place, knots, rim[:, axis]) for axis in (0, 1))
        down = down * self._iod
        places = np.dstack([x + self._down[0] * down, y + self._down[1] * down]) - 0.5
        return np.asarray(read_at(self._picture, places.astype(np.float32)), dtype=np.float32)

    def _between(self, shares: Array) -> Plane:
        """(N, 5, 3) colours at shares of the way from the upper rim to the lower."""
        upper, lower = self._upper[_MIDDLE], self._lower[_MIDDLE]
        places = upper + shares[:, None, None] * (lower - upper) - 0.5
        return np.asarray(read_at(self._picture, places.astype(np.float32)), dtype=np.float32)

    def _brighter_half(self) -> Plane:
        """(3,) colour of the brighter half of the upper teeth in the middle of the mouth."""
        colours = self._between(self._teeth_end * np.linspace(0.25, 0.85, 7)).reshape(-1, 3)
        brighter = colours[np.argsort(colours.sum(axis=1))[len(colours) // 2 :]]
        return np.asarray(np.median(brighter, axis=0), dtype=np.float32)

    def _end_of_upper_teeth(self) -> float:
        """Where the upper teeth end, as a share of the opening.

        Teeth are white: their least channel is far above that of lips and of tongues, and above
        all of a cavity. In a grey picture it is the dark line below them that ends them.
        """
        shares = np.linspace(0.1, 1.0, 46)
        white = np.median(self._between(shares).min(axis=2), axis=1)
        top = int(white[: len(shares) * 2 // 3].argmax())
        ended = np.flatnonzero(white[top:] < _TOOTH * white[top])
        end = shares[top + ended[0]] if len(ended) else 1.0
        return float(np.clip(end, *_UPPER_TEETH))
