"""What shows between parted lips: the clip's own mouth, the photo's teeth, or a painted cavity.

The photo of a closed mouth has nothing inside it. Where the opening grows beyond the photo's own,
the gap between the inner lip rims of the *frame* is filled, in this order from back to front:

1. a painted cavity with tongue and upper teeth, coloured from the portrait's skin; the teeth belong
   to the skull and do not move with the lip;
2. where the template brings one, the clip's mouth at that moment, toned to the portrait;
3. where the photo shows teeth, those: they hang from the upper lip and never stretch.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from sunriza_assets.studio.engines.mesh.easing import rise, smoothstep
from sunriza_assets.studio.engines.mesh.pose import HeadMotion, eye_distance, skull_centre
from sunriza_assets.studio.engines.mesh.sampling import read_at
from sunriza_assets.studio.engines.mesh.topology import LOWER_LIP, UPPER_LIP

__all__ = ["Mouth", "MouthPainter", "lip_gap"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

UPPER_RIM: Final = UPPER_LIP[-1]
LOWER_RIM: Final = LOWER_LIP[-1]

_OPEN_PHOTO: Final = 0.06
"""Inner-lip opening, IOD, from which on the photo counts as showing teeth."""
_ONSET: Final = (0.008, 0.043)
"""Opening beyond the photo's own over which the interior appears, IOD."""
_CLIP_ONSET: Final = (0.015, 0.05)
"""Opening of the clip's mouth from which on its picture is worth showing, IOD."""
_HANGING: Final = 0.78
"""Share of the photo's own opening after which its teeth fade into the cavity."""
_CAVITY: Final = np.array([0.26, 0.13, 0.125], dtype=np.float32)
_TONGUE: Final = np.array([0.66, 0.40, 0.40], dtype=np.float32)
_TEETH_BELOW_LIP: Final = 0.058
"""How far the upper teeth reach below the resting lip, IOD."""


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
    """0-1 how much of the lower row shows."""


@dataclass(frozen=True)
class _Gap:
    """The opening between the lips of one frame, pixel by pixel."""

    window: tuple[slice, slice]
    column: Plane
    """0 at the left corner, 1 at the right."""
    below_upper: Plane
    """Pixels below the upper rim, negative above it."""
    above_lower: Plane
    """Pixels above the lower rim."""
    growth: Plane
    """Opening beyond the photo's own in this column, IOD."""
    below_teeth_root: Plane
    """Pixels below where the upper rim is when the lips rest: fixed to the skull."""
    iod: float
    """IOD of the frame in pixels, as far as the head's size goes."""


def lip_gap(points: NDArray[Any]) -> NDArray[np.float64]:
    """(..., N, 2 or 3) landmarks -> (..., 11) distances of the inner rims, corner to corner."""
    apart = points[..., LOWER_RIM, :] - points[..., UPPER_RIM, :]
    return np.asarray(np.linalg.norm(apart, axis=-1))


class MouthPainter:
    """Paints the inside of one portrait's mouth.

    Args:
        points: (>= 468, 3) landmarks of the portrait, pixels.
        picture: (H, W, 3) RGB.
    """

    def __init__(self, points: NDArray[Any], picture: Image) -> None:
        self._points = points
        self._picture = picture
        self._iod = eye_distance(points)
        self._centre = skull_centre(points)
        self._rest_gap = lip_gap(points[:, :2])
        self.skin = skin_around_mouth(picture, points)
        self.opening = float(self._rest_gap[3:8].mean() / self._iod)
        """Inner-lip opening of the portrait, IOD."""

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
        inside = self._cavity(gap, mouth)
        if mouth.texture is not None and mouth.clip_skin is not None:
            weight = float(rise(mouth.clip_opening, *_CLIP_ONSET))
            if weight > 0.0:
                inside += weight * (self._from_clip(gap, mouth) - inside)
        near_lips = np.minimum(gap.below_upper, gap.above_lower) / (0.045 * gap.iod)
        inside *= (0.6 + 0.4 * smoothstep(near_lips))[:, :, None]
        if self.opening > _OPEN_PHOTO:
            inside = self._with_own_teeth(gap, head, inside)
        soft = max(1.0, 0.018 * gap.iod)
        covered = np.clip(gap.below_upper / soft + 0.3, 0.0, 1.0)
        covered *= np.clip(gap.above_lower / soft + 0.3, 0.0, 1.0)
        covered *= rise(gap.growth, *_ONSET)
        view = frame[gap.window]
        mixed = view + covered[:, :, None] * (inside - view)
        view[...] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)

    def _gap(self, head: HeadMotion, points: NDArray[Any], shape: tuple[int, ...]) -> _Gap | None:
        upper, lower = points[UPPER_RIM, :2], points[LOWER_RIM, :2]
        iod = self._iod * head.scale
        growth = (lip_gap(points[:, :2]) - self._rest_gap * head.scale) / iod
        if growth.max() <= _ONSET[0]:
            return None
        outline = np.concatenate([upper, lower])
        pad = 0.04 * iod + 2
        low = np.clip(np.floor(outline.min(axis=0) - pad), 0, None).astype(int)
        high = np.ceil(outline.max(axis=0) + pad).astype(int)
        high = np.minimum(high, [shape[1], shape[0]])
        if (high <= low).any():
            return None
        across = upper[-1] - upper[0]
        width = max(float(np.linalg.norm(across)), 1.0)
        axes = np.stack([across / width, [-across[1] / width, across[0] / width]])
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5
        local = (np.stack([x, y], axis=2) - upper[0]) @ axes.T
        upper, lower = (upper - upper[0]) @ axes.T, (lower - points[UPPER_RIM[0], :2]) @ axes.T
        rest = head.apply(self._points[UPPER_RIM], self._centre)[:, :2]
        rest = (rest - points[UPPER_RIM[0], :2]) @ axes.T
        inside = np.clip(local[..., 0], 0.0, width)
        steps = np.linspace(0.0, 1.0, len(upper))

        def read(knots: NDArray[Any], values: NDArray[Any]) -> Plane:
            knots = np.maximum.accumulate(knots) + 1e-4 * np.arange(len(knots))
            return np.asarray(PchipInterpolator(knots, values)(inside), dtype=np.float32)

        return _Gap(
            window=(slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))),
            column=read(upper[:, 0], steps),
            below_upper=local[..., 1].astype(np.float32) - read(upper[:, 0], upper[:, 1]),
            above_lower=read(lower[:, 0], lower[:, 1]) - local[..., 1].astype(np.float32),
            growth=read(upper[:, 0], growth),
            below_teeth_root=local[..., 1].astype(np.float32) - read(rest[:, 0], rest[:, 1]),
            iod=iod,
        )

    def _cavity(self, gap: _Gap, mouth: Mouth) -> Plane:
        """(h, w, 3) painted mouth: dark, a tongue on its floor, the upper teeth."""
        side = np.abs(2.0 * gap.column - 1.0)
        depth = rise(gap.below_upper / gap.iod, 0.0, 0.12)
        dark = self.skin * _CAVITY
        inside = dark * (0.65 + 0.35 * depth * (1.0 - 0.5 * side**2))[:, :, None]
        # Tongue: an arch above the lower lip, brightest along its middle.
        top = 0.03 + 0.05 * mouth.tongue_raise + 0.05 * mouth.tongue_out
        arch = top * np.sqrt(np.maximum(1.0 - (side / 0.8) ** 2, 0.0))
        tongue = rise(arch - gap.above_lower / gap.iod, -0.012, 0.012)
        shine = 0.75 + 0.25 * rise(gap.above_lower / gap.iod, 0.0, top) + 0.1 * (1.0 - side)
        light = 0.72 + 0.28 * max(mouth.tongue_raise, mouth.tongue_out)
        inside += tongue[:, :, None] * (self.skin * _TONGUE * (light * shine)[:, :, None] - inside)
        if mouth.lower_teeth > 0:
            inside = self._teeth(
                gap, inside, edge=gap.above_lower / gap.iod, reach=0.04, share=mouth.lower_teeth
            )
        upper_edge = gap.below_teeth_root / gap.iod
        return self._teeth(gap, inside, edge=upper_edge, reach=_TEETH_BELOW_LIP, share=1.0)

    def _teeth(self, gap: _Gap, inside: Plane, *, edge: Plane, reach: float, share: float) -> Plane:
        """Lay a row of teeth over `inside`: an arc, soft gaps, darker towards the sides."""
        side = np.abs(2.0 * gap.column - 1.0)
        arc = reach * (1.0 - 0.55 * side**2)
        cover = rise(arc - edge, -0.008, 0.008) * (1.0 - rise(side, 0.72, 0.95)) * share
        white = np.minimum(1.02 * self.skin.max() + 14.0, 215.0) * np.array([1.0, 0.96, 0.89])
        gaps = 1.0 - 0.07 * np.cos(np.pi * (gap.column - 0.5) / 0.105) ** 16
        shade = (1.0 - 0.45 * side**1.6) * gaps * (0.8 + 0.2 * rise(edge, -0.05, arc.max()))
        teeth = (white * shade[:, :, None]).astype(np.float32)
        return np.asarray(inside + cover[:, :, None] * (0.9 * teeth - inside), dtype=np.float32)

    def _from_clip(self, gap: _Gap, mouth: Mouth) -> Plane:
        """(h, w, 3) the clip's mouth fitted into the gap, in the portrait's light."""
        texture, clip_skin = mouth.texture, mouth.clip_skin
        if texture is None or clip_skin is None:
            raise ValueError("This mouth brings no picture of the clip's")
        rows, columns = texture.shape[:2]
        down = gap.below_upper / np.maximum(gap.below_upper + gap.above_lower, 1e-3)
        down = 0.04 + 0.92 * np.clip(down, 0.0, 1.0)
        places = np.dstack([gap.column * columns - 0.5, down * rows - 0.5]).astype(np.float32)
        return read_at(toned(texture, clip_skin, self.skin), places)

    def _with_own_teeth(self, gap: _Gap, head: HeadMotion, inside: Plane) -> Plane:
        """Hang what the photo shows between its lips from the frame's upper lip."""
        place = gap.column * (len(UPPER_RIM) - 1)
        knots = np.arange(len(UPPER_RIM))
        at = [
            np.interp(place, knots, self._points[UPPER_RIM, axis]).astype(np.float32)
            for axis in (0, 1)
        ]
        axis = self._points[UPPER_RIM[-1], :2] - self._points[UPPER_RIM[0], :2]
        axis = axis / max(float(np.linalg.norm(axis)), 1e-6)
        down = (gap.below_upper / np.float32(head.scale)).astype(np.float32)
        x = at[0] - np.float32(axis[1]) * down - 0.5
        y = at[1] + np.float32(axis[0]) * down - 0.5
        own = read_at(self._picture, np.dstack([x, y]).astype(np.float32)).astype(np.float32)
        own_gap = np.interp(place, knots, self._rest_gap)
        fade = 1.0 - rise(down / np.maximum(own_gap, 1e-3), _HANGING, 1.0)
        return np.asarray(inside + fade[:, :, None].astype(np.float32) * (own - inside))


def skin_around_mouth(picture: Image, points: NDArray[Any]) -> Plane:
    """(3,) median RGB of cheeks and chin next to the mouth."""
    places = points[[50, 280, 205, 425, 36, 266, 199, 200], :2]
    radius = max(1, round(0.04 * eye_distance(points)))
    patches = []
    for x, y in places:
        row, column = int(y), int(x)
        patch = picture[
            max(row - radius, 0) : max(row + radius + 1, 0),
            max(column - radius, 0) : max(column + radius + 1, 0),
        ]
        patches.append(patch.reshape(-1, 3))
    samples = np.concatenate(patches)
    if len(samples) == 0:
        return np.full(3, 128.0, np.float32)
    return np.asarray(np.median(samples, axis=0), dtype=np.float32)


def toned(texture: Image, clip_skin: NDArray[Any], skin: NDArray[Any]) -> Plane:
    """The clip's mouth (h, w, 3) in the light of a face whose skin is `skin`, float32.

    Luminance scales with the skins' luminances; colour with their saturation, so that a mouth in a
    black-and-white photo is grey too; and nothing outshines the skin.
    """
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    ours, theirs = float(skin @ weights), max(float(clip_skin @ weights), 1.0)
    brightness = float(np.clip(ours / theirs, 0.35, 1.2))
    chroma_ours = float(np.linalg.norm(skin - ours)) / max(ours, 1.0)
    chroma_theirs = float(np.linalg.norm(clip_skin - theirs)) / theirs
    saturation = float(np.clip(chroma_ours / max(chroma_theirs, 1e-3), 0.0, 1.1))
    luminance = texture.astype(np.float32) @ weights
    colour = texture - luminance[:, :, None]
    result = brightness * (luminance[:, :, None] + saturation * colour)
    ceiling = 0.97 * float(skin.max())
    return np.asarray(np.where(result > ceiling, ceiling + 0.25 * (result - ceiling), result))
