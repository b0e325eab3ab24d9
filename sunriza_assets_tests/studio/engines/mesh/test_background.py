"""Layers of a picture: exact at rest, whatever the matte says; what the person hid is filled in."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sunriza_assets.studio.engines.base import Image
from sunriza_assets.studio.engines.mesh.background import Layers

EVERYWHERE = (slice(None), slice(None))


@settings(max_examples=20, deadline=None)
@given(
    arrays.arrays(np.uint8, (24, 32, 3)),
    arrays.arrays(np.float32, (24, 32), elements=st.floats(0, 1, width=32)),
)
def test_at_rest_the_layers_are_the_picture(picture: Image, matte: np.ndarray) -> None:
    layers = Layers(picture, matte)
    assert np.array_equal(layers.compose(layers.moving, EVERYWHERE), picture)


def test_without_a_matte_there_is_one_layer(portrait: Image) -> None:
    layers = Layers(portrait, None)
    assert np.array_equal(layers.compose(layers.moving, EVERYWHERE), portrait)


def test_what_the_person_hid_is_filled_from_around() -> None:
    """A black disc before a grey wall, shifted: no black is left where it was."""
    picture = np.full((120, 160, 3), 150, np.uint8)
    matte = np.zeros((120, 160), np.float32)
    cv2.circle(picture, (80, 60), 30, (0, 0, 0), -1, cv2.LINE_AA)
    cv2.circle(matte, (80, 60), 31, 1.0, -1)
    layers = Layers(picture, matte)
    shifted = np.roll(layers.moving, 20, axis=1)
    result = layers.compose(shifted, EVERYWHERE).astype(int)
    assert np.abs(result[40:80, 56:68] - 150).max() < 12  # uncovered
    assert result[50:70, 90:110].max() < 12  # the disc in its new place
    assert np.abs(result[:, :40] - 150).max() == 0


def test_a_hole_in_the_person_belongs_to_the_person() -> None:
    picture = np.full((120, 160, 3), 150, np.uint8)
    matte = np.zeros((120, 160), np.float32)
    cv2.circle(matte, (80, 60), 40, 1.0, -1)
    cv2.circle(matte, (80, 60), 4, 0.0, -1)
    alpha = Layers(picture, matte).moving[:, :, 3]
    assert alpha[60, 80] == 255
    assert alpha[5, 5] == 0
