"""The three built-in performances and their motion scripts.

`plans` defines the events of each; this module turns them into curves and adds the motion of the
body: rotation about the neck, breath, and eyes that compensate for head turns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from sunriza_assets.errors import AvatarError
from sunriza_assets.studio.parameters import canonical
from sunriza_assets.studio.performances.curves import (
    Curve,
    blinks,
    breath,
    drift,
    moves,
)
from sunriza_assets.studio.performances.plans import PLANS, Plan
from sunriza_assets.studio.performances.script import MotionScript

__all__ = [
    "DEFAULT_PERFORMANCE",
    "PERFORMANCES",
    "Performance",
    "motion_script",
    "with_performance_defaults",
]

RATE: Final = Fraction(25)
"""Frames per second of all of them; live lip-sync runs at 25, too."""
_NECK_AXIS_DEPTH: Final = 0.75
"""Distance of the axis of yaw and pitch behind the face, IOD."""
_NECK_AXIS_DROP: Final = 1.3
"""Distance of the centre of roll below the middle of the skull's landmarks, IOD."""
_IRIS_SHIFT_PER_RADIAN: Final = 0.42
"""Shift of an iris per radian that its eye turns, eye widths."""
_BREATH_RISE: Final = 0.010
_BREATH_GROWTH: Final = 0.004
_BREATH_LEAN: Final = 0.0035
"""Effect of a breath on the head: shift up (IOD), growth in scale, pitch back (radians)."""
_GLANCE_S: Final = 0.06
"""Duration of a small saccade."""


@dataclass(frozen=True, slots=True)
class Performance:
    """Description and default parameters of a performance; its events are in `plans`."""

    description: str
    """Half a sentence for users."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Default render parameters, which the document or the launchpad may override. A constant
    expression is an emotion parameter, because it applies to viseme cells, too."""


PERFORMANCES: Final[Mapping[str, Performance]] = MappingProxyType(
    {
        "calm": Performance("quiet and present: slow shifts of the head, the trace of a smile"),
        "cheerful": Performance(
            "in a good mood: a smile that grows and fades, a lively head and brows",
            {"emotion": "happy", "emotion_strength": 0.65},
        ),
        "attentive": Performance("listening: leans in, nods, raises the brows"),
    }
)
"""By name."""
DEFAULT_PERFORMANCE: Final = "calm"
"""Default of the command line where neither a clip nor a name is given."""


def with_performance_defaults(name: str | None, requested: Mapping[str, Any]) -> dict[str, Any]:
    """The default parameters of a performance, overridden by requested ones.

    Args:
        name: the performance; None or an unknown name has no defaults.
        wishes: raw parameters; with an emotion or its strength, no default applies.

    Raises:
        ParameterError: an unknown parameter.
    """
    canonical_requested = canonical(requested)
    performance = PERFORMANCES.get(name or "")
    if performance is None or not canonical_requested.keys().isdisjoint(performance.parameters):
        return canonical_requested
    return {**performance.parameters, **canonical_requested}


def motion_script(name: str) -> MotionScript:
    """The built-in performance of this name.

    Raises:
        AvatarError: there is none.
    """
    if name not in PERFORMANCES:
        shown = repr(name) if len(repr(name)) <= 60 else f"{repr(name)[:57]}..."
        raise AvatarError(
            f"There is no performance {shown}",
            remedy=f"Use one of {', '.join(PERFORMANCES)}, or a talking clip.",
            code="performance",
        )
    plan = PLANS[name]
    period = float(plan.seconds)
    times = np.arange(int(plan.seconds * RATE)) / float(RATE)
    chest = breath(times, period, plan.breaths)

    def curve(part: str) -> Curve:
        size = plan.drifts.get(part, 0.0)
        path = plan.paths.get(part, ((0.0, 1.0, 0.0),))
        return moves(times, period, path) + drift(f"{name}/{part}", times, period, size)

    yaw, roll, smile = curve("yaw"), curve("roll"), curve("smile")
    pitch = curve("pitch") - _BREATH_LEAN * chest
    shift_x = _NECK_AXIS_DEPTH * np.sin(yaw) + _NECK_AXIS_DROP * np.sin(roll)
    shift_y = _NECK_AXIS_DEPTH * np.sin(pitch) - _BREATH_RISE * chest
    lids, blink_closure = curve("closure") + plan.squint * smile, blinks(times, plan.blinks)
    return MotionScript(
        name=name,
        rate=RATE,
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        shift=np.stack([curve("x") + shift_x, curve("y") + shift_y], axis=1),
        log_scale=curve("log_scale") + _BREATH_GROWTH * chest,
        closure=lids + (1.0 - lids) * blink_closure,
        gaze=_glances(plan, times) - _IRIS_SHIFT_PER_RADIAN * np.stack([yaw, pitch], axis=1),
        smile=smile,
        brows=curve("brows"),
        opening=curve("opening"),
        width=curve("width"),
    )


def _glances(plan: Plan, times: Curve) -> Curve:
    """(T, 2) where the eyes look: fixations with saccades between them."""
    return np.stack(
        [
            moves(times, plan.seconds, [(jump[0], _GLANCE_S, jump[axis]) for jump in plan.glances])
            for axis in (1, 2)
        ],
        axis=1,
    )
