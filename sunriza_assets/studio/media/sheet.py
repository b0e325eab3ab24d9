"""Contact sheets and inline previews: several frames at a glance, for eyes and the UI."""

import base64
import io
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from sunriza_assets.errors import MediaError

__all__ = ["contact_sheet", "thumbnail_data_uri", "webp_data_uri"]

_GAP: Final = 4
"""Pixels between cells."""
_BACKGROUND: Final = (32, 32, 32)
_QUALITIES: Final = (85, 75, 65, 50, 35, 20)
_THUMBNAILS: Final = tuple(
    (side, quality) for side in (128, 112, 96, 80, 64) for quality in (30, 10)
)
"""(longest side, quality), best first: a large one at low quality shows more than a small one."""


def contact_sheet(
    frames: Iterable[NDArray[np.uint8]],
    columns: int,
    cell_width: int,
    labels: Sequence[str] | None = None,
) -> NDArray[np.uint8]:
    """Lay frames out in rows; each is shrunk as it comes, so a whole clip may be passed through.

    Args:
        frames: (H, W, 3) RGB each; all get the cell that the first one's aspect asks for.
        columns: cells in a row.
        cell_width: width of a cell in pixels.
        labels: a short text for the corner of each cell.

    Returns:
        (H, W, 3) RGB.

    Raises:
        MediaError: `no_frames`.
    """
    cells: list[Image.Image] = []
    size = (cell_width, cell_width)
    for frame in frames:
        if not cells:
            size = (cell_width, max(1, round(cell_width * frame.shape[0] / frame.shape[1])))
        cell = Image.fromarray(frame)
        cells.append(ImageOps.contain(cell, size))
    if not cells:
        raise MediaError("A contact sheet needs frames", code="no_frames")
    columns = max(1, min(columns, len(cells)))
    rows = -(-len(cells) // columns)
    pitch = (size[0] + _GAP, size[1] + _GAP)
    sheet = Image.new("RGB", (columns * pitch[0] + _GAP, rows * pitch[1] + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(max(9, cell_width // 14))
    for i, cell in enumerate(cells):
        x, y = _GAP + (i % columns) * pitch[0], _GAP + (i // columns) * pitch[1]
        sheet.paste(cell, (x + (size[0] - cell.width) // 2, y + (size[1] - cell.height) // 2))
        if labels and i < len(labels):
            draw.text((x + 3, y + 2), labels[i], (255, 255, 255), font, stroke_width=1,
                      stroke_fill=(0, 0, 0))  # fmt: skip
    return np.asarray(sheet)


def webp_data_uri(image: NDArray[np.uint8], max_bytes: int = 50_000) -> str:
    """A picture as `data:image/webp;base64,...` of at most `max_bytes` characters.

    Quality is lowered first, then the size, so that a preview fits into a run's event log.

    Raises:
        MediaError: `too_large`: not even a thumbnail fits.
    """
    picture = Image.fromarray(image)
    while min(picture.size) >= 16:
        for quality in _QUALITIES:
            if len(uri := _webp(picture, quality)) <= max_bytes:
                return uri
        picture = picture.resize((picture.width * 3 // 4, picture.height * 3 // 4))
    raise MediaError(f"No preview fits into {max_bytes} bytes", code="too_large")


def thumbnail_data_uri(image: NDArray[np.uint8], max_bytes: int) -> str:
    """A picture made small, as `webp_data_uri`: as large as it can be, and then as good as it can.

    Raises:
        MediaError: `too_large`: it would fit only smaller than 16 pixels.
    """
    picture = Image.fromarray(image)
    for side, quality in _THUMBNAILS:
        share = min(1.0, side / max(picture.size))
        width, height = (max(1, round(length * share)) for length in picture.size)
        small = picture.resize((width, height))
        if len(uri := _webp(small, quality)) <= max_bytes:
            return uri
    return webp_data_uri(np.asarray(small), max_bytes)


def _webp(picture: Image.Image, quality: int) -> str:
    # Pillow loads all of its forty formats to find one that is not loaded yet.
    from PIL import WebPImagePlugin  # noqa: F401

    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
