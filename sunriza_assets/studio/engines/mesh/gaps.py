"""Frames on which the face was not seen: short gaps are bridged, long ones refused."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import FaceError

__all__ = ["LONGEST_S", "bridge"]

LONGEST_S: Final = Fraction(1, 2)
"""Longest gap that is bridged, seconds."""


def bridge(
    seen: Sequence[NDArray[Any] | None], rate: Fraction
) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[dict[str, float]]]:
    """Fill the frames without a face linearly from both sides; at either end the nearest holds.

    Args:
        seen: landmarks (N, 3) of every frame, None where the face was not seen.
        rate: frames per second.

    Returns:
        (T, N, 3) landmarks of every frame; (T,) which of them were seen; the gaps that were
        bridged, as {"start_s", "seconds"}.

    Raises:
        FaceError: no face at all, or a gap longer than `LONGEST_S`.
    """
    known = np.array([points is not None for points in seen], dtype=bool)
    if not known.any():
        raise FaceError(
            "No face was found in the clip",
            remedy="Use a clip that shows one person's face from the front throughout.",
            code="none",
        )
    frames = np.flatnonzero(known)
    values = np.stack([points for points in seen if points is not None]).astype(np.float64)
    gaps = [
        {"start_s": round(float(start / rate), 3), "seconds": round(float(length / rate), 3)}
        for start, length in _runs(~known)
    ]
    too_long = [
        (start, length) for start, length in _runs(~known) if Fraction(length) > LONGEST_S * rate
    ]
    if too_long:
        start, length = too_long[0]
        raise FaceError(
            f"The face is out of sight from {float(start / rate):.2f} s to "
            f"{float((start + length) / rate):.2f} s",
            remedy=f"Use a clip on which it is never hidden for more than {float(LONGEST_S):g} s.",
            code="lost",
        )
    place = np.interp(np.arange(len(seen)), frames, np.arange(len(frames)))
    low = np.floor(place).astype(np.intp)
    high = np.minimum(low + 1, len(frames) - 1)
    share = (place - low)[:, None, None]
    return values[low] * (1.0 - share) + values[high] * share, known, gaps


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and length of every run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
