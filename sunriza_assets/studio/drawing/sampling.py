"""Reading pictures between their pixels."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["read_at", "read_linearly_at"]

_NO_SECOND_MAP: Final = np.empty(0, dtype=np.float32)


def read_at(picture: NDArray[Any], places: NDArray[np.float32]) -> NDArray[Any]:
    """Bicubic reading of a picture; its border repeats outside.

    Args:
        picture: (H, W) or (H, W, C), any type OpenCV takes.
        places: (h, w, 2) pixel indices x, y: the centre of the first pixel is (0, 0).

    Returns:
        (h, w) or (h, w, C) of the picture's type.
    """
    return cv2.remap(
        picture, places, _NO_SECOND_MAP, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def read_linearly_at(picture: NDArray[Any], places: NDArray[np.float32]) -> NDArray[Any]:
    """The same, bilinear: for fields, which must not overshoot."""
    return cv2.remap(
        picture, places, _NO_SECOND_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
