"""What head, brows and lids do while somebody speaks: nods, raised brows, blinks, a slow wander.

Head motion follows pitch and energy of the voice (Yehia, Kuratate and Vatikiotis-Bateson 2002),
most raised brows go with a pitch accent (Cave 1996), and blinks come irregularly, more often in
conversation than at rest (Bentivoglio 1997). The same seed gives the same motion everywhere:
numbers come from Python's generator, whose stream is fixed.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from sunriza_assets.studio.expression.easing import smoothstep
from sunriza_assets.studio.performances.curves import drift
from sunriza_assets.studio.speech.coarticulation import frame_count_of, frame_middles, sampled
from sunriza_assets.studio.speech.level import LEVEL_RATE
from sunriza_assets.studio.speech.mouth import Curve
from sunriza_assets.studio.speech.phones import Phone
from sunriza_assets.studio.speech.prosody import (
    Accent,
    accents_of_phones,
    accents_of_sound,
    melody,
    pauses,
)
from sunriza_assets.studio.speech.sound import Sound

__all__ = ["HeadCurves", "gestures"]

_DEGREE: Final = float(np.pi / 180.0)
_NOD_DEGREES: Final = (1.0, 3.0)
_ROLL_DEGREES: Final = (0.5, 1.5)
_NOD_SHARE: Final = (0.3, 0.9)
"""Probability of a nod at the weakest and the strongest accent."""
_NOD_S: Final = (0.4, 0.7)
_MELODY_DEGREES: Final = 0.15
"""Degrees that the chin rises for each semitone."""
_WANDER: Final = {"yaw": 0.011, "pitch": 0.006, "roll": 0.006}
"""Root mean square, radians; two incommensurate periods, none audible as a rhythm."""
_PERIODS: Final = (7.3, 11.9)
_STILL: Final = 0.55
"""Factor of the wander while listening."""

_BROW_S: Final = (0.3, 0.8)
_BROW_HEIGHT: Final = (0.12, 0.3)
_BROWS_APART_S: Final = 2.0
_BROW_SHARE: Final = 0.65

_BLINKS_APART: Final = {True: (2.45, 0.42), False: (3.3, 0.45)}
"""Speaking or not -> median seconds between blinks, and sigma of its logarithm."""
_BLINK_LIMITS: Final = (1.0, 7.0)
_SNAP_S: Final = 0.5
"""A blink moves to the end of a clause that is this near."""
_CLOSING_S: Final = (0.06, 0.09)
_SHUT_S: Final = 0.03
_OPENING_S: Final = (0.12, 0.25)


@dataclass(frozen=True)
class HeadCurves:
    """What a head does in n frames besides speaking, in the units of `MotionScript`."""

    rate: Fraction
    """Frames per second."""
    yaw: Curve
    """(n,) radians, positive to the picture's right."""
    pitch: Curve
    """(n,) radians, positive down."""
    roll: Curve
    """(n,) radians, positive clockwise as seen."""
    brows: Curve
    """(n,) 1 has the brows raised as far as `surprised` has them."""
    closure: Curve
    """(n,) of both eyes, 0 as in the portrait, 1 shut."""


def gestures(
    phones: Sequence[Phone],
    rate: Fraction,
    *,
    seconds: float,
    seed: str,
    sound: Sound | None = None,
    liveliness: float = 1.0,
) -> HeadCurves:
    """Head, brows and lids of somebody who says these phones.

    Args:
        phones: in order of time; empty for a listener, or where only sound is known.
        rate: frames per second.
        seconds: length of the curves.
        seed: equal seeds give equal motion, as a job's id.
        sound: what was spoken; accents are then heard in it instead of guessed from vowels.
        liveliness: factor of nods, wander and brows; 0 leaves only blinks.
    """
    count = frame_count_of(seconds, rate)
    times = frame_middles(count, rate)
    accents = accents_of_sound(sound) if sound is not None else accents_of_phones(phones)
    speaking = _speaking(accents, times)
    wander = liveliness * (_STILL + (1.0 - _STILL) * speaking)
    yaw, pitch, roll = (
        wander * sum(drift(f"{seed}/{name}/{p}", times, p, size / 2**0.5) for p in _PERIODS)
        for name, size in _WANDER.items()
    )
    nods, tilts = _nods(accents, times, _generator(seed, "nods"))
    if sound is not None:
        tune = sampled(melody(sound), times, LEVEL_RATE)
        pitch = pitch - liveliness * speaking * _MELODY_DEGREES * _DEGREE * tune
    return HeadCurves(
        rate=rate,
        yaw=np.asarray(yaw),
        pitch=np.asarray(pitch + liveliness * nods),
        roll=np.asarray(roll + liveliness * tilts),
        brows=liveliness * _brows(accents, times, _generator(seed, "brows")),
        closure=_blinks(
            accents,
            pauses(phones),
            times,
            seconds,
            _generator(seed, "blinks"),
        ),
    )


def _generator(seed: str, part: str) -> random.Random:
    return random.Random(f"{seed}/{part}")  # noqa: S311 -- motion is no secret


def _speaking(accents: Sequence[Accent], times: Curve) -> Curve:
    """(n,) 1 within half a second of an accent, 0 from a second on."""
    if not accents:
        return np.zeros(len(times))
    peaks = np.array([accent.time for accent in accents])
    after = np.clip(np.searchsorted(peaks, times), 1, len(peaks)) - 1
    nearest = np.minimum(
        np.abs(times - peaks[after]), np.abs(times - peaks[np.minimum(after + 1, len(peaks) - 1)])
    )
    return 1.0 - np.asarray(smoothstep((nearest - 0.5) / 0.5))


def _bump(times: Curve, peak: float, rise: float, fall: float) -> Curve:
    """(n,) 0 to 1 at `peak` and back, smooth."""
    up = np.asarray(smoothstep((times - peak + rise) / rise))
    return up * (1.0 - np.asarray(smoothstep((times - peak) / fall)))


def _nods(accents: Sequence[Accent], times: Curve, draw: random.Random) -> tuple[Curve, Curve]:
    """Pitch and roll, radians, of the nods at some accents."""
    pitch, roll = np.zeros(len(times)), np.zeros(len(times))
    low, high = _NOD_SHARE
    for accent in accents:
        chance, depth, length, tilt, side = (draw.random() for _ in range(5))
        if chance > low + (high - low) * accent.strength:
            continue
        duration = _NOD_S[0] + (_NOD_S[1] - _NOD_S[0]) * length
        bump = _bump(times, accent.time, 0.4 * duration, 0.6 * duration)
        size = (0.6 * depth + 0.4 * accent.strength) * (_NOD_DEGREES[1] - _NOD_DEGREES[0])
        pitch = np.maximum(pitch, bump * (_NOD_DEGREES[0] + size) * _DEGREE)
        turn = _ROLL_DEGREES[0] + (_ROLL_DEGREES[1] - _ROLL_DEGREES[0]) * tilt
        roll += bump * turn * _DEGREE * (0.5 if side < 0.5 else -0.5)
    return pitch, roll


def _brows(accents: Sequence[Accent], times: Curve, draw: random.Random) -> Curve:
    """Brows raised at some of the strongest accents."""
    brows = np.zeros(len(times))
    last = -_BROWS_APART_S
    for accent in accents:
        chance, height, length = (draw.random() for _ in range(3))
        if accent.strength < 0.5 or chance > _BROW_SHARE or accent.time - last < _BROWS_APART_S:
            continue
        last = accent.time
        duration = _BROW_S[0] + (_BROW_S[1] - _BROW_S[0]) * length
        size = _BROW_HEIGHT[0] + (_BROW_HEIGHT[1] - _BROW_HEIGHT[0]) * height
        brows = np.maximum(brows, size * _bump(times, accent.time, 0.4 * duration, 0.6 * duration))
    return brows


def _blinks(
    accents: Sequence[Accent],
    clause_ends: Sequence[float],
    times: Curve,
    seconds: float,
    draw: random.Random,
) -> Curve:
    """Closure of the lids: irregular blinks, at the ends of clauses where one is near."""
    closure = np.zeros(len(times))
    step = times[1] - times[0] if len(times) > 1 else 1.0
    shut = max(_SHUT_S, float(step))  # a frame at least shows shut lids
    ends = np.asarray(clause_ends, np.float64)
    time = _interval(draw, speaking=bool(accents)) * draw.random()
    while time < seconds:
        moved = time
        if len(ends) and np.abs(ends - time).min() < _SNAP_S:
            moved = float(ends[np.abs(ends - time).argmin()])
        closing = _CLOSING_S[0] + (_CLOSING_S[1] - _CLOSING_S[0]) * draw.random()
        opening = _OPENING_S[0] + (_OPENING_S[1] - _OPENING_S[0]) * draw.random()
        falling = np.asarray(smoothstep((times - moved + closing) / closing))
        rising = np.asarray(smoothstep((times - moved - shut) / opening))
        closure = np.maximum(closure, falling * (1.0 - rising))
        near = any(abs(accent.time - time) < 1.0 for accent in accents)
        time = moved + _interval(draw, speaking=near)
    return closure


def _interval(draw: random.Random, *, speaking: bool) -> float:
    """Seconds to the next blink, log-normal."""
    median, sigma = _BLINKS_APART[speaking]
    return float(np.clip(median * draw.lognormvariate(0.0, sigma), *_BLINK_LIMITS))
