"""Spoken sound in the formats that clients ask for: MP3, Opus, AAC, FLAC, WAV, bare samples."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream

from sunriza_assets.atomic import replaced
from sunriza_assets.errors import ParameterError

__all__ = ["COMMENT", "PCM_RATE", "SOUND_FORMATS", "transcode"]

COMMENT: Final = "Synthetic speech, made with Sunriza Assets"
"""What every file that has room for it says of itself."""
PCM_RATE: Final = 24_000
"""Samples per second of `pcm`, whose file cannot say it."""
_BLOCK: Final = 1024
"""Samples of a frame of AAC, the longest that any encoder here takes."""


@dataclass(frozen=True, slots=True)
class _Format:
    """How a format is written."""

    container: str
    """FFmpeg's muxer."""
    codec: str
    """FFmpeg's encoder."""
    samples: str
    """Sample format that it takes."""
    rate: int | None
    """Samples per second, None for those of the source."""
    bits_per_s: int | None = None
    """Of a codec that loses some."""


_FORMATS: Final[Mapping[str, _Format]] = {
    "wav": _Format("wav", "pcm_s16le", "s16", None),
    "pcm": _Format("s16le", "pcm_s16le", "s16", PCM_RATE),
    "flac": _Format("flac", "flac", "s16", None),
    "mp3": _Format("mp3", "libmp3lame", "fltp", None, 64_000),
    "aac": _Format("adts", "aac", "fltp", None, 64_000),
    "opus": _Format("ogg", "libopus", "flt", 48_000, 32_000),
}
SOUND_FORMATS: Final = tuple(_FORMATS)
"""Names of the formats."""


def transcode(source: Path, destination: Path, audio_format: str) -> None:
    """Write a WAV file of our own in another format, mono, beside its place and then renamed.

    Args:
        source: mono, at 8, 16, 22.05, 24 or 48 kHz.
        destination: the new file.
        audio_format: one of `SOUND_FORMATS`.

    Raises:
        ParameterError: there is no such format.
        StoreError: the file cannot be written (a full disk, too).
    """
    if audio_format not in _FORMATS:
        raise ParameterError(
            f"There is no format {audio_format[:20]!r}",
            remedy=f"Known are: {', '.join(_FORMATS)}.",
            code="unknown",
        )
    form = _FORMATS[audio_format]
    with (
        replaced(destination) as part,
        av.open(str(source), format="wav") as read,
        av.open(str(part), "w", format=form.container) as written,
    ):
        (heard,) = read.streams.audio
        rate = form.rate or heard.codec_context.sample_rate
        stream = cast(AudioStream, written.add_stream(form.codec, rate=rate))
        stream.codec_context.layout = "mono"
        stream.codec_context.format = form.samples
        if form.bits_per_s is not None:
            stream.codec_context.bit_rate = form.bits_per_s
        written.metadata["comment"] = COMMENT
        size = stream.codec_context.frame_size or _BLOCK
        resampler = AudioResampler(form.samples, "mono", stream.codec_context.sample_rate, size)
        for frame in _resampled(resampler, read.decode(heard)):
            written.mux(stream.encode(frame))
        written.mux(stream.encode(None))


def _resampled(resampler: AudioResampler, frames: Iterator[AudioFrame]) -> Iterator[AudioFrame]:
    for frame in frames:
        yield from resampler.resample(frame)
    yield from resampler.resample(None)
