"""Fixtures for the whole suite."""

import os
from pathlib import Path

import pytest

from sunriza_assets.studio.face.model_store import ModelStore


@pytest.fixture(scope="session")
def models_root() -> Path:
    """The models folder with the face models in it, pulled when they are not there yet.

    `SUNRIZA_MODELS`, or `data/models` of the checkout: what `make` has pulled is used.
    """
    said = os.environ.get("SUNRIZA_MODELS")
    root = Path(said) if said else Path(__file__).resolve().parents[1] / "data" / "models"
    ModelStore(root).pull()
    return root
