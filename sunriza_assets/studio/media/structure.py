"""Checks of a picture's structure before decoding, so that decoding cost is bounded by its size.

A progressive JPEG is stored in scans, and each is a pass over all pixels, however few bytes it has;
a PNG may hold any number of chunks that decompress to a megabyte each. So a few
hundred kilobytes can keep a decoder busy for minutes. Only markers and chunk headers are read here.
"""

import mmap
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NoReturn

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.limits import Limits

__all__ = ["check_structure"]

_MARKER: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""A JPEG marker: no stuffed byte, no filling, no restart marker (ITU-T T.81, B.1.1)."""
_SOS: Final = 0xDA
_EOI: Final = 0xD9
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header, which holds the size."""
_WITH_LENGTH: Final = frozenset(
    (*_FRAMES, 0xC4, 0xCC, _SOS, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE)
)
"""Markers whose segment is skipped by its length; of others libjpeg skips the marker alone."""
_PNG_SIGNATURE: Final = 8
_PNG_PIXELS: Final = (b"IDAT", b"fcTL", b"fdAT")
"""Chunks that a large or animated PNG has many of."""


def check_structure(path: Path, kind: str, limits: Limits) -> None:
    """Refuse a picture whose structure would cost more than its pixels.

    Args:
        path: the picture.
        kind: its format, as `sniff` names it; only JPEG and PNG can be refused here.
        limits: `scans`, `scan_pixels`, `segments` and `chunks` apply.

    Raises:
        MediaError: `too_complex`.
    """
    check = _CHECKS.get(kind)
    if check is not None:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            check(path, data, limits)


def _check_jpeg(path: Path, data: mmap.mmap, limits: Limits) -> None:
    scans = pixels = 0
    for count, (marker, place) in enumerate(_segments(data)):
        if count >= limits.segments:
            _refuse(path, f"It has more than {limits.segments} segments")
        if marker in _FRAMES:
            height, width = (int.from_bytes(data[i : i + 2], "big") for i in (place + 5, place + 7))
            pixels = min(max(pixels, height * width), limits.pixels)  # more is refused by its size
        elif marker == _SOS:
            scans += 1
            if scans > limits.scans:
                _refuse(path, f"It is stored in more than {limits.scans} scans")
            if scans * pixels > limits.scan_pixels:
                _refuse(path, f"It is stored in {scans} scans or more, too many for its size")


def _segments(data: mmap.mmap) -> Iterator[tuple[int, int]]:
    """(marker, offset of the marker) of each segment up to the end of the first picture."""
    place = 2
    while found := _MARKER.search(data, place):
        place = found.start()
        marker = data[place + 1]
        if marker == _EOI:
            return
        yield marker, place
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        place += 2 + (length if marker in _WITH_LENGTH else 0)


def _check_png(path: Path, data: mmap.mmap, limits: Limits) -> None:
    place, count, other = _PNG_SIGNATURE, 0, 0
    while place + 8 <= len(data):
        count += 1
        other += data[place + 4 : place + 8] not in _PNG_PIXELS
        if other > limits.chunks:
            _refuse(path, f"It has more than {limits.chunks} chunks besides its pixels")
        if count > limits.segments:
            _refuse(path, f"It has more than {limits.segments} chunks")
        place += 12 + int.from_bytes(data[place : place + 4], "big")


def _refuse(path: Path, what: str) -> NoReturn:
    raise MediaError(
        what,
        where=path,
        remedy="Open it in a picture editor and save it anew as JPEG or PNG.",
        code="too_complex",
    )


_CHECKS: Final[Mapping[str, Callable[[Path, mmap.mmap, Limits], None]]] = {
    "jpeg": _check_jpeg,
    "png": _check_png,
}
