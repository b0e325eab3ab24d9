"""Sound of a trimmed clip: cut to the sample, and in sync with the pictures at any length.

Sound is placed by its timestamps. Gaps are filled with silence, and of overlapping samples the
later ones are dropped. Pieces that are contiguous within ten milliseconds are joined directly, so
that rounded timestamps cause no clicks.
"""

import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet
from numpy.typing import NDArray

from sunriza_assets.studio.media.source import Source

__all__ = ["SoundTrack"]

_AAC_RATES: Final = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
"""Sample rates kept as they are; any other becomes the first."""
_TOLERANCE: Final = Fraction(1, 100)
"""Tolerated difference between timestamps and sample counts, seconds."""
_PREROLL: Final = 1
"""Seconds decoded before the first sample: codecs overlap their frames."""
_BLOCK: Final = 4096
"""Samples per output frame."""
_log = logging.getLogger(__name__)

Samples = NDArray[np.float32]


class SoundTrack:
    """The sound of an open clip between two times.

    Args:
        source: an open clip with sound, for this track alone: it is read to its end.
        begin: seconds on the container's clock at which the first sample is heard.
        seconds: how long; shorter sound is followed by silence.
    """

    def __init__(self, source: Source, begin: Fraction, seconds: Fraction) -> None:
        if source.audio is None:
            raise ValueError("the clip has no sound")
        context = source.audio.codec_context
        self._source = source
        self._stream = source.audio
        self._begin = begin
        self.rate: int = context.sample_rate if context.sample_rate in _AAC_RATES else _AAC_RATES[0]
        """Samples per second."""
        self.layout: str = "mono" if context.layout.nb_channels == 1 else "stereo"
        """mono or stereo; more channels are mixed down."""
        self._total = round(seconds * self.rate)
        self._done = 0

    def frames(self) -> Iterator[AudioFrame]:
        """Float planar frames, stamped in samples from 0, without gaps, exactly to the end."""
        for start, samples in self._decoded():
            begin, piece = self._placed(start, samples)
            if begin > self._done:
                yield from self._silence(begin - self._done)
            yield from self._blocks(piece)
            if self._done >= self._total:
                return
        yield from self._silence(self._total - self._done)

    def _placed(self, start: int, samples: Samples) -> tuple[int, Samples]:
        """Where a piece begins, and what is left of it after what is there already."""
        # Not the first piece: it determines the sync of all that follows.
        if self._done and abs(start - self._done) <= _TOLERANCE * self.rate:
            start = self._done
        if start < self._done:
            samples, start = samples[:, self._done - start :], self._done
        return min(start, self._total), samples

    def _decoded(self) -> Iterator[tuple[int, Samples]]:
        """(index of the first sample, (channels, N) samples) of each decoded frame."""
        resampler: AudioResampler | None = None
        shape: tuple[object, ...] = ()
        tick = self._stream.time_base or Fraction(1, 90000)
        self._source.seek(int((self._begin - _PREROLL) / tick), self._stream)
        for packet in self._source.container.demux(self._stream):
            for frame in _decode(self._stream, packet):
                now = (frame.format.name, frame.layout.name, frame.sample_rate)
                if resampler is None or now != shape:
                    resampler = AudioResampler("fltp", self.layout, self.rate)
                    shape = now
                for even in resampler.resample(frame):
                    if even.pts is None or even.time_base is None:
                        continue
                    time = even.pts * even.time_base - self._begin
                    yield round(time * self.rate), np.asarray(even.to_ndarray(), np.float32)

    def _silence(self, count: int) -> Iterator[AudioFrame]:
        channels = 1 if self.layout == "mono" else 2
        for at in range(0, count, _BLOCK):
            yield from self._blocks(np.zeros((channels, min(_BLOCK, count - at)), np.float32))

    def _blocks(self, samples: Samples) -> Iterator[AudioFrame]:
        samples = samples[:, : max(0, self._total - self._done)]
        for at in range(0, samples.shape[1], _BLOCK):
            piece = np.ascontiguousarray(samples[:, at : at + _BLOCK])
            frame = AudioFrame.from_ndarray(piece, "fltp", self.layout)
            frame.sample_rate = self.rate
            frame.pts, frame.time_base = self._done, Fraction(1, self.rate)
            self._done += piece.shape[1]
            yield frame


def _decode(stream: AudioStream, packet: Packet) -> list[AudioFrame]:
    """The frames of a packet; a damaged one is silence."""
    try:
        return [frame for frame in stream.decode(packet) if frame.samples]
    except av.error.InvalidDataError:
        _log.warning("A damaged packet of sound becomes silence (time stamp %s)", packet.pts)
        return []
