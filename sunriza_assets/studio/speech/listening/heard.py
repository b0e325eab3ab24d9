"""What has been heard of a mouth: visemes and curves at 50 Hz."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.speech.listening.network import CURVE_SCALES, Array
from sunriza_assets.studio.speech.mouth import NAMES, Curve

__all__ = ["HEARD_RATE", "PER_FRAME", "Heard", "heard_of_outputs", "softmax"]

HEARD_RATE: Final = 50
"""Frames per second."""
PER_FRAME: Final = 2
"""Frames of the network in one of these."""


@dataclass(frozen=True)
class Heard:
    """n frames of 20 ms."""

    start: int
    """Number of the first frame; frame k lasts from k / 50 s of the sound on."""
    weights: NDArray[np.float64]
    """(n, 12) probability of each viseme of `NAMES`; rows sum to one."""
    opening: Curve
    """(n,) IOD, >= 0."""
    width: Curve
    """(n,) over the width at rest."""
    rounding: Curve
    """(n,) 0-1."""
    level: Curve
    """(n,) loudness of each frame, dB of full scale."""

    def __len__(self) -> int:
        return len(self.opening)

    @property
    def classes(self) -> NDArray[np.int64]:
        """(n,) index of the most probable viseme."""
        return np.asarray(self.weights.argmax(axis=1))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def heard_of_outputs(outputs: Array, prior: Array, level: Curve, start: int) -> Heard:
    """From one head's outputs, two network frames for each frame.

    Args:
        outputs: (2 n, 15) of one head.
        prior: (12,) added to the logits; undoes the class weights of the training.
        level: (n,) dB.
        start: number of the first frame.
    """
    rows = outputs.astype(np.float64).reshape(-1, PER_FRAME, outputs.shape[-1])
    weights = softmax(rows[..., : len(NAMES)] + prior).mean(axis=1)
    opening, width, rounding = (rows[..., len(NAMES) :].mean(axis=1) * CURVE_SCALES).T
    return Heard(
        start=start,
        weights=weights,
        opening=np.maximum(opening, 0.0),
        width=1.0 + width,
        rounding=np.clip(rounding, 0.0, 1.0),
        level=level,
    )
