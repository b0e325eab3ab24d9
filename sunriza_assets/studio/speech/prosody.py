"""Melody and stress of spoken sound: fundamental frequency, and where the accents are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.speech.ipa import visemes_of
from sunriza_assets.studio.speech.level import LEVEL_RATE, levels, speech_level
from sunriza_assets.studio.speech.mouth import Curve
from sunriza_assets.studio.speech.phones import Phone
from sunriza_assets.studio.speech.sound import Sound

__all__ = [
    "Accent",
    "accents_of_phones",
    "accents_of_sound",
    "f0",
    "low_passed",
    "melody",
    "pauses",
]

_F0_RANGE: Final = (70.0, 400.0)
_F0_RATE: Final = 50
_F0_WINDOW: Final = 0.04
_VOICED: Final = 0.5
"""Height of the normalised autocorrelation from which a frame is voiced."""
_APART_S: Final = 0.35
_PAUSE_S: Final = 0.15
_SPEECH_RANGE_DB: Final = 25.0
_VOWELS: Final = frozenset({"AI", "E", "U", "O"})


@dataclass(frozen=True, slots=True)
class Accent:
    """A stressed syllable."""

    time: float
    """Seconds of its peak."""
    strength: float
    """Share of the sound's accents that are no stronger, (0, 1]."""


def f0(sound: Sound) -> Curve:
    """(n,) fundamental frequency at 50 Hz, Hz, NaN where there is no voice.

    The highest peak of the autocorrelation, normalised by the window's own (Boersma 1993).
    """
    size = round(_F0_WINDOW * sound.rate)
    low, high = (round(sound.rate / f) for f in reversed(_F0_RANGE))
    count = int(sound.seconds * _F0_RATE)
    if count == 0:
        return np.zeros(0)
    padded = np.pad(sound.samples, (size // 2, size))
    starts = (np.arange(count) + 0.5) / _F0_RATE * sound.rate
    frames = padded[starts.astype(np.int64)[:, None] + np.arange(size)].astype(np.float64)
    window = np.hanning(size)
    length = 1 << (2 * size - 1).bit_length()
    correlation = _autocorrelation((frames - frames.mean(axis=1, keepdims=True)) * window, length)
    correlation = correlation / np.maximum(correlation[:, :1], 1e-9)
    own = _autocorrelation(window[None], length)
    part = correlation[:, low : high + 1] / np.maximum(own / own[0, 0], 0.1)[:, low : high + 1]
    lag = part.argmax(axis=1)
    voiced = (part[np.arange(count), lag] > _VOICED) & (frames.std(axis=1) > 1e-3)
    return np.where(voiced, sound.rate / (lag + low), np.nan)


def _autocorrelation(frames: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(frames, length)
    return np.asarray(np.fft.irfft(np.square(np.abs(spectrum)), length))


def low_passed(curve: Curve, rate: float, cutoff: float) -> Curve:
    """(n,) the curve without what is faster than `cutoff` Hz: a Hann window, ends held."""
    half = max(int(rate / (2.0 * cutoff)), 1)
    window = np.hanning(2 * half + 3)[1:-1]
    padded = np.pad(curve, half, mode="edge")
    return np.convolve(padded, window / window.sum(), mode="valid")


def melody(sound: Sound) -> Curve:
    """(n,) semitones over the sound's median pitch at 100 Hz, below 2 Hz; 0 without any voice."""
    pitch = f0(sound)
    count = len(levels(sound))
    known = np.flatnonzero(np.isfinite(pitch))
    if len(known) < 2:
        return np.zeros(count)
    semitones = 12.0 * np.log2(pitch[known] / np.median(pitch[known]))
    times = (np.arange(count) + 0.5) / LEVEL_RATE
    filled = np.interp(times, (known + 0.5) / _F0_RATE, np.clip(semitones, -8.0, 8.0))
    return low_passed(filled, LEVEL_RATE, 2.0)


def accents_of_sound(sound: Sound) -> list[Accent]:
    """Peaks of energy and pitch in speech, at least 0.35 s apart, in order of time."""
    level = levels(sound, 0.06)
    if not len(level):
        return []
    speech = level > max(speech_level(level) - _SPEECH_RANGE_DB, -60.0)
    if not speech.any():
        return []
    prominence = low_passed(level, LEVEL_RATE, 4.0) / 6.0 + melody(sound) / 3.0
    inner = prominence[1:-1]
    peaks = 1 + np.flatnonzero((inner >= prominence[:-2]) & (inner > prominence[2:]) & speech[1:-1])
    return _apart([((k + 0.5) / LEVEL_RATE, float(prominence[k])) for k in peaks])


def accents_of_phones(phones: Sequence[Phone]) -> list[Accent]:
    """The longest vowels, at least 0.35 s apart, in order of time: stress without any sound."""
    vowels = [p for p in phones if visemes_of(p.ipa)[0].viseme in _VOWELS and p.end > p.start]
    if not vowels:
        return []
    typical = float(np.median([p.end - p.start for p in vowels]))
    long = [p for p in vowels if p.end - p.start >= typical]
    return _apart([((p.start + p.end) / 2.0, p.end - p.start) for p in long])


def _apart(peaks: list[tuple[float, float]]) -> list[Accent]:
    """The strongest peaks first, each `_APART_S` or more from the stronger ones."""
    chosen: list[tuple[float, float]] = []
    for time, height in sorted(peaks, key=lambda peak: -peak[1]):
        if all(abs(time - other) >= _APART_S for other, _ in chosen):
            chosen.append((time, height))
    if not chosen:
        return []
    heights = np.sort([height for _, height in chosen])
    below = [np.searchsorted(heights, height, side="right") for _, height in sorted(chosen)]
    return [
        Accent(time, float(count) / len(chosen))
        for (time, _), count in zip(sorted(chosen), below, strict=True)
    ]


def pauses(phones: Sequence[Phone]) -> list[float]:
    """Starts of silences of 0.15 s or more, seconds: where clauses end."""
    return [p.start for p in phones if not p.ipa and p.end - p.start >= _PAUSE_S]
