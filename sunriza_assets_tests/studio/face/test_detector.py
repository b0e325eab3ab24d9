"""The detector on faces large and small, and on what is no face."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from sunriza_assets.studio.face.detector import FaceDetector
from sunriza_assets.studio.face.model_store import ModelStore


@pytest.fixture(scope="module")
def detector(models: ModelStore) -> FaceDetector:
    return FaceDetector(models)


def rgb(picture: NDArray[np.generic]) -> NDArray[np.uint8]:
    grey = picture.astype(np.uint8) * (255 if picture.dtype == bool else 1)
    return np.dstack([grey] * 3) if grey.ndim == 2 else np.ascontiguousarray(grey[..., :3])


def test_box_and_keypoints_lie_on_the_face(
    detector: FaceDetector, astronaut: NDArray[np.uint8], recorded: NDArray[np.float64]
) -> None:
    (face,) = detector.detect(astronaut)
    iod = np.hypot(*(recorded[33] - recorded[263])[:2])
    eyes = [recorded[[33, 133], :2].mean(axis=0), recorded[[362, 263], :2].mean(axis=0)]
    np.testing.assert_allclose(face.keypoints[:2], eyes, atol=0.1 * iod)
    np.testing.assert_allclose(face.keypoints[2], recorded[4, :2], atol=0.15 * iod)
    assert face.score > 0.9
    assert (face.box[:2] < recorded[1, :2]).all()
    assert (face.box[2:] > recorded[1, :2]).all()


@pytest.mark.parametrize("grey", [0, 255])
def test_a_pixel_has_no_face(detector: FaceDetector, grey: int) -> None:
    assert detector.detect(np.full((1, 1, 3), grey, np.uint8)) == []


@pytest.mark.parametrize("times", [3, 8])
@pytest.mark.parametrize("corner", [(0, 0), (1, 1)])
def test_a_small_face_is_found_wherever_it_is(
    detector: FaceDetector, astronaut: NDArray[np.uint8], times: int, corner: tuple[int, int]
) -> None:
    side = 512 * times
    scene = np.full((side, side, 3), 90, np.uint8)
    top, left = (place * (side - 512) - place * 37 for place in corner)
    scene[top : top + 512, left : left + 512] = astronaut
    (alone,) = detector.detect(astronaut)
    (face,) = detector.detect(scene)
    np.testing.assert_allclose(face.centre - (left, top), alone.centre, atol=0.2 * alone.side)
    assert 0.7 < face.side / alone.side < 1.4


def test_two_faces_are_two(detector: FaceDetector, astronaut: NDArray[np.uint8]) -> None:
    faces = detector.detect(np.hstack([astronaut, astronaut]))
    assert len(faces) == 2
    assert abs(faces[0].centre[0] - faces[1].centre[0]) == pytest.approx(512, abs=3)


@pytest.mark.parametrize(
    "name", ["chelsea", "coffee", "rocket", "colorwheel", "gravel", "coins", "text", "horse"]
)
def test_no_face_is_seen_where_none_is(detector: FaceDetector, name: str) -> None:
    assert detector.detect(rgb(getattr(data, name)())) == []


@pytest.mark.parametrize("grain", [8, 16, 32, 64, 128])
def test_no_face_is_seen_in_noise(detector: FaceDetector, grain: int) -> None:
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 255, (grain, grain, 3), np.uint8)
    picture = cells.repeat(512 // grain, axis=0).repeat(512 // grain, axis=1)
    assert detector.detect(picture) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (7, 5)])
def test_odd_shapes_are_no_trouble(detector: FaceDetector, shape: tuple[int, int]) -> None:
    assert detector.detect(np.zeros((*shape, 3), np.uint8)) == []


def test_a_doubtful_large_find_does_not_hide_a_small_face(
    detector: FaceDetector, astronaut: NDArray[np.uint8]
) -> None:
    # At first sight the detector takes the colour wheel for a face that fills the picture.
    scene = np.asarray(cv2.resize(rgb(data.colorwheel()), (1480, 1480)), np.uint8)
    scene[1380:, :100] = cv2.resize(astronaut[24:224, 125:325], (100, 100))
    (face,) = detector.detect(scene)
    assert face.score > 0.9
    assert face.box[1] > 1380
    assert face.box[2] < 100
