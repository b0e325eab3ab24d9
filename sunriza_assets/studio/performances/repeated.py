"""Templates at the idle's rate and length: clips are resampled and looped, performances repeated.

A performance is a loop already, of its own length. Only for another requested length is a loop
searched in it as in a clip, in two rounds of it, so that every length fits.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.motion.loop import LoopPlan, plan_loop
from sunriza_assets.studio.motion.mixture import Mixture
from sunriza_assets.studio.motion.resample import repeating, resampling
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import RenderParameters

__all__ = ["output_frames", "template_loop"]


def output_frames(
    template: MotionTemplate, rate: Fraction, parameters: RenderParameters
) -> Mixture:
    """Mixture of a template's frames for each frame at the idle's rate, before looping."""
    if template.performance is None:
        return resampling(template.frame_count, template.rate, rate)
    rounds = 2 if parameters.loop and parameters.loop_seconds is not None else 1
    return repeating(template.frame_count, template.rate, rate, rounds=rounds)


def template_loop(
    template: MotionTemplate,
    features: NDArray[Any],
    rate: Fraction,
    parameters: RenderParameters,
    steady: Mapping[str, NDArray[Any]],
) -> LoopPlan:
    """The loop in the frames of `output_frames`.

    Args:
        features: (T, F) what must match at the seam; see `plan_loop`.
        steady: name -> (T, ...) arrays that shall each have an ordinary step there.
    """
    if template.performance is not None and parameters.loop_seconds is None:
        return LoopPlan(
            start=0,
            frame_count=len(features),
            glide=0,
            mixture=Mixture.of_frames(np.arange(len(features))),
            distance=0.0,
            glide_speed=0.0,
            requested_s=None,
        )
    return plan_loop(features, rate, loop_seconds=parameters.loop_seconds, steady=steady)
