"""The second opinion agrees with the first, and is one of its own."""

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.catalog import catalog
from sunriza_assets.studio.face.independent import IndependentFaceMesh
from sunriza_assets.studio.face.landmarks import MESH_MODELS, FaceMesh
from sunriza_assets.studio.face.measures import eye_apertures
from sunriza_assets.studio.face.model_store import ModelStore


def test_both_meshes_see_the_same_face(
    models: ModelStore, face_mesh: FaceMesh, astronaut: NDArray[np.uint8]
) -> None:
    first, second = face_mesh.portrait(astronaut), IndependentFaceMesh(models).portrait(astronaut)
    off = np.hypot(*(first.xy - second.xy).T) / first.iod
    assert off.any()
    assert off[:468].mean() < 0.03
    assert np.hypot(*(first.irises - second.irises).T).max() / first.iod < 0.03
    apertures = eye_apertures(first.points), eye_apertures(second.points)
    np.testing.assert_allclose(*apertures, atol=0.08)


def test_left_and_right_eye_are_treated_alike(
    models: ModelStore, astronaut: NDArray[np.uint8]
) -> None:
    mesh = IndependentFaceMesh(models)
    plain = eye_apertures(mesh.portrait(astronaut).points)
    mirrored = eye_apertures(mesh.portrait(np.ascontiguousarray(astronaut[:, ::-1])).points)
    np.testing.assert_allclose(plain, mirrored[::-1], atol=0.03)


def test_landmark_models_share_no_source_with_those_that_drive() -> None:
    specs = catalog().models
    driving = {specs[name].sha256 for name in MESH_MODELS}
    assert driving.isdisjoint({specs[name].sha256 for name in ("face_landmark", "iris_landmark")})
