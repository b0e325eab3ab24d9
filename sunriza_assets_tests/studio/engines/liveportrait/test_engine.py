"""The engine end to end, with stand-in weights: extraction, planning, frames, cells.

Stand-in networks paint noise, so nothing here is about looks. What is painted is swapped for a
painter that writes the number of a pose into its picture wherever only the flow matters.
"""

import logging
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sunriza_assets.errors import EngineError, FaceError, MediaError, ModelError
from sunriza_assets.studio.bench.gpu.faults import injected
from sunriza_assets.studio.engines.liveportrait import device as device_module
from sunriza_assets.studio.engines.liveportrait import engine as engine_module
from sunriza_assets.studio.engines.liveportrait.cuda import Readback
from sunriza_assets.studio.engines.liveportrait.engine import LivePortraitEngine
from sunriza_assets.studio.engines.liveportrait.fast.convolution import Placement
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.networks.appearance import FEATURE_SHAPE
from sunriza_assets.studio.engines.liveportrait.painter import Painted, Painter
from sunriza_assets.studio.engines.liveportrait.portrait import fitted
from sunriza_assets.studio.engines.liveportrait.reader import Reader
from sunriza_assets.studio.engines.liveportrait.template import motion_in, ratios_in
from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.picture import read_picture
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.sample.clip import Sample

FRAMES = 8
FOLLOWED = RenderParameters(loop=False, driving_multiplier=1.0, scale_multiplier=1.0)


@pytest.fixture(scope="module")
def clip(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the sample clip."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    encode(islice(read_frames(sample.clip), FRAMES), path, rate=Fraction(25))
    return path


@pytest.fixture(scope="module")
def portrait(sample: Sample) -> np.ndarray:
    return read_picture(sample.portrait)


@pytest.fixture(scope="module")
def engine(models_root: Path, narrow: Modules) -> LivePortraitEngine:
    return LivePortraitEngine(models_root, device="cpu", modules=narrow)


@pytest.fixture(scope="module")
def progress_calls() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def template(
    engine: LivePortraitEngine, clip: Path, progress_calls: list[tuple[int, int]]
) -> MotionTemplate:
    return engine.extract(clip, progress=lambda done, total: progress_calls.append((done, total)))


class _Numberer:
    """A painter that writes how many poses it has painted before into each picture."""

    def __init__(self, modules: Modules, placement: Placement, batch: int) -> None:
        self.batch = batch
        self.placement = placement
        self.room = batch
        self.whole = False
        self.fails_preparing = 0
        self.painted = 0
        self.overflows_in = torch.float64
        self.overflows_from = 0

    def prepare(self, volume: Tensor, keypoints: Tensor) -> Any:
        self.painted = 0
        if self.fails_preparing:
            self.fails_preparing -= 1
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
        return None

    def resize(self, batch: int) -> None:
        self.batch = batch

    def release(self) -> None:
        pass

    def __call__(self, source: Any, driving: Tensor) -> Painted:
        if (self.batch if self.whole else len(driving)) > self.room:
            try:
                raise torch.OutOfMemoryError("CUDA out of memory")
            except RuntimeError:  # what the end of a capture makes of it
                raise RuntimeError("operation failed due to a previous error during capture")  # noqa: B904
        numbers = torch.arange(self.painted, self.painted + len(driving))
        self.painted += len(driving)
        pictures = numbers.to(torch.uint8)[:, None, None, None].expand(-1, 512, 512, 3)
        overflown = self.placement.dtype == self.overflows_in
        return Painted(pictures, torch.tensor(not overflown or self.painted <= self.overflows_from))


class _Overflowing(Painter):
    """Paints with weights that overflow wherever the precision is float16."""

    def __init__(self, modules: Modules, placement: Placement, batch: int) -> None:
        if placement.dtype == torch.float16:
            modules = injected(modules, "mask", 3e38)
        super().__init__(modules, Placement(placement.device, torch.float32), batch)


class _QuickReader(Reader):
    """Reads motion, but no features, which a painter of numbers would not look at."""

    def features(self, crop: np.ndarray) -> Tensor:
        return torch.zeros(1, *FEATURE_SHAPE)


@pytest.fixture
def numbering(
    models_root: Path, modules: Modules, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., LivePortraitEngine]:
    """Makes engines that paint numbers."""
    monkeypatch.setattr(engine_module, "Painter", _Numberer)
    monkeypatch.setattr(engine_module, "Reader", _QuickReader)

    def made(**settings: Any) -> LivePortraitEngine:
        return LivePortraitEngine(models_root, device="cpu", modules=modules, **settings)

    return made


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
    engine: LivePortraitEngine, template: MotionTemplate, portrait: np.ndarray
) -> None:
    rendering = engine.render(portrait, template, FOLLOWED)
    assert rendering.size == portrait.shape[1::-1]
    assert (rendering.rate, rendering.frame_count) == (25, FRAMES)
    assert rendering.track.shape == (FRAMES, 2, 3)
    assert rendering.facts["precision"] == "float32"
    assert "precision_note" not in rendering.facts
    assert rendering.facts["estimated_seconds"] > 0
    frames = rendering.frames()
    frame = next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert frame.shape == portrait.shape
    assert frame.dtype == np.uint8
    assert np.array_equal(frame[:, :20], portrait[:, :20])  # beside the crop
    assert np.array_equal(frame[-100:], portrait[-100:])  # below it
    assert not np.array_equal(frame, portrait)


def test_all_frames_come_once_in_order_whatever_the_batch(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, portrait: np.ndarray
) -> None:
    whole = FOLLOWED | {"flag_pasteback": False}
    for batch in (3, 20):
        rendering = numbering(batch=batch).render(portrait, template, whole)
        assert rendering.size == (512, 512)
        for _ in range(2):  # each call starts anew
            numbers = [int(frame[0, 0, 0]) for frame in rendering.frames()]
            assert np.array_equal(np.diff(numbers), np.ones(FRAMES - 1))


def test_running_out_of_memory_halves_the_batch(
    numbering: Callable[..., LivePortraitEngine],
    template: MotionTemplate,
    portrait: np.ndarray,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = numbering(batch=8)
    rendering = made.render(portrait, template, FOLLOWED | {"flag_pasteback": False})
    painter: Any = made._networks().painter
    painter.room = 3
    with caplog.at_level(logging.WARNING):
        numbers = [int(frame[0, 0, 0]) for frame in rendering.frames()]
    assert np.array_equal(np.diff(numbers), np.ones(FRAMES - 1))
    assert painter.batch == 2
    assert "batches of 2" in caplog.text


def test_the_rehearsal_halves_the_batch_that_a_graph_is_captured_with(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, portrait: np.ndarray
) -> None:
    """On a GPU one pose is painted with the whole batch: the first call is what fails."""
    made = numbering(batch=8)
    painter: Any = made._networks().painter
    painter.whole, painter.room = True, 2
    rendering = made.render(portrait, template, FOLLOWED | {"flag_pasteback": False})
    assert rendering.facts["batch"] == 2
    assert len(list(rendering.frames())) == FRAMES


def test_planning_that_runs_out_of_memory_is_done_again(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, portrait: np.ndarray
) -> None:
    made = numbering(batch=8)
    painter: Any = made._networks().painter
    painter.fails_preparing = 2
    assert made.render(portrait, template, FOLLOWED).facts["batch"] == 2
    painter.fails_preparing = 5
    with pytest.raises(EngineError, match="single frame") as caught:
        made.render(portrait, template, FOLLOWED)
    assert caught.value.code == "engine.out_of_memory"


def test_no_memory_for_one_frame_is_a_named_error(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, portrait: np.ndarray
) -> None:
    made = numbering(batch=4)
    rendering = made.render(portrait, template, FOLLOWED)
    painter: Any = made._networks().painter
    painter.room = 0
    with pytest.raises(EngineError, match="single frame") as caught:
        list(rendering.frames())
    assert caught.value.code == "engine.out_of_memory"
    with pytest.raises(EngineError, match="single frame"):
        made.render(portrait, template, FOLLOWED)


def test_pinned_memory_that_runs_out_halves_the_batch(
    numbering: Callable[..., LivePortraitEngine],
    template: MotionTemplate,
    portrait: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = Readback.of

    def failing(tensor: Tensor) -> Readback:
        if tensor.ndim == 4 and len(tensor) > 2:
            raise RuntimeError("CUDA error: out of memory")  # cudaHostAlloc's
        return of(tensor)

    monkeypatch.setattr(Readback, "of", failing)
    made = numbering(batch=8)
    rendering = made.render(portrait, template, FOLLOWED | {"flag_pasteback": False})
    assert len(list(rendering.frames())) == FRAMES
    assert rendering.facts["batch"] == 2, "told once the frames are there"


def test_frames_that_overflow_are_painted_anew_in_a_wider_precision(
    numbering: Callable[..., LivePortraitEngine],
    template: MotionTemplate,
    portrait: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pose may overflow that the rehearsed one did not come near to."""
    monkeypatch.setattr(device_module, "computes_natively", lambda _device, _type: True)
    made = numbering(precision="float16", batch=3)
    rendering = made.render(portrait, template, FOLLOWED | {"flag_pasteback": False})
    painter: Any = made._networks().painter
    painter.overflows_in, painter.overflows_from = torch.float16, 1 + 3
    numbers = [int(frame[0, 0, 0]) for frame in rendering.frames()]
    assert numbers == [1, 2, 3, 0, 1, 2, 3, 4], "the new painter counts from nought"
    assert rendering.facts["precision"] == "bfloat16"
    assert rendering.facts["precision_note"].startswith("float16 overflows")


def test_without_bfloat16_float32_follows_float16(
    models_root: Path,
    narrow: Modules,
    template: MotionTemplate,
    portrait: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """W and G really overflow here: the float16 of this engine is a float32 with huge weights."""
    monkeypatch.setattr(engine_module, "Painter", _Overflowing)
    native = lambda _, dtype: dtype != torch.bfloat16  # noqa: E731
    monkeypatch.setattr(device_module, "computes_natively", native)
    made = LivePortraitEngine(models_root, device="cpu", precision="float16", modules=narrow)
    rendering = made.render(portrait, template, FOLLOWED)
    assert rendering.facts["precision"] == "float32"
    assert "float32 is used" in rendering.facts["precision_note"]


def test_float16_that_overflows_becomes_bfloat16_for_good(
    numbering: Callable[..., LivePortraitEngine],
    template: MotionTemplate,
    portrait: np.ndarray,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = _Numberer.__init__

    def overflowing(self: _Numberer, *arguments: Any) -> None:
        original(self, *arguments)
        self.overflows_in = torch.float16

    monkeypatch.setattr(_Numberer, "__init__", overflowing)
    monkeypatch.setattr(device_module, "computes_natively", lambda _device, _type: True)
    made = numbering(precision="float16")
    with caplog.at_level(logging.WARNING):
        rendering = made.render(portrait, template, FOLLOWED)
    assert rendering.facts["precision"] == "bfloat16"
    assert "overflows" in caplog.text
    assert len(list(rendering.frames())) == FRAMES


def test_a_precision_without_instructions_is_replaced_and_reported(
    numbering: Callable[..., LivePortraitEngine],
    template: MotionTemplate,
    portrait: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device_module, "computes_natively", lambda _, t: t == torch.float32)
    rendering = numbering(precision="bfloat16").render(portrait, template, FOLLOWED)
    assert rendering.facts["precision"] == "float32"
    assert "no bfloat16 instructions" in rendering.facts["precision_note"]


def test_numbers_that_are_not_finite_are_an_error(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, portrait: np.ndarray
) -> None:
    made = numbering()
    painter: Any = made._networks().painter
    painter.overflows_in = torch.float32
    with pytest.raises(EngineError) as caught:
        made.render(portrait, template, FOLLOWED)
    assert caught.value.code == "engine.not_finite"


def test_a_reader_may_stop_early(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, portrait: np.ndarray
) -> None:
    made = numbering(batch=2)
    frames = made.render(portrait, template, FOLLOWED).frames()
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    painter: Any = made._networks().painter
    assert painter.painted < FRAMES + 1  # the rehearsed one included


def test_sizes_and_faces(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, portrait: np.ndarray
) -> None:
    made = numbering()
    odd = portrait[:501, :399]
    assert made.render(odd, template, FOLLOWED).size == (398, 500)
    assert fitted(portrait, 300).shape == (300, 300, 3)
    with pytest.raises(FaceError):
        made.render(np.full((300, 300, 3), 90, np.uint8), template, FOLLOWED)
    unstitched = made.render(portrait, template, FOLLOWED | {"flag_stitching": False})
    assert unstitched.size == (512, 512)
    assert not unstitched.facts["pasted_back"]


def test_templates_of_other_engines_are_refused(
    engine: LivePortraitEngine, template: MotionTemplate, portrait: np.ndarray
) -> None:
    foreign = MotionTemplate("mesh", "1", template.rate, FRAMES, "0" * 64, 0, template.arrays)
    with pytest.raises(EngineError, match="mesh"):
        engine.render(portrait, foreign, FOLLOWED)


def test_cells(numbering: Callable[..., LivePortraitEngine], portrait: np.ndarray) -> None:
    cells = numbering(batch=5).visemes(portrait, RenderParameters())
    assert list(cells.cells) == list(VISEMES)
    assert cells.roi.fits((portrait.shape[1], portrait.shape[0]))
    assert {cell.shape for cell in cells.cells.values()} == {(cells.roi.h, cells.roi.w, 3)}
    middles = [int(cell[cells.roi.h // 2, cells.roi.w // 2, 0]) for cell in cells.cells.values()]
    assert middles == list(range(12))
    assert cells.lips.shape == (12, 20, 2)
    assert (cells.lips >= 0).all()
    assert (cells.lips <= [cells.roi.w, cells.roi.h]).all()


@pytest.mark.slow
def test_cells_are_really_painted(engine: LivePortraitEngine, portrait: np.ndarray) -> None:
    cells = list(engine.visemes(portrait, RenderParameters()).cells.values())
    for index, one in enumerate(cells):
        for other in cells[:index]:
            assert np.abs(one.astype(int) - other).mean() > 0.5


def test_missing_weights_are_named(models_root: Path) -> None:
    with pytest.raises(ModelError, match="sunriza models pull liveportrait"):
        LivePortraitEngine(models_root / "nowhere")
