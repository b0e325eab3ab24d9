"""Denoising of portraits whose grain does not fit the bit budget of an idle.

Static grain costs an encoder little. Grain that is warped along with a face differs in every frame:
an idle of a sharp, slightly grainy press photo reaches an SSIM of 0.96 within its budget, where
0.97 is required. So the portrait is denoised before it is animated, as little as necessary
(docs/decisions/grain-is-smoothed.md).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.parameters import RenderParameters

__all__ = ["STRENGTHS", "TOO_DETAILED", "denoise_picture", "render_with_least_denoising"]

Image = NDArray[np.uint8]
Rendered = TypeVar("Rendered")

TOO_DETAILED: Final = "media.too_detailed"
"""Error code of frames that cannot be encoded within budget at the required SSIM."""
STRENGTHS: Final = (0.0, 3.0, 6.0, 12.0, 20.0)
"""Strengths that are tried in order; each removes about twice the grain of the one before."""
_PATCH_SIDE: Final = 5
_SEARCH_SIDE: Final = 11
"""Side of the compared patches and of the search window, pixels."""


def denoise_picture(picture: Image, strength: float, *, where: NDArray[Any] | None = None) -> Image:
    """A picture denoised, with its edges kept: non-local means (A. Buades, B. Coll,
    J.-M. Morel, CVPR 2005).

    Args:
        picture: (H, W, 3) RGB.
        strength: 0-20, the filter's h in grey levels: about 1.2 times the grain's deviation.
        where: (H, W) 0-1 how much of it to smooth; None is all of it.
    """
    if strength <= 0.0:
        return picture
    denoised = cv2.fastNlMeansDenoisingColored(
        picture, None, strength, strength, _PATCH_SIDE, _SEARCH_SIDE
    )
    if where is None:
        return np.asarray(denoised, dtype=np.uint8)
    share = np.asarray(where, dtype=np.float32)[:, :, None]
    mixed = picture + share * (denoised.astype(np.float32) - picture)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def render_with_least_denoising(
    parameters: RenderParameters,
    render: Callable[[RenderParameters], Rendered],
    report: Callable[[str], None],
) -> tuple[Rendered, RenderParameters]:
    """Render with increasing denoising of the portrait until the encoding passes.

    Args:
        parameters: requested; their `denoise` is the lowest strength.
        render: renders and encodes.
        report: called with a sentence for each failed attempt.

    Returns:
        The result of `render`, and the parameters of that call.

    Raises:
        MediaError: `too_detailed` at the greatest strength, too; whatever else `render` raises.
    """
    for stronger in (strength for strength in STRENGTHS if strength > parameters.denoise):
        try:
            return render(parameters), parameters
        except MediaError as error:
            if error.code != TOO_DETAILED:
                raise
            report(
                f"{error.what}. It is made anew from a smoother portrait (denoise {stronger:g})."
            )
        parameters = replace(parameters, denoise=stronger)
    return render(parameters), parameters
