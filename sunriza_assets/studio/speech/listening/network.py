"""The network that hears visemes: causal, 173,000 parameters, run by NumPy.

Three mel frames -> Linear 120 to 80, ReLU -> six residual blocks (causal depthwise convolution of
five taps at dilations 1 2 4 1 2 4, LayerNorm, Linear 80 to 160, ReLU, Linear 160 to 80) -> one
Linear 80 to 15 for each look-ahead. Of the 15 outputs, 12 are logits of the visemes, then come the
curves. The head of look-ahead d says at frame t what the mouth does at frame t - d.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.speech.listening.features import BANDS, Mel, mel_frames
from sunriza_assets.studio.speech.listening.packing import packed, unpacked
from sunriza_assets.studio.speech.mouth import NAMES

__all__ = [
    "CURVES",
    "CURVE_SCALES",
    "DILATIONS",
    "FRAME_RATE",
    "HIDDEN",
    "LOOK_AHEADS",
    "STACKED",
    "TAPS",
    "WEIGHTS_NAME",
    "WIDTH",
    "Network",
    "NetworkStream",
    "packaged_network",
    "silence_feature",
]

FRAME_RATE: Final = 100
"""Frames per second."""
STACKED: Final = 3
"""Mel frames that are seen at once: the newest and those before."""
WIDTH: Final = 80
HIDDEN: Final = 160
TAPS: Final = 5
DILATIONS: Final = (1, 2, 4, 1, 2, 4)
LOOK_AHEADS: Final = (0, 4, 6, 8, 12)
"""Frames of each head's look-ahead."""
CURVES: Final = ("opening", "width", "rounding")
CURVE_SCALES: Final = (0.06, 0.1, 0.25)
"""The network's outputs times these are IOD, width less one, and rounding."""
WEIGHTS_NAME: Final = "weights.npz"
_OUTPUTS: Final = len(NAMES) + len(CURVES)
_EPSILON: Final = 1e-5

Array = NDArray[np.float32]


def shapes() -> dict[str, tuple[int, ...]]:
    """Name -> shape of every parameter. A Linear is stored (inputs, outputs)."""
    result: dict[str, tuple[int, ...]] = {
        "in.weight": (STACKED * BANDS, WIDTH),
        "in.bias": (WIDTH,),
    }
    for k in range(len(DILATIONS)):
        result |= {
            f"{k}.taps": (TAPS, WIDTH),
            f"{k}.shift": (WIDTH,),
            f"{k}.gain": (WIDTH,),
            f"{k}.offset": (WIDTH,),
            f"{k}.up.weight": (WIDTH, HIDDEN),
            f"{k}.up.bias": (HIDDEN,),
            f"{k}.down.weight": (HIDDEN, WIDTH),
            f"{k}.down.bias": (WIDTH,),
        }
    heads = len(LOOK_AHEADS) * _OUTPUTS
    return result | {"out.weight": (WIDTH, heads), "out.bias": (heads,), "prior": (len(NAMES),)}


@dataclass(frozen=True)
class Network:
    """Parameters of the network, float32, by the names of `shapes`."""

    parameters: dict[str, Array]

    @classmethod
    def unpacked(cls, stored: Any) -> "Network":
        """From an npz that `packed` made.

        Raises:
            ModelError: something is missing or has another shape.
        """
        return cls(unpacked(stored, shapes()))

    def packed(self) -> dict[str, NDArray[Any]]:
        """What `unpacked` reads, for `numpy.savez_compressed`."""
        return packed(self.parameters)

    def run(self, mel: Mel) -> Array:
        """(n, heads, 15) the outputs of all heads for the (n, 40) frames of a whole sound."""
        return NetworkStream(self).push(mel)


class NetworkStream:
    """Runs a network over frames that come in pieces; the pieces' sizes do not matter."""

    def __init__(self, network: Network) -> None:
        self._weights = network.parameters
        self._mel: Array = np.full((STACKED - 1, BANDS), silence_feature(), np.float32)
        self._past: list[Array] = [
            np.zeros(((TAPS - 1) * dilation, WIDTH), np.float32) for dilation in DILATIONS
        ]

    def push(self, mel: Mel) -> Array:
        """(n, heads, 15) the outputs for n more frames, (n, 40)."""
        heads = (len(LOOK_AHEADS), _OUTPUTS)
        if not len(mel):
            return np.zeros((0, *heads), np.float32)
        weights = self._weights
        seen = np.concatenate([self._mel, mel])
        self._mel = seen[len(mel) :]
        stacked = np.concatenate([seen[k : k + len(mel)] for k in range(STACKED)], axis=1)
        x = np.maximum(stacked @ weights["in.weight"] + weights["in.bias"], 0.0)
        for k, dilation in enumerate(DILATIONS):
            x = x + self._block(k, dilation, x)
        outputs = x @ weights["out.weight"] + weights["out.bias"]
        return outputs.reshape(-1, *heads)

    def _block(self, k: int, dilation: int, x: Array) -> Array:
        weights = self._weights
        seen = np.concatenate([self._past[k], x])
        self._past[k] = seen[len(x) :]
        taps = weights[f"{k}.taps"]
        y = weights[f"{k}.shift"] + taps[0] * seen[: len(x)]
        for tap in range(1, TAPS):
            y += taps[tap] * seen[tap * dilation : tap * dilation + len(x)]
        y -= y.mean(axis=1, keepdims=True)
        y *= 1.0 / np.sqrt(np.square(y).mean(axis=1, keepdims=True) + _EPSILON)
        y = y * weights[f"{k}.gain"] + weights[f"{k}.offset"]
        y = np.maximum(y @ weights[f"{k}.up.weight"] + weights[f"{k}.up.bias"], 0.0)
        return np.asarray(y @ weights[f"{k}.down.weight"] + weights[f"{k}.down.bias"])


def silence_feature() -> float:
    """A mel feature of digital silence."""
    return float(mel_frames(np.zeros(400, np.float32))[0, 0])


@lru_cache(maxsize=1)
def packaged_network() -> Network:
    """The network that comes with the package.

    Raises:
        ModelError: its file is missing or damaged.
    """
    place = files(__package__) / WEIGHTS_NAME
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return Network.unpacked(stored)
    except (OSError, ValueError) as error:
        raise ModelError("The listener's weights cannot be read", where=WEIGHTS_NAME) from error
