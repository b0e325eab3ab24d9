"""A clip's own mouth is used only where it shows teeth that are told apart."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.clip_mouth import MouthDetail

SKIN = np.array([200.0, 150.0, 130.0], np.float32)
Texture = NDArray[np.uint8]


def teeth(*, rows: int = 20, blur: float = 0.0) -> Texture:
    """A row of separate teeth over a dark cavity."""
    texture = np.full((48, 96, 3), (45, 20, 20), np.uint8)
    texture[:rows] = (215, 205, 190)
    texture[:rows, 5::9] = (120, 105, 95)
    if blur:
        texture = cv2.GaussianBlur(texture, (0, 0), blur).astype(np.uint8)
    return texture


def test_separate_teeth_are_seen() -> None:
    assert MouthDetail.of(teeth(), SKIN).shows_teeth


@pytest.mark.parametrize(
    "texture",
    [
        pytest.param(teeth(blur=6.0), id="blurred"),
        pytest.param(np.full((48, 96, 3), 250, np.uint8), id="burnt out"),
        pytest.param(np.full((48, 96, 3), (180, 110, 105), np.uint8), id="a pink slab"),
        pytest.param(np.full((48, 96, 3), (50, 20, 18), np.uint8), id="a black maw"),
        pytest.param(teeth(rows=48), id="teeth alone"),
    ],
)
def test_a_mouth_without_tooth_detail_is_refused(texture: Texture) -> None:
    assert not MouthDetail.of(texture, SKIN).shows_teeth
