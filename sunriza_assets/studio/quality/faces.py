"""Figures of what viewers notice first: teeth, lids, how far motion goes, cells, the background.

Correlations say whether a face moves with its clip. These say whether it looks like a face.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image, VisemeCells
from sunriza_assets.studio.drawing.clip_mouth import MouthDetail
from sunriza_assets.studio.drawing.skin import skin_around_mouth
from sunriza_assets.studio.engines.mesh.motion.extract import cut_mouth
from sunriza_assets.studio.face.measures import mouth_aperture

__all__ = ["CONFUSED", "amplitude", "background_texture", "cell_distance", "tooth_detail"]

Array = NDArray[np.float64]

CONFUSED: Final = (frozenset({"Rest", "MBP"}), frozenset({"U", "WQ", "R"}))
"""Visemes that lip-readers confuse, and that may look alike."""
_OPEN: Final = 0.08
"""Opening of the lips from which on teeth are expected to be seen, IOD."""
_MOST_TEETH: Final = 0.9
"""Share of a mouth that is as white as teeth, above which it is a white ball."""
_RANGE: Final = (5, 95)
"""Percentiles between which a curve's amplitude is taken."""
_FINE_SIGMA: Final = 2.0
"""What is finer is texture, pixels."""
_BAND: Final = (0.08, 0.40)
_RING: Final = (0.12, 0.50)
"""Distance inside of the outline that a moving head bares, and outside that it is compared with,
IOD."""


def tooth_detail(frames: Iterable[Image], points: Array) -> float | None:
    """Median contrast of the lines between teeth in open mouths, in units of the skin's luma.

    Real clips have 0.029 to 0.057; a white ball, a pink slab and a black maw have none. None where
    no mouth opens.

    Args:
        frames: pictures.
        points: (T, 478, 3) their landmarks, pixels.
    """
    found = []
    for frame, face in zip(frames, points, strict=False):
        if mouth_aperture(face) < _OPEN:
            continue
        detail = MouthDetail.of(cut_mouth(frame, face[:, :2]), skin_around_mouth(frame, face))
        found.append(detail.between_teeth if detail.teeth <= _MOST_TEETH else 0.0)
    return float(np.median(found)) if found else None


def amplitude(driver: NDArray[Any], output: NDArray[Any]) -> float:
    """Range of a curve over that of its driver, both from the 5th percentile to the 95th."""
    ranges = [float(np.ptp(np.percentile(curve, _RANGE))) for curve in (output, driver)]
    return ranges[0] / max(ranges[1], 1e-9)


def cell_distance(visemes: VisemeCells) -> float:
    """Least mean difference, in the mouth, of two cells that are not `CONFUSED`; grey levels."""
    lips = visemes.lips
    left, top = np.floor(lips.min(axis=(0, 1))).astype(int)
    right, bottom = np.ceil(lips.max(axis=(0, 1))).astype(int)
    mouths: Mapping[str, Array] = {
        name: cell[top:bottom, left:right].astype(np.float64)
        for name, cell in visemes.cells.items()
    }
    return min(
        float(np.abs(mouths[one] - mouths[other]).mean())
        for one, other in combinations(mouths, 2)
        if not any({one, other} <= group for group in CONFUSED)
    )


def background_texture(
    plate: Image, picture: Image, alpha: NDArray[np.uint8], iod: float
) -> float | None:
    """Texture of what a moving head bares, over that of the background beside it.

    Args:
        plate: (H, W, 3) the picture without its person.
        picture: (H, W, 3) with.
        alpha: (H, W) the person, 0-255.
        iod: pixels.

    Returns:
        About one where the two match, near none where the plate is frosted; None where too little
        background is seen.
    """
    person = (alpha > 8).astype(np.uint8)
    inside = cv2.distanceTransform(person, cv2.DIST_L2, 5) / iod
    outside = cv2.distanceTransform(1 - person, cv2.DIST_L2, 5) / iod
    band = (inside > _BAND[0]) & (inside < _BAND[1])
    ring = (outside > _RING[0]) & (outside < _RING[1])
    if min(np.count_nonzero(band), np.count_nonzero(ring)) < 100:
        return None
    return _texture(plate, band) / max(_texture(picture, ring), 1e-9)


def _texture(picture: Image, where: NDArray[np.bool_]) -> float:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float((grey - cv2.GaussianBlur(grey, (0, 0), _FINE_SIGMA))[where].std())
