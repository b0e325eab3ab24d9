"""The remote engine with its far end in a process of its own, as a Modal container would be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resources.engines.remote import RemoteEngine, choose_remote
from resources.engines.remote_server import serve
from resources.home import Home
from resources.storage.local import LocalStorage
from sunriza_assets.costs.devices import cpu
from sunriza_assets.errors import EngineError, FaceError
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.media.picture import read_picture
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.performances.builtin import motion_script
from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.processes import ask_module

PARAMETERS = RenderParameters(stitching_retargeting_eyes_width=256, max_seconds=1.0, loop=False)


def in_a_process(request: dict[str, Any]) -> Mapping[str, Any]:
    """What Modal does: the same entry point, the same arguments, another process."""
    return ask_module("resources.engines.remote_server", request)


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, models_root: Path) -> LocalStorage:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    monkeypatch.setenv("SUNRIZA_MODELS", str(models_root))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return LocalStorage(Home(tmp_path))


@pytest.mark.slow
def test_what_comes_back_is_what_the_engine_made(
    storage: LocalStorage, models_root: Path, sample: Sample
) -> None:
    """Same template, same frames bit for bit, same visemes; nothing is left in the bucket."""
    here = MeshEngine(models_root)
    there = RemoteEngine(in_a_process, storage, "mesh")
    portrait = read_picture(sample.portrait)

    assert (there.name, there.version) == (here.name, here.version)
    assert there.extraction_identity() == here.extraction_identity()
    assert there.billed_device == cpu()

    template = here.extract(sample.clip)
    fetched = there.extract(sample.clip)
    for name, value in template.arrays.items():
        np.testing.assert_array_equal(fetched.arrays[name], value)

    expected, rendering = (
        engine.render(portrait, template, PARAMETERS) for engine in (here, there)
    )
    assert (rendering.size, rendering.rate) == (expected.size, expected.rate)
    np.testing.assert_allclose(rendering.track, expected.track)
    pairs = zip(rendering.frames(), expected.frames(), strict=True)
    assert sum(np.array_equal(*pair) for pair in pairs) == expected.frame_count
    assert sum(1 for _ in rendering.frames()) == expected.frame_count, "walked a second time"
    assert rendering.facts["remote"]["seconds"] > 0

    cells, wanted = there.visemes(portrait, PARAMETERS), here.visemes(portrait, PARAMETERS)
    assert (cells.roi, cells.iod, list(cells.cells)) == (wanted.roi, wanted.iod, list(wanted.cells))
    for name, cell in wanted.cells.items():
        np.testing.assert_array_equal(cells.cells[name], cell)
    assert not list(storage.list("remote/"))


def test_a_performance_is_written_over_there(storage: LocalStorage, models_root: Path) -> None:
    script = motion_script("calm")
    template = RemoteEngine(serve, storage, "mesh").perform(script)
    expected = MeshEngine(models_root).perform(script)
    assert template.source_sha256 == expected.source_sha256
    assert template.performance == "calm"
    for name, array in expected.arrays.items():
        np.testing.assert_allclose(template.arrays[name], array, atol=1e-4)
    assert not list(storage.list("remote/"))


def test_an_error_over_there_is_the_same_error_here(
    storage: LocalStorage, models_root: Path
) -> None:
    there = RemoteEngine(serve, storage, "mesh")
    nobody = np.full((256, 256, 3), 127, np.uint8)
    with pytest.raises(FaceError) as here:
        MeshEngine(models_root).visemes(nobody, PARAMETERS)
    with pytest.raises(FaceError) as remote:
        there.visemes(nobody, PARAMETERS)
    assert (remote.value.what, remote.value.code) == (here.value.what, here.value.code)
    assert not list(storage.list("remote/"))


def test_what_nobody_knows_is_refused(storage: LocalStorage) -> None:
    answer = serve({"do": "something", "engine": "mesh"})
    assert answer["error"]["class"] == "EngineError"


def test_a_store_that_modal_cannot_see_is_refused(storage: LocalStorage) -> None:
    with pytest.raises(EngineError, match="cannot see"):
        choose_remote("sunriza-assets", "auto")
