"""Writing an idle: to be cut into chunks where its loop allows it.

A key frame draws texture anew. Where an idle hardly moves, that is more than moves between two
frames, and the step from its last frame to its first, which keeps the texture of the first, is seen
(gain 0.3 of a quiet clip: 1.7 times an ordinary step, against 1.0 with one key frame). So an idle
has key frames where its chunks begin, unless its loop then shows; then it has one.
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

_UNSEEN: Final = 1.0
"""Seam ratio at which a loop cannot be told from ordinary motion."""


def write_idle(
    start: Callable[[], Iterable[NDArray[np.uint8]]],
    path: Path,
    *,
    rate: Fraction,
    loops: bool,
    encoder: Encoder = "auto",
) -> VideoWriter:
    """Encode an idle; the writer tells of the finished file.

    Args:
        start: starts the frames, (H, W, 3) uint8 RGB; called a second time where the loop shows.
        path: destination, .mp4.
        rate: frames per second, exact.
        loops: whether the last frame leads to the first.
        encoder: see `encode`.

    Raises:
        MediaError: see `encode`.
    """
    starts = chunk_starts(rate)
    writer = _written(start, path, rate, starts, encoder)
    is_cut = writer.info.frame_count > starts[1]  # else there is one key frame already
    if loops and is_cut and seam_ratio(read_luma(path)) > _UNSEEN:
        return _written(start, path, rate, (), encoder)
    return writer


def _written(
    start: Callable[[], Iterable[NDArray[np.uint8]]],
    path: Path,
    rate: Fraction,
    key_frames: Iterable[int],
    encoder: Encoder,
) -> VideoWriter:
    with idle_writer(path, rate=rate, key_frames=key_frames, encoder=encoder) as writer:
        for frame in start():
            writer.write(frame)
    return writer
