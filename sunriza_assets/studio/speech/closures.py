"""Closed lips that are seen: each closure takes at least one frame, whatever the frame rate.

A closure of 60 ms falls between two frames of a 25 fps video and would never be shown. Nothing may
smooth the curves after this step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.speech.mouth import LIPS, NAMES, TUCK, Curve

__all__ = ["MAX_SPEED", "TUCKED", "Closure", "close_lips", "closure_frames", "limit_speed"]

TUCKED: Final = 0.06
"""Opening in f and v, IOD: the upper teeth show over the tucked lip."""
MAX_SPEED: Final = 4.0
"""IOD per second that lips part or close at most: 36 cm/s, the fastest that is measured in
repeated [pa] of adults."""
_TWO_FRAMES_S: Final = 0.06
"""A closure of this length or more is held for two frames at low rates."""
_LOW_RATE: Final = 27.5
_VISEME: Final = {LIPS: NAMES.index("MBP"), TUCK: NAMES.index("FV")}


@dataclass(frozen=True, slots=True)
class Closure:
    """One closure in time."""

    kind: int
    """`LIPS` or `TUCK`."""
    start: float
    """Seconds."""
    end: float
    """Seconds."""


def closure_frames(closures: Sequence[Closure], rate: float, count: int) -> NDArray[np.int8]:
    """(count,) which frames show which closure, 0 for none.

    A frame belongs to the closure that holds its middle; the frame nearest to a closure's own
    middle always does. Closed lips go before a tucked lip where both want the same frame.
    """
    frames = np.zeros(count, np.int8)
    if count == 0:
        return frames
    for kind in (TUCK, LIPS):
        for closure in closures:
            if closure.kind != kind:
                continue
            for frame in _frames_of(closure, rate, count):
                frames[frame] = kind
    for closure in closures:
        if closure.kind == TUCK and not (frames[_frames_of(closure, rate, count)] == TUCK).any():
            _next_free(frames, closure, rate)
    return frames


def _frames_of(closure: Closure, rate: float, count: int) -> list[int]:
    """The frames that a closure takes, at least one."""
    middle = (closure.start + closure.end) / 2.0 * rate
    nearest = int(np.clip(np.floor(middle), 0, count - 1))
    inside = range(
        max(int(np.ceil(closure.start * rate - 0.5)), 0),
        min(int(np.floor(closure.end * rate - 0.5)), count - 1) + 1,
    )
    frames = {nearest, *inside}
    if len(frames) == 1 and rate < _LOW_RATE and closure.end - closure.start >= _TWO_FRAMES_S:
        second = nearest + 1 if middle - np.floor(middle) >= 0.5 else nearest - 1
        frames.add(int(np.clip(second, 0, count - 1)))
    return sorted(frames)


def _next_free(frames: NDArray[np.int8], closure: Closure, rate: float) -> None:
    """Give a tuck whose frames all went to closed lips a free one beside them, if there is."""
    middle = int((closure.start + closure.end) / 2.0 * rate)
    for frame in (middle + 1, middle - 1):
        if 0 <= frame < len(frames) and frames[frame] == 0:
            frames[frame] = TUCK
            return


def close_lips(
    opening: Curve, weights: NDArray[np.float64], frames: NDArray[np.int8], rate: float
) -> None:
    """Close the lips in the frames of closures, in place, and slow their neighbours down to it.

    Args:
        opening: (n,) IOD.
        weights: (n, 12); a closure's frame shows its viseme alone.
        frames: (n,) of `closure_frames`.
        rate: frames per second.
    """
    for kind, viseme in _VISEME.items():
        mine = frames == kind
        weights[mine] = 0.0
        weights[mine, viseme] = 1.0
        opening[mine] = 0.0 if kind == LIPS else np.minimum(opening[mine], TUCKED)
    limit_speed(opening, rate)


def limit_speed(opening: Curve, rate: float) -> None:
    """Lower an opening, in place, until it changes by `MAX_SPEED` at most."""
    step = MAX_SPEED / rate
    for k in range(1, len(opening)):
        opening[k] = min(opening[k], opening[k - 1] + step)
    for k in range(len(opening) - 2, -1, -1):
        opening[k] = min(opening[k], opening[k + 1] + step)
