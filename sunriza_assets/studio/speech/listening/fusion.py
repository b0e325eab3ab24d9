"""Joins the network's opinion with the phone recogniser's: a small network over whole sounds.

The network knows when something happens, the recogniser what; both see the future here. Three
residual blocks of nine taps, 32 channels, 15,000 parameters.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.speech.listening.features import Mel
from sunriza_assets.studio.speech.listening.network import CURVES, Array
from sunriza_assets.studio.speech.listening.packing import packed, unpacked
from sunriza_assets.studio.speech.listening.recogniser import EMISSIONS
from sunriza_assets.studio.speech.mouth import NAMES

__all__ = ["FUSION_NAME", "INPUTS", "Fusion", "fusion_inputs", "packaged_fusion"]

FUSION_NAME: Final = "fusion.npz"
CHANNELS: Final = 32
INNER: Final = 64
TAPS: Final = 9
DILATIONS: Final = (1, 2, 4)
_OUTPUTS: Final = len(NAMES) + len(CURVES)
INPUTS: Final = _OUTPUTS + EMISSIONS + 1
"""The network's 15 outputs, the recogniser's 13, and how loud it is."""
_EPSILON: Final = 1e-5


def shapes() -> dict[str, tuple[int, ...]]:
    """Name -> shape of every parameter. A Linear is stored (inputs, outputs)."""
    result: dict[str, tuple[int, ...]] = {"in.weight": (INPUTS, CHANNELS), "in.bias": (CHANNELS,)}
    for k in range(len(DILATIONS)):
        result |= {
            f"{k}.taps": (TAPS, CHANNELS),
            f"{k}.shift": (CHANNELS,),
            f"{k}.gain": (CHANNELS,),
            f"{k}.offset": (CHANNELS,),
            f"{k}.up.weight": (CHANNELS, INNER),
            f"{k}.up.bias": (INNER,),
            f"{k}.down.weight": (INNER, CHANNELS),
            f"{k}.down.bias": (CHANNELS,),
        }
    return result | {"out.weight": (CHANNELS, _OUTPUTS), "out.bias": (_OUTPUTS,)}


def fusion_inputs(outputs: Array, emissions: NDArray[np.float32], mel: Mel) -> Array:
    """(n, 29) what the fusion sees.

    Args:
        outputs: (n, 15) of the network's head of the longest look-ahead, in time with the sound.
        emissions: (n, 13) of the recogniser.
        mel: (n, 40) features of the sound.
    """
    logits = outputs[:, : len(NAMES)]
    logits = logits - logits.max(axis=1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    level = mel.mean(axis=1, keepdims=True)
    parts = [np.maximum(logs, -8.0) / 4.0, outputs[:, len(NAMES) :], emissions, level]
    return np.concatenate(parts, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Fusion:
    """Parameters by the names of `shapes`, float32."""

    parameters: dict[str, Array]

    @classmethod
    def unpacked(cls, stored: Any) -> "Fusion":
        """From an npz that `packed` made.

        Raises:
            ModelError: something is missing or has another shape.
        """
        return cls(unpacked(stored, shapes()))

    def packed(self) -> dict[str, NDArray[Any]]:
        """For `numpy.savez_compressed`."""
        return packed(self.parameters)

    def run(self, inputs: Array) -> Array:
        """(n, 29) -> (n, 15): logits of the visemes, and curves in the network's scales."""
        weights = self.parameters
        x = np.maximum(inputs @ weights["in.weight"] + weights["in.bias"], 0.0)
        for k, dilation in enumerate(DILATIONS):
            reach = TAPS // 2 * dilation
            seen = np.pad(x, ((reach, reach), (0, 0)))
            y = weights[f"{k}.shift"] + np.zeros_like(x)
            for tap in range(TAPS):
                y += weights[f"{k}.taps"][tap] * seen[tap * dilation : tap * dilation + len(x)]
            y -= y.mean(axis=1, keepdims=True)
            y *= 1.0 / np.sqrt(np.square(y).mean(axis=1, keepdims=True) + _EPSILON)
            y = y * weights[f"{k}.gain"] + weights[f"{k}.offset"]
            y = np.maximum(y @ weights[f"{k}.up.weight"] + weights[f"{k}.up.bias"], 0.0)
            x = x + y @ weights[f"{k}.down.weight"] + weights[f"{k}.down.bias"]
        return np.asarray(x @ weights["out.weight"] + weights["out.bias"], np.float32)


@lru_cache(maxsize=1)
def packaged_fusion() -> Fusion:
    """The fusion that comes with the package.

    Raises:
        ModelError: its file is missing or damaged.
    """
    place = files(__package__) / FUSION_NAME
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return Fusion.unpacked(stored)
    except (OSError, ValueError) as error:
        raise ModelError("The fusion's weights cannot be read", where=FUSION_NAME) from error
