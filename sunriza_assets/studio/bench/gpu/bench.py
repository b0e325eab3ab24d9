"""What the steps share: sizes, networks, an engine, and how results are compared and kept."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from sunriza_assets.studio.bench.gpu.plan import Settings
from sunriza_assets.studio.contracts.engine import Image, Rendering
from sunriza_assets.studio.engines.liveportrait.cuda import give_back
from sunriza_assets.studio.engines.liveportrait.device import (
    Precision,
    pick_device,
    precision_note,
)
from sunriza_assets.studio.engines.liveportrait.engine import LivePortraitEngine
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.performances.builtin import motion_script
from sunriza_assets.studio.sample.clip import sample_portrait

__all__ = ["PRECISIONS", "Bench", "Note", "Sizes", "difference", "grey_difference", "timed"]

PRECISIONS: Final[tuple[Precision, ...]] = ("float32", "float16", "bfloat16")


class Note(Protocol):
    """Keeps one part of a step's result at once, so that it outlives a step that is ended."""

    def __call__(self, key: str, value: Any) -> None:
        """Keep JSON values; numbers that are not finite are kept as text."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done."""

    batches: tuple[int, ...] = (1, 4, 8, 16)
    usual: int = 8
    """The batch that is held against single frames."""
    rounds: int = 10
    frames: int = 128
    """Of a rendering that is only to be looked at."""
    clip_frames: int = 300
    kept_frames: int = 60
    """Frames that are kept to be encoded."""
    picture: int = 1280
    """Side of the portrait, pixels."""
    matrix: int | None = None


_TINY: Final = Sizes((1,), 2, 1, 2, 3, 3, 256, 256)


class Bench:
    """The settings, and what is made from them."""

    def __init__(self, settings: Settings) -> None:
        """Set up; nothing is loaded yet.

        Raises:
            EngineError: there is no such device.
        """
        self.settings = settings
        self.device = pick_device(settings.device)
        self.sizes = _TINY if settings.tiny else Sizes()
        self.models = Path(settings.models)
        if self.on_cuda:
            torch.cuda.init()  # its memory is asked for before anything is allocated
        if settings.tiny:
            torch.set_num_threads(1)  # threads that wait for each other would burn the cores

    @property
    def on_cuda(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    @property
    def usual_precision(self) -> Precision:
        """That of an engine; when tried out, the fastest that the device has."""
        if not self.settings.tiny:
            return "auto"
        return "float32" if precision_note(self.device, "bfloat16") else "bfloat16"

    def why_not(self, precision: Precision) -> str | None:
        """Why a precision is not measured; None if it is."""
        if self.settings.tiny and precision != self.usual_precision:
            return "only tried out"
        return precision_note(self.device, precision)

    def modules(self) -> Modules:
        """Networks with stand-in weights."""
        return Modules.narrow() if self.settings.tiny else Modules.seeded()

    def portrait(self) -> Image:
        """The sample's portrait, square."""
        side = (self.sizes.picture,) * 2
        return np.asarray(cv2.resize(sample_portrait(), side, interpolation=cv2.INTER_CUBIC))

    def engine(
        self, modules: Modules, *, batch: int | None = None, precision: Precision | None = None
    ) -> LivePortraitEngine:
        """An engine on the device.

        Raises:
            ModelError: the face models have not been pulled.
        """
        return LivePortraitEngine(
            self.models,
            device=str(self.device),
            precision=precision or self.usual_precision,
            batch=batch,
            modules=modules,
        )

    def planned(self, engine: LivePortraitEngine, *, gain: float = 1.0) -> Rendering:
        """A built-in performance of the portrait, planned: it needs no clip."""
        side = self.sizes.picture
        parameters = RenderParameters(
            loop=False, driving_multiplier=gain, stitching_retargeting_eyes_width=side
        )
        return engine.render(self.portrait(), engine.perform(motion_script("calm")), parameters)

    def frames(self, rendering: Rendering) -> list[Image]:
        """The first frames of a rendering, every fourth pixel of each."""
        frames = rendering.frames()
        return [frame[::4, ::4].copy() for frame in islice(frames, self.sizes.frames)]

    def forget(self) -> None:
        """Give back what nobody holds any more, and count the most memory from here."""
        gc.collect()
        give_back(self.device)
        if self.on_cuda:
            torch.cuda.reset_peak_memory_stats(self.device)


def timed(device: torch.device, work: Callable[[], Any], rounds: int) -> float:
    """Seconds of the best of some rounds, after one that warms up."""
    best = float("inf")
    for turn in range(rounds + 1):
        _wait(device)
        start = time.perf_counter()
        work()
        _wait(device)
        if turn:
            best = min(best, time.perf_counter() - start)
    return best


def difference(mine: Tensor, its: Tensor) -> dict[str, Any]:
    """Whether `mine` is finite, and how far it is off."""
    off = (mine.detach().cpu().double() - its.detach().cpu().double()).abs()
    return {
        "finite": bool(mine.isfinite().all()),
        "max": float(off.max()),
        "mean": float(off.mean()),
    }


def grey_difference(mine: list[Image], its: list[Image]) -> dict[str, float]:
    """The largest and mean difference of equally many pictures, grey levels."""
    off = np.abs(np.stack(mine).astype(np.int16) - np.stack(its))
    return {"max": int(off.max()), "mean": float(off.mean())}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
