"""The sample clip, decoded and looked at by models that had no part in making it."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.face.independent import IndependentFaceMesh
from sunriza_assets.studio.face.measures import (
    blink_frames,
    eye_apertures,
    head_angles,
    mouth_aperture,
)
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.info import VideoInfo
from sunriza_assets.studio.media.picture import read_picture
from sunriza_assets.studio.media.probe import probe
from sunriza_assets.studio.sample.clip import (
    PerformanceRenderer,
    Sample,
    sample_portrait,
    write_sample,
)
from sunriza_assets.studio.sample.performance import SPEECH, perform


@pytest.fixture(scope="session")
def seen(sample: Sample, models_root: Path) -> NDArray[np.float64]:
    """(T, 478, 3) what the independent landmarks see in the encoded clip."""
    mesh = IndependentFaceMesh(ModelStore(models_root))
    faces = list(mesh.track(read_frames(sample.clip)))
    assert all(face is not None for face in faces)
    return np.stack([face.points for face in faces if face]).astype(np.float64)


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def test_the_files_are_what_they_should_be(sample: Sample) -> None:
    info = probe(sample.clip)
    assert isinstance(info, VideoInfo)
    assert (info.width, info.height, info.frame_count) == (512, 512, 150)
    assert info.rate == Fraction(25)
    assert read_picture(sample.portrait).shape == (512, 512, 3)
    assert sample.clip.stat().st_size < 1_000_000


def test_both_blinks_are_seen_and_no_third(sample: Sample, seen: NDArray[np.float64]) -> None:
    found = blink_frames(eye_apertures(seen), 25.0)
    assert len(found) == 2
    np.testing.assert_allclose(found, sample.truth.blink_frames, atol=2)


def test_the_curves_are_seen(sample: Sample, seen: NDArray[np.float64]) -> None:
    truth, angles = sample.truth, head_angles(seen)
    assert correlation(angles[:, 0], truth.yaw) > 0.97
    assert correlation(angles[:, 1], truth.pitch) > 0.8
    assert correlation(angles[:, 2], truth.roll) > 0.9
    assert correlation(mouth_aperture(seen), sample.mouth_opening) > 0.88
    assert correlation(-eye_apertures(seen).mean(axis=1), truth.closure) > 0.95


def test_shifted_truth_is_not_seen(sample: Sample, seen: NDArray[np.float64]) -> None:
    """The control: the same comparison against the script a third out of step finds nothing."""
    shift = len(seen) // 3
    assert correlation(mouth_aperture(seen), np.roll(sample.mouth_opening, shift)) < 0.4
    closure = np.roll(sample.truth.closure, shift)
    assert correlation(-eye_apertures(seen).mean(axis=1), closure) < 0.3


def test_lips_close_for_m_and_open_for_a(sample: Sample, seen: NDArray[np.float64]) -> None:
    opening = mouth_aperture(seen)
    at = {
        wanted: [
            opening[sample.truth.viseme_frame(k)]
            for k, (_, name) in enumerate(SPEECH)
            if name == wanted
        ]
        for wanted in ("MBP", "AI", "Rest")
    }
    assert min(at["AI"]) > 2 * max(at["MBP"])
    assert min(at["AI"]) > 2 * max(at["Rest"])


def test_it_is_the_same_every_time(models_root: Path, tmp_path: Path) -> None:
    short = perform(seconds=Fraction(2, 5))
    first = write_sample(tmp_path / "a", models_root, performance=short)
    second = write_sample(tmp_path / "b", models_root, performance=short)
    assert first.clip.read_bytes() == second.clip.read_bytes()
    assert first.portrait.read_bytes() == second.portrait.read_bytes()


def test_only_the_person_moves(models_root: Path) -> None:
    """Far from the person the background stays as the photo has it, whatever the head does."""
    portrait = sample_portrait()
    turned = perform(seconds=Fraction(4))
    frames = list(PerformanceRenderer(portrait, ModelStore(models_root)).frames(turned))
    corners = (slice(0, 60), [*range(60), *range(452, 512)])
    for frame in (frames[20], frames[90]):
        difference = np.abs(frame[corners].astype(int) - portrait[corners])
        assert difference.mean() <= 0.25
