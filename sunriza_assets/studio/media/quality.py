"""Structural similarity (SSIM) of pictures and clips.

Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
similarity", IEEE TIP 13(4), 2004: Gaussian window of 11 pixels with sigma 1.5, K1 0.01, K2 0.03.
"""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from sunriza_assets.cores import core_count
from sunriza_assets.studio.media.frames import read_frames

__all__ = ["Likeness", "likeness", "luma", "ssim"]

_DECODERS: Final = 4
"""Threads that decode at most; their number does not change what comes out."""
_C1: Final = (0.01 * 255) ** 2
_C2: Final = (0.03 * 255) ** 2
_BT709: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)


class Likeness:
    """SSIM of encoded frames to their sources, decoded while the encoder still runs.

    Keeps only source frames that the encoder has not returned yet. `add_frame` and `add_packet` may
    be called by different threads.

    Args:
        extradata: the encoder's parameter sets.
        every: one frame of so many is compared.
    """

    def __init__(self, extradata: bytes | None, every: int) -> None:
        self._decoder = VideoCodecContext.create("h264", "r")
        self._decoder.extradata = extradata
        self._decoder.thread_type = "FRAME"
        self._decoder.thread_count = min(_DECODERS, core_count())
        self._every = every
        self._pending: dict[int, VideoFrame] = {}
        self._scores: list[float] = []

    def add_frame(self, number: int, frame: VideoFrame) -> None:
        """Register a source frame before it is encoded."""
        if number % self._every == 0:
            self._pending[number] = frame

    def add_packet(self, packet: Packet | None) -> Iterator[int]:
        """Decode a packet, None at the end; yields the number of comparisons after each.

        Call it before the packet is muxed, which changes the packet.
        """
        for frame in self._decoder.decode(packet):
            source_frame = self._pending.pop(frame.pts, None) if frame.pts is not None else None
            if source_frame is not None:
                self._scores.append(ssim(_stored_luma(source_frame), _stored_luma(frame)))
                yield len(self._scores)

    @property
    def compared(self) -> int:
        """Frames compared so far."""
        return len(self._scores)

    @property
    def mean(self) -> float:
        """Mean SSIM of the frames compared."""
        return float(np.mean(self._scores)) if self._scores else 0.0

    @property
    def lowest(self) -> float:
        """SSIM of the worst frame compared."""
        return min(self._scores, default=0.0)


def likeness(path: Path, reference: Iterable[NDArray[np.uint8]]) -> tuple[float, int, bool]:
    """Compare a clip of our own with the (H, W, 3) RGB frames it was made of.

    Returns:
        Mean SSIM of the luma, frames compared, and whether both have as many frames.
    """
    total, count, complete = 0.0, 0, True
    for source_frame, found in zip_longest(reference, read_frames(path)):
        if source_frame is None or found is None:
            complete = False
            break
        total += ssim(luma(source_frame), luma(found))
        count += 1
    return total / max(1, count), count, complete


def luma(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W, 3) RGB to (H, W) full-range bt709 luma, 0-255."""
    return np.asarray(cv2.transform(image.astype(np.float32), _BT709[None]), np.float32)


def ssim(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Mean SSIM of two (H, W) lumas, 0-255; 1 for equal pictures."""
    mean_a, mean_b = _blur(first), _blur(second)
    squares, product = mean_a * mean_a + mean_b * mean_b, mean_a * mean_b
    variance = _blur(first * first + second * second) - squares
    covariance = _blur(first * second) - product
    numerator = (2 * product + _C1) * (2 * covariance + _C2)
    return float(np.mean(numerator / ((squares + _C1) * (variance + _C2))))


def _stored_luma(frame: VideoFrame) -> NDArray[np.float32]:
    """(H, W) luma of a yuv420p frame, from limited to full range."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    stored = rows[:, : plane.width].astype(np.float32)
    return np.asarray((stored - 16) * np.float32(255 / 219), np.float32)


def _blur(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float32)
