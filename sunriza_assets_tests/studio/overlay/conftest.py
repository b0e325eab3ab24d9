"""A published avatar and its page, for the tests of preview.html in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sunriza_assets.studio.contracts.roi import write_roi
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.overlay.atlas import write_atlas
from sunriza_assets.studio.overlay.mask import write_mask
from sunriza_assets.studio.overlay.player import write_player
from sunriza_assets_tests.browser import Page, open_page
from sunriza_assets_tests.studio.overlay.player_page import (
    HOSTILE,
    RATE,
    ROI,
    idle_frames,
    nodding,
)
from sunriza_assets_tests.studio.overlay.speaking import cells


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published avatar whose cells are plain red, and its page."""
    folder = tmp_path_factory.mktemp("avatar")
    made = cells(ROI)
    for cell in made.cells.values():
        cell[...] = (220, 20, 20)
    encode(idle_frames(), folder / "idle.mp4", rate=RATE, encoder="libx264")
    write_atlas(made, folder)
    write_mask(made, folder / "mask.png")
    write_roi(ROI, nodding(), folder / "roi.json")
    write_player(
        folder / "preview.html",
        title=HOSTILE,
        idle=folder / "idle.mp4",
        atlas=folder,
        mask=folder / "mask.png",
        roi=folder / "roi.json",
        clip=folder / "idle.mp4",
        tables={"Parameters": {"loop": True, "gain": 1.5, "seconds": None, HOSTILE: HOSTILE}},
    )
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Page]:
    with open_page((folder / "preview.html").as_uri()) as page:
        page.wait_for("document.querySelector('canvas').dataset.frame")
        yield page
