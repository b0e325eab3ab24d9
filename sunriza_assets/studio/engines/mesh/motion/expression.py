"""A clip's expression laid on one portrait: what it adds to the portrait's mesh in every frame.

Everything here is in the portrait's own pose; `transfer` turns the head.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.mouth import OPEN_PHOTO_GAP
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.motion import limits
from sunriza_assets.studio.engines.mesh.motion.jaw import Jaw, chin_share, face_axes
from sunriza_assets.studio.expression.easing import knee, rise
from sunriza_assets.studio.expression.lips import LipCorrector, lip_gap
from sunriza_assets.studio.face.regions import (
    CHIN,
    EYE_CONTOURS,
    NOSE_BASE,
    OVAL,
    UPPER_LIDS,
    rings_around,
)
from sunriza_assets.studio.face.topology import (
    LEFT_BROW,
    LIPS_INNER,
    LIPS_OUTER,
    MESH_POINTS,
    MOUTH_CORNERS,
    RIGHT_BROW,
)
from sunriza_assets.studio.motion.head_pose import eye_distance
from sunriza_assets.studio.parameters import RenderParameters

__all__ = ["Expression"]

Array = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

_EYE_RING_SHARES: Final = (0.25, 0.6)
"""How much of their expression the first and the second ring around an eye keep."""
_OUTLINE_RING_SHARES: Final = (0.4, 0.6, 0.8)
"""How much of their expression the outline of the face and the two rings inside it keep above the
mouth: landmarks slide along a cheek that is seen edge-on, skin does not."""
_OPEN_PORTRAIT: Final = (0.06, 0.14)
"""Opening of the portrait's lips, IOD, over which the exaggeration of their motion fades
out: exaggerated speech would turn a smile into a laugh, and open the lips beyond any cell."""
_MOST_OPEN: Final = 0.45
"""Opening of the inner lips that no gain exceeds, IOD, unless the clip's own does."""
_MOST_WIDE: Final = 1.35
"""Width of the mouth that nothing exceeds, as a share of the portrait's at rest."""
_SOFT_FROM: Final = 0.75
"""Share of what is left to a bound from which on motion is slowed down towards it."""
_LIPS: Final = np.concatenate([LIPS_OUTER, LIPS_INNER])
_BROWS: Final = np.concatenate([RIGHT_BROW, LEFT_BROW])
_NOSE_BRIDGE: Final = 6
_RIMS: Final = (13, 14)
"""Middle of the upper and of the lower lip's inner rim."""


class Expression:
    """A clip's expression on one portrait.

    Args:
        rig: the portrait.
        arrays: a mesh template's, over the frames to be rendered.
        to_portrait: (3, 3) rotation from the clip's neutral pose to the portrait's.
        parameters: gains, region and flags.
    """

    def __init__(
        self, rig: PortraitRig, arrays: Arrays, to_portrait: Array, parameters: RenderParameters
    ) -> None:
        self._rig, self._to_portrait = rig, to_portrait
        self._offsets = arrays["expression"]
        neutral = arrays["neutral"].astype(np.float64)
        region, gain = parameters.animation_region, parameters.driving_multiplier
        gain = gain if region in ("all", "exp", "lip") else 0.0
        own_gap = 1.0 if rig.emotion is None else 1.0 - rig.emotion.lips_set
        closed = own_gap * _closed_share(rig, neutral, parameters)
        self._lips = LipCorrector(rig.mesh, closed=closed, seam=rig.mouth.seam)
        opening = rig.mouth.opening * float(1.0 - closed[4:7].mean())
        exaggerated = 1.0 - float(rise(opening, *_OPEN_PORTRAIT))
        lip_gain = min(gain, 1.0) + exaggerated * max(gain - 1.0, 0.0)
        self.held_back: dict[str, float] = {}
        """Per kind of limit the share of frames that it reduced."""
        lips, self.held_back["lips"] = _region_factors(arrays, _LIPS, limits.LIPS, lip_gain)
        brows, self.held_back["brows"] = _region_factors(arrays, _BROWS, limits.BROWS, gain)
        self.most_open = max(_MOST_OPEN, float(arrays["mouth_opening"].max(initial=0.0)))
        """Opening of the inner lips that is not exceeded, IOD."""
        bound = _bound(rig, arrays, lips, opening, self.most_open)
        self.held_back["mouth"] = float(np.mean(bound < 0.98)) if len(bound) else 0.0
        self._factors = np.stack([brows, lips * bound], axis=1)
        self.lower, self._kept = _vertex_weights(rig.mesh, rig.iod, parameters)
        self._rings = rings_around(EYE_CONTOURS, len(_EYE_RING_SHARES))
        self._rest = rig.rest - rig.mesh
        self._jaw = Jaw(rig.mesh, chin_share(neutral, self._offsets))

    def __len__(self) -> int:
        return len(self._offsets)

    def offsets(self, frame: int, moderation: Array) -> tuple[Array, float]:
        """What a frame adds to the portrait's mesh, emotion included.

        Args:
            frame: which.
            moderation: (2,) share of the upper and of the lower face's motion that is shown.

        Returns:
            (468, 3) pixels, and how far the lower lip bares its teeth beyond the jaw's fall, IOD.
        """
        offsets = self._offsets[frame].astype(np.float64) @ self._to_portrait.T
        brows, lips = self._factors[frame] * moderation
        offsets *= (brows + (lips - brows) * self.lower) * self._kept
        for side, contour in enumerate(EYE_CONTOURS):
            offsets[contour] = offsets[UPPER_LIDS[side, [0, -1]]].mean(axis=0)
        for ring, share in zip(self._rings, _EYE_RING_SHARES, strict=True):
            offsets[ring] *= share
        offsets *= self._rig.iod
        emotion = self._rig.emotion
        moved = self._lips.corrected(offsets if emotion is None else emotion.added_to(offsets))
        by_clip = moved - self._rest  # an emotion has lowered its own jaw already
        return self._rest + self._jaw.lowered(by_clip), self._jaw.bared(by_clip)


def _bound(rig: PortraitRig, arrays: Arrays, factors: Array, opening: float, most: float) -> Array:
    """(T,) share of the lower face's motion at which no mouth opens or widens further than mouths
    do: all of it up to most of the way there.

    Args:
        rig: the portrait.
        arrays: a mesh template's.
        factors: (T,) gains of the lower face's motion.
        opening: the portrait's own, IOD.
        most: opening that is not exceeded, IOD.
    """
    across, down = face_axes(arrays["neutral"].astype(np.float64))
    offsets = arrays["expression"]
    parted = (offsets[:, _RIMS[1]] - offsets[:, _RIMS[0]]).astype(np.float64) @ down
    right, left = MOUTH_CORNERS
    widened = (offsets[:, left] - offsets[:, right]).astype(np.float64) @ across
    width = float(np.linalg.norm(rig.mesh[left] - rig.mesh[right]) / rig.iod)
    return np.minimum(
        _share_kept(factors * parted, most - opening),
        _share_kept(factors * widened, (_MOST_WIDE - 1.0) * width),
    )


def _share_kept(values: Array, room: float) -> Array:
    """(T,) what values are multiplied by so that they never exceed `room`."""
    room = max(room, 1e-3)
    kept = knee(values, _SOFT_FROM * room, room) / np.where(values > 1e-9, values, 1.0)
    return np.asarray(np.where(values > 1e-9, kept, 1.0))


def _region_factors(
    arrays: Arrays, vertices: NDArray[Any], limit: limits.Limit, gain: float
) -> tuple[Array, float]:
    """(T,) what a region's offsets are multiplied by, and the share of frames held back."""
    offsets = arrays["expression"][:, vertices].astype(np.float64)
    size = np.sqrt(np.mean(np.sum(offsets**2, axis=-1), axis=-1))
    bent, held = limits.limited(size, limit, gain)
    return np.where(size > 1e-6, bent / np.maximum(size, 1e-6), gain), held


def _vertex_weights(mesh: Array, iod: float, parameters: RenderParameters) -> tuple[Array, Array]:
    """(468, 1) how far a vertex belongs to the lower face; (468, 1) the share of expression it
    takes."""
    down = mesh[CHIN, :2] - mesh[_NOSE_BRIDGE, :2]
    height = mesh[:, :2] @ (down / np.linalg.norm(down)) / iod
    lower = rise(height, height[_NOSE_BRIDGE], height[NOSE_BASE])[:, None]
    mouth = rise(height, height[NOSE_BASE] - 0.05, height[NOSE_BASE] + 0.15)[:, None]
    kept = np.ones((MESH_POINTS, 1))
    for ring, share in zip([OVAL, *rings_around(OVAL, 2)], _OUTLINE_RING_SHARES, strict=True):
        kept[ring] = share + (1.0 - share) * mouth[ring]
    if parameters.animation_region == "lip":
        kept *= mouth
    if parameters.lips == "still":
        kept *= 1.0 - mouth
    return lower, kept


def _closed_share(rig: PortraitRig, neutral: Array, parameters: RenderParameters) -> Array:
    """(11,) share of the portrait's own lip gap that is taken away throughout."""
    if parameters.flag_lip_zero:
        return np.ones(11)
    if parameters.flag_normalize_lip and rig.mouth.opening > OPEN_PHOTO_GAP:
        return np.ones(11)
    if not parameters.flag_relative:
        ours = lip_gap(rig.mesh) / rig.iod
        theirs = lip_gap(neutral) / eye_distance(neutral)
        return np.asarray(np.clip(1.0 - theirs / np.maximum(ours, 1e-3), 0.0, 1.0))
    return np.zeros(11)
