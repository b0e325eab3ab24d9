"""The engine where memory runs out or numbers overflow: smaller batches, wider precision."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.bench.gpu.faults import injected
from sunriza_assets.studio.engines.liveportrait import device as device_module
from sunriza_assets.studio.engines.liveportrait import network_loader as loader_module
from sunriza_assets.studio.engines.liveportrait.cuda import Readback
from sunriza_assets.studio.engines.liveportrait.engine import LivePortraitEngine
from sunriza_assets.studio.engines.liveportrait.fast.convolution import Placement
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.painter import Painter
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets_tests.studio.engines.liveportrait.number_painter import (
    FOLLOWED,
    FRAMES,
    NumberPainter,
)


class OverflowingPainter(Painter):
    """Paints with weights that overflow wherever the precision is float16."""

    def __init__(self, modules: Modules, placement: Placement, batch: int) -> None:
        if placement.dtype == torch.float16:
            modules = injected(modules, "mask", 3e38)
        super().__init__(modules, Placement(placement.device, torch.float32), batch)


def test_running_out_of_memory_halves_the_batch(
    numbering: Callable[..., LivePortraitEngine],
    template: MotionTemplate,
    picture: np.ndarray,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = numbering(batch=8)
    rendering = made.render(picture, template, FOLLOWED | {"flag_pasteback": False})
    painter: Any = made._networks.loaded().painter
    painter.room = 3
    with caplog.at_level(logging.WARNING):
        numbers = [int(frame[0, 0, 0]) for frame in rendering.frames()]
    assert np.array_equal(np.diff(numbers), np.ones(FRAMES - 1))
    assert painter.batch == 2
    assert "batches of 2" in caplog.text


def test_the_rehearsal_halves_the_batch_that_a_graph_is_captured_with(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, picture: np.ndarray
) -> None:
    """On a GPU one pose is painted with the whole batch: the first call is what fails."""
    made = numbering(batch=8)
    painter: Any = made._networks.loaded().painter
    painter.whole, painter.room = True, 2
    rendering = made.render(picture, template, FOLLOWED | {"flag_pasteback": False})
    assert rendering.facts["batch"] == 2
    assert len(list(rendering.frames())) == FRAMES


def test_planning_that_runs_out_of_memory_is_done_again(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, picture: np.ndarray
) -> None:
    made = numbering(batch=8)
    painter: Any = made._networks.loaded().painter
    painter.fails_preparing = 2
    assert made.render(picture, template, FOLLOWED).facts["batch"] == 2
    painter.fails_preparing = 5
    with pytest.raises(EngineError, match="single frame") as caught:
        made.render(picture, template, FOLLOWED)
    assert caught.value.code == "engine.out_of_memory"


def test_no_memory_for_one_frame_is_a_named_error(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, picture: np.ndarray
) -> None:
    made = numbering(batch=4)
    rendering = made.render(picture, template, FOLLOWED)
    painter: Any = made._networks.loaded().painter
    painter.room = 0
    with pytest.raises(EngineError, match="single frame") as caught:
        list(rendering.frames())
    assert caught.value.code == "engine.out_of_memory"
    with pytest.raises(EngineError, match="single frame"):
        made.render(picture, template, FOLLOWED)


def test_pinned_memory_that_runs_out_halves_the_batch(
    numbering: Callable[..., LivePortraitEngine],
    template: MotionTemplate,
    picture: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = Readback.of

    def failing(tensor: Tensor) -> Readback:
        if tensor.ndim == 4 and len(tensor) > 2:
            raise RuntimeError("CUDA error: out of memory")  # cudaHostAlloc's
        return of(tensor)

    monkeypatch.setattr(Readback, "of", failing)
    made = numbering(batch=8)
    rendering = made.render(picture, template, FOLLOWED | {"flag_pasteback": False})
    assert len(list(rendering.frames())) == FRAMES
    assert rendering.facts["batch"] == 2, "told once the frames are there"


def test_frames_that_overflow_are_painted_anew_in_a_wider_precision(
    numbering: Callable[..., LivePortraitEngine],
    template: MotionTemplate,
    picture: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pose may overflow that the rehearsed one did not come near to."""
    monkeypatch.setattr(device_module, "computes_natively", lambda _device, _type: True)
    made = numbering(precision="float16", batch=3)
    rendering = made.render(picture, template, FOLLOWED | {"flag_pasteback": False})
    painter: Any = made._networks.loaded().painter
    painter.overflows_in, painter.overflows_from = torch.float16, 1 + 3
    numbers = [int(frame[0, 0, 0]) for frame in rendering.frames()]
    assert numbers == [1, 2, 3, 0, 1, 2, 3, 4], "the new painter counts from nought"
    assert rendering.facts["precision"] == "bfloat16"
    assert rendering.facts["precision_note"].startswith("float16 overflows")


def test_without_bfloat16_float32_follows_float16(
    models_root: Path,
    narrow: Modules,
    template: MotionTemplate,
    picture: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """W and G really overflow here: the float16 of this engine is a float32 with huge weights."""
    monkeypatch.setattr(loader_module, "Painter", OverflowingPainter)
    native = lambda _, dtype: dtype != torch.bfloat16  # noqa: E731
    monkeypatch.setattr(device_module, "computes_natively", native)
    made = LivePortraitEngine(models_root, device="cpu", precision="float16", modules=narrow)
    rendering = made.render(picture, template, FOLLOWED)
    assert rendering.facts["precision"] == "float32"
    assert "float32 is used" in rendering.facts["precision_note"]


def test_float16_that_overflows_becomes_bfloat16_for_good(
    numbering: Callable[..., LivePortraitEngine],
    template: MotionTemplate,
    picture: np.ndarray,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = NumberPainter.__init__

    def overflowing(self: NumberPainter, *arguments: Any) -> None:
        original(self, *arguments)
        self.overflows_in = torch.float16

    monkeypatch.setattr(NumberPainter, "__init__", overflowing)
    monkeypatch.setattr(device_module, "computes_natively", lambda _device, _type: True)
    made = numbering(precision="float16")
    with caplog.at_level(logging.WARNING):
        rendering = made.render(picture, template, FOLLOWED)
    assert rendering.facts["precision"] == "bfloat16"
    assert "overflows" in caplog.text
    assert len(list(rendering.frames())) == FRAMES


def test_a_precision_without_instructions_is_replaced_and_reported(
    numbering: Callable[..., LivePortraitEngine],
    template: MotionTemplate,
    picture: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device_module, "computes_natively", lambda _, t: t == torch.float32)
    rendering = numbering(precision="bfloat16").render(picture, template, FOLLOWED)
    assert rendering.facts["precision"] == "float32"
    assert "no bfloat16 instructions" in rendering.facts["precision_note"]


def test_numbers_that_are_not_finite_are_an_error(
    numbering: Callable[..., LivePortraitEngine], template: MotionTemplate, picture: np.ndarray
) -> None:
    made = numbering()
    painter: Any = made._networks.loaded().painter
    painter.overflows_in = torch.float32
    with pytest.raises(EngineError) as caught:
        made.render(picture, template, FOLLOWED)
    assert caught.value.code == "engine.not_finite"
