"""The `liveportrait` engine: joins reading, timing, transfer and painting behind the protocol."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.contracts.engine import (
    Image,
    Progress,
    Rendering,
    VisemeCells,
    no_progress,
)
from sunriza_assets.studio.engines.liveportrait.cuda import Readback, current, in_turn
from sunriza_assets.studio.engines.liveportrait.device import (
    BATCH,
    Precision,
    device_name,
    pick_device,
    place,
    precision_note,
    wider,
)
from sunriza_assets.studio.engines.liveportrait.emotions import emotion_keypoints
from sunriza_assets.studio.engines.liveportrait.expressions import PreparedLivePortrait
from sunriza_assets.studio.engines.liveportrait.extract import extract_motion
from sunriza_assets.studio.engines.liveportrait.faces import FaceReader
from sunriza_assets.studio.engines.liveportrait.fast.convolution import Placement
from sunriza_assets.studio.engines.liveportrait.fast.overflow import Unfit
from sunriza_assets.studio.engines.liveportrait.manifest import NETS
from sunriza_assets.studio.engines.liveportrait.memory import shrinking_batches, within_memory
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


@dataclass(frozen=True)
class _Flight:
    """A batch on its way to the host."""

    batch: slice
    machine: _Machine
    """What painted it."""
    shown: Readback
    finite: Readback


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
            precision: of the painting networks' convolutions; see `device.place`, which replaces a
                precision that the device has no instructions for.
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
        where = pick_device(device)
        self._placement = place(where, precision)
        self._precision_note = precision_note(where, precision)
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

        One batch is painted while planning: it shows whether memory and precision will do, and how
        long all frames will take (`estimated_seconds` in the facts). Where a later frame needs a
        smaller batch or a wider precision, the facts say so once the frames have been walked.

        Raises:
            FaceError: the portrait shows no face or several.
            EngineError: the template is another engine's; `out_of_memory`: not one frame fits;
                `not_finite`: even float32 overflows.
        """
        timing = plan_timing(template, parameters)
        ready = self._portrait(portrait, parameters)
        transfer = Transfer(ready, timing, parameters, self._machine().retargeting)
        seconds = self._rehearse(ready, transfer.keypoints[:1])
        count = len(transfer.keypoints)
        facts = {
            **timing.facts,
            **transfer.facts,
            "pasted_back": ready.paste is not None,
            **self._facts(),
            "estimated_seconds": round(seconds * count, 1),
        }
        return Rendering(
            size=ready.size,
            rate=timing.rate,
            frame_count=count,
            frames=lambda: self._frames(ready, transfer.keypoints, facts),
            track=transfer.mouth_track(),
            facts=facts,
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
            emotion=emotion_keypoints(ready, parameters, retargeting, closed=False),
        )
        return cells_of(ready, list(self._frames(ready, keypoints, {})), parameters)

    def prepare(self, portrait: Image, parameters: RenderParameters) -> PreparedLivePortrait:
        """Analyse a portrait once; `draw` of the result paints one frame.

        On a GPU one frame takes as long as a whole batch, which is captured as one graph.

        Raises:
            FaceError: the portrait shows no face or several.
        """
        ready = self._portrait(portrait, parameters)

        def paint(keypoints: Tensor) -> Image:
            return list(self._painted(ready, keypoints, {}))[0]

        return PreparedLivePortrait(ready, self._machine().retargeting, parameters, paint)

    def _machine(self) -> _Machine:
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load(self._placement)
            return self._loaded

    def _load(self, placement: Placement) -> _Machine:
        """The networks on their device, in a precision that their weights fit."""
        while True:
            try:
                return within_memory(
                    placement.device,
                    partial(self._made, placement),
                    size=lambda: 1,
                    shrink=lambda _: None,
                )
            except Unfit as error:
                placement = self._widened(placement, str(error))

    def _made(self, placement: Placement) -> _Machine:
        modules = self._given or Modules.load(self._root)
        with current(placement.device), in_turn(placement.device):
            return _Machine(
                reader=Reader(modules, placement.device),
                painter=Painter(modules, placement, self._batch),
                retargeting=modules.retargeting,
                placement=placement,
            )

    def _widen(self, machine: _Machine) -> None:
        """Make the painting networks anew, for good, in a precision that overflows later.

        Nothing is done where another thread has widened them since.
        """
        with self._loading:
            if self._loaded is not machine:
                return
            placement = self._widened(machine.placement, "numbers that are not finite")
            with self._painting:
                self._batch = machine.painter.batch
                machine.painter.release()
            self._loaded = None
            self._loaded = self._load(placement)

    def _widened(self, placement: Placement, why: str) -> Placement:
        """The next wider precision, which is told of.

        Raises:
            EngineError: `not_finite`: there is none.
        """
        following = wider(placement)
        if following is None:
            raise _not_finite()
        before, after = _name(placement.dtype), _name(following.dtype)
        self._precision_note = f"{before} overflows with these weights: {after} is used"
        _log.warning("%s (%s)", self._precision_note, why)
        self._placement = following
        return following

    def _facts(self) -> dict[str, Any]:
        """Where and how precisely frames are painted now."""
        machine = self._machine()
        note = self._precision_note
        return {
            "device": device_name(machine.placement.device),
            "precision": _name(machine.placement.dtype),
            **({} if note is None else {"precision_note": note}),
            "batch": machine.painter.batch,
        }

    def _shrink(self, batch: int) -> None:
        machine = self._machine()
        with self._painting:
            machine.painter.resize(batch)

    def _size(self) -> int:
        return self._machine().painter.batch

    def _portrait(self, picture: Image, parameters: RenderParameters) -> Portrait:
        machine = self._machine()
        device = machine.placement.device

        def prepared() -> Portrait:
            with self._painting, current(device):
                return prepare_portrait(
                    picture, parameters, self._faces, machine.reader, machine.painter, device
                )

        return within_memory(device, prepared, self._size, self._shrink)

    def _rehearse(self, portrait: Portrait, keypoints: Tensor) -> float:
        """Paint one pose for its own sake, a whole batch on a GPU; seconds that a frame takes."""
        while True:
            machine = self._machine()
            seconds = within_memory(
                machine.placement.device,
                partial(self._timed, machine, portrait, keypoints),
                self._size,
                self._shrink,
            )
            if seconds is not None:
                return seconds
            self._widen(machine)

    def _timed(self, machine: _Machine, portrait: Portrait, keypoints: Tensor) -> float | None:
        """Seconds that a frame takes; None where it overflows."""
        on_gpu = machine.placement.device.type == "cuda"
        with self._painting:
            if on_gpu:
                machine.painter(portrait.source, keypoints)  # captured on its first run
            start = time.perf_counter()
            painted = machine.painter(portrait.source, keypoints)
            finite = bool(painted.finite.item())
            seconds = time.perf_counter() - start
        return seconds / (machine.painter.batch if on_gpu else 1) if finite else None

    def _frames(
        self, portrait: Portrait, keypoints: Tensor, facts: dict[str, Any]
    ) -> Iterator[Image]:
        """All frames, painted ahead of whoever takes them; `facts` are brought up to date."""
        return ahead(self._painted(portrait, keypoints, facts), self._batch, name="paint")

    def _painted(
        self, portrait: Portrait, keypoints: Tensor, facts: dict[str, Any]
    ) -> Iterator[Image]:
        device = self._placement.device

        def paint(batch: slice) -> _Flight:
            machine = self._machine()
            with self._painting:
                painted = machine.painter(portrait.source, keypoints[batch])
                with current(device), in_turn(device):
                    shown = painted.pictures
                    if portrait.paste is not None:
                        shown = portrait.paste.regions(shown)
                    return _Flight(batch, machine, Readback.of(shown), Readback.of(painted.finite))

        flying: deque[_Flight] = deque()
        batches = shrinking_batches(len(keypoints), device, paint, self._size, self._shrink)
        for _, flight in batches:
            flying.append(flight)
            if len(flying) > _IN_FLIGHT[device.type]:
                yield from self._landed(portrait, keypoints, facts, flying.popleft())
        while flying:
            yield from self._landed(portrait, keypoints, facts, flying.popleft())
        facts.update(self._facts())

    def _landed(
        self, portrait: Portrait, keypoints: Tensor, facts: dict[str, Any], flight: _Flight
    ) -> Iterator[Image]:
        """A batch's frames, on the host; painted anew in a wider precision if they overflew."""
        pictures = flight.shown.wait().numpy()
        if not flight.finite.wait().item():
            self._widen(flight.machine)
            yield from self._painted(portrait, keypoints[flight.batch], facts)
            return
        for picture in pictures:
            yield picture.copy() if portrait.paste is None else portrait.paste.frame(picture)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _not_finite() -> EngineError:
    return EngineError(
        "The networks give numbers that are not finite, even in float32",
        remedy="Check the weight files with `sunriza doctor`.",
        code="not_finite",
    )
