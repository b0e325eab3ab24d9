"""Colour as a clip's header names it, and the way from there to SDR bt709.

Codes: ITU-T H.273. The way from HDR or from a wide gamut to SDR is one three-dimensional table from
code values to code values, which an FFmpeg filter applies; here it is computed. It is the same
conversion as FFmpeg's well-known chain `zscale=t=linear:npl=100, zscale=p=bt709,
tonemap=hable:desat=0, zscale=t=bt709`, so that results match those of common tools.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "HDR_TRANSFERS",
    "MATRICES",
    "PRIMARIES",
    "TRANSFERS",
    "UNKNOWN",
    "Conversion",
    "cube_text",
    "matrix_for",
]

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
PQ: Final = "smpte2084"
HLG: Final = "arib-std-b67"
HDR_TRANSFERS: Final = frozenset((PQ, HLG))

_HD_LINES: Final = 720
_WHITE_NITS: Final = 100.0
"""Luminance of SDR white, cd/m2."""
_PEAK: Final = 10.0
"""Brightest light in whites of SDR, a display of 1000 cd/m2, whatever a clip claims of its own: the
chain above drops such claims, and a face shall not be darker for a lamp somewhere behind it."""
_DISPLAY_GAMMA: Final = 2.4
"""BT.1886, the display that SDR code values are meant for."""
_CUBE_SIDE: Final = 65
"""Both code scales are nearly perceptual, so that this many steps leave no visible error."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Conversion:
    """What has to be done to a clip's colours beyond its YCbCr matrix."""

    transfer: str
    """PQ, HLG, or "sdr" for any other."""
    primaries: str
    """bt2020 or smpte432."""

    @classmethod
    def of(cls, transfer: str, primaries: str) -> "Conversion | None":
        """The conversion that a clip needs, or None if it is SDR bt709 already, or nearly."""
        if transfer in HDR_TRANSFERS:
            gamut = primaries if primaries in _CHROMATICITIES else "bt2020"
            return cls(transfer, gamut)
        if primaries in ("bt2020", "smpte432"):
            return cls("sdr", primaries)
        return None


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
    return "bt709" if short_side >= _HD_LINES else "smpte170m"


def cube_text(conversion: Conversion) -> str:
    """The conversion as a .cube table (Adobe Cube LUT 1.0): red runs fastest."""
    axis = np.linspace(0.0, 1.0, _CUBE_SIDE)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    codes = convert(np.stack([red, green, blue], axis=-1).reshape(-1, 3), conversion)
    rows = "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in codes.tolist())
    return f"LUT_3D_SIZE {_CUBE_SIDE}\n{rows}\n"


def convert(codes: Values, conversion: Conversion) -> Values:
    """Take R'G'B' code values (N, 3) in 0..1 to bt709 code values (N, 3) in 0..1."""
    light = _to_light(codes, conversion.transfer) @ _to_bt709(conversion.primaries).T
    if conversion.transfer in HDR_TRANSFERS:
        light = _tone_mapped(light)
    return np.asarray(np.clip(light, 0.0, 1.0) ** (1 / _DISPLAY_GAMMA))


def _to_light(codes: Values, transfer: str) -> Values:
    """Light of the display in whites of SDR (BT.2100 tables 4 and 5; BT.1886)."""
    if transfer == PQ:
        m1, m2 = 2610 / 16384, 2523 / 4096 * 128
        c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        root = codes ** (1 / m2)
        linear = (np.maximum(root - c1, 0.0) / (c2 - c3 * root)) ** (1 / m1)
        return np.asarray(linear * (10_000.0 / _WHITE_NITS))
    if transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
        # The system gamma of a display of 1000 cd/m2, on each component as zscale has it; BT.2100
        # puts it on the luminance, which makes strong colours paler.
        return np.asarray(scene**1.2 * (1_000.0 / _WHITE_NITS))
    return np.asarray(codes**_DISPLAY_GAMMA)


def _tone_mapped(light: Values) -> Values:
    """Hable's filmic curve on the largest component, the others in proportion.

    J. Hable, "Uncharted 2: HDR Lighting", GDC 2010.
    """
    largest = np.maximum(light.max(axis=1, keepdims=True), 1e-6)
    return np.asarray(light * (_hable(largest) / _hable(np.float64(_PEAK)) / largest))


def _hable(x: Values | np.float64) -> Values:
    a, b, c, d, e, f = 0.15, 0.50, 0.10, 0.20, 0.02, 0.30
    return np.asarray((x * (a * x + c * b) + d * e) / (x * (a * x + b) + d * f) - e / f)


_CHROMATICITIES: Final = {  # H.273 table 2: (x, y) of red, green and blue; all with white D65
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "smpte432": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_D65: Final = (0.3127, 0.3290)


def _to_bt709(primaries: str) -> Values:
    """(3, 3) matrix from linear RGB of these primaries to linear bt709 (SMPTE RP 177)."""
    return np.asarray(np.linalg.solve(_to_xyz("bt709"), _to_xyz(primaries)))


def _to_xyz(primaries: str) -> Values:
    columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in _CHROMATICITIES[primaries]]).T
    x, y = _D65
    gains = np.linalg.solve(columns, [x / y, 1.0, (1 - x - y) / y])
    return np.asarray(columns * gains)
