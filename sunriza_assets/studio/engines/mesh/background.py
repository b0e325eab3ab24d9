"""The picture in two layers: the person, who moves, over a plate of what stands behind.

With the matte a, the picture is I = F + (1 - a) B: a plate B with the person painted out, and F,
the person's colour already weighted by a. F is *defined* as I - (1 - a) B, so the layers give the
picture back at rest, whatever the quality of matte and plate; and a line behind the head stays
straight when the head moves, because only F and a are warped.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.engines.mesh.easing import rise

__all__ = ["Layers"]

Image = NDArray[np.uint8]

_PLATE_SIZE: Final = 384
"""Longest side at which the person is painted out; what is behind is out of focus or guesswork."""
_CERTAIN: Final = (0.2, 0.8)
"""Matte values that count as surely background and surely person."""
_MARGIN: Final = 0.018
"""Rim around the person that the plate is not taken from, share of the picture's longest side."""


class Layers:
    """A picture split into person and plate, ready to be warped.

    Args:
        picture: (H, W, 3) uint8.
        matte: (H, W) 0-1, how surely a pixel is person; None treats everything as person.
    """

    def __init__(self, picture: Image, matte: NDArray[Any] | None) -> None:
        height, width = picture.shape[:2]
        self._plate: Image | None = None
        self._moving = np.dstack([picture, np.full((height, width), 255, np.uint8)])
        if matte is None:
            return
        alpha = np.rint(255.0 * rise(matte.astype(np.float32), *_CERTAIN)).astype(np.uint8)
        if alpha.min() == 255:
            return
        plate = _painted_out(picture, alpha)
        share = alpha.astype(np.float32)[:, :, None] / 255.0
        person = picture - (1.0 - share) * plate
        person = np.clip(np.rint(person), 0.0, np.ceil(255.0 * share))
        # What the clipping took from the person belongs to the plate, or rest would not be rest.
        rest = np.where(share < 1.0, (picture - person) / np.maximum(1.0 - share, 1 / 255), plate)
        self._plate = np.clip(np.rint(rest), 0, 255).astype(np.uint8)
        self._moving = np.dstack([person.astype(np.uint8), alpha])

    @property
    def moving(self) -> NDArray[np.uint8]:
        """(H, W, 4) the person's colour times matte, and the matte; edited in place for a frame."""
        return self._moving

    def compose(self, warped: NDArray[np.uint8], window: tuple[slice, slice]) -> Image:
        """Lay warped (h, w, 4) `moving` over the plate in a window of the picture."""
        person = cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB)
        if self._plate is None:
            return np.asarray(person, dtype=np.uint8)
        behind = cv2.bitwise_not(cv2.extractChannel(warped, 3))
        if not behind.any():
            return np.asarray(person, dtype=np.uint8)
        share = cv2.cvtColor(behind, cv2.COLOR_GRAY2RGB)
        plate = cv2.multiply(self._plate[window], share, scale=1.0 / 255.0)
        return np.asarray(cv2.add(person, plate), dtype=np.uint8)


def _painted_out(picture: Image, alpha: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The picture with the person replaced by a guess from around (A. Telea, J. Graphics Tools 9,
    2004), at a reduced size and laid over the original only where the person stands."""
    height, width = alpha.shape
    scale = min(1.0, _PLATE_SIZE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    margin = 2 * max(1, round(_MARGIN * max(size))) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (margin, margin))
    hidden = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    hidden = cv2.dilate((hidden > 8).astype(np.uint8), kernel)
    if hidden.all():
        return picture.astype(np.float32)
    guess = cv2.inpaint(small, hidden, 4, cv2.INPAINT_TELEA)
    guess = cv2.resize(guess, (width, height), interpolation=cv2.INTER_CUBIC)
    margin = 2 * max(1, round(_MARGIN * max(height, width))) + 1
    soft = cv2.resize(hidden.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    soft = np.minimum(1.0, 2.0 * cv2.blur(soft, (margin // 2 * 2 + 1, margin // 2 * 2 + 1)))
    return np.asarray(picture + soft[:, :, None] * (guess.astype(np.float32) - picture))
