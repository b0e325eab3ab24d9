"""Fixtures for the whole suite."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from sunriza_assets.studio.face.model_store import ModelStore

if TYPE_CHECKING:
    from sunriza_assets.studio.sample.clip import Sample
    from sunriza_assets.studio.sample.performance import Performance

# A busy machine must not fail a test, and nothing here is judged by the clock. Nor must chance: the
# examples are those of the run before, unless SUNRIZA_TEST_EXPLORE asks for others.
settings.register_profile(
    "steady",
    deadline=None,
    derandomize="SUNRIZA_TEST_EXPLORE" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")

# Tests interrupt what they start. In a shell's background job SIGINT is ignored, and whatever is
# started there inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
def make_sample(
    models_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> "Callable[[Performance], Sample]":
    """Makes a portrait and a clip of a performance: once for all processes that run tests."""
    from sunriza_assets.studio.sample.clip import Sample, write_sample

    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def make(performance: "Performance") -> "Sample":
        name = f"sample-{performance.rate}-{performance.frame_count}".replace("/", "-")
        folder, opening = base / name, base / name / "mouth_opening.npy"
        with FileLock(base / f"{name}.lock"):
            if not opening.exists():
                made = write_sample(folder, models_root, performance=performance)
                np.save(opening, made.mouth_opening)
        return Sample(folder / "portrait.jpg", folder / "clip.mp4", performance, np.load(opening))

    return make


@pytest.fixture(scope="session")
def sample(make_sample: "Callable[[Performance], Sample]") -> "Sample":
    """Portrait and clip of the project's own, with the truth about the clip."""
    from sunriza_assets.studio.sample.performance import perform

    return make_sample(perform())


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
