"""The H.264 encoders: choice between x264 and NVENC, and their settings for phones.

x264 everywhere; NVENC where a test encode works. Both write High profile, yuv420p, bt709 tags,
closed groups of pictures and no B-frames: frames are shown as they are decoded, so a file needs no
edit list and the first frame is on the screen after one packet.
"""

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Final, Literal

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sunriza_assets.cores import core_count
from sunriza_assets.errors import MediaError
from sunriza_assets.studio.capture_gate import GATE
from sunriza_assets.studio.media.budget import byte_budget

__all__ = [
    "CRF",
    "IDLE_THREADS",
    "THREADS",
    "Encoder",
    "Settings",
    "add_video",
    "encoder_lock",
    "from_planes",
    "pick_encoder",
    "to_planes",
    "to_yuv",
]

Encoder = Literal["auto", "libx264", "h264_nvenc"]

CRF: Final = 18
"""Constant quality of x264: no visible loss on faces (the bars are in docs/media.md)."""
_HEADROOM: Final = 0.58
"""Share of the budget that is the highest rate."""
_BUFFER_S: Final = 2.0
"""Room for the first frame: were it squeezed, later ones would be sharper and the loop would blink.
With this much, noise of a second or more still stays below the ceiling."""
THREADS: Final = 4
"""Of x264 for clips on the way to a motion template, whose bytes its cache goes by."""
IDLE_THREADS: Final = 8
"""Of x264 for an idle. Both are fixed whatever cores there are: x264's output depends on them, and
equal frames shall give equal bytes on any machine."""
_CONVERTERS: Final = 4
"""Threads that convert a frame's colours at most; their number does not change the result."""
_AVCOL_BT709: Final = 1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """Encoder settings, apart from the frame size."""

    rate: Fraction
    """Frames per second, exact."""
    crf: int = CRF
    """x264's constant quality, 0-51; lower is better."""
    key_frame_s: int = 2
    """Seconds between key frames: a seek never waits longer."""
    preset: str = "medium"
    """How long x264 searches."""
    capped: bool = False
    """Whether the rate is held below the budget of a published clip."""
    threads: int = THREADS
    """Of x264."""


def pick_encoder(width: int, height: int) -> Literal["libx264", "h264_nvenc"]:
    """NVENC if it really encodes frames of this size here and now, else x264."""
    return "h264_nvenc" if _nvenc_works(width, height) else "libx264"


def add_video(
    container: OutputContainer, encoder: str, size: tuple[int, int], settings: Settings
) -> VideoStream:
    """Announce the pictures of a clip; the encoder is opened with the first of them.

    Raises:
        MediaError: `unsupported`: no such encoder here.
    """
    try:
        stream = container.add_stream(encoder, rate=settings.rate)
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(f"There is no encoder {encoder} here", code="unsupported") from error
    if not isinstance(stream, VideoStream):
        raise MediaError(f"{encoder} is no video encoder", code="unsupported")
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.time_base = 1 / settings.rate
    context = stream.codec_context
    context.time_base = 1 / settings.rate
    context.framerate = settings.rate
    context.gop_size = max(1, round(settings.key_frame_s * settings.rate))
    context.max_b_frames = 0
    context.color_primaries = context.color_trc = context.colorspace = _AVCOL_BT709
    context.color_range = ColorRange.MPEG
    context.sample_aspect_ratio = Fraction(1)
    options = _x264(settings) if encoder == "libx264" else _nvenc(settings)
    if encoder == "libx264":
        context.thread_count = settings.threads
    if settings.capped:
        most = round(8 * byte_budget(size, Fraction(1)) * _HEADROOM)
        options |= {"maxrate": str(most), "bufsize": str(round(_BUFFER_S * most))}
    stream.options = dict(options)
    return stream


def encoder_lock(encoder: str) -> AbstractContextManager[object]:
    """Context for every call of an encoder: NVENC must not overlap a CUDA graph capture."""
    return GATE.using() if encoder == "h264_nvenc" else nullcontext()


def to_yuv(frame: NDArray[np.uint8]) -> VideoFrame:
    """(H, W, 3) uint8 RGB to a yuv420p frame, bt709, limited range."""
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise MediaError(f"A frame is (H, W, 3) uint8, this is {frame.shape} {frame.dtype}")
    rgb = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    yuv = rgb.reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
        threads=min(_CONVERTERS, core_count()),
    )
    return _tagged(yuv)


def to_planes(frame: VideoFrame) -> bytes:
    """The samples of a yuv420p frame of even size: luma, then both chromas, row by row."""
    return frame.to_ndarray().tobytes()


def from_planes(planes: bytes, width: int, height: int) -> VideoFrame:
    """The frame that `to_planes` was given."""
    rows = np.frombuffer(planes, np.uint8).reshape(height * 3 // 2, width)
    frame = VideoFrame.from_ndarray(rows, format="yuv420p")
    frame.color_range = ColorRange.MPEG
    return _tagged(frame)


def _tagged(yuv: VideoFrame) -> VideoFrame:
    yuv.colorspace = _AVCOL_BT709
    yuv.color_primaries = ColorPrimaries.BT709
    yuv.color_trc = ColorTrc.BT709
    return yuv


def _x264(settings: Settings) -> dict[str, str]:
    return {
        "preset": settings.preset,
        "profile": "high",
        "crf": str(settings.crf),
        "x264-params": "open-gop=0:bframes=0" + _x264_instructions(),
    }


@cache
def _x264_instructions() -> str:
    """Leave AVX-512 aside: with it, equal frames do not always give equal bytes.

    Of 150 files made of the same frames by x264 core 165 on an AMD EPYC, 14 differed; with AVX2 and
    with plain C none of thousands did, and these two agreed.
    """
    try:
        known = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:  # not Linux: x264 decides
        return ""
    return ":asm=AVX2" if " avx512f" in known else ""


def _nvenc(settings: Settings) -> dict[str, str]:
    return {
        "preset": "p5", "profile": "high", "rc": "vbr", "cq": str(settings.crf), "b": "0",
        "bf": "0", "forced-idr": "1", "strict_gop": "1", "spatial-aq": "1",
    }  # fmt: skip


@cache
def _nvenc_works(width: int, height: int) -> bool:
    frame = to_yuv(np.full((height, width, 3), 128, np.uint8))
    settings = Settings(Fraction(25), capped=True)
    try:
        with (
            encoder_lock("h264_nvenc"),
            av.open("null", "w", format="null") as container,
        ):
            stream = add_video(container, "h264_nvenc", (width, height), settings)
            packets = 0
            for i in range(3):
                frame.pts, frame.time_base = i, 1 / settings.rate
                packets += len(stream.encode(frame))
            packets += len(stream.encode(None))
    except (av.error.FFmpegError, MediaError) as error:
        _log.info("h264_nvenc does not work here, x264 is used: %s", error)
        return False
    return packets == 3
