"""Peaks of a curve: where they are, how far they stand out and how long they last.

The same as `scipy.signal.find_peaks` finds, whose package takes longer to load (0.4 CPU seconds)
than the plan of an idle takes to be made.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Peak", "peaks_of"]


@dataclass(frozen=True, slots=True)
class Peak:
    """One summit: a value, or several equal ones in a row, with less on either side."""

    place: int
    """Its middle; of two, the earlier."""
    height: float
    """The curve's value there."""
    prominence: float
    """Its height above the higher of the two lowest points that part it from anything higher."""
    width: float
    """How long the curve stays above a share of the prominence below the summit, in steps."""


def peaks_of(curve: NDArray[np.float64], *, least: float, below: float) -> list[Peak]:
    """The peaks of a curve (T,), in order.

    Args:
        curve: one value per step.
        least: height from which a summit counts.
        below: share (0-1) of its prominence below the summit at which its width is taken.
    """
    found = []
    for place in _summits(curve):
        height = float(curve[place])
        if height < least:
            continue
        higher = np.flatnonzero(curve > height)
        cut = int(np.searchsorted(higher, place))
        begin = int(higher[cut - 1]) + 1 if cut > 0 else 0
        end = int(higher[cut]) if cut < len(higher) else len(curve)
        base = max(float(curve[begin : place + 1].min()), float(curve[place:end].min()))
        level = height - below * (height - base)
        left = _crossing(curve[begin : place + 1][::-1], level)
        right = _crossing(curve[place:end], level)
        found.append(Peak(place, height, height - base, left + right))
    return found


def _summits(curve: NDArray[np.float64]) -> list[int]:
    """Middles of the runs of equal values with less on either side; never at an end."""
    begins = np.flatnonzero(np.diff(curve, prepend=np.nan) != 0)  # NaN differs from everything
    ends = np.append(begins[1:], len(curve))
    values = curve[begins]
    inner = np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] > values[2:])) + 1
    return [int(begins[k] + ends[k] - 1) // 2 for k in inner]


def _crossing(falling: NDArray[np.float64], level: float) -> float:
    """Steps from the first value of a slope to where it falls to a level, between two if need be.

    It ends at the last value where it never does.
    """
    low = np.flatnonzero(falling <= level)
    if len(low) == 0:
        return float(len(falling) - 1)
    first = int(low[0])
    if falling[first] == level:
        return float(first)
    above, under = float(falling[first - 1]), float(falling[first])
    return first - (level - under) / (above - under)
