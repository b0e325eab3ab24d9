"""Reading a clip frame by frame, as a viewer sees it."""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.probe import examine
from sunriza_assets.studio.media.source import open_source
from sunriza_assets.studio.media.upright import Upright

__all__ = ["luma_of", "read_frames", "read_luma", "read_some"]


def read_some(path: Path, numbers: Collection[int]) -> Iterator[NDArray[np.uint8]]:
    """The frames with these numbers, in order; of a clip that `trim` or `encode` wrote.

    Raises:
        MediaError: it cannot be opened or is damaged.
    """
    with open_source(path, DEFAULT_LIMITS) as source:
        examined = examine(source, DEFAULT_LIMITS)
        upright = Upright(
            path, examined.info.size, examined.orientation, deinterlace=False, pixel_format="rgb24"
        )
        source.rewind()
        for number, decoded in enumerate(source.frames()):
            if number in numbers:  # converting costs more than decoding
                for frame in upright.push(decoded):
                    yield np.ascontiguousarray(frame.to_ndarray(), np.uint8)
        for frame in upright.finish():
            yield np.ascontiguousarray(frame.to_ndarray(), np.uint8)


def read_luma(path: Path) -> Iterator[NDArray[np.uint8]]:
    """(H, W) uint8 luma of each frame as it is stored, 16-235; of a clip that `encode` wrote.

    Raises:
        MediaError: it cannot be opened or is damaged.
    """
    with open_source(path, DEFAULT_LIMITS) as source:
        examine(source, DEFAULT_LIMITS)
        source.rewind()
        for frame in source.frames():
            yield luma_of(frame).copy()


def luma_of(frame: VideoFrame) -> NDArray[np.uint8]:
    """(H, W) uint8 luma of a planar frame as it is stored; a view of its memory."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


def read_frames(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[NDArray[np.uint8]]:
    """Decode a clip in this process, one frame at a time; nothing is kept.

    Meant for clips that `trim` or `encode` wrote. Yields exactly `VideoInfo.frame_count` frames.

    Yields:
        (H, W, 3) uint8 RGB, contiguous, upright, square pixels, SDR, as large as `VideoInfo.size`.

    Raises:
        MediaError: it cannot be opened, is damaged, or ends early (`truncated`).
    """
    with open_source(path, limits) as source:
        examined = examine(source, limits)
        info = examined.info
        upright = Upright(
            path, info.size, examined.orientation,
            deinterlace=info.interlaced, pixel_format="rgb24",
        )  # fmt: skip
        source.rewind()
        count = 0
        for decoded in source.frames():
            for frame in upright.push(decoded):
                count += 1
                yield np.ascontiguousarray(frame.to_ndarray(), np.uint8)
        for frame in upright.finish():
            count += 1
            yield np.ascontiguousarray(frame.to_ndarray(), np.uint8)
    if count != info.frame_count:
        raise MediaError(
            f"The clip has {info.frame_count} frames, but {count} can be decoded",
            where=path,
            remedy="Upload it again or export it anew.",
            code="truncated",
        )
