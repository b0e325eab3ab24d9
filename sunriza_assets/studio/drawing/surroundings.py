"""How hair, neck and shoulders follow a head that the mesh covers only the face of.

Around the face every pixel belongs to the ray from the face's centre through it, and has a radius
r: 1 on the oval, 2 twice as far out. Close by it moves as the skull does (with a depth that falls
back as r grows), further out less, and beyond some radius not at all. Next to the oval it also
takes part in the face's expression. The field is smooth and linear in the pose, so it is kept as a
handful of basis pictures on a coarse grid.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.sampling import read_linearly_at
from sunriza_assets.studio.expression.easing import rise, smoothstep
from sunriza_assets.studio.face.regions import CHIN, OVAL
from sunriza_assets.studio.motion.head_pose import HeadMotion, eye_distance, skull_centre

__all__ = ["Surroundings"]

Array = NDArray[np.float64]
Field = NDArray[np.float32]

# Radii between which following the head fades out, above and beside the face and under the chin.
_FADE_ABOVE: Final = (1.45, 2.6)
_FADE_BELOW: Final = (1.0, 2.5)
_LOOSE: Final = 1.8
"""Factor of the fade's reach without stitching."""
_DEPTH_SLOPE: Final = 0.35
"""Face heights that a pixel lies further back for each unit of r."""
_EXPRESSION_REACH: Final = 0.22
"""Radius over which expression dies out beyond the oval."""
_BORDER_PIN: Final = 0.12
_BORDER_PIN_BELOW: Final = 0.06
"""Share of the picture's size over which motion comes to rest towards its border."""
_INVERSIONS: Final = 6
"""Fixed-point steps; each at least halves the error where the field stretches by less than half."""


@dataclass(frozen=True)
class _Rays:
    """Where each grid cell lies relative to the oval."""

    first: NDArray[np.intp]
    """(G,) oval point before the ray, in ring order."""
    share: Array
    """(G,) 0-1, how far the ray lies towards the next oval point."""
    radius: Array
    """(G,) 1 on the oval."""
    downness: Array
    """(G,) cosine between the ray and the direction of the chin."""


class Surroundings:
    """The displacement field around one portrait's face.

    Args:
        points: (>= 468, 3) landmarks of the portrait, pixels.
        size: (width, height) of the picture.
        shape: (rows, columns) of the grid.
        cell: edge of a grid cell in pixels; the grid begins at the picture's corner and may
            overhang it at the right and below.
        stitched: keep the shoulders and the picture's border in place.
    """

    def __init__(
        self,
        points: NDArray[Any],
        *,
        size: tuple[int, int],
        shape: tuple[int, int],
        cell: float,
        stitched: bool = True,
    ) -> None:
        self._shape, self._cell = shape, cell
        self._centre = skull_centre(points)
        self._oval = points[OVAL].astype(np.float64)
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        x = (columns.ravel() + 0.5) * cell
        y = (rows.ravel() + 0.5) * cell
        rays = _cast(np.stack([x, y], axis=1), self._oval[:, :2])
        depth = _depth(rays, self._oval[:, 2], _face_height(points))
        follow = _follow(rays, stitched=stitched)
        if stitched:
            follow *= _border_pin(x, y, rays.radius, size)
        follow = _softened(follow.reshape(shape), eye_distance(points) / cell)
        self._basis = follow[:, None] * np.stack(
            [x - self._centre[0], y - self._centre[1], depth - self._centre[2], np.ones_like(x)],
            axis=1,
        )
        self._outside = (rays.radius > 1.0 + cell / eye_distance(points)).reshape(shape)
        near = np.exp(-(np.maximum((rays.radius - 1.0) / _EXPRESSION_REACH, 0.0) ** 1.5))
        self._near = np.flatnonzero((near > 0.003) & (rays.radius > 0.5))
        self._near_share = rays.share[self._near, None]
        self._near_first = rays.first[self._near]
        self._near_weight = near[self._near, None]
        self._identity = np.stack([columns, rows], axis=2).astype(np.float32)

    def forward(self, head: HeadMotion, points: NDArray[Any]) -> Field:
        """Where each grid cell goes.

        Args:
            head: motion of the skull.
            points: (>= 468, 3) the face where it goes, expression included.

        Returns:
            (rows, columns, 2) displacement in pixels of the cell at rest.
        """
        field = self._rigid(head).reshape(-1, 2)
        oval = points[OVAL][:, :2] - head.apply(self._oval, self._centre)[:, :2]
        following = np.roll(oval, -1, axis=0)
        along = oval[self._near_first] * (1.0 - self._near_share)
        along += following[self._near_first] * self._near_share
        field[self._near] += self._near_weight * along
        return np.asarray(field.reshape(*self._shape, 2), dtype=np.float32)

    def backward(self, forward: Field) -> Field:
        """The inverse of a displacement field.

        Returns:
            (rows, columns, 2) pixels to add to an arriving cell to find where it came from;
            solves d(q) = -f(q + d(q)) by fixed-point iteration.
        """
        steps = forward / np.float32(self._cell)
        found = -steps
        for _ in range(_INVERSIONS):
            at = self._identity + found
            found = -read_linearly_at(steps, at)
        return np.asarray(found * np.float32(self._cell))

    def stretch(self, head: HeadMotion) -> float:
        """Largest relative stretch outside the oval; from one on, the picture would fold."""
        field = self._rigid(head)
        across = np.abs(np.diff(field, axis=1)) * self._outside[:, 1:, None]
        down = np.abs(np.diff(field, axis=0)) * self._outside[1:, :, None]
        return float(max(across.max(initial=0.0), down.max(initial=0.0))) / self._cell

    def _rigid(self, head: HeadMotion) -> Array:
        """(rows, columns, 2) the part of the field that follows the skull."""
        turned = head.scale * head.rotation
        coefficients = np.stack([*(turned[:2] - np.eye(3)[:2]).T, head.shift])
        return (self._basis @ coefficients).reshape(*self._shape, 2)


def _cast(pixels: Array, oval: Array) -> _Rays:
    """Cast a ray from the oval's centre to each of (G, 2) pixels.

    The oval is a star-shaped polygon around its centre; on the edge from a to b, the ray through p
    is met at a + u (b - a) with u from the cross products of p with a and b.
    """
    centre = oval.mean(axis=0)
    spokes = oval - centre
    rays = pixels - centre
    start = np.arctan2(spokes[0, 1], spokes[0, 0])
    turn = np.sign(_cross(spokes[0], spokes[1]))
    spoke_angles = np.mod(turn * (np.arctan2(spokes[:, 1], spokes[:, 0]) - start), 2 * np.pi)
    spoke_angles = np.maximum.accumulate(np.where(np.arange(len(oval)) == 0, 0.0, spoke_angles))
    ray_angles = np.mod(turn * (np.arctan2(rays[:, 1], rays[:, 0]) - start), 2 * np.pi)
    first = np.clip(np.searchsorted(spoke_angles, ray_angles, side="right") - 1, 0, len(oval) - 1)
    a, b = spokes[first], spokes[(first + 1) % len(oval)]
    to_a, to_b = _cross(a, rays), _cross(rays, b)
    total = to_a + to_b
    share = np.clip(np.where(np.abs(total) > 1e-9, to_a / np.where(total, total, 1.0), 0.5), 0, 1)
    hit = a + share[:, None] * (b - a)
    length = np.linalg.norm(rays, axis=1)
    radius = length / np.maximum(np.linalg.norm(hit, axis=1), 1e-9)
    chin = spokes[int(np.flatnonzero(CHIN == OVAL)[0])]
    downness = rays @ (chin / np.linalg.norm(chin)) / np.maximum(length, 1e-9)
    return _Rays(first, share, radius, downness)


def _cross(a: Array, b: Array) -> Array:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _face_height(points: NDArray[Any]) -> float:
    return float(np.linalg.norm(points[CHIN] - points[OVAL[0]]))


def _depth(rays: _Rays, oval_depth: Array, face_height: float) -> Array:
    """(G,) depth in pixels: the oval's own at r = 1, smoothed along the oval as r grows."""

    def along(values: Array) -> Array:
        following = np.roll(values, -1)
        return np.asarray(
            values[rays.first] * (1 - rays.share) + following[rays.first] * rays.share
        )

    smooth = oval_depth
    for _ in range(6):
        smooth = 0.25 * np.roll(smooth, 1) + 0.5 * smooth + 0.25 * np.roll(smooth, -1)
    away = rise(rays.radius, 1.0, 1.3)
    beyond = np.maximum(rays.radius - 1.0, 0.0)
    depth = along(oval_depth) * (1 - away) + along(smooth) * away
    return np.asarray(depth + _DEPTH_SLOPE * face_height * beyond)


def _follow(rays: _Rays, *, stitched: bool) -> Array:
    """(G,) share of the head's motion that a cell takes part in."""
    below = rise(rays.downness, 0.2, 0.8)
    reach = 1.0 if stitched else _LOOSE
    start = _FADE_ABOVE[0] + (_FADE_BELOW[0] - _FADE_ABOVE[0]) * below
    end = (_FADE_ABOVE[1] + (_FADE_BELOW[1] - _FADE_ABOVE[1]) * below) * reach
    return np.asarray(1.0 - smoothstep((rays.radius - start) / (end - start)))


def _border_pin(x: Array, y: Array, radius: Array, size: tuple[int, int]) -> Array:
    """(G,) 0 on the picture's border, 1 inside and, whatever the border, in the face itself."""
    width, height = size
    sides = np.minimum(x, width - x) / (_BORDER_PIN * width)
    ends = np.minimum(y / (_BORDER_PIN * height), (height - y) / (_BORDER_PIN_BELOW * height))
    pin = smoothstep(np.minimum(sides, ends))
    return np.asarray(pin + (1.0 - pin) * (1.0 - rise(radius, 1.05, 1.4)))


def _softened(values: Array, reach: float) -> Array:
    """Blurred over `reach` cells, so that the polygon of the oval does not show as rays."""
    kernel = 2 * round(0.12 * reach) + 1
    return np.asarray(cv2.blur(values, (kernel, kernel), borderType=cv2.BORDER_REPLICATE).ravel())
