"""What is behind a person: the background beside the outline, mirrored in it, at full size.

Only a narrow band inside the outline is ever bared. Smooth inpainting leaves it frosted where the
background has texture; a mirror image has the texture, grain and light of what is next to it.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.sampling import read_linearly_at

__all__ = ["mirrored_in"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

_HIDDEN: Final = 8
_CLEARANCE: Final = 0.012
"""Matte (0-255) from which on it is person, and what is kept clear of around that, share of the
longest side: the halo of hair must not be mirrored."""
_SMOOTHED: Final = 0.025
"""Deviation over which directions to the outline are smoothed, share of the longest side."""
_RIM: Final = 0.6
"""Share of the clearance over which the mirror image that shows the person gives way."""


def mirrored_in(picture: Image, alpha: NDArray[np.uint8], guess: Image) -> Image:
    """`guess` with the background mirrored in the person's outline laid over it.

    Args:
        picture: (H, W, 3) uint8.
        alpha: (H, W) how surely a pixel is person, 0-255.
        guess: (H, W, 3) uint8, for where the mirror image would show the person again.
    """
    height, width = alpha.shape
    clear = max(1, round(_CLEARANCE * max(height, width)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * clear + 1, 2 * clear + 1))
    hidden = cv2.dilate((alpha > _HIDDEN).astype(np.uint8), kernel)
    if not hidden.any() or hidden.all():
        return guess
    distance, labels = cv2.distanceTransformWithLabels(
        hidden, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    columns = np.arange(width, dtype=np.float32)[None, :]
    rows = np.arange(height, dtype=np.float32)[:, None]
    y, x = np.nonzero(hidden == 0)
    nearest = np.zeros((int(labels.max()) + 1, 2), np.float32)
    nearest[labels[y, x]] = np.stack([x, y], axis=1)
    towards = nearest[labels] - np.dstack(np.broadcast_arrays(columns, rows))
    towards *= hidden[:, :, None]
    sigma = max(_SMOOTHED * max(height, width), 1.0)
    towards /= np.maximum(np.linalg.norm(towards, axis=2, keepdims=True), 1e-6)
    towards = cv2.GaussianBlur(towards, (0, 0), sigma)
    towards /= np.maximum(np.linalg.norm(towards, axis=2, keepdims=True), 1e-6)
    reach = (2.0 * distance + 1.0)[:, :, None] * towards
    places = np.dstack([_reflected(columns + reach[..., 0], width),
                        _reflected(rows + reach[..., 1], height)])  # fmt: skip
    mirror = read_linearly_at(picture, places)
    again = cv2.blur(hidden.astype(np.float32), (2 * clear + 1, 2 * clear + 1))
    again = read_linearly_at(again, places)
    share = (1.0 - np.clip(again / _RIM, 0.0, 1.0))[:, :, None]
    share = share * (hidden[:, :, None] > 0)
    mixed = guess + share * (mirror.astype(np.float32) - guess)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)


def _reflected(places: Plane, size: int) -> Plane:
    """Pixel indices folded back into 0 to size - 1 at a picture's border."""
    last = np.float32(max(size - 1, 1))
    return np.asarray(last - np.abs(last - np.mod(np.abs(places), 2.0 * last)), dtype=np.float32)
