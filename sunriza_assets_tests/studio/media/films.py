"""Clips made by program whose every frame can be told from every other, and their readers.

A frame carries its number as a row of black and white cells, and a colour in each corner, so that
order, orientation and colour can be read from whatever comes out.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray

Image = NDArray[np.uint8]

SIZE = (96, 64)
CELLS = 8
"""Bits of a frame's number."""
CORNERS = {"red": (230, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "grey": (128,) * 3}


def picture(number: int, size: tuple[int, int] = SIZE) -> Image:
    """(H, W, 3) the frame of a number: corners above and below, the number's bits between."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    top, bottom, half = height * 3 // 8, height * 5 // 8, width // 2
    image[:top, :half], image[:top, half:] = CORNERS["red"], CORNERS["green"]
    image[bottom:, :half], image[bottom:, half:] = CORNERS["blue"], CORNERS["grey"]
    for bit in range(CELLS):
        left, right = bit * width // CELLS, (bit + 1) * width // CELLS
        image[top:bottom, left:right] = 235 if number >> bit & 1 else 20
    return image


def number_of(image: Image) -> int:
    """The number that a frame carries."""
    height, width = image.shape[:2]
    row = image[height * 7 // 16 : height * 9 // 16].mean(axis=(0, 2))
    cells = [row[(2 * bit + 1) * width // (2 * CELLS)] for bit in range(CELLS)]
    return sum(1 << bit for bit, value in enumerate(cells) if value > 128)


def corner_error(image: Image) -> float:
    """Largest distance of a corner's mean colour from what was drawn, 0-255."""
    height, width = image.shape[:2]
    h, w = max(1, height // 4), max(1, width // 4)
    seen = (image[:h, :w], image[:h, -w:], image[-h:, :w], image[-h:, -w:])
    pairs = zip(seen, CORNERS.values(), strict=True)
    return max(float(np.abs(part.mean(axis=(0, 1)) - want).max()) for part, want in pairs)


@dataclass(frozen=True)
class Film:
    """How a clip is to be written."""

    rate: Fraction = Fraction(25)
    count: int = 12
    size: tuple[int, int] = SIZE
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)
    stamps: Sequence[int] | None = None
    """Timestamp of each frame in ticks; frame i stands at i / rate if not given."""
    tick: Fraction | None = None
    matrix: Sequence[int] | None = None
    turn: int = 0
    """Quarter turns counter-clockwise in which the frames are stored."""
    flip: bool = False
    """Whether they are stored flipped left to right, after the turn."""
    aspect: Fraction | None = None
    colour: tuple[int, int, int] = (1, 1, 1)
    """Primaries, transfer and matrix by H.273 code."""
    full_range: bool = False
    sound: "Sound | None" = None


@dataclass(frozen=True)
class Sound:
    """Silence with a loud click at given times."""

    codec: str = "aac"
    rate: int = 48000
    seconds: float = 0.5
    start: float = 0.0
    clicks: Sequence[float] = (0.2,)
    channels: int = 1


_MATRIX_CODES = {1: "itu709", 5: "itu601", 6: "itu601", 9: "bt2020", 2: "itu601", 0: "itu709"}


def write(path: Path, film: Film) -> Path:
    """Write a clip with PyAV."""
    tick = film.tick or 1 / film.rate
    with av.open(str(path), "w", options=film.container) as container:
        stream = container.add_stream(film.codec, rate=film.rate, options=_fast(film))
        upright = film.size if film.turn % 2 == 0 else film.size[::-1]
        stream.width, stream.height = upright
        stream.pix_fmt = film.pixel_format
        stream.time_base = stream.codec_context.time_base = tick
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = film.colour
        context.color_range = 2 if film.full_range else 1
        if film.aspect:
            context.sample_aspect_ratio = film.aspect
        if film.matrix:
            stream.set_display_matrix(film.matrix)
        sound = None
        if film.sound:
            sound = container.add_stream(film.sound.codec, rate=film.sound.rate)
            sound.layout = "mono" if film.sound.channels == 1 else "stereo"
        for i in range(film.count):
            image = np.rot90(picture(i, film.size), film.turn)
            frame = _to_frame(image[:, ::-1] if film.flip else image, film)
            frame.pts = film.stamps[i] if film.stamps else round(i / film.rate / tick)
            frame.time_base = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if film.sound and sound is not None:
            for block in _blocks(film.sound):
                container.mux(sound.encode(block))
            container.mux(sound.encode(None))
    return path


def _fast(film: Film) -> dict[str, str]:
    base = {
        "libx264": {"preset": "ultrafast", "crf": "8"},
        "libx265": {"preset": "ultrafast", "crf": "8", "x265-params": "log-level=none"},
        "libsvtav1": {"preset": "12", "crf": "15"},
        "libvpx": {"deadline": "realtime", "b:v": "2M"},
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "b:v": "2M"},
    }.get(film.codec, {"b:v": "4M"})
    return base | film.options


def _to_frame(image: Image, film: Film) -> VideoFrame:
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    if film.pixel_format.startswith(("rgb", "gbr", "bgr")):
        return frame.reformat(format=film.pixel_format)
    return frame.reformat(
        format=film.pixel_format,
        dst_colorspace=_MATRIX_CODES[film.colour[2]],
        dst_color_range="JPEG" if film.full_range else "MPEG",
        interpolation="BICUBIC",
    )


def click_track(sound: Sound) -> NDArray[np.float32]:
    """(channels, N) samples."""
    samples = np.zeros((sound.channels, round(sound.seconds * sound.rate)), np.float32)
    for time in sound.clicks:
        at = round((time - sound.start) * sound.rate)
        samples[:, at : at + sound.rate // 500] = 0.8
    return samples


def _blocks(sound: Sound) -> list[AudioFrame]:
    samples = click_track(sound)
    blocks = []
    for at in range(0, samples.shape[1], 1024):
        block = AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[:, at : at + 1024]),
            "fltp",
            "mono" if sound.channels == 1 else "stereo",
        )
        block.sample_rate = sound.rate
        block.pts, block.time_base = at + round(sound.start * sound.rate), Fraction(1, sound.rate)
        blocks.append(block)
    return blocks


def clicks_in(path: Path) -> list[float]:
    """Times in seconds at which clicks begin, as a player hears them."""
    pieces: list[tuple[float, NDArray[np.float32], int]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray().astype(np.float32))
            pieces.append((float(frame.pts * frame.time_base), samples.max(0), frame.sample_rate))
    if not pieces:
        return []
    rate = pieces[0][2]
    total = np.zeros(round((pieces[-1][0] + 1) * rate), np.float32)
    for start, samples, _ in pieces:
        at = round(start * rate)
        heard = samples[max(0, -at) :]
        total[max(0, at) : max(0, at) + len(heard)] = heard
    loud = np.flatnonzero(total > 0.3 * max(total.max(), 1e-9))
    starts = [i for k, i in enumerate(loud) if k == 0 or i - loud[k - 1] > rate // 20]
    return [i / rate for i in starts] if total.max() > 0.05 else []


@cache
def ffmpeg_exe() -> str:
    """The ffmpeg that imageio-ffmpeg brings."""
    return imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg(*arguments: object) -> None:
    """Run ffmpeg; errors are shown."""
    command = [ffmpeg_exe(), "-y", "-v", "error", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr}")
