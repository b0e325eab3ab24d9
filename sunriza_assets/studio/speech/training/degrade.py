"""Degradations of clean speech: what rooms, lines, codecs, other people and music do to it.

A network that has heard only clean synthetic voices fails in the world; it is trained on these.
"""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, Final

import av
import numpy as np
from av.codec import CodecContext

from sunriza_assets.studio.speech.sound import ANALYSIS_RATE, Samples

__all__ = ["degraded", "faster"]

_CODECS: Final = (
    ("libopus", (8_000, 16_000)),
    ("libmp3lame", (16_000, 32_000)),
    ("aac", (16_000, 32_000)),
    ("g722", (64_000,)),
)
"""Encoder -> bit rates, bits per second."""
_DECODERS: Final = MappingProxyType({"libopus": "opus", "libmp3lame": "mp3"})
_FRAME: Final = 320
_MAX_DELAY: Final = 2_400
"""Samples that a codec may delay its sound."""


def faster(samples: Samples, factor: float) -> Samples:
    """The sound played `factor` times as fast: pitch and formants rise together."""
    count = int(len(samples) / factor)
    return np.interp(np.arange(count) * factor, np.arange(len(samples)), samples).astype(np.float32)


def degraded(samples: Samples, draw: np.random.Generator, others: Sequence[Samples]) -> Samples:
    """The sound after a random chain of degradations; its timing does not change.

    Args:
        samples: (n,) at 16 kHz.
        draw: generator of everything random.
        others: other voices, for babble.
    """
    steps: list[tuple[float, Callable[[Samples], Samples]]] = [
        (0.35, lambda x: _in_room(x, draw)),
        (0.60, lambda x: _coloured(x, draw)),
        (0.20, lambda x: _band_passed(x, 300.0, 3_400.0)),
        (0.75, lambda x: _with(x, _noise(len(x), draw), draw.uniform(3.0, 45.0))),
        (0.25, lambda x: _with(x, _babble(len(x), draw, others), draw.uniform(3.0, 25.0))),
        (0.15, lambda x: _with(x, _music(len(x), draw), draw.uniform(3.0, 25.0))),
        (0.12, _mu_law),
        (0.15, lambda x: _through_codec(x, draw)),
    ]
    for probability, step in steps:
        if draw.random() < probability:
            samples = step(samples)
    loudest = float(np.abs(samples).max(initial=1e-6))
    gain = 0.5 / loudest * 10.0 ** (draw.uniform(-26.0, 6.0) / 20.0)
    return np.clip(samples * gain, -1.0, 1.0).astype(np.float32)


def _filtered(samples: Samples, response: Callable[[np.ndarray], np.ndarray]) -> Samples:
    """The sound with its spectrum multiplied by `response` of the frequencies in Hz."""
    size = 1 << (len(samples) + ANALYSIS_RATE // 10).bit_length()
    spectrum = np.fft.rfft(samples, size)
    spectrum *= response(np.fft.rfftfreq(size, 1.0 / ANALYSIS_RATE))
    return np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)


def _in_room(samples: Samples, draw: np.random.Generator) -> Samples:
    """Direct sound and an exponentially decaying tail of noise."""
    seconds = draw.uniform(0.08, 0.5)
    count = int(seconds * ANALYSIS_RATE)
    tail = draw.standard_normal(count) * np.exp(-6.9 * np.arange(count) / count)
    tail *= 10.0 ** (draw.uniform(-20.0, -4.0) / 20.0) / np.sqrt(np.square(tail).sum())
    tail[0] = 1.0
    size = 1 << (len(samples) + count).bit_length()
    mixed = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)
    return mixed[: len(samples)].astype(np.float32)


def _coloured(samples: Samples, draw: np.random.Generator) -> Samples:
    """A tilt of the spectrum and one resonance, as microphones have them."""
    tilt, peak = draw.uniform(-4.0, 4.0), draw.uniform(-8.0, 8.0)
    centre, octaves = np.exp(draw.uniform(np.log(200.0), np.log(5_000.0))), draw.uniform(0.3, 1.2)

    def response(hertz: np.ndarray) -> np.ndarray:
        pitch = np.log2(np.maximum(hertz, 50.0) / 1_000.0)
        bump = np.exp(-(((pitch - np.log2(centre / 1_000.0)) / octaves) ** 2))
        return 10.0 ** ((tilt * pitch + peak * bump) / 20.0)

    return _filtered(samples, response)


def _band_passed(samples: Samples, low: float, high: float) -> Samples:
    def response(hertz: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + (low / np.maximum(hertz, 1.0)) ** 6 + (hertz / high) ** 8)

    return _filtered(samples, response)


def _with(samples: Samples, other: Samples, decibels: float) -> Samples:
    """The sound with another that is `decibels` quieter."""
    mine, its = (np.sqrt(np.square(x).mean()) + 1e-9 for x in (samples, other))
    return samples + (other * (mine / its) * 10.0 ** (-decibels / 20.0)).astype(np.float32)


def _noise(count: int, draw: np.random.Generator) -> Samples:
    """White to brown."""
    exponent = draw.uniform(0.0, 1.0)
    white = draw.standard_normal(count).astype(np.float32)
    return _filtered(white, lambda hertz: np.maximum(hertz, 30.0) ** -exponent)


def _babble(count: int, draw: np.random.Generator, others: Sequence[Samples]) -> Samples:
    """Two to six other voices at once."""
    mixed = np.zeros(count, np.float32)
    for _ in range(int(draw.integers(2, 7))):
        other = others[int(draw.integers(len(others)))]
        start = int(draw.integers(max(len(other), 1)))
        mixed += np.resize(np.roll(other, -start), count) / (np.abs(other).max(initial=0.0) + 1e-3)
    return mixed


def _music(count: int, draw: np.random.Generator) -> Samples:
    """Chords that change every beat, with drums."""
    beat = int(draw.uniform(0.3, 0.8) * ANALYSIS_RATE)
    mixed = np.zeros(count + beat, np.float32)
    times = np.arange(beat) / ANALYSIS_RATE
    root = 55.0 * 2.0 ** draw.uniform(0.0, 1.0)
    for start in range(0, count, beat):
        chord = root * 2.0 ** (draw.choice([0, 5, 7, 9]) / 12.0)
        sound = draw.standard_normal(beat) * np.exp(-times * 40.0) * draw.uniform(0.0, 2.0)
        for step in (0, 4, 7, 12, 19):
            tone = chord * 2.0 ** (step / 12.0 + draw.integers(1, 3))
            for harmonic in range(1, 5):
                sound += np.sin(2.0 * np.pi * tone * harmonic * times) / harmonic**1.3
        mixed[start : start + beat] += (sound * np.exp(-times * draw.uniform(0.5, 4.0)))[:beat]
    return mixed[:count]


def _mu_law(samples: Samples) -> Samples:
    """Eight bits with a logarithmic scale, as in telephony."""
    scaled = np.clip(samples / (np.abs(samples).max(initial=1e-6)), -1.0, 1.0)
    code = np.sign(scaled) * np.log1p(255.0 * np.abs(scaled)) / np.log(256.0)
    code = np.rint(code * 127.0) / 127.0
    return (np.sign(code) * (256.0 ** np.abs(code) - 1.0) / 255.0).astype(np.float32)


def _through_codec(samples: Samples, draw: np.random.Generator) -> Samples:
    """Encoded at a low bit rate and decoded; the codec's delay is taken out again."""
    name, rates = _CODECS[int(draw.integers(len(_CODECS)))]
    scale = np.abs(samples).max(initial=1e-6)
    decoded = _coded(samples / scale * 0.9, name, int(draw.choice(rates)))
    size = 1 << (len(samples) + len(decoded)).bit_length()
    match = np.fft.irfft(np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(samples, size)), size)
    delay = int(match[:_MAX_DELAY].argmax())
    decoded = decoded[delay : delay + len(samples)]
    return np.pad(decoded, (0, len(samples) - len(decoded))).astype(np.float32) * scale


def _coded(samples: Samples, name: str, bit_rate: int) -> Samples:
    """Encoded and decoded at 16 kHz, with the codec's delay in front."""
    encoder: Any = CodecContext.create(name, "w")
    encoder.sample_rate = ANALYSIS_RATE
    encoder.layout = "mono"
    encoder.bit_rate = bit_rate
    encoder.format = encoder.codec.audio_formats[0]
    encoder.open()
    decoder: Any = CodecContext.create(_DECODERS.get(name, name), "r")
    if encoder.extradata:
        decoder.extradata = encoder.extradata
    to_encoder = av.AudioResampler(
        format=encoder.format,
        layout="mono",
        rate=ANALYSIS_RATE,
        frame_size=encoder.frame_size or _FRAME,
    )
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "flt", "mono")
    frame.sample_rate = ANALYSIS_RATE
    pieces = [*to_encoder.resample(frame), *to_encoder.resample(None), None]
    packets = [packet for piece in pieces for packet in encoder.encode(piece)]
    decoded = [piece for packet in [*packets, None] for piece in decoder.decode(packet)]
    for piece in decoded:
        piece.pts = None
    back = av.AudioResampler(format="flt", layout="mono", rate=ANALYSIS_RATE)
    parts = [part.to_ndarray()[0] for piece in [*decoded, None] for part in back.resample(piece)]
    return np.concatenate(parts) if parts else samples
