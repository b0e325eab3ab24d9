"""How well a viseme cell joins the idle that it is laid over."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image, Rendering, VisemeCells
from sunriza_assets.studio.overlay.mask import draw_mask

__all__ = ["rim_difference"]

_RIM_OPACITY: Final = (0.05, 0.95)
"""Opacity between which a pixel belongs to the mask's soft rim, where cell and idle are mixed."""
_FRAME_STEP: Final = 5
"""Frames from one to the next that is compared."""


def rim_difference(rendering: Rendering, visemes: VisemeCells) -> float:
    """Mean difference of the cell at rest and the idle in the mask's soft rim, grey levels.

    The cell is laid over every fifth frame along the track, as the app does it.
    """
    roi = visemes.roi
    mask = draw_mask(visemes.lips, (roi.w, roi.h), visemes.iod).astype(np.float32) / 255.0
    pairs = zip(rendering.frames(), rendering.track, strict=True)
    return float(
        np.mean(
            [
                _difference(frame, visemes.cells["Rest"], mask, _from_cell(matrix, roi.x, roi.y))
                for number, (frame, matrix) in enumerate(pairs)
                if number % _FRAME_STEP == 0
            ]
        )
    )


def _from_cell(matrix: NDArray[Any], x: int, y: int) -> NDArray[np.float64]:
    """(2, 3) map of a cell's pixel indices to the frame's, from the track's map of points."""
    result = np.array(matrix, dtype=np.float64)
    result[:, 2] += result[:, :2] @ (x + 0.5, y + 0.5) - 0.5
    return result


def _difference(
    frame: Image, cell: Image, mask: NDArray[np.float32], matrix: NDArray[np.float64]
) -> float:
    size = (frame.shape[1], frame.shape[0])
    laid = cv2.warpAffine(cell, matrix, size, flags=cv2.INTER_CUBIC)
    opacity = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR)
    rim = (opacity > _RIM_OPACITY[0]) & (opacity < _RIM_OPACITY[1])
    return float(np.abs(laid[rim].astype(np.float64) - frame[rim]).mean())
