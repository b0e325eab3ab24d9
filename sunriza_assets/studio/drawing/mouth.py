"""What shows between parted lips: the clip's own mouth, the photo's teeth, or a painted cavity.

The photo of a closed mouth has nothing inside it. Where the opening differs from the photo's own,
the gap between the inner lip rims of the *frame* is filled anew:

* photo closed, and the template brings the clip's mouth: that, toned to the portrait's light;
* photo closed, no clip texture: a painted cavity with tongue and teeth;
* photo shows teeth: its own before a painted cavity, see `photo_mouth`. (Teeth of the clip behind
  teeth of the photo would be two rows of upper teeth.)
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from sunriza_assets.studio.drawing.cavity import (
    MouthInterior,
    Palette,
    paint_cavity,
    paint_lower_teeth,
    paint_tongue,
    paint_upper_teeth,
)
from sunriza_assets.studio.drawing.photo_mouth import TEETH_FRINGE, PhotoMouth
from sunriza_assets.studio.drawing.sampling import read_at
from sunriza_assets.studio.drawing.skin import (
    deepened,
    lip_colour,
    skin_around_mouth,
    toned,
)
from sunriza_assets.studio.expression.easing import rise, smoothstep
from sunriza_assets.studio.expression.lips import SEAM, lip_gap
from sunriza_assets.studio.face.regions import LOWER_LIP, UPPER_LIP
from sunriza_assets.studio.face.topology import MESH_POINTS
from sunriza_assets.studio.motion.head_pose import HeadMotion, eye_distance, skull_centre

__all__ = ["OPEN_PHOTO_GAP", "Mouth", "MouthPainter"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Array = NDArray[np.float64]

UPPER_RIM: Final = UPPER_LIP[-1]
LOWER_RIM: Final = LOWER_LIP[-1]

OPEN_PHOTO_GAP: Final = 0.06
"""Inner-lip opening, IOD, from which on a photo counts as showing teeth."""
_ONSET: Final = (0.006, 0.030)
"""Opening beyond the photo's own over which the interior appears, IOD."""
_CHANGE_SEEN: Final = (0.003, 0.010)
"""The same for what replaces the photo's own open mouth, with which it begins."""
_CLIP_ONSET: Final = (0.010, 0.035)
"""Opening of the clip's mouth over which its picture comes to be trusted, IOD."""
_ROUND: Final = (0.30, 0.60)
"""Opening over width between which a mouth counts as round."""
_ROUND_INSET: Final = 0.13
"""Share of the clip's mouth that is left out on each side when it is round: landmarks then lie on
the lips instead of inside them, and a second pair of lips would show."""
_PURSED: Final = (0.05, 0.40)
"""Narrowing of the mouth over which it counts as pursed."""
_SEAM_INSET: Final = 0.016
"""How far the line between closed lips, which no parted lip has, is stepped over, IOD."""


@dataclass(frozen=True)
class Mouth:
    """What is inside the mouth of one frame; the default is a plain painted cavity."""

    texture: Image | None = None
    """(h, w, 3) the clip's mouth: columns from corner to corner, rows from upper to lower rim."""
    clip_opening: float = 0.0
    """How far the clip's mouth was open, IOD; a shut one shows lips, not a mouth."""
    clip_skin: NDArray[Any] | None = None
    """(3,) RGB of the clip's skin around the mouth, which `texture` is toned from."""
    tongue_raise: float = 0.0
    """0 the tongue rests, 1 its tip touches the upper teeth."""
    tongue_out: float = 0.0
    """1: the tongue lies between the teeth."""
    lower_teeth: float = 0.0
    """0-1 how much of the lower row shows; the upper row then ends above it."""


@dataclass(frozen=True)
class _Gap:
    """The opening between the lips of one frame, pixel by pixel."""

    window: tuple[slice, slice]
    column: Plane
    """0 at the left corner, 1 at the right."""
    place: Plane
    """Where along the photo's own rims, in vertices: these belong to the skull, but no tooth is
    looked for beyond the corners of a mouth that has widened."""
    growth: Plane
    """Opening beyond the photo's own in this column, IOD."""
    inside: MouthInterior
    iod: float
    """IOD of the frame in pixels, as far as the head's size goes."""


class MouthPainter:
    """Paints the inside of one portrait's mouth.

    Args:
        points: (>= 468, 3) landmarks of the portrait, pixels.
        picture: (H, W, 3) RGB.
    """

    def __init__(self, points: NDArray[Any], picture: Image) -> None:
        self._points = np.asarray(points, dtype=np.float64)
        self._picture = picture
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
            teeth=self._photo.tooth_colour if self._photo else None,
        )

    @property
    def seam(self) -> float:
        """Where the lips meet when they close, from the lower rim (0) to the upper (1)."""
        return self._photo.seam if self._photo else SEAM

    def lip_sources(self, head: HeadMotion, points: NDArray[Any]) -> Array:
        """Where the lips are read from, as offsets from the portrait's mesh, (468, 3) pixels.

        Parting lips have no seam: the dark line between them must not follow either, so the rims
        are read a little further out the wider they part. Nor do closing lips show what of the
        photo's teeth lies on their rims.
        """
        offsets = np.zeros((MESH_POINTS, 3))
        growth = self._growth(head, points)
        apart = rise(-growth if self._photo else growth, *_ONSET)[:, None]
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
        gap = self._gap(head, points, frame.shape)
        if gap is None:
            return
        inside = gap.inside
        canvas = self._teeth_and_tongue(gap, mouth)
        soft = max(1.0 / gap.iod, 0.016)
        covered = np.clip(inside.below_upper / soft + 0.35, 0.0, 1.0)
        covered *= np.clip(inside.above_lower / soft + 0.35, 0.0, 1.0)
        if self._photo:
            covered *= rise(np.abs(gap.growth).max(), *_CHANGE_SEEN)
            shut = rise(-gap.growth, *_ONSET)
            canvas, covered = self._photo.draw_closed_lips(
                canvas, covered, inside, gap.place, self._palette, shut=shut
            )
        else:
            covered *= rise(gap.growth, *_ONSET)
        view = frame[gap.window]
        mixed = view + covered[:, :, None] * (canvas - view)
        view[...] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)

    def _teeth_and_tongue(self, gap: _Gap, mouth: Mouth) -> Plane:
        """(h, w, 3) everything between the lips, from back to front."""
        inside = gap.inside
        canvas = paint_cavity(inside, self._palette)
        tongue_first = mouth.tongue_out < 0.5
        if tongue_first:
            canvas = self._tongue(canvas, inside, mouth)
        most: Plane | float = np.inf
        if mouth.lower_teeth > 0.0:
            canvas = paint_lower_teeth(canvas, inside, self._palette, share=mouth.lower_teeth)
            most = 0.55 * inside.gap
        if self._photo:
            canvas *= inside.light(self._palette)
            hidden = max(mouth.tongue_raise, mouth.tongue_out, mouth.lower_teeth)
            canvas = self._photo.draw_teeth(
                canvas,
                inside,
                gap.place,
                self._palette,
                changed=float(rise(np.abs(gap.growth).max(), *_ONSET)),
                most=most,
                below=1.0 - hidden,
            )
        else:
            canvas = paint_upper_teeth(canvas, inside, self._palette, most=most)
            canvas *= inside.light(self._palette)
            weight = float(rise(mouth.clip_opening, *_CLIP_ONSET))
            if mouth.texture is not None and mouth.clip_skin is not None and weight > 0.0:
                clip = self._from_clip(gap, mouth.texture, mouth.clip_skin)
                clip *= inside.shadow(self._palette)
                canvas += weight * (clip - canvas)
        return canvas if tongue_first else self._tongue(canvas, inside, mouth)

    def _tongue(self, canvas: Plane, inside: MouthInterior, mouth: Mouth) -> Plane:
        return paint_tongue(
            canvas, inside, self._palette, raised=mouth.tongue_raise, out=mouth.tongue_out
        )

    def _growth(self, head: HeadMotion, points: NDArray[Any]) -> Array:
        """(11,) opening beyond the photo's own, column by column, IOD."""
        scale = self._iod * head.scale
        return (lip_gap(points[:, :2]) - self._rest_gap * head.scale) / scale

    def _gap(self, head: HeadMotion, points: NDArray[Any], shape: tuple[int, ...]) -> _Gap | None:
        growth = self._growth(head, points)
        if (np.abs(growth) if self._photo else growth).max() <= _CHANGE_SEEN[0]:
            return None
        iod = self._iod * head.scale
        upper, lower = points[UPPER_RIM, :2], points[LOWER_RIM, :2]
        box = _box_around(np.concatenate([upper, lower]), 0.04 * iod + 2, shape)
        if box is None:
            return None
        origin, across = upper[0], upper[-1] - upper[0]
        width = max(float(np.linalg.norm(across)), 1.0)
        axes = np.stack([across / width, [-across[1] / width, across[0] / width]])
        y, x = np.mgrid[box] + 0.5
        local = (np.stack([x, y], axis=2) - origin) @ axes.T
        rest = head.apply(self._points[UPPER_RIM], self._centre)[:, :2]
        upper, lower, rest = ((rim - origin) @ axes.T for rim in (upper, lower, rest))
        at = np.clip(local[..., 0], 0.0, width)
        down = local[..., 1]
        column = _interpolated(upper[:, 0], np.linspace(0.0, 1.0, len(upper)), at)
        inside = MouthInterior(
            x=((local[..., 0] - rest[5, 0]) / iod).astype(np.float32),
            side=np.abs(2.0 * column - 1.0),
            below_upper=((down - _interpolated(upper[:, 0], upper[:, 1], at)) / iod).astype(
                np.float32
            ),
            above_lower=((_interpolated(lower[:, 0], lower[:, 1], at) - down) / iod).astype(
                np.float32
            ),
            below_root=((down - _interpolated(rest[:, 0], rest[:, 1], at)) / iod).astype(
                np.float32
            ),
            roundness=float(rise(iod * growth[4:7].mean() / width, *_ROUND)),
            pursed=float(rise(1.0 - width / np.ptp(rest[:, 0]), *_PURSED)),
        )
        knots = np.arange(len(upper), dtype=np.float64)
        fixed = np.interp(at, np.maximum.accumulate(rest[:, 0]), knots) - knots.mean()
        place = 10.0 * column - knots.mean()
        place = np.where(np.abs(fixed) < np.abs(place), fixed, place) + knots.mean()
        return _Gap(box, column, place, _interpolated(upper[:, 0], growth, at), inside, iod)

    def _from_clip(self, gap: _Gap, texture: Image, clip_skin: NDArray[Any]) -> Plane:
        """(h, w, 3) the clip's mouth fitted into the gap, in the portrait's light."""
        rows, columns = texture.shape[:2]
        inside = gap.inside
        inset = 0.04 + (_ROUND_INSET - 0.04) * inside.roundness
        down = np.clip(inside.below_upper / inside.gap, 0.0, 1.0)
        down, across = (inset + (1.0 - 2.0 * inset) * share for share in (down, gap.column))
        places = np.dstack([across * columns - 0.5, down * rows - 0.5]).astype(np.float32)
        shade = np.clip(np.minimum(inside.below_upper, inside.above_lower) / 0.06, 0.0, 1.0)
        shade = np.minimum(shade, np.clip((1.0 - inside.side) / 0.35, 0.0, 1.0))
        shade = 1.0 - 0.3 * inside.roundness * (1.0 - smoothstep(shade))
        inner = deepened(toned(texture, clip_skin, self.skin), self.skin, self._palette.shade)
        read = read_at(inner, places)
        return np.asarray(read * shade[:, :, None], dtype=np.float32)


def _box_around(
    outline: NDArray[Any], pad: float, shape: tuple[int, ...]
) -> tuple[slice, slice] | None:
    """Rows and columns of a picture of `shape` around (N, 2) points; None if outside of it."""
    low = np.clip(np.floor(outline.min(axis=0) - pad), 0, None).astype(int)
    high = np.minimum(np.ceil(outline.max(axis=0) + pad), [shape[1], shape[0]]).astype(int)
    if (high <= low).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _interpolated(knots: Array, values: NDArray[Any], at: Array) -> Plane:
    """Monotone cubic interpolation of a rim's values at places along the mouth."""
    knots = np.maximum.accumulate(knots) + 1e-4 * np.arange(len(knots))
    return np.asarray(PchipInterpolator(knots, values)(at), dtype=np.float32)
