"""Mouth curves from timed phones: how neighbouring sounds blend into one movement of the lips.

Dominance functions after Cohen and Massaro (1993): every segment pulls the mouth towards its target
with a weight that is full within the segment and falls off before and after it. Rounded lips start
early and win over sounds of the tongue; closures of the lips win over everything. The constants are
starting points of the literature, not measured on viewers.
"""

from collections.abc import Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.speech.closures import Closure, close_lips, closure_frames
from sunriza_assets.studio.speech.ipa import Segment, segments_of
from sunriza_assets.studio.speech.level import (
    levels,
    opening_gain,
    speech_level,
)
from sunriza_assets.studio.speech.mouth import (
    LIPS,
    NAMES,
    OPENINGS,
    ROUNDINGS,
    TUCK,
    WIDTHS,
    Curve,
    MouthCurves,
)
from sunriza_assets.studio.speech.phones import Phone
from sunriza_assets.studio.speech.sound import Sound

__all__ = [
    "GRID",
    "LEAD_S",
    "MAX_OPENING",
    "dominance",
    "frame_count_of",
    "frame_middles",
    "mouth_curves",
    "mouth_of_segments",
    "sampled",
]

GRID: Final = 100
"""Frames per second of the curves before they are sampled at the rate of a video."""
LEAD_S: Final = 0.03
"""Seconds that lips move ahead of their sound."""
MAX_OPENING: Final = 1.35 * float(OPENINGS.max())
"""Widest opening of any curve, IOD."""

_DOMINANCE: Final = MappingProxyType(
    {
        "Rest": (0.6, 0.080, 0.100),
        "AI": (1.0, 0.090, 0.090),
        "E": (0.55, 0.060, 0.060),
        "U": (1.1, 0.110, 0.090),
        "O": (1.1, 0.100, 0.090),
        "MBP": (2.6, 0.050, 0.050),
        "FV": (2.0, 0.060, 0.050),
        "L": (0.45, 0.050, 0.050),
        "WQ": (1.4, 0.100, 0.070),
        "R": (0.8, 0.080, 0.060),
        "CH": (0.9, 0.070, 0.070),
        "TH": (0.9, 0.060, 0.060),
    }
)
"""Viseme -> (strength, attack s, release s)."""
_NEUTRAL: Final = 0.6
"""Factor of the strength of sounds whose lips are free, as k and h."""
_STEEPNESS: Final = 1.6
_REACH: Final = 2.5
"""Attack or release times after which a segment has no influence any more."""
_TRIANGLE: Final = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9.0
_LONG_WINDOW: Final = 0.3
_KINDS: Final = MappingProxyType({"MBP": LIPS, "FV": TUCK})


def mouth_curves(
    phones: Sequence[Phone],
    rate: Fraction,
    *,
    seconds: float | None = None,
    sound: Sound | None = None,
    lead: float = LEAD_S,
) -> MouthCurves:
    """The mouth of somebody who says these phones.

    Where no phone is, the mouth is at rest. Each m, b and p shows closed lips in one frame or more,
    each f and v the tucked lip, as far as the rate has frames for them.

    Args:
        phones: in order of time.
        rate: frames per second of the curves.
        seconds: length of the curves; default: of the sound, or up to the last phone's end.
        sound: what was spoken; its loudness makes the opening larger or smaller.
        lead: seconds that the mouth is ahead of the sound.
    """
    segments = segments_of(tuple(phones))
    if seconds is None:
        last = max((segment.end for segment in segments), default=0.0)
        seconds = sound.seconds if sound is not None else last
    gain = None if sound is None else _gain(sound)
    return mouth_of_segments(segments, rate, seconds=seconds, gain=gain, lead=lead)


def mouth_of_segments(
    segments: Sequence[Segment],
    rate: Fraction,
    *,
    seconds: float,
    gain: Curve | None = None,
    lead: float = LEAD_S,
) -> MouthCurves:
    """The same from visemes in time.

    Args:
        segments: in order of time.
        rate: frames per second of the curves.
        seconds: length of the curves.
        gain: (n,) factor of the opening at 100 Hz.
        lead: seconds that the mouth is ahead of the sound.
    """
    weights = dominance(segments, int(np.ceil(seconds * GRID)) + 1)
    opening = weights @ OPENINGS
    if gain is not None:
        opening *= _fitted(gain, len(opening))
    count = frame_count_of(seconds, rate)
    times = frame_middles(count, rate) + lead
    weights = sampled(weights, times)
    opening = np.minimum(sampled(opening, times), MAX_OPENING)
    closures = closure_frames(
        [
            Closure(_KINDS[s.viseme], s.start - lead, s.end - lead)
            for s in segments
            if s.viseme in _KINDS
        ],
        float(rate),
        count,
    )
    close_lips(opening, weights, closures, float(rate))
    return MouthCurves(
        rate=rate,
        opening=opening,
        width=weights @ WIDTHS,
        rounding=weights @ ROUNDINGS,
        weights=weights,
        closures=closures,
    )


def dominance(segments: Sequence[Segment], count: int) -> NDArray[np.float64]:
    """(count, 12) how much each viseme has of the mouth at 100 Hz; rows sum to one.

    Args:
        segments: in order of time; gaps between them are at rest.
        count: frames; frame k is at (k + 0.5) / 100 s.
    """
    pull = np.zeros((count, len(NAMES)))
    for segment in _with_rests(segments, count / GRID):
        strength, attack, release = _DOMINANCE[segment.viseme]
        begin = max(int((segment.start - _REACH * attack) * GRID), 0)
        end = min(int(np.ceil((segment.end + _REACH * release) * GRID)), count)
        if end <= begin:
            continue
        times = (np.arange(begin, end) + 0.5) / GRID
        before = np.maximum(segment.start - times, 0.0) / attack
        after = np.maximum(times - segment.end, 0.0) / release
        factor = _NEUTRAL if segment.neutral else 1.0
        pull[begin:end, NAMES.index(segment.viseme)] += (
            factor * strength * np.exp(-_STEEPNESS * (before + after) ** 2)
        )
    total = pull.sum(axis=1, keepdims=True)
    pull[total[:, 0] <= 0.0, NAMES.index("Rest")] = 1.0
    pull /= pull.sum(axis=1, keepdims=True)
    return _smoothed(pull)


def _with_rests(segments: Sequence[Segment], seconds: float) -> list[Segment]:
    """The segments with `Rest` in every gap, at the start and at the end."""
    result: list[Segment] = []
    last = 0.0
    for segment in segments:
        if segment.start > last + 1e-6:
            result.append(Segment("Rest", last, segment.start))
        if segment.end > segment.start:
            result.append(segment)
        last = max(last, segment.end)
    if seconds > last:
        result.append(Segment("Rest", last, seconds + 1.0))
    return result


def _smoothed(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 12) convolved with a triangle of five frames; the ends are held."""
    padded = np.pad(rows, ((2, 2), (0, 0)), mode="edge")
    parts = [weight * padded[k : k + len(rows)] for k, weight in enumerate(_TRIANGLE)]
    return np.sum(parts, axis=0)


def frame_middles(count: int, rate: Fraction) -> Curve:
    """(count,) seconds at which frames are half over."""
    return np.asarray((np.arange(count) + 0.5) / float(rate), np.float64)


def frame_count_of(seconds: float, rate: Fraction) -> int:
    """Frames of a video at `rate` that cover `seconds`."""
    return max(int(np.ceil(seconds * float(rate) - 1e-6)), 0)


def sampled(rows: NDArray[np.float64], times: Curve, grid: float = GRID) -> NDArray[np.float64]:
    """(len(times), ...) rows at `grid` Hz, linearly interpolated; the ends are held."""
    if not len(rows):
        return np.zeros((len(times), *rows.shape[1:]))
    place = np.clip(times * grid - 0.5, 0.0, len(rows) - 1.0)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, len(rows) - 1)
    part = (place - low).reshape(-1, *[1] * (rows.ndim - 1))
    return np.asarray(rows[low] * (1.0 - part) + rows[high] * part)


def _gain(sound: Sound) -> Curve:
    """(n,) factor of the opening at 100 Hz."""
    slow = levels(sound, _LONG_WINDOW)
    return opening_gain(slow, speech_level(levels(sound)))


def _fitted(gain: Curve, count: int) -> Curve:
    """(count,) the gain cut, or its last value held."""
    if not len(gain):
        return np.ones(count)
    return np.pad(gain, (0, max(count - len(gain), 0)), mode="edge")[:count]
