"""Training of the network on tapes."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sunriza_assets.studio.speech.listening.network import CURVE_SCALES, LOOK_AHEADS
from sunriza_assets.studio.speech.mouth import NAMES
from sunriza_assets.studio.speech.training.model import TrainedNetwork
from sunriza_assets.studio.speech.training.tape import Tape

__all__ = ["PRIOR_POWER", "Schedule", "frequencies", "train"]

PRIOR_POWER: Final = 0.4
"""Classes weigh frequency to the power of minus this, and its logarithm undoes it afterwards."""
_CROP: Final = 300
_BATCH: Final = 12
_SMOOTHING: Final = 0.03
_CURVE_WEIGHT: Final = 0.5
_WEIGHT_DECAY: Final = 1e-3
_CLIP: Final = 2.0
_STRIPE_SHARE: Final = 0.5
_GAIN_SIGMA: Final = 0.1
"""Of an additional gain, in units of the features: 0.1 are 3.5 dB."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast."""

    steps: int
    rate: float = 4e-3
    """Highest learning rate; it falls as a cosine."""
    warm_up: int = 40
    seed: int = 1


def frequencies(
    tapes: Mapping[str, Sequence[Tape]], weights: Mapping[str, float]
) -> NDArray[np.float32]:
    """(12,) how often each viseme is drawn."""
    total = np.zeros(len(NAMES))
    for name, versions in tapes.items():
        for tape in versions:
            total += weights.get(name, 1.0) * tape.shares.sum(axis=0, dtype=np.float64)
    return (total / total.sum()).astype(np.float32)


def train(
    model: TrainedNetwork,
    tapes: Mapping[str, Sequence[Tape]],
    weights: Mapping[str, float],
    schedule: Schedule,
) -> None:
    """Train in place, in one thread: more of them spin instead of working on a busy machine.

    Args:
        model: new or trained before.
        tapes: name of a source -> its degraded versions.
        weights: name of a source -> how often a second of it is drawn, 1 if not named.
        schedule: steps and rates.
    """
    torch.set_num_threads(1)
    torch.manual_seed(schedule.seed)
    draw = np.random.default_rng(schedule.seed)
    flat = [tape for versions in tapes.values() for tape in versions]
    minutes = np.array(
        [
            weights.get(name, 1.0) * max(len(tape.mel) - _CROP, 0)
            for name, versions in tapes.items()
            for tape in versions
        ]
    )
    class_weights = torch.from_numpy(frequencies(tapes, weights) ** -PRIOR_POWER)
    class_weights /= (class_weights * torch.from_numpy(frequencies(tapes, weights))).sum()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=schedule.rate, weight_decay=_WEIGHT_DECAY, betas=(0.9, 0.98)
    )
    model.train()
    average = 0.0
    for step in range(schedule.steps):
        progress = step / schedule.steps
        warm = min((step + 1) / schedule.warm_up, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate * warm * (0.5 + 0.5 * np.cos(np.pi * progress)) + 1e-5
        mel, shares, curves = _batch(flat, minutes / minutes.sum(), draw)
        loss = _loss(model(mel), shares, curves, class_weights)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
        optimizer.step()
        average += (loss.item() - average) * (0.02 if step > 50 else 0.2)
        if step % 100 == 99:
            _log.info("step %d of %d, loss %.3f", step + 1, schedule.steps, average)
    model.eval()


def _batch(
    tapes: Sequence[Tape], chances: NDArray[np.float64], draw: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """(batch, crop, 40), (batch, crop, 12), (batch, crop, 3)."""
    mels, shares, curves = [], [], []
    for index in draw.choice(len(tapes), _BATCH, p=chances):
        tape = tapes[int(index)]
        start = int(draw.integers(len(tape.mel) - _CROP))
        mel = tape.mel[start : start + _CROP].astype(np.float32)
        mel += np.float32(draw.normal(0.0, _GAIN_SIGMA))
        if draw.random() < _STRIPE_SHARE:
            width = int(draw.integers(1, 9))
            band = int(draw.integers(0, mel.shape[1] - width))
            mel[:, band : band + width] = mel[:, band : band + width].mean()
        mels.append(mel)
        shares.append(tape.shares[start : start + _CROP].astype(np.float32) / 255.0)
        curves.append(tape.curves[start : start + _CROP].astype(np.float32))
    scaled = np.stack(curves) / np.array(CURVE_SCALES, np.float32)
    return (
        torch.from_numpy(np.stack(mels)),
        torch.from_numpy(np.stack(shares)),
        torch.from_numpy(scaled),
    )


def _loss(outputs: Tensor, shares: Tensor, curves: Tensor, class_weights: Tensor) -> Tensor:
    """Mean over look-aheads: weighted cross-entropy and half the curves' smooth L1."""
    total = torch.zeros(())
    for head, ahead in enumerate(LOOK_AHEADS):
        mine = outputs[:, ahead:, head]
        target = shares[:, : shares.shape[1] - ahead]
        soft = target * (1.0 - _SMOOTHING) + _SMOOTHING / len(NAMES)
        logs = functional.log_softmax(mine[..., : len(NAMES)], dim=-1)
        total = total - (soft * class_weights * logs).sum(-1).mean()
        aim = curves[:, : curves.shape[1] - ahead]
        total = total + _CURVE_WEIGHT * functional.smooth_l1_loss(mine[..., len(NAMES) :], aim)
    return total / len(LOOK_AHEADS)
