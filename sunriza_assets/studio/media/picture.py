"""Pictures in and out: any photo to upright sRGB pixels, and pixels back to files.

Sheets and inline previews, which are made of several pictures or meant for a page, are in `sheet`.
"""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media import sandbox
from sunriza_assets.studio.media.info import PictureInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits, check_size
from sunriza_assets.studio.media.sheet import contact_sheet, webp_data_uri
from sunriza_assets.studio.media.sniff import FileKind, Medium, sniff_file
from sunriza_assets.studio.media.structure import check_structure

__all__ = ["contact_sheet", "fit", "picture_info", "read_picture", "webp_data_uri", "write_picture"]

BACKGROUND: Final = 128
"""Grey behind transparent pixels: neither a black nor a white rim around hair."""
_PLUGINS: Final = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF", "heic": "HEIF"}
"""The one Pillow decoder that may look at each format."""
_PNG_END: Final = b"IEND\xaeB`\x82"
"""The last chunk of every whole PNG, with its checksum."""
_SAVERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    ".jpg": ("JPEG", {"subsampling": 0, "optimize": True}),
    ".jpeg": ("JPEG", {"subsampling": 0, "optimize": True}),
    ".png": ("PNG", {"compress_level": 6}),
    ".webp": ("WEBP", {"method": 4}),
}


_PILLOW_ERRORS: Final = (
    OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError,
    AttributeError, RuntimeError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow's readers raise on damaged files; memory and the rest are not theirs."""
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what brings the picture upright (Exif 2.32, tag 274)."""


def picture_info(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> PictureInfo:
    """Describe a picture from its header; no pixel is decoded.

    Raises:
        MediaError: `unreadable`, `empty`, `too_large`, `too_many_pixels`, `too_complex` or
            `unsupported`.
    """
    name, image = _opened(path, limits)
    with image:
        return _describe(path, name, image)


def read_picture(
    path: Path,
    *,
    max_side: int | None = None,
    max_size: tuple[int, int] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> NDArray[np.uint8]:
    """Decode a picture as a viewer sees it, in a child process: upright, sRGB, opaque.

    Args:
        path: JPEG, PNG, WebP, AVIF, or HEIC where a decoder is installed.
        max_side: shrink in proportion so that the longest side has at most so many pixels.
        max_size: the same for (width, height) of the upright picture; takes `max_side`'s place.
        limits: what is refused from the header, before anything is decoded.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        MediaError: `unreadable`, `empty`, `truncated`, `too_large`, `too_many_pixels`,
            `too_complex`, `unsupported` (a foreign format, which is named) or `memory`.
    """
    reply = sandbox.run_task(
        "read_picture",
        path,
        limits=limits,
        seconds=limits.picture_seconds,
        arguments={"max_size": max_size or (max_side and (max_side, max_side))},
    )
    shape = (int(reply.value["height"]), int(reply.value["width"]), 3)
    return np.frombuffer(reply.payload, np.uint8).reshape(shape)


def read_picture_in_process(
    path: Path, *, max_size: Sequence[int] | None, limits: Limits, accept: Callable[[], None]
) -> NDArray[np.uint8]:
    """`read_picture` in this process; calls `accept` when only pixels are left to decode."""
    _, image = _opened(path, limits)
    with image:
        accept()
        return _decode(path, image, max_size)


def fit(size: Sequence[int], bounds: Sequence[int]) -> float:
    """The scale at which (width, height) just fits into bounds; above 1 it is smaller than they."""
    return min(bound / side for side, bound in zip(size, bounds, strict=True))


def write_picture(image: NDArray[np.uint8], path: Path, *, quality: int = 92) -> None:
    """Write (H, W, 3) RGB or (H, W) grey pixels; the suffix names the format. Atomic.

    Args:
        image: the pixels.
        path: ends in .jpg, .jpeg, .png or .webp.
        quality: 1-100 for JPEG and WebP; PNG is lossless.

    Raises:
        MediaError: `unsupported`: another suffix.
        StoreError: the file cannot be written.
    """
    try:
        name, options = _SAVERS[path.suffix.lower()]
    except KeyError:
        raise MediaError(
            f"Pictures are written as {', '.join(_SAVERS)}, not {path.suffix or 'without suffix'}",
            where=path,
            code="unsupported",
        ) from None
    with replacing(path) as file:
        Image.fromarray(image).save(file, name, quality=quality, **options)


def _decode(path: Path, image: Image.Image, max_size: Sequence[int] | None) -> NDArray[np.uint8]:
    orientation = _orientation(image)  # decoding forgets it
    try:
        if max_size is not None and image.format in ("JPEG", "MPO"):
            largest = max(max_size)
            image.draft(None, (largest, largest))  # decodes at 1/2, 1/4 or 1/8, never below
        image.load()
    except _PILLOW_ERRORS as error:
        cut = "truncated" in str(error).lower()
        raise MediaError(
            "The picture is cut off" if cut else f"The picture is damaged: {error}",
            where=path,
            remedy="Upload it again.",
            code="truncated" if cut else "unreadable",
        ) from error
    profile = image.info.get("icc_profile")
    upright = _to_rgb(_to_eight_bits(image), profile)
    if orientation in _TURNS:
        upright = upright.transpose(_TURNS[orientation])
    if max_size is not None and (shrink := fit(upright.size, max_size)) < 1:
        size = (max(1, round(upright.width * shrink)), max(1, round(upright.height * shrink)))
        upright = upright.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.ascontiguousarray(upright)


def _opened(path: Path, limits: Limits) -> tuple[str, Image.Image]:
    """Format and picture, whose header has been read and found within the limits."""
    kind = sniff_file(path, limits)
    if kind.medium is not Medium.PICTURE:
        raise _unsupported(path, kind)
    Image.MAX_IMAGE_PIXELS = None  # our own limit stands in its place
    if kind.name == "webp":  # Pillow allocates the canvas while it opens it
        check_size(path, *_webp_canvas(path), limits)
    if not _has_plugin(kind.name):
        raise _unsupported(path, kind)
    check_structure(path, kind.name, limits)
    try:
        if kind.name == "png":  # decoding would not notice wrong checksums
            with Image.open(path, formats=["PNG"]) as image:
                check_size(path, *image.size, limits)
                image.verify()
        image = Image.open(path, formats=[_PLUGINS[kind.name]])
    except _PILLOW_ERRORS as error:
        cut = kind.name == "png" and _PNG_END not in path.read_bytes()
        what = "is cut off" if cut else f"cannot be read as {kind.name.upper()}"
        raise MediaError(
            f"The picture {what}",
            where=path,
            remedy="Upload it again or save it as JPEG.",
            code="truncated" if cut else "unreadable",
        ) from error
    check_size(path, *image.size, limits)
    return kind.name, image


def _unsupported(path: Path, kind: FileKind) -> MediaError:
    name = kind.name.upper() if kind.medium is Medium.PICTURE else kind.name
    what = "a clip" if kind.medium is Medium.CLIP else f"a {name}"
    return MediaError(
        f"This is {what}, which cannot be read as a picture",
        where=path,
        remedy="Save it as JPEG, PNG or WebP.",
        code="unsupported",
    )


def _has_plugin(name: str) -> bool:
    """Whether a decoder is installed; of HEIC's there may be none."""
    if name == "heic":
        try:
            import pillow_heif
        except ImportError:
            return False
        pillow_heif.register_heif_opener(thumbnails=False)
    Image.init()
    return _PLUGINS[name] in Image.OPEN


def _webp_canvas(path: Path) -> tuple[int, int]:
    """(width, height) that a WebP header announces; (0, 0) if it is none (RFC 9649)."""
    with path.open("rb") as file:
        head = file.read(30)
    kind, body = head[12:16], head[20:].ljust(10, b"\0")
    if kind == b"VP8X":
        return (int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1)
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 ":
        sides = (int.from_bytes(body[6:8], "little"), int.from_bytes(body[8:10], "little"))
        return sides[0] & 0x3FFF, sides[1] & 0x3FFF
    return 0, 0


def _bit_depth(path: Path, name: str, image: Image.Image) -> int:
    """Bits per component as stored; Pillow itself hands out eight of most."""
    if name == "png":  # the header chunk comes first: ISO/IEC 15948, 11.2.2
        with path.open("rb") as file:
            return max(8, file.read(25)[24])
    return int(image.info.get("bit_depth", 8))  # HEIC's reader says


def _describe(path: Path, name: str, image: Image.Image) -> PictureInfo:
    orientation = _orientation(image)
    width, height = image.size if orientation <= 4 else image.size[::-1]
    return PictureInfo(
        format=name,
        width=width,
        height=height,
        orientation=orientation,
        mode=image.mode,
        bit_depth=_bit_depth(path, name, image),
        has_alpha=image.has_transparency_data,
        colour_profile=_profile_name(image.info.get("icc_profile")),
        frame_count=int(getattr(image, "n_frames", 1)),
        size_bytes=path.stat().st_size,
    )


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1-8; what cannot be read is upright."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _PILLOW_ERRORS:
        return 1
    return value if value in _TURNS else 1


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Grey pictures of 16 bits, which Pillow would clip instead of scaling."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float32)
        return Image.fromarray(np.clip(np.rint(values / 257.0), 0, 255).astype(np.uint8))
    return image


def _to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """sRGB without transparency."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        backdrop = Image.new("RGBA", image.size, (BACKGROUND, BACKGROUND, BACKGROUND, 255))
        image = Image.alpha_composite(backdrop, image).convert("RGB")
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    return _to_srgb(image, profile) if profile else image.convert("RGB")


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Through the picture's ICC profile; one that does not fit its pixels is left aside."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        wanted = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}[image.mode]
        if source.profile.xcolor_space != wanted:
            return image.convert("RGB")
        result = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB")
    return result if result is not None else image.convert("RGB")


def _profile_name(profile: bytes | None) -> str | None:
    if not profile:
        return None
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        return "unreadable"
    return name.strip() or "unnamed"
