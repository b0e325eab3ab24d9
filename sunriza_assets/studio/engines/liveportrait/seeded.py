"""Deterministic stand-in weights, generated from the tensors' names and shapes.

They are not trained and paint noise, but every layer keeps its signal at a usable size. So equality
with recorded outputs can be tested, and speed measured, without the published files.

Each tensor is filled from the generator SplitMix64 (Steele et al., OOPSLA 2014), whose seed is the
first eight bytes of SHA-256 of "<net>/<key>"; four of its 16-bit fields added up are near enough
to a normal variable, and only integer steps and IEEE doubles are used, so that the numbers are the
same on every machine.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sunriza_assets.studio.engines.liveportrait.manifest import manifest

__all__ = ["seeded_state", "standard_numbers"]

_STEP: Final = 0x9E3779B97F4A7C15
_MIX: Final = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_FIELD_MEAN: Final = 4 * 65535 // 2
_FIELD_VARIANCE: Final = 4 * (65536**2 - 1) // 12

# Name pattern -> (mean, gain); the first that fits holds. A gain is divided by the square root of
# the fan-in where `per_fan_in` says so.
_RULES: Final = tuple(
    (re.compile(pattern), mean, gain, per_fan_in)
    for pattern, mean, gain, per_fan_in in (
        (r"\.running_mean$", 0.0, 0.1, False),
        (r"/detector\.fc_kp\.weight$", 0.0, 0.25, True),
        (r"/detector\.fc_exp\.weight$", 0.0, 0.03, True),
        (r"/detector\.fc_scale\.weight$", 0.0, 0.1, True),
        (r"/detector\.fc_scale\.bias$", 1.15, 0.02, False),
        (r"/detector\.fc_(pitch|yaw|roll)\.weight$", 0.0, 2.5, True),
        (r"/detector\.fc_t\.weight$", 0.0, 0.06, True),
        (r"\.grn\.gamma$", 0.0, 0.3, False),
        (r"\.grn\.beta$", 0.0, 0.1, False),
        (r"^(stitching|lip)/mlp\.6\.weight$", 0.0, 0.1, True),
        (r"^eye/mlp\.10\.weight$", 0.0, 0.1, True),
        (r"/resblocks_3d\..*\.conv2\.weight$", 0.0, 0.7, True),
        (r"/dense_motion_network\.mask\.weight$", 0.0, 4.0, True),
        (r"/dense_motion_network\.occlusion\.weight$", 0.0, 2.0, True),
        (r"\.mlp_(gamma|beta)\.weight$", 0.0, 0.7, True),
        (r"/conv_img\.0\.weight$", 0.0, 1.0, True),
    )
)


def standard_numbers(name: str, count: int) -> NDArray[np.float64]:
    """`count` numbers of mean 0 and variance 1, |n| < 3.47, seeded by a name."""
    seed = np.frombuffer(hashlib.sha256(name.encode()).digest()[:8], dtype="<u8")[0]
    z = np.arange(1, count + 1, dtype=np.uint64)
    z *= np.uint64(_STEP)
    z += seed
    for shift, factor in _MIX:
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    fields = z.view(np.uint16).reshape(count, 4).sum(axis=1, dtype=np.int64)
    return np.asarray((fields - _FIELD_MEAN) / math.sqrt(_FIELD_VARIANCE))


def seeded_state(
    net: str,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    *,
    period: int | None = None,
) -> dict[str, Tensor]:
    """The whole state dict of one network, float32 on the CPU.

    Args:
        net: a key of `manifest()`.
        shapes: of a network with other sizes; None takes the manifest's.
        period: numbers after which those of a large tensor repeat, which makes them faster; None
            for numbers that do not repeat, as recorded outputs need.
    """
    shapes = manifest()[net] if shapes is None else shapes
    state = {
        key: torch.from_numpy(_tensor(net, key, shape, period)) for key, shape in shapes.items()
    }
    for key, tensor in list(state.items()):
        if key.endswith(".weight_orig"):
            stem = key.removesuffix("weight_orig")
            u, v = _singular_vectors(net, stem, tensor.numpy())
            state[stem + "weight_u"], state[stem + "weight_v"] = u, v
    return state


def _tensor(net: str, key: str, shape: tuple[int, ...], period: int | None) -> NDArray[np.generic]:
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.int64)
    name = f"{net}/{key}"
    count = math.prod(shape)
    n = standard_numbers(name, count if period is None else min(count, period))
    if len(n) < count:
        n = np.resize(n.astype(np.float32), count)
    if key.endswith("running_var"):
        values = 1 + 0.1 * np.abs(n)
    else:
        mean, gain = _mean_and_gain(name, key, shape)
        values = mean + gain * n if mean else gain * n
    return values.astype(np.float32).reshape(shape)


def _mean_and_gain(name: str, key: str, shape: tuple[int, ...]) -> tuple[float, float]:
    root = math.sqrt(math.prod(shape[1:]))
    for pattern, mean, gain, per_fan_in in _RULES:
        if pattern.search(name):
            return mean, gain / root if per_fan_in else gain
    if len(shape) == 1 and key.endswith(".weight"):
        return 1.0, 0.1
    if key.endswith("bias"):
        return 0.0, 0.02
    return 0.0, math.sqrt(2) / root


def _singular_vectors(net: str, stem: str, weight: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """Vectors for spectral norm that a further power iteration would change, so that one shows."""
    matrix = weight.astype(np.float64).reshape(len(weight), -1)
    u = _unit(standard_numbers(f"{net}/{stem}weight_u", matrix.shape[0]))
    noise = _unit(standard_numbers(f"{net}/{stem}weight_v", matrix.shape[1]))
    v = _unit(_unit(matrix.T @ u) + 0.5 * noise)
    return torch.from_numpy(u.astype(np.float32)), torch.from_numpy(v.astype(np.float32))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector))
