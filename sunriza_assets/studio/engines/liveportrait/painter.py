"""Warping and painting many poses of one portrait: W and G, batch by batch."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final

import torch
from torch import Tensor

from sunriza_assets.studio.engines.liveportrait.cuda import (
    Capture,
    current_device,
    give_back,
    outside_capture,
)
from sunriza_assets.studio.engines.liveportrait.fast.convolution import Placement
from sunriza_assets.studio.engines.liveportrait.fast.generator import FastGenerator
from sunriza_assets.studio.engines.liveportrait.fast.overflow import FiniteCheck
from sunriza_assets.studio.engines.liveportrait.fast.warping import FastWarping, WarpSource
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.networks.motion import KEYPOINTS
from sunriza_assets.studio.engines.liveportrait.paste import to_bytes

__all__ = ["PAINTED_SIZE", "Painted", "Painter"]

PAINTED_SIZE: Final = 512
"""Side of what the generator paints, pixels."""


@dataclass(frozen=True)
class Painted:
    """Pictures on the device."""

    pictures: Tensor
    """(n, 512, 512, 3) uint8 RGB."""
    finite: Tensor
    """() bool: false when half precision has overflown somewhere, see `fast.overflow`."""


class Painter:
    """Paints a portrait with its keypoints moved, a fixed number of poses at a time.

    On a GPU the whole of it, some 400 kernels, is captured once as a CUDA graph and replayed; a
    batch that is not full is filled up with its last pose. A new portrait is copied into the
    graph's own buffers.
    """

    def __init__(
        self, modules: Modules, placement: Placement, batch: int, *, fixed: bool | None = None
    ) -> None:
        """Make the networks ready.

        Args:
            modules: with their weights.
            placement: where to run.
            batch: poses at a time.
            fixed: always run a whole batch; None does on a GPU, where a graph needs it.
        """
        self._warping = FastWarping(modules.warping, placement)
        self._generator = FastGenerator(modules.generator, placement)
        self._placement, self._device = placement, placement.device
        self._fixed = placement.device.type == "cuda" if fixed is None else fixed
        self._captured: _Captured | None = None
        self.batch = batch

    def prepare(self, volume: Tensor, keypoints: Tensor) -> WarpSource:
        """A portrait's features (1, 32, 16, 64, 64) and keypoints (1, 21, 3), ready to be moved."""
        with torch.inference_mode(), current_device(self._device), outside_capture(self._device):
            return self._warping.prepare(volume.to(self._device), keypoints.to(self._device))

    def resize(self, batch: int) -> None:
        """From now on this many poses at a time; the old batch's memory is given back.

        A batch never grows: several threads that ran out of memory one after the other may each ask
        for half of what they saw.
        """
        self.batch = min(batch, self.batch)
        self.release()

    def release(self) -> None:
        """Give the memory of the captured graph back; the next call captures anew."""
        self._captured = None
        give_back(self._device)

    def __call__(self, source: WarpSource, driving: Tensor) -> Painted:
        """Paint some poses, at most `batch` at once.

        Args:
            source: from `prepare`.
            driving: (n, 21, 3) float32 keypoints, n >= 1.
        """
        with torch.inference_mode(), current_device(self._device):
            parts = [self._painted(source, part) for part in driving.split(self.batch)]
            if len(parts) == 1:
                return parts[0]
            return Painted(
                torch.cat([part.pictures for part in parts]),
                torch.stack([part.finite for part in parts]).all(),
            )

    def warp(self, source: WarpSource, driving: Tensor) -> Tensor:
        """W alone: (n, 21, 3) -> (n, 256, 64, 64)."""
        with torch.inference_mode():
            return self._warping(source, driving.to(self._device))

    def paint(self, features: Tensor) -> Tensor:
        """G alone: (n, 256, 64, 64) -> (n, 512, 512, 3) float32 in [0, 1], not rounded to bytes."""
        with torch.inference_mode():
            return self._generator(self._placement.put(features)).float()

    def _painted(self, source: WarpSource, driving: Tensor) -> Painted:
        """Paint 1 <= n <= `batch` poses."""
        if not self._fixed:
            with outside_capture(self._device):
                return self._paint(source, driving.to(self._device, non_blocking=True))
        count = len(driving)
        spare = driving[-1:].expand(self.batch - count, KEYPOINTS, 3)
        whole = torch.cat([driving, spare])
        if self._device.type != "cuda":
            painted = self._paint(source, whole)
        else:
            if self._captured is None:
                self._captured = _Captured(self._paint, source, whole.to(self._device))
            with outside_capture(self._device):
                painted = self._captured(source, whole)
        return Painted(painted.pictures[:count].clone(), painted.finite.clone())

    def _paint(self, source: WarpSource, driving: Tensor) -> Painted:
        check = FiniteCheck()
        pictures = self._generator(self._warping(source, driving, check), check)
        return Painted(to_bytes(pictures), check.finite())


class _Captured:
    """One captured run of the painter, and the buffers it reads and writes."""

    def __init__(
        self,
        paint: Callable[[WarpSource, Tensor], Painted],
        source: WarpSource,
        driving: Tensor,
    ) -> None:
        copies = (getattr(source, field.name).clone() for field in fields(WarpSource))
        self._source, self._shown = WarpSource(*copies), source
        self._driving = driving.clone()
        self._capture = Capture(driving.device, lambda: paint(self._source, self._driving))

    def __call__(self, source: WarpSource, driving: Tensor) -> Painted:
        """Replay; what comes back is overwritten by the next call."""
        if source is not self._shown:
            for field in fields(WarpSource):
                getattr(self._source, field.name).copy_(getattr(source, field.name))
            self._shown = source
        self._driving.copy_(driving, non_blocking=True)
        return self._capture.replay()
