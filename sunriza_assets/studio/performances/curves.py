"""Periodic curves that motion scripts are made of.

Their phases come from the SHA-256 of a name instead of a random generator, so that every machine
and every version of NumPy makes the same curve.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.performances.plans import Move

__all__ = ["Curve", "blinks", "breath", "drift", "moves"]

Curve = NDArray[np.float64]
"""(T,) one value per frame."""

_HARMONICS: Final = 6
"""Of a drift; in a performance of seven seconds the fastest lasts 1.2 s."""
_FALL: Final = 1.3
"""Amplitudes fall with this power of the frequency, as those of a head held still do."""
_INHALE: Final = 0.42
"""Share of a breath that goes in."""
_CLOSING_S: Final = 0.12
_SHUT_S: Final = 0.02
_OPENING_S: Final = 0.24
"""A blink: lids fall in 100 to 150 ms, stay for a moment and rise in about twice the time."""


def drift(name: str, times: Curve, period: float, size: float) -> Curve:
    """Slow random-looking motion: harmonics of the period with phases from the name's hash.

    Args:
        name: seed of the phases.
        times: (T,) seconds.
        period: seconds after which it repeats.
        size: root mean square.
    """
    orders = np.arange(1, _HARMONICS + 1)
    amplitudes = orders**-_FALL
    phases = 2.0 * np.pi * np.array([_unit_hash(f"{name}/{order}") for order in orders])
    waves = np.cos(2.0 * np.pi * np.outer(times, orders) / period + phases)
    unit = np.sqrt(np.sum(amplitudes**2) / 2.0)
    return np.asarray(size * (waves @ amplitudes) / unit)


def moves(times: Curve, period: float, path: Sequence[Move]) -> Curve:
    """Held values with smooth ways between them, each of minimum jerk (Flash and Hogan, 1985).

    Args:
        times: (T,) seconds in [0, period).
        period: seconds; the last value holds from the end over into the beginning.
        path: the moves by their beginnings; none overlaps another, the last may end in the next
            round.
    """
    before = path[-1][2]
    value = np.full(len(times), before)
    for begin, seconds, target in [(t - period, d, x) for t, d, x in path] + list(path):
        x = np.clip((times - begin) / seconds, 0.0, 1.0)
        progress = x**3 * (10.0 - 15.0 * x + 6.0 * x * x)
        value = np.where(times >= begin, before + (target - before) * progress, value)
        before = target
    return np.asarray(value)


def breath(times: Curve, period: float, starts: Sequence[float]) -> Curve:
    """0 breathed out, 1 in; each breath begins at one of `starts` and lasts until the next."""
    ends = [*starts[1:], starts[0] + period]
    chest = np.zeros(len(times))
    for start, end in zip(starts, ends, strict=True):
        elapsed = (times - start) % period
        phase = elapsed / (end - start)
        rising = _smooth(phase / _INHALE)
        falling = 1.0 - _smooth((phase - _INHALE) / (1.0 - _INHALE))
        chest += np.where(phase < 1.0, np.where(phase < _INHALE, rising, falling), 0.0)
    return chest


def blinks(times: Curve, heights: Sequence[float], depth: float = 1.0) -> Curve:
    """Closure of the lids, 0 open and 1 shut; each blink is shut from one of `heights` on."""
    closure = np.zeros(len(times))
    for height in heights:
        falling = _smooth((times - height + _CLOSING_S) / _CLOSING_S)
        rising = _smooth((times - height - _SHUT_S) / _OPENING_S)
        closure = np.maximum(closure, depth * falling * (1.0 - rising))
    return closure


def _smooth(x: NDArray[Any]) -> Curve:
    """Smoothstep: 0 below 0, 1 above 1."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))


def _unit_hash(name: str) -> float:
    """A number in [0, 1) from the hash of a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2.0**32
