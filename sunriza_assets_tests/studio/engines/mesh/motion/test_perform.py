"""A script as a mesh template: it says what the script says, and is a loop as it stands."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.engines.mesh.motion.closure import (
    SHUT_CLOSURE,
    measured_closure,
    true_closure,
)
from sunriza_assets.studio.engines.mesh.motion.perform import neutral_face, perform_script
from sunriza_assets.studio.engines.mesh.motion.timing import plan_timing
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.measures import eye_apertures, head_angles, mouth_aperture
from sunriza_assets.studio.face.topology import MOUTH_CORNERS, RIGID_HEAD, RIGID_POINTS
from sunriza_assets.studio.media.seam import MAX_SEAM_RATIO, seam_ratio
from sunriza_assets.studio.motion.head_pose import eye_distance
from sunriza_assets.studio.motion.rigid import fit_similarity
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import resolve
from sunriza_assets.studio.performances.builtin import motion_script
from sunriza_assets.studio.performances.named import PERFORMANCES
from sunriza_assets.studio.performances.script import MotionScript
from sunriza_assets.studio.sample.clip import sample_portrait

NAMES = pytest.mark.parametrize("name", PERFORMANCES)


def written(script: MotionScript) -> MotionTemplate:
    return perform_script(script, engine="mesh", version="1")


def still(**curves: float) -> MotionScript:
    """A script in which nothing happens but for these, held throughout."""
    script = motion_script("calm")
    names = ("yaw", "pitch", "roll", "shift", "log_scale", "closure", "gaze", "smile", "brows",
             "opening", "width")  # fmt: skip
    return replace(
        script, **{n: np.full_like(getattr(script, n), curves.get(n, 0.0)) for n in names}
    )


def test_the_face_at_rest_is_the_samples_made_symmetrical(face_mesh: FaceMesh) -> None:
    face = neutral_face()
    assert eye_distance(face) == pytest.approx(1.0, abs=1e-3)
    mirrored = face * [-1.0, 1.0, 1.0]
    nearest = np.linalg.norm(mirrored[:, None] - face, axis=2).min(axis=1)
    assert nearest.max() < 1e-6
    assert mouth_aperture(face) < 0.02
    assert np.abs(head_angles(face[None])[0]).max() < 0.1
    hers = face_mesh.portrait(sample_portrait()).points.astype(np.float64)
    fit = fit_similarity(hers[RIGID_POINTS], RIGID_HEAD)
    ours = fit_similarity(face[RIGID_POINTS], RIGID_HEAD).apply(face[RIGID_POINTS])
    assert np.abs(ours - fit.apply(hers[RIGID_POINTS])).mean() < 0.05


def test_each_curve_moves_what_it_says_and_both_sides_alike() -> None:
    def shape(**curves: float) -> np.ndarray:
        return neutral_face()[:468] + written(still(**curves)).arrays["expression"][0].astype(float)

    rest = shape()
    right, left = MOUTH_CORNERS
    smiling = shape(smile=0.5) - rest
    assert smiling[right, 1] < -0.03
    assert smiling[right, 1] == pytest.approx(smiling[left, 1], abs=1e-3)
    assert smiling[right, 0] == pytest.approx(-smiling[left, 0], abs=1e-3)
    raised = shape(brows=0.5) - rest
    assert raised[105, 1] == pytest.approx(-0.04, abs=0.01)
    assert np.abs(raised[list(MOUTH_CORNERS)]).max() < 1e-3
    parted = shape(opening=0.05) - rest
    assert parted[14, 1] - parted[13, 1] == pytest.approx(0.05, abs=0.001)
    assert 0 < parted[152, 1] < parted[14, 1], "the chin goes along, by less"
    pursed = shape(width=-0.1)
    width = np.linalg.norm(rest[left] - rest[right])
    assert np.linalg.norm(pursed[left] - pursed[right]) == pytest.approx(0.9 * width, rel=0.01)


@NAMES
def test_no_vertex_is_thrown(name: str) -> None:
    """Skin between lips that touch is where an interpolation goes astray."""
    expression = written(motion_script(name)).arrays["expression"].astype(float)
    assert np.abs(expression).max() < 0.06


def test_lids_come_back_as_they_were_meant() -> None:
    meant = np.linspace(-0.2, 1.0, 50)
    np.testing.assert_allclose(
        true_closure(measured_closure(meant, SHUT_CLOSURE), SHUT_CLOSURE), meant, atol=1e-9
    )


@NAMES
@pytest.mark.parametrize(("fps", "a_second"), [("source", 25), (30, 30), (29.97, 30), (60, 60)])
def test_it_is_its_own_loop_at_any_rate(
    rig: PortraitRig, name: str, fps: object, a_second: int
) -> None:
    script = motion_script(name)
    timing = plan_timing(written(script), rig, resolve({"fps": fps}))
    assert len(timing.arrays["rotation"]) == a_second * script.seconds
    assert timing.facts["loop"]["glide_frames"] == 0
    for array, ratio in timing.facts["loop"]["seam"].items():
        assert ratio <= 1.0, array


@pytest.mark.parametrize("seconds", [3.0, 5.5, 10.0])
def test_a_loop_of_another_length_is_found_in_it(rig: PortraitRig, seconds: float) -> None:
    timing = plan_timing(written(motion_script("calm")), rig, resolve({"loop_seconds": seconds}))
    assert timing.facts["loop"]["seconds"] == pytest.approx(seconds, abs=0.05)
    assert max(timing.facts["loop"]["seam"].values()) <= 1.0


def test_followed_without_a_loop_it_is_one_round(rig: PortraitRig) -> None:
    script = motion_script("calm")
    timing = plan_timing(written(script), rig, resolve({"loop": False}))
    assert len(timing.arrays["rotation"]) == script.frame_count
    np.testing.assert_allclose(timing.arrays["log_scale"], script.log_scale, atol=1e-6)


def test_the_template_survives_its_file(tmp_path: Path) -> None:
    template = written(motion_script("attentive"))
    template.save(tmp_path / "motion.npz")
    again = MotionTemplate.load(tmp_path / "motion.npz")
    assert again.performance == "attentive"
    np.testing.assert_array_equal(again.arrays["expression"], template.arrays["expression"])


@pytest.mark.slow
@NAMES
def test_the_idle_blinks_and_has_no_seam(
    engine: MeshEngine, face_mesh: FaceMesh, name: str
) -> None:
    """Looked at with landmarks, as one would look at a clip."""
    script = motion_script(name)
    rendering = engine.render(sample_portrait(), engine.perform(script), resolve({}))
    frames = list(rendering.frames())
    assert seam_ratio(frames) <= MAX_SEAM_RATIO
    faces = np.stack([face.points for face in face_mesh.track(frames) if face is not None])
    assert len(faces) == script.frame_count
    openings = eye_apertures(faces).mean(axis=1)
    shut = openings < 0.6 * np.median(openings)
    assert 2 <= int(np.sum(np.diff(shut.astype(int)) == 1)) <= 4
    meant = np.corrcoef(-head_angles(faces)[:, 0], -script.yaw)[0, 1]
    assert abs(meant) > 0.9
