"""Trims a clip and normalises it: exact frames, constant rate, upright, SDR."""

import logging
import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from av.video.frame import VideoFrame

from sunriza_assets.errors import MediaError, ParameterError
from sunriza_assets.studio.media import sandbox
from sunriza_assets.studio.media.encode import VideoWriter
from sunriza_assets.studio.media.info import VideoInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.probe import Examination, examine
from sunriza_assets.studio.media.sandbox import Progress
from sunriza_assets.studio.media.sniff import sniff_file
from sunriza_assets.studio.media.sound import SoundTrack
from sunriza_assets.studio.media.source import Source, open_source
from sunriza_assets.studio.media.timeline import Timeline, nearest, usable_rate
from sunriza_assets.studio.media.upright import Upright, even

__all__ = ["MAX_SIDE", "trim", "trim_in_process"]

MAX_SIDE: Final = 1920
"""Longest side of a trimmed clip: motion is read from a face, and no more of it is ever used."""
_CRF: Final = 17
"""One step finer than what is published: it is decoded and measured, then encoded again."""
_PRESET: Final = "veryfast"
"""A third of the time of x264's default, for a file that is half as large again."""
_LONGEST_LEAD: Final = Fraction(1, 2)
"""Seconds without a picture that are let pass at the beginning."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The part of a clip that is trimmed out."""

    begin: Fraction
    """Seconds after the first frame; that of a frame, so that sound stays with its picture."""
    rate: Fraction
    """Frames per second of the result."""
    frame_count: int
    """Frames of the result."""


def trim(
    source: Path,
    destination: Path,
    *,
    start: Fraction | float = 0,
    max_seconds: Fraction | float | None = None,
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
        max_seconds: at most so long, to the nearest frame; 10 if `limits` do not say otherwise.
        keep_audio: carry the sound over, in step.
        max_side: larger pictures are shrunk.
        limits: what is refused.
        progress: called with (frames done, frames in all).

    Raises:
        MediaError: the source cannot be used; see docs/media.md for the codes.
        StoreError: the destination cannot be written, or the disk is full.
        ParameterError: a time that is no time.
    """
    most = limits.clip_seconds if max_seconds is None else max_seconds
    times = {"start": _seconds_as_text(start), "max_seconds": _seconds_as_text(most)}
    sniff_file(source, limits)
    reply = sandbox.run_task(
        "trim",
        source,
        destination=destination,
        limits=limits,
        seconds=limits.decode_seconds,
        arguments={**times, "keep_audio": keep_audio, "max_side": max_side},
        progress=progress,
    )
    return VideoInfo.from_dict(reply.value)


def trim_in_process(
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
        size = even(examined.info.exact_size, max_side)
        track = None
        if keep_audio and opened.audio is not None:
            second = stack.enter_context(open_source(source, limits))
            begin = examined.info.start + plan.begin
            track = SoundTrack(second, begin, plan.frame_count / plan.rate)
        writer = VideoWriter(
            destination, rate=plan.rate, crf=_CRF, encoder="libx264", preset=_PRESET, sound=track
        )
        with writer:
            for done, frame in enumerate(
                _constant_rate_frames(_upright_frames(opened, examined, plan, size), plan), 1
            ):
                writer.write_frame(frame)
                progress(done, plan.frame_count)
    return writer.info


def _seconds_as_text(seconds: Fraction | float) -> str:
    if not 0 <= seconds < math.inf:  # NaN compares false
        raise ParameterError(
            f"A clip cannot be cut at {seconds} s", remedy="Give seconds from 0 on.",
            code="out_of_range",
        )  # fmt: skip
    return str(Fraction(seconds).limit_denominator(1_000_000))


def _plan(path: Path, examined: Examination, start: Fraction, most: Fraction) -> _Plan:
    timeline = examined.timeline
    rate, lasts = usable_rate(timeline.rate), timeline.duration
    count = round(min(most, lasts - start) * rate)
    if count < 1:
        raise MediaError(
            f"The clip lasts {float(lasts):.2f} s, nothing is left from {float(start):g} s on",
            where=path,
            remedy="Start earlier.",
            code="no_frames",
        )
    return _Plan(_frame_near(timeline, start, 1 / (2 * rate)), rate, count)


def _frame_near(timeline: Timeline, time: Fraction, reach: Fraction) -> Fraction:
    """The time of the frame nearest to a time, of two the earlier; itself if none is in reach."""
    after = bisect_left(timeline.stamps, timeline.stamp_at(time))
    near = [timeline.time_of(stamp) for stamp in timeline.stamps[max(0, after - 1) : after + 3]]
    found = min(near, key=lambda frame: abs(frame - time), default=time)
    return found if abs(found - time) <= reach else time


def _upright_frames(
    source: Source, examined: Examination, plan: _Plan, size: tuple[int, int]
) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Upright frames up to the end of the cut, each with its place among the output frames."""
    upright = Upright(
        source.path,
        size,
        examined.orientation,
        deinterlace=examined.info.interlaced,
        pixel_format="yuv420p",
    )
    places: deque[Fraction] = deque()  # of the frames that are still inside the filters
    for stamp, decoded in _timestamped_frames(source, examined, plan):
        place = (examined.timeline.time_of(stamp) - plan.begin) * plan.rate
        if nearest(place) >= plan.frame_count:
            break
        places.append(place)
        for frame in upright.push(decoded):
            yield places.popleft(), frame
    for frame in upright.finish():
        yield places.popleft(), frame


def _timestamped_frames(
    source: Source, examined: Examination, plan: _Plan
) -> Iterator[tuple[int, VideoFrame]]:
    """Decoded frames with their timestamps, from a key frame at or before the cut on.

    Raises:
        MediaError: `damaged`: the clip begins too late, or a frame is missing.
    """
    timeline = examined.timeline
    if not examined.trusted:
        yield from _frames_by_index(source, timeline)
        return
    expected: int | None = None
    for index, frame in _frames_from_seek(source, timeline.stamps, timeline.stamp_at(plan.begin)):
        stamp = timeline.stamps[index]
        if expected is None and index > 0 and stamp > timeline.stamp_at(plan.begin):
            _check_undecodable_start(source.path, timeline.time_of(stamp))
        elif expected is not None and index > expected:
            raise _missing_frame(source.path, timeline.time_of(timeline.stamps[expected]))
        expected = index + 1
        yield stamp, frame
    if expected is None or expected < len(timeline.stamps):
        raise _missing_frame(source.path, timeline.time_of(timeline.stamps[expected or 0]))


def _frames_by_index(source: Source, timeline: Timeline) -> Iterator[tuple[int, VideoFrame]]:
    """The n-th decoded frame with the n-th timestamp."""
    source.rewind()
    frames = source.frames()
    for stamp in timeline.stamps:
        frame = next(frames, None)
        if frame is None:
            raise _missing_frame(source.path, timeline.time_of(stamp))
        yield stamp, frame


def _frames_from_seek(
    source: Source, stamps: Sequence[int], first: int
) -> Iterator[tuple[int, VideoFrame]]:
    """(index of its timestamp, frame) from a key frame at or before a timestamp on, each once."""
    source.seek(first, source.video)
    frames = _index_frames(source.frames(), stamps)
    head = next(frames, None)
    if head is None or stamps[head[0]] > first:  # the file's index of key frames is wrong
        source.rewind()
        yield from _index_frames(source.frames(), stamps)
    else:
        yield head
        yield from frames


def _index_frames(
    frames: Iterable[VideoFrame], stamps: Sequence[int]
) -> Iterator[tuple[int, VideoFrame]]:
    """Frames with a known timestamp; duplicates and those an edit list hides are skipped."""
    last = -1
    for frame in frames:
        stamp = frame.pts if frame.pts is not None else frame.dts
        index = last + 1 if stamp is None else bisect_left(stamps, stamp)
        if last < index < len(stamps) and stamp in (None, stamps[index]):
            last = index
            yield index, frame


def _check_undecodable_start(path: Path, time: Fraction) -> None:
    """Accept a short undecodable start, as of a clip cut from another without its key frame."""
    if time > _LONGEST_LEAD:
        raise _missing_frame(path, Fraction(0))
    _log.warning(
        "%s: the first %.2f s cannot be decoded and show the first frame that can", path, time
    )


def _missing_frame(path: Path, time: Fraction) -> MediaError:
    return MediaError(
        f"The clip is damaged: the frame at {float(time):.2f} s cannot be decoded",
        where=path,
        remedy="Upload it again or export it anew.",
        code="damaged",
    )


def _constant_rate_frames(
    frames: Iterable[tuple[Fraction, VideoFrame]], plan: _Plan
) -> Iterator[VideoFrame]:
    """One frame per output frame: the nearest, or the last before it where there is none."""
    shown: VideoFrame | None = None  # in the output frame `slot`
    latest: VideoFrame | None = None  # in the output frames after it
    slot, distance, done = 0, Fraction(0), 0
    for place, frame in frames:
        now, off = nearest(place), abs(place - nearest(place))
        if shown is not None and now == slot:
            latest = frame
            if off < distance:
                shown, distance = frame, off
            continue
        while latest is not None and shown is not None and done < now:
            yield shown if done <= slot else latest
            done += 1
        shown = latest = frame
        slot, distance = now, off
    while latest is not None and shown is not None and done < plan.frame_count:
        yield shown if done <= slot else latest
        done += 1
