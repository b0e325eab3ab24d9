"""How loud sound is over time, and what that does to a mouth.

Levels are root mean squares in dB of full scale. Syllables do not pump the mouth: the level that
opens it is taken over 300 ms.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.speech.mouth import Curve
from sunriza_assets.studio.speech.sound import Sound

__all__ = ["FLOOR_DB", "LEVEL_RATE", "levels", "opening_gain", "speech_level"]

LEVEL_RATE: Final = 100
"""Levels per second."""
FLOOR_DB: Final = -90.0
"""Level of digital silence."""

_GAIN_PER_DB: Final = 0.05
_GAINS: Final = (0.6, 1.35)


def levels(sound: Sound, window: float = 0.02) -> Curve:
    """(n,) level at 100 Hz in dB, over `window` seconds around the middle of each 10 ms.

    Args:
        sound: any rate.
        window: seconds.
    """
    count = int(np.ceil(sound.seconds * LEVEL_RATE))
    power = np.concatenate([[0.0], np.cumsum(np.square(sound.samples, dtype=np.float64))])
    middles = (np.arange(count) + 0.5) / LEVEL_RATE
    begin = _at(middles - window / 2.0, sound.rate, len(sound.samples))
    end = _at(middles + window / 2.0, sound.rate, len(sound.samples))
    mean = (power[end] - power[begin]) / np.maximum(end - begin, 1)
    return np.asarray(10.0 * np.log10(np.maximum(mean, 10.0 ** (FLOOR_DB / 10.0))))


def _at(times: Curve, rate: int, count: int) -> NDArray[np.int64]:
    return np.clip(np.rint(times * rate), 0, count).astype(np.int64)


def opening_gain(slow: Curve, speech: float) -> Curve:
    """(n,) factor of the opening: a whisper opens the mouth less than a shout.

    Args:
        slow: (n,) level over 300 ms, dB.
        speech: median level of the speech, dB.
    """
    return np.asarray(np.clip(1.0 + _GAIN_PER_DB * (slow - speech), *_GAINS))


def speech_level(level: Curve) -> float:
    """Median level of the frames within 30 dB of the loudest ones, dB."""
    if not len(level):
        return FLOOR_DB
    loud = float(np.percentile(level, 95))
    return float(np.median(level[level >= loud - 30.0]))
