"""Grain that must go: a portrait whose finest detail cannot be moved and still be encoded.

Grain that stands still costs an encoder next to nothing. Grain that is bent along with a face is
new in every frame: of a sharp, slightly grainy press photo an idle within its budget would resemble
its frames by 0.96 instead of 0.97. So whatever cannot be afforded is taken out of the portrait
before it moves, as little as will do (docs/decisions/grain-is-smoothed.md).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.parameters import RenderParameters

__all__ = ["STRENGTHS", "TOO_DETAILED", "render_with_least_denoising", "without_grain"]

Image = NDArray[np.uint8]
Made = TypeVar("Made")

TOO_DETAILED: Final = "media.too_detailed"
"""Code of the error that frames have which cannot be encoded within the limits of the gate."""
STRENGTHS: Final = (0.0, 3.0, 6.0, 12.0, 20.0)
"""What is tried, one after the other; each is for about twice the grain of the one before."""
_PATCH: Final = 5
_SEARCH: Final = 11
"""Sides of the patches compared and of the square they are looked for in, pixels."""


def without_grain(picture: Image, strength: float, *, where: NDArray[Any] | None = None) -> Image:
    """A picture with its grain smoothed and its edges kept: non-local means (A. Buades, B. Coll,
    J.-M. Morel, CVPR 2005).

    Args:
        picture: (H, W, 3) RGB.
        strength: 0-20, the filter's h in grey levels: about 1.2 times the grain's deviation.
        where: (H, W) 0-1 how much of it to smooth; None is all of it.
    """
    if strength <= 0.0:
        return picture
    smooth = cv2.fastNlMeansDenoisingColored(picture, None, strength, strength, _PATCH, _SEARCH)
    if where is None:
        return np.asarray(smooth, dtype=np.uint8)
    share = np.asarray(where, dtype=np.float32)[:, :, None]
    mixed = picture + share * (smooth.astype(np.float32) - picture)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def render_with_least_denoising(
    parameters: RenderParameters,
    make: Callable[[RenderParameters], Made],
    tell: Callable[[str], None],
) -> tuple[Made, RenderParameters]:
    """Make something of a portrait, with more and more of its grain taken out until it may be
    published.

    Args:
        parameters: what is wanted; their `denoise` is the least that is taken out.
        make: makes and encodes it.
        tell: is told in a sentence of each attempt that failed.

    Returns:
        What was made, and the parameters it was made with.

    Raises:
        MediaError: `too_detailed` at the greatest strength, too; whatever else `make` raises.
    """
    for stronger in (strength for strength in STRENGTHS if strength > parameters.denoise):
        try:
            return make(parameters), parameters
        except MediaError as error:
            if error.code != TOO_DETAILED:
                raise
            tell(f"{error.what}. It is made anew from a smoother portrait (denoise {stronger:g}).")
        parameters = replace(parameters, denoise=stronger)
    return make(parameters), parameters
