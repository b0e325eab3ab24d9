"""An emotion as displacements of a portrait's mesh, and as an opening of its lids.

The parts that an emotion moves (brows, cheeks, wings of the nose, lips, chin) and those that it
must not move (lids, bridge of the nose, outline) are control points; the skin in between follows a
thin-plate spline through all of them (J. Duchon, 1977).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from sunriza_assets.studio.expression.emotions import Crease, Emotion, emotion_of
from sunriza_assets.studio.expression.lips import LipCorrector, lip_gap
from sunriza_assets.studio.face.regions import (
    CHIN,
    EYE_CONTOURS,
    LOWER_LIDS,
    LOWER_LIP,
    NOSE_BASE,
    OVAL,
    UPPER_LIDS,
    UPPER_LIP,
)
from sunriza_assets.studio.face.topology import LEFT_BROW, MESH_POINTS, MOUTH_CORNERS, RIGHT_BROW
from sunriza_assets.studio.motion.head_pose import eye_distance

__all__ = ["EmotionOffsets", "emotion_offsets", "fit_emotion"]

Array = NDArray[np.float64]

_CHEEKS: Final = (50, 101, 118, 280, 330, 347)
_WINGS: Final = (48, 64, 98, 129, 278, 294, 327, 358)
_NASION: Final = 168
"""Where the nose meets the forehead."""
_NOSE: Final = (NOSE_BASE, 1, 4, 5, 195, 197, 6, _NASION)
"""Tip and bridge of the nose, from its base upwards."""
_BEND: Final = 1.5
"""Exponent with which a smile grows from the middle of the mouth to its corners."""
_ROUND: Final = 0.65
"""Exponent of the outline of parted lips: an ellipse has a half, a parabola one."""
_UPPER_SHARES: Final = (0.28, 0.10)
"""Share that the upper lip has in closing and in opening the mouth; the jaw has the rest."""
_JAW_SHARE: Final = 0.6
"""Displacement of the chin over that of the lower lip."""
_JAW_REACH: Final = 8
"""Points of the outline on either side of the chin up to which it is the jaw's."""
_BROW_ROOM: Final = 0.75
"""Share of the skin between brow and lid that a lowered brow covers at most."""
_USUAL_OPENING: Final = 0.33
"""Opening of the eyes over their width of which the table's widening is a share."""
_MOST_LID_GAIN: Final = 1.7
_SMILE_LIFTS: Final = 0.25
"""How much of the corners' rise the middle of a smiling mouth makes along with them."""


@dataclass(frozen=True)
class EmotionOffsets:
    """The displacements of one portrait by an emotion."""

    offsets: Array
    """(468, 3) what it adds to the mesh in the portrait's own pose, pixels."""
    parting: Array
    """(468, 3) the share of `offsets` that opening or closing the mouth has."""
    openness: float
    """Opening of the eyes over that in the portrait, > 0."""
    lips_set: float
    """Share of the portrait's own lip gap that the emotion's takes the place of, 0-1."""
    opens: bool
    """Whether the emotion opens the mouth further than the portrait's is."""
    smile: Array
    """(468, 3) the share of `offsets` that a smile has; zero in an emotion without one."""
    squint: float = 0.0
    """Share of the eyes' opening by which the lower lids rise, 0-1."""
    creases: Mapping[Crease, float] = field(default_factory=dict)
    """How deep each crease of the skin is, 0-1."""

    def closures(self, closure: NDArray[Any]) -> Array:
        """Closures (0 as in the portrait, 1 shut) of eyes that are so open: shut stays shut."""
        return np.asarray(1.0 - self.openness * (1.0 - closure))

    def added_to(self, offsets: Array) -> Array:
        """(468, 3) a frame's offsets with the emotion's laid over them.

        Where the clip opens the mouth the emotion need not: two openings would make a gaping one.
        Nor need it smile where the clip does: two smiles would make a grin.
        """
        upper, lower = UPPER_LIP[-1, 5], LOWER_LIP[-1, 5]
        opened = _share(offsets[lower] - offsets[upper], self.parting[lower] - self.parting[upper])
        corners = list(MOUTH_CORNERS)
        smiled = _share(offsets[corners].ravel(), self.smile[corners].ravel())
        reduction = self.opens * opened * self.parting + smiled * self.smile
        return np.asarray(offsets + self.offsets - reduction)

    def rest(self, mesh: Array) -> Array:
        """(468, 3) the portrait's mesh `mesh` at rest in this emotion, its lips corrected."""
        return np.asarray(mesh + LipCorrector(mesh).corrected(self.offsets))


def _lid_gain(mesh: Array, emotion: Emotion) -> float:
    """How much more than other eyes a narrow one opens for its size: lids rise as far in all."""
    if emotion.eyes <= 1.0:
        return 1.0
    upper, lower = mesh[UPPER_LIDS][:, 4, :2], mesh[LOWER_LIDS][:, 4, :2]
    width = np.linalg.norm(mesh[UPPER_LIDS][:, -1] - mesh[UPPER_LIDS][:, 0], axis=1)
    opening = float((np.linalg.norm(lower - upper, axis=1) / np.maximum(width, 1e-6)).mean())
    return float(np.clip(_USUAL_OPENING / max(opening, 1e-6), 1.0, _MOST_LID_GAIN))


def _share(made: Array, wanted: Array) -> float:
    """How much of a wanted displacement has been made already, 0-1."""
    return float(np.clip(made @ wanted / max(float(wanted @ wanted), 1e-9), 0.0, 1.0))


def fit_emotion(mesh: Array, name: str, strength: float) -> EmotionOffsets | None:
    """The displacements of a mesh (468, 3) by an emotion of strength 0-1; None for none."""
    requested = emotion_of(name, strength)
    if requested is None:
        return None
    emotion, strength = requested
    offsets = strength * emotion_offsets(mesh, emotion)
    unparted = replace(emotion, opening=None, upper_lip=0.0, lower_lip=0.0)
    parted = (emotion.opening or 0.0) + emotion.upper_lip + emotion.lower_lip
    smile = np.zeros_like(offsets)
    if emotion.corners > 0.0:
        alone = Emotion(cheeks=emotion.cheeks, corners=emotion.corners, width=emotion.width)
        smile = strength * emotion_offsets(mesh, alone)
    return EmotionOffsets(
        offsets=offsets,
        parting=offsets - strength * emotion_offsets(mesh, unparted),
        openness=1.0 + strength * _lid_gain(mesh, emotion) * (emotion.eyes - 1.0),
        lips_set=0.0 if emotion.opening is None else strength,
        opens=bool(lip_gap(mesh)[5] < parted * eye_distance(mesh)),
        smile=smile,
        squint=strength * emotion.squint,
        creases={name: strength * depth for name, depth in emotion.creases.items()},
    )


@dataclass(frozen=True)
class _FaceFrame:
    """The coordinate frame of a portrait's face."""

    right: Array
    """(3,) unit vector towards the picture's right."""
    down: Array
    """(3,) unit vector from brow to chin."""
    iod: float
    """Pixels."""

    @classmethod
    def of(cls, mesh: Array) -> "_FaceFrame":
        right = mesh[EYE_CONTOURS[1]].mean(axis=0) - mesh[EYE_CONTOURS[0]].mean(axis=0)
        right /= np.linalg.norm(right)
        down = mesh[CHIN] - mesh[_NASION]
        down -= (down @ right) * right
        return cls(right, down / np.linalg.norm(down), eye_distance(mesh))

    def local(self, points: Array) -> Array:
        """(N, 3) -> (N, 2) places to the right and down, IOD."""
        return np.asarray(points @ np.stack([self.right, self.down], axis=1) / self.iod)

    def pixels(self, shifts: Array) -> Array:
        """(N, 2) shifts to the right and down, IOD -> (N, 3) pixels."""
        return np.asarray(self.iod * shifts @ np.stack([self.right, self.down]))


def emotion_offsets(mesh: Array, emotion: Emotion) -> Array:
    """(468, 3) what an emotion at full strength adds to a portrait's mesh (468, 3), pixels."""
    frame = _FaceFrame.of(mesh)
    places = frame.local(mesh)
    shifts = np.full((MESH_POINTS, 2), np.nan)
    shifts[EYE_CONTOURS.ravel()] = 0.0
    shifts[OVAL] = 0.0
    shifts[list(_NOSE)] = 0.0
    shifts[list(_WINGS)] = (0.0, -emotion.nose)
    if emotion.cheeks:
        shifts[list(_CHEEKS)] = (0.0, -emotion.cheeks)
    for brow, inwards in ((RIGHT_BROW, 1.0), (LEFT_BROW, -1.0)):
        lids = EYE_CONTOURS[0 if inwards > 0 else 1]
        room = float(places[lids, 1].min() - places[brow, 1].max())
        shifts[brow] = _brow(places[brow, 0] * inwards, emotion, room) * (inwards, 1.0)
    drop = _lips(places, shifts, emotion)
    chin = int(np.flatnonzero(OVAL == CHIN)[0])
    apart = np.abs(np.arange(len(OVAL)) - chin) / _JAW_REACH
    shifts[OVAL, 1] = _JAW_SHARE * drop * np.cos(np.clip(apart, 0.0, 1.0) * np.pi / 2) ** 2
    handles = np.flatnonzero(np.isfinite(shifts[:, 0]))
    spline = RBFInterpolator(places[handles], shifts[handles], kernel="thin_plate_spline")
    followed = spline(places)
    followed[handles] = shifts[handles]
    return frame.pixels(followed)


def _brow(inwards: Array, emotion: Emotion, room: float) -> Array:
    """(N, 2) shift of a brow's points (towards the nose, down), their places being `inwards`.

    It falls no further than most of `room`, the skin between brow and lid.
    """
    inner = (inwards - inwards.min()) / np.ptp(inwards)
    rise = emotion.outer_brow + (emotion.inner_brow - emotion.outer_brow) * inner
    rise += emotion.brow_arch * 4.0 * inner * (1.0 - inner)
    rise = np.maximum(rise, -_BROW_ROOM * max(room, 0.0))
    return np.stack([emotion.brow_pinch * inner, -rise], axis=1)


def _lips(places: Array, shifts: Array, emotion: Emotion) -> float:
    """Set the shifts of the lips' points, in place; how far the jaw drops, IOD."""
    upper, lower = places[UPPER_LIP], places[LOWER_LIP]
    gap = np.maximum(lower[-1, :, 1] - upper[-1, :, 1], 0.0)
    seam = (upper[-1] + lower[-1]) / 2.0
    middle = (seam[0, 0] + seam[-1, 0]) / 2.0
    half = np.abs(seam[[0, -1], 0] - middle).mean()
    smile = max(float(seam[5, 1] - seam[[0, -1], 1].mean()) / half, 0.0)
    lift, width = emotion.corner_lift(smile), emotion.mouth_width(smile)
    across = np.clip(np.abs(seam[:, 0] - middle) / half, 0.0, 1.0)
    outline = (1.0 - across**2) ** _ROUND
    opened = np.zeros(len(gap)) if emotion.opening is None else emotion.opening * outline - gap
    rising = np.where(opened < 0.0, *_UPPER_SHARES)
    for rows, share in ((UPPER_LIP, -rising), (LOWER_LIP, 1.0 - rising)):
        x = (places[rows, 0] - middle) / half
        bend = np.minimum(np.abs(x), 1.0) ** _BEND + _SMILE_LIFTS * (lift > 0.0)
        shifts[rows, 0] = (width - 1.0) * half * x
        shifts[rows, 1] = share * opened - lift * half * bend - emotion.lips * outline
    shifts[UPPER_LIP, 1] -= emotion.upper_lip * outline
    shifts[LOWER_LIP, 1] += emotion.lower_lip * outline
    return float(max((1.0 - rising[5]) * opened[5], 0.0))
