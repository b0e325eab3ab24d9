"""Curves of a speaking mouth, and the shape that each viseme aims at."""

from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.expression.visemes import VISEMES

__all__ = ["LIPS", "NAMES", "OPENINGS", "ROUNDINGS", "TUCK", "WIDTHS", "Curve", "MouthCurves"]

Curve = NDArray[np.float64]
"""(n,) one value per frame."""

NAMES: Final = tuple(VISEMES)
"""The twelve visemes in the order of the columns of all weights."""

_ROUNDED: Final = MappingProxyType({"WQ": 1.0, "U": 0.8, "O": 0.6, "R": 0.4, "CH": 0.35})
_SHAPES: Final = tuple(VISEMES[name] for name in NAMES)

OPENINGS: Final[Curve] = np.array([shape.opening if shape else 0.0 for shape in _SHAPES])
"""(12,) gap between the inner lips, IOD."""
WIDTHS: Final[Curve] = np.array([shape.width if shape else 1.0 for shape in _SHAPES])
"""(12,) width of the mouth over its width at rest."""
ROUNDINGS: Final[Curve] = np.array([_ROUNDED.get(name, 0.0) for name in NAMES])
"""(12,) 0 spread or neutral, 1 fully rounded."""

LIPS: Final = 1
"""In `MouthCurves.closures`: lips closed, for m, b, p."""
TUCK: Final = 2
"""In `MouthCurves.closures`: lower lip under the upper teeth, for f, v."""


@dataclass(frozen=True)
class MouthCurves:
    """What a mouth does in n frames. Frame k is shown from k / rate on."""

    rate: Fraction
    """Frames per second."""
    opening: Curve
    """(n,) gap between the inner lips, IOD, 0 to `MAX_OPENING` of the coarticulation."""
    width: Curve
    """(n,) width over the width at rest."""
    rounding: Curve
    """(n,) 0-1."""
    weights: NDArray[np.float64]
    """(n, 12) of the visemes `NAMES`, >= 0, each row sums to one."""
    closures: NDArray[np.int8]
    """(n,) 0 none, `LIPS`, or `TUCK`; such frames must not be smoothed away."""

    @property
    def frame_count(self) -> int:
        """n."""
        return len(self.opening)

    @property
    def visemes(self) -> tuple[str, ...]:
        """(n) names of the strongest viseme of each frame."""
        return tuple(NAMES[k] for k in self.weights.argmax(axis=1))
