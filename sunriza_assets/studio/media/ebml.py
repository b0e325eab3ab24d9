"""The outermost elements of Matroska and WebM (RFC 8794, RFC 9559), read and never trusted."""

from pathlib import Path
from typing import Final

__all__ = ["ebml_overrun"]

_SEGMENT: Final = 0x18538067
"""Element id of the segment, which holds everything but the file's own header."""
_HEAD_BYTES: Final = 4096


def ebml_overrun(path: Path) -> int:
    """Bytes by which the segment claims to reach beyond the end of the file.

    0 also for a live recording, whose segment has no size.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    at = 0
    while at < len(head):
        element, at = _number(head, at, keep_marker=True)
        size, at = _number(head, at, keep_marker=False)
        if element is None or size is None:
            return 0
        if element == _SEGMENT:
            return max(0, at + size - path.stat().st_size)
        at += size
    return 0


def _number(data: bytes, at: int, *, keep_marker: bool) -> tuple[int | None, int]:
    """A variable-size integer and the offset after it; None if it is unknown or cut off."""
    if at >= len(data) or data[at] == 0:
        return None, at
    length = 9 - data[at].bit_length()
    raw = int.from_bytes(data[at : at + length], "big")
    if at + length > len(data):
        return None, at
    mask = (1 << 7 * length) - 1
    if keep_marker:
        return raw, at + length
    value = raw & mask
    return (None if value == mask else value), at + length
