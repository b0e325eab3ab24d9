"""Independent landmarks, from models that share no weights with the attention mesh.

How well a rendered face follows its clip must not be measured with the model that drove it. So
quality checks and tests use the basic face mesh and the iris model; nothing else does.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.crop import FaceCrop
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.runtime import Graph
from sunriza_assets.studio.face.topology import (
    LEFT_EYE,
    LEFT_EYE_CORNERS,
    LEFT_IRIS,
    MESH_POINTS,
    POINTS,
    REFINED_LEFT_EYE,
    REFINED_RIGHT_EYE,
    RIGHT_EYE,
    RIGHT_EYE_CORNERS,
    RIGHT_IRIS,
)

__all__ = ["IndependentFaceMesh"]

_MESH: Final = "face_landmark"
_MESH_SIZE: Final = 192
_IRIS: Final = "iris_landmark"
_IRIS_SIZE: Final = 64
_IRIS_MARGIN: Final = 2.3
"""Side of an eye's crop over the distance of its corners."""


class IndependentFaceMesh(FaceMesh):
    """`FaceMesh` on the basic mesh and the iris model."""

    def __init__(self, models: ModelStore, *, threads: int = 1) -> None:
        """Load the models.

        Raises:
            ModelError: they have not been pulled.
        """
        super().__init__(models, threads=threads, mesh=_BasicMesh(models, threads))


class _BasicMesh:
    """468 points from the whole face; lids, brows and irises from a closer look at each eye."""

    def __init__(self, models: ModelStore, threads: int) -> None:
        self._mesh = Graph(models.path(_MESH), threads=threads)
        self._iris = Graph(models.path(_IRIS), threads=threads)
        self.provider = self._mesh.provider

    def predict(
        self, image: NDArray[np.uint8], crop: FaceCrop
    ) -> tuple[NDArray[np.float32], float]:
        outputs = self._mesh.run(_unit(crop.sample(image, _MESH_SIZE)))
        mesh = outputs["mesh"].reshape(MESH_POINTS, 3)
        points = np.empty((POINTS, 3), np.float32)
        points[:MESH_POINTS] = crop.placed(mesh, _MESH_SIZE)
        self._refine(image, points, crop.angle, mirrored=False)
        self._refine(image, points, crop.angle, mirrored=True)
        return points, float(outputs["flag"].item())

    def _refine(
        self, image: NDArray[np.uint8], points: NDArray[np.float32], angle: float, *, mirrored: bool
    ) -> None:
        """Refine one eye; the model is trained on right eyes, so a left one is mirrored."""
        corners = LEFT_EYE_CORNERS if mirrored else RIGHT_EYE_CORNERS
        outer, inner = points[corners[0], :2], points[corners[1], :2]
        x, y = (float(value) for value in (outer + inner) / 2)
        eye = FaceCrop(x, y, _IRIS_MARGIN * float(np.hypot(*(outer - inner))), angle)
        pixels = eye.sample(image, _IRIS_SIZE)
        outputs = self._iris.run(_unit(pixels[:, ::-1] if mirrored else pixels))
        contour, iris = outputs["contour"].reshape(71, 3), outputs["iris"].reshape(5, 3)
        if mirrored:
            contour[:, 0], iris[:, 0] = _IRIS_SIZE - contour[:, 0], _IRIS_SIZE - iris[:, 0]
        refined, lids, rim = (
            (REFINED_LEFT_EYE, LEFT_EYE, LEFT_IRIS)
            if mirrored
            else (REFINED_RIGHT_EYE, RIGHT_EYE, RIGHT_IRIS)
        )
        points[refined, :2] = eye.placed(contour, _IRIS_SIZE)[:, :2]
        points[rim] = eye.placed(iris, _IRIS_SIZE)
        points[rim, 2] = points[lids, 2].mean()


def _unit(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(1, H, W, 3) in 0..1."""
    return np.multiply(pixels[None], 1 / 255, dtype=np.float32)
