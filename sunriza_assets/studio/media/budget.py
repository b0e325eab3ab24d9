"""The byte budget and the minimum SSIM of a published clip."""

from fractions import Fraction
from typing import Final

__all__ = ["MIN_SSIM", "byte_budget"]

MIN_SSIM: Final = 0.97
"""Mean structural similarity of the luma with the frames that were given."""
_BYTES_PER_SECOND: Final = 150_000
"""At 512x512 pixels: 1.5 MB for ten seconds."""
_BASE_PIXELS: Final = 512 * 512


def byte_budget(size: tuple[int, int], seconds: Fraction) -> int:
    """Most bytes of a published clip: 1.5 MB per 10 s up to 512x512, in proportion above.

    A clip of less than a second has a second's: its first frame alone needs most of it.
    """
    width, height = size
    share = max(1.0, width * height / _BASE_PIXELS)
    return round(_BYTES_PER_SECOND * share * float(max(Fraction(1), seconds)))
