"""Would a phone play this, and is it fit to be published? Findings by name, each with its reason.

Two weights: what keeps phones from playing a file at all, and what only keeps it from being
published (it may play late, with wrong colours, or stutter in a loop).
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media import sandbox
from sunriza_assets.studio.media.boxes import Layout, read_layout
from sunriza_assets.studio.media.budget import MIN_SSIM, byte_budget
from sunriza_assets.studio.media.colour import MATRICES, PRIMARIES, TRANSFERS, UNKNOWN
from sunriza_assets.studio.media.h264 import IDR, LEVELS, fits_level, unit_types
from sunriza_assets.studio.media.info import VideoInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.probe import examine
from sunriza_assets.studio.media.sniff import sniff_file
from sunriza_assets.studio.media.source import Source, open_source, read_errors

__all__ = [
    "MIN_SSIM",
    "Conformance",
    "Finding",
    "byte_budget",
    "conform",
    "conform_in_process",
    "judge_own",
    "require_playable",
]

_YUV420: Final = ("yuv420p", "yuvj420p")
"""8 bits, 4:2:0; the second name is FFmpeg's for full range, which is checked separately."""
MAX_LEVEL: Final = 52
"""The highest H.264 level that the phones of the last years decode: 4096x2304 at 60."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check."""

    name: str
    """What: codec, level, faststart..."""
    ok: bool
    """Whether it is as it should be."""
    detail: str
    """What was found, for a reader."""
    prevents_playing: bool = False
    """Whether a failure keeps phones from playing the file."""


@dataclass(frozen=True, slots=True)
class Conformance:
    """All findings about one file."""

    path: Path
    """The file."""
    info: VideoInfo
    """Its facts."""
    findings: tuple[Finding, ...]
    """In the order of the checks."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Failed checks, "name: detail"."""
        return tuple(f"{f.name}: {f.detail}" for f in self.findings if not f.ok)

    @property
    def playable(self) -> bool:
        """Whether a phone would play it."""
        return all(f.ok or not f.prevents_playing for f in self.findings)

    @property
    def conforms(self) -> bool:
        """Whether it may be published: there is no problem at all."""
        return not self.problems

    @property
    def reasons(self) -> tuple[str, ...]:
        """What keeps phones from playing it, "name: detail"."""
        return tuple(
            f"{f.name}: {f.detail}" for f in self.findings if f.prevents_playing and not f.ok
        )

    def with_finding(self, finding: Finding) -> "Conformance":
        """The same with one more finding."""
        return replace(self, findings=(*self.findings, finding))

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "info": self.info.to_dict(),
            "playable": self.playable,
            "reasons": list(self.reasons),
            "conforms": self.conforms,
            "problems": list(self.problems),
            "findings": [asdict(finding) for finding in self.findings],
        }

    @classmethod
    def from_dict(cls, path: Path, values: dict[str, Any]) -> "Conformance":
        """The inverse of `to_dict`."""
        findings = tuple(Finding(**finding) for finding in values["findings"])
        return cls(path, VideoInfo.from_dict(values["info"]), findings)


def require_playable(path: Path, **expected: Any) -> VideoInfo:
    """`conform`, and refuse a file with any problem.

    Raises:
        MediaError: `not_playable`, naming every problem; or the file cannot be read at all.
    """
    result = conform(path, **expected)
    if not result.conforms:
        raise MediaError(
            "The clip may not be published: " + "; ".join(result.problems),
            where=path,
            code="not_playable",
        )
    return result.info


def conform(
    path: Path,
    *,
    frame_count: int | None = None,
    rate: Fraction | None = None,
    sound: bool = False,
    reference: Iterable[NDArray[np.uint8]] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Conformance:
    """Check everything that decides whether phones play a clip, in a child process.

    Args:
        path: the file.
        frame_count: frames that were promised.
        rate: frames per second that were promised.
        sound: whether it may have sound.
        reference: (H, W, 3) RGB, the frames it was made of. Only for a clip of our own: it is
            decoded in this process and compared frame by frame.
        limits: what is opened at all.

    Raises:
        MediaError: it cannot be read at all.
    """
    sniff_file(path, limits)
    reply = sandbox.run_task(
        "conform",
        path,
        limits=limits,
        seconds=limits.decode_seconds,
        arguments={
            "frame_count": frame_count,
            "rate": str(rate) if rate is not None else None,
            "sound": sound,
        },
    )
    result = Conformance.from_dict(path, reply.value)
    return result if reference is None else result.with_finding(_likeness(path, reference))


def conform_in_process(
    path: Path,
    *,
    frame_count: int | None,
    rate: str | None,
    sound: bool,
    limits: Limits,
    accept: Callable[[], None],
) -> Conformance:
    """`conform` in this process; the rate is a fraction as text."""
    with open_source(path, limits) as source:
        container_colour = _container_colour(source)  # decoding puts the codec's own in its place
        info = examine(source, limits).info
        accept()
        found = [
            *_container(source, info),
            *_stream_findings(source, info, container_colour),
            *_size(info),
        ]
        found += _packets(source)
        found += _expectations(info, frame_count, Fraction(rate) if rate else None)
        found += _other_streams(source, sound=sound)
        found.append(_full_decode(source, info))
    return Conformance(path, info, tuple(found))


def judge_own(path: Path, *, frame_count: int, rate: Fraction) -> Conformance:
    """`conform` of a silent clip that `encode` wrote: it is decoded in this process, as whatever
    else looks at it does, and no child has to be started, which takes longer than the look.

    Raises:
        MediaError: it cannot be read at all.
    """
    sniff_file(path, DEFAULT_LIMITS)
    return conform_in_process(
        path, frame_count=frame_count, rate=str(rate), sound=False, limits=DEFAULT_LIMITS,
        accept=lambda: None,
    )  # fmt: skip


def _container(source: Source, info: VideoInfo) -> list[Finding]:
    is_mp4 = info.container in ("mp4", "mov")
    layout = read_layout(source.path) if is_mp4 else Layout()
    return [
        Finding("container", info.container == "mp4", info.container, not is_mp4),
        Finding(
            "faststart",
            info.faststart and is_mp4,
            "the index comes first" if info.faststart else "the index stands behind the pictures",
        ),
        Finding(
            "self_contained",
            not layout.external,
            "points to another file" if layout.external else "nothing outside the file is needed",
            layout.external,
        ),
        Finding("fragments", not layout.fragmented, f"fragmented: {layout.fragmented}"),
        Finding("edit_list", layout.edits <= 1, f"{layout.edits} edits"),
    ]


def _container_colour(source: Source) -> tuple[str, str, str]:
    """Primaries, transfer and matrix as the container states them: some players look only there."""
    context = source.video.codec_context
    return (
        PRIMARIES.get(int(context.color_primaries), UNKNOWN),
        TRANSFERS.get(int(context.color_trc), UNKNOWN),
        MATRICES.get(int(context.colorspace), UNKNOWN),
    )


def _stream_findings(
    source: Source, info: VideoInfo, container_colour: tuple[str, str, str]
) -> list[Finding]:
    """Checks of the decoded video stream; the container must agree with it."""
    h264 = info.codec == "h264"
    plain = info.profile in ("High", "Main", "Baseline", "Constrained Baseline")
    colour = (info.colour_primaries, info.colour_transfer, info.colour_matrix)
    consistent = all(
        claimed in (seen, UNKNOWN) for claimed, seen in zip(container_colour, colour, strict=True)
    )
    aspects = {info.sample_aspect, source.video.codec_context.sample_aspect_ratio or Fraction(1)}
    width, height = info.coded_width, info.coded_height
    return [
        Finding("codec", h264, info.codec, not h264),
        Finding("profile", info.profile == "High", str(info.profile), h264 and not plain),
        _level(info),
        Finding(
            "pixel_format",
            info.pixel_format in _YUV420,
            info.pixel_format,
            info.pixel_format not in _YUV420,
        ),
        Finding(
            "colour",
            consistent and colour == ("bt709",) * 3,
            "/".join(colour)
            + ("" if consistent else f", in the container {'/'.join(container_colour)}"),
        ),
        Finding("range", not info.full_range, "full" if info.full_range else "limited"),
        Finding("even_size", width % 2 == 0 and height % 2 == 0, f"{width}x{height}"),
        Finding("square_pixels", aspects == {Fraction(1)}, " or ".join(map(str, sorted(aspects)))),
        Finding(
            "upright",
            info.rotation == 0 and not info.mirrored,
            f"turned by {info.rotation}" + (", mirrored" if info.mirrored else ""),
        ),
        Finding("progressive", not info.interlaced, f"interlaced: {info.interlaced}"),
    ]


def _level(info: VideoInfo) -> Finding:
    if info.codec != "h264":
        return Finding("level", ok=False, detail="only H.264 levels are known")
    size = (info.coded_width, info.coded_height)
    level = next((level for level in LEVELS if level.number == info.level), None)
    if level is None:
        return Finding("level", ok=False, detail=f"{info.level}", prevents_playing=False)
    shown = f"{level.number / 10:g} for {size[0]}x{size[1]} at {float(info.rate):g}"
    if level.number > MAX_LEVEL:
        return Finding("level", ok=False, detail=f"{shown}: phones stop at {MAX_LEVEL / 10:g}",
                       prevents_playing=True)  # fmt: skip
    if not fits_level(level, size, info.rate):
        return Finding("level", ok=False, detail=f"{shown}: too low")
    return Finding("level", ok=True, detail=shown)


def _size(info: VideoInfo) -> list[Finding]:
    budget = byte_budget(info.size, info.duration)
    return [Finding("bytes", info.size_bytes <= budget, f"{info.size_bytes} of {budget}")]


@dataclass(frozen=True, slots=True)
class _Packet:
    """Timing and key-frame flags of one video packet."""

    pts: int | None
    dts: int | None
    duration: int | None
    is_key: bool
    is_idr: bool


def _packets(source: Source) -> list[Finding]:
    """Checks of timing and key frames, from the packets."""
    packets = _read_packets(source)
    h264 = source.video.codec_context.codec.canonical_name == "h264"
    shown = sorted(packet.pts for packet in packets if packet.pts is not None)
    decoded = [packet.dts for packet in packets if packet.dts is not None]
    steps = {b - a for times in (shown, decoded) for a, b in pairwise(times)}
    steps |= {packet.duration or 0 for packet in packets}
    keys = [packet for packet in packets if packet.is_key]
    idr_first = packets[0].is_idr if packets else False
    closed = all(packet.is_idr for packet in keys)
    return [
        Finding("constant_rate", len(steps) == 1, f"{len(steps)} different steps in time"),
        Finding("starts_at_zero", shown[:1] == [0], f"the first frame is at {shown[:1]}"),
        Finding("idr_first", idr_first, f"the first frame is IDR: {idr_first}",
                prevents_playing=h264 and not idr_first),
        Finding("closed_gop", bool(keys) and closed,
                f"{sum(key.is_idr for key in keys)} of {len(keys)} key frames are IDR"),
    ]  # fmt: skip


def _read_packets(source: Source) -> list[_Packet]:
    source.rewind()
    h264 = source.video.codec_context.codec.canonical_name == "h264"
    with read_errors(source.path):
        return [
            _Packet(
                packet.pts,
                packet.dts,
                packet.duration,
                packet.is_keyframe,
                h264 and IDR in unit_types(bytes(packet)),
            )
            for packet in source.container.demux(source.video)
            if packet.size
        ]


def _other_streams(source: Source, *, sound: bool) -> list[Finding]:
    """Checks of the other streams: at most audio, of any codec; no second video, no text."""
    streams = [s for s in source.container.streams if s.index != source.video.index]
    audio = [s.codec_context.name if s.codec_context else "unknown"
             for s in streams if s.type == "audio"]  # fmt: skip
    others = [s.type for s in streams if s.type != "audio"]
    return [
        Finding("sound", sound or not audio, ", ".join(audio) or "none"),
        Finding("tracks", not others, ", ".join(others) or "nothing but pictures and sound"),
    ]


def _expectations(info: VideoInfo, frame_count: int | None, rate: Fraction | None) -> list[Finding]:
    found: list[Finding] = []
    if frame_count is not None:
        found.append(
            Finding(
                "frame_count",
                info.frame_count == frame_count,
                f"{info.frame_count} of {frame_count}",
            )
        )
    if rate is not None:
        found.append(Finding("rate", info.rate == rate, f"{info.rate}, promised {rate}"))
    return found


def _full_decode(source: Source, info: VideoInfo) -> Finding:
    """Decode everything from the start."""
    source.rewind()
    count = 0
    failure = ""
    try:
        for _ in source.frames():
            count += 1
    except MediaError as error:
        failure = f", then {error.what}"
    ok = count == info.frame_count and not failure
    return Finding("decodes", ok, f"{count} of {info.frame_count} frames{failure}", not ok)


def _likeness(path: Path, reference: Iterable[NDArray[np.uint8]]) -> Finding:
    """Compare a clip with the frames it was made of."""
    from sunriza_assets.studio.media.quality import likeness  # OpenCV stays out of the child

    mean, count, complete = likeness(path, reference)
    ok = complete and mean >= MIN_SSIM
    shown = f"{mean:.4f} over {count} frames"
    return Finding("ssim", ok, shown if complete else f"{shown}; the number of frames differs")
