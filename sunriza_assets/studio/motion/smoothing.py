"""Smoothing of motion curves, independent of the frame rate they were taken at."""

from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXPRESSION_FRAMES", "LID_FRAMES", "POSE_FRAMES", "smooth", "window_frames"]

_ORDER: Final = 2
_REFERENCE_RATE: Final = 30

# Window lengths in frames of a 30 fps clip. A head is heavy and turns slowly; lips close for a
# single "p" in about 80 ms; a lid falls in 60-100 ms and must not be rounded off.
POSE_FRAMES: Final = 9
EXPRESSION_FRAMES: Final = 5
LID_FRAMES: Final = 3


def window_frames(frames_at_30: int, rate: Fraction) -> int:
    """Odd number of frames at `rate` that last as long as `frames_at_30` at 30 a second."""
    wanted = frames_at_30 * rate / _REFERENCE_RATE
    return max(1, 2 * round((wanted - 1) / 2) + 1)


def smooth(values: NDArray[Any], rate: Fraction, *, frames_at_30: int) -> NDArray[np.float64]:
    """Savitzky-Golay filter of second order along the first axis (Anal. Chem. 36, 1964).

    A parabola is fitted to each window and read at its middle, so that constant, even and evenly
    accelerated motion pass unchanged; at both ends the last whole window's parabola is read.

    Args:
        values: (T, ...) one value or array per frame.
        rate: frames per second.
        frames_at_30: length of the window in frames of a 30 fps clip.

    Returns:
        (T, ...) smoothed values. A window of three frames or fewer would fit exactly and one
        longer than the clip cannot be fitted: the former changes nothing, the latter is shortened.
    """
    curve = np.asarray(values, dtype=np.float64)
    longest = len(curve) - 1 + len(curve) % 2
    window = min(window_frames(frames_at_30, rate), longest)
    if window <= _ORDER + 1:
        return curve.copy()
    reach = window // 2
    fit = _parabolas(window)
    smoothed = np.empty_like(curve)
    inner = sum(
        weight * curve[k : len(curve) - window + 1 + k] for k, weight in enumerate(fit[reach])
    )
    smoothed[reach : len(curve) - reach] = inner
    smoothed[:reach] = np.tensordot(fit[:reach], curve[:window], 1)
    smoothed[-reach:] = np.tensordot(fit[-reach:], curve[-window:], 1)
    return smoothed


def _parabolas(window: int) -> NDArray[np.float64]:
    """(W, W) matrix that takes the values of a window to those of the parabola fitted to them."""
    places = np.arange(window) - window // 2
    basis, _ = np.linalg.qr(np.vander(places.astype(np.float64), _ORDER + 1))
    return np.asarray(basis @ basis.T)
