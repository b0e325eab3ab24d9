"""Faces as the networks need them: a square to crop, and how far eyes and lips are open.

Both come from the face mesh. Where LivePortrait's own model of 203 points lies beside the weights,
it is run on every face that the mesh has found, and its points replace the mesh's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import FaceError, ModelError
from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.engines.liveportrait import crop, ratios
from sunriza_assets.studio.engines.liveportrait.crop import FaceSquare, Framing, cut, mesh_points
from sunriza_assets.studio.engines.liveportrait.weights import landmarker_path, sha256_of
from sunriza_assets.studio.face.crop import FaceCrop
from sunriza_assets.studio.face.landmarks import MESH_MODELS, PASSES, PRESENT, FaceMesh
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.runtime import Graph

__all__ = ["Face", "FaceReader", "Landmarker"]

_LANDMARKS: Final = 203
_POINTS_OUTPUT: Final = 2
"""Index of the points among the three outputs of the model."""


@dataclass(frozen=True)
class Face:
    """One face in one picture."""

    mesh: NDArray[np.float64]
    """(478, 3) face mesh, continuous pixels."""
    points: NDArray[np.float64]
    """(N, 2) the landmarks that squares and ratios are read from, pixel centres."""

    def square(self, framing: Framing) -> FaceSquare:
        """The square to crop."""
        scheme = crop.POINTS_203 if len(self.points) == _LANDMARKS else crop.MESH_478
        return FaceSquare.around(self.points, scheme, framing)

    def ratios(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(2,) opening of the eyes, the picture's left first, and (1,) of the lips."""
        gauge = ratios.POINTS_203 if len(self.points) == _LANDMARKS else ratios.MESH_478
        return ratios.opening_ratios(self.points, gauge)


class Landmarker:
    """LivePortrait's own landmark model: 203 points, started from where the mesh saw the face."""

    def __init__(self, path: Path) -> None:
        """Load it.

        Raises:
            ModelError: it cannot be loaded.
        """
        self._graph = Graph(path)
        self._path = path

    def look(self, image: Image, mesh: NDArray[Any]) -> NDArray[np.float64]:
        """(203, 2) points of the face whose (478, 3) mesh is given, pixel centres.

        Raises:
            ModelError: the file is another model.
        """
        size = crop.LANDMARKER.size
        square = FaceSquare.around(mesh_points(mesh), crop.MESH_478, crop.LANDMARKER)
        to_crop = square.to_crop(size)
        seen = cut(image, to_crop, size).transpose(2, 0, 1)[None]
        picture = np.divide(seen, 255, dtype=np.float32)
        answers = list(self._graph.run(picture).values())
        if len(answers) <= _POINTS_OUTPUT or answers[_POINTS_OUTPUT].size != 2 * _LANDMARKS:
            raise ModelError(
                "This is not LivePortrait's landmark model",
                where=self._path,
                remedy="Delete it; the face mesh does its work.",
                code="foreign",
            )
        local = answers[_POINTS_OUTPUT].reshape(_LANDMARKS, 2).astype(np.float64) * size
        back = np.linalg.inv(to_crop)
        return np.asarray(local @ back[:2, :2].T + back[:2, 2])


class FaceReader:
    """Finds the face of a portrait and follows that of a clip."""

    def __init__(self, models_root: Path) -> None:
        """Load the models.

        Raises:
            ModelError: the face models have not been pulled.
        """
        self._store = ModelStore(models_root)
        self._mesh = FaceMesh(self._store)
        path = landmarker_path(models_root)
        self._landmarker = None if path is None else Landmarker(path)
        self._landmarker_path = path

    @property
    def facts(self) -> dict[str, str]:
        """Metadata: which landmarks are used, and which provider computes them."""
        points = "face mesh" if self._landmarker is None else "203 points"
        return {"landmarks": points, "landmark_provider": self._mesh.provider}

    def identity(self) -> dict[str, str]:
        """Hashes of all models that are used."""
        models = self._store.identity(*MESH_MODELS)
        if self._landmarker_path is not None:
            models["landmark"] = sha256_of(self._landmarker_path)
        return models

    def portrait(self, image: Image) -> Face:
        """The one face of a portrait.

        Raises:
            FaceError: no face, or several.
        """
        return self._face(image, self._mesh.portrait(image).points)

    def crop_of_face(self, image: Image) -> Face:
        """The face of a picture that is a crop of one already.

        Raises:
            FaceError: it is not.
        """
        height, width = image.shape[:2]
        whole = FaceCrop(width / 2, height / 2, float(max(width, height)), 0.0)
        found = self._mesh.landmarks(image, whole, passes=PASSES)
        if found.score < PRESENT:
            raise FaceError(
                "The portrait is not a crop of a face",
                remedy="Let the face be looked for: set flag_do_crop to true.",
                code="none",
            )
        return self._face(image, found.points)

    def follow(self, frames: Iterable[Image]) -> Iterator[Face | None]:
        """The face in every frame, None where it is not seen; one frame is held at a time."""
        latest: list[Image] = []

        def seen() -> Iterator[Image]:
            for frame in frames:
                latest[:] = [frame]
                yield frame

        for found in self._mesh.track(seen()):
            yield None if found is None else self._face(latest[0], found.points)

    def _face(self, image: Image, mesh: NDArray[np.float32]) -> Face:
        points = (
            mesh_points(mesh) if self._landmarker is None else self._landmarker.look(image, mesh)
        )
        return Face(mesh.astype(np.float64), points)
