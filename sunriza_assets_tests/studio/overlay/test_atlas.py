"""The atlas on disk: cells come back as they were, and a bad atlas is told from a good one."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sunriza_assets.errors import MediaError, StoreError
from sunriza_assets.studio.contracts.roi import Roi
from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.overlay.atlas import atlas_problems, pack, read_atlas, write_atlas
from sunriza_assets_tests.studio.overlay.speaking import SIZE, cells


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_atlas(cells(), tmp_path)
    return tmp_path


def rewrite(folder: Path, **changes: Any) -> None:
    document = json.loads((folder / "atlas.json").read_text())
    (folder / "atlas.json").write_text(json.dumps(document | changes))


def test_every_cell_comes_back_nearly_as_it_was(folder: Path) -> None:
    made, atlas = cells(), read_atlas(folder)
    assert list(atlas.cells) == list(VISEMES)
    assert atlas.roi == made.roi
    for name, cell in made.cells.items():
        error = np.abs(atlas.cells[name].astype(int) - cell)
        assert error.mean() < 2.0
        rim = np.concatenate([error[0], error[-1], error[:, 0], error[:, -1]])
        assert rim.max() <= 6, "a neighbour bleeds into the cell"


def test_the_index_says_what_the_app_reads(folder: Path) -> None:
    document = json.loads((folder / "atlas.json").read_text())
    assert document["grid"] == {"cols": 4, "rows": 3}
    assert document["classes"] == list(VISEMES)
    assert document["mask"] == "mask.png"
    assert document["roi"] == {"x": 101, "y": 140, "w": 93, "h": 61}
    assert document["cells"]["Rest"] == {"x": 0, "y": 0, "w": 93, "h": 61}
    assert document["cells"]["MBP"] == {"x": 96, "y": 64, "w": 93, "h": 61}
    assert set(document["maps"]) == {"oculus", "azure", "rhubarb", "arpabet", "arkit"}
    with Image.open(folder / "atlas.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (384, 192))
    assert sorted(file.name for file in folder.iterdir()) == ["atlas.jpg", "atlas.json"]


def test_equal_cells_give_equal_files(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    again = tmp_path_factory.mktemp("again")
    write_atlas(cells(), again)
    for name in ("atlas.jpg", "atlas.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_cells_of_whole_blocks_are_not_padded() -> None:
    made = cells(Roi(0, 0, 64, 32))
    packed = pack(made.cells)
    assert packed.shape == (96, 256, 3)
    np.testing.assert_array_equal(packed[32:64, 64:128], made.cells["MBP"])


def test_a_good_atlas_has_no_problems(folder: Path) -> None:
    assert atlas_problems(folder, SIZE) == []


def test_a_viseme_that_was_not_rendered_is_noticed(tmp_path: Path) -> None:
    made = cells()
    copied = dict(made.cells) | {"O": made.cells["U"]}
    write_atlas(replace(made, cells=copied), tmp_path)
    assert atlas_problems(tmp_path, SIZE) == ["cells U and O are the same picture"]


def test_a_missing_viseme_is_noticed(tmp_path: Path) -> None:
    made = cells()
    write_atlas(replace(made, cells=dict(list(made.cells.items())[:-1])), tmp_path)
    assert "its cells are Rest" in atlas_problems(tmp_path, SIZE)[0]


def test_a_roi_outside_the_frame_is_noticed(folder: Path) -> None:
    assert "outside the idle" in atlas_problems(folder, (160, 256))[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"cells": {"Rest": {"x": 380, "y": 0, "w": 93, "h": 61}}},
        {"cells": {"Rest": {"x": -1, "y": 0, "w": 93, "h": 61}}},
        {"cells": {"Rest": {"x": 0, "y": 0, "w": 0, "h": 61}}},
        {"cells": {"Rest": {"x": 0}}},
        {"cells": []},
        {"roi": {"x": 0}},
        {"roi": None},
    ],
)
def test_an_index_that_points_nowhere_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    rewrite(folder, **changes)
    with pytest.raises(MediaError, match="cannot be read"):
        read_atlas(folder)
    assert len(atlas_problems(folder, SIZE)) == 1


def test_a_missing_picture_is_refused(folder: Path) -> None:
    (folder / "atlas.jpg").unlink()
    assert "cannot be read" in atlas_problems(folder, SIZE)[0]


def test_an_unwritable_folder_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        write_atlas(cells(), tmp_path / "missing")
