"""Folds of a mesh: finding triangles that a displacement turns over, and untangling them.

A fold shows as a torn, serrated edge: the picture is read there twice, or not at all. Landmarks of
another face fold where the portrait's proportions differ, below a lip that falls onto a chin and in
the rings around the eyes. Where that happens neighbours are made to move alike, and nowhere else.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.regions import EYE_CONTOURS, LOWER_LIP, UPPER_LIP
from sunriza_assets.studio.face.topology import MESH_POINTS, TRIANGLES

__all__ = ["Folds"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_TANGLED: Final = 0.06
_UNTANGLED: Final = 0.12
"""Area over area at rest below which a triangle is about to turn over, and up to which its vertices
are moved then."""
_SEEN: Final = 0.10
_FACING: Final = 0.30
"""Area seen over area in space from which on a triangle is looked at, and from which on one that
has turned over counts as a fold: what is seen edge-on turns over with the slightest motion."""
_SLIVER: Final = 4e-4
"""Twice the area, IOD squared, below which averaging only makes a triangle worse."""
_ROUNDS: Final = 12
_WIDER_FROM: Final = 9
"""How often neighbours are averaged, and from which round on those of their neighbours, too."""
_STEP: Final = 0.6
_PROJECTIONS: Final = 48
"""How often what is folded still is pushed open by the least motion that does it."""
_RIM_MOBILITY: Final = 0.3
"""Motion of `_FIXED` vertices in that over other vertices'."""
_FIXED: Final[NDArray[np.intp]] = np.unique(
    np.concatenate([UPPER_LIP[-1], LOWER_LIP[-1], EYE_CONTOURS.ravel()])
)
"""Vertices that keep their displacement: the rims of the lips say how far the mouth is open, and
lids are drawn where the rims of the eyes are."""


class Folds:
    """The triangles of a portrait's mesh as they are seen in one frame, its head turned.

    Args:
        rigid: (468, 3) the mesh at rest where the head has carried it, pixels.
        iod: distance of the outer eye corners there, pixels.
    """

    def __init__(self, rigid: Array, iod: float) -> None:
        corners = rigid[TRIANGLES]
        edges = corners[:, 1:] - corners[:, :1]
        flat = _area(edges[..., :2])
        whole = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
        self._flat = np.where(np.abs(flat) > 1e-9, flat, 1e-9)
        self._seen = np.abs(flat) > _SEEN * whole
        self._facing = np.abs(flat) > _FACING * whole
        self._large = np.abs(flat) > _SLIVER * iod**2

    def of(self, points: Array) -> Mask:
        """(852,) whether expression turns a triangle over that has moved to `points` (468, 3)."""
        return np.asarray((self._stretch(points) < 0.0) & self._facing)

    def untangled(self, points: Array, rigid: Array) -> Array:
        """(468, 3) the mesh with no triangle turned over, as far as that can be: vertices of folded
        ones are moved as their neighbours are, all others stay.

        Args:
            points: (468, 3) the mesh in the frame, pixels.
            rigid: (468, 3) the same without expression.
        """
        if not self._below(points, _TANGLED).any():
            return points
        result = points.copy()
        for round_ in range(_ROUNDS):
            tangled = self._below(result, _UNTANGLED) & self._large
            if not tangled.any():
                break
            moved = np.zeros(MESH_POINTS, dtype=np.bool_)
            moved[TRIANGLES[tangled].ravel()] = True
            if round_ >= _WIDER_FROM:
                moved[_NEIGHBOURS[moved].ravel()] = True
            vertices = np.flatnonzero(moved & _MOVABLE)
            if len(vertices) == 0:
                break
            around = _NEIGHBOURS[vertices]
            wanted = (_SHARES[vertices, :, None] * (result[around] - rigid[around])).sum(axis=1)
            result[vertices] += _STEP * (wanted + rigid[vertices] - result[vertices])
        for _ in range(_PROJECTIONS):
            folded = np.flatnonzero(self._below(result, _TANGLED))
            if len(folded) == 0:
                break
            self._push_open(result, folded)
        return result

    def _push_open(self, points: Array, folded: NDArray[np.intp]) -> None:
        """Move the vertices of some triangles, in place, by the least that gives these the area of
        `_UNTANGLED`: along the gradient of the area (position-based dynamics, M. Mueller et al.,
        J. Visual Communication 18, 2007), averaged where triangles share a vertex."""
        triangles = TRIANGLES[folded]
        at = points[triangles, :2]
        opposite = np.roll(at, -1, axis=1) - np.roll(at, -2, axis=1)  # the edge each vertex faces
        gradient = np.stack([opposite[..., 1], -opposite[..., 0]], axis=-1)
        missing = _UNTANGLED * self._flat[folded] - _area(at[:, 1:] - at[:, :1])
        weights = np.where(_MOVABLE[triangles], 1.0, _RIM_MOBILITY)[..., None]
        size = np.maximum((weights * gradient**2).sum(axis=(1, 2)), 1e-6)
        step = (missing / size)[:, None, None] * weights * gradient
        moved = np.zeros((MESH_POINTS, 3))
        np.add.at(moved[:, :2], triangles, step)
        np.add.at(moved[:, 2], triangles, 1.0)
        points[:, :2] += moved[:, :2] / np.maximum(moved[:, 2:], 1.0)

    def _below(self, points: Array, least: float) -> Mask:
        return np.asarray((self._stretch(points) < least) & self._seen)

    def _stretch(self, points: Array) -> Array:
        """(852,) area of each triangle over its area at rest, less than 0 where turned over."""
        corners = points[TRIANGLES, :2]
        return _area(corners[:, 1:] - corners[:, :1]) / self._flat


def _area(edges: Array) -> Array:
    """(N,) twice the signed areas between pairs of edges (N, 2, 2)."""
    return np.asarray(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])


def _neighbours() -> tuple[NDArray[np.intp], Array]:
    """(468, K) the vertices that share an edge with each, itself where there are fewer than K, and
    (468, K) the share of each in their mean."""
    edges: list[set[int]] = [set() for _ in range(MESH_POINTS)]
    triangles: Any = TRIANGLES.tolist()
    for a, b, c in triangles:
        edges[a] |= {b, c}
        edges[b] |= {a, c}
        edges[c] |= {a, b}
    most = max(len(around) for around in edges)
    table = np.repeat(np.arange(MESH_POINTS)[:, None], most, axis=1)
    share = np.zeros((MESH_POINTS, most))
    for vertex, around in enumerate(edges):
        table[vertex, : len(around)] = sorted(around)
        share[vertex, : len(around)] = 1.0 / max(len(around), 1)
    return table, share


_NEIGHBOURS, _SHARES = _neighbours()
_MOVABLE: Final[Mask] = ~np.isin(np.arange(MESH_POINTS), _FIXED)
