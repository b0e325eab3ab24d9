"""Decoding the sound of an open file, sample by sample, whatever the file claims."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.limits import Limits
from sunriza_assets.studio.media.source import codec_name, is_usual_sound, read_errors

__all__ = ["Decoding", "Samples"]

Samples = NDArray[np.float32]
"""Mono samples, (n,)."""

_RATES: Final = range(8_000, 192_001)
"""Sample rates that are accepted, Hz."""
_PACKETS_PER_SECOND: Final = 2000
"""Packets a second of sound may have; an Opus frame of 2.5 ms makes 400."""
_SMALLEST_GAP: Final = 0.05
"""Seconds between time stamps and samples from which on there is silence between them."""
_LONGEST_GAP: Final = 5.0
"""Seconds; time stamps that jump further, or back, begin a new count."""
_LOUDEST: Final = 4.0
"""12 dB above full scale; what is beyond is damage and not sound."""
_SHARE_OF_DAMAGE: Final = 0.5
"""Of the packets; with more of them damaged, what is left says little."""


class Decoding:
    """One pass over the sound of an open file.

    Args:
        path: named in errors.
        container: open, at its beginning.
        rate: wanted samples per second, or None.
        limits: what is refused.
    """

    def __init__(
        self, path: Path, container: InputContainer, rate: int | None, limits: Limits
    ) -> None:
        self._path = path
        self._container = container
        self._limits = limits
        self._stream = _usual_stream(path, container)
        self._from = self._checked(self._stream.codec_context.sample_rate)
        self.codec = codec_name(self._stream)
        """FFmpeg's name of the codec."""
        self.channels = self._stream.codec_context.layout.nb_channels
        """Channels in the file."""
        self._check_channels(self.channels)
        self.rate = self._from if rate is None else rate
        """Samples per second of the result."""
        self._count = 0
        """Samples so far, at the file's rate."""
        self._shift: float | None = None
        """Seconds by which time stamps are ahead of the count of samples."""

    def samples(self) -> Samples:
        """All samples, cleaned."""
        resampler = AudioResampler("flt", "mono", self.rate) if self.rate != self._from else None
        pieces: list[Samples] = []
        for piece in self._pieces():
            self._count += len(piece)
            if self._count > (self._limits.sound_seconds + 1) * self._from:
                raise self._too_long()
            pieces += [piece] if resampler is None else _resampled(resampler, piece, self._from)
        if resampler is not None and self._count:
            pieces += [_array(frame) for frame in resampler.resample(None)]
        if self._count > self._limits.sound_seconds * self._from:
            raise self._too_long()
        if not sum(map(len, pieces)):
            raise self._no_samples()
        return _cleaned(np.concatenate(pieces))

    def _pieces(self) -> Iterator[Samples]:
        """Mono samples at the file's rate, silence where time stamps leave a gap."""
        mixer, shape = None, None
        for frame in self._frames():
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            if mixer is None or now != shape:
                self._check_channels(frame.layout.nb_channels)
                self._checked(frame.sample_rate)
                if mixer is not None:
                    yield from map(_array, mixer.resample(None))
                mixer, shape = AudioResampler("flt", "mono", self._from), now
            gap = self._gap_before(frame)
            if gap:
                yield np.zeros(gap, np.float32)
            frame.pts = None  # placed already
            with read_errors(self._path):
                yield from map(_array, mixer.resample(frame))
        if mixer is not None:
            yield from map(_array, mixer.resample(None))

    def _frames(self) -> Iterator[AudioFrame]:
        """Decoded frames; damaged packets are left out, which their neighbours' times make good."""
        packets = damaged = 0
        most = _PACKETS_PER_SECOND * (self._limits.sound_seconds + 1)
        with read_errors(self._path):
            for packet in self._container.demux(self._stream):
                packets += 1
                if packets > most:
                    raise MediaError(
                        f"The sound has more than {most:.0f} packets",
                        where=self._path,
                        remedy="Export it anew.",
                        code="too_complex",
                    )
                frames = _decoded(self._stream, packet)
                damaged += frames is None
                yield from frames or []
        if self._count and damaged > _SHARE_OF_DAMAGE * packets:
            raise MediaError(
                f"{damaged} of {packets} packets of the sound cannot be decoded",
                where=self._path,
                remedy="Upload it again or export it anew.",
                code="damaged",
            )

    def _gap_before(self, frame: AudioFrame) -> int:
        """Samples of silence between the last frame and this one."""
        if frame.pts is None or frame.time_base is None:
            return 0
        ahead = float(frame.pts * frame.time_base) - self._count / self._from
        gap = 0.0 if self._shift is None else ahead - self._shift
        if _SMALLEST_GAP < gap <= _LONGEST_GAP:
            return round(gap * self._from)
        if abs(gap) > _SMALLEST_GAP or self._shift is None:
            self._shift = ahead
        return 0

    def _checked(self, rate: int) -> int:
        if rate not in _RATES:
            raise MediaError(
                f"The sound has {rate} samples a second",
                where=self._path,
                remedy=f"Between {_RATES[0]} and {_RATES[-1]} are allowed.",
                code="rate",
            )
        return rate

    def _check_channels(self, count: int) -> None:
        if not 1 <= count <= self._limits.sound_channels:
            raise MediaError(
                f"The sound has {count} channels",
                where=self._path,
                remedy=f"At most {self._limits.sound_channels} are allowed; speech needs one.",
                code="too_many_channels",
            )

    def _too_long(self) -> MediaError:
        return MediaError(
            f"The sound lasts longer than {self._limits.sound_seconds:g} s",
            where=self._path,
            remedy="Cut out the part you want.",
            code="too_long",
        )

    def _no_samples(self) -> MediaError:
        return MediaError(
            "Not one sample of the sound can be decoded",
            where=self._path,
            remedy="Upload it again or export it anew.",
            code="no_samples",
        )


def _usual_stream(path: Path, container: InputContainer) -> AudioStream:
    """The first stream of sound whose codec is a usual one."""
    streams = container.streams.audio
    for stream in streams:
        if is_usual_sound(stream):
            return stream
    if streams:
        raise MediaError(
            f"The sound's codec {codec_name(streams[0])} is not supported",
            where=path,
            remedy="Save it as WAV, MP3, Ogg, Opus, FLAC, M4A or WebM.",
            code="unsupported",
        )
    raise MediaError("The file has no sound", where=path, remedy="Choose a sound.", code="no_sound")


def _decoded(stream: AudioStream, packet: Packet) -> list[AudioFrame] | None:
    """The frames of a packet; None if it is damaged."""
    if packet.has_sidedata("encryption_info"):
        raise MediaError(
            "The sound is encrypted",
            remedy="Choose a sound without copy protection.",
            code="unsupported",
        )
    try:
        return [frame for frame in stream.decode(packet) if frame.samples]
    except av.error.InvalidDataError:
        return None


def _array(frame: AudioFrame) -> Samples:
    """(n,) finite samples of a mono frame."""
    samples = np.asarray(frame.to_ndarray(), np.float32).reshape(-1)
    return np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).clip(-_LOUDEST, _LOUDEST)


def _resampled(resampler: AudioResampler, samples: Samples, rate: int) -> list[Samples]:
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], "flt", "mono")
    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
    return [_array(even) for even in resampler.resample(frame)]


def _cleaned(samples: Samples) -> Samples:
    """Samples without a constant part, in -1..1."""
    samples = samples - np.float32(samples.mean(dtype=np.float64))
    peak = float(np.abs(samples).max())
    return samples / np.float32(peak) if peak > 1 else samples
