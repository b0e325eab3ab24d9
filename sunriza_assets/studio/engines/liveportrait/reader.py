"""F and M: features of a portrait and motion of many faces."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.engines.liveportrait.cuda import current_device, outside_capture
from sunriza_assets.studio.engines.liveportrait.keypoints import Motion, motion_of
from sunriza_assets.studio.engines.liveportrait.memory import shrinking_batches
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.networks.appearance import CROP_SIZE

__all__ = ["Reader", "shrunk", "to_input"]

_MAX_BATCH: Final = 64
"""Crops read at once at most: a gigabyte of activations."""


def to_input(crops: Iterable[Image]) -> Tensor:
    """(256, 256, 3) RGB pictures -> (N, 3, 256, 256) in [0, 1], channels last."""
    stacked = torch.from_numpy(np.stack(list(crops)))
    return stacked.permute(0, 3, 1, 2).to(torch.float32) / 255


class Reader:
    """The appearance and motion extractors, in float32 on every device.

    Keypoints are small differences of large activations: bfloat16 would move them by half a pixel,
    and these networks are a hundredth of a frame's work.
    """

    def __init__(self, modules: Modules, device: torch.device) -> None:
        self._batch = _MAX_BATCH
        self._appearance = modules.appearance.to(device)
        self._motion = modules.motion.to(device)
        self._device = device

    def features(self, crop: Image) -> Tensor:
        """(256, 256, 3) crop of a portrait -> (1, 32, 16, 64, 64) on the device."""
        with _exact_inference(self._device):
            volume: Tensor = self._appearance(to_input([crop]).to(self._device))
            return volume.contiguous()

    def motion(self, crops: Iterable[Image]) -> Motion:
        """(256, 256, 3) crops -> the motion of each; fewer at a time after memory ran out."""
        seen = list(crops)
        parts = shrinking_batches(
            len(seen),
            self._device,
            lambda part: self._read(seen[part]),
            lambda: self._batch,
            self._shrink_batch,
        )
        return Motion.joined([motion for _, motion in parts])

    def _read(self, crops: list[Image]) -> Motion:
        with _exact_inference(self._device):
            return motion_of(self._motion(to_input(crops).to(self._device, non_blocking=True)))

    def _shrink_batch(self, batch: int) -> None:
        self._batch = batch


def shrunk(crop: Image, *, averaging: bool) -> Image:
    """A 512 crop -> 256: portraits averaging over areas, clips bilinear, as M was trained."""
    way = cv2.INTER_AREA if averaging else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(crop, (CROP_SIZE, CROP_SIZE), interpolation=way), dtype=np.uint8)


@contextmanager
def _exact_inference(device: torch.device) -> Iterator[None]:
    """No gradients, no rounding to ten bits in what is called float32 (TF32), no capture."""
    with (
        torch.inference_mode(),
        current_device(device),
        outside_capture(device),
        torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=False, allow_tf32=False
        ),
    ):
        yield
