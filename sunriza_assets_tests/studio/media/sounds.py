"""Sounds made by program: a signal whose place in time can be measured, in any encoding."""

import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

__all__ = ["chunk", "encode", "lag_ms", "signal", "wav"]

Samples = NDArray[np.float32]


@cache
def signal(rate: int, seconds: float = 1.0) -> Samples:
    """Noise below 3 kHz in syllables: equal to itself at no other time."""
    count = round(rate * seconds)
    spectrum = np.fft.rfft(np.random.default_rng(4).normal(0, 1, count))
    hertz = np.fft.rfftfreq(count, 1 / rate)
    spectrum[(hertz < 100) | (hertz > 3000)] = 0
    noise = np.fft.irfft(spectrum, count)
    syllables = 0.3 + 0.7 * np.abs(np.sin(7 * np.arange(count) / rate))
    noise *= syllables * 0.5 / np.abs(noise).max()
    result = noise.astype(np.float32)
    result.flags.writeable = False
    return result


def lag_ms(original: Samples, decoded: Samples, rate: int) -> tuple[float, float]:
    """(milliseconds by which the decoded is late, correlation there)."""
    size = 1 << (len(original) + len(decoded)).bit_length()
    products = np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(original, size))
    correlation = np.fft.irfft(products, size)
    best = int(correlation.argmax())
    level = float(correlation[best] / np.sqrt((original**2).sum() * (decoded**2).sum()))
    return 1000 * (best - size if best > size // 2 else best) / rate, level


def encode(
    path: Path,
    samples: Samples,
    rate: int,
    codec: str,
    sample_format: str,
    *,
    container: str | None = None,
    layout: str = "mono",
) -> Path:
    """Write a sound with PyAV."""
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, options={"strict": "experimental"})
        stream.layout, stream.format = layout, sample_format
        mixer = AudioResampler(sample_format, layout, rate)
        for at in range(0, len(samples), 1024):
            frame = AudioFrame.from_ndarray(samples[None, at : at + 1024].copy(), "flt", "mono")
            frame.sample_rate, frame.pts = rate, at
            for even in mixer.resample(frame):
                out.mux(stream.encode(even))
        out.mux(stream.encode(None))
    return path


def chunk(kind: bytes, body: bytes, claimed: int | None = None) -> bytes:
    """A chunk of RIFF, which may claim another size."""
    return kind + struct.pack("<I", len(body) if claimed is None else claimed) + body


def wav(
    samples: bytes,
    *,
    rate: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    align: int | None = None,
    claimed: int | None = None,
    between: Sequence[bytes] = (),
) -> bytes:
    """A WAV file by its fields; `tag` 1 is whole numbers, 3 floating point."""
    size = channels * bits // 8
    fields = (tag, channels, rate, rate * size & 0xFFFFFFFF, size if align is None else align, bits)
    head = chunk(b"fmt ", struct.pack("<HHIIHH", *(f & 0xFFFFFFFF for f in fields)))
    body = b"WAVE" + head + b"".join(between) + chunk(b"data", samples, claimed)
    return chunk(b"RIFF", body)
