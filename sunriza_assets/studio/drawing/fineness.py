"""How fine a portrait is: its sharpness and its grain, which what is painted into it takes on."""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.regions import OVAL

__all__ = ["Fineness"]

Plane = NDArray[np.float32]

_PROBE_SIGMA: Final = 1.5
"""Blur that a picture is compared with itself under, pixels."""
_STRONGEST: Final = 97.0
"""Percentile of the gradients from which on they count as edges."""
_SHARPER: Final = 25.0
"""Percentile of the edges' blurs that is the picture's: some edges are soft in themselves."""
_SIGMA_RANGE: Final = (0.35, 2.5)
_SECOND_DIFFERENCES: Final[Plane] = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32)
"""Kernel that is blind to slopes and edges along either axis (J. Immerkaer, "Fast Noise Variance
Estimation", Computer Vision and Image Understanding 64, 1996)."""
_NOISE_WINDOW: Final = 7
_QUIETER: Final = 20.0
"""Percentile of the local means that is taken for noise: elsewhere there is detail."""


@dataclass(frozen=True)
class Fineness:
    """The sharpness and the grain of a picture of a face."""

    sigma: float
    """Standard deviation of the Gaussian that its edges are blurred by, pixels."""
    grain: float
    """Standard deviation of its noise, grey levels."""

    @classmethod
    def of(cls, picture: NDArray[np.uint8], points: NDArray[Any]) -> "Fineness":
        """Of the face with these landmarks (>= 468, 2 or 3), pixels, in a picture (H, W, 3)."""
        height, width = picture.shape[:2]
        low = np.clip(np.floor(points[OVAL, :2].min(axis=0)), 0, [width, height]).astype(int)
        high = np.clip(np.ceil(points[OVAL, :2].max(axis=0)), 0, [width, height]).astype(int)
        face = picture[low[1] : high[1], low[0] : high[0]]
        if min(face.shape[:2]) < _NOISE_WINDOW:
            return cls(1.0, 0.0)
        grey = cv2.cvtColor(np.ascontiguousarray(face), cv2.COLOR_RGB2GRAY).astype(np.float32)
        return cls(_edge_blur(grey), _noise(grey))


def _edge_blur(grey: Plane) -> float:
    """The blur that edges have, from how much more blur weakens them (a Gaussian edge of width s
    loses a factor of sqrt(1 + s0^2 / s^2) under a blur s0)."""
    before = _gradient(grey)
    after = _gradient(cv2.GaussianBlur(grey, (0, 0), _PROBE_SIGMA))
    edges = before >= max(float(np.percentile(before, _STRONGEST)), 1.0)
    if not edges.any():
        return _SIGMA_RANGE[1]
    ratio = np.maximum(before[edges] / np.maximum(after[edges], 1e-3), 1.001)
    sigma = _PROBE_SIGMA / np.sqrt(ratio**2 - 1.0)
    return float(np.clip(np.percentile(sigma, _SHARPER), *_SIGMA_RANGE))


def _gradient(grey: Any) -> Plane:
    x, y = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.magnitude(x, y), dtype=np.float32)


def _noise(grey: Plane) -> float:
    response = np.abs(cv2.filter2D(grey, cv2.CV_32F, _SECOND_DIFFERENCES))
    local = cv2.blur(response, (_NOISE_WINDOW, _NOISE_WINDOW))
    # The kernel multiplies noise by 6, and a normal value's mean size is its deviation over 1.253.
    return float(np.percentile(local, _QUIETER)) * 1.253 / 6.0
