"""The motion template of this engine: conversion of motion and ratios to arrays, and back.

568 bytes a frame. See the package's docstring for the arrays.
"""

from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.engines.liveportrait.driving import Ratios
from sunriza_assets.studio.engines.liveportrait.keypoints import Motion
from sunriza_assets.studio.engines.liveportrait.networks.motion import KEYPOINTS
from sunriza_assets.studio.motion.template import MotionTemplate

__all__ = ["ENGINE", "VERSION", "arrays_of", "build_template", "motion_in", "ratios_in"]

ENGINE: Final = "liveportrait"
VERSION: Final = "2"
"""To be raised when the output of extraction changes."""

_SHAPES: Final[Mapping[str, tuple[int, ...]]] = {
    "scale": (1,),
    "rotation": (3, 3),
    "exp": (KEYPOINTS, 3),
    "t": (3,),
    "kp": (KEYPOINTS, 3),
    "eyes": (2,),
    "lip": (1,),
}
_OPTIONAL: Final = frozenset({"kp", "eyes", "lip"})
"""What an imported template may lack."""


def arrays_of(motion: Motion) -> dict[str, NDArray[np.float32]]:
    """The arrays of a motion."""
    return {field.name: getattr(motion, field.name).numpy() for field in fields(Motion)}


def build_template(
    arrays: Mapping[str, NDArray[np.float32]],
    *,
    rate: Fraction,
    source_sha256: str,
    neutral_frame: int,
    facts: Mapping[str, Any],
) -> MotionTemplate:
    """A template of these arrays."""
    return MotionTemplate(
        engine=ENGINE,
        engine_version=VERSION,
        rate=rate,
        frame_count=len(arrays["scale"]),
        source_sha256=source_sha256,
        neutral_frame=neutral_frame,
        arrays=arrays,
        facts=facts,
    )


def motion_in(template: MotionTemplate) -> Motion:
    """The motion in a template; missing canonical keypoints are zeros, as they are not used.

    Raises:
        EngineError: another engine's template, or one with arrays of other shapes.
    """
    if template.engine != ENGINE:
        raise EngineError(
            f"The template was written by engine {template.engine!r}, not {ENGINE!r}",
            remedy="Extract the clip again with this engine.",
        )
    count = template.frame_count
    for name, shape in _SHAPES.items():
        array = template.arrays.get(name)
        if array is None and name in _OPTIONAL:
            continue
        if array is None or array.shape != (count, *shape) or array.dtype != np.float32:
            said = "missing" if array is None else f"{array.shape} {array.dtype}"
            raise EngineError(
                f"Array {name!r} of the template is {said}, not {(count, *shape)} float32",
                remedy="Render with --force to extract the clip again.",
            )
    kp = template.arrays.get("kp", np.zeros((count, KEYPOINTS, 3), np.float32))
    named = {name: template.arrays[name] for name in ("scale", "rotation", "exp", "t")}
    return Motion(**{name: torch.from_numpy(a.copy()) for name, a in {**named, "kp": kp}.items()})


def ratios_in(template: MotionTemplate) -> Ratios | None:
    """The opening ratios in a template; None where an imported one has none."""
    if not {"eyes", "lip"} <= set(template.arrays):
        return None
    return Ratios(
        eyes=torch.from_numpy(template.arrays["eyes"].copy()),
        lip=torch.from_numpy(template.arrays["lip"].copy()),
    )
