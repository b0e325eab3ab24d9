"""What shows between parted lips: one painted mouth for idles, viseme cells and emotions.

The photo of a closed mouth has nothing inside it. Where the opening differs from the photo's own,
the gap between the inner lip rims of the *frame* is filled anew, from back to front: throat,
tongue, lower teeth, upper teeth, and over all of them the shade of lips and cheeks. Teeth stand
where the skull (the upper ones) or the jaw (the lower ones) has them, in the portrait's light.

A photo that shows enough of its own upper teeth keeps them, see `photo_mouth`. The clip's own mouth
is used only for a portrait that is a frame of that clip, see `clip_mouth`.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.cavity import (
    paint_lifted_tongue,
    paint_throat,
    paint_tongue,
    paint_tongue_tip,
)
from sunriza_assets.studio.drawing.clip_mouth import ClipMouth, fit_clip_mouth
from sunriza_assets.studio.drawing.fineness import Fineness
from sunriza_assets.studio.drawing.gap import Gap, find_gap
from sunriza_assets.studio.drawing.palette import Palette, eye_white, side_light
from sunriza_assets.studio.drawing.photo_mouth import TEETH_FRINGE, PhotoMouth
from sunriza_assets.studio.drawing.sampling import read_linearly_at
from sunriza_assets.studio.drawing.skin import lip_colour, skin_around_mouth
from sunriza_assets.studio.drawing.teeth import LOWER_JAW, UPPER_JAW, ToothRow
from sunriza_assets.studio.expression.easing import rise
from sunriza_assets.studio.expression.lips import SEAM, lip_gap
from sunriza_assets.studio.face.regions import LOWER_LIP, UPPER_LIP
from sunriza_assets.studio.face.topology import MESH_POINTS, OUTER_EYE_CORNERS
from sunriza_assets.studio.motion.head_pose import HeadMotion, eye_distance, skull_centre

__all__ = ["OPEN_PHOTO_GAP", "Mouth", "MouthPainter"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Array = NDArray[np.float64]

OPEN_PHOTO_GAP: Final = 0.06
"""Inner-lip opening, IOD, from which on a photo counts as showing teeth."""
_ONSET: Final = (0.006, 0.030)
"""Opening beyond the photo's own over which the interior appears, IOD."""
_CHANGE_SEEN: Final = (0.003, 0.010)
"""The same for what replaces the photo's own open mouth, with which it begins."""
_STRIP_FADES: Final = (0.010, 0.045)
"""The same for a photo's strip of teeth that is too narrow to be kept: it gives way to a row."""
_SEAM_INSET: Final = 0.016
"""How far the line between closed lips, which no parted lip has, is stepped over, IOD."""
_UPPER_REACH: Final = 0.050
_TIP_HIDES: Final = (0.5, 0.2)
"""Share of the upper teeth that a tongue between them hides, of painted ones and of the photo's
own: beside the tip, these would look like fangs."""
_OWN_REACH: Final = (0.030, 0.075)
"""How far the upper teeth reach below the resting upper lip, IOD; where the photo shows their end,
that, within these limits."""
_EDGE_BLUR: Final = 1.25
_RIM_BLUR: Final = 1.6
"""Half the width of a tooth's edge and of the gap's, over the portrait's own blur."""
_FINEST: Final = (0.0035, 0.006)
"""Least of both, IOD."""
_GRAIN_SHARE: Final = 0.8
_GRAIN_SIZE: Final = 128
"""How much of the portrait's grain is added, and the side of its tile, pixels."""
_ROW_ENDS: Final = (0.80, 0.99)
"""Where on the way to the corners both rows end."""
_LOWER_ROW_FROM: Final = (0.03, 0.075)
"""Gap over which lower teeth come to be seen, IOD."""


@dataclass(frozen=True)
class Mouth:
    """What is inside the mouth of one frame; the default is a tongue at rest between its rows."""

    tongue_raise: float = 0.0
    """0 the tongue rests, 1 its tip touches the upper teeth."""
    tongue_out: float = 0.0
    """1: the tongue lies between the teeth."""
    clenched: float = 0.0
    """1: the rows of teeth almost meet."""
    tucked: float = 0.0
    """1: the upper teeth stand on the lower lip."""
    bared: float = 0.0
    """How much further than a falling jaw does a drawn-down lower lip bares its teeth, IOD."""
    clip: ClipMouth | None = None
    """The clip's own mouth, for a portrait that is a frame of that clip."""


class MouthPainter:
    """Paints the inside of one portrait's mouth.

    Args:
        points: (478, 3) landmarks of the portrait, pixels.
        picture: (H, W, 3) RGB.
        fineness: the sharpness and grain to paint with; the picture's own when None.
    """

    def __init__(
        self, points: NDArray[Any], picture: Image, *, fineness: Fineness | None = None
    ) -> None:
        self._points = np.asarray(points, dtype=np.float64)
        self._iod = eye_distance(points)
        self._centre = skull_centre(points)
        self._rest_gap = lip_gap(points[:, :2])
        self.skin = skin_around_mouth(picture, points)
        self.opening = float(self._rest_gap[4:7].mean() / self._iod)
        """Inner-lip opening of the portrait, IOD."""
        self._photo = PhotoMouth(points, picture) if self.opening > OPEN_PHOTO_GAP else None
        self._palette = Palette.of(
            self.skin,
            lip_colour(picture, points),
            white=eye_white(picture, points),
            teeth=self._photo.tooth_colour if self._photo else None,
        )
        self._reach = _UPPER_REACH
        if self._photo:
            self._reach = self._photo.reach
            if not self._photo.keeps_row:
                self._reach = float(np.clip(self._reach, *_OWN_REACH))
        fine = fineness or Fineness.of(picture, points)
        self._blur = max(_EDGE_BLUR * fine.sigma / self._iod, _FINEST[0])
        self._rim_blur = max(_RIM_BLUR * fine.sigma / self._iod, _FINEST[1])
        yaw = self._yaw(HeadMotion.still())
        self._upper, self._lower = (
            ToothRow(jaw, self._palette, blur=self._blur, yaw=yaw) for jaw in (UPPER_JAW, LOWER_JAW)
        )
        self._side_light = side_light(picture, points)
        tile = np.random.default_rng(0).normal(0.0, 1.0, (_GRAIN_SIZE, _GRAIN_SIZE))
        self._noise = tile.astype(np.float32)
        self._grain = np.float32(_GRAIN_SHARE * fine.grain)

    @property
    def seam(self) -> float:
        """Where the lips meet when they close, from the lower rim (0) to the upper (1)."""
        return self._photo.seam if self._photo else SEAM

    def lip_sources(self, head: HeadMotion, points: NDArray[Any]) -> Array:
        """Where the lips are read from, as offsets from the portrait's mesh, (468, 3) pixels.

        Parting lips have no seam: the dark line between them must not follow either, so the rims
        are read a little further out the wider they part. Nor do closing lips show what of the
        photo's teeth lies on their rims, nor opening ones whose teeth are painted.
        """
        offsets = np.zeros((MESH_POINTS, 3))
        growth = self._growth(head, points)
        if self._photo:
            growth = -growth if self._photo.keeps_row else np.abs(growth)
        apart = rise(growth, *_ONSET)[:, None]
        reach = TEETH_FRINGE if self._photo else _SEAM_INSET
        down = self._points[LOWER_LIP[0, 5], :2] - self._points[UPPER_LIP[0, 5], :2]
        inset = reach * self._iod * down / max(float(np.linalg.norm(down)), 1e-6)
        for row, share in ((-1, 1.0), (-2, 0.5)):
            offsets[UPPER_LIP[row, 1:-1], :2] = -share * apart[1:-1] * inset
            offsets[LOWER_LIP[row, 1:-1], :2] = share * apart[1:-1] * inset
        return offsets

    def paint(self, frame: Image, head: HeadMotion, points: NDArray[Any], mouth: Mouth) -> None:
        """Fill the gap between the lips of a frame, in place.

        Args:
            frame: (H, W, 3) the warped portrait.
            head: motion of the skull.
            points: (>= 468, 3) the mesh in this frame, pixels.
            mouth: what is inside.
        """
        growth = self._growth(head, points)
        if (np.abs(growth) if self._photo else growth).max() <= _CHANGE_SEEN[0]:
            return
        gap = find_gap(
            points, self._points, growth,
            head=head, centre=self._centre, iod=self._iod, shape=frame.shape,
            blur=self._rim_blur,
        )  # fmt: skip
        if gap is None:
            return
        inside = gap.inside
        canvas = self._inside(gap, mouth, self._yaw(head))
        covered = gap.cover
        if self._photo:
            covered = covered * rise(np.abs(gap.growth).max(), *_CHANGE_SEEN)
            canvas, covered = self._photo.draw_closed_lips(
                canvas, covered, inside, gap.place, self._palette, shut=rise(-gap.growth, *_ONSET)
            )
        else:
            covered = covered * rise(gap.growth, *_ONSET)
        view = frame[gap.window]
        mixed = view + covered[:, :, None] * (canvas - view)
        view[...] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)

    def _inside(self, gap: Gap, mouth: Mouth, yaw: float) -> Plane:
        """(h, w, 3) everything between the lips, from back to front."""
        inside, palette = gap.inside, self._palette
        noise = self._noise_in(gap)
        teeth = _lower_teeth(inside.opening, mouth)
        canvas = paint_throat(inside, palette)
        rests = 1.0 - max(mouth.tongue_raise, mouth.tongue_out)
        if rests > 0.0:
            wet = 1.0 + 0.5 * noise
            canvas = paint_tongue(canvas, inside, palette, teeth=teeth, wet=wet, share=rests)
        ends = (1.0 - rise(inside.side, *_ROW_ENDS)).astype(np.float32)
        light = 1.0 + 0.06 * inside.lit
        canvas = self._lower.over(
            canvas,
            inside.lower_x,
            np.float32(teeth) - inside.above_lower,
            yaw=yaw,
            light=light * float(0.50 + 0.34 * rise(inside.opening, 0.06, 0.25)),
            cover=ends * rise(inside.gap, *_LOWER_ROW_FROM).astype(np.float32),
        )
        if mouth.tongue_raise > 0.0:
            canvas = paint_lifted_tongue(canvas, inside, palette, share=mouth.tongue_raise)
        own_row = self._photo is not None and self._photo.keeps_row
        behind = _TIP_HIDES[1] if own_row else _TIP_HIDES[0]
        depth = np.float32(self._reach * (1.0 - behind * mouth.tongue_out)) - inside.below_root
        if mouth.tucked > 0.0:
            lowered = np.maximum(depth, inside.above_lower + np.float32(0.004))
            depth += np.float32(mouth.tucked) * (lowered - depth)
        edge = self._upper.below_edge(inside.x, depth, yaw=yaw)
        canvas *= (1.0 - 0.45 * np.exp(-np.maximum(edge, 0.0) / 0.018))[:, :, None]
        canvas = self._upper.over(canvas, inside.x, depth, yaw=yaw, light=light, cover=ends)
        shadow = inside.shadow(palette, side_light=self._side_light)
        canvas *= shadow
        if self._photo:
            canvas = self._own_teeth(self._photo, canvas, gap, mouth)
        if mouth.tongue_out > 0.0:
            canvas = paint_tongue_tip(
                canvas, inside, palette,
                edge=edge, blur=self._blur, shadow=shadow, share=mouth.tongue_out,
            )  # fmt: skip
        canvas += (self._grain * noise)[:, :, None]
        if mouth.clip is not None and not self._photo:
            canvas = fit_clip_mouth(canvas, gap, mouth.clip, skin=self.skin, palette=palette)
        return canvas

    def _own_teeth(self, photo: PhotoMouth, canvas: Plane, gap: Gap, mouth: Mouth) -> Plane:
        """The photo's own teeth over the painted mouth; they are lit already."""
        growth = float(np.abs(gap.growth).max())
        kept = 1.0 if photo.keeps_row else 1.0 - float(rise(growth, *_STRIP_FADES))
        hidden = max(mouth.tongue_raise, mouth.tongue_out, mouth.clenched)
        return photo.draw_teeth(
            canvas,
            gap,
            self._palette,
            changed=float(rise(growth, *_ONSET)),
            upper=kept,
            below=kept * (1.0 - hidden),
        )

    def _noise_in(self, gap: Gap) -> Plane:
        """(h, w) noise of deviation one that goes with the skull."""
        places = np.dstack([gap.inside.x, gap.inside.below_root]) * np.float32(gap.iod)
        return read_linearly_at(self._noise, np.mod(places, np.float32(_GRAIN_SIZE - 1)))

    def _growth(self, head: HeadMotion, points: NDArray[Any]) -> Array:
        """(11,) opening beyond the photo's own, column by column, IOD."""
        scale = self._iod * head.scale
        return (lip_gap(points[:, :2]) - self._rest_gap * head.scale) / scale

    def _yaw(self, head: HeadMotion) -> float:
        """The face's turn to the picture's right, radians: the portrait's own and the head's."""
        right, left = (self._points[corner] for corner in OUTER_EYE_CORNERS)
        across = head.rotation @ (left - right)
        return float(np.arctan2(across[2], across[0]))


def _lower_teeth(opening: float, mouth: Mouth) -> float:
    """How far the lower teeth stand above the lower lip, IOD."""
    shown = 0.010 + 0.014 * rise(opening, 0.07, 0.20) + 0.042 * rise(opening, 0.20, 0.45)
    shown = shown + mouth.bared * (1.0 - rise(opening, 0.18, 0.32))
    return float(shown + mouth.clenched * max(0.5 * opening - float(shown), 0.0))
