"""The rim of a viseme cell, where cell and idle are blended, and how the two stay aligned.

An app lays a cell over the idle by one affine map per frame. Skin does not move affinely: heads
have depth, jaws drop, cheeks follow. So the map is fitted to the rim only, and at the rim the
idle's mesh is held on the map. The loss of skin motion is less visible than a moving seam.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.roi import Roi
from sunriza_assets.studio.expression.easing import knee
from sunriza_assets.studio.face.regions import LOWER_LIP, UPPER_LIP
from sunriza_assets.studio.face.topology import LIPS_OUTER, MESH_POINTS
from sunriza_assets.studio.overlay.mask import draw_mask

__all__ = ["Rim"]

Array = NDArray[np.float64]

_MIN_WEIGHT: Final = 0.01
"""Weight of a cell's vertices off its rim: small, but it keeps the affine fit determined."""
_HOLD_RADIUS: Final = 0.1
_HOLD_FALLOFF: Final = 0.2
"""Distance from the middle of the rim up to which the mesh is held, and over which the hold then
falls to 1/e, IOD."""
_SHIFT_KNEE_AND_LIMIT: Final = (0.16, 0.32)
"""How far a vertex is moved by the hold, as a share of its distance from the lips: up to the first
as far as it should be, never further than the second. Skin pushed across a lip would fold."""
_MAX_HOLD_DISTANCE: Final = 0.6
"""Distance beyond which nothing is held, IOD."""


class Rim:
    """The rim of the viseme cells of one portrait.

    Args:
        rest: (468, 3) the portrait's mesh at rest, pixels.
        roi: where the cells lie.
        lips: (N, 20, 2) outer lips in all visemes, pixels of a cell.
        iod: distance of the outer eye corners, pixels.
    """

    def __init__(self, rest: Array, roi: Roi, lips: Array, iod: float) -> None:
        self._rest = rest[:, :2]
        places = self._rest - [roi.x, roi.y]
        self.weights = _weights(places, draw_mask(lips, (roi.w, roi.h), iod))
        """(468,) weight of each vertex in the affine fit, 0-1: highest where cell and idle mix."""
        self._hold = _hold(places, lips, (roi.w, roi.h), iod)[:, None]
        self._lip_distance = np.maximum(_distance_to_lips(self._rest), 1e-3 * iod)[:, None]
        self._used = np.flatnonzero(self.weights)
        self._root = np.sqrt(self.weights[self._used])[:, None]
        affine = np.column_stack([self._rest[self._used], np.ones(len(self._used))])
        self._solve = np.linalg.pinv(self._root * affine)

    def track(self, points: Array) -> Array:
        """(2, 3) the affine map nearest to how the rim has gone from rest to a frame's mesh.

        Affine and not a similarity, because a head that turns is foreshortened.

        Args:
            points: (>= 468, 3) the frame's mesh, pixels.
        """
        return np.asarray((self._solve @ (self._root * points[self._used, :2])).T)

    def hold_to_track(self, points: Array, matrix: Array, hold_share: float) -> Array:
        """A frame's mesh with the skin at the rim held on its track.

        Args:
            points: (468, 3) pixels.
            matrix: (2, 3) from `track`.
            hold_share: 0 leaves the skin's own motion, 1 holds it on the track.

        Returns:
            (468, 3) a new mesh; depths as they were.
        """
        result = points.copy()
        mapped = self._rest @ matrix[:, :2].T + matrix[:, 2]
        shift = hold_share * self._hold * (mapped - result[:, :2]) / self._lip_distance
        size = np.maximum(np.linalg.norm(shift, axis=1, keepdims=True), 1e-9)
        result[:, :2] += self._lip_distance * shift * (knee(size, *_SHIFT_KNEE_AND_LIMIT) / size)
        return result


def _weights(places: Array, mask: NDArray[np.uint8]) -> Array:
    """(468,) of vertices at `places` (468, 2), pixels of a cell with this mask."""
    height, width = mask.shape
    column, row = np.floor(places).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    seen = mask[row[inside], column[inside]] / 255.0
    weights = np.zeros(MESH_POINTS)
    weights[inside] = np.maximum(4.0 * seen * (1.0 - seen), _MIN_WEIGHT)
    return weights


def _hold(places: Array, lips: Array, size: tuple[int, int], iod: float) -> Array:
    """(468,) how far each vertex is held on the track, 0-1: 1 along the rim, 0 on the lips.

    Args:
        places: (468, 2) vertices at rest, pixels of a cell.
        lips: (N, 20, 2) outer lips in all visemes, pixels of a cell.
        size: (width, height) of a cell.
        iod: distance of the outer eye corners, pixels.
    """
    pad = int(np.ceil(_MAX_HOLD_DISTANCE * iod))
    width, height = size[0] + 2 * pad, size[1] + 2 * pad
    covered = (draw_mask(lips + pad, (width, height), iod) > 127).astype(np.uint8)
    apart = _distance_to_zero(covered) + _distance_to_zero(1 - covered)
    column, row = np.floor(places + pad).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    hold = np.zeros(MESH_POINTS)
    beyond = np.maximum(apart[row[inside], column[inside]] / iod - _HOLD_RADIUS, 0.0)
    hold[inside] = np.exp(-((beyond / _HOLD_FALLOFF) ** 2))
    hold[np.union1d(UPPER_LIP, LOWER_LIP)] = 0.0
    return hold


def _distance_to_lips(places: Array) -> Array:
    """(468,) distance of each vertex from the outer edge of the lips, pixels."""
    edge = places[LIPS_OUTER]
    edge = np.concatenate([edge, (edge + np.roll(edge, 1, axis=0)) / 2.0])
    return np.asarray(np.linalg.norm(places[:, None] - edge, axis=2).min(axis=1))


def _distance_to_zero(side: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(h, w) distance from where `side` is one to where it is zero, pixels."""
    return np.asarray(cv2.distanceTransform(side, cv2.DIST_L2, 5), dtype=np.float32)
