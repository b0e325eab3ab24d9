"""From probabilities of visemes to a moving mouth: attack and release, closures, loudness, rest.

Works frame by frame, so that live sound and whole files go the same way.
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.speech.closures import Closure, close_lips, closure_frames
from sunriza_assets.studio.speech.coarticulation import (
    LEAD_S,
    MAX_OPENING,
    frame_count_of,
    frame_middles,
    sampled,
)
from sunriza_assets.studio.speech.level import opening_gain
from sunriza_assets.studio.speech.listening.heard import HEARD_RATE, Heard
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

__all__ = ["ClosureRule", "Follower", "mouth_of_heard"]

_ATTACK_S: Final = 0.04
_RELEASE_S: Final = 0.08
_INTO_CLOSURE_S: Final = 0.02
_LONG_S: Final = 0.3
"""Time constant of the level that makes the opening larger or smaller."""
_SPEECH_S: Final = 3.0
"""Time constant of the running level of speech."""
_QUIET_DB: Final = 45.0
_NEVER_SPEECH_DB: Final = -65.0
_SILENT_S: Final = 0.12
_TO_REST_S: Final = 0.05
"""Time constant: at rest after 150 ms."""
_FIRST_SPEECH_DB: Final = -26.0
_KINDS: Final = ((LIPS, NAMES.index("MBP")), (TUCK, NAMES.index("FV")))
_REST: Final = NAMES.index("Rest")


@dataclass(frozen=True, slots=True)
class ClosureRule:
    """When closed lips are believed."""

    enter: float = 0.5
    """Probability from which a closure begins."""
    leave: float = 0.35
    """Probability down to which it lasts."""
    dip: float = 0.0
    """dB that the level must lie below the loudest of the 100 ms before it; 0 asks for none."""


class Follower:
    """Follows what is heard, frame by frame at 50 Hz. One instance for one speaker."""

    def __init__(self, rule: ClosureRule | None = None) -> None:
        self._rule = rule or ClosureRule()
        self._weights = np.eye(len(NAMES))[_REST]
        self._curves = np.array([0.0, 1.0, 0.0])
        self._closure = 0
        self._slow = _FIRST_SPEECH_DB
        self._speech = _FIRST_SPEECH_DB
        self._quiet = 0
        self._recent: list[float] = []

    def push(
        self, heard: Heard
    ) -> tuple[NDArray[np.float64], Curve, Curve, Curve, NDArray[np.int8]]:
        """(n, 12) weights, (n,) opening, width, rounding and closures of n more frames."""
        count = len(heard)
        weights = np.empty((count, len(NAMES)))
        curves = np.empty((count, 3))
        closures = np.zeros(count, np.int8)
        raw = np.stack([heard.opening, heard.width, heard.rounding], axis=1)
        for k in range(count):
            closures[k] = self._step(heard.weights[k], raw[k], float(heard.level[k]))
            weights[k] = self._weights
            curves[k] = self._curves
        return weights, curves[:, 0], curves[:, 1], curves[:, 2], closures

    def _step(self, chances: Curve, raw: Curve, level: float) -> int:
        self._follow_level(level)
        if self._quiet >= _SILENT_S * HEARD_RATE:
            self._move(np.eye(len(NAMES))[_REST], np.array([0.0, 1.0, 0.0]), _TO_REST_S)
            self._closure = 0
            return 0
        self._closure = self._closed(chances, level)
        if self._closure:
            shut = np.eye(len(NAMES))[dict(_KINDS)[self._closure]]
            aim = np.array([shut @ OPENINGS, shut @ WIDTHS, shut @ ROUNDINGS])
            self._move(shut, aim, _INTO_CLOSURE_S)
            return self._closure
        if self._quiet:
            return 0  # a short gap holds the last shape
        gain = float(opening_gain(np.array([self._slow]), self._speech)[0])
        aim = raw * np.array([gain, 1.0, 1.0])
        aim[0] = min(aim[0], MAX_OPENING)
        self._move(chances, aim, None)
        return 0

    def _follow_level(self, level: float) -> None:
        self._recent = [*self._recent[-4:], level]
        self._quiet = self._quiet + 1 if level < self._threshold() else 0
        if self._quiet == 0:
            self._slow += (level - self._slow) / (_LONG_S * HEARD_RATE)
            self._speech += (level - self._speech) / (_SPEECH_S * HEARD_RATE)

    def _threshold(self) -> float:
        return max(self._speech - _QUIET_DB, _NEVER_SPEECH_DB)

    def _closed(self, chances: Curve, level: float) -> int:
        rule = self._rule
        for kind, viseme in _KINDS:
            if self._closure == kind and chances[viseme] > rule.leave:
                return kind
        for kind, viseme in _KINDS:
            dipped = kind == TUCK or max(self._recent) - level >= rule.dip
            if chances[viseme] > rule.enter and dipped:
                return kind
        return 0

    def _move(self, weights: Curve, curves: Curve, seconds: float | None) -> None:
        """Towards a target by one frame, one-pole; None: attack upwards, release downwards."""
        if seconds is None:
            pace = np.where(weights > self._weights, _share(_ATTACK_S), _share(_RELEASE_S))
            mine = _share(_ATTACK_S)
        else:
            pace, mine = np.full(len(NAMES), _share(seconds)), _share(seconds)
        self._weights = self._weights + (weights - self._weights) * pace
        self._weights = self._weights / self._weights.sum()
        self._curves = self._curves + (curves - self._curves) * mine


def _share(seconds: float) -> float:
    """Of the way to a target that one frame takes, for a time constant."""
    return float(1.0 - np.exp(-1.0 / (seconds * HEARD_RATE)))


def mouth_of_heard(
    heard: Heard, rate: Fraction, *, lead: float = LEAD_S, rule: ClosureRule | None = None
) -> MouthCurves:
    """The curves of a whole sound at the rate of a video, closures guaranteed.

    Args:
        heard: from its first frame on.
        rate: frames per second of the curves.
        lead: seconds that the mouth is ahead of the sound.
        rule: when closures are believed.
    """
    weights, opening, width, rounding, closed = Follower(rule).push(heard)
    seconds = len(heard) / HEARD_RATE
    count = frame_count_of(seconds, rate)
    # A one-pole filter is late by its time constant, which is known here and taken back.
    times = frame_middles(count, rate) + lead + _ATTACK_S
    weights, opening, width, rounding = (
        sampled(rows, times, HEARD_RATE) for rows in (weights, opening, width, rounding)
    )
    closures = closure_frames(_runs(closed, lead), float(rate), count)
    close_lips(opening, weights, closures, float(rate))
    return MouthCurves(rate, opening, width, rounding, weights, closures)


def _runs(closed: NDArray[np.int8], lead: float) -> list[Closure]:
    """The closures in a row of frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], closed, [0]]).astype(np.int64)))
    return [
        Closure(int(closed[begin]), begin / HEARD_RATE - lead, end / HEARD_RATE - lead)
        for begin, end in pairwise(edges)
        if closed[begin]
    ]
