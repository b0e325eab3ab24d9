"""Glasses: found when they are there, not found on a bare face, and not dragged by a blink."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.drawing.glasses import find_rims
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.face.regions import UPPER_LIDS


@pytest.fixture(scope="module")
def enlarged(portrait: Image, landmarks: NDArray[np.float64]) -> tuple[Image, NDArray[np.float64]]:
    """The portrait at twice its size, where a wire is thicker than a pixel."""
    picture = cv2.resize(portrait, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return np.asarray(picture, dtype=np.uint8), 2.0 * landmarks


@pytest.fixture(scope="module")
def bespectacled(enlarged: tuple[Image, NDArray[np.float64]]) -> Image:
    """The portrait with wire rims close above the lids and a bridge between them."""
    picture, points = enlarged[0].copy(), enlarged[1]
    black = (25, 22, 20)
    ends = []
    for lid in UPPER_LIDS:
        rim = points[lid, :2].copy()
        width = rim[-1, 0] - rim[0, 0]
        height = rim[:, 1].min() - 0.16 * width
        left, right = rim[0, 0] - 0.3 * width, rim[-1, 0] + 0.3 * width
        bottom = height + 1.0 * width
        corners = np.array([[left, height], [right, height], [right, bottom], [left, bottom]])
        cv2.polylines(picture, [corners.astype(np.int32)], True, black, 3, cv2.LINE_AA)
        ends.append((left, right, height + 0.15 * width))
    (_, inner, y0), (outer, _, y1) = ends
    cv2.line(picture, (int(inner), int(y0)), (int(outer), int(y1)), black, 3, cv2.LINE_AA)
    return picture


def test_a_bare_face_wears_none(enlarged: tuple[Image, NDArray[np.float64]]) -> None:
    assert find_rims(*enlarged) is None


def test_wire_rims_are_found(
    bespectacled: Image, enlarged: tuple[Image, NDArray[np.float64]]
) -> None:
    rims = find_rims(bespectacled, enlarged[1])
    assert rims is not None
    drawn = np.abs(bespectacled.astype(int) - enlarged[0]).max(axis=2) > 60
    found = rims > 128
    assert (found & cv2.dilate(drawn.astype(np.uint8), np.ones((5, 5))).astype(bool)).sum() > (
        0.8 * found.sum()
    )


def test_a_blink_passes_behind_them(
    bespectacled: Image, enlarged: tuple[Image, NDArray[np.float64]]
) -> None:
    rig = PortraitRig(bespectacled, enlarged[1])
    assert rig.has_glasses
    shut = rig.draw(rig.mesh, closure=(1.0, 1.0)).astype(float).mean(axis=2)
    open_ = rig.draw(rig.mesh, closure=(0.02, 0.02)).astype(float).mean(axis=2)
    for lid in UPPER_LIDS:
        middle = rig.mesh[lid[3:6], :2].mean(axis=0)
        width = rig.mesh[lid[-1], 0] - rig.mesh[lid[0], 0]
        row = int(rig.mesh[lid, 1].min() - 0.16 * width)
        columns = slice(int(middle[0] - 0.15 * width), int(middle[0] + 0.15 * width))
        rim_open = open_[row - 2 : row + 3, columns].min(axis=0).mean()
        rim_shut = shut[row - 2 : row + 3, columns].min(axis=0).mean()
        assert abs(rim_shut - rim_open) < 25
