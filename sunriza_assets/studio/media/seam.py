"""Measures the seam of a looped video: the step from its last frame to its first."""

from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_SEAM_RATIO", "Steps", "seam_ratio"]

MAX_SEAM_RATIO: Final = 1.2
"""The most that encoding may add to a seam that is no larger than the 95th percentile of steps."""
_SIDE: Final = 256
"""Frames are compared at this longest side, so that coding noise does not hide motion."""
_FULL_RANGE: Final = np.float32(255 / 219)
_FLOOR: Final = 0.25
"""Grey levels below which a step is invisible noise."""


def seam_ratio(frames: Iterable[NDArray[np.uint8]]) -> float:
    """|last -> first| over the 95th percentile of the steps between consecutive frames.

    Args:
        frames: uint8 each, (H, W, 3) RGB or (H, W) luma as it is stored, 16-235; only two small
            ones are kept at a time.

    Returns:
        At most 1 where the seam looks like ordinary motion; 0 for fewer than two frames.
    """
    steps = Steps()
    for frame in frames:
        steps.add(frame)
    return steps.seam() / max(_FLOOR, steps.percentile(95))


class Steps:
    """Mean differences between consecutive frames, in grey levels; frames are kept small."""

    def __init__(self) -> None:
        self._steps: list[float] = []
        self._first: NDArray[np.float32] | None = None
        self._last: NDArray[np.float32] | None = None

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Take the next frame, (H, W, 3) RGB or (H, W) luma as it is stored."""
        small = _small(frame)
        if self._last is None:
            self._first = small
        else:
            self._steps.append(_difference(self._last, small))
        self._last = small

    def percentile(self, percent: float) -> float:
        """A percentile (0-100) of the steps so far; 0 if there is none."""
        return float(np.percentile(self._steps, percent)) if self._steps else 0.0

    def seam(self) -> float:
        """The step from the last frame to the first; 0 for fewer than two frames."""
        if self._first is None or self._last is None or not self._steps:
            return 0.0
        return _difference(self._last, self._first)


def _small(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    shrink = min(1.0, _SIDE / max(frame.shape[:2]))
    grey = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) * (_FULL_RANGE if frame.ndim == 2 else np.float32(1))


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).mean())
