"""Display matrices: orientation of the stored frames.

ISO/IEC 14496-12, 6.2.2: a point (x, y) of the stored frame is shown at (x, y, 1) M, with M in
16.16 fixed point (its last column in 2.30).
"""

import math
import struct
from dataclasses import dataclass
from typing import Final

from sunriza_assets.errors import MediaError

__all__ = ["UPRIGHT", "Orientation", "orientation_of"]

_TOLERANCE_DEG: Final = 2.0
"""Cameras write exact quarter turns; anything else is an editor's free rotation."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """First a flip left to right, then a turn."""

    rotation: int
    """Degrees clockwise: 0, 90, 180 or 270."""
    mirrored: bool
    """Whether the stored frame is flipped left to right before it is turned."""

    @property
    def filters(self) -> tuple[tuple[str, str], ...]:
        """FFmpeg filters (name, arguments) that bring a stored frame upright."""
        return _FILTERS[self.rotation, self.mirrored]

    @property
    def turns_side(self) -> bool:
        """Whether width and height change places."""
        return self.rotation in (90, 270)


UPRIGHT: Final = Orientation(0, mirrored=False)

_FILTERS: Final[dict[tuple[int, bool], tuple[tuple[str, str], ...]]] = {
    (0, False): (),
    (90, False): (("transpose", "clock"),),
    (180, False): (("hflip", ""), ("vflip", "")),
    (270, False): (("transpose", "cclock"),),
    (0, True): (("hflip", ""),),
    (90, True): (("transpose", "clock_flip"),),  # both at once: about the rising diagonal
    (180, True): (("vflip", ""),),
    (270, True): (("transpose", "cclock_flip"),),  # about the falling diagonal
}


def orientation_of(matrix: bytes | None) -> Orientation:
    """Read a display matrix of nine 32-bit integers in machine order, as FFmpeg hands it out.

    Raises:
        MediaError: `unsupported`: a turn that is not a quarter turn, or a matrix without area.
    """
    if matrix is None or len(matrix) < 36:
        return UPRIGHT
    a, b, _, c, d, _, _, _, _ = struct.unpack("=9i", matrix[:36])
    determinant = a * d - b * c
    if determinant == 0:
        raise MediaError("The clip's display matrix has no area", code="unsupported")
    mirrored = determinant < 0
    if mirrored:  # M = flip * turn, so undo the flip in the first row
        a, b = -a, -b
    angle = math.degrees(math.atan2(b, a)) % 360  # y points down: positive is clockwise
    quarter = round(angle / 90)
    if abs(angle - 90 * quarter) > _TOLERANCE_DEG:
        raise MediaError(
            f"The clip is turned by {angle:.0f} degrees",
            remedy="Only quarter turns are supported: export it upright.",
            code="unsupported",
        )
    return Orientation(90 * (quarter % 4), mirrored)
