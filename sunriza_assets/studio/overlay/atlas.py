"""The atlas: all viseme cells in one picture, and the index of their positions."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import MediaError, SunrizaError
from sunriza_assets.studio.contracts.engine import Image, VisemeCells
from sunriza_assets.studio.contracts.roi import Roi
from sunriza_assets.studio.expression.visemes import VISEMES, viseme_maps
from sunriza_assets.studio.files import write_json

__all__ = [
    "INDEX_NAME",
    "PICTURE_NAME",
    "Atlas",
    "atlas_document",
    "atlas_problems",
    "pack",
    "read_atlas",
    "read_cell_roi",
    "write_atlas",
]

PICTURE_NAME: Final = "atlas.jpg"
INDEX_NAME: Final = "atlas.json"
MASK_NAME: Final = "mask.png"

_COLUMNS: Final = 4
_BLOCK: Final = 8
"""JPEG compresses blocks of this many pixels; a cell that shared one would bleed into the next."""
_QUALITY: Final = 93
_MAX_DUPLICATE_DIFFERENCE: Final = 0.5
"""Mean difference, grey levels, below which two cells count as equal."""


@dataclass(frozen=True)
class Atlas:
    """An atlas read back."""

    cells: Mapping[str, Image]
    """Viseme name -> (h, w, 3) picture, in the index's order."""
    roi: Roi
    """Position of every cell in the idle at rest."""
    document: Mapping[str, Any]
    """The whole index."""


def write_atlas(visemes: VisemeCells, folder: Path) -> dict[str, Any]:
    """Write atlas.jpg, then atlas.json that points into it; returns the index.

    The index comes second: a reader that finds it finds its picture.

    Raises:
        StoreError: the folder cannot be written to.
    """
    buffer = io.BytesIO()
    picture = Pillow.fromarray(pack(visemes.cells))
    # 4:4:4, since lips and teeth differ in colour right at their border
    picture.save(buffer, "JPEG", quality=_QUALITY, subsampling=0, optimize=True)
    with replacing(folder / PICTURE_NAME) as file:
        file.write(buffer.getvalue())
    document = atlas_document(visemes)
    write_json(folder / INDEX_NAME, document)
    return document


def pack(cells: Mapping[str, Image]) -> Image:
    """Lay cells of one size out row by row; what pads them to whole blocks repeats their rim."""
    height, width, _ = next(iter(cells.values())).shape
    below, right = -height % _BLOCK, -width % _BLOCK
    tiles = [np.pad(cell, ((0, below), (0, right), (0, 0)), mode="edge") for cell in cells.values()]
    while len(tiles) % _COLUMNS:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [tiles[k : k + _COLUMNS] for k in range(0, len(tiles), _COLUMNS)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)


def atlas_document(visemes: VisemeCells) -> dict[str, Any]:
    """The content of atlas.json.

    `grid` and `classes` say how cells are counted, `cells` where each lies in the picture's
    pixels, `roi` where all of them belong in the idle at rest, `mask` which file feathers them,
    `maps` what other systems call them.
    """
    roi, names = visemes.roi, list(visemes.cells)
    pitch = (roi.w + -roi.w % _BLOCK, roi.h + -roi.h % _BLOCK)
    return {
        "grid": {"cols": _COLUMNS, "rows": -(-len(names) // _COLUMNS)},
        "classes": names,
        "cells": {
            name: {
                "x": k % _COLUMNS * pitch[0],
                "y": k // _COLUMNS * pitch[1],
                "w": roi.w,
                "h": roi.h,
            }
            for k, name in enumerate(names)
        },
        "image": PICTURE_NAME,
        "mask": MASK_NAME,
        "roi": roi.to_document(),
        "maps": viseme_maps(),
    }


def read_atlas(folder: Path) -> Atlas:
    """Read an atlas back.

    Raises:
        MediaError: a file is missing or unreadable, or the index points outside the picture.
    """
    try:
        document = json.loads((folder / INDEX_NAME).read_text("utf-8"))
        with Pillow.open(folder / PICTURE_NAME) as file:
            picture = np.asarray(file.convert("RGB"))
        roi = Roi(**document["roi"])
        cells = {name: _crop_cell(picture, box) for name, box in document["cells"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise MediaError(f"Atlas cannot be read: {error}", where=folder) from error
    return Atlas(cells, roi, document)


def read_cell_roi(folder: Path) -> Roi:
    """Where the cells of an atlas lie in the idle at rest, by its index alone.

    Raises:
        MediaError: the index is missing or unreadable.
    """
    try:
        return Roi(**json.loads((folder / INDEX_NAME).read_text("utf-8"))["roi"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise MediaError(f"Atlas cannot be read: {error}", where=folder) from error


def atlas_problems(folder: Path, size: tuple[int, int]) -> list[str]:
    """What is wrong with an atlas for an idle of (width, height) pixels; empty if nothing is."""
    try:
        atlas = read_atlas(folder)
    except SunrizaError as error:
        return [error.message]
    problems = []
    if list(atlas.cells) != list(VISEMES):
        problems.append(f"its cells are {', '.join(atlas.cells)}")
    if not atlas.roi.fits(size):
        problems.append(f"its ROI {atlas.roi} lies outside the idle of {size[0]}x{size[1]} pixels")
    expected = (atlas.roi.h, atlas.roi.w, 3)
    problems += [
        f"cell {name} is {cell.shape[1]}x{cell.shape[0]} pixels, not as large as the ROI"
        for name, cell in atlas.cells.items()
        if cell.shape != expected
    ]
    return problems or _duplicate_cells(atlas.cells)


def _duplicate_cells(cells: Mapping[str, Image]) -> list[str]:
    """Problems of equal cells: a viseme that was not rendered."""
    names = list(cells)
    pixels = {name: cell.astype(np.float32) for name, cell in cells.items()}
    return [
        f"cells {first} and {second} are the same picture"
        for k, first in enumerate(names)
        for second in names[k + 1 :]
        if float(np.abs(pixels[first] - pixels[second]).mean()) < _MAX_DUPLICATE_DIFFERENCE
    ]


def _crop_cell(picture: NDArray[np.uint8], box: Mapping[str, int]) -> Image:
    x, y, w, h = box["x"], box["y"], box["w"], box["h"]
    height, width, _ = picture.shape
    if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
        raise ValueError(f"cell {dict(box)} is outside the picture of {width}x{height} pixels")
    return picture[y : y + h, x : x + w]
