"""Loudness and true peak of a sound by ITU-R BS.1770-4, and a sound brought to a wanted loudness.

Mono throughout: one channel counts with weight 1, so that a 997 Hz sine at full scale has
-3.01 LUFS. Stereo figures of the EBU are 3.01 dB higher for the same level in both channels.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d
from scipy.signal import resample_poly, sosfilt

from sunriza_assets.studio.speech.sound import Samples, Sound

__all__ = ["SILENT", "TARGET_LUFS", "TRUE_PEAK_DB", "loudness", "normalised", "true_peak"]

TARGET_LUFS: Final = -16.0
"""Loudness of what is published, LUFS: speech on telephones and laptops."""
TRUE_PEAK_DB: Final = -1.0
"""Highest true peak of what is published, dB of full scale."""
SILENT: Final = -70.0
"""Absolute gate of BS.1770, LUFS: a sound without a louder block has no loudness."""

_RELATIVE_GATE: Final = 10.0
"""LU below the mean of the blocks above the absolute gate."""
_OFFSET: Final = -0.691
"""dB: what the weighting adds at 997 Hz, taken off again."""
_STEPS_PER_SECOND: Final = 10
"""Blocks begin every 100 ms."""
_STEPS_PER_BLOCK: Final = 4
"""Blocks of 400 ms."""
_FILTERED: Final = 1 << 20
"""Samples that are filtered at a time: memory does not grow with the length of the sound."""
_OVERSAMPLED_RATE: Final = 192_000
"""Rate at which peaks between samples are looked for, Hz; BS.1770-4, annex 2."""
_MARGIN: Final = 64
"""Samples that a piece shares with its neighbours: more than the interpolator's reach."""
_LIMITER_S: Final = 0.005
"""Half of the limiter's window: its gain falls and rises within this time around a peak."""
_MOST_GAIN_DB: Final = 40.0
"""A sound is raised by no more: what is quieter is the noise of a room."""
_ROUNDS: Final = 4
"""Limiting takes loudness away, which the next round gives back."""
_CLOSE_ENOUGH: Final = 0.05
"""dB."""


def loudness(sound: Sound) -> float:
    """Integrated loudness, LUFS; -inf where no block is louder than `SILENT`.

    A sound shorter than a block of 400 ms is one block.
    """
    steps = _step_energies(sound)
    length = min(_STEPS_PER_BLOCK, len(steps))
    if length == 0:
        return -np.inf
    blocks = np.convolve(steps, np.full(length, 1 / length), "valid")
    levels = _OFFSET + 10 * np.log10(np.maximum(blocks, 1e-30))
    heard = levels > SILENT
    if not heard.any():
        return -np.inf
    gate = _OFFSET + 10 * np.log10(blocks[heard].mean()) - _RELATIVE_GATE
    return float(_OFFSET + 10 * np.log10(blocks[heard & (levels > gate)].mean()))


def true_peak(sound: Sound) -> float:
    """Highest level between and at the samples, dB of full scale; -inf for digital silence."""
    peak = max((float(piece.max()) for piece in _oversampled(sound)), default=0.0)
    return 20 * float(np.log10(peak)) if peak > 0 else -np.inf


def normalised(sound: Sound, *, target: float = TARGET_LUFS, peak: float = TRUE_PEAK_DB) -> Sound:
    """The sound at a wanted loudness, its peaks limited; silence is returned as it is.

    For whole utterances: pieces of one would each get a gain of their own.

    Args:
        sound: anything finite; it is raised by at most 40 dB.
        target: wanted loudness, LUFS. Sound of few high peaks may stay below it.
        peak: true peak that is not passed, dB of full scale.
    """
    if len(sound.samples) == 0 or not np.isfinite(level := loudness(sound)):
        return sound
    gain = min(target - level, _MOST_GAIN_DB)
    wanted = level + gain
    envelope = np.concatenate(_oversampled(sound))
    result = sound
    for _ in range(_ROUNDS):
        result = _limited(sound, envelope, gain, peak)
        short = wanted - loudness(result)
        if short <= _CLOSE_ENOUGH:
            break
        gain += short
    return _scaled(result, min(0.0, peak - true_peak(result)))


def _scaled(sound: Sound, decibels: float) -> Sound:
    return Sound(sound.samples * np.float32(10 ** (decibels / 20)), sound.rate)


def _limited(sound: Sound, envelope: Samples, decibels: float, peak: float) -> Sound:
    """The sound raised by a gain that falls around true peaks.

    Args:
        sound: the sound as it was.
        envelope: its true level around each sample, (n,).
        decibels: gain elsewhere.
        peak: dB that true peaks may reach.
    """
    wanted = np.float32(10 ** (decibels / 20))
    ceiling = np.float32(10 ** (peak / 20)) / wanted
    if envelope.max() <= ceiling:
        return _scaled(sound, decibels)
    needed = np.minimum(1, ceiling / np.maximum(envelope, ceiling))
    half = max(1, round(_LIMITER_S * sound.rate))
    # The least gain needed within reach, then its mean over the same reach: nowhere above `needed`
    lowest = minimum_filter1d(needed, 2 * half + 1, mode="nearest")
    gain = uniform_filter1d(lowest.astype(np.float64), 2 * half + 1, mode="nearest")
    return Sound((sound.samples * gain * wanted).astype(np.float32), sound.rate)


def _oversampled(sound: Sound) -> list[Samples]:
    """Highest absolute level from each sample to the next, (n,) in all, in pieces."""
    factor = max(1, min(4, -(-_OVERSAMPLED_RATE // sound.rate)))
    samples, pieces = sound.samples, []
    for at in range(0, len(samples), _FILTERED):
        low, high = max(0, at - _MARGIN), min(len(samples), at + _FILTERED + _MARGIN)
        dense = np.abs(resample_poly(samples[low:high], factor, 1))
        # Peaks on both sides of a sample count as its own
        near = maximum_filter1d(dense, 2 * factor - 1, mode="constant")[::factor]
        end = min(len(samples), at + _FILTERED)
        pieces.append(near[at - low : end - low].astype(np.float32))
    return pieces


def _step_energies(sound: Sound) -> NDArray[np.float64]:
    """Mean square of the weighted sound over steps of 100 ms; a shorter rest is left out."""
    samples, rate = sound.samples, sound.rate
    filters = _weighting(rate)
    state = np.zeros((len(filters), 2))
    count = len(samples) * _STEPS_PER_SECOND // rate
    if len(samples) == 0:
        return np.zeros(0)
    if count == 0:
        weighted, _ = sosfilt(filters, samples.astype(np.float64), zi=state)
        return np.array([np.mean(weighted**2)])
    edges = np.arange(count + 1) * rate // _STEPS_PER_SECOND
    energies = np.empty(count)
    at_a_time = max(1, _FILTERED * _STEPS_PER_SECOND // rate)
    for first in range(0, count, at_a_time):
        last = min(first + at_a_time, count)
        low, high = edges[first], edges[last]
        weighted, state = sosfilt(filters, samples[low:high].astype(np.float64), zi=state)
        sums = np.add.reduceat(weighted**2, edges[first:last] - low)
        energies[first:last] = sums / np.diff(edges[first : last + 1])
    return energies


def _weighting(rate: int) -> NDArray[np.float64]:
    """K-weighting at any rate as second-order sections, (2, 6).

    The analogue prototypes behind the standard's coefficients for 48 kHz, by Brecht De Man,
    "Evaluation of implementations of the EBU R128 loudness measurement" (2018).
    """
    # A shelf that raises what the head reflects
    k = np.tan(np.pi * 1681.974450955533 / rate)
    q = 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    scale = 1 + k / q + k * k
    shelf = [
        (high + band * k / q + k * k) / scale, 2 * (k * k - high) / scale,
        (high - band * k / q + k * k) / scale,
        1, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale,
    ]  # fmt: skip
    # A high pass: low tones are heard less
    k = np.tan(np.pi * 38.13547087602444 / rate)
    q = 0.5003270373238773
    scale = 1 + k / q + k * k
    return np.array([
        shelf, [1, -2, 1, 1, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale]
    ])  # fmt: skip
