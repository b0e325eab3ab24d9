"""The three soft curves that this engine bends its numbers with."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["knee", "rise", "smoothstep"]


def smoothstep(x: ArrayLike) -> NDArray[Any]:
    """3x^2 - 2x^3 between 0 and 1, flat outside; float32 stays float32."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))


def rise(x: ArrayLike, low: float, high: float) -> NDArray[Any]:
    """0 up to `low`, 1 from `high` on, a smoothstep between; falls where high < low."""
    return smoothstep((np.asarray(x) - low) / (high - low))


def knee(x: ArrayLike, free: float, limit: float) -> NDArray[Any]:
    """x unchanged up to |x| = `free`, and compressed beyond so that it never exceeds `limit`.

    Slope one at the knee, tanh beyond it: motion is slowed down, not cut off.
    """
    x = np.asarray(x)
    size = np.abs(x)
    room = max(limit - free, 1e-9)
    bent = free + room * np.tanh((size - free) / room)
    return np.asarray(np.sign(x) * np.where(size > free, bent, size))
