"""Encoding of an idle, with key frames at its chunk boundaries if they do not spoil the loop.

A key frame draws texture anew. Where an idle hardly moves, that is more than moves between two
frames, and the step from its last frame to its first, which keeps the texture of the first, is seen
(gain 0.3 of a quiet clip: 1.7 times an ordinary step, against 1.0 with one key frame). So an idle
has key frames where its chunks begin, unless its loop then shows; then it has one. How much moves
is known from the frames before the first of them, so nearly every idle is encoded once.

Drawing a frame takes three times as long as encoding it, so frames that may have to be encoded a
second time wait on the disk, not in memory.
"""

from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from sunriza_assets.atomic import store_errors
from sunriza_assets.studio.media.chunks import chunk_starts
from sunriza_assets.studio.media.encode import VideoWriter, idle_writer
from sunriza_assets.studio.media.encoder import Encoder, from_planes, to_planes, to_yuv
from sunriza_assets.studio.media.frames import luma_of, read_luma
from sunriza_assets.studio.media.seam import Steps, seam_ratio

__all__ = ["write_idle"]

_MAX_UNNOTICED_SEAM_RATIO: Final = 1.0
"""Seam ratio at which a loop cannot be told from ordinary motion."""
_MIN_STEP_FOR_KEY_FRAMES: Final = 0.4
"""Grey levels that an idle moves from frame to frame (95th percentile of its first two seconds) for
key frames to go unnoticed. A key frame is a step of 0.37-0.74 in what was encoded; with it loops of
seven that moved by 0.06-0.36 had a seam ratio of 1.01 to 1.68, and one that moved by 0.45 1.21."""
_MOST_BYTES: Final = 1 << 30
"""Frames that are kept at most: ten seconds of 1080p30. Of more, none is."""


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
        open_frames: starts the frames, (H, W, 3) uint8 RGB; called a second time where the seam
            shows and the frames are more than can be kept.
        path: destination, .mp4.
        rate: frames per second, exact.
        loops: whether the last frame leads to the first.
        encoder: see `encode`.

    Raises:
        MediaError: see `encode`.
    """
    starts = chunk_starts(rate)
    with _Frames(path.parent, open_frames, kept=loops) as frames:
        key_frames = _KeyFrames(starts, frames) if loops else starts
        writer = _written(frames, path, rate, key_frames, encoder)
        is_cut = isinstance(key_frames, _KeyFrames) and key_frames.used
        if is_cut and seam_ratio(read_luma(path)) > _MAX_UNNOTICED_SEAM_RATIO:
            return _written(frames, path, rate, (), encoder)
    return writer


def _written(
    frames: Iterable[VideoFrame],
    path: Path,
    rate: Fraction,
    key_frames: Container[int],
    encoder: Encoder,
) -> VideoWriter:
    with idle_writer(path, rate=rate, key_frames=key_frames, encoder=encoder) as writer:
        for frame in frames:
            writer.write_frame(frame)
    return writer


class _Frames(AbstractContextManager["_Frames"]):
    """Frames as they are encoded, which may be gone through twice and are drawn once.

    The file has no name, so nothing is left of it however the process ends.

    Args:
        folder: on the disk that the frames wait on.
        start: starts the frames, (H, W, 3) uint8 RGB.
        kept: whether they may be wanted again.

    Raises:
        StoreError: the disk is full.
    """

    def __init__(
        self, folder: Path, start: Callable[[], Iterable[NDArray[np.uint8]]], *, kept: bool
    ) -> None:
        self._folder = folder
        self._start = start
        with store_errors("write", folder):
            self._file = TemporaryFile(dir=folder) if kept else None  # noqa: SIM115 - __exit__ closes it
        self._measured = kept
        self._size = (0, 0)
        self._count = 0
        self.steps = Steps()
        """Steps between the frames drawn so far."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.forget()

    def __iter__(self) -> Iterator[VideoFrame]:
        """All frames from the first, yuv420p."""
        return self._again() if self._file is not None and self._count else self._first()

    def _first(self) -> Iterator[VideoFrame]:
        for frame in map(to_yuv, self._start()):
            if self._measured:
                self.steps.add(luma_of(frame))
            yield frame
            self._keep(frame)  # behind the encoder, which refuses sizes that cannot be kept

    def _keep(self, frame: VideoFrame) -> None:
        if self._file is None:
            return
        with store_errors("write", self._folder):
            self._file.write(to_planes(frame))
        self._size = (frame.width, frame.height)
        self._count += 1
        if self._file.tell() > _MOST_BYTES:
            self.forget()

    def _again(self) -> Iterator[VideoFrame]:
        file = self._file
        if file is None:
            return
        with store_errors("read", self._folder):
            length = file.tell() // self._count
            file.seek(0)
        for _ in range(self._count):
            with store_errors("read", self._folder):
                planes = file.read(length)
            yield from_planes(planes, *self._size)

    def forget(self) -> None:
        """Keep none; the frames are not wanted again."""
        if self._file is not None:
            self._file.close()
            self._file = None


class _KeyFrames:
    """The first frames of chunks, unless the idle hardly moves; decided at the first of them.

    Args:
        starts: first frame of each chunk.
        frames: the frames that are encoded; they are forgotten when no second encoding can come.
    """

    def __init__(self, starts: list[int], frames: _Frames) -> None:
        self._starts = starts
        self._frames = frames
        self.used = False
        """Whether there is a key frame beside the first."""
        self._decided = False

    def __contains__(self, number: object) -> bool:
        if number not in self._starts[1:]:
            return number == 0
        if not self._decided:
            self._decided = True
            self.used = self._frames.steps.percentile(95) >= _MIN_STEP_FOR_KEY_FRAMES
            if not self.used:
                self._frames.forget()
        return self.used
