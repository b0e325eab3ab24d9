"""Chunks of the idle for a quick start: their boundaries, and remuxing them without re-encoding.

An app plays chunks 1, 2 and 3 and then loops the idle. A chunk that begins with a key frame can be
remuxed from the idle's packets, so its pictures equal those of the idle.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.packet import Packet
from av.video.stream import VideoStream

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.files import part_path, sync_and_rename, write_errors
from sunriza_assets.studio.media.source import read_errors

__all__ = ["CHUNK_STARTS_S", "chunk_bounds", "chunk_starts", "cut_chunks"]

CHUNK_STARTS_S: Final = (0, 2, 6)
"""Seconds at which idle_chunk1, 2 and 3 begin; each lasts until the next, the last to the end."""


def chunk_starts(rate: Fraction) -> list[int]:
    """First frame of each chunk of an idle that is long enough."""
    return [math.ceil(start * rate) for start in CHUNK_STARTS_S]


def chunk_bounds(frame_count: int, rate: Fraction) -> list[tuple[int, int]]:
    """First frame of each chunk and the first after it; equal where a chunk has no frames."""
    starts = [min(start, frame_count) for start in chunk_starts(rate)]
    return list(zip(starts, [*starts[1:], frame_count], strict=True))


def cut_chunks(idle: Path, cuts: Sequence[tuple[int, int, Path]]) -> list[Path]:
    """Write the chunks that begin with a key frame; the others cannot be cut.

    Args:
        idle: idle.mp4, as `encode` wrote it: no B-frames, one packet a frame.
        cuts: (first frame, first after it, destination) of each chunk.

    Returns:
        The destinations that were written.

    Raises:
        MediaError: the idle is damaged, or `truncated`.
        StoreError: a file cannot be written.
    """
    written = []
    with av.open(str(idle)) as source:
        stream = source.streams.video[0]
        with read_errors(idle, code="damaged"):
            packets = [packet for packet in source.demux(stream) if packet.size]
        if len(packets) < max((end for _, end, _ in cuts), default=0):
            raise MediaError("The idle ends early", where=idle, code="truncated")
        for begin, end, path in cuts:
            if packets[begin].is_keyframe:
                _write(stream, packets[begin:end], path)
                written.append(path)
    return written


def _write(stream: VideoStream, packets: Sequence[Packet], path: Path) -> None:
    """A clip of these packets, whose first frame is shown at 0."""
    part = part_path(path)
    first = packets[0].pts or 0
    try:
        with write_errors(path):
            options = {"movflags": "+faststart"}
            with av.open(str(part), "w", format="mp4", options=options) as target:
                copy = target.add_stream_from_template(stream)
                for packet in packets:
                    moved = Packet(bytes(packet))
                    moved.pts = moved.dts = (packet.pts or 0) - first
                    moved.duration = packet.duration
                    moved.time_base = packet.time_base
                    moved.is_keyframe = packet.is_keyframe
                    moved.stream = copy
                    target.mux(moved)
            sync_and_rename(part, path)
    finally:
        part.unlink(missing_ok=True)
