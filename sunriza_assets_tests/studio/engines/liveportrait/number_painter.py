"""Stand-ins for painter and reader: pictures that hold the number of their pose.

For tests in which only the flow of frames matters.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sunriza_assets.studio.engines.liveportrait.fast.convolution import Placement
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.networks.appearance import FEATURE_SHAPE
from sunriza_assets.studio.engines.liveportrait.painter import Painted
from sunriza_assets.studio.engines.liveportrait.reader import Reader
from sunriza_assets.studio.parameters import RenderParameters

FRAMES = 8
"""Of the clip that `template` is extracted from."""
FOLLOWED = RenderParameters(loop=False, driving_multiplier=1.0, scale_multiplier=1.0)
"""Every frame of the clip follows, as it is."""


class NumberPainter:
    """A painter that writes how many poses it has painted before into each picture."""

    def __init__(self, modules: Modules, placement: Placement, batch: int) -> None:
        self.batch = batch
        self.placement = placement
        self.room = batch
        self.whole = False
        self.fails_preparing = 0
        self.painted = 0
        self.overflows_in = torch.float64
        self.overflows_from = 0

    def prepare(self, volume: Tensor, keypoints: Tensor) -> Any:
        self.painted = 0
        if self.fails_preparing:
            self.fails_preparing -= 1
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
        return None

    def resize(self, batch: int) -> None:
        self.batch = batch

    def release(self) -> None:
        pass

    def __call__(self, source: Any, driving: Tensor) -> Painted:
        if (self.batch if self.whole else len(driving)) > self.room:
            try:
                raise torch.OutOfMemoryError("CUDA out of memory")
            except RuntimeError:  # what the end of a capture makes of it
                raise RuntimeError("operation failed due to a previous error during capture")  # noqa: B904
        numbers = torch.arange(self.painted, self.painted + len(driving))
        self.painted += len(driving)
        pictures = numbers.to(torch.uint8)[:, None, None, None].expand(-1, 512, 512, 3)
        overflown = self.placement.dtype == self.overflows_in
        return Painted(pictures, torch.tensor(not overflown or self.painted <= self.overflows_from))


class FeaturelessReader(Reader):
    """Reads motion, but no features, which a painter of numbers would not look at."""

    def features(self, crop: np.ndarray) -> Tensor:
        return torch.zeros(1, *FEATURE_SHAPE)
