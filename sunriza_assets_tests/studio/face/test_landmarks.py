"""Landmarks: agreement with MediaPipe, what a portrait may show, following through a clip."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from sunriza_assets.errors import FaceError
from sunriza_assets.studio.face.detector import FaceDetector
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.topology import REFINED_LIPS


def error(points: NDArray[np.floating], truth: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N,) distances in the picture plane, in IOD of the truth."""
    iod = np.hypot(*(truth[33] - truth[263])[:2])
    return np.asarray(np.hypot(*(points - truth)[:, :2].T) / iod, np.float64)


def moved(
    picture: NDArray[np.uint8], angle: float, scale: float, shift: tuple[float, float]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The picture turned (degrees) and scaled about its face, and the (2, 3) map that did it.

    The map is one of continuous pixels.
    """
    matrix = cv2.getRotationMatrix2D((223.0, 124.0), angle, scale)
    matrix[:, 2] += shift
    centred = matrix.copy()
    centred[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    turned = cv2.warpAffine(picture, centred, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8), matrix


def test_landmarks_agree_with_mediapipe(
    face_mesh: FaceMesh, astronaut: NDArray[np.uint8], recorded: NDArray[np.float64]
) -> None:
    face = face_mesh.portrait(astronaut)
    assert face.points.shape == (478, 3)
    assert face.points.dtype == np.float32
    off = error(face.points, recorded)
    assert off.mean() < 0.01
    assert off.max() < 0.04
    assert off[REFINED_LIPS].mean() < 0.01
    assert off[468:].mean() < 0.01
    assert np.corrcoef(face.points[:, 2], recorded[:, 2])[0, 1] > 0.998
    assert np.polyfit(recorded[:, 2], face.points[:, 2], 1)[0] == pytest.approx(1, abs=0.03)
    assert face.iod == pytest.approx(60.6, abs=0.6)
    assert face.score > 0.99


@pytest.mark.parametrize("times", [0.6, 2.0, 4.0])
def test_the_size_of_the_picture_does_not_matter(
    face_mesh: FaceMesh, astronaut: NDArray[np.uint8], recorded: NDArray[np.float64], times: float
) -> None:
    resized = cv2.resize(astronaut, None, fx=times, fy=times, interpolation=cv2.INTER_AREA)
    face = face_mesh.portrait(np.asarray(resized, np.uint8))
    scale = np.array(resized.shape[1::-1]) / 512
    assert error(face.points[:, :2] / scale, recorded[:, :2]).mean() < 0.012


def test_a_cat_is_no_person(face_mesh: FaceMesh) -> None:
    with pytest.raises(FaceError) as caught:
        face_mesh.portrait(data.chelsea())
    assert caught.value.code == "face.none"


def test_a_profile_is_no_portrait(face_mesh: FaceMesh) -> None:
    with pytest.raises(FaceError, match="from the front"):
        face_mesh.portrait(np.dstack([data.camera()] * 3))


def test_two_people_are_one_too_many(face_mesh: FaceMesh, astronaut: NDArray[np.uint8]) -> None:
    with pytest.raises(FaceError, match="2 faces") as caught:
        face_mesh.portrait(np.hstack([astronaut, astronaut]))
    assert caught.value.code == "face.several"


def test_somebody_in_the_background_is_no_rival(
    models: ModelStore, face_mesh: FaceMesh, astronaut: NDArray[np.uint8]
) -> None:
    scene = np.full((512, 640, 3), 80, np.uint8)
    scene[:, :512] = cv2.resize(astronaut[20:256, 110:346], (512, 512))
    alone = face_mesh.portrait(scene)
    scene[:160, 480:] = cv2.resize(astronaut[40:240, 130:330], (160, 160))
    sizes = sorted(face.side for face in FaceDetector(models).detect(scene))
    assert len(sizes) == 2  # the detector sees both; it is the portrait that has one subject
    assert sizes[0] < 0.4 * sizes[1]
    assert error(face_mesh.portrait(scene).points, alone.points).mean() < 0.01


def test_noise_makes_landmarks_tremble_little(
    face_mesh: FaceMesh, astronaut: NDArray[np.uint8]
) -> None:
    rng = np.random.default_rng(0)
    frames = (
        np.clip(astronaut + rng.normal(0, 4, astronaut.shape), 0, 255).astype(np.uint8)
        for _ in range(20)
    )
    faces = [face for face in face_mesh.track(frames) if face is not None]
    assert len(faces) == 20
    spread = np.stack([face.xy for face in faces[4:]]).std(axis=0)
    assert np.hypot(*spread.T).mean() / faces[-1].iod < 0.006


def test_a_moving_face_is_followed(face_mesh: FaceMesh, astronaut: NDArray[np.uint8]) -> None:
    still = face_mesh.portrait(astronaut).points
    steps = np.linspace(0, 2 * np.pi, 40)
    motions = [
        (15 * np.sin(a), 1 + 0.25 * np.sin(2 * a), (60 * np.sin(a), 40 * (1 - np.cos(a))))
        for a in steps
    ]
    scenes = [moved(astronaut, *motion) for motion in motions]
    found = list(face_mesh.track(picture for picture, _ in scenes))
    assert all(face is not None for face in found)
    for face, (_, matrix) in zip(found, scenes, strict=True):
        truth = still[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        assert face is not None
        assert error(face.points[:, :2], truth).mean() < 0.025


def test_a_lost_face_is_none_until_it_is_back(
    face_mesh: FaceMesh, astronaut: NDArray[np.uint8]
) -> None:
    empty = np.full_like(astronaut, 80)
    clip = [empty, astronaut, astronaut, empty, empty, astronaut]
    seen = [face is not None for face in face_mesh.track(clip)]
    assert seen == [False, True, True, False, False, True]


def test_a_clip_follows_one_person_and_no_other(
    face_mesh: FaceMesh, astronaut: NDArray[np.uint8]
) -> None:
    small = np.asarray(cv2.resize(astronaut, (256, 256)), np.uint8)
    beside = np.full((512, 512, 3), 80, np.uint8)
    beside[200:456, 200:456] = small
    both = np.hstack([astronaut, beside])
    alone = np.hstack([np.full_like(astronaut, 80), beside])
    # The larger one is followed; when it is gone the other, far away, is not taken for it.
    faces = list(face_mesh.track([both, both, alone, alone, both]))
    assert [face is not None for face in faces] == [True, True, False, False, True]
    assert all(face.box[2] < 512 for face in faces if face is not None)


def test_tracking_takes_one_frame_at_a_time(
    face_mesh: FaceMesh, astronaut: NDArray[np.uint8]
) -> None:
    taken = 0

    def frames() -> Iterator[NDArray[np.uint8]]:
        nonlocal taken
        while True:
            taken += 1
            yield astronaut

    faces = face_mesh.track(frames())
    for expected in (1, 2, 3):
        next(faces)
        assert taken == expected


def test_an_empty_clip_has_no_faces(face_mesh: FaceMesh) -> None:
    assert list(face_mesh.track([])) == []


def test_the_first_frame_is_as_settled_as_the_rest(
    face_mesh: FaceMesh, astronaut: NDArray[np.uint8]
) -> None:
    """A still clip's landmarks stand still from its first frame on, wherever the detector's box
    put the first look."""
    for angle in (-20.0, 0.0, 20.0):
        picture, _ = moved(astronaut, angle, 0.8, (30.0, 10.0))
        faces = [face for face in face_mesh.track([picture] * 6) if face is not None]
        settled = faces[-1]
        assert error(faces[0].points[:, :2], settled.points[:, :2]).max() < 0.012
