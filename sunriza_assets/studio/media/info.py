"""Facts of a media file, in customary units.

Facts only; what makes a file playable or acceptable is decided in `conform` and `limits`.
"""

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from sunriza_assets.errors import MediaError

__all__ = ["PictureInfo", "VideoInfo"]


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """A clip, as its container and its first frame describe it and as its timestamps prove."""

    container: str
    """mp4, mov, webm or matroska."""
    codec: str
    """Video codec, as FFmpeg names it: h264, hevc, vp9, av1..."""
    profile: str | None
    """Codec profile such as High or Main 10."""
    level: int | None
    """Codec level as the codec writes it; H.264's is ten times the number: 31 is level 3.1."""
    pixel_format: str
    """Decoded pixel format, as FFmpeg names it: yuv420p, yuv420p10le..."""
    bit_depth: int
    """Bits per component."""
    has_alpha: bool
    """Whether frames carry transparency."""
    coded_width: int
    """Width of the stored frame, before rotation and aspect."""
    coded_height: int
    """Height of the stored frame, before rotation and aspect."""
    rotation: int
    """Degrees clockwise that a player turns the stored frame, 0, 90, 180 or 270."""
    mirrored: bool
    """Whether a player also flips it left to right, before it turns it."""
    sample_aspect: Fraction
    """Width of a stored pixel over its height."""
    interlaced: bool
    """Whether the first frame consists of two fields."""
    rate: Fraction
    """Frames per second, exact; for a variable rate, the constant rate a trim gives it."""
    constant_rate: bool
    """Whether all frames stand on the grid of that rate, to a millisecond."""
    start: Fraction
    """Time of the first frame on the container's clock in seconds."""
    duration: Fraction
    """Seconds from the first frame to the end of the last."""
    frame_count: int
    """Frames that are shown; those an edit list hides are not counted."""
    colour_primaries: str
    """bt709, bt2020, smpte432 (P3)...; "unknown" when the file does not say."""
    colour_transfer: str
    """bt709, smpte2084 (PQ), arib-std-b67 (HLG)...; "unknown" when the file does not say."""
    colour_matrix: str
    """bt709, smpte170m (601), bt2020nc...; "unknown" when the file does not say."""
    full_range: bool
    """Whether luma spans 0-255 instead of 16-235 (in 8 bits)."""
    audio_codec: str | None
    """Codec of the sound that is kept, or None without sound."""
    audio_rate: int | None
    """Samples per second of that sound."""
    audio_channels: int | None
    """Channels of that sound."""
    size_bytes: int
    """Size of the file."""
    faststart: bool
    """Whether the index stands before the media data, so that playing can start at once."""

    def __post_init__(self) -> None:
        if self.frame_count < 1 or self.rate <= 0 or self.duration <= 0:
            raise MediaError(
                f"A clip needs frames, a rate and a duration, this has {self.frame_count} frames, "
                f"{self.rate} a second, {float(self.duration):g} s",
                code="no_frames",
            )

    @property
    def exact_size(self) -> tuple[Fraction, Fraction]:
        """(width, height) in square pixels as a viewer sees it, not rounded.

        The side that loses nothing is kept: wide pixels widen the picture, tall ones heighten it.
        """
        width = self.coded_width * max(Fraction(1), self.sample_aspect)
        height = self.coded_height / min(Fraction(1), self.sample_aspect)
        return (height, width) if self.rotation in (90, 270) else (width, height)

    @property
    def width(self) -> int:
        """Width in square pixels as a viewer sees it, after rotation."""
        return round(self.exact_size[0])

    @property
    def height(self) -> int:
        """Height in square pixels as a viewer sees it, after rotation."""
        return round(self.exact_size[1])

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as a viewer sees it."""
        return self.width, self.height

    @property
    def is_hdr(self) -> bool:
        """Whether the brightness follows PQ or HLG."""
        return self.colour_transfer in ("smpte2084", "arib-std-b67")

    def to_dict(self) -> dict[str, Any]:
        """All fields, and the size, as JSON values; fractions as text such as "30000/1001"."""
        return {"width": self.width, "height": self.height} | _to_dict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "VideoInfo":
        """The inverse of `to_dict`."""
        exact = {"sample_aspect", "rate", "start", "duration"}
        values = {k: v for k, v in values.items() if k not in ("width", "height")}
        plain: dict[str, Any] = {k: Fraction(v) if k in exact else v for k, v in values.items()}
        return cls(**plain)


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """A picture, as its header describes it."""

    format: str
    """jpeg, png, webp, avif or heic."""
    width: int
    """Width in pixels as a viewer sees it, after EXIF orientation."""
    height: int
    """Height in pixels as a viewer sees it, after EXIF orientation."""
    orientation: int
    """EXIF orientation 1-8; 1 is upright."""
    mode: str
    """How pixels are stored, as Pillow names it: RGB, L, CMYK, I;16, RGBA, P..."""
    bit_depth: int
    """Bits per component."""
    has_alpha: bool
    """Whether it carries transparency."""
    colour_profile: str | None
    """Description of the ICC profile, or None without one."""
    frame_count: int
    """Pictures in the file; 1 unless animated."""
    size_bytes: int
    """Size of the file."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as a viewer sees it."""
        return self.width, self.height

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PictureInfo":
        """The inverse of `to_dict`."""
        return cls(**values)


def _to_dict(info: VideoInfo | PictureInfo) -> dict[str, Any]:
    values = ((field.name, getattr(info, field.name)) for field in fields(info))
    return {name: str(v) if isinstance(v, Fraction) else v for name, v in values}
