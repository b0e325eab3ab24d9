"""Correction of mesh offsets at the lips: no crossing, no crushing, optional closing.

Offsets measured on another face can push one lip through the other or crush the upper lip against
the nose. And when the portrait smiles with parted lips, a caller may want them closed first.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.regions import LOWER_LIP, NOSE_BASE, UPPER_LIP
from sunriza_assets.studio.face.topology import MESH_POINTS
from sunriza_assets.studio.motion.head_pose import eye_distance

__all__ = ["SEAM", "LipCorrector", "lip_gap"]

Array = NDArray[np.float64]

SEAM: Final = 0.72
"""Where lips that close meet, from the lower rim (0) to the upper (1): mostly the jaw rises. Where
a photo shows teeth, their edge is used, see `PhotoMouth.seam`."""
_ROW_SHARES: Final = (0.45, 0.65, 0.85, 1.0)
"""How much of its inner rim's correction each row of a lip takes, outermost first."""
_CLOSING_REACH: Final = 0.35
"""Distance over which the skin around follows lips that are closed, IOD."""
_MIN_CHIN_ROOM: Final = 0.55
"""Share of its distance below the lower lip that skin keeps, however far the lip falls."""
_PHILTRUM_SHARE: Final = 0.6
"""Largest upward pull between nose and mouth, as a share of the distance between them."""


def lip_gap(points: NDArray[Any]) -> Array:
    """(..., N, 2 or 3) landmarks -> (..., 11) distances of the inner rims, corner to corner."""
    apart = points[..., LOWER_LIP[-1], :] - points[..., UPPER_LIP[-1], :]
    return np.asarray(np.linalg.norm(apart, axis=-1))


class LipCorrector:
    """Corrects mesh offsets of one portrait; all of it in the portrait's own pose.

    Args:
        mesh: (468, 3) the portrait at rest, pixels.
        closed: (11,) share of the portrait's own gap to take away in every frame, column by
            column; 0 leaves the portrait's mouth as it is, 1 closes it.
        seam: where they meet, from the lower rim (0) to the upper (1).
    """

    def __init__(
        self, mesh: Array, *, closed: NDArray[Any] | float = 0.0, seam: float = SEAM
    ) -> None:
        self._mesh = mesh
        self._iod = eye_distance(mesh)
        across = mesh[LOWER_LIP[0, -1], :2] - mesh[LOWER_LIP[0, 0], :2]
        self._down = np.array([-across[1], across[0]]) / np.linalg.norm(across)
        self._gap = self._height(LOWER_LIP[-1]) - self._height(UPPER_LIP[-1])
        self._closing = self._closing_offsets(np.maximum(self._gap, 0.0) * closed, seam)
        philtrum = self._height(UPPER_LIP[:1, 5]) - self._height(np.array([NOSE_BASE]))
        self._pull_limit = max(_PHILTRUM_SHARE * float(philtrum[0]), 1e-3)
        heights = self._height(np.arange(MESH_POINTS))
        lips = np.unique(np.concatenate([UPPER_LIP.ravel(), LOWER_LIP.ravel()]))
        between = (heights > heights[NOSE_BASE]) & (heights <= heights[LOWER_LIP[0]].max())
        near = np.abs(mesh[:, 0] - mesh[lips, 0].mean()) <= 0.6 * np.ptp(mesh[lips, 0])
        self._pulled = np.flatnonzero(between & near)
        self._chin = self._below_lip(heights, near)

    def corrected(self, offsets: Array) -> Array:
        """(468, 3) offsets in pixels -> the same, with lips that neither cross nor pinch.

        The upper lip that may not rise as far as it should leaves the opening to the lower one:
        how wide the mouth opens is what a viewer reads from lips. And a lower lip that may not rise
        far enough to close the mouth leaves the rest to the upper one.
        """
        result = offsets + self._closing
        opened = self._parted(result)
        up = -(result[self._pulled, :2] @ self._down)
        bent = np.where(up > 0, self._pull_limit * np.tanh(up / self._pull_limit), up)
        result[self._pulled, :2] += (up - bent)[:, None] * self._down
        self._part(result, np.maximum(opened - self._parted(result), 0.0), upper_share=0.0)
        unclosed = np.where(opened < 0.0, np.maximum(self._parted(result) - opened, 0.0), 0.0)
        self._part(result, -unclosed, upper_share=1.0)
        self._make_room(result)
        crossing = -(self._gap + self._parted(result)) - np.maximum(-self._gap, 0.0)
        self._part(result, np.maximum(crossing, 0.0), upper_share=0.5)
        return result

    def _parted(self, offsets: Array) -> Array:
        """(11,) how much further than at rest the inner rims are apart, pixels."""
        return (offsets[LOWER_LIP[-1], :2] - offsets[UPPER_LIP[-1], :2]) @ self._down

    def _part(self, offsets: Array, amount: Array, *, upper_share: float) -> None:
        """Move the lips apart, in place, by `amount` (11,) pixels at their inner rims."""
        for row, share in enumerate(_ROW_SHARES):
            shift = share * amount[1:-1, None] * self._down
            offsets[UPPER_LIP[row, 1:-1], :2] -= upper_share * shift
            offsets[LOWER_LIP[row, 1:-1], :2] += (1.0 - upper_share) * shift

    def _below_lip(self, heights: Array, near: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Vertices between the lower lip and the chin, the chin's edge included."""
        lips = np.union1d(UPPER_LIP, LOWER_LIP)
        below = near & (heights > np.interp(self._across(), *self._lip_line()))
        below[lips] = False
        return np.flatnonzero(below)

    def _across(self) -> Array:
        """(468,) place along the line through the corners of the mouth."""
        return np.asarray(self._mesh[:, :2] @ np.array([self._down[1], -self._down[0]]))

    def _lip_line(self) -> tuple[Array, Array]:
        """(11,) places and heights of the lower lip's outer edge at rest."""
        edge = LOWER_LIP[0]
        places = np.maximum.accumulate(self._across()[edge]) + 1e-6 * np.arange(len(edge))
        return places, self._height(edge)

    def _make_room(self, offsets: Array) -> None:
        """Push down, in place, skin that a falling lower lip would fold over, down to the chin."""
        drop = offsets[LOWER_LIP[0], :2] @ self._down
        places, rest = self._lip_line()
        at = self._across()[self._chin]
        apart = self._height(self._chin) - np.interp(at, places, rest)
        shift = offsets[self._chin, :2] @ self._down - np.interp(at, places, drop)
        missing = np.maximum(_MIN_CHIN_ROOM * apart - (apart + shift), 0.0)
        offsets[self._chin, :2] += missing[:, None] * self._down

    def _height(self, vertices: NDArray[np.intp]) -> Array:
        return np.asarray(self._mesh[vertices, :2] @ self._down)

    def _closing_offsets(self, taken: Array, seam: float) -> Array:
        """(468, 3) offsets that narrow the gap by `taken` (11,) pixels, skin around following."""
        offsets = np.zeros((MESH_POINTS, 3))
        if taken.max() <= 0.0:
            return offsets
        sources, shifts = [], []
        for rows, share in ((UPPER_LIP, 1.0 - seam), (LOWER_LIP, -seam)):
            shift = share * taken[:, None] * self._down
            for row in rows:
                offsets[row, :2] = shift
            sources.append(self._mesh[rows[0], :2])
            shifts.append(shift)
        outer, shift = np.concatenate(sources), np.concatenate(shifts)
        lips = np.union1d(UPPER_LIP, LOWER_LIP)
        skin = np.setdiff1d(np.arange(MESH_POINTS), lips)
        apart = np.linalg.norm(self._mesh[skin, None, :2] - outer[None], axis=2)
        weights = 1.0 / np.maximum(apart, 1e-3) ** 3  # inverse-distance weighting, Shepard 1968
        near = np.exp(-((apart.min(axis=1) / (_CLOSING_REACH * self._iod)) ** 2))
        below_nose = self._height(skin) > self._height(np.array([NOSE_BASE]))
        followed = weights @ shift / weights.sum(axis=1, keepdims=True)
        offsets[skin, :2] = followed * (near * below_nose)[:, None]
        return offsets
