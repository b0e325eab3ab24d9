"""Encoding of an idle, with key frames at its chunk boundaries if they do not spoil the loop.

A key frame encodes texture anew. In an idle with little motion that change exceeds the motion
between two frames, and the step from the last frame back to the first becomes visible (gain 0.3 of
a quiet clip: 1.7 times an ordinary step, 1.0 with a single key frame). So key frames are placed
where chunks begin, and if the seam then shows, the idle is encoded again with a single one.
"""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.media.chunks import chunk_starts
from sunriza_assets.studio.media.encode import VideoWriter, idle_writer
from sunriza_assets.studio.media.encoder import Encoder
from sunriza_assets.studio.media.frames import read_luma
from sunriza_assets.studio.media.seam import seam_ratio

__all__ = ["write_idle"]

_MAX_UNNOTICED_SEAM_RATIO: Final = 1.0
"""Seam ratio up to which the seam looks like ordinary motion."""


def write_idle(
    open_frames: Callable[[], Iterable[NDArray[np.uint8]]],
    path: Path,
    *,
    rate: Fraction,
    loops: bool,
    encoder: Encoder = "auto",
) -> VideoWriter:
    """Encode an idle; returns the finished writer with its `info` and `quality`.

    Args:
        open_frames: starts a stream of frames, (H, W, 3) uint8 RGB; called twice if the seam shows.
        path: destination, .mp4.
        rate: frames per second, exact.
        loops: whether the last frame leads to the first.
        encoder: see `encode`.

    Raises:
        MediaError: see `encode`.
    """
    key_frames = chunk_starts(rate)
    writer = _encode_frames(open_frames, path, rate, key_frames, encoder)
    is_cut = writer.info.frame_count > key_frames[1]  # else there is one key frame already
    if loops and is_cut and seam_ratio(read_luma(path)) > _MAX_UNNOTICED_SEAM_RATIO:
        return _encode_frames(open_frames, path, rate, (), encoder)
    return writer


def _encode_frames(
    open_frames: Callable[[], Iterable[NDArray[np.uint8]]],
    path: Path,
    rate: Fraction,
    key_frames: Iterable[int],
    encoder: Encoder,
) -> VideoWriter:
    with idle_writer(path, rate=rate, key_frames=key_frames, encoder=encoder) as writer:
        for frame in open_frames():
            writer.write(frame)
    return writer
