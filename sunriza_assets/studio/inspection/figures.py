"""Measures of a face for the input coach; the bounds are in `verdicts`."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.landmarks import FaceLandmarks
from sunriza_assets.studio.face.measures import eye_apertures, head_angles, mouth_aperture
from sunriza_assets.studio.face.topology import MESH_POINTS

__all__ = ["FaceFigures", "measure"]

_BLUR_IOD: Final = 60.0
"""Pixels between the outer eye corners at which blur is judged; finer detail is grain and pores."""
_BLUR_SIGMA: Final = 1.5
"""Standard deviation of the additional blur, pixels."""


@dataclass(frozen=True, slots=True)
class FaceFigures:
    """A face in a picture."""

    iod: float
    """Pixels between the outer eye corners."""
    yaw: float
    """Degrees, > 0: turned to the picture's right."""
    pitch: float
    """Degrees, > 0: nodding down."""
    roll: float
    """Degrees, > 0: leaning clockwise."""
    mouth: float
    """Gap between the inner lips over `iod`; below 0.06 is closed."""
    eyes: float
    """Opening of the eye that is open wider over its width; about 0.3, a closed one about 0.1."""
    brightness: float
    """Luma, 0-255, that the brightest twentieth of the face exceeds.

    Highlights, since the middle of a well-lit dark skin is as dark as a pale one in bad light."""
    blur: float
    """Share of the face's gradients that survive a further blur, 0..1 (after Crete et al. 2007)."""
    outside: float
    """Share of the face's box that lies beyond the picture, 0..1."""


def measure(image: NDArray[np.uint8], face: FaceLandmarks) -> FaceFigures:
    """The figures of a face in an RGB picture (H, W, 3)."""
    luma = np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.uint8)
    yaw, pitch, roll = np.degrees(head_angles(face.points))
    return FaceFigures(
        iod=face.iod,
        yaw=float(yaw),
        pitch=float(pitch),
        roll=float(roll),
        mouth=float(mouth_aperture(face.points)),
        eyes=float(eye_apertures(face.points).max()),
        brightness=_brightness(luma, face),
        blur=_blur(luma, face),
        outside=_outside(luma, face),
    )


def _brightness(luma: NDArray[np.uint8], face: FaceLandmarks) -> float:
    inside = np.zeros(luma.shape, np.uint8)
    hull = cv2.convexHull(face.xy[:MESH_POINTS].astype(np.float32))
    cv2.fillConvexPoly(inside, np.rint(hull).astype(np.int32), 1)
    pixels = luma[inside > 0]
    return float(np.percentile(pixels, 95)) if pixels.size else 0.0


def _blur(luma: NDArray[np.uint8], face: FaceLandmarks) -> float:
    x0, y0, x1, y1 = _visible_box(luma, face)
    region = luma[y0:y1, x0:x1].astype(np.float32)
    scale = _BLUR_IOD / max(face.iod, 1.0)
    if scale < 1.0:  # a smaller face is judged as it is: enlarging it would blur it
        smaller = cv2.resize(region, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        region = np.asarray(smaller, np.float32)
    before = _gradients(region)
    after = _gradients(np.asarray(cv2.GaussianBlur(region, (0, 0), _BLUR_SIGMA), np.float32))
    return after / before if before > 0 else 1.0


def _gradients(image: NDArray[np.float32]) -> float:
    return float(sum(np.abs(np.diff(image, axis=axis)).sum() for axis in (0, 1)))


def _outside(luma: NDArray[np.uint8], face: FaceLandmarks) -> float:
    x0, y0, x1, y1 = face.box
    left, top, right, bottom = _visible_box(luma, face)
    return float(max(0.0, 1.0 - (right - left) * (bottom - top) / ((x1 - x0) * (y1 - y0))))


def _visible_box(luma: NDArray[np.uint8], face: FaceLandmarks) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the part of the face that the picture shows, at least a pixel."""
    height, width = luma.shape
    x0, y0 = (int(np.floor(value)) for value in face.box[:2])
    x1, y1 = (int(np.ceil(value)) for value in face.box[2:])
    x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
    return x0, y0, max(min(x1, width), x0 + 1), max(min(y1, height), y0 + 1)
