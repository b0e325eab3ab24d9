"""The mask: opacity of a viseme cell at each of its pixels."""

import io
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from sunriza_assets.atomic import replacing
from sunriza_assets.studio.contracts.engine import VisemeCells

__all__ = ["draw_mask", "mask_problems", "write_mask"]

Mask = NDArray[np.uint8]

_DILATION: Final = 0.07
"""How far beyond the lips the cell is opaque, IOD."""
_FEATHER: Final = 0.045
"""Standard deviation of the Gaussian that softens its edge, IOD."""
_RIM: Final = 0.02
"""Share of the mask's shorter side at its edge that is always zero."""
_FRACTION_BITS: Final = 4


def draw_mask(lips: NDArray[Any], size: tuple[int, int], iod: float) -> Mask:
    """One mask that serves all visemes.

    The union of the convex hulls of all lips, widened, softened, and brought to zero at the rim,
    so that no cell ever shows a straight edge.

    Args:
        lips: (N, M, 2) outer lip contours, pixels inside the cell.
        size: (width, height) of a cell, pixels.
        iod: distance of the outer eye corners, pixels.

    Returns:
        (h, w) 0 where the idle is seen, 255 where the cell is.
    """
    width, height = size
    mask = np.zeros((height, width), dtype=np.uint8)
    for contour in np.asarray(lips, dtype=np.float32):
        hull = cv2.convexHull(contour)[:, 0]
        corners = np.round((hull - 0.5) * (1 << _FRACTION_BITS)).astype(np.int32)
        cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_AA, _FRACTION_BITS)
    radius = max(1, round(_DILATION * iod))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    dilated = cv2.dilate(mask, kernel)
    blurred = cv2.GaussianBlur(
        dilated.astype(np.float32), (0, 0), max(_FEATHER * iod, 0.5), borderType=cv2.BORDER_CONSTANT
    )
    return np.asarray(np.rint(blurred * _rim_falloff(size, iod)), dtype=np.uint8)


def write_mask(visemes: VisemeCells, file: Path) -> Mask:
    """Write mask.png (8-bit grey); returns the mask.

    Raises:
        StoreError: the folder cannot be written to.
    """
    mask = draw_mask(visemes.lips, (visemes.roi.w, visemes.roi.h), visemes.iod)
    buffer = io.BytesIO()
    Pillow.fromarray(mask).save(buffer, "PNG", optimize=True)
    with replacing(file) as open_file:
        open_file.write(buffer.getvalue())
    return mask


def mask_problems(file: Path, size: tuple[int, int]) -> list[str]:
    """What is wrong with a mask for an idle of (width, height) pixels; empty if nothing is."""
    try:
        with Pillow.open(file) as picture:
            mode, mask = picture.mode, np.asarray(picture)
    except (OSError, UnidentifiedImageError, ValueError) as error:
        return [f"it cannot be read: {error}"]
    if mode != "L":
        return [f"its pixels are {mode}, not 8-bit grey"]
    height, width = mask.shape
    rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    problems = []
    if width > size[0] or height > size[1]:
        problems.append(f"{width}x{height} pixels do not fit an idle of {size[0]}x{size[1]}")
    if mask.max() < 250:
        problems.append(f"nowhere does it show the cell: its largest value is {mask.max()}")
    if rim.max() > 0:
        problems.append(f"it has an edge: {rim.max()} on its rim")
    return problems


def _rim_falloff(size: tuple[int, int], iod: float) -> NDArray[np.float32]:
    """(h, w) zero on the rim, rising linearly to one over a feather's length."""
    width, height = size
    margin = max(1.0, _RIM * min(size))
    length = max(_FEATHER * iod, 1.0)
    x = np.minimum(np.arange(width), np.arange(width)[::-1])
    y = np.minimum(np.arange(height), np.arange(height)[::-1])
    inside = np.minimum(x[None, :], y[:, None]) + 1 - margin
    return np.clip(inside / length, 0.0, 1.0).astype(np.float32)
