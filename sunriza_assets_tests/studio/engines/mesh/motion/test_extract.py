"""What is read of the sample clip is what was performed in it."""

from pathlib import Path

import numpy as np
import pytest

from sunriza_assets.errors import FaceError, MediaError
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.media.encode import VideoWriter, encode
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.sample.clip import Sample


@pytest.fixture(scope="module")
def template(engine: MeshEngine, sample: Sample) -> MotionTemplate:
    reported: list[tuple[int, int]] = []
    template = engine.extract(
        sample.clip, progress=lambda done, total: reported.append((done, total))
    )
    assert reported[0] == (1, 150)
    assert reported[-1] == (150, 150)
    return template


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.astype(float), b.astype(float))[0, 1])


def test_arrays_have_their_shapes(template: MotionTemplate) -> None:
    shapes = {name: array.shape for name, array in template.arrays.items()}
    assert shapes == {
        "neutral": (478, 3),
        "rotation": (150, 3),
        "log_scale": (150,),
        "translation": (150, 3),
        "expression": (150, 468, 3),
        "closure": (150, 2),
        "gaze": (150, 2, 2),
        "mouth_opening": (150,),
        "mouth_texture": (150, 48, 96, 3),
        "skin": (3,),
    }
    assert template.frame_count == 150
    assert template.facts["frames_with_face"] == 150


def test_the_performance_is_found(template: MotionTemplate, sample: Sample) -> None:
    truth, arrays = sample.truth, template.arrays
    assert correlation(-arrays["rotation"][:, 1], truth.yaw) > 0.97
    assert correlation(arrays["rotation"][:, 0], truth.pitch) > 0.85
    assert correlation(arrays["rotation"][:, 2], truth.roll) > 0.9
    assert correlation(arrays["closure"].mean(axis=1), truth.closure) > 0.93
    assert correlation(arrays["mouth_opening"], sample.mouth_opening) > 0.9


def test_rest_is_where_nothing_happens(template: MotionTemplate, sample: Sample) -> None:
    neutral = template.neutral_frame
    assert sample.truth.closure[neutral] < 0.1
    assert abs(sample.truth.yaw[neutral]) < 0.1
    assert sample.mouth_opening[neutral] < 0.03


def test_the_mouth_is_cut_out_where_it_is_open(template: MotionTemplate, sample: Sample) -> None:
    light = template.arrays["mouth_texture"].mean(axis=(1, 2, 3))
    widest, shut = int(sample.mouth_opening.argmax()), int(sample.mouth_opening.argmin())
    assert light[widest] > 10
    assert light[shut] == 0


def test_a_template_survives_the_disk(template: MotionTemplate, tmp_path: Path) -> None:
    template.save(tmp_path / "motion.npz")
    back = MotionTemplate.load(tmp_path / "motion.npz")
    assert all(np.array_equal(back.arrays[name], template.arrays[name]) for name in back.arrays)


def test_a_short_gap_is_bridged_and_reported(
    engine: MeshEngine, sample: Sample, tmp_path: Path
) -> None:
    frames = list(read_frames(sample.clip))[:40]
    for hidden in range(20, 25):
        frames[hidden][60:330, 150:400] = 80  # something passes before the face
    clip = tmp_path / "hidden.mp4"
    encode(frames, clip, rate=sample.truth.rate)
    template = engine.extract(clip)
    (gap,) = template.facts["face_gaps_filled"]
    assert gap == {"start_s": 0.8, "seconds": 0.2}
    assert template.frame_count == 40
    assert np.isfinite(template.arrays["expression"].astype(float)).all()


_DARK = -1
_TIMES: dict[str, tuple[list[range | int], dict[str, object]]] = {
    "a second without at first": ([_DARK] * 25 + [range(100)], {
        "face_gaps_filled": [],
        "shortened_to": {"start_s": 1.0, "seconds": 4.0, "of_s": 5.0}}),
    "dark for 0.4 s": ([range(60), *[_DARK] * 10, range(60, 90)], {
        "face_gaps_filled": [{"start_s": 2.4, "seconds": 0.4}]}),
    "away for a second": ([range(90), *[_DARK] * 25, range(90, 130)], {
        "face_gaps_filled": [],
        "shortened_to": {"start_s": 0.0, "seconds": 3.6, "of_s": 6.2}}),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", _TIMES)
def test_faces_in_time(engine: MeshEngine, sample: Sample, tmp_path: Path, name: str) -> None:
    shown, facts = _TIMES[name]
    frames = list(read_frames(sample.clip))
    dark = np.full_like(frames[0], 20)
    with VideoWriter(tmp_path / "a.mp4", rate=sample.truth.rate, encoder="libx264") as writer:
        for part in shown:
            for frame in [dark] if isinstance(part, int) else [frames[i] for i in part]:
                writer.write(frame)
    template = engine.extract(tmp_path / "a.mp4")
    reported = {key: template.facts.get(key) for key in facts}
    assert reported == facts
    assert ("shortened_to" in template.facts) == ("shortened_to" in facts)
    assert np.isfinite(template.arrays["expression"].astype(float)).all()


def test_a_clip_without_a_face_is_refused(
    engine: MeshEngine, sample: Sample, tmp_path: Path
) -> None:
    clip = tmp_path / "wall.mp4"
    encode([np.full((128, 128, 3), 90, np.uint8)] * 10, clip, rate=sample.truth.rate)
    with pytest.raises(FaceError):
        engine.extract(clip)


def test_a_picture_is_no_clip(engine: MeshEngine, sample: Sample) -> None:
    with pytest.raises(MediaError):
        engine.extract(sample.portrait)
