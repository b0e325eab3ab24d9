"""Fixtures of the mesh engine's tests: models, one portrait, one clip's motion as known curves."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.face.independent import IndependentFaceMesh
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.matte import PersonMatte
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.motion.template import MotionTemplate

Templates = Callable[..., MotionTemplate]


@pytest.fixture(scope="session")
def models(models_root: Path) -> ModelStore:
    return ModelStore(models_root)


@pytest.fixture(scope="session")
def engine(models_root: Path) -> MeshEngine:
    return MeshEngine(models_root)


@pytest.fixture(scope="session")
def face_mesh(models: ModelStore) -> FaceMesh:
    return FaceMesh(models)


@pytest.fixture(scope="session")
def independent(models: ModelStore) -> IndependentFaceMesh:
    """Looks with models that the engine does not use."""
    return IndependentFaceMesh(models)


@pytest.fixture(scope="session")
def portrait() -> Image:
    """(300, 300, 3) head and shoulders of the astronaut; NASA's picture is in the public domain."""
    picture: Image = skimage.data.astronaut()[0:300, 72:372].copy()
    return picture


@pytest.fixture(scope="session")
def landmarks(portrait: Image, face_mesh: FaceMesh) -> NDArray[np.float64]:
    """(478, 3) the portrait's face."""
    return face_mesh.portrait(portrait).points.astype(np.float64)


@pytest.fixture(scope="session")
def rig(portrait: Image, landmarks: NDArray[np.float64], models: ModelStore) -> PortraitRig:
    return PortraitRig(portrait, landmarks, matte=PersonMatte(models).matte(portrait))


@pytest.fixture(scope="session")
def make_template(landmarks: NDArray[np.float64]) -> Templates:
    """Templates of another face than the portrait's, still but for the arrays that are given."""
    neutral = landmarks.copy()
    neutral[:, :2] = 1.4 * (neutral[:, :2] - 150.0) * [1.08, 0.94] + 200.0  # no frame of it matches
    neutral[:, 2] *= 1.4

    def make(
        frames: int = 24, rate: Fraction = Fraction(25), **arrays: NDArray[np.floating]
    ) -> MotionTemplate:
        still: dict[str, NDArray[np.generic]] = {
            "neutral": neutral.astype(np.float32),
            "rotation": np.zeros((frames, 3), np.float32),
            "log_scale": np.zeros(frames, np.float32),
            "translation": np.zeros((frames, 3), np.float32),
            "expression": np.zeros((frames, 468, 3), np.float16),
            "closure": np.zeros((frames, 2), np.float32),
            "gaze": np.zeros((frames, 2, 2), np.float32),
            "mouth_opening": np.zeros(frames, np.float32),
            "mouth_texture": np.zeros((0, 32, 64, 3), np.uint8),
            "skin": np.full(3, 180.0, np.float32),
        }
        moved = {name: values.astype(still[name].dtype) for name, values in arrays.items()}
        return MotionTemplate(
            engine="mesh",
            engine_version="1",
            rate=rate,
            frame_count=frames,
            source_sha256="0" * 64,
            neutral_frame=0,
            arrays=still | moved,
        )

    return make
