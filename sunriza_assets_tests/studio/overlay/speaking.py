"""Made-up viseme cells for tests of the overlay's files: small, distinct, quick."""

import numpy as np

from sunriza_assets.studio.contracts.engine import VisemeCells
from sunriza_assets.studio.contracts.roi import Roi
from sunriza_assets.studio.expression.visemes import VISEMES

__all__ = ["SIZE", "cells"]

SIZE = (320, 256)


def cells(roi: Roi | None = None, *, seed: int = 0) -> VisemeCells:
    """Twelve cells of skin with an ellipse of a different size and colour in each."""
    roi = roi or Roi(101, 140, 93, 61)
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: roi.h, : roi.w]
    pictures, lips = {}, []
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    for k, name in enumerate(VISEMES):
        half = np.array([roi.w * (0.2 + 0.01 * k), roi.h * (0.1 + 0.015 * k)])
        distance = ((x + 0.5 - roi.w / 2) / half[0]) ** 2 + ((y + 0.5 - roi.h / 2) / half[1]) ** 2
        picture = np.full((roi.h, roi.w, 3), [200, 160, 140], dtype=np.uint8)
        picture[distance < 1] = rng.integers(0, 160, 3)
        pictures[name] = picture
        lips.append(
            half * np.stack([np.cos(angles), np.sin(angles)], axis=1) + [roi.w / 2, roi.h / 2]
        )
    return VisemeCells(pictures, roi, np.stack(lips), iod=90.0)
