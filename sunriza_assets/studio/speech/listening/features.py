"""Mel features of sound at 16 kHz, of a whole sound or as it comes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.speech.sound import ANALYSIS_RATE, Samples

__all__ = ["BANDS", "HOP", "MelStream", "mel_frames"]

HOP: Final = 160
"""Samples between frames: 100 frames a second."""
BANDS: Final = 40

_WINDOW: Final = 400
_BEFORE: Final = 120
"""Samples that a frame's window begins before the frame; it ends 280 samples after its start."""
_AFTER: Final = _WINDOW - _BEFORE
_FFT: Final = 512
_LOW_HZ, _HIGH_HZ = 60.0, 7_600.0
_FLOOR: Final = 1e-7
_BLOCK: Final = 2_048
"""Frames that are transformed at a time."""

Mel = NDArray[np.float32]
"""(n, 40) logarithmic mel powers, scaled to about 0-1."""


def _filters() -> NDArray[np.float32]:
    """(257, 40) triangles, equally wide on the mel scale (HTK's formula)."""
    low, high = (2595.0 * float(np.log10(1.0 + hertz / 700.0)) for hertz in (_LOW_HZ, _HIGH_HZ))
    centres = 700.0 * (10.0 ** (np.linspace(low, high, BANDS + 2) / 2595.0) - 1.0)
    bins = np.fft.rfftfreq(_FFT, 1.0 / ANALYSIS_RATE)[:, None]
    up = (bins - centres[:-2]) / (centres[1:-1] - centres[:-2])
    down = (centres[2:] - bins) / (centres[2:] - centres[1:-1])
    return np.maximum(np.minimum(up, down), 0.0).astype(np.float32)


_FILTERS: Final = _filters()
_HANN: Final = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)


def mel_frames(samples: Samples) -> Mel:
    """(n, 40) features of a sound at 16 kHz; frame t begins at sample 160 t.

    There is a frame for each complete 160 samples; silence is taken to be around the sound.
    """
    count = len(samples) // HOP
    padded = np.pad(samples[: count * HOP + _AFTER], (_BEFORE, _AFTER))
    blocks = [
        _transformed(padded[first * HOP :], min(_BLOCK, count - first))
        for first in range(0, count, _BLOCK)
    ]
    return np.concatenate(blocks) if blocks else np.zeros((0, BANDS), np.float32)


def _transformed(padded: Samples, count: int) -> Mel:
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][:count]
    spectrum = np.fft.rfft(windows * _HANN, _FFT)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ _FILTERS
    return np.asarray(np.log(np.maximum(power, _FLOOR)) / 4.0 + 0.5, np.float32)


class MelStream:
    """The same features of a sound that comes in pieces."""

    def __init__(self) -> None:
        self._rest: Samples = np.zeros(_BEFORE, np.float32)

    def push(self, samples: Samples) -> Mel:
        """(n, 40) the frames that are complete now; a frame needs 280 samples from its start on."""
        padded = np.concatenate([self._rest, samples])
        count = max((len(padded) - _WINDOW) // HOP + 1, 0)
        self._rest = padded[count * HOP :]
        return _transformed(padded, count) if count else np.zeros((0, BANDS), np.float32)
