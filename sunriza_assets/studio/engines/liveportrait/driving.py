"""From the motion of a face to the keypoints that a portrait is moved to.

This is LivePortrait's arithmetic, all frames at once, with three additions that are off by default:
motion is relative to any `reference`, not only to the first frame; a share of the driver's growing
and shrinking can be left out (`zoom`); the expression of chosen keypoints can be `held` as the
portrait has it.

Of the published options one is left out: "expression-friendly" driving scales the change since the
first frame, which relative motion makes zero there, so its factor is always 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from sunriza_assets.studio.engines.liveportrait.anatomy import (
    EXPRESSIVE,
    EYES,
    LIP_NEUTRAL,
    LIPS,
)
from sunriza_assets.studio.engines.liveportrait.keypoints import Motion, transformed
from sunriza_assets.studio.engines.liveportrait.modules import Retargeting
from sunriza_assets.studio.engines.liveportrait.networks.motion import KEYPOINTS
from sunriza_assets.studio.engines.liveportrait.smoothing import (
    OBSERVATION_VARIANCE,
    kalman_smoothed,
)
from sunriza_assets.studio.parameters import Region

__all__ = [
    "OPEN_LIPS",
    "Driving",
    "Ratios",
    "amplified",
    "driving_keypoints",
    "eye_offsets",
    "lip_offsets",
    "stitched",
]

OPEN_LIPS: Final = 0.03
"""Lip opening ratio from which on a portrait's lips count as open."""
_MIN_OPEN_RATIO: Final = 0.18
"""Eye opening ratio of a source video's first frame below which its eyes do not count as open."""
_DEFAULT_OPEN_RATIO: Final = 0.39
"""The ratio used instead."""


@dataclass(frozen=True)
class Ratios:
    """How far eyes and lips of N faces are open, float32."""

    eyes: Tensor
    """(N, 2) lid distance over eye width, the eye on the picture's left first."""
    lip: Tensor
    """(N, 1) inner lip distance over mouth width."""


@dataclass(frozen=True)
class Driving:
    """What is carried over, and how."""

    relative: bool = True
    """Motion relative to the reference; false takes expression and pose as the driver has them."""
    region: Region = "all"
    stitching: bool = True
    multiplier: float = 1.0
    """Gain of the final displacement of every keypoint."""
    eye_retargeting: bool = False
    """Open the eyes as far as the driver's; in relative mode its motion is then ignored."""
    lip_retargeting: bool = False
    """The same for the lips."""
    normalize_lip: bool = False
    """Close the portrait's lips when they are open."""
    source_eye_retargeting: bool = False
    """Hold the eyes of a source video as far open as in its first frame."""
    observation_variance: float = OBSERVATION_VARIANCE
    """Of the smoother for source videos."""
    zoom: float = 1.0
    """Exponent of the driver's relative scale; 0 leaves its growing and shrinking out."""
    held: tuple[int, ...] = ()
    """Keypoints whose expression stays the portrait's."""


def driving_keypoints(
    source: Motion,
    driver: Motion,
    options: Driving,
    retargeting: Retargeting,
    *,
    source_ratios: Ratios | None = None,
    driver_ratios: Ratios | None = None,
    reference: Motion | None = None,
) -> Tensor:
    """Where the portrait's keypoints go in every frame.

    Args:
        source: the portrait (one face), or a source video.
        driver: one picture, or the frames of a video.
        options: what is carried over.
        retargeting: the three perceptrons.
        source_ratios: needed for retargeting and for closing lips.
        driver_ratios: needed for retargeting.
        reference: (one face) what relative motion is measured from; the driver's first frame.

    Returns:
        (n, 21, 3), n the frames of the shorter of two videos, of the one video, or 1.
    """
    frames = _frame_count(source, driver)
    x_s = source.keypoints[:frames]
    moved = _driven_keypoints(source, driver, options, reference or driver[:1], frames)
    if options.eye_retargeting or options.lip_retargeting:
        base = _per_frame(x_s, frames) if options.relative else moved
        x_d = base.clone()
        if options.eye_retargeting:
            wanted = _required(driver_ratios).eyes[:, :1]
            x_d += eye_offsets(x_s, _required(source_ratios), wanted, frames, retargeting)
        if options.lip_retargeting:
            wanted = _required(driver_ratios).lip
            x_d += lip_offsets(x_s, _required(source_ratios), wanted, frames, retargeting)
        x_d = stitched(x_s, x_d, retargeting) if options.stitching else x_d
    else:
        x_d = stitched(x_s, moved, retargeting) if options.stitching else moved
        if options.normalize_lip and options.relative and source_ratios is not None:
            shut = torch.zeros(1, 1)
            closing = lip_offsets(x_s, source_ratios, shut, frames, retargeting)
            open_lips = _per_frame(source_ratios.lip, frames) >= OPEN_LIPS
            x_d = x_d + closing * open_lips[:, :, None]
        if options.source_eye_retargeting and len(source) > 1:
            ratios = _required(source_ratios)
            open_ratio = ratios.eyes[:1].mean(dim=1, keepdim=True)
            open_ratio = torch.where(
                open_ratio < _MIN_OPEN_RATIO,
                torch.full_like(open_ratio, _DEFAULT_OPEN_RATIO),
                open_ratio,
            )
            x_d = x_d + eye_offsets(x_s, ratios, open_ratio, frames, retargeting)
    return amplified(x_s, x_d, options.multiplier)


def stitched(source: Tensor, driving: Tensor, retargeting: Retargeting) -> Tensor:
    """(n or 1, 21, 3) and (n, 21, 3) -> (n, 21, 3) with shoulders and border kept in place."""
    delta = retargeting.stitching(_per_frame(source, len(driving)), driving)
    offsets = delta[:, : 3 * KEYPOINTS].unflatten(1, (KEYPOINTS, 3))
    result = driving + offsets
    result[..., :2] += delta[:, None, 3 * KEYPOINTS :]
    return result


def eye_offsets(
    source: Tensor, ratios: Ratios, wanted: Tensor, frames: int, retargeting: Retargeting
) -> Tensor:
    """(frames, 21, 3) what opens or shuts the eyes to a ratio, `wanted` (frames or 1, 1)."""
    conditions = torch.cat([_per_frame(ratios.eyes, frames), _per_frame(wanted, frames)], dim=1)
    return retargeting.eye(_per_frame(source, frames), conditions)


def lip_offsets(
    source: Tensor, ratios: Ratios, wanted: Tensor, frames: int, retargeting: Retargeting
) -> Tensor:
    """(frames, 21, 3) what opens or shuts the lips to a ratio, `wanted` (frames or 1, 1)."""
    conditions = torch.cat([_per_frame(ratios.lip, frames), _per_frame(wanted, frames)], dim=1)
    return retargeting.lip(_per_frame(source, frames), conditions)


def amplified(source: Tensor, driving: Tensor, gain: float) -> Tensor:
    """source + gain (driving - source), keypoints (n or 1, 21, 3) and (n, 21, 3)."""
    return source + gain * (driving - source)


def _frame_count(source: Motion, driver: Motion) -> int:
    if len(source) > 1 and len(driver) > 1:
        return min(len(source), len(driver))
    return max(len(source), len(driver))


def _per_frame(values: Tensor, frames: int) -> Tensor:
    """The first `frames` of them; a single one is repeated."""
    return values.expand(frames, *values.shape[1:]) if len(values) == 1 else values[:frames]


def _required(ratios: Ratios | None) -> Ratios:
    if ratios is None:
        raise ValueError("Retargeting needs the opening ratios of both faces")
    return ratios


def _driven_keypoints(
    source: Motion, driver: Motion, options: Driving, reference: Motion, frames: int
) -> Tensor:
    """(frames, 21, 3) keypoints moved by the driver, before any correction."""
    exp_s, rotation_s = _per_frame(source.exp, frames), _per_frame(source.rotation, frames)
    scale, t = _per_frame(source.scale, frames), _per_frame(source.t, frames)
    exp, rotation = _driver_expression_and_rotation(source, driver, options, reference, frames)
    if len(source) > 1 and len(driver) > 1:
        exp = kalman_smoothed(exp, options.observation_variance)
        rotation = kalman_smoothed(rotation, options.observation_variance)
    video_source, region = len(source) > 1, options.region
    if region in ("all", "pose"):
        if not options.relative:
            t = _per_frame(driver.t, frames)
        elif not video_source:
            t = t + (_per_frame(driver.t, frames) - reference.t)
    else:
        rotation = rotation_s
    if region == "all" and options.relative and not video_source:
        scale = scale * (_per_frame(driver.scale, frames) / reference.scale) ** options.zoom
    whole = options.relative and not video_source
    driven = _driven_components(region, whole=whole, held=options.held)
    return transformed(
        _per_frame(source.kp, frames), rotation, torch.where(driven, exp, exp_s), scale, t
    )


def _driver_expression_and_rotation(
    source: Motion, driver: Motion, options: Driving, reference: Motion, frames: int
) -> tuple[Tensor, Tensor]:
    """(frames, 21, 3) expression and (frames, 3, 3) rotation that the driver asks for."""
    exp_i, rotation_i = _per_frame(driver.exp, frames), _per_frame(driver.rotation, frames)
    if not options.relative:
        return exp_i, rotation_i
    exp_s, rotation_s = _per_frame(source.exp, frames), _per_frame(source.rotation, frames)
    if len(driver) > 1:
        turned = rotation_i @ reference.rotation.transpose(1, 2)
        return exp_s + exp_i - reference.exp, turned @ rotation_s
    if options.region == "eyes" and len(source) == 1:
        return exp_s + exp_i, rotation_s
    return exp_s + exp_i - LIP_NEUTRAL, rotation_s


def _driven_components(region: Region, *, whole: bool, held: Sequence[int]) -> Tensor:
    """(21, 3) components of the expression that follow the driver."""
    driven = torch.zeros(KEYPOINTS, 3, dtype=torch.bool)
    if region in ("all", "exp"):
        driven = torch.ones_like(driven) if whole else EXPRESSIVE.clone()
    elif region in ("lip", "eyes"):
        driven[list(LIPS if region == "lip" else EYES)] = True
    driven[list(held)] = False
    return driven
