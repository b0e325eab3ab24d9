"""Labels of sound at 100 Hz: what share of each frame each viseme has, and the mouth's curves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.speech.coarticulation import GRID, dominance
from sunriza_assets.studio.speech.ipa import Segment
from sunriza_assets.studio.speech.mouth import NAMES, OPENINGS, ROUNDINGS, WIDTHS

__all__ = ["Labels", "labels_of_segments"]


@dataclass(frozen=True)
class Labels:
    """What a mouth does in n frames of 10 ms."""

    shares: NDArray[np.float32]
    """(n, 12) rows sum to one; a label from known phones has one viseme."""
    curves: NDArray[np.float32]
    """(n, 3) opening in IOD, width less one, rounding."""

    @property
    def classes(self) -> NDArray[np.int64]:
        """(n,) index of the viseme with the largest share."""
        return np.asarray(self.shares.argmax(axis=1))

    def stretched(self, count: int, factor: float) -> "Labels":
        """(count,) the labels of sound that was played `factor` times as fast."""
        place = ((np.arange(count) + 0.5) * factor).astype(np.int64)
        place = np.clip(place, 0, len(self.shares) - 1)
        return Labels(self.shares[place], self.curves[place])


def labels_of_segments(segments: Sequence[Segment], count: int) -> Labels:
    """The class in the middle of each frame, and curves by coarticulation.

    Args:
        segments: in order of time; gaps are at rest.
        count: frames.
    """
    shares = np.zeros((count, len(NAMES)), np.float32)
    middles = (np.arange(count) + 0.5) / GRID
    chosen = np.full(count, NAMES.index("Rest"))
    for segment in segments:
        first, last = np.searchsorted(middles, [segment.start, segment.end])
        chosen[first:last] = NAMES.index(segment.viseme)
    shares[np.arange(count), chosen] = 1.0
    return Labels(shares, curves_of_weights(dominance(segments, count)))


def curves_of_weights(weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """(n, 3) the curves that (n, 12) weights of visemes make."""
    curves = [weights @ OPENINGS, weights @ WIDTHS - 1.0, weights @ ROUNDINGS]
    return np.stack(curves, axis=1).astype(np.float32)
