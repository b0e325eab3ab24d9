"""The mouth's region of interest: where cells lie in the portrait and how they follow the head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import EngineError

__all__ = ["Roi"]


@dataclass(frozen=True, slots=True)
class Roi:
    """An upright rectangle in idle pixels at rest (the portrait's own pose)."""

    x: int
    """Left edge."""
    y: int
    """Upper edge."""
    w: int
    """Width, > 0."""
    h: int
    """Height, > 0."""

    def __post_init__(self) -> None:
        if self.w <= 0 or self.h <= 0:
            raise EngineError(f"ROI {self.w}x{self.h} has no area")

    def fits(self, size: tuple[int, int]) -> bool:
        """Whether it lies inside a frame of (width, height) pixels."""
        return (
            self.x >= 0
            and self.y >= 0
            and self.x + self.w <= size[0]
            and self.y + self.h <= size[1]
        )

    def to_document(self, track: NDArray[np.floating[Any]] | None = None) -> dict[str, Any]:
        """The content of roi.json.

        Args:
            track: (T, 2, 3) one matrix per idle frame that takes a point (x, y) of the picture at
                rest to where it is in that frame: p' = M[:, :2] p + M[:, 2].
        """
        document: dict[str, Any] = {"x": self.x, "y": self.y, "w": self.w, "h": self.h}
        if track is not None:
            document["track"] = [_rounded(matrix) for matrix in track.tolist()]
        return document


def _rounded(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """Five decimals of scale and rotation move a far corner by 0.02 px; two of shift, by 0.005."""
    return [[round(a, 5), round(b, 5), round(t, 2)] for a, b, t in matrix]
