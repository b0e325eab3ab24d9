"""Cutting in files: what broken recorders, broken uploads and hostile people do to them."""

import struct
import zlib
from pathlib import Path

from sunriza_assets.studio.media.boxes import Box, children

_NESTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta")


def boxes_named(path: Path, kind: bytes) -> list[Box]:
    """All boxes of a type, wherever they are nested."""
    found: list[Box] = []
    with path.open("rb") as file:
        waiting = list(children(file, 0, path.stat().st_size))
        while waiting:
            box = waiting.pop(0)
            if box.kind == kind:
                found.append(box)
            if box.kind in _NESTS:
                waiting += children(file, box.body, box.end)
    return found


def patch(path: Path, at: int, data: bytes) -> Path:
    """Overwrite bytes."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)
    return path


def keep(path: Path, share: float) -> Path:
    """Cut the tail off."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def rename_boxes(path: Path, kind: bytes, new: bytes = b"free") -> Path:
    """Take boxes out by giving them another type."""
    for box in boxes_named(path, kind):
        patch(path, box.start + 4, new)
    return path


def claim_duration(path: Path, seconds: int) -> Path:
    """Make the headers say that it lasts so long."""
    for kind, scale_at in ((b"mvhd", 12), (b"mdhd", 12)):
        for box in boxes_named(path, kind):
            head = path.read_bytes()[box.body : box.end]
            scale = struct.unpack_from(">I", head, scale_at)[0]
            patch(path, box.body + scale_at + 4, struct.pack(">I", min(2**32 - 2, scale * seconds)))
    for box in boxes_named(path, b"tkhd"):
        patch(path, box.body + 20, struct.pack(">I", seconds * 1000))
    return path


def stretch(path: Path, seconds: int) -> Path:
    """Make every frame of the first track last so long, in its table of durations."""
    media, table = boxes_named(path, b"mdhd")[0], boxes_named(path, b"stts")[0]
    scale = struct.unpack_from(">I", path.read_bytes(), media.body + 12)[0]
    patch(path, table.body + 12, struct.pack(">I", scale * seconds))
    return rename_boxes(path, b"edts")


def damage_media(path: Path, start: float, end: float) -> Path:
    """Overwrite a part of the media data, but not its index."""
    box = boxes_named(path, b"mdat")[0]
    length = box.end - box.body
    first, last = box.body + int(length * start), box.body + int(length * end)
    return patch(path, first, bytes((i * 37 + 11) & 0xFF for i in range(last - first)))


def open_media(path: Path) -> Path:
    """Let the last box, the media data, reach to wherever the file ends."""
    return patch(path, boxes_named(path, b"mdat")[0].start, b"\0\0\0\0")


def pack_index(path: Path) -> Path:
    """Compress `moov`, as QuickTime can. Only where it stands behind the media data."""
    import zlib

    data, index = path.read_bytes(), boxes_named(path, b"moov")[0]
    plain = data[index.start : index.end]
    packed = _box(b"cmvd", struct.pack(">I", len(plain)) + zlib.compress(plain))
    packed = _box(b"moov", _box(b"cmov", _box(b"dcom", b"zlib") + packed))
    path.write_bytes(data[: index.start] + packed)
    return path


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def point_outside(path: Path, url: bytes, *, itself: int = 0) -> Path:
    """Make the data reference of the first track point to an address.

    So many entries before it say that the media is in the file itself.
    The entry `url ` grows; `dref` and all boxes around it too. Only for files whose index stands
    behind the media data, so that no offset changes.
    """
    data = bytearray(path.read_bytes())
    dref = boxes_named(path, b"dref")[0]
    entry = dref.body + 8
    new = itself * _box(b"url ", b"\0\0\0\1") + _box(b"url ", b"\0\0\0\0" + url + b"\0")
    struct.pack_into(">I", data, dref.body + 4, itself + 1)
    old = struct.unpack_from(">I", data, entry)[0]
    grown = len(new) - old
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        for box in boxes_named(path, kind):
            if box.start <= dref.start and dref.end <= box.end:
                size = struct.unpack_from(">I", data, box.start)[0]
                struct.pack_into(">I", data, box.start, size + grown)
    data[entry : entry + old] = new
    path.write_bytes(data)
    return path


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    tail = chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + tail


def jpeg_with_size(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose frame header claims another size."""
    result = bytearray(data)
    at = data.index(b"\xff\xc0")
    struct.pack_into(">HH", result, at + 5, height, width)
    return bytes(result)


def webp_header(width: int, height: int) -> bytes:
    """An extended WebP that claims a canvas and holds nothing of it."""
    body = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0"
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def jpeg_with_scans(jpeg: bytes, extra: int) -> bytes:
    """A progressive JPEG whose last scan, a refinement, comes so many times more."""
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * extra + jpeg[-2:]


def png_with_chunks(png: bytes, kind: bytes, body: bytes, count: int, *, late: bool) -> bytes:
    """A PNG with so many equal chunks behind its header or, late, before its end."""
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    place = len(png) - 12 if late else 33
    return png[:place] + chunk * count + png[place:]
