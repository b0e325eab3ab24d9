"""Transfer of a timed motion to a portrait: keypoints of every frame, track of its mouth."""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sunriza_assets.studio.engines.liveportrait.anatomy import EYES, LIPS
from sunriza_assets.studio.engines.liveportrait.driving import (
    OPEN_LIPS,
    Driving,
    Ratios,
    driving_keypoints,
    eye_offsets,
    lip_offsets,
)
from sunriza_assets.studio.engines.liveportrait.emotions import emotion_keypoints
from sunriza_assets.studio.engines.liveportrait.modules import Retargeting
from sunriza_assets.studio.engines.liveportrait.networks.motion import KEYPOINTS
from sunriza_assets.studio.engines.liveportrait.perform import OPEN_EYES
from sunriza_assets.studio.engines.liveportrait.portrait import Portrait
from sunriza_assets.studio.engines.liveportrait.timing import Timing
from sunriza_assets.studio.expression.easing import knee
from sunriza_assets.studio.motion.rigid import fit_similarity
from sunriza_assets.studio.parameters import RenderParameters

__all__ = ["Transfer", "exaggerated"]

_SHIFT_KNEE: Final = 0.2
_SHIFT_LIMIT: Final = 0.4
"""Root mean square shift of the keypoints up to which a gain above one acts in full, and what an
exaggerated shift tends to, in keypoint units (the crop is 2 wide)."""
_NEIGHBOURS: Final = 6
"""Keypoints around the lips that are used, with those of the lips, to track the mouth region."""


class Transfer:
    """The keypoints of a portrait that is driven by a motion.

    Eyes driven by their opening, lips closed at the start and an emotion are laid over the motion,
    after the gain: a wanted opening is absolute, and a gain of 1.7 would overshoot it.
    """

    def __init__(
        self,
        portrait: Portrait,
        timing: Timing,
        parameters: RenderParameters,
        retargeting: Retargeting,
    ) -> None:
        x_s = portrait.motion.keypoints
        frames = len(timing.motion)
        performed = timing.is_performed
        by_ratio = (parameters.flag_eye_retargeting or performed) and timing.ratios is not None
        held_eyes = EYES if by_ratio and not performed else ()  # a performance has its gaze there
        held = (*(LIPS if parameters.lips == "still" else ()), *held_eyes)
        moved = self._driven_keypoints(portrait, timing, parameters, retargeting, held)
        keypoints, gains = exaggerated(x_s, moved, parameters.driving_multiplier)
        closed = _closes_lips(parameters, portrait.ratios)
        emotion = emotion_keypoints(portrait, parameters, retargeting, closed=closed)
        if by_ratio and timing.ratios is not None:
            openness = 1.0 if emotion is None else emotion.openness
            wanted = openness * timing.ratios.eyes[:, :1]
            if performed and parameters.animation_region in ("all", "exp", "eyes"):
                keypoints = keypoints + _lid_offsets(portrait, wanted / OPEN_EYES, retargeting)
            elif not performed:
                offsets = eye_offsets(x_s, portrait.ratios, wanted, frames, retargeting)
                keypoints = keypoints + offsets
        if emotion is not None:
            keypoints = keypoints + emotion.expression + emotion.lips
            if not by_ratio:
                keypoints = keypoints + emotion.eyes_at(timing.ratios)
        if closed and not (emotion is not None and emotion.sets_lips):
            shut = torch.zeros(1, 1)
            keypoints = keypoints + lip_offsets(x_s, portrait.ratios, shut, 1, retargeting)
        self.keypoints: Tensor = keypoints
        """(T, 21, 3) of every frame of the idle."""
        self.facts: dict[str, Any] = {
            "limited_share": round(float((gains < 0.98 * parameters.driving_multiplier).mean()), 4),
            "eyes": "by opening" if by_ratio else "by motion",
            "lips_closed": closed,
        }
        self._head_only = self._driven_keypoints(
            portrait, timing, parameters, retargeting, tuple(range(KEYPOINTS))
        )
        self._gains = gains
        self._portrait = portrait

    @staticmethod
    def _driven_keypoints(
        portrait: Portrait,
        timing: Timing,
        parameters: RenderParameters,
        retargeting: Retargeting,
        held: tuple[int, ...],
    ) -> Tensor:
        options = Driving(
            relative=parameters.flag_relative,
            region=parameters.animation_region,
            stitching=parameters.flag_stitching,
            zoom=parameters.scale_multiplier,
            held=held,
        )
        return driving_keypoints(
            portrait.motion, timing.motion, options, retargeting, reference=timing.reference
        )

    def mouth_track(self) -> NDArray[np.float64]:
        """(T, 2, 3) how the mouth region at rest moves, pixels of what is shown.

        The similarity that best takes the keypoints in and around the lips from rest to where the
        head, without any expression of its own, carries them.
        """
        rest = self._portrait.motion.keypoints[0, :, :2].double().numpy()
        carried = self._head_only[..., :2].double().numpy()
        carried = rest + self._gains[:, None, None] * (carried - rest)
        near = _mouth_region_keypoints(rest)
        fit = fit_similarity(rest[near], carried[:, near])
        linear = fit.scale[:, None, None] * fit.rotation
        to_shown = self._portrait.to_shown
        turn, shift = to_shown[:, :2], to_shown[:, 2]
        back = np.linalg.inv(turn)
        outer = turn @ linear @ back
        offset = fit.translation @ turn.T + shift - outer @ shift
        return np.concatenate([outer, offset[..., None]], axis=-1)


def exaggerated(source: Tensor, driving: Tensor, gain: float) -> tuple[Tensor, NDArray[np.float64]]:
    """source + gain (driving - source), a large gain softened where it would tear the face.

    A gain up to one is exact. Beyond it small motion gets it in full, while large motion is slowed
    towards a limit, never below what the clip itself does.

    Args:
        source: (1, 21, 3) keypoints of the portrait.
        driving: (T, 21, 3) keypoints at gain one.
        gain: >= 0.

    Returns:
        (T, 21, 3) keypoints and (T,) the gain that each frame got.
    """
    shift = driving - source
    size = shift.double().square().sum(dim=2).mean(dim=1).sqrt().numpy()
    gains = np.full(len(size), gain)
    if gain > 1.0:
        softened = knee(gain * size, _SHIFT_KNEE, _SHIFT_LIMIT) / np.maximum(size, 1e-9)
        gains = np.clip(softened, 1.0, gain)
    return source + torch.from_numpy(gains).float()[:, None, None] * shift, gains


def _lid_offsets(portrait: Portrait, openness: Tensor, retargeting: Retargeting) -> Tensor:
    """(T, 21, 3) what opens a portrait's eyes by (T, 1) over their own opening; nothing at one."""
    x_s, own = portrait.motion.keypoints, portrait.ratios.eyes.mean(dim=1, keepdim=True)
    frames = len(openness)
    moved = eye_offsets(x_s, portrait.ratios, openness * own, frames, retargeting)
    return moved - eye_offsets(x_s, portrait.ratios, own, 1, retargeting)


def _closes_lips(parameters: RenderParameters, ratios: Ratios) -> bool:
    """Whether the portrait's own lip opening is taken away."""
    open_lips = float(ratios.lip[0, 0]) >= OPEN_LIPS
    return parameters.flag_lip_zero or (parameters.flag_normalize_lip and open_lips)


def _mouth_region_keypoints(rest: NDArray[np.float64]) -> list[int]:
    """The lips' keypoints and those nearest to their middle; (21, 2) positions at rest."""
    others = [point for point in range(KEYPOINTS) if point not in LIPS]
    distance = np.linalg.norm(rest[others] - rest[list(LIPS)].mean(axis=0), axis=1)
    return [*LIPS, *(others[int(k)] for k in np.argsort(distance, kind="stable")[:_NEIGHBOURS])]
