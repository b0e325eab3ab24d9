"""Limits on files from outside, each with its reason.

What belongs here: numbers. What enforces them lives beside the work they limit.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from sunriza_assets.errors import MediaError, ParameterError

__all__ = ["DEFAULT_LIMITS", "Limits", "check_size"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture, clip or sound may be; every field can be set, all must be positive.

    Raises:
        ParameterError: a limit that is not positive.
    """

    clip_seconds: float = 10.0
    """Seconds of a clip that are used, to the nearest whole frame."""
    file_bytes: int = 50_000_000
    """Size of a file; the app's own upload rule says 50 MB."""
    input_seconds: float = 3600.0
    """Length of a clip that is opened at all, however little of it is used."""
    side: int = 8192
    """Longest side in pixels of a picture or of a clip's coded frame."""
    pixels: int = 64_000_000
    """Pixels of a picture or of a clip's coded frame; phones take up to 50 megapixels."""
    scans: int = 100
    """Scans of a JPEG; encoders write 1 to 20."""
    scan_pixels: int = 1_500_000_000
    """Scans times pixels of a JPEG: 23 scans of the largest picture. A thousand million
    take about 1 s."""
    segments: int = 50_000
    """Segments of a JPEG, chunks of a PNG; 50 MB in chunks of 8 kB are 6,000."""
    chunks: int = 1000
    """Chunks of a PNG that hold no pixels; each may decompress to a megabyte."""
    frame_rate: float = 240.0
    """Frames per second; slow motion of today's phones."""
    probe_seconds: float = 4.0
    """Processor time in which a file has to say what it is; a refusal is out within 5 s."""
    decode_seconds: float = 180.0
    """Wall time for decoding and encoding what is used of a clip."""
    picture_seconds: float = 60.0
    """Wall time for decoding a picture; 64 megapixels take about 3 s."""
    sound_bytes: int = 25_000_000
    """Size of a sound file: five minutes of CD quality mono."""
    sound_seconds: float = 300.0
    """Length of a sound, s, counted in samples and never taken from a header."""
    sound_channels: int = 8
    """Channels of a sound, which are mixed to one."""
    sound_decode_seconds: float = 60.0
    """Wall time for decoding a sound; five minutes of MP3 take about 1 s."""
    memory_bytes: int = 1_400_000_000
    """Address space of the process that decodes; a refusal stays below 1.5 GB."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not value > 0:
                raise ParameterError(
                    f"The limit {field.name} is {value!r}",
                    remedy="A limit is a positive number.",
                    code="out_of_range",
                )

    @property
    def frames(self) -> int:
        """Frames of a clip that is opened at all."""
        return int(self.input_seconds * self.frame_rate) + 1

    def to_dict(self) -> dict[str, Any]:
        """All limits as JSON values."""
        return asdict(self)


DEFAULT_LIMITS: Final = Limits()


def check_size(path: Path, width: int, height: int, limits: Limits) -> None:
    """Refuse a picture or frame that is too large, from its header.

    Raises:
        MediaError: `too_many_pixels`, or `unreadable` without a size.
    """
    if width <= 0 or height <= 0:
        raise MediaError("The file does not say how large it is", where=path, code="unreadable")
    if max(width, height) > limits.side or width * height > limits.pixels:
        raise MediaError(
            f"It has {width}x{height} pixels",
            where=path,
            remedy=f"At most {limits.side} on a side and {limits.pixels / 1e6:.0f} million in all "
            "are allowed.",
            code="too_many_pixels",
        )
