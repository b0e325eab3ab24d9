"""Resampling of motion from the clip's frame rate to the idle's.

Frame k of a clip with rate r is presented at time k / r; so the first frames of
clip and idle coincide, and sound laid under either keeps its place. Rates are exact fractions and
so are positions: 60 to 30 takes every second frame and mixes nothing, even after ten seconds.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.motion.mixture import Mixture

__all__ = ["output_frame_count", "repeating", "resampling"]


def output_frame_count(frame_count: int, clip_rate: Fraction, output_rate: Fraction) -> int:
    """Whole output frames that fit the clip's duration, at least one."""
    return max(1, int(frame_count * output_rate / clip_rate))


def resampling(frame_count: int, clip_rate: Fraction, output_rate: Fraction) -> Mixture:
    """How output frames are made of the `frame_count` frames of a clip.

    Between frames the curve is R. Keys' cubic convolution with a = -1/2 (IEEE Trans. ASSP 29,
    1981), which passes through every clip frame and has a continuous slope, so that a head moving
    evenly at 24 frames per second still moves evenly at 30. The last frame holds.
    """
    count = output_frame_count(frame_count, clip_rate, output_rate)
    if clip_rate == output_rate:
        return Mixture.of_frames(np.arange(count))
    step = clip_rate / output_rate
    positions = [k * step for k in range(count)]
    whole = np.array([int(position) for position in positions])
    part = np.array([float(position % 1) for position in positions])
    indices = np.clip(whole[:, None] + np.arange(-1, 3), 0, frame_count - 1)
    return Mixture(indices.astype(np.intp), _keys_weights(part))


def repeating(
    frame_count: int, clip_rate: Fraction, output_rate: Fraction, *, rounds: int = 1
) -> Mixture:
    """The same for motion whose frame after the last is its first, several rounds of it.

    A round gets a whole number of output frames. Where that takes it a little off its duration (at
    30000/1001 frames a second, say), all of it runs that much faster or slower, never its seam.
    """
    count = max(1, round(frame_count * output_rate / clip_rate))
    positions = [Fraction(k * frame_count, count) for k in range(count)] * rounds
    whole = np.array([int(position) for position in positions])
    part = np.array([float(position % 1) for position in positions])
    indices = (whole[:, None] + np.arange(-1, 3)) % frame_count
    return Mixture(indices.astype(np.intp), _keys_weights(part))


def _keys_weights(part: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) position between two frames in [0, 1) -> (K, 4) weights of frames -1, 0, 1, 2."""
    u = part
    return np.stack(
        [
            ((2.0 - u) * u - 1.0) * u / 2.0,
            ((3.0 * u - 5.0) * u * u + 2.0) / 2.0,
            ((4.0 - 3.0 * u) * u + 1.0) * u / 2.0,
            (u - 1.0) * u * u / 2.0,
        ],
        axis=1,
    )
