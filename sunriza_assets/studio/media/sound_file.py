"""Sound files from outside, decoded to mono samples in a child process.

WAV, MP3, Ogg, FLAC, M4A, and the sound of MP4, MOV, WebM and Matroska. The first stream of a usual
codec is taken. How long a sound is, is counted in samples; what a header claims is not believed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media import sandbox
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.sniff import RAW_AAC, FileKind, Medium, sniff, sniff_file
from sunriza_assets.studio.media.sound_decoding import Decoding, Samples
from sunriza_assets.studio.media.source import check_complete, open_container

__all__ = [
    "Samples",
    "SoundInfo",
    "describe_sound",
    "describe_sound_in_process",
    "read_samples",
    "read_samples_in_process",
]

_DEMUXERS: Final = {
    "WAV sound file": "wav",
    "MP3 sound file": "mp3",
    "Ogg file": "ogg",
    "FLAC sound file": "flac",
    "M4A sound file": "mov",
    "M4B sound file": "mov",
    "mp4": "mov",
    "mov": "mov",
    "webm": "matroska",
    "matroska": "matroska",
}
_ID3_HEADER: Final = 10


@dataclass(frozen=True, slots=True)
class SoundInfo:
    """What a sound file holds."""

    format: str
    """Words for a reader: `MP3 sound file`."""
    codec: str
    """FFmpeg's name."""
    rate: int
    """Samples per second."""
    channels: int
    """Channels."""
    seconds: float
    """Length by its samples."""
    size_bytes: int
    """Size of the file."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def read_samples(
    path: Path, *, rate: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[Samples, int]:
    """Decode a sound from outside in a child process.

    Args:
        path: the file; its bytes say what it is, not its name.
        rate: wanted samples per second; the file's own if None.
        limits: the fields about sounds apply.

    Returns:
        Finite samples in -1..1 without a constant part, (n,), n > 0, and their rate.

    Raises:
        MediaError: `unreadable`, `empty`, `too_large`, `unsupported`, `truncated`, `no_sound`,
            `no_samples`, `damaged`, `too_long`, `too_complex`, `too_many_channels`, `rate`,
            `memory`, `timeout` or `crashed`.
    """
    _sound_kind(path, limits)  # most of what is no sound at all is refused without a child
    reply = sandbox.run_task(
        "read_sound",
        path,
        limits=limits,
        seconds=limits.sound_decode_seconds,
        arguments={"rate": rate},
    )
    return np.frombuffer(reply.payload, np.float32), int(reply.value["rate"])


def read_samples_in_process(
    path: Path, *, rate: int | None, limits: Limits, accept: Callable[[], None] = lambda: None
) -> tuple[Samples, int]:
    """`read_samples` in this process.

    Args:
        path: the file.
        rate: wanted samples per second, or None.
        limits: what is refused.
        accept: called once the file has been opened.
    """
    with _opened(path, _sound_kind(path, limits), rate, limits) as decoding:
        accept()
        return decoding.samples(), decoding.rate


def describe_sound(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> SoundInfo:
    """Describe a sound from outside, decoded whole in a child process.

    Raises:
        MediaError: as `read_samples` does.
    """
    _sound_kind(path, limits)
    reply = sandbox.run_task(
        "describe_sound", path, limits=limits, seconds=limits.sound_decode_seconds
    )
    return SoundInfo(**reply.value)


def describe_sound_in_process(
    path: Path, *, limits: Limits, accept: Callable[[], None] = lambda: None
) -> SoundInfo:
    """`describe_sound` in this process."""
    kind = _sound_kind(path, limits)
    with _opened(path, kind, None, limits) as decoding:
        accept()
        count = len(decoding.samples())
        return SoundInfo(
            format=kind.name,
            codec=decoding.codec,
            rate=decoding.rate,
            channels=decoding.channels,
            seconds=round(count / decoding.rate, 6),
            size_bytes=path.stat().st_size,
        )


@contextmanager
def _opened(path: Path, kind: FileKind, rate: int | None, limits: Limits) -> Iterator[Decoding]:
    """A file with sound, open at its beginning."""
    demuxer = _DEMUXERS[kind.name]
    if demuxer in ("mov", "matroska"):
        check_complete(path, demuxer, medium="sound")
    with open_container(path, demuxer) as container:
        yield Decoding(path, container, rate, limits)


def _sound_kind(path: Path, limits: Limits) -> FileKind:
    """The format of a file that may hold sound."""
    kind = sniff_file(path, limits, most_bytes=limits.sound_bytes)
    if kind.name == "MP3 sound file":
        kind = _after_id3(path) or kind
    if kind == RAW_AAC:
        raise MediaError(
            "Raw AAC has no container and would begin late",
            where=path,
            remedy="Save it as M4A.",
            code="unsupported",
        )
    if kind.medium not in (Medium.SOUND, Medium.CLIP):
        raise MediaError(
            f"This is a {kind.name}, not a sound",
            where=path,
            remedy="Save it as WAV, MP3, Ogg, Opus, FLAC, M4A or WebM.",
            code="unsupported",
        )
    return kind


def _after_id3(path: Path) -> FileKind | None:
    """What stands behind an ID3v2 tag (id3.org, 3.1), if it is a stream that bears one."""
    with path.open("rb") as file:
        header = file.read(_ID3_HEADER)
        if header[:3] != b"ID3" or len(header) < _ID3_HEADER:
            return None
        size = 0
        for byte in header[6:]:  # seven bits each
            size = size << 7 | byte & 0x7F
        file.seek(_ID3_HEADER + size)
        kind = sniff(file.read(64))
    return kind if kind in (RAW_AAC, FileKind("FLAC sound file", Medium.SOUND)) else None
