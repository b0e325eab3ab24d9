"""The engine end to end, with stand-in weights: extraction, planning, frames, cells.

Stand-in networks paint noise, so nothing here is about looks. What is painted is swapped for a
painter that writes the number of a pose into its picture wherever only the flow matters.
"""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sunriza_assets.errors import EngineError, FaceError, MediaError, ModelError
from sunriza_assets.studio.engines.liveportrait.engine import LivePortraitEngine
from sunriza_assets.studio.engines.liveportrait.portrait import fitted
from sunriza_assets.studio.engines.liveportrait.template import motion_in, ratios_in
from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.studio.engines.liveportrait.number_painter import FOLLOWED, FRAMES


def test_extraction(template: MotionTemplate, progress_calls: list[tuple[int, int]]) -> None:
    assert (template.engine, template.frame_count, template.rate) == ("liveportrait", FRAMES, 25)
    assert template.facts["frames_with_face"] == FRAMES
    assert template.facts["landmarks"] == "face mesh"
    motion, ratios = motion_in(template), ratios_in(template)
    assert len(motion) == FRAMES
    assert ratios is not None
    assert ((ratios.eyes > 0.1) & (ratios.eyes < 0.6)).all()
    assert (ratios.lip < 0.1).all()  # the sample clip begins with closed lips
    rotation = motion.rotation
    assert torch.allclose(
        rotation @ rotation.transpose(1, 2), torch.eye(3).expand(FRAMES, 3, 3), atol=1e-5
    )
    assert [done for done, _ in progress_calls] == sorted(done for done, _ in progress_calls)
    assert progress_calls[-1] == (FRAMES, FRAMES)
    assert {total for _, total in progress_calls} == {FRAMES}


def test_extraction_needs_a_clip_with_a_face(
    engine: LivePortraitEngine, sample: Sample, tmp_path: Path
) -> None:
    with pytest.raises(MediaError):
        engine.extract(sample.portrait)
    grey = tmp_path / "grey.mp4"
    encode((np.full((256, 256, 3), 128, np.uint8) for _ in range(5)), grey, rate=Fraction(25))
    with pytest.raises(FaceError):
        engine.extract(grey)


def test_identity_names_extractor_and_models(engine: LivePortraitEngine) -> None:
    identity = engine.extraction_identity()
    assert identity["extractor"] == "liveportrait"
    assert {"extractor", "version"} < set(identity)


def test_frames_are_painted_into_an_untouched_portrait(
    engine: LivePortraitEngine, template: MotionTemplate, picture: np.ndarray
) -> None:
    rendering = engine.render(picture, template, FOLLOWED)
    assert rendering.size == picture.shape[1::-1]
    assert (rendering.rate, rendering.frame_count) == (25, FRAMES)
    assert rendering.track.shape == (FRAMES, 2, 3)
    assert rendering.facts["precision"] == "float32"
    assert "precision_note" not in rendering.facts
    assert rendering.facts["estimated_seconds"] > 0
    frames = rendering.frames()
    frame = next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert frame.shape == picture.shape
    assert frame.dtype == np.uint8
    assert np.array_equal(frame[:, :20], picture[:, :20])  # beside the crop
    assert np.array_equal(frame[-100:], picture[-100:])  # below it
    assert not np.array_equal(frame, picture)


def test_all_frames_come_once_in_order_whatever_the_batch(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, picture: np.ndarray
) -> None:
    whole = FOLLOWED | {"flag_pasteback": False}
    for batch in (3, 20):
        rendering = numbering(batch=batch).render(picture, template, whole)
        assert rendering.size == (512, 512)
        for _ in range(2):  # each call starts anew
            numbers = [int(frame[0, 0, 0]) for frame in rendering.frames()]
            assert np.array_equal(np.diff(numbers), np.ones(FRAMES - 1))


def test_a_reader_may_stop_early(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, picture: np.ndarray
) -> None:
    made = numbering(batch=2)
    frames = made.render(picture, template, FOLLOWED).frames()
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    painter: Any = made._networks.loaded().painter
    assert painter.painted < FRAMES + 1  # the rehearsed one included


def test_sizes_and_faces(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, picture: np.ndarray
) -> None:
    made = numbering()
    odd = picture[:501, :399]
    assert made.render(odd, template, FOLLOWED).size == (398, 500)
    assert fitted(picture, 300).shape == (300, 300, 3)
    with pytest.raises(FaceError):
        made.render(np.full((300, 300, 3), 90, np.uint8), template, FOLLOWED)
    unstitched = made.render(picture, template, FOLLOWED | {"flag_stitching": False})
    assert unstitched.size == (512, 512)
    assert not unstitched.facts["pasted_back"]


def test_templates_of_other_engines_are_refused(
    engine: LivePortraitEngine, template: MotionTemplate, picture: np.ndarray
) -> None:
    foreign = MotionTemplate("mesh", "1", template.rate, FRAMES, "0" * 64, 0, template.arrays)
    with pytest.raises(EngineError, match="mesh"):
        engine.render(picture, foreign, FOLLOWED)


def test_cells(numbering: Callable[..., LivePortraitEngine], picture: np.ndarray) -> None:
    cells = numbering(batch=5).visemes(picture, RenderParameters())
    assert list(cells.cells) == list(VISEMES)
    assert cells.roi.fits((picture.shape[1], picture.shape[0]))
    assert {cell.shape for cell in cells.cells.values()} == {(cells.roi.h, cells.roi.w, 3)}
    middles = [int(cell[cells.roi.h // 2, cells.roi.w // 2, 0]) for cell in cells.cells.values()]
    assert middles == list(range(12))
    assert cells.lips.shape == (12, 20, 2)
    assert (cells.lips >= 0).all()
    assert (cells.lips <= [cells.roi.w, cells.roi.h]).all()


@pytest.mark.slow
def test_cells_are_really_painted(engine: LivePortraitEngine, picture: np.ndarray) -> None:
    cells = list(engine.visemes(picture, RenderParameters()).cells.values())
    for index, one in enumerate(cells):
        for other in cells[:index]:
            assert np.abs(one.astype(int) - other).mean() > 0.5


def test_missing_weights_are_named(models_root: Path) -> None:
    with pytest.raises(ModelError, match="sunriza models pull liveportrait"):
        LivePortraitEngine(models_root / "nowhere")
