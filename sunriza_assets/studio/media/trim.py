"""The first seconds of any clip as a clean one: exact frames, constant rate, upright, SDR."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from av.video.frame import VideoFrame

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media import sandbox
from sunriza_assets.studio.media.encode import VideoWriter
from sunriza_assets.studio.media.info import VideoInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.probe import Examination, examine
from sunriza_assets.studio.media.sandbox import Progress
from sunriza_assets.studio.media.sniff import sniff_file
from sunriza_assets.studio.media.sound import SoundTrack
from sunriza_assets.studio.media.source import Source, open_source
from sunriza_assets.studio.media.timeline import slot_of, usable_rate
from sunriza_assets.studio.media.upright import Upright, even

__all__ = ["MAX_SIDE", "cut", "trim"]

MAX_SIDE: Final = 1920
"""Longest side of a trimmed clip: motion is read from a face, and no more of it is ever used."""
_CRF: Final = 17
"""One step finer than what is published: it is decoded and measured, then encoded again."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is taken of a clip."""

    begin: Fraction
    """Seconds after the first frame."""
    rate: Fraction
    """Frames per second of the result."""
    frame_count: int
    """Frames of the result."""


def trim(
    source: Path,
    destination: Path,
    *,
    start: Fraction | float = 0,
    max_seconds: Fraction | float = 10,
    keep_audio: bool = True,
    max_side: int = MAX_SIDE,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> VideoInfo:
    """Cut a clip exactly to the frame, in a child process.

    Args:
        source: MP4, MOV, WebM or MKV.
        destination: .mp4 to be written; it appears when it is complete.
        start: seconds after the first frame; the nearest frame comes first.
        max_seconds: at most so long, to the nearest frame.
        keep_audio: carry the sound over, in step.
        max_side: larger pictures are shrunk.
        limits: what is refused.
        progress: called with (frames done, frames in all).

    Raises:
        MediaError: the source cannot be used; see docs/media.md for the codes.
    """
    sniff_file(source, limits)
    reply = sandbox.call(
        "trim",
        source,
        destination=destination,
        limits=limits,
        seconds=limits.decode_seconds,
        arguments={
            "start": str(Fraction(start)),
            "max_seconds": str(Fraction(max_seconds)),
            "keep_audio": keep_audio,
            "max_side": max_side,
        },
        progress=progress,
    )
    return VideoInfo.from_dict(reply.value)


def cut(
    source: Path,
    destination: Path,
    *,
    start: str,
    max_seconds: str,
    keep_audio: bool,
    max_side: int,
    limits: Limits,
    accept: Callable[[], None],
    progress: Progress,
) -> VideoInfo:
    """`trim` in this process; times are fractions as text.

    Calls `accept` once the clip has been examined and only work is left to do.
    """
    with ExitStack() as stack:
        opened = stack.enter_context(open_source(source, limits))
        examined = examine(opened, limits)
        plan = _plan(source, examined, Fraction(start), Fraction(max_seconds))
        accept()
        size = even(examined.info.size, max_side)
        track = None
        if keep_audio and opened.audio is not None:
            second = stack.enter_context(open_source(source, limits))
            begin = examined.info.start + plan.begin
            track = SoundTrack(second, begin, plan.frame_count / plan.rate)
        writer = VideoWriter(destination, rate=plan.rate, crf=_CRF, encoder="libx264", sound=track)
        with writer:
            for done, frame in enumerate(_regular(_upright(opened, examined, plan, size), plan), 1):
                writer.write_frame(frame)
                progress(done, plan.frame_count)
    return writer.info


def _plan(path: Path, examined: Examination, start: Fraction, most: Fraction) -> _Plan:
    begin, most = start.limit_denominator(1_000_000), most.limit_denominator(1_000_000)
    rate = usable_rate(examined.timeline.rate)
    lasts = examined.timeline.duration
    count = round(min(most, lasts - begin) * rate)
    if begin < 0 or count < 1:
        raise MediaError(
            f"The clip lasts {float(lasts):.2f} s, nothing is left from {float(begin):g} s on",
            where=path,
            remedy="Start earlier.",
            code="no_frames",
        )
    return _Plan(begin, rate, count)


def _upright(
    source: Source, examined: Examination, plan: _Plan, size: tuple[int, int]
) -> Iterator[tuple[int, VideoFrame]]:
    """Upright frames up to the end of the cut, each with the output frame it is first seen in."""
    upright = Upright(
        source.path,
        size,
        examined.orientation,
        deinterlace=examined.info.interlaced,
        pixel_format="yuv420p",
    )
    slots: list[int] = []  # of the frames that are still inside the filters
    source.rewind()
    for decoded in source.frames():
        time = examined.timeline.frame_at(decoded.pts or 0)
        slot = slot_of(time, plan.begin, plan.rate)
        if slot >= plan.frame_count:
            break
        slots.append(slot)
        for frame in upright.push(decoded):
            yield slots.pop(0), frame
    for frame in upright.finish():
        yield slots.pop(0), frame


def _regular(frames: Iterator[tuple[int, VideoFrame]], plan: _Plan) -> Iterator[VideoFrame]:
    """One frame for each output frame: the last one that is seen by then."""
    held: VideoFrame | None = None
    done = 0
    for slot, frame in frames:
        while held is not None and done < slot:
            yield held
            done += 1
        held = frame
    while held is not None and done < plan.frame_count:
        yield held
        done += 1
