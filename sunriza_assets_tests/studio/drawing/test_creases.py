"""Creases: a shade on the skin they belong to, deeper with strength, of the skin's own colour."""

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.drawing.creases import Creases
from sunriza_assets.studio.expression.emotions import Crease
from sunriza_assets.studio.motion.head_pose import eye_distance

Points = NDArray[np.float64]
NAMES: tuple[Crease, ...] = get_args(Crease)
SKIN = np.array([210.0, 170.0, 150.0], np.float32)


def creases(points: Points, picture: Image, skin: NDArray[np.float32] = SKIN) -> Creases:
    return Creases(points, skin, size=(picture.shape[1], picture.shape[0]), around=())


def shaded(points: Points, picture: Image, name: Crease, depth: float = 1.0) -> Image:
    result = picture.copy()
    window, content = creases(points, picture).draw(picture, (), {name: depth})
    result[window] = content
    return result


@pytest.fixture
def plain() -> Image:
    return np.full((512, 512, 3), 160, np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_a_crease_is_a_soft_shade_of_little_of_the_face(
    landmarks: Points, plain: Image, name: Crease
) -> None:
    change = shaded(landmarks, plain, name).astype(int) - plain
    assert -80 < change.min() < -12
    assert change.max() < 15
    area = float((change.min(axis=2) < -6).sum()) / eye_distance(landmarks) ** 2
    assert 0.01 < area < 0.2
    assert np.abs(np.diff(change, axis=0)).max() < 45  # no edge, at 60 pixels between the eyes


@pytest.mark.parametrize("name", NAMES)
def test_both_halves_of_the_face_have_it(landmarks: Points, plain: Image, name: Crease) -> None:
    dark = shaded(landmarks, plain, name)[..., 1].astype(int) < 154
    middle = landmarks[[168, 6, 152], 0].mean()
    columns = np.flatnonzero(dark.any(axis=0)) - middle
    assert -columns.min() == pytest.approx(columns.max(), abs=0.25 * eye_distance(landmarks))


def test_deeper_is_darker_and_nothing_is_nothing(landmarks: Points, portrait: Image) -> None:
    sums = [
        float(shaded(landmarks, portrait, "frown", depth).astype(float).sum())
        for depth in (0.0, 0.3, 0.6, 1.0)
    ]
    assert sums[0] == portrait.astype(float).sum()
    assert sums == sorted(sums, reverse=True)
    assert len(set(sums)) == 4


def test_a_grey_picture_stays_grey(landmarks: Points, plain: Image) -> None:
    grey = creases(landmarks, plain, np.full(3, 170.0, np.float32))
    _, content = grey.draw(plain, (), {"nasolabial": 1.0})
    assert np.array_equal(content[..., 0], content[..., 2])


def test_what_was_drawn_before_is_shaded_too(landmarks: Points, plain: Image) -> None:
    row, column = (int(value) for value in landmarks[4, 1::-1])
    part = (slice(row, row + 12), slice(column, column + 15))
    window, content = creases(landmarks, plain).draw(
        plain, [(part, np.full((12, 15, 3), 90, np.uint8))], {"frown": 0.0}
    )
    rows, columns = row - window[0].start, column - window[1].start
    assert (content[rows : rows + 12, columns : columns + 15] == 90).all()
    assert int((content != 160).any(axis=2).sum()) == 12 * 15


def test_a_large_picture_has_the_same_creases(landmarks: Points, plain: Image) -> None:
    large = np.full((1536, 1536, 3), 160, np.uint8)
    small = shaded(landmarks, plain, "nasolabial")
    big = shaded(3.0 * landmarks, large, "nasolabial")[1::3, 1::3]
    assert np.abs(big.astype(int) - small).mean() < 0.15
