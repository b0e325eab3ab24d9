"""The whole suite on the sample: it renders, grades, and its page opens without an error."""

import json
from pathlib import Path

import pytest

from sunriza_assets.studio.quality.__main__ import main
from sunriza_assets.studio.quality.bars import BARS
from sunriza_assets_tests.browser import chromium, open_page


@pytest.fixture(scope="module")
def folder(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quality")
    assert main([str(folder), "--models", str(models_root), "--seconds", "6"]) in (0, 1)
    return folder


@pytest.mark.slow
def test_the_sample_is_graded_on_every_figure_it_can_have(folder: Path) -> None:
    graded = json.loads((folder / "quality.json").read_text())
    assert set(graded["trials"]) == {
        "sample itself",
        "astronaut by sample",
        "astronaut by sample, looped",
        "astronaut by sample, visemes",
    }
    assert len(graded["bars"]) == len(BARS)
    assert graded["refused"] == {}
    cross = graded["trials"]["astronaut by sample"]
    assert cross["eye r"] > 0.9
    assert cross["mouth r"] > 0.85
    assert cross["yaw r"] > 0.95
    assert cross["blinks missed or invented"] == 0
    assert cross["control r"] < 0.45
    assert cross["background difference, grey levels"] <= 0.25
    assert graded["trials"]["astronaut by sample, looped"]["seam after encoding"] <= 1.2
    laid = graded["trials"]["astronaut by sample, visemes"]
    assert laid["cell to idle at the rim, grey levels"] < 8.0


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="no chromium here; CI brings it")
def test_the_page_opens_offline(folder: Path) -> None:
    with open_page((folder / "quality.html").as_uri()) as page:
        assert page.evaluate("document.querySelectorAll('img').length") == 4
        assert page.evaluate("[...document.images].every((i) => i.naturalWidth > 100)")
        assert page.errors == []
        assert all(url.startswith(("file:", "data:")) for url in page.requests)
