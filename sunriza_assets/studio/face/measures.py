"""Figures read off landmarks: how far eyes and mouth are open, and where the head points.

All functions take points (..., 478, 3) in pixels, one face or a whole clip at once. Widths are
measured in space, because a turned head foreshortens them; openings in the picture plane, where
landmarks are precise.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from scipy.spatial.transform import Rotation

from sunriza_assets.studio.face.topology import (
    IRIS_CENTRES,
    LEFT_EYE_CORNERS,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    LOWER_LIP_ROWS,
    OUTER_EYE_CORNERS,
    RIGHT_EYE_CORNERS,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    RIGID_HEAD,
    RIGID_POINTS,
    UPPER_LIP_ROWS,
)

__all__ = ["blink_frames", "eye_apertures", "gaze_offsets", "head_angles", "mouth_aperture"]

Points = NDArray[np.floating]

_MIDDLE_OF_LID: Final = slice(3, 6)
"""The three middle points of a lid's nine."""
_LEFT_CORNERS: Final = (RIGHT_UPPER_LID[0], LEFT_UPPER_LID[-1])
_RIGHT_CORNERS: Final = (RIGHT_UPPER_LID[-1], LEFT_UPPER_LID[0])
"""Corners of the subject's right and left eye at the left and right of the picture."""
_MIDDLE_OF_LIP: Final = slice(4, 7)
"""The three middle points of a lip's eleven."""

BLINK_DEPTH: Final = 0.3
"""Share of the usual aperture that an eye must lose at least for a blink."""
BLINK_PROMINENCE: Final = 0.25
"""The same, measured from the shoulders of the dip."""
BLINK_PAUSE: Final = 1 / 6
"""Least seconds between two blinks."""
BLINK_SECONDS: Final = 0.4
"""Most seconds that a blink lasts at half its depth; a longer one is a squint or a closed eye."""
BLINK_DOUBT: Final = 0.12
"""Depth and prominence from which on a dip may be a blink that is badly seen, as behind glasses."""
BLINK_BOTH: Final = 0.35
"""Share of a blink's depth that the eye which closes less must reach; below, it is a wink."""
_BOTH_WITHIN: Final = 1 / 15
"""Seconds by which one eye may be ahead of the other."""


def eye_apertures(points: Points) -> NDArray[np.float64]:
    """(..., 2) opening of the subject's right and left eye over the eye's width.

    About 0.3 for open eyes; landmarks never reach 0, closed eyes read about 0.1.
    """
    right = _opening(points, RIGHT_UPPER_LID[_MIDDLE_OF_LID], RIGHT_LOWER_LID[_MIDDLE_OF_LID])
    left = _opening(points, LEFT_UPPER_LID[_MIDDLE_OF_LID], LEFT_LOWER_LID[_MIDDLE_OF_LID])
    widths = [_width(points, corners) for corners in (RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS)]
    return np.stack([right / widths[0], left / widths[1]], axis=-1)


def mouth_aperture(points: Points) -> NDArray[np.float64]:
    """(...) gap between the inner lips over the distance of the outer eye corners.

    Below 0.06 the mouth counts as closed.
    """
    upper, lower = UPPER_LIP_ROWS[-1, _MIDDLE_OF_LIP], LOWER_LIP_ROWS[-1, _MIDDLE_OF_LIP]
    return _opening(points, upper, lower) / _width(points, OUTER_EYE_CORNERS)


def gaze_offsets(points: Points) -> NDArray[np.float64]:
    """(..., 478, 3) landmarks -> (..., 2, 2) iris from the middle of its eye, in eye widths.

    For either eye, the right one first: x along the line through its corners to the right of the
    picture, y down from it.
    """
    left = points[..., _LEFT_CORNERS, :2]
    right = points[..., _RIGHT_CORNERS, :2]
    iris = points[..., IRIS_CENTRES, :2]
    along = right - left
    square = np.sum(along**2, axis=-1)
    offset = iris - 0.5 * (left + right)
    x = np.sum(offset * along, axis=-1) / square
    y = (along[..., 0] * offset[..., 1] - along[..., 1] * offset[..., 0]) / square
    return np.stack([x, y], axis=-1)


def head_angles(points: Points) -> NDArray[np.float64]:
    """(..., 3) yaw, pitch and roll of the head in radians, about 0 for a face from the front.

    Yaw > 0: turned to the picture's right. Pitch > 0: nodding down. Roll > 0: leaning clockwise
    as seen. The head is turned by yaw first, then pitch, then roll about its own axes. The angles
    are those of the rotation that best lays a mean head on the points that no expression moves
    (Kabsch 1976), so they have a small offset of their own for every face.
    """
    rigid = points[..., RIGID_POINTS, :].astype(np.float64).reshape(-1, len(RIGID_POINTS), 3)
    rigid -= rigid.mean(axis=1, keepdims=True)
    left, _, right = np.linalg.svd(rigid.transpose(0, 2, 1) @ RIGID_HEAD)
    left[:, :, 2] *= np.sign(np.linalg.det(left @ right))[:, None]  # a turn, not a mirror image
    angles = Rotation.from_matrix(left @ right).as_euler("YXZ")
    angles[:, 0] *= -1  # a turn about the downward axis is positive to the left
    return angles.reshape(*points.shape[:-2], 3)


def blink_frames(
    apertures: NDArray[np.floating], rate: float, *, doubtful: bool = False
) -> NDArray[np.int64]:
    """Frames in which the eyes are shut at the height of a blink.

    A blink is brief, deep against how far these eyes are open as a rule, deep against the moments
    before and after it, and of both eyes. A squint is longer, a wink one-sided.

    Args:
        apertures: (T, 2) from `eye_apertures`.
        rate: frames per second.
        doubtful: whether shallow dips count, too, that may or may not be blinks.
    """
    from scipy.signal import find_peaks  # slow to load, and a render counts no blinks

    eyes = np.asarray(apertures, np.float64)
    closure = 1 - eyes / np.maximum(np.percentile(eyes, 70, axis=0), 1e-6)
    # A blink at the very end or start has one shoulder only; give it the other.
    padded = np.concatenate([[0.0], closure.mean(axis=1), [0.0]])
    peaks, found = find_peaks(
        padded,
        height=BLINK_DOUBT if doubtful else BLINK_DEPTH,
        prominence=BLINK_DOUBT if doubtful else BLINK_PROMINENCE,
        distance=max(1, round(rate * BLINK_PAUSE)),
        width=(None, BLINK_SECONDS * rate),
    )
    frames = np.asarray(peaks - 1, np.int64)
    reach = round(rate * _BOTH_WITHIN)
    lesser = maximum_filter1d(closure, 2 * reach + 1, axis=0, mode="nearest").min(axis=1)
    return frames[lesser[frames] >= BLINK_BOTH * found["peak_heights"]]


def _opening(
    points: Points, upper: NDArray[np.int32], lower: NDArray[np.int32]
) -> NDArray[np.float64]:
    gaps = points[..., upper, :2].astype(np.float64) - points[..., lower, :2]
    return np.asarray(np.linalg.norm(gaps, axis=-1).mean(axis=-1), np.float64)


def _width(points: Points, corners: tuple[int, int]) -> NDArray[np.float64]:
    first, second = (points[..., corner, :].astype(np.float64) for corner in corners)
    return np.asarray(np.linalg.norm(first - second, axis=-1), np.float64)
