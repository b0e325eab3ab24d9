"""A template's motion on the idle's time axis: smoothed pose, output rate, closed loop.

Rotations and scales are mixed as rotation vectors and logarithms, relative to the frame at rest,
where weighted sums of them mean something.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sunriza_assets.studio.engines.liveportrait.anatomy import LIPS
from sunriza_assets.studio.engines.liveportrait.driving import Ratios
from sunriza_assets.studio.engines.liveportrait.keypoints import Motion
from sunriza_assets.studio.engines.liveportrait.networks.motion import KEYPOINTS
from sunriza_assets.studio.engines.liveportrait.template import motion_in, ratios_in
from sunriza_assets.studio.motion.mixture import Mixture
from sunriza_assets.studio.motion.smoothing import POSE_FRAMES, smooth
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.performances.repeated import output_frames, template_loop

__all__ = ["Timing", "plan_timing"]

Curves = Mapping[str, NDArray[np.float64]]

_POSE: Final[tuple[str, ...]] = ("rotation", "log_scale", "t")
_SEAM_CURVES: Final[tuple[str, ...]] = ("rotation", "t", "exp", "eyes")
"""Curves that must each be continuous at the loop's seam."""
_ANGLE_TO_SHIFT: Final = 0.4
"""Distance of a face's outline from its middle in keypoint units: it turns radians into shifts."""
_EYE_WIDTH: Final = 0.15
"""Width of an eye in keypoint units: it turns opening ratios into openings."""


@dataclass(frozen=True)
class Timing:
    """A template's motion at the idle's rate, closed into a loop if that is wanted."""

    motion: Motion
    """The frames of the idle."""
    ratios: Ratios | None
    """Their opening ratios; None where the template has none."""
    reference: Motion
    """(one face) what relative motion is measured from."""
    is_performed: bool
    """Whether it comes from a motion script: lids are then in `ratios` only, not in `motion`."""
    rate: Fraction
    """Frames per second of the idle."""
    facts: dict[str, Any]
    """Reference and loop: JSON values."""


def plan_timing(template: MotionTemplate, parameters: RenderParameters) -> Timing:
    """Lay a template's motion out in the idle's time.

    Raises:
        EngineError: the template is another engine's.
    """
    motion, ratios = motion_in(template), ratios_in(template)
    rest = template.neutral_frame
    curves = _curves(motion, ratios, rest)
    is_performed = template.performance is not None
    if is_performed:  # what is written and not measured has no jitter, and its own zero is rest
        reference = _at_rest()
    else:
        curves |= {
            name: smooth(curves[name], template.rate, frames_at_30=POSE_FRAMES) for name in _POSE
        }
        reference = _motion(curves, motion, rest, Mixture.of_frames(np.array([rest])))
    rate = parameters.output_rate(template.rate)
    mixture = output_frames(template, rate, parameters)
    facts: dict[str, Any] = {"neutral_frame": rest}
    if parameters.loop:
        timed = {name: mixture.apply(curve) for name, curve in curves.items()}
        steady = {name: timed[name] for name in _SEAM_CURVES if name in timed}
        plan = template_loop(template, _features(timed, parameters), rate, parameters, steady)
        mixture = plan.mixture.after(mixture)
        facts["loop"] = plan.facts(rate, steady)
    timed_ratios = None
    if ratios is not None:
        eyes, lip = (
            torch.from_numpy(mixture.apply(curves[name]).astype(np.float32))
            for name in ("eyes", "lip")
        )
        timed_ratios = Ratios(eyes, lip)
    return Timing(
        motion=_motion(curves, motion, rest, mixture),
        ratios=timed_ratios,
        reference=reference,
        is_performed=is_performed,
        rate=rate,
        facts=facts,
    )


def _at_rest() -> Motion:
    """One face from which nothing has moved."""
    nothing = torch.zeros(1, KEYPOINTS, 3)
    return Motion(
        scale=torch.ones(1, 1),
        rotation=torch.eye(3)[None],
        exp=nothing,
        t=torch.zeros(1, 3),
        kp=nothing,
    )


def _curves(motion: Motion, ratios: Ratios | None, rest: int) -> dict[str, NDArray[np.float64]]:
    """Everything that moves, as curves (T, ...) that may be mixed."""
    turned = motion.rotation @ motion.rotation[rest].T
    curves = {
        "rotation": Rotation.from_matrix(turned.double().numpy()).as_rotvec(),
        "log_scale": motion.scale.double().log().numpy(),
        "t": motion.t.double().numpy(),
        "exp": motion.exp.double().numpy(),
    }
    if ratios is not None:
        curves["eyes"] = ratios.eyes.double().numpy()
        curves["lip"] = ratios.lip.double().numpy()
    return curves


def _motion(curves: Curves, motion: Motion, rest: int, mixture: Mixture) -> Motion:
    """The curves, mixed, as a motion again."""
    mixed = {
        name: torch.from_numpy(mixture.apply(curves[name])).float() for name in (*_POSE, "exp")
    }
    turned = Rotation.from_rotvec(mixed["rotation"].double().numpy()).as_matrix()
    return Motion(
        scale=mixed["log_scale"].exp(),
        rotation=torch.from_numpy(turned).float() @ motion.rotation[rest],
        exp=mixed["exp"],
        t=mixed["t"],
        kp=motion.kp[rest : rest + 1].expand(len(mixture), KEYPOINTS, 3),
    )


def _features(curves: Curves, parameters: RenderParameters) -> NDArray[np.float64]:
    """(T, F) what must agree where a loop closes, all in keypoint units as a viewer sees it."""
    frames = len(curves["rotation"])
    exp = curves["exp"][..., :2]
    if parameters.lips == "still":
        exp = np.delete(exp, LIPS, axis=1)
    columns = [
        _ANGLE_TO_SHIFT * curves["rotation"],
        _ANGLE_TO_SHIFT * parameters.scale_multiplier * curves["log_scale"],
        curves["t"][:, :2],
        exp,
    ]
    if "eyes" in curves:
        columns.append(_EYE_WIDTH * curves["eyes"])
    return np.concatenate([column.reshape(frames, -1) for column in columns], axis=1)
