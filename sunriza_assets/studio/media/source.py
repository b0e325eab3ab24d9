"""Opening a clip so that nothing but that one file can be read, and walking its streams.

The container is chosen by `sniff` and forced on FFmpeg, the bytes come through a Python file
object, and every request for another file or address is refused. FFmpeg's errors become named ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NoReturn, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sunriza_assets.cores import core_count
from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.boxes import read_layout
from sunriza_assets.studio.media.ebml import ebml_overrun
from sunriza_assets.studio.media.limits import Limits
from sunriza_assets.studio.media.sniff import Medium, sniff_file

__all__ = [
    "Source",
    "check_complete",
    "codec_name",
    "is_usual_sound",
    "open_container",
    "open_source",
    "read_errors",
    "side_data",
]

VIDEO_CODECS: Final = frozenset(
    ("av1", "h263", "h264", "hevc", "mjpeg", "mpeg4", "prores", "vp8", "vp9")
)
AUDIO_CODECS: Final = frozenset(
    ("aac", "ac3", "alac", "amr_nb", "amr_wb", "eac3", "flac", "mp3", "opus", "vorbis")
)
_DEMUXERS: Final = {"mp4": "mov", "mov": "mov", "webm": "matroska", "matroska": "matroska"}
_DECODER_THREADS: Final = 2
"""Each thread of a frame-parallel decoder holds frames of its own; memory is bounded instead."""
_IO_BUFFER: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """An open clip with the streams that are used of it."""

    path: Path
    """Its path."""
    container: InputContainer
    """PyAV's container, open for reading."""
    container_name: str
    """mp4, mov, webm or matroska."""
    video: VideoStream
    """The stream of moving pictures that players show: the one marked, else the first."""
    audio: AudioStream | None
    """The first sound stream of a usual codec, if there is one."""

    @property
    def tick(self) -> Fraction:
        """Seconds of one unit of the video stream's timestamps."""
        return self.video.time_base or Fraction(1, 90000)

    def rewind(self) -> None:
        """Go back to the beginning and forget all decoder state."""
        with read_errors(self.path):
            self.container.seek(0, stream=self.video, backward=True)

    def seek(self, stamp: int, stream: VideoStream | AudioStream) -> None:
        """Go to a key frame at or before a timestamp; without an index, to the beginning."""
        try:
            self.container.seek(stamp, stream=stream, backward=True)
        except av.error.FFmpegError:
            self.rewind()

    def frames(self) -> Iterator[VideoFrame]:
        """Decode the video stream from where the container stands, in order of presentation.

        Raises:
            MediaError: `damaged`, where a decoder would only cover up what it cannot read.
        """
        with read_errors(self.path, code="damaged"):
            for packet in self.container.demux(self.video):
                for frame in packet.decode():
                    if frame.is_corrupt:
                        raise MediaError(
                            f"The clip is damaged at {frame.time or 0:.2f} s",
                            where=self.path,
                            remedy="Upload it again or export it anew.",
                            code="damaged",
                        )
                    yield frame


@contextmanager
def open_source(path: Path, limits: Limits) -> Iterator[Source]:
    """Open a clip from outside.

    Raises:
        MediaError: `unreadable`, `empty`, `too_large`, `unsupported`, `truncated` or `no_video`.
    """
    kind = sniff_file(path, limits)
    if kind.medium is not Medium.CLIP:
        raise MediaError(
            f"This is a {kind.name}, not a clip",
            where=path,
            remedy="Clips are MP4, MOV, WebM or MKV.",
            code="unsupported",
        )
    demuxer = _DEMUXERS[kind.name]
    check_complete(path, demuxer)
    with open_container(path, demuxer) as container:
        yield _choose_streams(path, container, kind.name)


@contextmanager
def open_container(path: Path, demuxer: str) -> Iterator[InputContainer]:
    """Open a file from outside with one demuxer that may read nothing but this file.

    Raises:
        MediaError: `unreadable`, `memory` or `unsupported`.
    """
    with path.open("rb") as file:
        with read_errors(path):
            container = av.open(
                file,
                mode="r",
                format=demuxer,
                options={"protocol_whitelist": "none", "enable_drefs": "0"},
                buffer_size=_IO_BUFFER,
                metadata_errors="replace",
                io_open=_refuse,
            )
        with container:
            yield container


@contextmanager
def read_errors(path: Path, *, code: str = "unreadable") -> Iterator[None]:
    """Convert FFmpeg's errors while it reads `path` into named errors.

    Raises:
        MediaError: `code`, or `memory` or `unsupported`.
    """
    try:
        yield
    except (MemoryError, av.error.MemoryError) as error:
        raise MediaError(
            "Decoding needs more memory than is allowed",
            where=path,
            remedy="Choose a smaller resolution.",
            code="memory",
        ) from error
    except (av.error.DecoderNotFoundError, av.error.PatchWelcomeError) as error:
        raise MediaError(
            f"There is no decoder for this: {error.strerror}",
            where=path,
            remedy="Convert it to H.264 in MP4.",
            code="unsupported",
        ) from error
    except (av.error.FFmpegError, EOFError, UnicodeError) as error:
        raise MediaError(
            f"The file is damaged: {getattr(error, 'strerror', None) or error}",
            where=path,
            remedy="Upload it again or export it anew.",
            code=code,
        ) from error


def check_complete(path: Path, demuxer: str, *, medium: str = "clip") -> None:
    """Refuse an MP4, MOV or Matroska that lacks its end or refers to others.

    FFmpeg would read what is left of it without an error.

    Args:
        path: the file.
        demuxer: FFmpeg's name.
        medium: what an error calls the file.

    Raises:
        MediaError: `truncated` or `unsupported`.
    """
    if demuxer == "mov":
        layout = read_layout(path)
        if layout.external:
            raise MediaError(
                f"The {medium} is kept in another file",
                where=path,
                remedy="Export it as one self-contained file.",
                code="unsupported",
            )
        if layout.compressed:
            raise MediaError(
                f"The {medium}'s index is compressed",
                where=path,
                remedy="Export it anew; only QuickTime of long ago packs its index.",
                code="unsupported",
            )
        missing, started = layout.overrun, layout.has_index
    else:
        missing, started = ebml_overrun(path), True
    if missing or not started:
        raise MediaError(
            f"The {medium} is cut off: {missing} bytes are missing"
            if missing
            else f"The {medium} is cut off: it has no index",
            where=path,
            remedy="Upload it again; the recording or the upload was interrupted.",
            code="truncated",
        )


def _refuse(url: str, flags: int, options: dict[str, Any]) -> NoReturn:
    raise PermissionError("a clip may not open anything else")


def _choose_streams(path: Path, container: InputContainer, container_name: str) -> Source:
    videos = [s for s in container.streams.video if not _is_cover(s)]
    marked = [s for s in videos if s.disposition & Disposition.default]
    video = next(iter(marked + videos), None)
    if video is None:
        raise MediaError(
            "The file has no moving pictures",
            where=path,
            remedy="Choose a video, not a sound or a picture.",
            code="no_video",
        )
    codec = codec_name(video)
    if codec not in VIDEO_CODECS:
        raise MediaError(
            f"The clip's codec {codec} is not supported",
            where=path,
            remedy=f"Supported are {', '.join(sorted(VIDEO_CODECS))}.",
            code="unsupported",
        )
    video.thread_type = "AUTO"
    video.codec_context.thread_count = min(_DECODER_THREADS, core_count())
    audio = next((s for s in container.streams.audio if is_usual_sound(s)), None)
    return Source(path, container, container_name, video, audio)


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def is_usual_sound(stream: AudioStream) -> bool:
    """Whether a stream's codec is one that phones, browsers and recorders write."""
    name = codec_name(stream)
    return name in AUDIO_CODECS or name.startswith("pcm_")


def side_data(frame: VideoFrame, kind: SideDataType) -> bytes | None:
    """What a decoder attached to a frame, as raw bytes."""
    # PyAV's stub calls it a TypedDict; it is a mapping from type to buffer
    found = cast(SideDataContainer, frame.side_data).get(kind)
    return None if found is None else bytes(found)


def codec_name(stream: VideoStream | AudioStream) -> str:
    """FFmpeg's name of a stream's codec; "unknown" when there is no decoder for it."""
    context = stream.codec_context
    return context.codec.canonical_name if context is not None else "unknown"
