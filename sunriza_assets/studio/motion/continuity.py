"""Selects the segment of a clip that shows one face continuously, and fills short gaps in it.

Input is the tracker's result per frame; finding faces is in `studio.face`. A short gap (occlusion,
blur) is interpolated. A long gap or a cut splits the clip; the longest segment is used if it is
long enough, and what was left out is reported in the metadata.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import FaceError

__all__ = [
    "LONGEST_GAP_S",
    "SHORTEST_PART_S",
    "Segment",
    "fill_gaps",
    "find_cuts",
    "longest_tracked_segment",
]

LONGEST_GAP_S: Final = Fraction(1, 2)
"""Longest gap that is filled, seconds: a hand that passes, a blur."""
SHORTEST_PART_S: Final = Fraction(3)
"""Shortest part that a clip is shortened to, seconds: the shortest loop an idle may be."""
_CUT_LEVELS: Final = 28.0
"""Mean change of small grey pictures across a cut, of 255; talking heads stay below 8."""

Gap = tuple[int, int]
"""First frame of a gap, and the first after it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of a clip that shows one face throughout."""

    start: int
    """Its first frame in the clip."""
    stop: int
    """The first frame after it."""
    gaps: tuple[Gap, ...]
    """The gaps inside it that have to be filled, in frames of the clip."""
    frame_count: int
    """Frames of the whole clip."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing was left out."""
        return self.start == 0 and self.stop == self.frame_count

    def facts(self, rate: Fraction) -> dict[str, Any]:
        """Metadata about the segment: JSON values, seconds."""
        facts: dict[str, Any] = {
            "face_gaps_filled": [
                {"start_s": _seconds(a, rate), "seconds": _seconds(b - a, rate)}
                for a, b in self.gaps
            ]
        }
        if not self.is_whole:
            facts["shortened_to"] = {
                "start_s": _seconds(self.start, rate),
                "seconds": _seconds(self.stop - self.start, rate),
                "of_s": _seconds(self.frame_count, rate),
            }
        return facts


def longest_tracked_segment(
    present: Sequence[bool] | NDArray[np.bool_],
    rate: Fraction,
    *,
    cuts: Sequence[int] = (),
    longest_gap_s: Fraction = LONGEST_GAP_S,
    shortest_part_s: Fraction = SHORTEST_PART_S,
) -> Segment:
    """The longest segment without a long gap or a cut; the first of equally long ones.

    A clip without a long gap or cut is used whole, however short it is; a short gap at either end
    belongs to it.

    Args:
        present: for each frame whether the face was seen and can be trusted.
        rate: frames per second.
        cuts: frames that are the first after a cut; no gap is filled across one.
        longest_gap_s: longest gap that is filled.
        shortest_part_s: shortest part that a clip is shortened to.

    Raises:
        FaceError: `none`: no face at all; `lost`: every part without a long gap is too short.
    """
    seen = np.asarray(present, bool)
    if not seen.any():
        raise FaceError(
            "No face was found in the clip",
            remedy="Use a clip that shows one person's face from the front throughout.",
            code="none",
        )
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < len(seen)}), len(seen)]
    parts = [
        part
        for first, end in pairwise(bounds)
        for part in _split_at_gaps(seen, first, end, int(longest_gap_s * rate))
    ]
    start, stop = max(parts, key=lambda part: part[1] - part[0])
    whole = (start, stop) == (0, len(seen))
    if not whole and stop - start < shortest_part_s * rate:
        raise FaceError(
            f"The face can be followed for {_seconds(stop - start, rate):g} s at most, from "
            f"{_seconds(start, rate):g} s on",
            remedy=f"Use a clip that shows it for {float(shortest_part_s):g} s without a cut, and "
            f"never hidden for more than {float(longest_gap_s):g} s.",
            code="lost",
        )
    return Segment(start, stop, tuple(_gaps(seen, start, stop)), len(seen))


def fill_gaps(values: NDArray[Any], present: Sequence[bool] | NDArray[np.bool_]) -> NDArray[Any]:
    """Interpolate frames without a face linearly; at either end the nearest value is repeated.

    Args:
        values: (T, ...) per-frame floats; those of absent frames are ignored, NaN too.
        present: (T,) which frames count, at least one.

    Returns:
        (T, ...) with the present frames unchanged.
    """
    seen = np.flatnonzero(np.asarray(present, bool))
    position = np.interp(np.arange(len(values)), seen, np.arange(len(seen)))
    low = np.floor(position).astype(np.intp)
    high = np.minimum(low + 1, len(seen) - 1)
    share = (position - low).reshape(-1, *([1] * (values.ndim - 1))).astype(values.dtype)
    known = values[seen]
    return np.asarray(known[low] * (1 - share) + known[high] * share, values.dtype)


def find_cuts(
    thumbnails: NDArray[np.uint8],
    present: Sequence[bool] | NDArray[np.bool_],
    rate: Fraction,
    *,
    longest_gap_s: Fraction = LONGEST_GAP_S,
) -> list[int]:
    """Frames that begin a new shot.

    A camera flash is none: the frame after it is like the one before. Nor is a short blackout, or a
    hand that covers the lens: for half a second at most there is no face, then the shot goes on, or
    the clip begins or ends with it. That is a gap like any other.

    Args:
        thumbnails: (T, h, w) small grey pictures of the frames, about 32 pixels wide.
        present: (T,) whether the face was seen.
        rate: frames per second.
        longest_gap_s: longest gap that is filled.
    """
    small = thumbnails.astype(np.float32)
    seen = np.asarray(present, bool)

    def change(one: int, other: int) -> float:
        return float(np.abs(small[one] - small[other]).mean())

    changes = [
        t
        for t in range(1, len(small))
        if change(t - 1, t) > _CUT_LEVELS
        and change(t - 1, min(t + 1, len(small) - 1)) > _CUT_LEVELS
        and (t < 2 or change(t - 2, t) > _CUT_LEVELS)
    ]

    def is_gap(start: int, stop: int) -> bool:
        if stop - start > int(longest_gap_s * rate) or seen[start:stop].any():
            return False
        at_clip_end = start == 0 or stop == len(small)
        return at_clip_end or change(start - 1, stop) <= _CUT_LEVELS

    bounds = [0, *changes, len(small)]
    inside_gaps = {t for start, stop in combinations(bounds, 2) if is_gap(start, stop)
              for t in (start, *(c for c in changes if start < c < stop), stop)}  # fmt: skip
    return [t for t in changes if t not in inside_gaps]


def _split_at_gaps(seen: NDArray[np.bool_], first: int, end: int, longest_gap: int) -> list[Gap]:
    """Split one shot at long gaps; short gaps at its ends are included."""
    at = first + np.flatnonzero(seen[first:end])
    if len(at) == 0:
        return []
    breaks = np.flatnonzero(np.diff(at) - 1 > longest_gap)
    starts = [int(at[0]), *(int(at[i + 1]) for i in breaks)]
    stops = [*(int(at[i]) + 1 for i in breaks), int(at[-1]) + 1]
    if starts[0] - first <= longest_gap:
        starts[0] = first
    if end - stops[-1] <= longest_gap:
        stops[-1] = end
    return list(zip(starts, stops, strict=True))


def _gaps(seen: NDArray[np.bool_], start: int, stop: int) -> list[Gap]:
    absent = np.concatenate([[False], ~seen[start:stop], [False]]).astype(np.int8)
    edges = start + np.flatnonzero(np.diff(absent))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _seconds(frames: int, rate: Fraction) -> float:
    return round(float(frames / rate), 3)
