"""Training of the fusion of the network with the phone recogniser."""

import logging
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sunriza_assets.studio.speech.listening.fusion import (
    CHANNELS,
    DILATIONS,
    INNER,
    INPUTS,
    TAPS,
    Fusion,
)
from sunriza_assets.studio.speech.listening.network import CURVE_SCALES, CURVES
from sunriza_assets.studio.speech.listening.recogniser import EMISSIONS
from sunriza_assets.studio.speech.mouth import NAMES
from sunriza_assets.studio.speech.training.blocks import ResidualBlock, linear_arrays
from sunriza_assets.studio.speech.training.labels import Labels

__all__ = ["train_fusion"]

_CROP: Final = 400
_BATCH: Final = 16
_NETWORK: Final = slice(0, len(NAMES) + len(CURVES))
_RECOGNISER: Final = slice(_NETWORK.stop, _NETWORK.stop + EMISSIONS)
_BLUR_SHARE: Final = 0.6
"""Crops in which the network's opinion is blurred: it knows the voices of the training too well."""
_WITHOUT_RECOGNISER: Final = 0.15
_log = logging.getLogger(__name__)


class TrainedFusion(nn.Module):
    """Same mathematics as `Fusion.run`, for batches."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(INPUTS, CHANNELS)
        self._list = [
            ResidualBlock(CHANNELS, INNER, TAPS, dilation, causal=False) for dilation in DILATIONS
        ]
        self.blocks = nn.ModuleList(self._list)
        self.last = nn.Linear(CHANNELS, len(NAMES) + len(CURVES))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, 29) -> (batch, time, 15)."""
        x = functional.relu(self.first(x))
        for block in self._list:
            x = block(x)
        result: Tensor = self.last(x)
        return result

    def fusion(self) -> Fusion:
        """For running."""
        parameters = linear_arrays("in", self.first) | linear_arrays("out", self.last)
        for k, block in enumerate(self._list):
            parameters |= block.arrays(str(k))
        return Fusion(parameters)


def train_fusion(
    examples: Sequence[tuple[NDArray[np.float32], Labels]], steps: int, seed: int = 1
) -> Fusion:
    """A fusion trained on (inputs of `fusion_inputs`, labels)."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    model = TrainedFusion()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3)
    usable = [example for example in examples if len(example[0]) > _CROP]
    sizes = np.array([len(inputs) - _CROP for inputs, _ in usable], np.float64)
    average = 0.0
    for step in range(steps):
        rate = 3e-3 * min((step + 1) / 40, 1.0) * (0.5 + 0.5 * np.cos(np.pi * step / steps)) + 1e-5
        for group in optimizer.param_groups:
            group["lr"] = rate
        chosen = draw.choice(len(usable), _BATCH, p=sizes / sizes.sum())
        crops = [_crop(*usable[int(k)], draw) for k in chosen]
        inputs, shares, curves = (
            torch.from_numpy(np.stack(part)) for part in zip(*crops, strict=True)
        )
        outputs = model(inputs)
        logs = functional.log_softmax(outputs[..., : len(NAMES)], dim=-1)
        loss = -(shares * logs).sum(-1).mean()
        loss = loss + functional.smooth_l1_loss(outputs[..., len(NAMES) :], curves)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        average += (loss.item() - average) * (0.02 if step > 50 else 0.2)
        if step % 100 == 99:
            _log.info("fusion: step %d of %d, loss %.3f", step + 1, steps, average)
    return model.fusion()


def _crop(
    inputs: NDArray[np.float32], labels: Labels, draw: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    start = int(draw.integers(len(inputs) - _CROP))
    part = inputs[start : start + _CROP].copy()
    if draw.random() < _BLUR_SHARE:
        noise = draw.standard_normal((_CROP // 8 + 1, _NETWORK.stop)).repeat(8, axis=0)[:_CROP]
        part[:, _NETWORK] += (noise * draw.uniform(0.0, 0.7)).astype(np.float32)
    if draw.random() < _WITHOUT_RECOGNISER:
        part[:, _RECOGNISER] = 0.0
        part[:, _RECOGNISER.stop - 1] = 1.0
    return (
        part,
        labels.shares[start : start + _CROP],
        np.asarray(labels.curves[start : start + _CROP] / CURVE_SCALES, np.float32),
    )
