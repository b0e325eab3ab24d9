"""How far eyes and lips are open: lid distance over eye width, inner lips over mouth width."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MESH_478", "POINTS_203", "Gauge", "opening_ratios"]

_EPSILON: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Gauge:
    """Pairs of landmarks whose distances are compared: ((opening), (width))."""

    left_eye: tuple[tuple[int, int], tuple[int, int]]
    """The eye on the picture's left."""
    right_eye: tuple[tuple[int, int], tuple[int, int]]
    lips: tuple[tuple[int, int], tuple[int, int]]


POINTS_203: Final = Gauge(((6, 18), (0, 12)), ((30, 42), (24, 36)), ((90, 102), (48, 66)))
MESH_478: Final = Gauge(((159, 145), (33, 133)), ((386, 374), (362, 263)), ((13, 14), (61, 291)))


def opening_ratios(
    points: NDArray[Any], gauge: Gauge
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read the ratios off landmarks.

    Args:
        points: (..., N, >= 2) landmarks, any unit.
        gauge: their numbering.

    Returns:
        (..., 2) of the eyes, the picture's left first, and (..., 1) of the lips.
    """
    xy = np.asarray(points)[..., :2]
    eyes = np.stack([_ratio(xy, gauge.left_eye), _ratio(xy, gauge.right_eye)], axis=-1)
    return eyes.astype(np.float32), _ratio(xy, gauge.lips)[..., None].astype(np.float32)


def _ratio(xy: NDArray[Any], pairs: tuple[tuple[int, int], tuple[int, int]]) -> NDArray[np.float64]:
    opening, width = (np.linalg.norm(xy[..., a, :] - xy[..., b, :], axis=-1) for a, b in pairs)
    return np.asarray(opening / (width + _EPSILON), dtype=np.float64)
