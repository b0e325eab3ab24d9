"""Timing of frames: from timestamps of a file to an exact constant rate.

Pure arithmetic on integers and fractions; nothing is read or decoded here. Timestamps are integers
in ticks, times are seconds on the clip's own clock, zero at its first frame.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_RATE", "Timeline", "build_timeline", "nearest", "usable_rate"]

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
"""Timestamps this close to a grid count as rounded, as in Matroska with its milliseconds."""
_LOST_SHARE: Final = 0.01
"""Share of a variable clip's frames that may fall together when a constant rate is chosen."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """When each frame of a clip is shown."""

    stamps: tuple[int, ...]
    """Timestamp of each frame in ticks, strictly rising."""
    tick: Fraction
    """Seconds of a tick."""
    duration: Fraction
    """Time at which the last frame ends."""
    rate: Fraction
    """Frames per second, exact; of a variable clip, the constant rate that keeps its frames."""
    constant: bool
    """Whether all frames stand on that rate's grid."""

    def time_of(self, stamp: int) -> Fraction:
        """Time of a timestamp; on a constant grid, the grid's own exact time."""
        time = (stamp - self.stamps[0]) * self.tick
        return round(time * self.rate) / self.rate if self.constant else time

    def stamp_at(self, time: Fraction) -> int:
        """The last timestamp that is not after a time, or the first of all."""
        return self.stamps[0] + math.floor(time / self.tick)


def build_timeline(
    timestamps: Sequence[int],
    tick: Fraction,
    *,
    last_duration: int | None = None,
    hint: Fraction | None = None,
) -> Timeline:
    """The timeline of a clip, from the timestamps of its frames.

    Args:
        timestamps: one per frame in ticks, any order; duplicates count once.
        tick: seconds of a tick.
        last_duration: ticks the last frame lasts, if the file says so.
        hint: frames per second the file claims: decides for a single frame, and between rates
            that explain the timestamps equally well (a second of 29.97 and of 30 in milliseconds).

    Raises:
        ValueError: no timestamps.
    """
    stamps = tuple(sorted(set(timestamps)))
    if not stamps:
        raise ValueError("no timestamps")
    last_shown = last_duration * tick if last_duration and last_duration > 0 else None
    if len(stamps) == 1:
        rate = 1 / last_shown if last_shown else (hint if hint and hint > 0 else Fraction(25))
        return Timeline(stamps, tick, 1 / rate, rate, constant=True)
    rate, constant = _rate_of(stamps, tick, hint)
    if constant:
        return Timeline(stamps, tick, len(stamps) / rate, rate, constant=True)
    median_step = Fraction(median(b - a for a, b in pairwise(stamps))) * tick
    last = last_shown if last_shown and last_shown < 10 * median_step else median_step
    return Timeline(stamps, tick, (stamps[-1] - stamps[0]) * tick + last, rate, constant=False)


def nearest(place: Fraction) -> int:
    """The whole number nearest to a place, halves upwards."""
    return math.floor(place + Fraction(1, 2))


def usable_rate(rate: Fraction) -> Fraction:
    """The rate itself; of a faster one than `MAX_RATE` a whole part, of one below 1 a multiple."""
    return rate / math.ceil(rate / MAX_RATE) if rate >= 1 else rate * math.ceil(1 / rate)


def _rate_of(stamps: Sequence[int], tick: Fraction, hint: Fraction | None) -> tuple[Fraction, bool]:
    """The exact rate of at least two frames, and whether they all stand on its grid."""
    mean = (stamps[-1] - stamps[0]) * tick / (len(stamps) - 1)
    step = stamps[1] - stamps[0]
    even = all(b - a == step for a, b in pairwise(stamps))
    if even and tick < GRID_TOLERANCE:
        return 1 / mean, True
    near = sorted(STANDARD_RATES, key=lambda rate: abs(rate * mean - 1))[:3]
    for rate in sorted(near, key=lambda rate: rate != hint):
        if _on_grid(stamps, tick, rate):
            return rate, True
    if even:
        return 1 / mean, True
    return _rate_without_collisions(stamps, tick), False


def _on_grid(stamps: Sequence[int], tick: Fraction, rate: Fraction) -> bool:
    """Whether frame i stands at i / rate, to the tolerance; in integers, for long clips."""
    tolerance = min(max(tick, GRID_TOLERANCE), 1 / (4 * rate))
    per_stamp = tick.numerator * rate.numerator
    per_frame = tick.denominator * rate.denominator
    allowed = math.floor(tolerance * tick.denominator * rate.numerator)
    first = stamps[0]
    return all(
        abs((stamp - first) * per_stamp - i * per_frame) <= allowed
        for i, stamp in enumerate(stamps)
    )


def _rate_without_collisions(stamps: Sequence[int], tick: Fraction) -> Fraction:
    """The slowest standard rate, or a better fitting one near it, at which frames stay apart."""
    seconds = np.array([stamp - stamps[0] for stamp in stamps], np.float64) * float(tick)
    mean_rate = (len(stamps) - 1) / seconds[-1]
    allowed = int(len(stamps) * _LOST_SHARE)
    fitting = [
        rate
        for rate in STANDARD_RATES
        if rate >= 0.97 * mean_rate and _collisions(seconds, float(rate)) <= allowed
    ]
    if not fitting:
        return STANDARD_RATES[-1]
    near = (rate for rate in fitting if rate <= fitting[0] * Fraction(13, 10))
    return min(near, key=lambda rate: _misfit(seconds, float(rate)))


def _collisions(seconds: NDArray[np.float64], rate: float) -> int:
    """Frames that would share an output frame with another."""
    return len(seconds) - len(np.unique(np.floor(seconds * rate + 0.5)))


def _misfit(seconds: NDArray[np.float64], rate: float) -> float:
    """Mean squared distance from the rate's grid, in frames."""
    places = seconds * rate
    return float(np.mean((places - np.round(places)) ** 2))
