"""Fixtures for the whole suite."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings

from sunriza_assets.studio.face.model_store import ModelStore

if TYPE_CHECKING:
    from sunriza_assets.studio.sample.clip import Sample

# A busy machine must not fail a test: nothing here is judged by the clock.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def models_root() -> Path:
    """The models folder with the face models in it, pulled when they are not there yet.

    `SUNRIZA_MODELS`, or `data/models` of the checkout: what `make` has pulled is used.
    """
    said = os.environ.get("SUNRIZA_MODELS")
    root = Path(said) if said else Path(__file__).resolve().parents[1] / "data" / "models"
    ModelStore(root).pull()
    return root


@pytest.fixture(scope="session")
def sample(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> "Sample":
    """Portrait and clip of the project's own, with the truth about the clip.

    Made once, by whichever of the processes that run tests side by side is first.
    """
    from sunriza_assets.studio.sample.clip import Sample, write_sample
    from sunriza_assets.studio.sample.performance import perform

    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / "sample"
    opening = folder / "mouth_opening.npy"
    with FileLock(base / "sample.lock"):
        if not opening.exists():
            np.save(opening, write_sample(folder, models_root).mouth_opening)
    return Sample(folder / "portrait.jpg", folder / "clip.mp4", perform(), np.load(opening))


@pytest.fixture(autouse=True)
def environment_of_its_own() -> Iterator[None]:
    """Undo what a test's code sets in the environment: opening an instance sets its homes.

    Fixtures of a whole session are set up before this one, so what they set stays.
    """
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)
