"""The dense backward map: for every pixel of a frame, where in the portrait it comes from.

Inside the oval the map is exact: the mesh is painted triangle by triangle from far to near, so that
a turned nose hides the cheek behind it, and each pixel reads its triangle's affine displacement.
Around the oval the smooth field of `surroundings` takes over; the two agree on the oval itself and
are cross-faded just inside it. All of it happens at a reduced size where the picture is large (a
displacement is smooth, detail is not in it), and only inside the box that moves.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.surroundings import Surroundings
from sunriza_assets.studio.expression.easing import smoothstep
from sunriza_assets.studio.face.regions import FILLED_TRIANGLES, OVAL, rings_around
from sunriza_assets.studio.face.topology import MESH_POINTS, TRIANGLES
from sunriza_assets.studio.motion.head_pose import HeadMotion, eye_distance, skull_centre

__all__ = ["MIN_DISPLACEMENT", "BackwardMap", "Warp"]

Field = NDArray[np.float32]

_FINEST_IOD: Final = 110.0
"""A face wider between the eyes than this many map pixels gains nothing from a finer map."""
_CELLS_PER_IOD: Final = 10.0
_SLIVER: Final = 0.05
"""Square pixels that every triangle is thickened by, so that slivers have stable affine maps."""
MIN_DISPLACEMENT: Final = 0.02
"""Displacement below which pixels are left as they are, pixels."""
_SEAM: Final = 0.12
"""Width of the cross-fade inside the oval, IOD."""
_EDGE_ON: Final = (0.15, 0.5)
"""Area in the portrait over area in the frame below which a triangle at the outline is not trusted,
and from which on it is."""
_NEAR_OUTLINE: Final[NDArray[np.bool_]] = np.all(
    np.isin(FILLED_TRIANGLES, np.concatenate([OVAL, *rings_around(OVAL, 2)])), axis=1
)
"""(898,) triangles along the outline of the face."""
_FACING: Final = 0.3
"""Area seen over area in space from which on a triangle faces the viewer."""
_SHIFT: Final = 4
"""Fractional bits of painted vertices."""


@dataclass(frozen=True)
class BackwardMap:
    """A rectangle of the frame and where its pixels come from."""

    x: int
    y: int
    sources: Field
    """(h, w, 2) pixel indices (x, y) into the portrait, as `cv2.remap` takes them."""

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the frame that the map covers."""
        height, width = self.sources.shape[:2]
        return slice(self.y, self.y + height), slice(self.x, self.x + width)

    def part(self, rows: slice, columns: slice) -> "BackwardMap":
        """Some of its rows and columns."""
        return BackwardMap(self.x + columns.start, self.y + rows.start, self.sources[rows, columns])


class Warp:
    """Everything about the map that depends on the portrait alone.

    Args:
        points: (>= 468, 3) landmarks of the portrait, pixels.
        size: (width, height) of the picture.
        stitched: keep the shoulders and the picture's border in place.
    """

    def __init__(self, points: NDArray[Any], size: tuple[int, int], *, stitched: bool) -> None:
        self._size = size
        iod = eye_distance(points)
        self._step = max(1, int(np.ceil(iod / _FINEST_IOD)))  # picture pixels in a map pixel
        self._cell = max(1, round(iod / self._step / _CELLS_PER_IOD))  # map pixels in a grid cell
        width, height = size
        pitch = self._step * self._cell
        self._grid = (-(-height // pitch), -(-width // pitch))
        self._surroundings = Surroundings(
            points, size=size, shape=self._grid, cell=float(pitch), stitched=stitched
        )
        self._rest = points[:MESH_POINTS].astype(np.float64)
        self._centre = skull_centre(points)
        self._fold = max(1, round(_SEAM * iod / self._step))
        self._columns = np.arange(width, dtype=np.float32)[None, :]
        self._rows = np.arange(height, dtype=np.float32)[:, None]
        self._index = np.full(
            (self._grid[0] * self._cell, self._grid[1] * self._cell), -1, np.int16
        )

    def stretch(self, head: HeadMotion) -> float:
        """Largest relative stretch beside the face; the map stays one-to-one below one."""
        return self._surroundings.stretch(head)

    def backward_map(
        self, head: HeadMotion, points: NDArray[Any], sources: NDArray[Any] | float = 0.0
    ) -> BackwardMap | None:
        """The map from a frame to the portrait.

        Args:
            head: motion of the skull.
            points: (>= 468, 3) where the mesh goes, pixels of the picture.
            sources: (468, 3) offsets of where the mesh is read from, beside the portrait's own.

        Returns:
            The map, or None where nothing moves.
        """
        around = self._surroundings.backward(self._surroundings.forward(head, points))
        rows, columns = self._moving(around, points)
        if rows.stop <= rows.start or columns.stop <= columns.start:
            return None
        field = _enlarged(around[rows, columns], self._cell)
        origin = (columns.start * self._cell, rows.start * self._cell)
        self._paint_face(field, origin, points, self._rest + sources)
        field = _enlarged(field, self._step)
        x, y = origin[0] * self._step, origin[1] * self._step
        height = min(field.shape[0], self._size[1] - y)
        width = min(field.shape[1], self._size[0] - x)
        places = np.ascontiguousarray(field[:height, :width])
        places[..., 0] += self._columns[:, x : x + width]
        places[..., 1] += self._rows[y : y + height]
        return BackwardMap(x, y, places)

    def folded(self, head: HeadMotion, points: NDArray[Any]) -> float:
        """Share of the mesh's triangles that expression turns over.

        Those that turn away with the head are hidden behind others, as they should be, and those
        seen nearly edge-on turn over with the slightest motion and show nothing: neither counts.
        """
        rigid = head.apply(self._rest, self._centre)[TRIANGLES]
        before = _signed_areas(rigid[:, :, :2])
        whole = np.linalg.norm(
            np.cross(rigid[:, 1] - rigid[:, 0], rigid[:, 2] - rigid[:, 0]), axis=1
        )
        after = _signed_areas(np.asarray(points)[TRIANGLES][:, :, :2])
        turned = (before * after < 0.0) & (np.abs(before) > _FACING * whole)
        return float(np.mean(turned))

    def _moving(self, around: Field, points: NDArray[Any]) -> tuple[slice, slice]:
        """Grid rows and columns that hold everything that moves."""
        pitch = self._step * self._cell
        moving = np.abs(around).max(axis=2) > MIN_DISPLACEMENT
        moving_rows = np.flatnonzero(moving.any(axis=1))
        moving_columns = np.flatnonzero(moving.any(axis=0))
        low = np.array([self._grid[1], self._grid[0]])
        high = np.zeros(2, dtype=np.intp)
        if len(moving_rows):
            low = np.array([moving_columns[0], moving_rows[0]])
            high = np.array([moving_columns[-1] + 1, moving_rows[-1] + 1])
        shifts = np.abs(points[:MESH_POINTS, :2] - self._rest[:, :2]).max(axis=1)
        if shifts.max(initial=0.0) > MIN_DISPLACEMENT:
            face = points[:MESH_POINTS, :2] / pitch
            low = np.minimum(low, np.floor(face.min(axis=0)))
            high = np.maximum(high, np.ceil(face.max(axis=0)))
        low = np.clip(low - 1, 0, None).astype(int)
        high = np.minimum(high + 1, [self._grid[1], self._grid[0]]).astype(int)
        return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))

    def _paint_face(
        self, field: Field, origin: tuple[int, int], points: NDArray[Any], sources: NDArray[Any]
    ) -> None:
        """Lay the mesh's exact displacement over `field`, whose corner is map pixel `origin`."""
        arriving = np.asarray(points[:MESH_POINTS], dtype=np.float64)
        corners = arriving[FILLED_TRIANGLES]
        order = np.argsort(-corners[:, :, 2].mean(axis=1), kind="stable")
        corners = corners[order, :, :2] / self._step - np.array(origin)
        rest = sources[FILLED_TRIANGLES[order]][:, :, :2] / self._step - np.array(origin)
        box = _pixel_box(corners, field.shape)
        if box is None:
            return
        rows, columns = box
        index = self._index[: rows.stop - rows.start, : columns.stop - columns.start]
        index.fill(-1)
        local = corners - np.array([columns.start, rows.start])
        vertices = np.round((local - 0.5) * (1 << _SHIFT)).astype(np.int32)
        paint = cv2.fillConvexPoly
        for number, triangle in enumerate(vertices):
            paint(index, triangle, number, 8, _SHIFT)
        trust = _trust(rest, corners)
        trust[~_NEAR_OUTLINE[order]] = 1.0
        painted = _evaluate(_affine(local, rest - corners), index)
        weight = _seam_weight(np.append(trust, np.float32(0.0))[index], self._fold)[:, :, None]
        view = field[rows, columns]
        view += weight * (painted * np.float32(self._step) - view)


def _enlarged(field: Field, factor: int) -> Field:
    """Bilinear enlargement by a whole factor; cell centres stay where they are."""
    if factor == 1:
        return field
    height, width = field.shape[:2]
    size = (width * factor, height * factor)
    return np.asarray(cv2.resize(field, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _pixel_box(corners: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Rows and columns of a picture of `shape` that the triangles (N, 3, 2) can touch."""
    low = np.floor(corners.min(axis=(0, 1))).astype(int) - 2
    high = np.ceil(corners.max(axis=(0, 1))).astype(int) + 2
    left, top = np.maximum(low, 0)
    right, bottom = np.minimum(high, [shape[1], shape[0]])
    if right <= left or bottom <= top:
        return None
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def _affine(corners: NDArray[np.float64], shifts: NDArray[np.float64]) -> Field:
    """Each triangle's displacement as a ridge-regularised affine function of the pixel index.

    Args:
        corners: (N, 3, 2) vertices, pixels.
        shifts: (N, 3, 2) displacement of each vertex.

    Returns:
        (N, 6) rows (ax, bx, cx, ay, by, cy): dx = ax column + bx row + cx at a pixel's centre.
    """
    middle = corners.mean(axis=1, keepdims=True)
    spread = corners - middle
    moment = np.einsum("nki,nkj->nij", spread, spread) + _SLIVER * np.eye(2)
    mean = shifts.mean(axis=1)
    cross = np.einsum("nki,nkj->nij", spread, shifts - mean[:, None])
    gradient = np.linalg.solve(moment, cross)  # (N, 2 of position, 2 of displacement)
    constant = mean - np.einsum("ni,nij->nj", middle[:, 0] - 0.5, gradient)
    table = np.concatenate([gradient, constant[:, None]], axis=1)  # (N, 3, 2)
    return np.asarray(table.transpose(0, 2, 1).reshape(-1, 6), dtype=np.float32)


def _trust(sources: NDArray[np.float64], corners: NDArray[np.float64]) -> Field:
    """(N,) 0-1 how far each triangle (N, 3, 2) is visible enough in the portrait to be
    stretched to its target: triangles seen edge-on there would become stripes."""
    before, after = _signed_areas(sources), _signed_areas(corners)
    ratio = before / np.where(np.abs(after) > 1e-6, after, 1e-6)
    return np.asarray(
        np.clip((ratio - _EDGE_ON[0]) / (_EDGE_ON[1] - _EDGE_ON[0]), 0, 1), np.float32
    )


def _evaluate(coefficients: Field, index: NDArray[np.int16]) -> Field:
    """Read the affine functions at every pixel of an index picture; 0 where it is -1."""
    table = np.concatenate([coefficients, np.zeros((1, 6), np.float32)])
    read = table[index]
    height, width = index.shape
    x = np.arange(width, dtype=np.float32)[None, :, None]
    y = np.arange(height, dtype=np.float32)[:, None, None]
    return np.asarray(read[:, :, 0::3] * x + read[:, :, 1::3] * y + read[:, :, 2::3])


def _seam_weight(trust: Field, width: int) -> Field:
    """0 on the edge of what is trusted, 1 from `width` pixels inside."""
    kernel = 2 * width + 1
    mean = cv2.blur(trust, (kernel, kernel), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(smoothstep(2.0 * mean - 1.0), dtype=np.float32)


def _signed_areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
