"""The scripted performance: what the head in the sample clip does, as curves over time.

Two blinks, a nod, a turn to one side and back, and three spoken sentences, at times that are known
exactly; so that extraction can be tested against them. Pictures and engines do not belong here.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from sunriza_assets.studio.expression.visemes import VISEMES

__all__ = ["BLINKS_S", "SPEECH", "Performance", "perform"]

Curve = NDArray[np.float64]

BLINKS_S: Final = (1.6, 4.88)
"""When the eyes are shut, seconds."""
_BLINK_SHAPE: Final = ((-0.16, 0.0), (-0.04, 1.0), (0.04, 1.0), (0.22, 0.0))
"""A blink as (seconds from its height, closure): lids fall faster than they rise."""

SPEECH: Final[tuple[tuple[float, str], ...]] = (
    # "Good morning."
    (0.36, "Rest"), (0.48, "E"), (0.60, "U"), (0.72, "L"), (0.84, "MBP"), (0.96, "O"),
    (1.08, "R"), (1.20, "L"), (1.32, "E"), (1.52, "Rest"),
    # "My name is Ava."
    (1.96, "Rest"), (2.08, "MBP"), (2.20, "AI"), (2.36, "L"), (2.48, "E"), (2.60, "MBP"),
    (2.72, "E"), (2.84, "CH"), (3.00, "AI"), (3.16, "FV"), (3.32, "AI"), (3.52, "Rest"),
    # "How are you?"
    (3.80, "Rest"), (3.92, "E"), (4.04, "AI"), (4.20, "WQ"), (4.36, "AI"), (4.48, "R"),
    (4.60, "E"), (4.76, "U"), (5.00, "Rest"),
)  # fmt: skip
"""(seconds, viseme) at which the lips have reached a shape; between two they glide. All of these
are moments of frames at 25 frames per second."""

# Knots (seconds, value); a curve rests at each of its extremes.
_YAW: Final = ((0, 0), (2.7, 0), (3.35, 0.24), (3.85, 0.24), (4.6, -0.07), (5.3, 0), (6, 0))
_PITCH: Final = ((0, 0), (0.8, 0), (1.14, 0.2), (1.5, -0.02), (1.8, 0.14), (2.2, 0), (6, 0))
_ROLL: Final = ((0, 0), (2.0, 0), (2.6, 0.05), (3.5, 0.02), (4.4, -0.04), (5.3, 0), (6, 0))
_GAZE_X: Final = ((0, 0), (3.0, 0), (3.15, -0.05), (3.8, -0.05), (4.0, 0), (6, 0))
_SWAY: Final = 0.012
"""Amplitude of the slow sway that no head is without, radians."""
_SWAY_S: Final = 3.0
"""Its period; it fits the performance twice, so that the end meets the beginning."""
_BREATH: Final = 0.006
"""Amplitude of breathing, IOD."""


@dataclass(frozen=True)
class Performance:
    """What happens in T frames."""

    rate: Fraction
    """Frames per second."""
    yaw: Curve
    """(T,) radians, positive to the picture's right."""
    pitch: Curve
    """(T,) radians, positive down."""
    roll: Curve
    """(T,) radians, positive clockwise as seen."""
    shift: Curve
    """(T, 2) of the head, IOD, x right and y down."""
    closure: Curve
    """(T,) of both eyes, 0 open, 1 shut."""
    gaze: Curve
    """(T, 2) of both irises, eye widths, x right and y down."""
    visemes: Curve
    """(T, 12) share of each viseme in the lips' shape, rows sum to one, in the atlas's order."""

    @property
    def frame_count(self) -> int:
        """T."""
        return len(self.yaw)

    @property
    def blink_frames(self) -> tuple[int, ...]:
        """The frame nearest to the height of each blink."""
        return tuple(round(seconds * float(self.rate)) for seconds in BLINKS_S)

    def viseme_frame(self, number: int) -> int:
        """The frame nearest to the `number`-th entry of `SPEECH`."""
        return round(SPEECH[number][0] * float(self.rate))


def perform(rate: Fraction = Fraction(25), seconds: Fraction = Fraction(6)) -> Performance:
    """The performance at a frame rate: frame k shows the moment k / rate.

    Args:
        rate: frames per second.
        seconds: how much of it; beyond six seconds the head sways on in silence.
    """
    times = np.array([float(k / rate) for k in range(int(rate * seconds))])
    sway = _SWAY * np.sin(2 * np.pi * times / _SWAY_S)
    shift_x = 0.5 * sway
    shift_y = _BREATH * np.sin(4 * np.pi * times / _SWAY_S)
    return Performance(
        rate=rate,
        yaw=_curve(_YAW, times) + sway,
        pitch=_curve(_PITCH, times) + 0.4 * np.roll(sway, len(times) // 5),
        roll=_curve(_ROLL, times),
        shift=np.stack([shift_x, shift_y], axis=1),
        closure=_blinks(times),
        gaze=np.stack([_curve(_GAZE_X, times), np.zeros_like(times)], axis=1),
        visemes=_speech(times),
    )


def _curve(knots: tuple[tuple[float, float], ...], times: Curve) -> Curve:
    """Monotone cubic through the knots (PCHIP, Fritsch and Carlson 1980), held at the ends."""
    seconds, values = np.array(knots, dtype=np.float64).T
    inside = np.clip(times, seconds[0], seconds[-1])
    return np.asarray(PchipInterpolator(seconds, values)(inside))


def _blinks(times: Curve) -> Curve:
    return np.max([_curve(_BLINK_SHAPE, times - height) for height in BLINKS_S], axis=0)


def _speech(times: Curve) -> NDArray[Any]:
    """(T, 12) shares: a smoothstep from each shape to the next."""
    names = list(VISEMES)
    keys = np.array([seconds for seconds, _ in SPEECH])
    shapes = np.eye(len(names))[[names.index(name) for _, name in SPEECH]]
    after = np.clip(np.searchsorted(keys, times, side="right"), 1, len(keys) - 1)
    x = np.clip((times - keys[after - 1]) / (keys[after] - keys[after - 1]), 0.0, 1.0)
    share = (x * x * (3.0 - 2.0 * x))[:, None]
    return np.asarray((1.0 - share) * shapes[after - 1] + share * shapes[after])
