"""The three performances there are, and the motion script of each.

`plans` says what happens; here it becomes curves, and a body comes to it: a neck to turn on,
breath, and eyes that hold on to the viewer.
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
    "with_manner",
]

RATE: Final = Fraction(25)
"""Frames per second of all of them; live lip-sync runs at 25, too."""
_NECK_BEHIND: Final = 0.75
"""How far the axis that a head turns and nods about lies behind the face, IOD."""
_NECK_BELOW: Final = 1.3
"""How far the point that it tilts about lies below the middle of the skull's landmarks, IOD."""
_EYE_LEVER: Final = 0.42
"""How far an iris goes for each radian that its eye turns, eye widths."""
_BREATH_RISE: Final = 0.010
_BREATH_GROWTH: Final = 0.004
_BREATH_LEAN: Final = 0.0035
"""What a breath does to the head: IOD up, growth (it comes nearer), radians back."""
_GLANCE_S: Final = 0.06
"""Duration of a small saccade."""


@dataclass(frozen=True, slots=True)
class Performance:
    """What is known of a performance beside its plan."""

    description: str
    """What it is like, in half a sentence."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that belong to it, unless the document or the launchpad says others: what a face
    wears all along is an emotion, for viseme cells wear that, too."""


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
"""What the command line takes where it is given neither a clip nor a name."""


def with_manner(name: str | None, wishes: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a performance brings along, under a document's wishes.

    Args:
        name: the performance; None, or one that is not known here, brings none.
        wishes: raw parameters; who wants an emotion, or its strength, wants all of it.

    Raises:
        ParameterError: a wish that is no parameter.
    """
    asked = canonical(wishes)
    performance = PERFORMANCES.get(name or "")
    if performance is None or not asked.keys().isdisjoint(performance.parameters):
        return asked
    return {**performance.parameters, **asked}


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
    carried_x = _NECK_BEHIND * np.sin(yaw) + _NECK_BELOW * np.sin(roll)
    carried_y = _NECK_BEHIND * np.sin(pitch) - _BREATH_RISE * chest
    lids, shut = curve("closure") + plan.squint * smile, blinks(times, plan.blinks)
    return MotionScript(
        name=name,
        rate=RATE,
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        shift=np.stack([curve("x") + carried_x, curve("y") + carried_y], axis=1),
        log_scale=curve("log_scale") + _BREATH_GROWTH * chest,
        closure=lids + (1.0 - lids) * shut,
        gaze=_glances(plan, times) - _EYE_LEVER * np.stack([yaw, pitch], axis=1),
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
