"""Where the face crop lies in a picture.

Two sets of landmarks are known: the 203 points of LivePortrait's own model, and the face mesh's
478, of which those are taken that outline the same parts: brows, eyes, nose, lips and the face's
edge from the temples down. (The forehead, which the published pipeline's landmarks do not cover,
would make every crop a fifth too large.)

Points here are pixel centres: the middle of pixel i of a row is at x = i. The face mesh counts from
a pixel's edge; `mesh_points` converts.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.face.topology import (
    LEFT_BROW,
    LEFT_EYE,
    LIPS_OUTER,
    RIGHT_BROW,
    RIGHT_EYE,
)

__all__ = [
    "DRIVING",
    "LANDMARKER",
    "MESH_478",
    "POINTS_203",
    "SOURCE",
    "FaceSquare",
    "Framing",
    "Scheme",
    "cut",
    "fitted_size",
    "mean_square",
    "mesh_points",
    "shrunk_size",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scheme:
    """The landmarks of a numbering that locate a face."""

    eyes: tuple[tuple[int, ...], tuple[int, ...]]
    """Points whose mean is the middle of either eye, the one on the picture's left first."""
    mouth: tuple[int, int]
    """Corners of the mouth."""
    outline: tuple[int, ...] | None = None
    """Points that the square is drawn around; None for all."""


def _outline_of_mesh() -> tuple[int, ...]:
    edge = (
        127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152,
        377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356,
    )  # fmt: skip
    nose = (168, 6, 197, 195, 5, 4, 1, 2, 98, 327)
    rings = (RIGHT_BROW, LEFT_BROW, RIGHT_EYE, LEFT_EYE, LIPS_OUTER)
    return (*edge, *nose, *(int(point) for ring in rings for point in ring))


POINTS_203: Final = Scheme(((0, 6, 12, 18), (24, 30, 36, 42)), (48, 66))
MESH_478: Final = Scheme(((33, 159, 133, 145), (362, 386, 263, 374)), (61, 291), _outline_of_mesh())


@dataclass(frozen=True, slots=True)
class Framing:
    """How much of a face's surroundings a crop shows."""

    size: int
    """Side of the crop, pixels."""
    scale: float
    """Side of the square over the longer side of the face."""
    rise: float
    """How far the square's middle stands above the face's, in sides."""
    turned: bool
    """Whether the square leans with the head."""


SOURCE: Final = Framing(512, 2.3, 0.125, turned=True)
"""A portrait, and what the generator paints."""
DRIVING: Final = Framing(512, 2.2, 0.1, turned=False)
"""A clip; one square holds for all of it, so that the head's way through it is motion."""
LANDMARKER: Final = Framing(224, 1.5, 0.1, turned=True)
"""The input of the 203-point model."""


@dataclass(frozen=True, slots=True)
class FaceSquare:
    """A square around a face."""

    x: float
    """Middle, pixels."""
    y: float
    """Middle, pixels."""
    side: float
    """Pixels."""
    angle: float
    """By how much it is turned, radians, clockwise as seen."""

    @classmethod
    def around(cls, points: NDArray[Any], scheme: Scheme, framing: Framing) -> "FaceSquare":
        """The square around one face's landmarks.

        Its axes are those of the face: down is from the middle of the eyes to that of the mouth.

        Args:
            points: (N, >= 2) landmarks, pixel centres.
            scheme: their numbering.
            framing: how large and how high the square is.
        """
        xy = np.asarray(points, dtype=np.float32)[:, :2].astype(np.float64)
        down = _face_axis(xy, scheme)
        axes = np.stack([[down[1], -down[0]], down])  # right, down
        outline = xy if scheme.outline is None else xy[list(scheme.outline)]
        middle = outline.mean(axis=0)
        across = (outline - middle) @ axes.T
        low, high = across.min(axis=0), across.max(axis=0)
        side = float((high - low).max()) * framing.scale
        centre = middle + (low + high) / 2 @ axes - framing.rise * side * axes[1]
        angle = float(np.arctan2(axes[0, 1], axes[0, 0]))
        return cls(float(centre[0]), float(centre[1]), side, angle if framing.turned else 0.0)

    @classmethod
    def of_picture(cls, image: Image) -> "FaceSquare":
        """The largest square in the middle of a picture that is a crop of a face already."""
        height, width = image.shape[:2]
        return cls((width - 1) / 2, (height - 1) / 2, float(min(height, width)), 0.0)

    def to_crop(self, size: int) -> Array:
        """(3, 3) matrix from the picture to a crop of `size` pixels."""
        scale = size / self.side
        cos, sin = scale * np.cos(self.angle), scale * np.sin(self.angle)
        return np.array(
            [
                [cos, sin, size / 2 - (cos * self.x + sin * self.y)],
                [-sin, cos, size / 2 - (-sin * self.x + cos * self.y)],
                [0.0, 0.0, 1.0],
            ]
        )


def mean_square(squares: NDArray[Any]) -> FaceSquare:
    """The one square for a whole clip: (T, 3) of x, y, side -> their means, upright."""
    x, y, side = np.asarray(squares, dtype=np.float64).mean(axis=0)
    return FaceSquare(float(x), float(y), float(side), 0.0)


def mesh_points(points: NDArray[Any]) -> Array:
    """(..., 3) face mesh landmarks, counted from pixels' edges -> (..., 2) pixel centres."""
    return np.asarray(points[..., :2], dtype=np.float64) - 0.5


def cut(image: Image, to_crop: Array, size: int) -> Image:
    """The crop of a picture under a (3, 3) matrix; bilinear, black outside."""
    warped = cv2.warpAffine(
        image, to_crop[:2], (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return np.asarray(warped, dtype=np.uint8)


def fitted_size(size: tuple[int, int], longest: int, division: int = 2) -> tuple[int, int]:
    """Size that a picture is brought to, and then cut to.

    Args:
        size: (height, width).
        longest: the longer side is brought down to it, never up.
        division: both sides are then cut to a multiple of it; a side smaller than it stays.

    Returns:
        (height, width).
    """
    height, width = shrunk_size(size, longest)
    return _divisible(height, division), _divisible(width, division)


def shrunk_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """(height, width) before the cut: the longer side exact, the other rounded down."""
    height, width = size
    if max(size) <= longest:
        return size
    scale = longest / max(size)
    if height >= width:
        return longest, int(width * scale)
    return int(height * scale), longest


def _divisible(side: int, division: int) -> int:
    return side - side % division if side >= division else side


def _face_axis(xy: Array, scheme: Scheme) -> Array:
    """(2,) unit vector from the middle of the eyes to that of the mouth; down if they coincide."""
    eyes = np.mean([xy[list(eye)].mean(axis=0) for eye in scheme.eyes], axis=0)
    down = xy[list(scheme.mouth)].mean(axis=0) - eyes
    length = float(np.linalg.norm(down))
    return down / length if length > 1e-3 else np.array([0.0, 1.0])
