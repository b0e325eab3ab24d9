"""The attention face mesh: two graphs, and between them the sampling of feature patches.

The published model computes the patches with custom operators that no other runtime supports. Here
the graph is cut on both sides of them (`models.toml` says where) and numpy does the sampling:
first a coarse mesh and a feature map, then, from a rotated 16x16 patch of that map around the lips
and around each eye, corrected points for these three regions and the irises.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.crop import FaceCrop
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.runtime import Graph
from sunriza_assets.studio.face.topology import (
    LEFT_EYE,
    MESH_POINTS,
    POINTS,
    REFINED_LEFT_EYE,
    REFINED_LIPS,
    REFINED_RIGHT_EYE,
    RIGHT_EYE,
)

__all__ = ["ATTENTION_MODELS", "CROP_SIZE", "AttentionMesh"]

ATTENTION_MODELS: Final = ("face_landmark_with_attention_a", "face_landmark_with_attention_b")
CROP_SIZE: Final = 192
"""Side of the model's input, pixels."""
_MAP_SIZE: Final = 48
_MAP_SCALE: Final = _MAP_SIZE / CROP_SIZE
"""Feature map pixels per input pixel."""
_PATCH: Final = 16
"""Side of a feature patch."""
_PATCH_MARGIN: Final = 1.5
"""Patch over the region's box."""


@dataclass(frozen=True)
class _Region:
    """A part of the face that has a head of its own."""

    left: int
    """Point at its left end in the picture; with `right` it gives the patch's direction."""
    right: int
    points: NDArray[np.int32]
    """Mesh points that its head corrects."""


_LIPS: Final = _Region(61, 291, REFINED_LIPS)
_RIGHT_EYE: Final = _Region(33, 133, REFINED_RIGHT_EYE)
_LEFT_EYE: Final = _Region(362, 263, REFINED_LEFT_EYE)


class AttentionMesh:
    """478 points from one pass over a crop of a picture."""

    def __init__(self, models: ModelStore, *, threads: int = 1) -> None:
        """Load both graphs.

        Raises:
            ModelError: they have not been pulled.
        """
        coarse, heads = (models.path(name) for name in ATTENTION_MODELS)
        self._coarse = Graph(coarse, threads=threads)
        self._heads = Graph(heads, threads=threads)

    @property
    def provider(self) -> str:
        """The execution provider it runs on."""
        return self._coarse.provider

    def predict(
        self, image: NDArray[np.uint8], crop: FaceCrop
    ) -> tuple[NDArray[np.float32], float]:
        """Landmarks of the face inside a crop of an RGB picture (H, W, 3).

        Returns:
            (478, 3) x, y, z in pixels of the picture (z negative = nearer), and the logit of a
            face being there.
        """
        pixels = crop.sample(image, CROP_SIZE)
        outputs = self._coarse.run(np.multiply(pixels[None], 1 / 255, dtype=np.float32))
        points = np.empty((POINTS, 3), np.float32)
        points[:MESH_POINTS] = outputs["mesh"].reshape(MESH_POINTS, 3)
        mesh, features = points[:MESH_POINTS, :2].copy(), outputs["features"][0]
        matrices = [_patch_matrix(mesh, region) for region in (_LIPS, _RIGHT_EYE, _LEFT_EYE)]
        heads = self._heads.run(*(_sample_patch(features, matrix)[None] for matrix in matrices))
        lips, right, left = matrices
        points[REFINED_LIPS, :2] = _to_crop_pixels(heads["lips"][0], lips)
        points[REFINED_RIGHT_EYE, :2] = _to_crop_pixels(heads["eye_33"][0], right)
        points[REFINED_LEFT_EYE, :2] = _to_crop_pixels(heads["eye_362"][0], left)
        points[468:473, :2] = _to_crop_pixels(heads["iris_33"][0], right)
        points[473:478, :2] = _to_crop_pixels(heads["iris_362"][0], left)
        # The heads give no depth: an iris has the mean depth of its lids.
        points[468:473, 2] = points[RIGHT_EYE, 2].mean()
        points[473:478, 2] = points[LEFT_EYE, 2].mean()
        return crop.placed(points, CROP_SIZE), float(outputs["flag"].item())


def _patch_matrix(mesh: NDArray[np.float32], region: _Region) -> NDArray[np.float32]:
    """(2, 3) affine map from patch to feature map, both in continuous pixels.

    The patch is turned so that the region's ends lie level in it, and 1.5 times the region's box.
    """
    points = mesh * _MAP_SCALE
    across = points[region.right] - points[region.left]
    cos, sin = across / max(float(np.hypot(*across)), 1e-6)
    level = np.array([[cos, sin], [-sin, cos]], np.float32)
    turned = points[region.points] @ level.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    centre = level.T @ ((low + high) / 2)
    linear = level.T * (_PATCH_MARGIN * (high - low) / _PATCH)
    shift = centre - linear @ np.full(2, _PATCH / 2, np.float32)
    return np.column_stack([linear, shift]).astype(np.float32)


_CELL: Final = np.arange(_PATCH, dtype=np.float32) + 0.5
_CELLS: Final = np.stack(np.meshgrid(_CELL, _CELL), axis=-1).reshape(-1, 2)
"""(256, 2) centres of a patch's pixels, row by row."""


def _sample_patch(
    features: NDArray[np.float32], matrix: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(16, 16, 32) bilinear samples of the (48, 48, 32) feature map, zero outside it."""
    positions = _CELLS @ matrix[:, :2].T + matrix[:, 2] - 0.5
    base = np.floor(positions)
    fraction = positions - base
    column, row = base.astype(np.int32).T
    patch = np.zeros((len(positions), features.shape[-1]), np.float32)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = column + dx, row + dy
        weight = np.abs(1 - dx - fraction[:, 0]) * np.abs(1 - dy - fraction[:, 1])
        weight *= (x >= 0) & (x < _MAP_SIZE) & (y >= 0) & (y < _MAP_SIZE)
        inside = features[y.clip(0, _MAP_SIZE - 1), x.clip(0, _MAP_SIZE - 1)]
        patch += inside * weight[:, None]
    return patch.reshape(_PATCH, _PATCH, -1)


def _to_crop_pixels(
    points: NDArray[np.float32], matrix: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(N, 2) points of a head, in quarter patch pixels, to pixels of the 192-pixel crop."""
    return points @ matrix[:, :2].T + matrix[:, 2] / _MAP_SCALE
