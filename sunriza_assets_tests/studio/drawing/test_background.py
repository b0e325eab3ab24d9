"""Layers of a picture: exact at rest, whatever the matte says; what the person hid is filled in."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.drawing.background import Layers
from sunriza_assets.studio.drawing.sampling import read_at
from sunriza_assets.studio.drawing.warp import BackwardMap

EVERYWHERE = (slice(None), slice(None))


@settings(max_examples=20, deadline=None)
@given(
    arrays.arrays(np.uint8, (24, 32, 3)),
    arrays.arrays(np.float32, (24, 32), elements=st.floats(0, 1, width=32)),
)
def test_at_rest_the_layers_are_the_picture(picture: Image, matte: np.ndarray) -> None:
    layers = Layers(picture, matte)
    assert np.array_equal(layers.compose(layers.moving, EVERYWHERE), picture)


@settings(max_examples=20, deadline=None)
@given(
    arrays.arrays(np.uint8, (24, 32, 3)),
    arrays.arrays(np.uint8, (8, 12, 3)),
    arrays.arrays(np.float32, (24, 32), elements=st.floats(0, 1, width=32)),
)
def test_what_is_shown_for_a_moment_is_shown_as_it_is(
    picture: Image, part: Image, matte: np.ndarray
) -> None:
    """Where the matte doubts that it is the person, too: an eye next to a bright wall."""
    layers, window = Layers(picture, matte), (slice(5, 13), slice(9, 21))
    before = layers.moving.copy()
    changed = picture.copy()
    changed[window] = part
    with layers.showing([(window, part)]):
        assert np.array_equal(layers.compose(layers.moving, EVERYWHERE), changed)
    assert np.array_equal(layers.moving, before)


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


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    centre=st.tuples(st.integers(20, 140), st.integers(14, 99)),
    reach=st.floats(10.0, 40.0),
    shift=st.tuples(st.floats(-12.0, 12.0), st.floats(-12.0, 12.0)),
    person=st.booleans(),
)
def test_painting_what_changes_is_painting_all(
    seed: int,
    centre: tuple[int, int],
    reach: float,
    shift: tuple[float, float],
    person: bool,
) -> None:
    """A bump that moves some of a picture: where squares are skipped, nothing is seen to differ."""
    height, width = 113, 150
    picture = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    picture = cv2.GaussianBlur(picture, (0, 0), 3.0)
    matte = None
    if person:
        matte = np.zeros((height, width), np.float32)
        cv2.ellipse(matte, (70, 80), (25, 45), 10.0, 0.0, 360.0, 1.0, -1)
    layers = Layers(picture, matte)
    x, y, y_end = 10, 4, 109
    here = np.stack(np.meshgrid(np.arange(x, width), np.arange(y, y_end)), axis=2)
    apart = np.linalg.norm(here - centre, axis=2, keepdims=True) / reach
    bump = np.clip(1.0 - apart**2, 0.0, 1.0) ** 2
    moved = BackwardMap(x, y, (here + bump * shift).astype(np.float32))
    whole, painted = picture.copy(), picture.copy()
    whole[moved.window] = layers.compose(read_at(layers.moving, moved.sources), moved.window)
    layers.paint(painted, moved)
    assert np.abs(whole.astype(int) - painted).max() <= 2
