"""H.264 as every phone plays it: High, yuv420p, bt709, constant rate, closed GOPs, index first.

Frames come as a stream and none is kept. The file appears under its name when it is complete.
"""

from collections.abc import Container, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.budget import MIN_SSIM, byte_budget
from sunriza_assets.studio.media.encoder import (
    CRF,
    IDLE_THREADS,
    THREADS,
    Encoder,
    Settings,
    add_video,
    encoder_lock,
    pick_encoder,
    to_yuv,
)
from sunriza_assets.studio.media.files import part_path, sync_and_rename, write_errors
from sunriza_assets.studio.media.info import VideoInfo
from sunriza_assets.studio.media.probe import describe_own
from sunriza_assets.studio.media.sound import SoundTrack

__all__ = ["Quality", "VideoWriter", "encode", "idle_writer"]

_SOUND_BITS: Final = 128_000
"""Bits per second of AAC: nothing is heard of it, the sound is kept for people."""
_SINGLE_GOP_S: Final = 3600
_COMPARED_PER_S: Final = 3
"""Frames of a second that are compared with what was encoded of them. Neighbouring frames are about
equally like (docs/media.md has the figures), and each comparison costs as much as encoding one."""
_GIVE_UP_MARGIN: Final = 0.005
"""After ten comparisons a mean that much too low is given up on: later frames have less of the rate
left than the first."""
if TYPE_CHECKING:
    from sunriza_assets.studio.media.grading import Grader
    from sunriza_assets.studio.media.quality import Likeness


def encode(
    frames: Iterable[NDArray[np.uint8]],
    path: Path,
    *,
    rate: Fraction,
    crf: int = CRF,
    encoder: Encoder = "auto",
) -> VideoInfo:
    """Encode a stream of frames without sound, which is what an idle is.

    Args:
        frames: (H, W, 3) uint8 RGB, all of one even size.
        path: destination, .mp4.
        rate: frames per second, exact.
        crf: x264's constant quality, 0-51; lower is better.
        encoder: auto takes NVENC where a test encode works, else x264.

    Raises:
        MediaError: `no_frames`; `unsupported`: an odd size or frames that differ in size;
            `too_detailed`: it is too large or too unlike the frames to be published.
    """
    with idle_writer(path, rate=rate, crf=crf, encoder=encoder) as writer:
        for frame in frames:
            writer.write(frame)
    return writer.info


def idle_writer(
    path: Path,
    *,
    rate: Fraction,
    crf: int = CRF,
    encoder: Encoder = "auto",
    key_frames: Container[int] = (),
) -> "VideoWriter":
    """The writer that `encode` uses, for callers that also need its `quality`.

    There is one key frame, the first, beside those that are asked for: another draws grain and
    texture anew in the middle, and then the last frame differs from the first by all that has
    happened to them since. (Of six loops without a seam three had one of 2-3 ordinary steps with a
    key frame every two seconds, none had with one.) `idle.write_idle` looks whether that shows.
    """
    return VideoWriter(
        path, rate=rate, crf=crf, encoder=encoder, key_frame_s=_SINGLE_GOP_S, published=True,
        key_frames=key_frames,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quality:
    """How a clip was encoded."""

    encoder: str
    """libx264 or h264_nvenc."""
    size_bytes: int
    """Size of the file."""
    budget_bytes: int
    """Largest size at which it may be published."""
    mean_ssim: float | None
    """Structural similarity of its luma to the frames given, if it was measured."""
    lowest_ssim: float | None
    """The same of the worst frame measured."""
    compared_frames: int = 0
    """How many frames were measured."""
    compared_every: int = 0
    """One frame of so many was; 0 if none."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


class VideoWriter(AbstractContextManager["VideoWriter"]):
    """Takes frames one by one; see `encode` for most arguments and for errors.

    Args:
        path: destination, .mp4.
        rate: frames per second, exact.
        crf: x264's constant quality.
        encoder: which one; auto tries NVENC.
        sound: what is heard with it.
        key_frame_s: seconds between key frames.
        key_frames: numbers of frames that are key frames beside these; each is asked for when it is
            written.
        preset: how long x264 searches.
        published: hold it to the gate: the rate is capped, the likeness measured, and a clip that
            fails is refused.

    Leaving the block well finishes the file and sets `info`; leaving it by an error removes it.
    """

    info: VideoInfo
    """The finished file, once the block is left."""
    quality: Quality
    """How well it was encoded, once the block is left."""

    def __init__(
        self,
        path: Path,
        *,
        rate: Fraction,
        crf: int = CRF,
        encoder: Encoder = "auto",
        sound: SoundTrack | None = None,
        key_frame_s: int = 2,
        preset: str = "medium",
        published: bool = False,
        key_frames: Container[int] = (),
    ) -> None:
        self._path = path
        self._part = part_path(path)
        self._rate = rate
        threads = IDLE_THREADS if published else THREADS
        self._settings = Settings(rate, crf, key_frame_s, preset, capped=published, threads=threads)
        self._key_frames = key_frames
        self._requested_encoder: Encoder = encoder
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._count = 0
        self._sound = _Sound(sound) if sound is not None else None
        self._published = published
        self._every = max(1, round(rate / _COMPARED_PER_S))
        self._grader: Grader | None = None
        self._likeness: Likeness | None = None
        self._encoder = ""

    def __enter__(self) -> Self:
        return self

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Encode one more frame: (H, W, 3) uint8 RGB of the size of the first."""
        self.write_frame(to_yuv(frame))

    def write_frame(self, frame: VideoFrame) -> None:
        """Encode one more frame that is yuv420p bt709 already; its time is set here."""
        with write_errors(self._path):
            if self._stream is None:
                self._open(frame.width, frame.height)
            self._encode(frame)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is not None:
                self._abandon()
            else:
                with write_errors(self._path):
                    self._finish()
        finally:
            if self._grader is not None:
                self._grader.stop()
            self._part.unlink(missing_ok=True)

    def _encode(self, frame: VideoFrame) -> None:
        container, stream = self._require_open()
        if (frame.width, frame.height) != (stream.width, stream.height):
            raise MediaError(
                f"Frame {self._count} has {frame.width}x{frame.height} pixels, the first had "
                f"{stream.width}x{stream.height}",
                where=self._path,
                code="unsupported",
            )
        frame.pts, frame.time_base = self._count, 1 / self._rate
        # Else the encoder's choice, not the source's.
        frame.pict_type = PictureType.I if self._count in self._key_frames else PictureType.NONE
        if self._grader is not None:
            self._grader.add_frame(self._count, frame)
        self._mux(container, self._encode_packets(stream, frame))
        self._count += 1
        if self._sound is not None:
            self._sound.write(container, self._count / self._rate)

    def _encode_packets(self, stream: VideoStream, frame: VideoFrame | None) -> list[Packet]:
        """Encode one frame and return the packets that are ready; None flushes the encoder."""
        with encoder_lock(self._encoder):
            return stream.encode(frame)

    def _require_open(self) -> tuple[OutputContainer, VideoStream]:
        if self._container is None or self._stream is None:
            raise MediaError("There are no frames to encode", where=self._path, code="no_frames")
        return self._container, self._stream

    def _finish(self) -> None:
        container, stream = self._require_open()
        self._mux(container, self._encode_packets(stream, None))
        if self._grader is not None:
            self._likeness = self._grader.finish()
            self._check_given_up(self._grader)
        if self._sound is not None:
            self._sound.finish(container)
        container.close()
        self.info = describe_own(self._part)
        self._check_quality()
        sync_and_rename(self._part, self._path)

    def _abandon(self) -> None:
        """Close the file after an error; errors of closing are ignored."""
        if self._container is not None:
            with suppress(OSError, av.error.FFmpegError):
                self._container.close()

    def _mux(self, container: OutputContainer, packets: list[Packet]) -> None:
        for packet in packets:
            if self._grader is not None:
                self._grader.add_packet(packet)
                self._check_given_up(self._grader)
            container.mux(packet)

    def _check_given_up(self, grader: "Grader") -> None:
        if grader.given_up.is_set():
            self._refuse([_likeness_problem(grader.likeness, MIN_SSIM - _GIVE_UP_MARGIN)])

    def _check_quality(self) -> None:
        """Set `quality`; raise for a clip that may not be published."""
        likeness, budget = self._likeness, byte_budget(self.info.size, self.info.duration)
        self.quality = Quality(
            encoder=self._encoder,
            size_bytes=self.info.size_bytes,
            budget_bytes=budget,
            mean_ssim=round(likeness.mean, 5) if likeness is not None else None,
            lowest_ssim=round(likeness.lowest, 5) if likeness is not None else None,
            compared_frames=likeness.compared if likeness is not None else 0,
            compared_every=self._every if likeness is not None else 0,
        )
        if likeness is not None:
            size_problem = f"it has {self.info.size_bytes} bytes, more than {budget}"
            self._refuse(
                [
                    _likeness_problem(likeness, MIN_SSIM),
                    size_problem if self.info.size_bytes > budget else None,
                ]
            )

    def _refuse(self, problems: list[str | None]) -> None:
        """Raise for the problems that there are."""
        found = [problem for problem in problems if problem]
        if found:
            raise MediaError(
                f"The clip may not be published: {'; '.join(found)}",
                where=self._path,
                remedy="Choose a smaller size or a picture with less grain.",
                code="too_detailed",
            )

    def _open(self, width: int, height: int) -> None:
        if width % 2 or height % 2:
            raise MediaError(
                f"A clip's size is even, {width}x{height} is not", where=self._path,
                code="unsupported",
            )  # fmt: skip
        name = (
            pick_encoder(width, height)
            if self._requested_encoder == "auto"
            else self._requested_encoder
        )
        self._encoder = name
        self._container = av.open(
            str(self._part), "w", format="mp4", options={"movflags": "+faststart"}
        )
        self._stream = add_video(self._container, name, (width, height), self._settings)
        if self._sound is not None:
            self._sound.open(self._container)
        with encoder_lock(name):
            self._container.start_encoding()  # opens the encoder, which then has its parameter sets
        if self._published:
            from sunriza_assets.studio.media.grading import Grader  # OpenCV: not for the child

            self._grader = Grader(
                self._stream.codec_context.extradata, self._every, MIN_SSIM - _GIVE_UP_MARGIN
            )


def _likeness_problem(likeness: "Likeness", least: float) -> str | None:
    return (
        f"its likeness is {likeness.mean:.3f}, below {MIN_SSIM}" if likeness.mean < least else None
    )


class _Sound:
    """Encodes an audio track interleaved with the video."""

    def __init__(self, track: SoundTrack) -> None:
        self._track = track
        self._frames = track.frames()
        self._stream: AudioStream | None = None
        self._until = Fraction(0)

    def open(self, container: OutputContainer) -> None:
        """Add the audio stream; call it before the first packet is muxed."""
        stream = container.add_stream("aac", rate=self._track.rate)
        stream.layout = self._track.layout
        stream.bit_rate = _SOUND_BITS
        self._stream = stream

    def write(self, container: OutputContainer, until: Fraction) -> None:
        """Encode what is heard up to a time."""
        while self._until < until and (frame := next(self._frames, None)) is not None:
            self._until += Fraction(frame.samples, self._track.rate)
            self._encode(container, frame)

    def finish(self, container: OutputContainer) -> None:
        """Encode the rest."""
        for frame in self._frames:
            self._encode(container, frame)
        self._encode(container, None)

    def _encode(self, container: OutputContainer, frame: AudioFrame | None) -> None:
        if self._stream is not None:
            container.mux(self._stream.encode(frame))
