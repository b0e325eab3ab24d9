"""Figures that compare two pictures or two curves, without decoding, detection or rendering."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.face.topology import FACE_OVAL, MESH_POINTS

__all__ = [
    "correlation",
    "face_area",
    "gradient_similarity",
    "jitter",
    "landmark_error",
    "psnr",
    "sharpness",
    "ssim",
]

Array = NDArray[np.float64]
Area = NDArray[np.bool_]

_GRADIENT_SIGMA: Final = 1.2
_GRADIENT_FLOOR: Final = 60.0
"""Keeps flat skin, where gradients are noise, from counting as unlike."""


def correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Pearson's r of two equally long curves; 0 where either never moves."""
    a = np.asarray(one, dtype=np.float64).ravel() - np.mean(one)
    b = np.asarray(other, dtype=np.float64).ravel() - np.mean(other)
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 1e-12 else 0.0


def face_area(points: NDArray[Any], size: tuple[int, int]) -> Area:
    """(h, w) whether a pixel lies inside the oval of a face (N >= 468, 2 or 3)."""
    width, height = size
    area = np.zeros((height, width), dtype=np.uint8)
    cv2.fillPoly(area, [np.round(points[FACE_OVAL, :2] - 0.5).astype(np.int32)], 1)
    return area.astype(bool)


def psnr(one: Image, other: Image, area: Area) -> float:
    """Peak signal-to-noise ratio inside an area, dB; 99 for equal pictures."""
    error = float(np.mean((one[area].astype(np.float64) - other[area]) ** 2))
    return 99.0 if error < 1e-5 else float(10.0 * np.log10(255.0**2 / error))


def ssim(one: Image, other: Image, area: Area) -> float:
    """Mean structural similarity inside an area (Wang et al., IEEE Trans. Image Proc. 13, 2004)."""
    _, similarity = structural_similarity(
        _grey(one),
        _grey(other),
        data_range=255.0,
        gaussian_weights=True,
        use_sample_covariance=False,
        full=True,
    )
    return float(similarity[area].mean())


def gradient_similarity(one: Image, other: Image, area: Area) -> float:
    """Agreement of edges, (2 a b + c) / (a a + b b + c) of Sobel gradients after a slight blur."""
    first, second = _gradients(one), _gradients(other)
    product = np.sum(first * second, axis=0)
    energy = np.sum(first**2 + second**2, axis=0)
    value = (2.0 * product + _GRADIENT_FLOOR) / (energy + _GRADIENT_FLOOR)
    return float(value[area].mean())


def landmark_error(one: NDArray[Any], other: NDArray[Any], iod: float) -> float:
    """Mean distance of two meshes' points in the picture plane, IOD."""
    apart = np.asarray(one)[:MESH_POINTS, :2] - np.asarray(other)[:MESH_POINTS, :2]
    return float(np.linalg.norm(apart, axis=1).mean() / iod)


def jitter(points: NDArray[Any], iod: float) -> float:
    """Mean second difference of a clip's landmarks (T, N, 2 or 3) in the picture plane, IOD."""
    bend = np.diff(np.asarray(points, dtype=np.float64)[:, :MESH_POINTS, :2], n=2, axis=0)
    return float(np.linalg.norm(bend, axis=2).mean() / iod) if len(bend) else 0.0


def sharpness(picture: Image, area: Area) -> float:
    """Variance of the Laplacian inside an area."""
    return float(cv2.Laplacian(_grey(picture), cv2.CV_64F)[area].var())


def _grey(picture: Image) -> Array:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.float64)


def _gradients(picture: Image) -> Array:
    """(2, h, w) derivatives along x and y."""
    smooth = cv2.GaussianBlur(_grey(picture), (0, 0), _GRADIENT_SIGMA)
    x = cv2.Sobel(smooth, cv2.CV_64F, 1, 0, ksize=3)
    y = cv2.Sobel(smooth, cv2.CV_64F, 0, 1, ksize=3)
    return np.asarray(np.stack([x, y]) / 4.0, dtype=np.float64)
