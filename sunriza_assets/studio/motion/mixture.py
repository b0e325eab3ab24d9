"""Output frames as weighted sums of clip frames: the one operation that timing is made of.

Resampling and closing a loop both define, for every output frame, the clip frames it is made of and
their weights. As data this is independent of what is mixed: the same
mixture serves poses, expressions and mouth textures, and two mixtures chain into one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mixture"]

_WEIGHT_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Mixture:
    """K output frames, each a sum of M clip frames ("taps")."""

    indices: NDArray[np.intp]
    """(K, M) clip frames, >= 0."""
    weights: NDArray[np.float64]
    """(K, M) share of each; every row sums to one."""

    def __post_init__(self) -> None:
        if self.indices.ndim != 2 or self.indices.shape != self.weights.shape:
            raise ValueError(f"Taps {self.indices.shape} and weights {self.weights.shape} differ")
        if not np.allclose(self.weights.sum(axis=1), 1.0, atol=_WEIGHT_TOLERANCE):
            raise ValueError("The weights of every output frame must sum to one")

    def __len__(self) -> int:
        return len(self.indices)

    @classmethod
    def of_frames(cls, frames: NDArray[np.integer[Any]]) -> "Mixture":
        """Output frame k is clip frame `frames[k]`, nothing mixed."""
        indices = np.asarray(frames, dtype=np.intp)[:, None]
        return cls(indices, np.ones(indices.shape))

    def apply(self, values: NDArray[Any]) -> NDArray[Any]:
        """Mix `values` (T, ...) into (K, ...) of the same dtype; integers are rounded.

        A result never leaves the range of the frames it is made of, so that a lid that was never
        more than shut does not become so by the overshoot of a cubic weight. Where a row has all
        its weight on one frame, that frame is copied bit for bit.
        """
        if len(values) <= int(self.indices.max(initial=-1)):
            raise ValueError(f"Mixture needs {self.indices.max() + 1} frames, got {len(values)}")
        heaviest = np.argmax(self.weights, axis=1)
        rows = np.arange(len(self))
        result = values[self.indices[rows, heaviest]]
        mixed = np.flatnonzero(self.weights[rows, heaviest] != 1.0)
        for row in mixed:  # one at a time: taps of all rows at once would cost M times the memory
            result[row] = _mixed(values[self.indices[row]], self.weights[row], values.dtype)
        return result

    def after(self, first: "Mixture") -> "Mixture":
        """The mixture that equals `first`, then this one: `after(a).apply(x) = apply(a.apply(x))`.

        Equal up to the rounding and the range limit of the step in between.
        """
        count, taps = self.indices.shape
        indices = first.indices[self.indices].reshape(count, taps * first.indices.shape[1])
        weights = (self.weights[:, :, None] * first.weights[self.indices]).reshape(indices.shape)
        return Mixture(indices, weights)


def _mixed(taps: NDArray[Any], weights: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """(M, ...) frames -> (...) their weighted sum inside their own range."""
    used = taps[weights != 0.0]
    total = np.tensordot(weights[weights != 0.0], used.astype(np.float64), axes=1)
    total = np.clip(total, used.min(axis=0), used.max(axis=0))
    return np.rint(total).astype(dtype) if dtype.kind in "iub" else total.astype(dtype)
