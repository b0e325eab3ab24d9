"""Detects the format of a file by its first bytes.

Nothing is decoded here. The format selects the only demuxer or decoder that may open the file, so
that no playlist, subtitle or scene description reaches a parser that would follow it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.limits import Limits

__all__ = ["HEAD_BYTES", "RAW_AAC", "SUFFIXES", "FileKind", "Medium", "sniff", "sniff_file"]

HEAD_BYTES: Final = 4096
"""Bytes that are read; every signature below is at the very beginning."""


SUFFIXES: Final[Mapping[str, str]] = {
    "jpeg": ".jpg", "png": ".png", "webp": ".webp", "avif": ".avif", "heic": ".heic",
    "mp4": ".mp4", "mov": ".mov", "webm": ".webm", "matroska": ".mkv",
}  # fmt: skip
"""Name of a picture's or clip's format -> suffix of its file."""


class Medium(Enum):
    """What kind of thing a file is to this system."""

    CLIP = "clip"
    PICTURE = "picture"
    SOUND = "sound"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class FileKind:
    """A format by name."""

    name: str
    """Short name (mp4, jpeg...) or, of a foreign format, words for a reader."""
    medium: Medium
    """Whether it is a clip, a picture, a sound or none of them."""


_ISO_BRANDS: Final = {  # ISO/IEC 23008-12: brands of pictures in the same boxes that clips use
    b"avif": FileKind("avif", Medium.PICTURE),
    b"avis": FileKind("avif", Medium.PICTURE),
    b"heic": FileKind("heic", Medium.PICTURE),
    b"heix": FileKind("heic", Medium.PICTURE),
    b"heim": FileKind("heic", Medium.PICTURE),
    b"heis": FileKind("heic", Medium.PICTURE),
    b"hevc": FileKind("heic", Medium.PICTURE),
    b"mif1": FileKind("heic", Medium.PICTURE),
    b"msf1": FileKind("heic", Medium.PICTURE),
    b"crx ": FileKind("Canon raw picture", Medium.FOREIGN),
    b"M4A ": FileKind("M4A sound file", Medium.SOUND),
    b"M4B ": FileKind("M4B sound file", Medium.SOUND),
    b"jp2 ": FileKind("JPEG 2000 picture", Medium.FOREIGN),
}
_TOP_BOXES: Final = frozenset((b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid"))
"""Boxes a QuickTime file without `ftyp` may begin with."""
_SIGNATURES: Final = (
    (b"\xff\xd8\xff", FileKind("jpeg", Medium.PICTURE)),
    (b"\x89PNG\r\n\x1a\n", FileKind("png", Medium.PICTURE)),
    (b"GIF8", FileKind("GIF animation", Medium.FOREIGN)),
    (b"BM", FileKind("BMP picture", Medium.FOREIGN)),
    (b"II*\0", FileKind("TIFF or raw picture", Medium.FOREIGN)),
    (b"MM\0*", FileKind("TIFF or raw picture", Medium.FOREIGN)),
    (b"II+\0", FileKind("BigTIFF picture", Medium.FOREIGN)),
    (b"MM\0+", FileKind("BigTIFF picture", Medium.FOREIGN)),
    (b"8BPS", FileKind("Photoshop document", Medium.FOREIGN)),
    (b"%PDF", FileKind("PDF document", Medium.FOREIGN)),
    (b"%!PS", FileKind("PostScript document", Medium.FOREIGN)),
    (b"\0\0\1\0", FileKind("icon", Medium.FOREIGN)),
    (b"\xff\x0a", FileKind("JPEG XL picture", Medium.FOREIGN)),
    (b"\0\0\0\x0cJXL ", FileKind("JPEG XL picture", Medium.FOREIGN)),
    (b"\0\0\0\x0cjP  ", FileKind("JPEG 2000 picture", Medium.FOREIGN)),
    (b"qoif", FileKind("QOI picture", Medium.FOREIGN)),
    (b"\x76\x2f\x31\x01", FileKind("OpenEXR picture", Medium.FOREIGN)),
    (b"FLV\x01", FileKind("Flash video", Medium.FOREIGN)),
    (b"OggS", FileKind("Ogg file", Medium.SOUND)),
    (b"ID3", FileKind("MP3 sound file", Medium.SOUND)),
    (b"fLaC", FileKind("FLAC sound file", Medium.SOUND)),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", FileKind("Windows Media file", Medium.FOREIGN)),
    (b"\0\0\1\xba", FileKind("MPEG programme stream", Medium.FOREIGN)),
    (b"\0\0\1\xb3", FileKind("MPEG video stream", Medium.FOREIGN)),
    (b"PK\x03\x04", FileKind("zip archive", Medium.FOREIGN)),
    (b"\x1f\x8b", FileKind("gzip archive", Medium.FOREIGN)),
    (b"#EXTM3U", FileKind("HLS playlist", Medium.FOREIGN)),
    (b"ffconcat", FileKind("concat list", Medium.FOREIGN)),
    (b"[playlist]", FileKind("playlist", Medium.FOREIGN)),
    (b"v=0", FileKind("SDP session description", Medium.FOREIGN)),
)
_MP3: Final = FileKind("MP3 sound file", Medium.SOUND)
RAW_AAC: Final = FileKind("raw AAC stream", Medium.FOREIGN)
"""Without a container that says how many of the first samples are the encoder's own."""
_RIFF: Final = {
    b"WEBP": FileKind("webp", Medium.PICTURE),
    b"AVI ": FileKind("AVI video", Medium.FOREIGN),
    b"WAVE": FileKind("WAV sound file", Medium.SOUND),
}
_MARKUP: Final = (
    (b"<svg", FileKind("SVG drawing", Medium.FOREIGN)),
    (b"<MPD", FileKind("DASH manifest", Medium.FOREIGN)),
    (b"<SmoothStreamingMedia", FileKind("Smooth Streaming manifest", Medium.FOREIGN)),
    (b"<html", FileKind("web page", Medium.FOREIGN)),
    (b"<!DOCTYPE html", FileKind("web page", Medium.FOREIGN)),
)
_UNKNOWN: Final = FileKind("file of no known kind", Medium.FOREIGN)


def sniff(head: bytes) -> FileKind:
    """Name the format that a file's first bytes announce."""
    if head[4:8] == b"ftyp":
        return _iso_kind(head)
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[4:8] in _TOP_BOXES:
        return FileKind("mov", Medium.CLIP)
    if head.startswith(b"\x1aE\xdf\xa3"):  # EBML; its DocType tells WebM from Matroska
        return FileKind("webm" if b"webm" in head[:128] else "matroska", Medium.CLIP)
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], _UNKNOWN)
    return _mpeg_sound_kind(head) or _text_kind(head)


def sniff_file(path: Path, limits: Limits, *, most_bytes: int | None = None) -> FileKind:
    """Look at a file from outside and refuse what is no file, empty or too large.

    Args:
        path: the file.
        limits: `file_bytes` applies, unless `most_bytes` is given.
        most_bytes: largest size.

    Raises:
        MediaError: `unreadable`, `empty` or `too_large`.
    """
    try:
        if not path.is_file():
            raise MediaError(
                "There is no such file" if not path.exists() else "This is not a file",
                where=path,
                code="unreadable",
            )
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        raise MediaError(
            f"The file cannot be read: {error}", where=path, code="unreadable"
        ) from error
    if size == 0:
        raise MediaError("The file is empty", where=path, remedy="Upload it again.", code="empty")
    most = limits.file_bytes if most_bytes is None else most_bytes
    if size > most:
        raise MediaError(
            f"The file has {size / 1e6:.1f} MB, more than {most / 1e6:.0f} MB",
            where=path,
            remedy="Shorten it or choose a smaller resolution."
            if most_bytes is None
            else "Shorten it or save it as MP3, Opus or M4A.",
            code="too_large",
        )
    return sniff(head)


def _iso_kind(head: bytes) -> FileKind:
    """ISO/IEC 14496-12 `ftyp`: the major brand decides, then the compatible ones."""
    length = max(16, min(int.from_bytes(head[:4], "big"), 256))
    major = head[8:12]
    compatible = [head[i : i + 4] for i in range(16, length - 3, 4)]
    if major in (b"mif1", b"msf1") and b"avif" in compatible:
        return _ISO_BRANDS[b"avif"]
    if major in _ISO_BRANDS:
        return _ISO_BRANDS[major]
    return FileKind("mov" if major == b"qt  " else "mp4", Medium.CLIP)


def _mpeg_sound_kind(head: bytes) -> FileKind | None:
    """A stream of bare frames: MP3 (ISO/IEC 11172-3, 2.4.2.3) or AAC (ISO/IEC 13818-7, 6.2)."""
    if len(head) < 4 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:  # twelve bits of sync, layer 0
        return RAW_AAC
    sync, version, layer = head[1] & 0xE0 == 0xE0, head[1] >> 3 & 3, head[1] >> 1 & 3
    bit_rate, rate = head[2] >> 4, head[2] >> 2 & 3
    known = sync and version != 1 and layer == 1 and bit_rate not in (0, 15) and rate != 3
    return _MP3 if known else None


def _text_kind(head: bytes) -> FileKind:
    if head[:1] == b"G" and head[188:189] == b"G":  # sync bytes of 188-byte packets
        return FileKind("MPEG transport stream", Medium.FOREIGN)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        for mark, kind in _MARKUP:
            if mark in text:
                return kind
        return FileKind("XML document", Medium.FOREIGN)
    return _UNKNOWN
