"""Pictures as strangers send them, made by program, each with the outcome it must have."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from sunriza_assets_tests.studio.media import surgery
from sunriza_assets_tests.studio.media.cases import Refused
from sunriza_assets_tests.studio.media.films import SIZE, Film, picture, write

__all__ = ["PICTURES", "PictureCase", "Seen"]


@dataclass(frozen=True)
class Seen:
    """It can be read, upright."""

    colour: float = 6.0
    """Largest deviation of a corner's colour, 0-255."""
    size: tuple[int, int] = SIZE
    """(width, height)."""


@dataclass(frozen=True)
class PictureCase:
    """One file."""

    name: str
    """File name."""
    build: Callable[[Path], object]
    """Writes it."""
    outcome: Seen | Refused
    """What must come of it."""


TEST = Image.fromarray(picture(5))
BIG = Image.fromarray(picture(5, (480, 320)))


def saved(name: str, image: Image.Image, outcome: Seen | Refused, **options: Any) -> PictureCase:
    """A picture that Pillow writes."""
    return PictureCase(name, lambda path: image.save(path, **options), outcome)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A picture's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def raw(name: str, content: bytes, outcome: Seen | Refused) -> PictureCase:
    """A file of given bytes."""
    return PictureCase(name, lambda path: path.write_bytes(content), outcome)


def exif(orientation: int) -> bytes:
    """EXIF data that say how the camera was held; bytes, since Pillow empties what it is given."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


_STORED = {  # how an upright picture is stored under each EXIF orientation
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def stored(orientation: int) -> Image.Image:
    """The test picture as a camera held that way stores it."""
    turn = _STORED[orientation]
    return TEST if turn is None else TEST.transpose(turn)


def sixteen_bits(channels: int) -> bytes:
    """A PNG of 16 bits, which Pillow cannot write."""
    stored = {1: TEST.convert("L"), 2: TEST.convert("LA"), 3: TEST}[channels]
    values = np.asarray(stored).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in values.reshape(SIZE[1], -1))
    head = struct.pack(">IIBBBBB", *SIZE, 16, {1: 0, 2: 4, 3: 2}[channels], 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def transparent() -> Image.Image:
    """The test picture on a transparent ground: the grey corner is nothing at all."""
    image = TEST.convert("RGBA")
    alpha = np.full(SIZE[::-1], 255, np.uint8)
    alpha[40:, 48:] = 0
    hidden = np.asarray(image).copy()
    hidden[40:, 48:, :3] = (255, 0, 255)
    hidden[..., 3] = alpha
    return Image.fromarray(hidden)


def with_keyed_colour() -> Image.Image:
    """A palette picture, one colour of which is transparent."""
    image = transparent().convert("RGB").quantize(32)
    image.info["transparency"] = image.getpixel((90, 60))
    return image


def _in_profile(name: str) -> tuple[Image.Image, bytes]:
    """The test picture stored in another colour space, and that space's profile."""
    target = ImageCms.ImageCmsProfile(ImageCms.createProfile(name))
    converted = ImageCms.profileToProfile(
        TEST, ImageCms.createProfile("sRGB"), target, outputMode="LAB" if name == "LAB" else "RGB"
    )
    assert converted is not None
    return converted, target.tobytes()


def _swapped_profile() -> bytes:
    """An sRGB profile whose red and blue primaries have changed places: easily told from none."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = data.index(b"rXYZ"), data.index(b"bXYZ")
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data)


_JPEG = encoded(BIG, "JPEG", quality=92)
_PNG = encoded(BIG, "PNG")
_WEBP = encoded(BIG, "WEBP", quality=90)
_AVIF = encoded(BIG, "AVIF", quality=90)
_PROGRESSIVE = encoded(TEST, "JPEG", quality=95, progressive=True)
_SCAN_BOMB = surgery.jpeg_with_scans(_PROGRESSIVE, 3000)
_MEGABYTE = b"x\0\0" + zlib.compress(bytes(1_000_000))
_SWAPPED = _swapped_profile()
_RED_AND_BLUE_SWAPPED = Image.merge("RGB", TEST.split()[::-1])


def _two_pictures(first: bytes, second: bytes) -> bytes:
    """An MPO: one JPEG behind another, and an index of both in the first (CIPA DC-007)."""
    frames = [Image.open(io.BytesIO(one)) for one in (first, second)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "MPO", save_all=True, append_images=frames[1:])
    index = buffer.getvalue()
    start = index.index(b"\xff\xe2")
    segment = index[start : start + 2 + int.from_bytes(index[start + 2 : start + 4], "big")]
    return first[:2] + segment + first[2:] + second


def _hidden(jpeg: bytes) -> bytes:
    """The same scans, each behind a byte pair that looks like the start of a long segment."""
    return jpeg.replace(b"\xff\xda", b"\xff\x02\xff\xff\xff\xda")


def _heic(path: Path, image: Image.Image = TEST, **options: Any) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    image.save(path, "HEIF", **options)


GOOD = [
    saved("plain.jpg", TEST, Seen(), quality=95),
    saved("progressive.jpg", TEST, Seen(), quality=95, progressive=True),
    saved("subsampled.jpg", TEST, Seen(10), quality=95, subsampling=2),
    saved("grey.jpg", TEST.convert("L"), Seen(255), quality=95),
    saved("cmyk.jpg", TEST.convert("CMYK"), Seen(10), quality=95),
    *(saved(f"held_{i}.jpg", stored(i), Seen(), quality=95, exif=exif(i)) for i in range(1, 9)),
    *(saved(f"cmyk_held_{i}.jpg", stored(i).convert("CMYK"), Seen(10), quality=95, exif=exif(i))
      for i in (5, 6)),
    saved("two_pictures_held_6.jpg", stored(6), Seen(), format="MPO", quality=95, exif=exif(6),
          save_all=True, append_images=[BIG]),
    saved("held_0.jpg", TEST, Seen(), quality=95, exif=exif(0)),
    saved("held_9.jpg", TEST, Seen(), quality=95, exif=exif(9)),
    saved("held_6.png", stored(6), Seen(), exif=exif(6)),
    saved("held_8.webp", stored(8), Seen(), exif=exif(8), quality=95),
    saved("held_6.avif", stored(6), Seen(8), exif=exif(6), quality=95),
    saved("damaged_exif.jpg", TEST, Seen(), quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"),
    saved("profile.jpg", _RED_AND_BLUE_SWAPPED, Seen(8), quality=95, icc_profile=_SWAPPED),
    saved("profile.png", _RED_AND_BLUE_SWAPPED, Seen(8), icc_profile=_SWAPPED),
    saved("damaged_profile.jpg", TEST, Seen(), quality=95, icc_profile=b"no profile" * 20),
    saved("wrong_profile.jpg", TEST.convert("CMYK"), Seen(10), quality=95, icc_profile=_SWAPPED),
    saved("plain.png", TEST, Seen(1)),
    saved("grey.png", TEST.convert("L"), Seen(255)),
    saved("bilevel.png", TEST.convert("1"), Seen(255)),
    saved("palette.png", TEST.quantize(16), Seen(4)),
    saved("keyed_palette.png", with_keyed_colour(), Seen(4)),
    saved("alpha.png", transparent(), Seen(1)),
    saved("grey_alpha.png", transparent().convert("LA"), Seen(255)),
    raw("sixteen_bits.png", sixteen_bits(3), Seen(1)),
    raw("sixteen_bits_grey.png", sixteen_bits(1), Seen(255)),
    raw("sixteen_bits_grey_alpha.png", sixteen_bits(2), Seen(255)),
    saved("animated.png", TEST, Seen(1), save_all=True, append_images=[TEST.rotate(180)]),
    saved("lossy.webp", TEST, Seen(12), quality=95),
    saved("lossless.webp", TEST, Seen(1), lossless=True),
    saved("alpha.webp", transparent(), Seen(2), lossless=True),
    saved("animated.webp", TEST, Seen(1), lossless=True, save_all=True,
          append_images=[TEST.rotate(180)]),
    saved("plain.avif", TEST, Seen(8), quality=95),
    saved("alpha.avif", transparent(), Seen(8), quality=95),
    PictureCase("plain.heic", lambda path: _heic(path, quality=95), Seen(10)),
    PictureCase("held_8.heic", lambda path: _heic(path, stored(8), quality=95, exif=exif(8)),
                Seen(10)),
    PictureCase("alpha.heic", lambda path: _heic(path, transparent(), quality=95), Seen(10)),
    saved("named_wrongly.png", TEST, Seen(), format="JPEG", quality=95),
    raw("junk_behind.jpg", encoded(TEST, "JPEG", quality=95) + b"\0" * 99, Seen()),
    raw("seventy_scans.jpg", surgery.jpeg_with_scans(_PROGRESSIVE, 60), Seen()),
    raw("scans_in_the_second_picture.jpg", _two_pictures(_PROGRESSIVE, _SCAN_BOMB), Seen()),
    raw("scans_behind_the_end.jpg", _PROGRESSIVE + b"\xff\xda" * 3000, Seen()),
    raw("scans_in_a_comment.jpg", _PROGRESSIVE[:2] + b"\xff\xfe\x17\x72" + b"\xff\xda" * 3000
        + _PROGRESSIVE[2:], Seen()),
    raw("some_text.png", surgery.png_with_chunks(encoded(TEST, "PNG"), b"zTXt", _MEGABYTE, 9,
        late=False), Seen(1)),
    saved("one_pixel.png", Image.new("RGB", (1, 1), (9, 9, 9)), Seen(255, (1, 1))),
]  # fmt: skip

BAD = [
    raw("empty.jpg", b"", Refused("empty")),
    raw("text.jpg", b"Not a picture at all", Refused("unsupported")),
    raw("only_signature.png", _PNG[:8], Refused("truncated")),
    raw("only_signature.jpg", _JPEG[:4], Refused("unreadable")),
    raw("half.jpg", _JPEG[: len(_JPEG) // 2], Refused("truncated")),
    raw("half.png", _PNG[: len(_PNG) // 2], Refused("truncated")),
    raw("half.webp", _WEBP[: len(_WEBP) // 2], Refused("unreadable")),
    raw("half.avif", _AVIF[: len(_AVIF) // 2], Refused("unreadable")),
    raw("wrong_checksum.png", _PNG[:60] + b"\xff\xff" + _PNG[62:], Refused("unreadable")),
    raw("bomb.png", surgery.png_header(60_000, 60_000), Refused("too_many_pixels")),
    raw("bomb_2_to_the_31.png", surgery.png_header(2**31 - 1, 2**31 - 1),
        Refused("too_many_pixels")),
    raw("line.png", surgery.png_header(8193, 1), Refused("too_many_pixels")),
    raw("no_size.png", surgery.png_header(0, 10), Refused("unreadable")),
    raw("bomb.jpg", surgery.jpeg_with_size(_JPEG, 60_000, 60_000), Refused("too_many_pixels")),
    raw("claims_more.jpg", surgery.jpeg_with_size(_JPEG, 480, 400), Seen(255, (480, 400))),
    raw("bomb.webp", surgery.webp_header(2**24, 2**24), Refused("too_many_pixels")),
    raw("sixteen_thousand.webp", surgery.webp_header(16383, 16383), Refused("too_many_pixels")),
    raw("three_thousand_scans.jpg", _SCAN_BOMB, Refused("too_complex")),
    raw("hidden_scans.jpg", _hidden(_SCAN_BOMB), Refused("too_complex")),
    raw("scans_of_two_pictures.jpg", _two_pictures(_SCAN_BOMB, _PROGRESSIVE),
        Refused("too_complex")),
    raw("half_of_three_thousand_scans.jpg", _SCAN_BOMB[: len(_SCAN_BOMB) // 2],
        Refused("too_complex")),
    raw("comments.jpg", _JPEG[:2] + b"\xff\xfe\0\2" * 60_000 + _JPEG[2:], Refused("too_complex")),
    *(raw(f"{when}_{kind.decode()}.png", surgery.png_with_chunks(encoded(TEST, "PNG"), kind,
          _MEGABYTE, 1500, late=when == "late"), Refused("too_complex"))
      for when in ("early", "late") for kind in (b"iCCP", b"zTXt")),
    raw("empty_chunks.png", surgery.png_with_chunks(_PNG, b"IDAT", b"", 60_000, late=True),
        Refused("too_complex")),
    raw("text_bomb.png", surgery.png_with_chunks(encoded(TEST, "PNG"), b"zTXt",
        b"x\0\0" + zlib.compress(bytes(100_000_000)), 1, late=False), Refused("unreadable")),
    raw("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://a/"/></svg>',
        Refused("unsupported")),
    raw("drawing.png", b'<?xml version="1.0"?><svg/>', Refused("unsupported")),
    saved("foreign.gif", TEST, Refused("unsupported")),
    saved("foreign.bmp", TEST, Refused("unsupported")),
    saved("foreign.tiff", TEST, Refused("unsupported")),
    saved("foreign.jp2", TEST, Refused("unsupported")),
    saved("foreign.ico", TEST, Refused("unsupported")),
    raw("script.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n", Refused("unsupported")),
    raw("document.pdf", b"%PDF-1.7\n", Refused("unsupported")),
    PictureCase("clip.jpg", lambda path: write(path.with_suffix(".mp4"), Film()).rename(path),
                Refused("unsupported")),
]  # fmt: skip

PICTURES = (*GOOD, *BAD)
