"""Emotions on the mesh: linear in their strength, local, seen by models that did not make them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.expression.emotion_offsets import EmotionOffsets, fit_emotion
from sunriza_assets.studio.expression.emotions import EMOTIONS
from sunriza_assets.studio.expression.lips import LipCorrector
from sunriza_assets.studio.face.independent import IndependentFaceMesh
from sunriza_assets.studio.face.measures import eye_apertures, head_angles, mouth_aperture
from sunriza_assets.studio.face.regions import EYE_CONTOURS, OVAL, SKULL
from sunriza_assets.studio.face.topology import (
    LEFT_BROW,
    LOWER_LIP_ROWS,
    MOUTH_CORNERS,
    OUTER_EYE_CORNERS,
    RIGHT_BROW,
    UPPER_LIP_ROWS,
)
from sunriza_assets.studio.motion.head_pose import HeadMotion
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import DEFAULTS, resolve

Points = NDArray[np.float64]
FELT = [name for name, emotion in EMOTIONS.items() if emotion]


def worn(mesh: Points, emotion: str, strength: float = 1.0) -> EmotionOffsets:
    face = fit_emotion(mesh, emotion, strength)
    assert face is not None
    return face


def corner_height(points: NDArray[Any]) -> float:
    """How far the corners of the mouth are above its middle, IOD."""
    middle = points[[UPPER_LIP_ROWS[-1, 5], LOWER_LIP_ROWS[-1, 5]], 1].mean()
    return float((middle - points[list(MOUTH_CORNERS), 1].mean()) / iod(points))


def brow_height(points: NDArray[Any], which: slice = slice(None)) -> float:
    """How far the brows are above the line between the eyes' outer corners, IOD."""
    brows = np.concatenate([RIGHT_BROW[which], LEFT_BROW[which]])
    corners = points[list(OUTER_EYE_CORNERS), 1].mean()
    return float((corners - points[brows, 1].mean()) / iod(points))


def iod(points: NDArray[Any]) -> float:
    right, left = (points[index, :2] for index in OUTER_EYE_CORNERS)
    return float(np.linalg.norm(left - right))


@pytest.mark.parametrize("said", [{}, {"emotion": "sad", "emotion_strength": 0}])
def test_without_an_emotion_nothing_is_worn(landmarks: Points, said: dict[str, Any]) -> None:
    parameters = resolve(said)
    assert fit_emotion(landmarks[:468], parameters.emotion, parameters.emotion_strength) is None


def test_no_strength_is_the_neutral_picture(
    engine: MeshEngine, portrait: Image, make_template: Callable[..., MotionTemplate]
) -> None:
    parameters = resolve({"emotion": "angry", "emotion_strength": 0, "loop": False})
    (frame,) = engine.render(portrait, make_template(frames=1), parameters).frames()
    assert np.array_equal(frame, portrait)
    cells, plain = (engine.visemes(portrait, each).cells for each in (parameters, DEFAULTS))
    assert all(np.array_equal(cells[name], plain[name]) for name in plain)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(FELT), st.floats(0.01, 0.5))
def test_twice_the_strength_moves_twice_as_far(
    landmarks: Points, emotion: str, strength: float
) -> None:
    mesh = landmarks[:468]
    once, twice = worn(mesh, emotion, strength), worn(mesh, emotion, 2 * strength)
    np.testing.assert_allclose(twice.offsets, 2 * once.offsets, atol=1e-9)
    assert twice.openness - 1 == pytest.approx(2 * (once.openness - 1))


@pytest.mark.parametrize("emotion", FELT)
def test_skull_eyes_and_outline_stay(rig: PortraitRig, emotion: str) -> None:
    moved = np.linalg.norm(worn(rig.mesh, emotion).rest(rig.mesh) - rig.mesh, axis=1) / rig.iod
    corners = [33, 133, 362, 263]
    assert moved[EYE_CONTOURS.ravel()].max() < 1e-6
    assert moved[OVAL[:8]].max() < 1e-6
    assert moved[corners].max() < 1e-6
    bridge = [index for index in SKULL if index in (168, 6, 197, 195)]
    assert moved[bridge].max() < 1e-6
    assert 0.03 < moved.max() < 0.2


@pytest.mark.parametrize("emotion", FELT)
def test_no_face_is_folded(rig: PortraitRig, emotion: str) -> None:
    face = worn(rig.mesh, emotion).rest(rig.mesh)
    assert rig.warp.folded(HeadMotion.still(), face) < 0.006


@pytest.mark.parametrize("emotion", FELT)
def test_a_shut_eye_is_shut_in_any_emotion(landmarks: Points, emotion: str) -> None:
    face = worn(landmarks[:468], emotion)
    closures = face.closures(np.array([0.0, 0.5, 1.0]))
    assert closures[2] == 1.0
    assert (np.diff(closures) > 0).all()


def test_a_mouth_the_clip_opens_is_not_opened_twice(landmarks: Points) -> None:
    mesh = landmarks[:468]
    closed = mesh + LipCorrector(mesh, closed=1.0).corrected(np.zeros((468, 3)))
    face = worn(closed, "surprised")
    assert face.opens
    np.testing.assert_allclose(face.added_to(np.zeros((468, 3))), face.offsets)
    np.testing.assert_allclose(face.added_to(2 * face.parting), face.offsets + face.parting)


@pytest.fixture(scope="module")
def looks(
    engine: MeshEngine,
    portrait: Image,
    independent: IndependentFaceMesh,
    make_template: Callable[..., MotionTemplate],
) -> dict[str, Points]:
    """Emotion -> (478, 3) what independent models see in the idle of a clip in which all rests."""
    template = make_template(frames=1)

    def look(emotion: str) -> Points:
        parameters = resolve({"emotion": emotion, "loop": False})
        (frame,) = engine.render(portrait, template, parameters).frames()
        return independent.portrait(frame).points.astype(np.float64)

    return {emotion: look(emotion) for emotion in EMOTIONS}


def test_others_see_the_emotion(looks: dict[str, Points]) -> None:
    own = looks["neutral"]
    corners = {name: corner_height(look) - corner_height(own) for name, look in looks.items()}
    brows = {name: brow_height(look) - brow_height(own) for name, look in looks.items()}
    eyes = {
        name: float((eye_apertures(look) / eye_apertures(own)).mean())
        for name, look in looks.items()
    }
    assert corners["happy"] > 0.004
    assert max(corners["sad"], corners["angry"], corners["disgusted"]) < -0.02
    assert min(brows["surprised"], brows["fearful"]) > 0.02
    assert max(brows["angry"], brows["disgusted"]) < -0.01
    assert min(eyes["surprised"], eyes["fearful"]) > 1.05
    assert max(eyes["sad"], eyes["disgusted"], eyes["happy"]) < 0.95
    assert mouth_aperture(looks["sad"]) < 0.6 * mouth_aperture(own)


@pytest.mark.parametrize("emotion", FELT)
def test_the_head_does_not_turn(looks: dict[str, Points], emotion: str) -> None:
    """Lowered brows are read as a nod of three degrees, by a model that sees the whole face."""
    assert np.abs(head_angles(looks[emotion]) - head_angles(looks["neutral"])).max() < 0.08


@pytest.mark.parametrize("emotion", ["happy", "surprised"])
def test_cells_wear_what_the_idle_wears(
    engine: MeshEngine,
    portrait: Image,
    make_template: Callable[..., MotionTemplate],
    emotion: str,
) -> None:
    parameters = resolve({"emotion": emotion, "loop": False})
    visemes = engine.visemes(portrait, parameters)
    rendering = engine.render(portrait, make_template(frames=1), parameters)
    (frame,) = rendering.frames()
    roi = visemes.roi
    shown = frame[roi.y : roi.y + roi.h, roi.x : roi.x + roi.w].astype(float)
    np.testing.assert_allclose(visemes.cells["Rest"], shown, atol=3)
    np.testing.assert_allclose(rendering.track[0], [[1, 0, 0], [0, 1, 0]], atol=1e-6)
    for name, cell in visemes.cells.items():
        apart = np.abs(cell - shown)
        rim = np.concatenate([apart[0], apart[-1], apart[:, 0], apart[:, -1]])
        assert rim.mean() < 4.5, name


def test_the_loop_closes_in_any_emotion(
    engine: MeshEngine, portrait: Image, make_template: Callable[..., MotionTemplate]
) -> None:
    count = 150
    yaw = np.linspace(-0.1, 0.1, count)
    rotation = np.stack([0 * yaw, yaw, 0 * yaw], axis=1)
    template = make_template(frames=count, rotation=rotation)
    plain = engine.render(portrait, template, resolve({}))
    sad = engine.render(portrait, template, resolve({"emotion": "sad"}))
    assert sad.facts["loop"] == plain.facts["loop"]
