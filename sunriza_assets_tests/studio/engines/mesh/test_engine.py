"""The engine as the graph sees it: renderings planned from templates, parameters, streaming."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.errors import EngineError, FaceError
from sunriza_assets.studio.contracts.engine import Engine, Image, Rendering
from sunriza_assets.studio.drawing.portrait import CROP_SIZE, prepare_rig
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.face.independent import IndependentFaceMesh
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.matte import PersonMatte
from sunriza_assets.studio.face.measures import (
    blink_frames,
    eye_apertures,
    head_angles,
    mouth_aperture,
)
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.regions import LOWER_LIP
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import RenderParameters, resolve

Templates = Callable[..., MotionTemplate]
PLAIN: dict[str, Any] = {"driving_multiplier": 1, "scale_multiplier": 1, "loop": False}


def plain(**more: Any) -> RenderParameters:
    return resolve(PLAIN, more)


def frames_of(rendering: Rendering) -> list[Image]:
    frames = list(rendering.frames())
    assert len(frames) == rendering.frame_count == len(rendering.track)
    assert all(frame.shape[1::-1] == rendering.size for frame in frames)
    return frames


def points_in(mesh: FaceMesh, rendering: Rendering) -> NDArray[np.float64]:
    """(T, 478, 3) landmarks of the frames."""
    faces = list(mesh.track(rendering.frames()))
    assert all(face is not None for face in faces)
    return np.stack([face.points for face in faces if face]).astype(np.float64)


def wave(frames: int, amplitude: float) -> NDArray[np.float64]:
    return amplitude * np.sin(np.linspace(0, 2 * np.pi, frames, endpoint=False))


def speaking(frames: int, opening: float) -> NDArray[np.float64]:
    """(T, 468, 3) offsets of a jaw that drops and rises twice."""
    expression = np.zeros((frames, 468, 3))
    drop = opening * np.sin(np.linspace(0, 2 * np.pi, frames)) ** 2
    expression[:, np.unique(LOWER_LIP[:, 1:-1]), 1] = drop[:, None]
    return expression


def test_it_is_an_engine(engine: MeshEngine) -> None:
    as_engine: Engine = engine
    identity = as_engine.extraction_identity()
    assert identity["extractor"] == "mesh"
    assert len(identity) > 3
    assert all(isinstance(value, str) for value in identity.values())


def test_still_motion_gives_the_portrait(
    engine: MeshEngine, portrait: Image, make_template: Templates
) -> None:
    frames = frames_of(engine.render(portrait, make_template(frames=3), plain()))
    assert all(np.array_equal(frame, portrait) for frame in frames)


def test_no_motion_is_asked_for_at_multiplier_zero(
    engine: MeshEngine, portrait: Image, make_template: Templates
) -> None:
    template = make_template(
        rotation=np.stack([wave(24, 0.1)] * 3, axis=1),
        expression=speaking(24, 0.1),
        closure=np.full((24, 2), 0.5),
        log_scale=wave(24, 0.1),
    )
    rendering = engine.render(portrait, template, plain(driving_multiplier=0))
    assert all(np.array_equal(frame, portrait) for frame in frames_of(rendering))


def test_frame_t_answers_to_frame_t(
    engine: MeshEngine,
    portrait: Image,
    independent: IndependentFaceMesh,
    make_template: Templates,
) -> None:
    count = 50
    closure = np.zeros((count, 2))
    for blink in (12, 35):
        closure[blink - 2 : blink + 3] = np.array([0.3, 0.6, 0.75, 0.6, 0.3])[:, None]
    yaw = wave(count, 0.2)
    template = make_template(
        frames=count,
        rotation=np.stack([np.zeros(count), -yaw, np.zeros(count)], axis=1),
        closure=closure,
    )
    points = points_in(independent, engine.render(portrait, template, plain()))
    assert np.corrcoef(head_angles(points)[:, 0], yaw)[0, 1] > 0.95
    blinks = blink_frames(eye_apertures(points), 25.0)
    assert len(blinks) == 2
    np.testing.assert_allclose(blinks, (12, 35), atol=1)


def test_lips_follow_or_rest(
    engine: MeshEngine, portrait: Image, face_mesh: FaceMesh, make_template: Templates
) -> None:
    template = make_template(12, expression=speaking(12, 0.15))

    def openings(**more: Any) -> NDArray[np.float64]:
        rendering = engine.render(portrait, template, plain(**more))
        return mouth_aperture(points_in(face_mesh, rendering))

    assert np.ptp(openings()) > 0.05
    assert np.ptp(openings(lips="still")) < 0.01
    assert np.ptp(openings(animation_region="pose")) < 0.01
    assert np.ptp(openings(animation_region="lip")) > 0.05
    closed = openings(flag_lip_zero=True)
    assert closed[0] < 0.5 * openings()[0]
    np.testing.assert_allclose(openings(flag_normalize_lip=True), closed)


def test_regions_keep_the_rest_still(
    engine: MeshEngine, portrait: Image, independent: IndependentFaceMesh, make_template: Templates
) -> None:
    yaw = np.zeros((24, 3))
    yaw[:, 1] = wave(24, 0.25)
    template = make_template(rotation=yaw, closure=np.stack([wave(24, 0.7)] * 2, axis=1))

    def moved(region: str) -> tuple[float, float]:
        rendering = engine.render(portrait, template, plain(animation_region=region))
        faces = points_in(independent, rendering)
        return float(np.ptp(head_angles(faces)[:, 0])), float(np.ptp(eye_apertures(faces)))

    assert moved("pose")[0] > 0.25
    for region in ("exp", "eyes"):
        turn, lids = moved(region)
        assert turn < 0.05
        assert lids > 0.1


def test_frames_are_made_when_asked_for_and_again_alike(
    engine: MeshEngine, portrait: Image, make_template: Templates
) -> None:
    template = make_template(rotation=np.stack([wave(24, 0.1)] * 3, axis=1))
    rendering = engine.render(portrait, template, plain())
    one, other = rendering.frames(), rendering.frames()
    for _ in range(5):
        assert np.array_equal(next(one), next(other))
    frame = next(one)
    kept = frame.copy()
    next(one)
    assert np.array_equal(frame, kept)
    again = engine.render(portrait, template, plain())
    assert all(
        np.array_equal(a, b) for a, b in zip(rendering.frames(), again.frames(), strict=True)
    )


def test_the_loop_closes(engine: MeshEngine, portrait: Image, make_template: Templates) -> None:
    """A clip that ends far from where it began: the step from last to first is an ordinary one."""
    count = 150
    drift = np.linspace(-0.15, 0.15, count) + wave(count, 0.03)
    template = make_template(
        frames=count, rotation=np.stack([np.zeros(count), drift, np.zeros(count)], axis=1)
    )
    rendering = engine.render(portrait, template, plain(loop=True))
    assert rendering.facts["loop"]["frames"] == rendering.frame_count < count
    frames = [frame.astype(float) for frame in rendering.frames()]
    steps = [np.abs(b - a).mean() for a, b in pairwise(frames)]
    assert np.abs(frames[0] - frames[-1]).mean() <= np.percentile(steps, 95) * 1.05


def test_the_rate_is_the_clips_or_the_one_asked_for(
    engine: MeshEngine, portrait: Image, make_template: Templates
) -> None:
    template = make_template(frames=20, rate=Fraction(30000, 1001))
    assert engine.render(portrait, template, plain()).rate == Fraction(30000, 1001)
    slower = engine.render(portrait, template, plain(fps=15))
    assert slower.rate == 15
    assert slower.frame_count == 10


@pytest.mark.parametrize("shape", [(299, 300), (300, 287)])
def test_sizes_are_even(
    engine: MeshEngine, portrait: Image, make_template: Templates, shape: tuple[int, int]
) -> None:
    rendering = engine.render(portrait[: shape[0], : shape[1]], make_template(frames=1), plain())
    assert rendering.size == (shape[1] - shape[1] % 2, shape[0] - shape[0] % 2)


def test_large_portraits_are_shrunk_and_small_ones_left(
    engine: MeshEngine, portrait: Image, make_template: Templates
) -> None:
    template = make_template(frames=1)
    assert engine.render(portrait, template, plain(source_max_dim=256)).size == (256, 256)
    assert engine.render(portrait, template, plain(source_max_dim=1600)).size == (300, 300)


def test_without_pasteback_the_face_fills_a_square(
    engine: MeshEngine, face_mesh: FaceMesh, make_template: Templates
) -> None:
    import skimage.data

    picture: Image = skimage.data.astronaut()
    rendering = engine.render(picture, make_template(frames=1), plain(flag_pasteback=False))
    (frame,) = frames_of(rendering)
    assert rendering.size == (CROP_SIZE, CROP_SIZE)
    assert face_mesh.portrait(frame).iod > 1.5 * face_mesh.portrait(picture).iod


def test_a_face_crop_need_not_be_searched(
    engine: MeshEngine, portrait: Image, make_template: Templates
) -> None:
    tight = portrait[20:190, 60:230].copy()
    rendering = engine.render(tight, make_template(frames=1), plain(flag_do_crop=False))
    assert np.array_equal(frames_of(rendering)[0], tight)
    with pytest.raises(FaceError):
        blank = np.full((128, 128, 3), 127, np.uint8)
        engine.render(blank, make_template(frames=1), plain(flag_do_crop=False))


def test_grain_goes_from_the_person_and_stays_in_the_background(
    portrait: Image, face_mesh: FaceMesh, models: ModelStore
) -> None:
    matte = PersonMatte(models)
    noise = np.random.default_rng(0).normal(0.0, 6.0, portrait.shape)
    grainy = np.clip(portrait + noise, 0, 255).astype(np.uint8)
    before, after = (
        prepare_rig(grainy, resolve({"denoise": strength}), face_mesh, matte).image
        for strength in (0.0, 6.0)
    )
    np.testing.assert_array_equal(before, grainy)
    apart, person = np.abs(after.astype(int) - grainy).mean(axis=2), matte.matte(grainy)
    assert apart[person < 0.001].max() == 0
    assert apart[person > 0.99].mean() > 1.0


def test_a_smile_is_not_exaggerated_into_a_laugh(
    engine: MeshEngine, portrait: Image, make_template: Templates, face_mesh: FaceMesh
) -> None:
    """The astronaut's lips are parted; closed lips take the whole gain."""
    expression = np.zeros((4, 468, 3))
    expression[2:, np.unique(LOWER_LIP[:, 1:-1]), 1] = 0.08
    template = make_template(4, expression=expression)

    def opened(gain: float) -> float:
        parameters = resolve({"driving_multiplier": gain, "loop": False})
        frames = list(engine.render(portrait, template, parameters).frames())
        seen = [mouth_aperture(face_mesh.portrait(frames[at]).points) for at in (0, 3)]
        return float(seen[1] - seen[0])

    assert opened(1.0) > 0.02
    assert opened(1.7) < 1.4 * opened(1.0)


def test_the_track_follows_the_mouth(
    engine: MeshEngine, portrait: Image, face_mesh: FaceMesh, make_template: Templates
) -> None:
    roll = np.zeros((12, 3))
    roll[:, 2] = np.linspace(0, 0.2, 12)
    shift = np.zeros((12, 3))
    shift[:, 0] = -np.linspace(0, 0.2, 12)
    rendering = engine.render(
        portrait, make_template(12, rotation=roll, translation=shift), plain()
    )
    frames = list(rendering.frames())
    lips = [61, 291, 13, 14, 0, 17]
    rest = face_mesh.portrait(portrait).points[lips, :2]
    matrix = rendering.track[-1]
    seen = face_mesh.portrait(frames[-1]).points[lips, :2]
    tracked = rest @ matrix[:, :2].T + matrix[:, 2]
    iod = face_mesh.portrait(portrait).iod
    assert np.linalg.norm(seen - rest, axis=1).mean() > 0.1 * iod
    assert np.linalg.norm(seen - tracked, axis=1).mean() < 0.04 * iod
    np.testing.assert_allclose(rendering.track[0], [[1, 0, 0], [0, 1, 0]], atol=1e-6)


def test_exaggeration_stays_within_a_face(
    engine: MeshEngine, portrait: Image, independent: IndependentFaceMesh, make_template: Templates
) -> None:
    yaw = np.zeros((12, 3))
    yaw[:, 1] = -wave(12, 0.5)
    template = make_template(12, rotation=yaw, expression=speaking(12, 0.4))
    rendering = engine.render(portrait, template, resolve({"loop": False, "driving_multiplier": 3}))
    held = rendering.facts["held_back_share_of_frames"]
    assert held["yaw"] > 0.5
    assert held["lips"] > 0.1
    faces = points_in(independent, rendering)
    assert np.abs(head_angles(faces)[:, 0]).max() < 0.65


def test_a_foreign_template_is_refused(
    engine: MeshEngine, portrait: Image, make_template: Templates
) -> None:
    template = make_template()
    foreign = MotionTemplate(
        engine="liveportrait",
        engine_version="1",
        rate=template.rate,
        frame_count=template.frame_count,
        source_sha256=template.source_sha256,
        neutral_frame=0,
        arrays=template.arrays,
    )
    with pytest.raises(EngineError):
        engine.render(portrait, foreign, plain())


def test_a_portrait_without_a_face_is_refused(engine: MeshEngine, make_template: Templates) -> None:
    with pytest.raises(FaceError):
        engine.render(np.full((200, 200, 3), 90, np.uint8), make_template(), plain())
