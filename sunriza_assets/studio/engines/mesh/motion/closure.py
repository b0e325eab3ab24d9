"""Conversion between measured and true closure of eyelids."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["SHUT_CLOSURE", "measured_closure", "true_closure"]

Array = NDArray[np.float64]

SHUT_CLOSURE: Final = 0.8
"""Measured closure of a shut eye, where the clip has no blink to measure it by."""
_MEASURED: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)
_TRUE: Final = (0.0, 0.19, 0.44, 0.72, 0.94, 1.0)
"""Landmarks follow a falling lid late and then jump: what they measure, as a share of what they
measure of a shut eye, and what it stands for. Judged on frames of clips, and on drawn lids measured
again."""
_WIDENING: Final = 1.5
"""The same for eyes opened wider than usual."""


def true_closure(measured: NDArray[Any], shut: float) -> Array:
    """Measured closures -> true ones: 0 as in the portrait, 1 shut, less than 0 wider.

    Args:
        measured: 1 - opening over usual opening.
        shut: what a shut eye measures.
    """
    lowered = np.interp(measured / shut, _MEASURED, _TRUE)
    return np.asarray(lowered + _WIDENING * np.minimum(measured, 0.0))


def measured_closure(true: NDArray[Any], shut: float) -> Array:
    """The inverse of `true_closure`, for closures up to 1."""
    lowered = shut * np.interp(true, _TRUE, _MEASURED)
    return np.asarray(lowered + np.minimum(true, 0.0) / _WIDENING)
