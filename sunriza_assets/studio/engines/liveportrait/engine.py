"""The `liveportrait` engine: joins reading, timing, transfer and painting behind the protocol."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.engines.base import (
    Image,
    Progress,
    Rendering,
    VisemeCells,
    no_progress,
)
from sunriza_assets.studio.engines.liveportrait.device import (
    BATCH,
    Precision,
    Readback,
    device_name,
    pick_device,
    place,
    shrinking_batches,
)
from sunriza_assets.studio.engines.liveportrait.emotions import worn_motion
from sunriza_assets.studio.engines.liveportrait.extract import extract_motion
from sunriza_assets.studio.engines.liveportrait.faces import FaceReader
from sunriza_assets.studio.engines.liveportrait.fast.convolution import Placement
from sunriza_assets.studio.engines.liveportrait.manifest import NETS
from sunriza_assets.studio.engines.liveportrait.modules import Modules, Retargeting
from sunriza_assets.studio.engines.liveportrait.painter import Painter
from sunriza_assets.studio.engines.liveportrait.perform import perform_script
from sunriza_assets.studio.engines.liveportrait.pipeline import ahead
from sunriza_assets.studio.engines.liveportrait.portrait import Portrait, prepare_portrait
from sunriza_assets.studio.engines.liveportrait.reader import Reader
from sunriza_assets.studio.engines.liveportrait.template import ENGINE, VERSION
from sunriza_assets.studio.engines.liveportrait.timing import plan_timing
from sunriza_assets.studio.engines.liveportrait.transfer import Transfer
from sunriza_assets.studio.engines.liveportrait.visemes import cells_of, viseme_keypoints
from sunriza_assets.studio.engines.liveportrait.weights import sha256_of, weight_path
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.performances.script import MotionScript

__all__ = ["LivePortraitEngine"]

_MOTION_BATCH: Final = 16
"""Crops that M reads at a time."""
_IN_FLIGHT: Final = {"cuda": 2, "cpu": 0}
"""Batches that may be on their way to the host while the next is painted."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Machine:
    """The loaded networks."""

    reader: Reader
    painter: Painter
    retargeting: Retargeting
    placement: Placement


class LivePortraitEngine:
    """Animates a portrait with LivePortrait's networks; made for a GPU, works on a CPU.

    The networks are loaded when they are first needed and stay; one instance serves a process. It
    may be used from several threads, which then take turns with the device batch by batch.
    """

    name = ENGINE
    version = VERSION

    def __init__(
        self,
        models_root: Path,
        *,
        device: str | None = None,
        precision: Precision = "auto",
        batch: int | None = None,
        modules: Modules | None = None,
    ) -> None:
        """Set the engine up.

        Args:
            models_root: the models folder.
            device: cpu or cuda; None takes a CUDA device where there is one.
            precision: of the painting networks' convolutions; see `device.place`.
            batch: poses painted at once; None takes what suits the device.
            modules: networks to use instead of those in the models folder.

        Raises:
            ModelError: weights or face models are missing.
            EngineError: there is no such device.
        """
        self._root = models_root
        self._given = modules
        if modules is None:
            for net in NETS:
                weight_path(models_root, net)
        self._placement = place(pick_device(device), precision)
        self._batch = batch or BATCH[self._placement.device.type]
        self._faces = FaceReader(models_root)
        self._loading = threading.Lock()
        self._painting = threading.Lock()
        self._loaded: _Machine | None = None

    def extraction_identity(self) -> Mapping[str, str]:
        """Extractor, version and model hashes: all that, beside the clip, decides a template."""
        hashes = {}
        if self._given is None:
            path = weight_path(self._root, "motion_extractor")
            hashes["motion_extractor"] = sha256_of(path)
        return {
            "extractor": self.name,
            "version": self.version,
            **hashes,
            **self._faces.identity(),
        }

    def extract(self, clip: Path, *, progress: Progress = no_progress) -> MotionTemplate:
        """Read the motion of a trimmed clip (constant frame rate, upright).

        Raises:
            MediaError: the clip cannot be decoded.
            FaceError: no face, or none that can be followed.
        """
        return extract_motion(
            clip, self._faces, self._machine().reader, batch=_MOTION_BATCH, progress=progress
        )

    def perform(self, script: MotionScript) -> MotionTemplate:
        """The template of a motion script, as if a clip had shown what it says."""
        return perform_script(script)

    def render(
        self, portrait: Image, template: MotionTemplate, parameters: RenderParameters
    ) -> Rendering:
        """Plan the idle of a portrait; the frames are made when `Rendering.frames()` is walked.

        One frame is painted while planning: it shows whether the precision will do, and how long
        all of them will take (`estimated_seconds` in the facts).

        Raises:
            FaceError: the portrait shows no face or several.
            EngineError: the template is another engine's.
        """
        timing = plan_timing(template, parameters)
        ready = self._portrait(portrait, parameters)
        transfer = Transfer(ready, timing, parameters, self._machine().retargeting)
        seconds = self._rehearse(ready, transfer.keypoints[:1])
        count = len(transfer.keypoints)
        placement = self._machine().placement
        return Rendering(
            size=ready.size,
            rate=timing.rate,
            frame_count=count,
            frames=lambda: self._frames(ready, transfer.keypoints),
            track=transfer.mouth_track(),
            facts={
                **timing.facts,
                **transfer.facts,
                "pasted_back": ready.paste is not None,
                "device": device_name(placement.device),
                "precision": str(placement.dtype).removeprefix("torch."),
                "batch": self._machine().painter.batch,
                "estimated_seconds": round(seconds * count, 1),
            },
        )

    def visemes(self, portrait: Image, parameters: RenderParameters) -> VisemeCells:
        """Render the mouth of the portrait at rest in each of the visemes.

        Raises:
            FaceError: the portrait shows no face or several.
        """
        ready = self._portrait(portrait, parameters)
        retargeting = self._machine().retargeting
        keypoints = viseme_keypoints(
            ready,
            retargeting,
            stitching=parameters.flag_stitching,
            worn=worn_motion(ready, parameters, retargeting, closed=False),
        )
        if self._placement.dtype == torch.float16:
            self._rehearse(ready, keypoints[:1])
        return cells_of(ready, list(self._frames(ready, keypoints)), parameters)

    def _machine(self) -> _Machine:
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load(self._placement)
            return self._loaded

    def _load(self, placement: Placement) -> _Machine:
        modules = self._given or Modules.load(self._root)
        return _Machine(
            reader=Reader(modules, placement.device),
            painter=Painter(modules, placement, self._batch),
            retargeting=modules.retargeting,
            placement=placement,
        )

    def _portrait(self, picture: Image, parameters: RenderParameters) -> Portrait:
        machine = self._machine()
        with self._painting:
            return prepare_portrait(
                picture,
                parameters,
                self._faces,
                machine.reader,
                machine.painter,
                machine.placement.device,
            )

    def _rehearse(self, portrait: Portrait, keypoints: Tensor) -> float:
        """Paint one pose for its own sake; seconds that a frame takes.

        Where float16 overflows, the networks are made again in bfloat16, for good.
        """
        for _ in range(2):
            machine = self._machine()
            with self._painting:
                if machine.placement.device.type == "cuda":
                    machine.painter(portrait.source, keypoints)  # captured on its first run
                start = time.perf_counter()
                painted = machine.painter(portrait.source, keypoints)
                finite = bool(painted.finite.item())
                seconds = time.perf_counter() - start
            if finite:
                filled = machine.painter.batch if machine.placement.device.type == "cuda" else 1
                return seconds / filled
            if machine.placement.dtype != torch.float16:
                break
            _log.warning("float16 overflows with these weights: going on in bfloat16")
            with self._loading:
                self._placement = place(machine.placement.device, "bfloat16")
                self._loaded = self._load(self._placement)
        raise _not_finite()

    def _frames(self, portrait: Portrait, keypoints: Tensor) -> Iterator[Image]:
        """All frames, painted ahead of whoever takes them."""
        return ahead(self._painted(portrait, keypoints), self._batch, name="paint")

    def _painted(self, portrait: Portrait, keypoints: Tensor) -> Iterator[Image]:
        painter = self._machine().painter

        def paint(batch: slice) -> tuple[Readback, Readback]:
            with self._painting:
                painted = painter(portrait.source, keypoints[batch])
                shown = painted.pictures
                if portrait.paste is not None:
                    shown = portrait.paste.regions(shown)
                return Readback.of(shown), Readback.of(painted.finite)

        flying: deque[tuple[Readback, Readback]] = deque()
        batches = shrinking_batches(len(keypoints), painter.batch, paint, painter.resize)
        for _, readback in batches:
            flying.append(readback)
            if len(flying) > _IN_FLIGHT[self._placement.device.type]:
                yield from _landed(portrait, *flying.popleft())
        while flying:
            yield from _landed(portrait, *flying.popleft())


def _landed(portrait: Portrait, shown: Readback, finite: Readback) -> Iterator[Image]:
    """A batch's frames, on the host."""
    pictures = shown.wait().numpy()
    if not finite.wait().item():
        raise _not_finite()
    for picture in pictures:
        yield picture.copy() if portrait.paste is None else portrait.paste.frame(picture)


def _not_finite() -> EngineError:
    return EngineError(
        "The networks gave numbers that are not finite",
        remedy="Check the weight files with `sunriza doctor`; else use precision float32.",
        code="not_finite",
    )
