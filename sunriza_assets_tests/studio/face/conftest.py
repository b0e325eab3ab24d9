"""Fixtures of the face tests: the models, and a picture whose landmarks are known."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.model_store import ModelStore


@pytest.fixture(scope="session")
def models(models_root: Path) -> ModelStore:
    """The pulled face models."""
    return ModelStore(models_root)


@pytest.fixture(scope="session")
def face_mesh(models: ModelStore) -> FaceMesh:
    """Detector and attention mesh."""
    return FaceMesh(models)


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """(512, 512, 3) a portrait; a photograph by NASA in the public domain."""
    picture: NDArray[np.uint8] = data.astronaut()
    return picture


@pytest.fixture(scope="session")
def recorded() -> NDArray[np.float64]:
    """(478, 3) what MediaPipe itself finds in that portrait."""
    text = Path(__file__).with_name("astronaut.json").read_text("utf-8")
    return np.array(json.loads(text)["landmarks"])
