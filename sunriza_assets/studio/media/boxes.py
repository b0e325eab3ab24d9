"""The box structure of MP4 and MOV files (ISO/IEC 14496-12), read and never trusted.

A box is a 32-bit big-endian size, a four-letter type and its payload; size 1 means that a 64-bit
size follows the type, size 0 that the box reaches to the end of the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["Box", "Layout", "children", "is_faststart", "read_layout", "top_boxes"]

_MAX_BOXES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Box:
    """Position of one box in the file."""

    kind: bytes
    """Four-letter type."""
    start: int
    """Offset of its header."""
    body: int
    """Offset of its payload."""
    end: int
    """Offset of its end according to its header: may be beyond the end of the file."""


def top_boxes(path: Path) -> list[Box]:
    """The boxes at the top level, in order; a damaged size ends the walk."""
    with path.open("rb") as file:
        return list(children(file, 0, path.stat().st_size))


def children(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """Walk over the boxes between two offsets."""
    at = start
    for _ in range(_MAX_BOXES):
        if at + 8 > end:
            return
        file.seek(at)
        header = file.read(16)
        size, kind, body = int.from_bytes(header[:4], "big"), header[4:8], at + 8
        if size == 1:
            size, body = int.from_bytes(header[8:16], "big"), at + 16
        elif size == 0:
            size = end - at
        if size < body - at:
            return
        yield Box(kind, at, body, at + size)
        at += size


def is_faststart(path: Path) -> bool:
    """Whether the index (`moov`) stands before the media data (`mdat`)."""
    order = [box.kind for box in top_boxes(path) if box.kind in (b"moov", b"mdat")]
    return order[:1] == [b"moov"]


@dataclass(frozen=True, slots=True)
class Layout:
    """What the boxes of an MP4 or MOV say beyond its streams."""

    faststart: bool = False
    """Whether the index stands before the media data."""
    fragmented: bool = False
    """Whether there are movie fragments (`moof`)."""
    external: bool = False
    """Whether a data reference points outside the file."""
    has_index: bool = False
    """Whether there is a `moov` at all."""
    edits: int = 0
    """Entries of the longest edit list."""
    compressed: bool = False
    """Whether the index is packed (`cmov`), so that nothing of it can be seen here."""
    overrun: int = 0
    """Bytes by which the last box claims to reach beyond the end of the file."""


def read_layout(path: Path) -> Layout:
    """Walk over the boxes that decide how a file plays."""
    tops = top_boxes(path)
    external, compressed, edits = False, False, 0
    with path.open("rb") as file:
        for kind, payload in _inside_movie(file, tops):
            if kind == b"dref":
                external |= _points_outside(payload)
            elif kind == b"cmov":
                compressed = True
            elif kind == b"elst":
                edits = max(edits, int.from_bytes(payload[4:8], "big"))
    return Layout(
        faststart=is_faststart(path),
        fragmented=any(box.kind == b"moof" for box in tops),
        external=external,
        has_index=any(box.kind == b"moov" for box in tops),
        edits=edits,
        compressed=compressed,
        overrun=max(0, tops[-1].end - path.stat().st_size) if tops else 0,
    )


_NESTS: Final = frozenset((b"moov", b"trak", b"mdia", b"minf", b"dinf", b"edts"))
_LEAF_BYTES: Final = 65536


def _inside_movie(file: BinaryIO, tops: list[Box]) -> Iterator[tuple[bytes, bytes]]:
    """(type, payload) of the small leaf boxes in `moov`."""
    waiting = [box for box in tops if box.kind == b"moov"]
    for _ in range(_MAX_BOXES):
        if not waiting:
            return
        box = waiting.pop()
        if box.kind in _NESTS:
            waiting.extend(children(file, box.body, box.end))
        elif box.kind in (b"cmov", b"dref", b"elst"):
            file.seek(box.body)
            yield box.kind, file.read(min(box.end - box.body, _LEAF_BYTES))


def _points_outside(dref: bytes) -> bool:
    """Whether an entry lacks the flag "in this file" (8.7.2), or there are too many to be read."""
    if len(dref) == _LEAF_BYTES:
        return True
    at = 8
    while at + 12 <= len(dref):
        size = int.from_bytes(dref[at : at + 4], "big")
        if not dref[at + 11] & 1:
            return True
        if size < 12:
            return True
        at += size
    return False
