"""The person matte on a portrait and on nothing."""

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.matte import PersonMatte
from sunriza_assets.studio.face.model_store import ModelStore


def test_the_person_is_told_from_the_background(
    models: ModelStore, astronaut: NDArray[np.uint8], recorded: NDArray[np.float64]
) -> None:
    matte = PersonMatte(models).matte(astronaut[:, :480])
    assert matte.shape == (512, 480)
    assert matte.dtype == np.float32
    assert 0 <= matte.min() <= matte.max() <= 1
    x, y = recorded[:468, :2].astype(int).T
    assert matte[y, x].mean() > 0.95
    assert matte[400:, 150:250].mean() > 0.9  # the suit
    assert matte[:60, :60].mean() < 0.1
    assert matte[100:200, 420:].mean() < 0.1


def test_an_empty_picture_shows_nobody(models: ModelStore) -> None:
    assert PersonMatte(models).matte(np.full((90, 160, 3), 128, np.uint8)).max() < 0.5


def test_the_matte_covers_what_the_original_model_covers(
    models: ModelStore, astronaut: NDArray[np.uint8]
) -> None:
    matte = PersonMatte(models).matte(astronaut)
    # LiteRT on the same picture, area-averaged to 256x256.
    assert abs(matte.mean() - 0.54434) < 0.002
    assert abs((matte > 0.5).mean() - 0.54494) < 0.002
