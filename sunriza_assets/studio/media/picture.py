"""Pictures in and out: any photo to upright sRGB pixels, and pixels back to files.

Sheets and inline previews, which are made of several pictures or meant for a page, are in `sheet`.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media import sandbox
from sunriza_assets.studio.media.files import written_beside
from sunriza_assets.studio.media.info import PictureInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits, check_size
from sunriza_assets.studio.media.sheet import contact_sheet, webp_data_uri
from sunriza_assets.studio.media.sniff import FileKind, Medium, sniff_file

__all__ = ["contact_sheet", "picture_info", "read_picture", "webp_data_uri", "write_picture"]

BACKGROUND: Final = 128
"""Grey behind transparent pixels: neither a black nor a white rim around hair."""
_PLUGINS: Final = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF", "heic": "HEIF"}
"""The one Pillow decoder that may look at each format."""
_SAVERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    ".jpg": ("JPEG", {"subsampling": 0, "optimize": True}),
    ".jpeg": ("JPEG", {"subsampling": 0, "optimize": True}),
    ".png": ("PNG", {"compress_level": 6}),
    ".webp": ("WEBP", {"method": 4}),
}


def picture_info(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> PictureInfo:
    """Describe a picture from its header; no pixel is decoded.

    Raises:
        MediaError: `unreadable`, `empty`, `too_large`, `too_many_pixels` or `unsupported`.
    """
    with _opened(path, limits) as image:
        return _describe(path, image)


def read_picture(
    path: Path, *, max_side: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> NDArray[np.uint8]:
    """Decode a picture as a viewer sees it, in a child process: upright, sRGB, opaque.

    Args:
        path: JPEG, PNG, WebP, AVIF, or HEIC where a decoder is installed.
        max_side: shrink in proportion so that the longest side has at most so many pixels.
        limits: what is refused from the header, before anything is decoded.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        MediaError: `unreadable`, `empty`, `truncated`, `too_large`, `too_many_pixels`,
            `unsupported` (a foreign format, which is named) or `memory`.
    """
    reply = sandbox.call(
        "read_picture",
        path,
        limits=limits,
        seconds=limits.decode_seconds,
        arguments={"max_side": max_side},
    )
    shape = (int(reply.value["height"]), int(reply.value["width"]), 3)
    return np.frombuffer(reply.payload, np.uint8).reshape(shape)


def load(
    path: Path, *, max_side: int | None, limits: Limits, accept: Callable[[], None]
) -> NDArray[np.uint8]:
    """`read_picture` in this process; calls `accept` when only pixels are left to decode."""
    with _opened(path, limits) as image:
        accept()
        return _decode(path, image, max_side)


def write_picture(image: NDArray[np.uint8], path: Path, *, quality: int = 92) -> None:
    """Write (H, W, 3) RGB or (H, W) grey pixels; the suffix names the format. Atomic.

    Args:
        image: the pixels.
        path: ends in .jpg, .jpeg, .png or .webp.
        quality: 1-100 for JPEG and WebP; PNG is lossless.

    Raises:
        MediaError: `unsupported`: another suffix.
    """
    try:
        name, options = _SAVERS[path.suffix.lower()]
    except KeyError:
        raise MediaError(
            f"Pictures are written as {', '.join(_SAVERS)}, not {path.suffix or 'without suffix'}",
            where=path,
            code="unsupported",
        ) from None
    with written_beside(path) as part:
        Image.fromarray(image).save(part, name, quality=quality, **options)


def _decode(path: Path, image: Image.Image, max_side: int | None) -> NDArray[np.uint8]:
    try:
        if max_side is not None and image.format == "JPEG":
            image.draft(None, (max_side, max_side))  # decodes at 1/2, 1/4 or 1/8, never below
        image.load()
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        cut = "truncated" in str(error).lower()
        raise MediaError(
            "The picture is cut off" if cut else f"The picture is damaged: {error}",
            where=path,
            remedy="Upload it again.",
            code="truncated" if cut else "unreadable",
        ) from error
    image = ImageOps.exif_transpose(image)
    profile = image.info.get("icc_profile")
    image = _to_rgb(_to_eight_bits(image), profile)
    if max_side is not None and max(image.size) > max_side:
        shrink = max_side / max(image.size)
        size = (max(1, round(image.width * shrink)), max(1, round(image.height * shrink)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.ascontiguousarray(image)


def _opened(path: Path, limits: Limits) -> Image.Image:
    """A picture whose header has been read and found within the limits."""
    kind = sniff_file(path, limits)
    if kind.medium is not Medium.PICTURE:
        raise _unsupported(path, kind)
    Image.MAX_IMAGE_PIXELS = None  # our own limit stands in its place
    try:
        image = Image.open(path, formats=[_PLUGINS[kind.name]])
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        if kind.name in ("heic", "avif") and not _has_plugin(kind.name):
            raise _unsupported(path, kind) from None
        raise MediaError(
            f"The picture cannot be read as {kind.name.upper()}",
            where=path,
            remedy="Upload it again or save it as JPEG.",
            code="unreadable",
        ) from error
    check_size(path, *image.size, limits)
    return image


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
    Image.init()
    return _PLUGINS[name] in Image.OPEN


def _describe(path: Path, image: Image.Image) -> PictureInfo:
    orientation = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    orientation = orientation if 1 <= orientation <= 8 else 1
    width, height = image.size if orientation <= 4 else image.size[::-1]
    return PictureInfo(
        format={v: k for k, v in _PLUGINS.items()}[str(image.format)],
        width=width,
        height=height,
        orientation=orientation,
        mode=image.mode,
        bit_depth=16 if image.mode.startswith("I;16") else 8,
        has_alpha=image.has_transparency_data,
        colour_profile=_profile_name(image.info.get("icc_profile")),
        frame_count=int(getattr(image, "n_frames", 1)),
        size_bytes=path.stat().st_size,
    )


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Grey pictures of 16 bits, which Pillow would clip instead of scaling."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        return Image.fromarray(np.clip(np.rint(values / 257.0), 0, 255).astype(np.uint8), "L")
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
