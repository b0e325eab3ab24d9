"""The network in torch, for training; `listening.network` runs it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sunriza_assets.studio.speech.listening.features import BANDS
from sunriza_assets.studio.speech.listening.network import (
    CURVES,
    DILATIONS,
    HIDDEN,
    LOOK_AHEADS,
    STACKED,
    TAPS,
    WIDTH,
    Network,
    silence_feature,
)
from sunriza_assets.studio.speech.mouth import NAMES
from sunriza_assets.studio.speech.training.blocks import ResidualBlock, linear_arrays

__all__ = ["TrainedNetwork"]

_OUTPUTS = len(NAMES) + len(CURVES)


class TrainedNetwork(nn.Module):
    """Same mathematics as `NetworkStream`, for batches."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(STACKED * BANDS, WIDTH)
        self._list = [
            ResidualBlock(WIDTH, HIDDEN, TAPS, dilation, causal=True) for dilation in DILATIONS
        ]
        self.blocks = nn.ModuleList(self._list)
        self.last = nn.Linear(WIDTH, len(LOOK_AHEADS) * _OUTPUTS)

    def forward(self, mel: Tensor) -> Tensor:
        """(batch, time, 40) -> (batch, time, heads, 15)."""
        silence = silence_feature()
        seen = functional.pad(mel, (0, 0, STACKED - 1, 0), value=silence)
        stacked = torch.cat([seen[:, k : k + mel.shape[1]] for k in range(STACKED)], dim=2)
        x = functional.relu(self.first(stacked))
        for block in self._list:
            x = block(x)
        outputs: Tensor = self.last(x)
        return outputs.reshape(*mel.shape[:2], len(LOOK_AHEADS), _OUTPUTS)

    def network(self, prior: NDArray[np.float32]) -> Network:
        """For running; `prior` (12,) is added to the logits."""
        parameters = linear_arrays("in", self.first) | linear_arrays("out", self.last)
        for k, block in enumerate(self._list):
            parameters |= block.arrays(str(k))
        return Network(parameters | {"prior": np.asarray(prior, np.float32)})
