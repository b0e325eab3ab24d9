"""The coordinates of one eye: x from corner to corner, y down, both lid rims curves.

Lengths around eyes scale with the eye's width W and its largest opening A. A narrow eye has a lid
of normal height all the same: `lid` is the opening, but at least a share of the width.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from sunriza_assets.studio.drawing.sampling import read_at
from sunriza_assets.studio.face.regions import LOWER_LIDS, UPPER_LIDS
from sunriza_assets.studio.face.topology import (
    IRIS_CENTRES,
    LEFT_BROW,
    LEFT_IRIS,
    RIGHT_BROW,
    RIGHT_IRIS,
)

__all__ = ["EyeFrame"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Array = NDArray[np.float64]

_LEAST_LID: Final = 0.22
"""Height of a lid over the eye's width, at least."""
_ABOVE: Final = 1.5
_BELOW: Final = 1.4
"""Reach of the window above the upper rim and below the lower one, lids."""
_BESIDE: Final = 0.25
"""And beside the corners, W."""


class EyeFrame:
    """The coordinates of one eye.

    Args:
        points: (478, 3) landmarks of the portrait, pixels.
        side: 0 the subject's right eye, 1 the left.
        picture: (H, W, 3) RGB.
    """

    def __init__(self, points: NDArray[Any], side: int, picture: Image) -> None:
        size = (picture.shape[1], picture.shape[0])
        upper, lower = points[UPPER_LIDS[side], :2], points[LOWER_LIDS[side], :2]
        origin, across = upper[0], upper[-1] - upper[0]
        self.width = max(float(np.linalg.norm(across)), 1.0)
        """W: distance of the corners, pixels."""
        right = across / self.width
        self._axes = np.stack([right, [-right[1], right[0]]]).astype(np.float32)  # rows: x, y
        upper, lower = ((rim - origin) @ self._axes.T for rim in (upper, lower))
        inner = np.linspace(0.0, self.width, 40)
        self.opening = float((_curve(lower)(inner) - _curve(upper)(inner)).max())
        """A: largest distance of the rims, pixels."""
        self.lid = max(self.opening, _LEAST_LID * self.width)
        """Height of the lid, pixels."""
        brow = points[(RIGHT_BROW, LEFT_BROW)[side], :2]
        below_brow = float(upper[:, 1].min()) - float(np.max((brow - origin) @ self._axes[1]))
        self.below_brow = max(below_brow, 0.0)
        """Height of the skin between the upper rim and the brow, pixels."""
        iris = points[IRIS_CENTRES[side], :2]
        rim = points[(RIGHT_IRIS, LEFT_IRIS)[side][1:], :2]
        self.iris_radius = float(np.linalg.norm(rim - iris, axis=1).mean())
        self.iris = (iris - origin) @ self._axes.T
        """(2,) place of the iris."""
        self.window = self._find_window(origin, upper, lower, size)
        """Rows and columns of the picture that the eye may touch."""
        rows, columns = self.window
        x = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5 - origin[0])
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        y = y + np.float32(0.5 - origin[1])
        self.x = np.asarray(self._axes[0, 0] * x + self._axes[0, 1] * y, dtype=np.float32)
        """(h, w) of the window's pixels."""
        self.y = np.asarray(self._axes[1, 0] * x + self._axes[1, 1] * y, dtype=np.float32)
        inside = np.clip(self.x, 0.0, self.width)
        self.upper = _curve(upper)(inside).astype(np.float32)
        """(h, w) y of the upper rim in this column."""
        self.lower = np.maximum(_curve(lower)(inside).astype(np.float32), self.upper)
        self.soft = np.float32(max(0.8, 0.018 * self.width))
        """Width of a lid's edge, pixels."""
        self.middle = np.sqrt(
            np.maximum(1.0 - (2.0 * inside / np.float32(self.width) - 1.0) ** 2, 0.0)
        ).astype(np.float32)
        """(h, w) 0 at the corners, 1 in the middle between them: an ellipse."""

    def read(self, picture: Image, dx: Any, dy: Any) -> Plane:
        """(h, w, 3) the picture read (dx, dy) away in eye coordinates, float32."""
        rows, columns = self.window
        height, width = self.y.shape
        places = np.empty((height, width, 2), dtype=np.float32)
        places[..., 0] = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :]
        places[..., 1] = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        places[..., 0] += dx * self._axes[0, 0] + dy * self._axes[1, 0]
        places[..., 1] += dx * self._axes[0, 1] + dy * self._axes[1, 1]
        return read_at(picture, places).astype(np.float32)

    def shifted(self, dx: Any, dy: Any) -> NDArray[np.float32]:
        """(h, w, 2) places in the window (dx, dy) away in eye coordinates, for planes of it."""
        height, width = self.y.shape
        places = np.empty((height, width, 2), dtype=np.float32)
        places[..., 0] = np.arange(width, dtype=np.float32)[None, :]
        places[..., 1] = np.arange(height, dtype=np.float32)[:, None]
        places[..., 0] += dx * self._axes[0, 0] + dy * self._axes[1, 0]
        places[..., 1] += dx * self._axes[0, 1] + dy * self._axes[1, 1]
        return places

    def _find_window(
        self, origin: Array, upper: Array, lower: Array, size: tuple[int, int]
    ) -> tuple[slice, slice]:
        top = float(upper[:, 1].min()) - max(_ABOVE * self.lid, self.below_brow)
        bottom = float(lower[:, 1].max()) + _BELOW * self.lid
        left, right = -_BESIDE * self.width, (1.0 + _BESIDE) * self.width
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        corners = corners @ self._axes + origin
        low = np.clip(np.floor(corners.min(axis=0)), 0, size).astype(int)
        high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, size).astype(int)
        return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _curve(rim: NDArray[Any]) -> PchipInterpolator:
    """A lid's rim, (N, 2) points from corner to corner, as a monotone cubic y(x)."""
    x = np.maximum.accumulate(rim[:, 0] + 1e-3 * np.arange(len(rim)))
    return PchipInterpolator(x + 1e-6 * np.arange(len(rim)), rim[:, 1])
