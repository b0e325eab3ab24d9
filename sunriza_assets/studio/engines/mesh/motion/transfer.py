"""Transfer of a clip's motion to a portrait: head, mesh, lids and irises of every frame."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.clip_mouth import ClipMouth
from sunriza_assets.studio.drawing.lids import WIDEST_CLOSURE
from sunriza_assets.studio.drawing.mouth import Mouth
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.motion import limits
from sunriza_assets.studio.engines.mesh.motion.closure import true_closure
from sunriza_assets.studio.engines.mesh.motion.expression import Expression
from sunriza_assets.studio.engines.mesh.motion.folds import Folds
from sunriza_assets.studio.engines.mesh.motion.heads import plan_heads
from sunriza_assets.studio.engines.mesh.motion.moderation import moderate
from sunriza_assets.studio.engines.mesh.motion.timing import Timing
from sunriza_assets.studio.engines.mesh.rim import Rim
from sunriza_assets.studio.expression.easing import rise
from sunriza_assets.studio.face.measures import eye_apertures
from sunriza_assets.studio.face.regions import SKULL
from sunriza_assets.studio.face.topology import TRIANGLES
from sunriza_assets.studio.motion.head_pose import HeadMotion
from sunriza_assets.studio.motion.rigid import fit_similarity
from sunriza_assets.studio.parameters import RenderParameters

__all__ = ["Pose", "Transfer"]

Array = NDArray[np.float64]

_LID_GAIN_SHARE: Final = 0.25
"""How much of a gain beyond one lids and irises take; a shut lid cannot close further."""
_GAZE_UNDERSTATED: Final = 1.25
"""True shift of an iris over the measured one: landmarks read a drawn shift of 0.15 eye widths as
0.10 (mean of both eyes of four portraits, both ways). Not all of it is made up for, as shifts of
which much is noise would be enlarged, too."""
_WINK: Final = (0.15, 0.40)
"""Difference of two lids' closures up to which it is the landmarks' error, and both are as shut as
on average; and from which on it is a wink."""
_HOLD_SHARES: Final = (0.5, 1.0)
"""How far the skin around the mouth is held on its track: at gain one, which keeps more of the
clip's own motion, and from `limits.EXAGGERATED` on."""


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


@dataclass(frozen=True)
class _Shape:
    """The mesh of one frame."""

    points: Array
    """(468, 3) pixels."""
    track: Array
    """(2, 3) how the skin around the mouth moves from rest."""
    bared: float
    """How far the lower lip bares its teeth beyond the jaw's fall, IOD."""
    folded: tuple[int, int]
    """Triangles of the upper and of the lower face that expression turns over."""


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
        to_portrait = fit_similarity(neutral[SKULL], rig.mesh[SKULL]).rotation
        self._heads, held = plan_heads(
            rig,
            arrays,
            to_portrait,
            gain=gain if region in ("all", "pose") else 0.0,
            scale_share=parameters.scale_multiplier,
        )
        self._expression = Expression(rig, arrays, to_portrait, parameters)
        held |= self._expression.held_back
        lid_gain = min(gain, 1.0) + _LID_GAIN_SHARE * max(gain - 1.0, 0.0)
        lid_gain = lid_gain if region in ("all", "exp", "eyes") else 0.0
        self._closure = _closures(rig, timing, lid_gain, parameters)
        if rig.emotion is not None:
            self._closure = rig.emotion.closures(self._closure)
        gaze = arrays["gaze"].astype(np.float64).mean(axis=1, keepdims=True)
        self._gaze = _GAZE_UNDERSTATED * lid_gain * np.repeat(gaze, 2, axis=1)  # both alike
        self._hold_share = float(np.interp(gain, (1.0, limits.EXAGGERATED), _HOLD_SHARES))
        self._lower_triangles = self._expression.lower[TRIANGLES, 0].mean(axis=1) > 0.5
        self._shapes, moderation = moderate(
            self._shape,
            lambda shape: shape.folded,
            len(self._heads),
            rate=float(timing.rate),
            loop=parameters.loop,
        )
        held["folds"] = float(np.mean(moderation.min(axis=1, initial=1.0) < 0.98))
        self.track = np.stack([shape.track for shape in self._shapes])
        """(T, 2, 3) how the skin around the mouth moves from rest."""
        folded = np.array([sum(shape.folded) for shape in self._shapes])
        self.facts: dict[str, Any] = {
            "held_back_share_of_frames": {
                name: round(share, 4) for name, share in held.items() if share > 0
            },
            "folded_permille": round(1000.0 * float(folded.max()) / len(TRIANGLES), 2),
            "mouth_opens_at_most": round(self._expression.most_open, 3),
            "expression_moderated_to": round(float(moderation.min(initial=1.0)), 3),
        }
        """What the limits did: JSON values."""

    def __len__(self) -> int:
        return len(self._heads)

    def pose(self, frame: int) -> Pose:
        """Everything about one frame."""
        arrays, shape = self._arrays, self._shapes[frame]
        textures = arrays["mouth_texture"]
        clip = None
        if len(textures):
            opening = float(arrays["mouth_opening"][frame])
            clip = ClipMouth(textures[frame], opening, arrays["skin"])
        return Pose(
            points=shape.points,
            head=self._heads[frame],
            closure=(float(self._closure[frame, 0]), float(self._closure[frame, 1])),
            gaze=self._gaze[frame],
            mouth=Mouth(bared=shape.bared, clip=clip),
        )

    def _shape(self, frame: int, moderation: Array) -> _Shape:
        """The mesh of a frame, `moderation` (2,) of the upper and lower face's motion shown."""
        rig, head = self._rig, self._heads[frame]
        offsets, bared = self._expression.offsets(frame, moderation)
        unheld = head.apply(rig.mesh + offsets, rig.centre)
        track = self._rim.track(unheld)
        points = self._rim.hold_to_track(unheld, track, self._hold_share)
        rigid = head.apply(rig.mesh, rig.centre)
        seen = Folds(rigid, head.scale * rig.iod)
        points = seen.untangled(points, rigid)
        folds = seen.of(points)
        low = int(np.count_nonzero(folds & self._lower_triangles))
        return _Shape(
            points=points,
            track=track,
            bared=bared,
            folded=(int(np.count_nonzero(folds)) - low, low),
        )


def _closures(rig: PortraitRig, timing: Timing, gain: float, parameters: RenderParameters) -> Array:
    """(T, 2) closure of the portrait's eyes."""
    arrays = timing.arrays
    raw = arrays["closure"].astype(np.float64)
    if parameters.flag_eye_retargeting or not parameters.flag_relative:
        theirs = eye_apertures(arrays["neutral"]) * (1.0 - raw)
        raw = 1.0 - theirs / np.maximum(eye_apertures(rig.landmarks), 1e-3)
    closure = true_closure(raw, timing.shut)
    middle = closure.mean(axis=1, keepdims=True)
    winks = rise(np.abs(closure[:, :1] - closure[:, 1:]), *_WINK)
    agreed = middle + winks * (closure - middle)
    return np.asarray(np.clip(gain * agreed, WIDEST_CLOSURE, 1.0))
