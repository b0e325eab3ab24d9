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
from sunriza_assets.studio.expression.emotion_offsets import (
    EmotionOffsets,
    emotion_offsets,
    fit_emotion,
)
from sunriza_assets.studio.expression.emotions import EMOTIONS, Emotion
from sunriza_assets.studio.expression.lips import LipCorrector, lip_gap
from sunriza_assets.studio.face.independent import IndependentFaceMesh
from sunriza_assets.studio.face.measures import eye_apertures, head_angles, mouth_aperture
from sunriza_assets.studio.face.regions import EYE_CONTOURS, NOSE_BASE, OVAL, SKULL
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
_INNER, _OUTER = slice(3, 6), slice(0, 2)
"""Points of a brow, in the order of the topology."""
_BRIDGE = 6
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


def mouth_width(points: NDArray[Any]) -> float:
    """Distance of the corners of the mouth, IOD."""
    right, left = (points[index, :2] for index in MOUTH_CORNERS)
    return float(np.linalg.norm(left - right) / iod(points))


def philtrum(points: NDArray[Any]) -> float:
    """Height of the skin between nose and upper lip, IOD."""
    return float((points[UPPER_LIP_ROWS[0, 5], 1] - points[NOSE_BASE, 1]) / iod(points))


def feature_shape(points: NDArray[Any]) -> Points:
    """(N, 2) brows, lids and lips, IOD from the bridge of the nose."""
    features = np.concatenate(
        [
            RIGHT_BROW,
            LEFT_BROW,
            EYE_CONTOURS.ravel(),
            UPPER_LIP_ROWS.ravel(),
            LOWER_LIP_ROWS.ravel(),
        ]
    )
    return np.asarray((points[features, :2] - points[_BRIDGE, :2]) / iod(points))


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


@pytest.mark.parametrize("emotion", ["surprised", "disgusted"])
def test_a_mouth_the_clip_opens_is_not_opened_twice(landmarks: Points, emotion: str) -> None:
    mesh = landmarks[:468]
    closed = mesh + LipCorrector(mesh, closed=1.0).corrected(np.zeros((468, 3)))
    face = worn(closed, emotion)
    assert face.opens
    np.testing.assert_allclose(face.added_to(np.zeros((468, 3))), face.offsets)
    np.testing.assert_allclose(face.added_to(2 * face.parting), face.offsets + face.parting)


def test_surprise_moves_most_and_sadness_least(landmarks: Points) -> None:
    """On a face at rest: the photo's smile, which most emotions undo, is undone before."""
    mesh = landmarks[:468]
    rest = mesh + emotion_offsets(mesh, Emotion(corners=-1e-9, opening=0.0))
    moved = {
        name: float(np.sqrt((worn(rest, name).offsets ** 2).sum(axis=1).mean())) / iod(rest)
        for name in FELT
    }
    assert max(moved, key=lambda name: moved[name]) == "surprised"
    assert min(moved["happy"], moved["fearful"], moved["disgusted"]) > moved["sad"]
    assert min(moved.values()) > 0.015


def test_lips_that_close_leave_no_teeth_between(landmarks: Points) -> None:
    """The lower lip may not rise all the way from a smile; the upper one makes up for it."""
    mesh = landmarks[:468]
    open_photo = lip_gap(mesh)[5] / iod(mesh)
    assert open_photo > 0.08
    for name in ("sad", "angry"):
        assert lip_gap(worn(mesh, name).rest(mesh))[3:8].max() / iod(mesh) < 0.012


def test_a_mouth_the_clip_makes_smile_does_not_smile_twice(landmarks: Points) -> None:
    face = worn(landmarks[:468], "happy")
    corners = list(MOUTH_CORNERS)
    assert np.abs(face.smile[corners]).max() > 0.03 * iod(landmarks)
    np.testing.assert_allclose(face.added_to(-face.smile), face.offsets - face.smile)
    half, whole, more = (share * face.smile for share in (0.5, 1.0, 1.5))
    for clip in (half, whole):  # however much of the smile is the clip's
        np.testing.assert_allclose(face.added_to(clip)[corners], face.offsets[corners], atol=1e-6)
    np.testing.assert_allclose(face.added_to(more), face.offsets + 0.5 * face.smile, atol=1e-6)
    assert not worn(landmarks[:468], "sad").smile.any()


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
    inner = {
        name: brow_height(look, _INNER) - brow_height(own, _INNER) for name, look in looks.items()
    }
    outer = {
        name: brow_height(look, _OUTER) - brow_height(own, _OUTER) for name, look in looks.items()
    }
    eyes = {
        name: float((eye_apertures(look) / eye_apertures(own)).mean())
        for name, look in looks.items()
    }
    assert corners["happy"] > 0.004
    assert max(corners["sad"], corners["angry"], corners["disgusted"]) < -0.02
    assert min(inner["surprised"], inner["fearful"], inner["sad"]) > 0.02
    assert outer["surprised"] > max(outer["fearful"], outer["sad"], 0.0) + 0.01
    assert max(inner["angry"], inner["disgusted"]) < -0.02
    assert min(eyes["surprised"], eyes["fearful"]) > 1.03
    assert max(eyes["sad"], eyes["disgusted"], eyes["happy"]) < 0.95
    assert mouth_aperture(looks["sad"]) < 0.6 * mouth_aperture(own)
    assert mouth_aperture(looks["surprised"]) > 1.1 * mouth_aperture(own)


def test_a_smile_is_lost_where_it_does_not_belong(looks: dict[str, Points]) -> None:
    """The photo smiles: its corners are up, its mouth is wide."""
    own = looks["neutral"]
    for name in ("fearful", "sad", "angry", "disgusted"):
        assert corner_height(looks[name]) < corner_height(own) - 0.03
        assert mouth_width(looks[name]) < 0.96 * mouth_width(own)


def test_the_upper_lip_goes_where_its_muscles_pull(looks: dict[str, Points]) -> None:
    """Raised by AU10 in disgust, let down by whatever else undoes the smile."""
    heights = {name: philtrum(look) for name, look in looks.items()}
    assert heights["disgusted"] < min(heights[name] for name in ("sad", "angry", "fearful")) - 0.005


def test_no_two_emotions_look_alike(looks: dict[str, Points]) -> None:
    """By what others see of brows, lids and lips, the head's own shift left out."""
    shapes = {name: feature_shape(look) for name, look in looks.items()}
    apart = {
        frozenset((one, other)): float(np.sqrt(((shapes[one] - shapes[other]) ** 2).sum(1).mean()))
        for one in looks
        for other in looks
        if one < other
    }
    assert min(apart.values()) > 0.018, min(apart, key=lambda pair: apart[pair])
    assert apart[frozenset(("angry", "disgusted"))] > 0.025


@pytest.mark.parametrize("emotion", FELT)
def test_the_head_does_not_turn(looks: dict[str, Points], emotion: str) -> None:
    """Moved brows are read as a nod of five degrees, by a model that sees the whole face."""
    assert np.abs(head_angles(looks[emotion]) - head_angles(looks["neutral"])).max() < 0.1


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
