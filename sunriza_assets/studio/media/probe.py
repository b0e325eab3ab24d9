"""Facts of a clip or picture from outside, checked against its own timestamps.

`probe` decides nothing but whether a file can be read at all and stays within the limits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from av.packet import Packet
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media import sandbox
from sunriza_assets.studio.media.boxes import is_faststart
from sunriza_assets.studio.media.colour import MATRICES, PRIMARIES, TRANSFERS, UNKNOWN
from sunriza_assets.studio.media.info import PictureInfo, VideoInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits, check_size
from sunriza_assets.studio.media.orientation import Orientation, orientation_of
from sunriza_assets.studio.media.picture import picture_info
from sunriza_assets.studio.media.sniff import Medium, sniff_file
from sunriza_assets.studio.media.source import (
    Source,
    codec_name,
    open_source,
    read_errors,
    side_data,
)
from sunriza_assets.studio.media.timeline import Timeline, build_timeline

__all__ = ["Examination", "describe_own", "examine", "probe", "probe_in_process"]

_FULL_RANGE: Final = 2
"""AVCOL_RANGE_JPEG"""
_FRAMES_WITHOUT_PICTURE: Final = 32
"""Packets a decoder may swallow before its first frame; open GOPs and reordering need a few."""
_WALL_SECONDS_PER_CPU_SECOND: Final = 10
"""Wall seconds for each processor second of a probe: ample, so that load causes no refusal."""
_OWN_FILE_LIMITS: Final = Limits(file_bytes=2**40, side=2**15, pixels=2**30)
"""Limits for files that this system wrote itself."""


@dataclass(frozen=True, slots=True)
class Examination:
    """Facts of a clip from one pass over its packets and one decoded frame."""

    info: VideoInfo
    """The facts."""
    timeline: Timeline
    """When each frame is shown."""
    orientation: Orientation
    """Orientation of the stored frames."""
    trusted: bool
    """Whether frames carry their own times; if not, the n-th frame has the n-th time."""


def probe(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> VideoInfo | PictureInfo:
    """Describe a clip or picture from outside, in a child process.

    Raises:
        MediaError: it cannot be read, is neither, or breaks a limit; see docs/media.md.
    """
    sniff_file(path, limits)  # most of what is no medium at all is refused without a child
    reply = sandbox.run_task(
        "probe", path, limits=limits, seconds=_WALL_SECONDS_PER_CPU_SECOND * limits.probe_seconds
    )
    kind = VideoInfo if reply.value["medium"] == "clip" else PictureInfo
    return kind.from_dict(reply.value["info"])


def probe_in_process(path: Path, limits: Limits) -> VideoInfo | PictureInfo:
    """`probe` in this process."""
    if sniff_file(path, limits).medium is Medium.PICTURE:
        return picture_info(path, limits=limits)
    with open_source(path, limits) as source:
        return examine(source, limits).info


def describe_own(path: Path) -> VideoInfo:
    """Describe a clip this system has just written itself, without limits on its size."""
    with open_source(path, _OWN_FILE_LIMITS) as source:
        return examine(source, _OWN_FILE_LIMITS).info


def examine(source: Source, limits: Limits) -> Examination:
    """Walk over all packets of a clip and decode its first frame.

    The container stands anywhere afterwards: seek before decoding.

    Raises:
        MediaError: a limit is broken, the file is cut off, or no frame can be decoded.
    """
    _check_claims(source, limits)
    first = _first_frame(source)
    timeline, reordered = _timeline(source, limits)
    orientation = orientation_of(side_data(first, SideDataType.DISPLAYMATRIX))
    # A codec that reorders frames in a file that gives no order of presentation
    trusted = reordered or not source.video.codec_context.has_b_frames
    info = _info(source, first, timeline, orientation)
    return Examination(info, timeline, orientation, trusted)


def _check_claims(source: Source, limits: Limits) -> None:
    """Refuse by what the header says, before anything is allocated for it."""
    check_size(source.path, source.video.codec_context.width, source.video.codec_context.height,
               limits)  # fmt: skip
    stream = source.video
    durations = [Fraction(stream.duration or 0) * source.tick]
    durations.append(Fraction(source.container.duration or 0, 1_000_000))
    _check_duration(source.path, max(durations), limits)
    if stream.frames > limits.frames:
        raise _too_many_frames(source.path, stream.frames)


def _check_duration(path: Path, seconds: Fraction, limits: Limits) -> None:
    if seconds > limits.input_seconds:
        raise MediaError(
            f"The clip lasts {float(seconds) / 60:.0f} minutes",
            where=path,
            remedy=f"At most {limits.input_seconds / 60:g} minutes are allowed: cut out the part "
            "you want.",
            code="too_long",
        )


def _too_many_frames(path: Path, count: int) -> MediaError:
    return MediaError(
        f"The clip has {count} frames",
        where=path,
        remedy="Cut out the part you want.",
        code="too_long",
    )


def _first_frame(source: Source) -> VideoFrame:
    """The first frame that can be decoded."""
    packets = 0
    with read_errors(source.path):
        for packet in source.container.demux(source.video):
            if packet.has_sidedata("encryption_info"):
                raise MediaError(
                    "The clip is encrypted",
                    where=source.path,
                    remedy="Choose a clip without copy protection.",
                    code="unsupported",
                )
            for frame in packet.decode():
                return frame
            packets += 1
            if packets > _FRAMES_WITHOUT_PICTURE and packet.size:
                break
    raise MediaError(
        "Not one frame of the clip can be decoded",
        where=source.path,
        remedy="Upload it again or export it anew.",
        code="no_frames",
    )


def _timeline(source: Source, limits: Limits) -> tuple[Timeline, bool]:
    """Read the timestamps of all packets that are shown, and whether any says two times."""
    source.rewind()
    stamps: list[int] = []
    last: tuple[int, int | None] = (0, None)
    reordered = False
    for packet in _shown(source.container.demux(source.video), source.path):
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            continue
        stamps.append(stamp)
        reordered |= packet.pts != packet.dts
        if len(stamps) > limits.frames:
            raise _too_many_frames(source.path, len(stamps))
        if stamp >= last[0] or len(stamps) == 1:
            last = (stamp, packet.duration)
    if not stamps:
        raise MediaError("The clip has no frames", where=source.path, code="no_frames")
    stream = source.video
    timeline = build_timeline(
        stamps, source.tick, last_duration=last[1], hint=stream.average_rate or stream.guessed_rate
    )
    _check_duration(source.path, timeline.duration, limits)
    if timeline.rate > limits.frame_rate:
        raise MediaError(
            f"The clip has {float(timeline.rate):.0f} frames a second",
            where=source.path,
            remedy=f"At most {limits.frame_rate:g} are allowed.",
            code="too_fast",
        )
    return timeline, reordered


def _shown(packets: Iterable[Packet], path: Path) -> Iterable[Packet]:
    """Packets with data that no edit list hides."""
    with read_errors(path):
        for packet in packets:
            if packet.size and not packet.is_discard:
                yield packet


def _info(
    source: Source, frame: VideoFrame, timeline: Timeline, orientation: Orientation
) -> VideoInfo:
    context = source.video.codec_context
    aspect = source.video.sample_aspect_ratio or context.sample_aspect_ratio or Fraction(1)
    if not Fraction(1, 8) <= aspect <= 8:  # nonsense in a header; no camera has such pixels
        aspect = Fraction(1)
    audio = source.audio
    return VideoInfo(
        container=source.container_name,
        codec=codec_name(source.video),
        profile=source.video.profile,
        level=context.level if context.level > 0 else None,
        pixel_format=frame.format.name,
        bit_depth=max(component.bits for component in frame.format.components),
        has_alpha=any(component.is_alpha for component in frame.format.components),
        coded_width=frame.width,
        coded_height=frame.height,
        rotation=orientation.rotation,
        mirrored=orientation.mirrored,
        sample_aspect=aspect,
        interlaced=frame.interlaced_frame,
        rate=timeline.rate,
        constant_rate=timeline.constant,
        start=timeline.stamps[0] * timeline.tick,
        duration=timeline.duration,
        frame_count=len(timeline.stamps),
        colour_primaries=PRIMARIES.get(int(frame.color_primaries), UNKNOWN),
        colour_transfer=TRANSFERS.get(int(frame.color_trc), UNKNOWN),
        colour_matrix=MATRICES.get(int(frame.colorspace), UNKNOWN),
        full_range=int(frame.color_range) == _FULL_RANGE or frame.format.name.startswith("yuvj"),
        audio_codec=codec_name(audio) if audio else None,
        audio_rate=audio.codec_context.sample_rate if audio else None,
        audio_channels=audio.codec_context.layout.nb_channels if audio else None,
        size_bytes=source.path.stat().st_size,
        faststart=source.container_name in ("webm", "matroska") or is_faststart(source.path),
    )
