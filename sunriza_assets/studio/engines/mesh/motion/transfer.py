"""Transfer of a clip's motion to a portrait: head, mesh, lids and irises of every frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.clip_mouth import ClipMouth
from sunriza_assets.studio.drawing.lids import WIDEST_CLOSURE
from sunriza_assets.studio.drawing.mouth import OPEN_PHOTO_GAP, Mouth
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.motion import limits
from sunriza_assets.studio.engines.mesh.motion.closure import true_closure
from sunriza_assets.studio.engines.mesh.motion.heads import plan_heads
from sunriza_assets.studio.engines.mesh.motion.timing import Timing
from sunriza_assets.studio.engines.mesh.rim import Rim
from sunriza_assets.studio.expression.easing import rise
from sunriza_assets.studio.expression.lips import LipCorrector, lip_gap
from sunriza_assets.studio.face.measures import eye_apertures
from sunriza_assets.studio.face.regions import (
    CHIN,
    EYE_CONTOURS,
    NOSE_BASE,
    OVAL,
    SKULL,
    UPPER_LIDS,
    rings_around,
)
from sunriza_assets.studio.face.topology import (
    LEFT_BROW,
    LIPS_INNER,
    LIPS_OUTER,
    MESH_POINTS,
    RIGHT_BROW,
)
from sunriza_assets.studio.motion.head_pose import HeadMotion, eye_distance
from sunriza_assets.studio.motion.rigid import fit_similarity
from sunriza_assets.studio.parameters import RenderParameters

__all__ = ["Pose", "Transfer"]

Array = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

_EYE_RING_SHARES: Final = (0.25, 0.6)
"""How much of their expression the first and the second ring around an eye keep."""
_OUTLINE_RING_SHARES: Final = (0.4, 0.6, 0.8)
"""How much of their expression the outline of the face and the two rings inside it keep above the
mouth: landmarks slide along a cheek that is seen edge-on, skin does not."""
_LID_GAIN_SHARE: Final = 0.25
"""How much of a gain beyond one lids and irises take; a shut lid cannot close further."""
_OPEN_PORTRAIT: Final = (0.06, 0.14)
"""Opening of the portrait's lips, IOD, over which the exaggeration of their motion fades
out: exaggerated speech would turn a smile into a laugh, and open the lips beyond any cell."""
_HOLD_SHARES: Final = (0.5, 1.0)
"""How far the skin around the mouth is held on its track: at gain one, which keeps more of the
clip's own motion, and from `limits.EXAGGERATED` on."""
_FOLD_CHECK_STEP: Final = 10
"""Every how many frames folds are counted."""
_LIPS: Final = np.concatenate([LIPS_OUTER, LIPS_INNER])
_BROWS: Final = np.concatenate([RIGHT_BROW, LEFT_BROW])
_NOSE_BRIDGE: Final = 6


@dataclass(frozen=True)
class Pose:
    """One frame, ready to be drawn by a `PortraitRig`."""

    points: Array
    """(468, 3) the mesh, pixels."""
    head: HeadMotion
    """The skull's motion within it."""
    closure: tuple[float, float]
    """Lids of the subject's right and left eye, relative to the portrait."""
    gaze: Array
    """(2, 2) shift of the irises in eye widths."""
    mouth: Mouth
    """The inside of the mouth."""


class Transfer:
    """A clip's motion laid out for one portrait.

    Args:
        rig: the portrait.
        rim: of its mouth.
        timing: a mesh template's motion over the frames to be rendered.
        parameters: gains, region and flags.
    """

    def __init__(
        self, rig: PortraitRig, rim: Rim, timing: Timing, parameters: RenderParameters
    ) -> None:
        self._rig, self._rim = rig, rim
        arrays = self._arrays = timing.arrays
        neutral = arrays["neutral"].astype(np.float64)
        gain, region = parameters.driving_multiplier, parameters.animation_region
        self._to_portrait = fit_similarity(neutral[SKULL], rig.mesh[SKULL]).rotation
        self._heads, held = plan_heads(
            rig,
            arrays,
            self._to_portrait,
            gain=gain if region in ("all", "pose") else 0.0,
            scale_share=parameters.scale_multiplier,
        )
        face_gain = gain if region in ("all", "exp", "lip") else 0.0
        own_gap = 1.0 if rig.emotion is None else 1.0 - rig.emotion.lips_set
        closed = own_gap * _closed_share(rig, neutral, parameters)
        self._lips = LipCorrector(rig.mesh, closed=closed, seam=rig.mouth.seam)
        opening = rig.mouth.opening * float(1.0 - closed[4:7].mean())
        exaggerated = 1.0 - float(rise(opening, *_OPEN_PORTRAIT))
        lip_gain = min(face_gain, 1.0) + exaggerated * max(face_gain - 1.0, 0.0)
        lips, held["lips"] = _region_factors(arrays, _LIPS, limits.LIPS, lip_gain)
        brows, held["brows"] = _region_factors(arrays, _BROWS, limits.BROWS, face_gain)
        self._factors = np.stack([brows, lips], axis=1)
        self._lower, self._kept = _vertex_weights(rig.mesh, rig.iod, parameters)
        lid_gain = min(gain, 1.0) + _LID_GAIN_SHARE * max(gain - 1.0, 0.0)
        lid_gain = lid_gain if region in ("all", "exp", "eyes") else 0.0
        self._closure = _closures(rig, timing, lid_gain, parameters)
        if rig.emotion is not None:
            self._closure = rig.emotion.closures(self._closure)
        self._gaze = lid_gain * arrays["gaze"].astype(np.float64)
        self._rings = rings_around(EYE_CONTOURS, len(_EYE_RING_SHARES))
        self._hold_share = float(np.interp(gain, (1.0, limits.EXAGGERATED), _HOLD_SHARES))
        self.track = np.stack([rim.track(self._unheld_points(frame)) for frame in range(len(self))])
        """(T, 2, 3) how the skin around the mouth moves from rest."""
        folded = [self._folded(frame) for frame in range(0, len(self), _FOLD_CHECK_STEP)]
        self.facts: dict[str, Any] = {
            "held_back_share_of_frames": {
                name: round(share, 4) for name, share in held.items() if share > 0
            },
            "folded_permille": round(1000.0 * float(np.mean(folded)), 2),
        }
        """What the limits did: JSON values."""

    def __len__(self) -> int:
        return len(self._heads)

    def pose(self, frame: int) -> Pose:
        """Everything about one frame."""
        arrays = self._arrays
        textures = arrays["mouth_texture"]
        clip = None
        if len(textures):
            opening = float(arrays["mouth_opening"][frame])
            clip = ClipMouth(textures[frame], opening, arrays["skin"])
        return Pose(
            points=self._points(frame),
            head=self._heads[frame],
            closure=(float(self._closure[frame, 0]), float(self._closure[frame, 1])),
            gaze=self._gaze[frame],
            mouth=Mouth(clip=clip),
        )

    def _folded(self, frame: int) -> float:
        return self._rig.warp.folded(self._heads[frame], self._points(frame))

    def _points(self, frame: int) -> Array:
        """(468, 3) the mesh, pixels."""
        return self._rim.hold_to_track(
            self._unheld_points(frame), self.track[frame], self._hold_share
        )

    def _unheld_points(self, frame: int) -> Array:
        """(468, 3) the mesh before the skin around the mouth is held on its track."""
        rig = self._rig
        return self._heads[frame].apply(rig.mesh + self._offsets(frame), rig.centre)

    def _offsets(self, frame: int) -> Array:
        """(468, 3) what expression adds to the portrait's mesh in its own pose, pixels."""
        offsets = self._arrays["expression"][frame].astype(np.float64) @ self._to_portrait.T
        brows, lips = self._factors[frame]
        offsets *= (brows + (lips - brows) * self._lower) * self._kept
        for side, contour in enumerate(EYE_CONTOURS):
            offsets[contour] = offsets[UPPER_LIDS[side, [0, -1]]].mean(axis=0)
        for ring, share in zip(self._rings, _EYE_RING_SHARES, strict=True):
            offsets[ring] *= share
        offsets *= self._rig.iod
        emotion = self._rig.emotion
        return self._lips.corrected(offsets if emotion is None else emotion.added_to(offsets))


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


def _closures(rig: PortraitRig, timing: Timing, gain: float, parameters: RenderParameters) -> Array:
    """(T, 2) closure of the portrait's eyes."""
    arrays = timing.arrays
    raw = arrays["closure"].astype(np.float64)
    if parameters.flag_eye_retargeting or not parameters.flag_relative:
        theirs = eye_apertures(arrays["neutral"]) * (1.0 - raw)
        raw = 1.0 - theirs / np.maximum(eye_apertures(rig.landmarks), 1e-3)
    return np.asarray(np.clip(gain * true_closure(raw, timing.shut), WIDEST_CLOSURE, 1.0))


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
