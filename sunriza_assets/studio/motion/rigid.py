"""Rigid head pose: least-squares similarities between point sets, and rotation vectors."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

__all__ = ["Similarity", "fit_similarity", "mean_rotation", "rotation_vectors"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Similarity:
    """x -> scale * R x + translation, one for each leading index (none, for a single one)."""

    scale: Array
    """(...,) > 0."""
    rotation: Array
    """(..., D, D) proper rotations."""
    translation: Array
    """(..., D) in the units of the points."""

    def apply(self, points: NDArray[Any]) -> Array:
        """(N, D) or (..., N, D) points -> (..., N, D) where they come to lie."""
        turned = points @ np.swapaxes(self.rotation, -1, -2)
        return np.asarray(self.scale[..., None, None] * turned + self.translation[..., None, :])

    def inverse(self) -> "Similarity":
        """The similarity that takes everything back."""
        back = np.swapaxes(self.rotation, -1, -2)
        shift = -np.einsum("...ij,...j->...i", back, self.translation) / self.scale[..., None]
        return Similarity(1.0 / self.scale, back, shift)


def fit_similarity(source: NDArray[Any], target: NDArray[Any]) -> Similarity:
    """The similarity that brings `source` closest to `target` in the least-squares sense.

    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    IEEE Trans. PAMI 13 (1991), equations 39-42, with the determinant's sign against mirroring.

    Args:
        source: (N, D) points.
        target: (..., N, D) the same points elsewhere, for any number of frames at once.
    """
    source = np.asarray(source, dtype=np.float64)
    target = np.asarray(target, dtype=np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=-2)
    from_centre = source - source_mean
    to_centre = target - target_mean[..., None, :]
    covariance = np.swapaxes(to_centre, -1, -2) @ from_centre / len(source)
    left, values, right = np.linalg.svd(covariance)
    signs = np.ones_like(values)
    signs[..., -1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotation = (left * signs[..., None, :]) @ right
    variance = np.mean(np.sum(from_centre**2, axis=-1))
    scale = np.sum(values * signs, axis=-1) / variance
    turned_mean = np.einsum("...ij,j->...i", rotation, source_mean)
    return Similarity(scale, rotation, target_mean - scale[..., None] * turned_mean)


def rotation_vectors(rotations: Array) -> Array:
    """(..., 3, 3) rotations -> (..., 3) axis times angle in radians, angle in [0, pi]."""
    flat = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_rotvec()
    return np.asarray(flat.reshape(rotations.shape[:-1]))


def mean_rotation(rotations: Array) -> Array:
    """(T, 3, 3) -> (3, 3) the rotation nearest to all of them (chordal L2 mean)."""
    return np.asarray(Rotation.from_matrix(rotations).mean().as_matrix())
