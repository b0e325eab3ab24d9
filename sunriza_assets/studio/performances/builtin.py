"""The motion scripts of the built-in performances.

`plans` defines the events of each; this module turns them into curves and adds the motion of the
body: rotation about the neck, breath, and eyes that compensate for head turns.
"""

from fractions import Fraction
from typing import Final

import numpy as np

from sunriza_assets.studio.performances.curves import (
    Curve,
    blinks,
    breath,
    drift,
    moves,
)
from sunriza_assets.studio.performances.named import checked_performance
from sunriza_assets.studio.performances.plans import PLANS, Plan
from sunriza_assets.studio.performances.script import MotionScript

__all__ = ["motion_script"]

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


def motion_script(name: str) -> MotionScript:
    """The built-in performance of this name.

    Raises:
        AvatarError: there is none.
    """
    plan = PLANS[checked_performance(name)]
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
