"""A template's motion on the idle's time axis: reference, smoothing, rate, loop.

The template holds what was measured, frame by frame; smoothing comes after the reference has been
chosen, so that a portrait that is a frame of the clip is compared with that very frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.clip_mouth import MouthDetail
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.motion.closure import SHUT_CLOSURE
from sunriza_assets.studio.engines.mesh.motion.reference import (
    SAME_FRAME_DIFFERENCE,
    matching_frame,
    relative_to,
)
from sunriza_assets.studio.face.topology import LEFT_BROW, RIGHT_BROW
from sunriza_assets.studio.motion.peaks import peaks_of
from sunriza_assets.studio.motion.smoothing import (
    EXPRESSION_FRAMES,
    LID_FRAMES,
    POSE_FRAMES,
    smooth,
)
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.performances.repeated import output_frames, template_loop

__all__ = ["Timing", "plan_timing"]

Arrays = Mapping[str, NDArray[Any]]

_CURVES: Final = ("rotation", "log_scale", "translation", "expression", "closure", "gaze")
"""Arrays that a loop is planned by."""
_PER_FRAME: Final = (*_CURVES, "mouth_opening", "mouth_texture")
STEADY: Final = ("rotation", "translation", "expression", "closure")
"""Arrays that must each be continuous at the loop's seam."""
_SMOOTHING: Final = {
    "rotation": POSE_FRAMES,
    "log_scale": POSE_FRAMES,
    "translation": POSE_FRAMES,
    "expression": EXPRESSION_FRAMES,
    "closure": LID_FRAMES,
    "gaze": EXPRESSION_FRAMES,
    "mouth_opening": EXPRESSION_FRAMES,
}
"""Windows that each array is smoothed over, frames at 30 a second."""
_KEY_VERTICES: Final = (61, 291, 13, 14, 152, int(RIGHT_BROW[2]), int(LEFT_BROW[2]))
"""Corners and middle of the lips, chin, brows: what a viewer watches in a face."""
_SHUT_RANGE: Final = (0.5, 0.9)
"""Least and most that a shut eye is taken to measure."""
_BLINK_PROMINENCE: Final = 0.25
_MAX_BLINK_S: Final = 0.4
"""Width of its upper part up to which a peak is a blink, seconds."""
_BLINK_WIDTH_HEIGHT: Final = 0.4
"""Share of a peak's prominence that is its upper part."""
_OPEN_MOUTH: Final = 0.05
"""Opening of the clip's mouth from which on it shows its inside, IOD."""
_LID_HEIGHT: Final = 0.12
_EYE_WIDTH: Final = 0.3
"""Height of an open eye and width of an eye, IOD: they bring closure and gaze to its unit."""


@dataclass(frozen=True)
class Timing:
    """A template's motion at the idle's rate, closed into a loop if that is wanted."""

    arrays: dict[str, NDArray[Any]]
    """The template's arrays, per-frame ones over the frames of the idle."""
    rate: Fraction
    """Frames per second of the idle."""
    shut: float
    """What a shut eye measures in this clip's `closure`."""
    facts: dict[str, Any]
    """Reference and loop: JSON values."""


def plan_timing(template: MotionTemplate, rig: PortraitRig, parameters: RenderParameters) -> Timing:
    """Lay a template's motion out in the idle's time."""
    arrays: Arrays = template.arrays
    facts: dict[str, Any] = {"neutral_frame": template.neutral_frame}
    frame, difference = matching_frame(arrays, rig.mesh)
    same = difference < SAME_FRAME_DIFFERENCE
    textures = _mouth_textures(arrays) if same else arrays["mouth_texture"][:0]
    if same and parameters.flag_relative:
        arrays = relative_to(arrays, frame)
        facts["portrait_is_frame"] = frame
    facts["mouth"] = "clip" if len(textures) else "painted"
    arrays = dict(arrays) | {"mouth_texture": textures}
    if template.performance is None:  # what is written and not measured has no jitter
        arrays = _smoothed(arrays, template.rate)
    rate = parameters.output_rate(template.rate)
    mixture = output_frames(template, rate, parameters)
    if parameters.loop:
        motion = {name: mixture.apply(arrays[name]) for name in _CURVES}
        steady = {name: motion[name] for name in STEADY}
        plan = template_loop(template, _features(motion, parameters), rate, parameters, steady)
        mixture = plan.mixture.after(mixture)
        facts["loop"] = plan.facts(rate, steady)
    timed = dict(arrays)
    for name in _PER_FRAME:
        if len(arrays[name]):
            timed[name] = mixture.apply(arrays[name])
    return Timing(timed, rate, _shut_closure(template), facts)


def _shut_closure(template: MotionTemplate) -> float:
    """What a shut eye measures in `closure` (T, 2): the depth of the clip's own deepest blink.

    Behind glasses, or with narrow eyes, landmarks see even a shut eye half open; on others they
    reach almost one. Only what is brief counts: a squint must not close the eyes. Where
    both eyes never blink together, the wink of one eye counts.
    """
    eyes, rate = template.arrays["closure"].astype(np.float64), template.rate
    if template.performance is not None:
        return SHUT_CLOSURE
    for curves in ([eyes.mean(axis=1)], [eyes[:, 0], eyes[:, 1]]):
        depths = np.concatenate([_brief_depths(curve, rate) for curve in curves])
        if len(depths):
            return float(np.clip(depths.max(), *_SHUT_RANGE))
    return SHUT_CLOSURE


def _brief_depths(curve: NDArray[np.float64], rate: Fraction) -> NDArray[np.float64]:
    """Heights of the brief peaks of a closure (T,); one that ebbs into a squint is brief, too."""
    padded = np.concatenate([[0.0], curve, [0.0]])  # a blink at either end has one shoulder only
    longest = _MAX_BLINK_S * float(rate)
    heights = [
        peak.height
        for peak in peaks_of(padded, least=_SHUT_RANGE[0], below=_BLINK_WIDTH_HEIGHT)
        if peak.prominence >= _BLINK_PROMINENCE and peak.width <= longest
    ]
    return np.array(heights, dtype=np.float64)


def _mouth_textures(arrays: Arrays) -> NDArray[np.uint8]:
    """(T, h, w, 3) the inside of the clip's mouth; none (T = 0) where it cannot be used.

    It can where at least half of the frames with an open mouth show teeth that are told apart. The
    others, and those in which it is nearly closed and shows only lips, take the nearest such one.
    """
    textures, openings = arrays["mouth_texture"], arrays["mouth_opening"]
    open_ = np.flatnonzero(openings >= _OPEN_MOUTH) if len(textures) else np.array([], np.intp)
    details = [MouthDetail.of(textures[frame], arrays["skin"]) for frame in open_]
    usable = np.array([detail.shows_teeth for detail in details], dtype=np.bool_)
    if usable.sum() * 2 < max(len(open_), 1):
        return textures[:0]
    good, frames = open_[usable], np.arange(len(textures))
    after = np.searchsorted(good, frames).clip(max=len(good) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.abs(good[after] - frames) <= np.abs(good[before] - frames)
    return np.asarray(textures[good[np.where(nearer, after, before)]])


def _smoothed(arrays: Arrays, rate: Fraction) -> dict[str, NDArray[Any]]:
    """The arrays without the landmarks' jitter."""
    return dict(arrays) | {
        name: smooth(arrays[name], rate, frames_at_30=frames).astype(np.float32)
        for name, frames in _SMOOTHING.items()
    }


def _features(arrays: Arrays, parameters: RenderParameters) -> NDArray[np.float64]:
    """(T, F) what must agree where a loop closes, all in IOD as a viewer sees it."""
    frames = len(arrays["rotation"])
    moves_lips = parameters.lips == "clip"
    key = arrays["expression"][:, list(_KEY_VERTICES), :2].astype(np.float64)
    columns = [
        arrays["rotation"],
        parameters.scale_multiplier * arrays["log_scale"][:, None],
        arrays["translation"][:, :2],
        key if moves_lips else key[:, 5:],
        _LID_HEIGHT * arrays["closure"],
        _EYE_WIDTH * arrays["gaze"],
    ]
    return np.concatenate([column.reshape(frames, -1) for column in columns], axis=1)
