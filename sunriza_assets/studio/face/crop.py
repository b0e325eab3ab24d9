"""The rotated square crop of a picture that is a landmark model's input.

Coordinates are continuous pixels: pixel i covers [i, i+1), so its centre is i + 0.5.
"""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.topology import MESH_POINTS, OUTER_EYE_CORNERS

__all__ = ["FaceCrop"]

_MARGIN: Final = 1.5
"""Side of the crop over the longer side of the face's box, as the models were trained."""
_SHRINK_FROM: Final = 2.0
"""Bilinear sampling skips pixels beyond this reduction, so larger ones are area-averaged first."""


@dataclass(frozen=True, slots=True)
class FaceCrop:
    """A square in a picture, turned so that the eyes lie level in it."""

    x: float
    """Centre, pixels."""
    y: float
    """Centre, pixels."""
    side: float
    """Side of the square, pixels, > 0."""
    angle: float
    """Radians from the picture's x axis to the square's, clockwise as seen (y points down)."""

    @classmethod
    def around_box(
        cls,
        box: NDArray[np.floating],
        right_eye: NDArray[np.floating],
        left_eye: NDArray[np.floating],
    ) -> "FaceCrop":
        """Crop for a detected face.

        Args:
            box: (4,) x0, y0, x1, y1.
            right_eye: (2,) the subject's right eye.
            left_eye: (2,) the subject's left eye.
        """
        x0, y0, x1, y1 = (float(value) for value in box)
        angle = math.atan2(float(left_eye[1] - right_eye[1]), float(left_eye[0] - right_eye[0]))
        side = _MARGIN * max(x1 - x0, y1 - y0)
        return cls((x0 + x1) / 2, (y0 + y1) / 2, side, angle)

    @classmethod
    def around_points(cls, points: NDArray[np.floating]) -> "FaceCrop":
        """Crop for the next pass over a face whose landmarks, (>=468, >=2), are known."""
        right, left = (points[index, :2] for index in OUTER_EYE_CORNERS)
        angle = math.atan2(float(left[1] - right[1]), float(left[0] - right[0]))
        axes = _rotation(angle)
        turned = points[:MESH_POINTS, :2] @ axes
        low, high = turned.min(axis=0), turned.max(axis=0)
        x, y = axes @ ((low + high) / 2)
        return cls(float(x), float(y), _MARGIN * float((high - low).max()), angle)

    def to_picture(self, size: int) -> NDArray[np.float64]:
        """(2, 3) affine map from the crop sampled at `size` pixels a side to the picture."""
        turn = _rotation(self.angle) * (self.side / size)
        shift = np.array([self.x, self.y]) - turn @ (size / 2, size / 2)
        return np.column_stack([turn, shift])

    def sample(self, image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """Cut the crop out of an RGB picture (H, W, 3) as (size, size, 3); edges are repeated."""
        matrix = self.to_picture(size)
        scale = self.side / size
        if scale > _SHRINK_FROM:
            image, reduction, origin = self._shrunk(image, scale)
            matrix = (matrix - np.column_stack([np.zeros((2, 2)), origin])) / reduction[:, None]
        # cv2 counts pixel centres as whole numbers: shift by half a pixel on both sides.
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
        sampled = cv2.warpAffine(
            image,
            matrix,
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(sampled, dtype=np.uint8)

    def placed(self, points: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """Points (N, 3) of the crop sampled at `size`, in pixels of the picture, z in scale."""
        matrix = self.to_picture(size)
        xy = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        return np.column_stack([xy, points[:, 2] * (self.side / size)]).astype(np.float32)

    def _shrunk(
        self, image: NDArray[np.uint8], scale: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
        """The neighbourhood alone, reduced to about the crop's resolution.

        Cutting first matters: reducing a whole photograph costs more than the landmarks do.

        Returns:
            the reduced neighbourhood, (2,) pixels of the picture per reduced pixel, (2,) origin.
        """
        height, width = image.shape[:2]
        reach = self.side * (abs(math.cos(self.angle)) + abs(math.sin(self.angle))) / 2 + scale
        x0 = int(np.clip(self.x - reach, 0, width - 1))
        y0 = int(np.clip(self.y - reach, 0, height - 1))
        x1 = int(np.clip(math.ceil(self.x + reach), x0 + 1, width))
        y1 = int(np.clip(math.ceil(self.y + reach), y0 + 1, height))
        reduced_size = (math.ceil((x1 - x0) / scale), math.ceil((y1 - y0) / scale))
        reduced = cv2.resize(image[y0:y1, x0:x1], reduced_size, interpolation=cv2.INTER_AREA)
        reduction = np.array([x1 - x0, y1 - y0]) / np.array(reduced_size)
        return np.asarray(reduced, dtype=np.uint8), reduction, np.array([x0, y0], np.float64)


def _rotation(angle: float) -> NDArray[np.float64]:
    """(2, 2) rotation; with y pointing down a positive angle turns clockwise as seen."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
