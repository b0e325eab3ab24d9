"""Colour as a clip's header names it, and the way from there to SDR bt709.

Codes and formulas: ITU-T H.273 (code points), BT.709, BT.2020, BT.2100 (PQ, HLG). Pixels are
converted in `upright`; here is only what has to be known and computed for it.
"""

from typing import Final

__all__ = ["HDR_TRANSFERS", "MATRICES", "PRIMARIES", "TRANSFERS", "matrix_for"]

UNKNOWN: Final = "unknown"

PRIMARIES: Final = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
    9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
"""H.273 ColourPrimaries -> FFmpeg's name."""
TRANSFERS: Final = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear",
    9: "log100", 10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1",
    14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
"""H.273 TransferCharacteristics -> FFmpeg's name."""
MATRICES: Final = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m",
    8: "ycgco", 9: "bt2020nc", 10: "bt2020c",
}  # fmt: skip
"""H.273 MatrixCoefficients -> FFmpeg's name."""
HDR_TRANSFERS: Final = frozenset(("smpte2084", "arib-std-b67"))
"""PQ and HLG."""

_HD_HEIGHT: Final = 720


def matrix_for(matrix: str, *, short_side: int) -> str:
    """The YCbCr matrix to decode with, as `scale` names it.

    A clip that does not say is read as players read it: bt709 from 720 lines on, else BT.601.
    """
    if matrix in ("bt709", "fcc", "smpte240m"):
        return matrix
    if matrix in ("bt2020nc", "bt2020c"):
        return "bt2020"
    if matrix in ("bt470bg", "smpte170m"):
        return "smpte170m"
    return "bt709" if short_side >= _HD_HEIGHT else "smpte170m"
