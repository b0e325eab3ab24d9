"""Finds the upper rims of glasses, so that no blink drags them down.

Only faces with glasses have a thin line across the bridge of the nose. If there is one, rims are
searched for above each eye, between lid and brow. Everything is measured in a patch with level eyes
and a fixed distance between them.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.regions import UPPER_LIDS
from sunriza_assets.studio.face.topology import LEFT_BROW, OUTER_EYE_CORNERS, RIGHT_BROW
from sunriza_assets.studio.motion.head_pose import eye_distance

__all__ = ["find_rims"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

_IOD: Final = 200
"""Distance of the outer eye corners in the patch, pixels."""
_HALF_WIDTH: Final = 170
_ABOVE: Final = 90
_BELOW: Final = 70
"""Extent of the patch around the middle between the eyes, its pixels."""
_LINE: Final = 11
"""Widest line that counts as thin, patch pixels."""
_BRIDGE: Final = 22
"""Half the width of the strip that the bridge must cross, patch pixels."""
_BRIDGE_BAND: Final = (-45, 30)
"""Rows of the patch, from the line through the eyes, in which a bridge can lie."""
_CLEAR_BRIDGE: Final = 3.0
"""Contrast of the bridge, in units of what is usual in a face, from which on it is one (skin
reaches 1, thin wire more than 4)."""
_CLEAR_RIM: Final = 0.5
"""Contrast of a rim as a share of the bridge's; the crease of a lid has less."""
_SECOND_RIM: Final = 0.3
"""What is enough for one eye when the other has a clear rim."""
_HALF_LINE: Final = 4
_SLOPE: Final = 2
"""Steepest line followed, rows per column."""


def find_rims(picture: Image, points: NDArray[Any]) -> NDArray[np.uint8] | None:
    """The upper rims of glasses.

    Args:
        picture: (H, W, 3) RGB.
        points: (478, 3) landmarks, pixels.

    Returns:
        (H, W) uint8 matte of the rims above both eyes, or None where there are none.
    """
    to_patch = _patch_map(points)
    size = (2 * _HALF_WIDTH, _ABOVE + _BELOW)
    patch = cv2.warpAffine(
        picture, to_patch, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    lines = _thin_lines(np.asarray(patch, dtype=np.uint8))
    bridge = _bridge_contrast(lines)
    if bridge < _CLEAR_BRIDGE:
        return None
    local = points[:, :2] @ to_patch[:, :2].T + to_patch[:, 2]
    rims = np.zeros(lines.shape, np.uint8)
    traces = [
        _trace(lines, local[UPPER_LIDS[side]], local[brow])
        for side, brow in enumerate((RIGHT_BROW, LEFT_BROW))
    ]
    found = [trace for trace in traces if trace is not None]
    if max((trace.contrast for trace in found), default=0.0) < _CLEAR_RIM * bridge:
        return None
    for trace in found:
        if trace.contrast >= _SECOND_RIM * bridge:
            trace.paint(lines, rims)
    height, width = picture.shape[:2]
    soft = cv2.GaussianBlur(rims, (0, 0), 1.2)
    back = cv2.warpAffine(
        soft, to_patch, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    return np.asarray(back, dtype=np.uint8)


def _patch_map(points: NDArray[Any]) -> NDArray[np.float64]:
    """(2, 3) map of continuous pixels into the patch."""
    right, left = (points[corner, :2] for corner in OUTER_EYE_CORNERS)
    along = (left - right) / np.linalg.norm(left - right)
    turn = np.array([along, [-along[1], along[0]]]) * (_IOD / eye_distance(points))
    middle = turn @ (0.5 * (left + right))
    return np.column_stack([turn, np.array([_HALF_WIDTH, _ABOVE]) - middle])


def _thin_lines(patch: Image) -> Plane:
    """How much a pixel stands out from both sides of a thin line, dark or bright, in units of
    what is usual in the patch."""
    grey = cv2.GaussianBlur(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_LINE, _LINE))
    dark = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel)
    bright = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, kernel)
    response = np.maximum(dark, bright).astype(np.float32)
    return np.asarray(response / (np.median(response) + 2.0))


def _bridge_contrast(lines: Plane) -> float:
    """Weakest stretch of the best line across the nose, in units of skin."""
    low, high = (_ABOVE + row for row in _BRIDGE_BAND)
    strip = lines[low:high, _HALF_WIDTH - _BRIDGE : _HALF_WIDTH + _BRIDGE]
    path = _best_path(strip)
    along = strip[path, np.arange(strip.shape[1])]
    return float(np.percentile(along, 20))


@dataclass(frozen=True)
class _Trace:
    """The most line-like path above one eye."""

    columns: NDArray[np.intp]
    rows: NDArray[np.intp]
    contrast: float
    """Of its weaker parts, in units of what is usual in the face."""

    def paint(self, lines: Plane, rims: NDArray[np.uint8]) -> None:
        """Mark the line, as thick as it is, in `rims`."""
        for column, row in zip(self.columns, self.rows, strict=True):
            reach = slice(max(row - _HALF_LINE, 0), row + _HALF_LINE + 1)
            strong = lines[reach, column] > 0.45 * lines[row, column]
            rims[reach, column][strong] = 255


def _trace(lines: Plane, lid: NDArray[Any], brow: NDArray[Any]) -> _Trace | None:
    """Follow the clearest line between an upper lid's rim and its brow."""
    width = float(lid[-1, 0] - lid[0, 0])
    columns = np.arange(int(lid[0, 0] - 0.15 * width), int(lid[-1, 0] + 0.15 * width))
    columns = columns[(columns >= 0) & (columns < lines.shape[1])]
    rim = np.interp(columns, lid[:, 0], lid[:, 1])
    top = max(int(brow[:, 1].max() - 0.1 * width), 0)
    bottom = min(int(rim.max()), lines.shape[0])
    if len(columns) < _LINE or bottom - top < _LINE:
        return None
    band = lines[top:bottom, columns].copy()
    band[np.arange(top, bottom)[:, None] > rim[None, :] - 0.04 * width] = -1.0
    path = _best_path(band)
    contrast = float(np.percentile(band[path, np.arange(len(columns))], 10))
    return _Trace(columns, path + top, contrast)


def _best_path(cost: Plane) -> NDArray[np.intp]:
    """(rows, columns) of worth -> (columns,) row of the worthiest unbroken path from left to right
    (dynamic programming; R. Bellman, 1957)."""
    rows, columns = cost.shape
    capped = np.minimum(cost, 6.0)
    total = capped[:, 0].copy()
    origin = np.zeros((rows, columns), dtype=np.intp)
    for column in range(1, columns):
        padded = np.pad(total, _SLOPE, constant_values=-np.inf)
        choices = np.stack([padded[k : k + rows] for k in range(2 * _SLOPE + 1)])
        choices -= 0.15 * np.abs(np.arange(-_SLOPE, _SLOPE + 1))[:, None]
        step = np.argmax(choices, axis=0)
        origin[:, column] = np.arange(rows) + step - _SLOPE
        total = choices[step, np.arange(rows)] + capped[:, column]
    path = np.empty(columns, dtype=np.intp)
    path[-1] = int(np.argmax(total))
    for column in range(columns - 1, 0, -1):
        path[column - 1] = origin[path[column], column]
    return path
