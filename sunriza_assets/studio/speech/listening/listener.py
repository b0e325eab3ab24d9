"""Hears a mouth in sound as it comes: 20 ms in, 20 ms out, a fixed look-ahead later."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import SpeechError
from sunriza_assets.studio.speech.level import FLOOR_DB
from sunriza_assets.studio.speech.listening.features import HOP, MelStream
from sunriza_assets.studio.speech.listening.heard import PER_FRAME, Heard, heard_of_outputs
from sunriza_assets.studio.speech.listening.network import (
    FRAME_RATE,
    LOOK_AHEADS,
    Network,
    NetworkStream,
    packaged_network,
)
from sunriza_assets.studio.speech.mouth import Curve
from sunriza_assets.studio.speech.sound import ANALYSIS_RATE, Samples, Sound

__all__ = ["LOOK_AHEAD_S", "Listener", "heard_by_network"]

LOOK_AHEAD_S: Final = 0.06
"""Of live sound, seconds. With chunks of 20 ms, the window's 17.5 ms and a frame of 33 ms a mouth
is 131 ms behind its sound, by which the sound is delayed."""
_SAMPLES: Final = HOP * PER_FRAME
_WINDOW_AFTER: Final = 280
_LONGEST_PUSH_S: Final = 60.0


class Listener:
    """Live listening; one instance for one speaker.

    Args:
        rate: samples per second of what comes, 8-192 kHz.
        look_ahead: seconds of sound after a frame that are heard before it is told: 0, 0.04, 0.06,
            0.08 or 0.12. More is more accurate and later.
        network: default: the one that comes with the package.

    Raises:
        SpeechError: the rate or the look-ahead is not one it can work with.
    """

    def __init__(
        self,
        rate: int = ANALYSIS_RATE,
        *,
        look_ahead: float = LOOK_AHEAD_S,
        network: Network | None = None,
    ) -> None:
        frames = round(look_ahead * FRAME_RATE)
        if frames not in LOOK_AHEADS:
            known = ", ".join(f"{ahead / FRAME_RATE:g}" for ahead in LOOK_AHEADS)
            raise SpeechError(
                f"A look-ahead of {look_ahead:g} s cannot be used",
                remedy=f"Use one of {known} s.",
                code="look_ahead",
            )
        Sound(np.zeros(0, np.float32), rate)  # checks the rate
        network = network or packaged_network()
        self.rate = rate
        """Samples per second of what comes."""
        self.delay = look_ahead + (_SAMPLES + _WINDOW_AFTER - HOP) / ANALYSIS_RATE
        """Seconds from the start of a frame's sound to the moment at which it can be told."""
        self._ahead = frames
        self._head = LOOK_AHEADS.index(frames)
        self._prior = network.parameters["prior"]
        self._network = NetworkStream(network)
        self._mel = MelStream()
        self._resampler = None if rate == ANALYSIS_RATE else _Resampler(rate)
        self._skip = frames
        self._outputs = np.zeros((0, 15), np.float32)
        self._samples: Samples = np.zeros(0, np.float32)
        self._levels: Curve = np.zeros(0)
        self._told = 0

    def push(self, pcm: bytes | NDArray[np.int16] | Samples) -> Heard:
        """The frames that can be told now, for the sound that comes next.

        Args:
            pcm: mono, any length: little-endian int16 as bytes or array, or float32 in -1..1.

        Raises:
            SpeechError: bytes that are no whole samples, or more than a minute at once.
        """
        samples = _samples_of(pcm)
        if len(samples) > _LONGEST_PUSH_S * self.rate:
            raise SpeechError(
                "Too much sound at once for a live listener",
                remedy=f"Send at most {_LONGEST_PUSH_S:g} s in one piece.",
                code="chunk",
            )
        if self._resampler is not None:
            samples = self._resampler.push(samples)
        return self._hear(samples)

    def finish(self) -> Heard:
        """The last frames: silence is taken to follow. Nothing may be pushed afterwards."""
        rest = np.zeros(0, np.float32) if self._resampler is None else self._resampler.finish()
        silence = np.zeros(_WINDOW_AFTER + self._ahead * HOP, np.float32)
        return self._hear(np.concatenate([rest, silence]), last=len(rest))

    def _hear(self, samples: Samples, last: int | None = None) -> Heard:
        self._note_levels(samples if last is None else samples[:last])
        outputs = self._network.push(self._mel.push(samples))[:, self._head]
        skipped = min(self._skip, len(outputs))
        self._skip -= skipped
        self._outputs = np.concatenate([self._outputs, outputs[skipped:]])
        count = min(len(self._outputs) // PER_FRAME, len(self._levels))
        heard = heard_of_outputs(
            self._outputs[: count * PER_FRAME], self._prior, self._levels[:count], self._told
        )
        self._outputs = self._outputs[count * PER_FRAME :]
        self._levels = self._levels[count:]
        self._told += count
        return heard

    def _note_levels(self, samples: Samples) -> None:
        joined = np.concatenate([self._samples, samples])
        count = len(joined) // _SAMPLES
        frames = joined[: count * _SAMPLES].reshape(-1, _SAMPLES)
        self._samples = joined[count * _SAMPLES :]
        self._levels = np.concatenate([self._levels, _levels(frames)])


def _levels(frames: Samples) -> Curve:
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (FLOOR_DB / 10.0))))


def _samples_of(pcm: bytes | NDArray[np.int16] | Samples) -> Samples:
    """(n,) float32; what is not a number becomes silence."""
    if isinstance(pcm, bytes | bytearray | memoryview):
        if len(pcm) % 2:
            raise SpeechError(
                f"{len(pcm)} bytes are no whole samples of 16 bits",
                remedy="Send mono 16-bit little-endian samples.",
                code="chunk",
            )
        pcm = np.frombuffer(pcm, "<i2")
    if np.issubdtype(pcm.dtype, np.integer):
        return pcm.astype(np.float32) / 32_768.0
    return np.nan_to_num(np.asarray(pcm, np.float32), nan=0.0, posinf=0.0, neginf=0.0)


class _Resampler:
    """To 16 kHz, 1-3 ms late."""

    def __init__(self, rate: int) -> None:
        import av

        self._rate = rate
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=ANALYSIS_RATE)

    def push(self, samples: Samples) -> Samples:
        import av

        if not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), "flt", "mono")
        frame.sample_rate = self._rate
        return self._joined(self._resampler.resample(frame))

    def finish(self) -> Samples:
        return self._joined(self._resampler.resample(None))

    @staticmethod
    def _joined(frames: Sequence[Any]) -> Samples:
        parts = [frame.to_ndarray()[0] for frame in frames]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def heard_by_network(
    samples: Samples, *, look_ahead: float = 0.12, network: Network | None = None
) -> Heard:
    """A whole sound at 16 kHz at once: what a listener tells of it, piece by piece, in one."""
    listener = Listener(look_ahead=look_ahead, network=network)
    pieces = [
        listener.push(samples[k : k + ANALYSIS_RATE * 30])
        for k in range(0, max(len(samples), 1), ANALYSIS_RATE * 30)
    ]
    pieces.append(listener.finish())
    return Heard(
        0,
        *(
            np.concatenate([getattr(piece, name) for piece in pieces])
            for name in ("weights", "opening", "width", "rounding", "level")
        ),
    )
