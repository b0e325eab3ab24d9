"""Time of frames: from the timestamps a file carries to an exact constant rate.

Pure arithmetic on integers and fractions; nothing is read or decoded here. Times are seconds on
the clip's own clock, zero at its first frame.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Final

__all__ = ["MAX_RATE", "Timeline", "build_timeline", "slot_of", "usable_rate"]

STANDARD_RATES: Final = tuple(
    sorted(
        [Fraction(n) for n in (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 200, 240)]
        + [Fraction(n * 1000, 1001) for n in (12, 15, 24, 30, 48, 60, 120, 240)]
        + [Fraction(25, 2)]
    )
)
"""Rates that cameras and encoders use."""
MAX_RATE: Final = Fraction(60)
"""A trimmed clip's highest rate; a faster one keeps every second, third or fourth frame."""
GRID_TOLERANCE: Final = Fraction(1, 1000)
"""Timestamps that stand this close to a grid are rounded ones: Matroska counts milliseconds."""
_LOST_SHARE: Final = 0.01
"""Share of a variable clip's frames that may fall together when a constant rate is chosen."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """When each frame of a clip is shown."""

    origin: int
    """Timestamp of the first frame, in ticks."""
    tick: Fraction
    """Seconds of a tick."""
    times: tuple[Fraction, ...]
    """Time of each frame in seconds, strictly rising from 0."""
    duration: Fraction
    """Time at which the last frame ends."""
    rate: Fraction
    """Frames per second, exact; of a variable clip, the constant rate that keeps its frames."""
    constant: bool
    """Whether all frames stand on that rate's grid."""

    def frame_at(self, timestamp: int) -> Fraction:
        """Time of a timestamp; on a constant grid, the grid's own exact time."""
        time = (timestamp - self.origin) * self.tick
        return Fraction(round(time * self.rate)) / self.rate if self.constant else time


def build_timeline(
    timestamps: Sequence[int],
    tick: Fraction,
    *,
    last_duration: int | None = None,
    hint: Fraction | None = None,
) -> Timeline:
    """Understand the timestamps of a clip's frames.

    Args:
        timestamps: one per frame in ticks, any order; twins count once.
        tick: seconds of a tick.
        last_duration: ticks the last frame lasts, if the file says so.
        hint: frames per second the file claims, used for a single frame only.

    Raises:
        ValueError: no timestamps.
    """
    stamps = sorted(set(timestamps))
    if not stamps:
        raise ValueError("no timestamps")
    times = tuple((stamp - stamps[0]) * tick for stamp in stamps)
    said = last_duration * tick if last_duration and last_duration > 0 else None
    if len(stamps) == 1:
        rate = 1 / said if said else (hint if hint and hint > 0 else Fraction(25))
        return Timeline(stamps[0], tick, times, 1 / rate, rate, constant=True)
    rate, constant = _rate_of(times, tick)
    frame = 1 / rate
    if constant:
        duration = frame * (round(times[-1] * rate) + 1)
    else:
        usual = Fraction(median(b - a for a, b in pairwise(times)))
        duration = times[-1] + (said if said and said < 10 * usual else usual)
    return Timeline(stamps[0], tick, times, duration, rate, constant)


def slot_of(time: Fraction, start: Fraction, rate: Fraction) -> int:
    """Index of the output frame from which on a frame shown at `time` is visible: the nearest."""
    return math.floor((time - start) * rate + Fraction(1, 2))


def usable_rate(rate: Fraction) -> Fraction:
    """The rate itself, or the largest whole part of it that is at most `MAX_RATE`."""
    return rate / math.ceil(rate / MAX_RATE)


def _rate_of(times: Sequence[Fraction], tick: Fraction) -> tuple[Fraction, bool]:
    """The exact rate of at least two times, and whether they all stand on its grid."""
    mean = times[-1] / (len(times) - 1)
    even = all(b - a == mean for a, b in pairwise(times))
    if even and tick < GRID_TOLERANCE:
        return 1 / mean, True
    near = sorted(STANDARD_RATES, key=lambda rate: abs(rate * mean - 1))
    for rate in near[:3]:
        tolerance = min(max(tick, GRID_TOLERANCE), Fraction(1, 4) / rate)
        if all(abs(time - i / rate) <= tolerance for i, time in enumerate(times)):
            return rate, True
    if even:
        return 1 / mean, True
    return _keeping_rate(times), False


def _keeping_rate(times: Sequence[Fraction]) -> Fraction:
    """The slowest standard rate, or a better fitting one near it, at which frames stay apart."""
    mean_rate = float((len(times) - 1) / times[-1])
    seconds = [float(time) for time in times]
    allowed = int(len(times) * _LOST_SHARE)
    fitting = [
        rate
        for rate in STANDARD_RATES
        if rate >= 0.97 * mean_rate and _collisions(seconds, float(rate)) <= allowed
    ]
    if not fitting:
        return STANDARD_RATES[-1]
    return min(
        (rate for rate in fitting if rate <= fitting[0] * Fraction(13, 10)),
        key=lambda rate: _misfit(seconds, float(rate)),
    )


def _collisions(seconds: Sequence[float], rate: float) -> int:
    """Frames that would share an output frame with their successor."""
    return len(seconds) - len({math.floor(time * rate + 0.5) for time in seconds})


def _misfit(seconds: Sequence[float], rate: float) -> float:
    """Mean squared distance from the rate's grid, in frames."""
    places = [time * rate for time in seconds]
    return sum((place - round(place)) ** 2 for place in places) / len(places)
