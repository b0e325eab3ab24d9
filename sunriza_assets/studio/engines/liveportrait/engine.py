"""The `liveportrait` engine: reading, timing, transfer and painting behind the engine protocols."""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from sunriza_assets.studio.contracts.engine import (
    Image,
    Progress,
    Rendering,
    VisemeCells,
    no_progress,
)
from sunriza_assets.studio.engines.liveportrait.cuda import (
    Readback,
    current_device,
    outside_capture,
)
from sunriza_assets.studio.engines.liveportrait.device import (
    Precision,
    pick_device,
    place,
    precision_note,
)
from sunriza_assets.studio.engines.liveportrait.emotions import emotion_keypoints
from sunriza_assets.studio.engines.liveportrait.expressions import PreparedLivePortrait
from sunriza_assets.studio.engines.liveportrait.extract import extract_motion
from sunriza_assets.studio.engines.liveportrait.faces import FaceReader
from sunriza_assets.studio.engines.liveportrait.manifest import NETS
from sunriza_assets.studio.engines.liveportrait.memory import (
    run_with_shrinking_batch,
    shrinking_batches,
)
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.network_loader import (
    LoadedNetworks,
    NetworkLoader,
)
from sunriza_assets.studio.engines.liveportrait.perform import perform_script
from sunriza_assets.studio.engines.liveportrait.pipeline import prefetch
from sunriza_assets.studio.engines.liveportrait.portrait import Portrait, prepare_portrait
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
"""Batches that may be copied to the host while the next is painted."""


@dataclass(frozen=True)
class _PendingBatch:
    """A painted batch that is being copied to the host."""

    batch: slice
    networks: LoadedNetworks
    """The networks that painted it."""
    pictures: Readback
    finite: Readback


class LivePortraitEngine:
    """Animates a portrait with LivePortrait's networks; made for a GPU, works on a CPU.

    The networks are loaded when they are first needed and stay; one instance serves a process. It
    may be used from several threads; they share the device, one batch at a time.
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
        self._modules = modules
        if modules is None:
            for net in NETS:
                weight_path(models_root, net)
        where = pick_device(device)
        self._faces = FaceReader(models_root)
        self._networks = NetworkLoader(
            models_root,
            modules,
            place(where, precision),
            precision_note=precision_note(where, precision),
            batch=batch,
        )

    @property
    def batch(self) -> int:
        """Poses that are painted at once, as memory has allowed until now."""
        return self._networks.batch_size()

    def extraction_identity(self) -> Mapping[str, str]:
        """Extractor, version and model hashes: all that, beside the clip, decides a template."""
        hashes = {}
        if self._modules is None:
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
            clip,
            self._faces,
            self._networks.loaded().reader,
            batch=_MOTION_BATCH,
            progress=progress,
        )

    def perform(self, script: MotionScript) -> MotionTemplate:
        """The motion template of a script, in place of one extracted from a clip."""
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
        transfer = Transfer(ready, timing, parameters, self._networks.loaded().retargeting)
        seconds = self._seconds_per_frame(ready, transfer.keypoints[:1])
        count = len(transfer.keypoints)
        facts = {
            **timing.facts,
            **transfer.facts,
            "pasted_back": ready.paste is not None,
            **self._networks.facts(),
            "estimated_seconds": round(seconds * count, 1),
        }
        return Rendering(
            size=ready.size,
            rate=timing.rate,
            frame_count=count,
            frames=lambda: self._iter_frames(ready, transfer.keypoints, facts),
            track=transfer.mouth_track(),
            facts=facts,
        )

    def visemes(self, portrait: Image, parameters: RenderParameters) -> VisemeCells:
        """Render the mouth of the portrait at rest in each of the visemes.

        Raises:
            FaceError: the portrait shows no face or several.
        """
        ready = self._portrait(portrait, parameters)
        retargeting = self._networks.loaded().retargeting
        keypoints = viseme_keypoints(
            ready,
            retargeting,
            stitching=parameters.flag_stitching,
            emotion=emotion_keypoints(ready, parameters, retargeting, closed=False),
        )
        return cells_of(ready, list(self._iter_frames(ready, keypoints, {})), parameters)

    def prepare(self, portrait: Image, parameters: RenderParameters) -> PreparedLivePortrait:
        """Analyse a portrait once; `draw` of the result paints one frame.

        On a GPU one frame takes as long as a whole batch, which is captured as one graph.

        Raises:
            FaceError: the portrait shows no face or several.
        """
        ready = self._portrait(portrait, parameters)

        def paint(keypoints: Tensor) -> Image:
            (frame,) = self._paint_batches(ready, keypoints, {})
            return frame

        return PreparedLivePortrait(ready, self._networks.loaded().retargeting, parameters, paint)

    def _portrait(self, picture: Image, parameters: RenderParameters) -> Portrait:
        networks = self._networks.loaded()
        device = networks.placement.device

        def prepared() -> Portrait:
            with self._networks.painting, current_device(device):
                return prepare_portrait(
                    picture, parameters, self._faces, networks.reader, networks.painter, device
                )

        return run_with_shrinking_batch(
            device, prepared, self._networks.batch_size, self._networks.shrink_batch
        )

    def _seconds_per_frame(self, portrait: Portrait, keypoints: Tensor) -> float:
        """Seconds that a frame takes, measured on one pose; on a GPU on a whole batch."""
        while True:
            networks = self._networks.loaded()
            seconds = run_with_shrinking_batch(
                networks.placement.device,
                partial(self._time_batch, networks, portrait, keypoints),
                self._networks.batch_size,
                self._networks.shrink_batch,
            )
            if seconds is not None:
                return seconds
            self._networks.rebuild_wider(networks)

    def _time_batch(
        self, networks: LoadedNetworks, portrait: Portrait, keypoints: Tensor
    ) -> float | None:
        """Seconds that a frame takes; None where numbers overflow."""
        on_gpu = networks.placement.device.type == "cuda"
        with self._networks.painting:
            if on_gpu:
                networks.painter(portrait.source, keypoints)  # captured on its first run
            start = time.perf_counter()
            painted = networks.painter(portrait.source, keypoints)
            finite = bool(painted.finite.item())
            seconds = time.perf_counter() - start
        return seconds / (networks.painter.batch if on_gpu else 1) if finite else None

    def _iter_frames(
        self, portrait: Portrait, keypoints: Tensor, facts: dict[str, Any]
    ) -> Iterator[Image]:
        """All frames, painted ahead of the caller; `facts` are updated at the end."""
        batches = self._paint_batches(portrait, keypoints, facts)
        return prefetch(batches, self._networks.first_batch, name="paint")

    def _paint_batches(
        self, portrait: Portrait, keypoints: Tensor, facts: dict[str, Any]
    ) -> Iterator[Image]:
        device = self._networks.device

        def paint(batch: slice) -> _PendingBatch:
            networks = self._networks.loaded()
            with self._networks.painting:
                painted = networks.painter(portrait.source, keypoints[batch])
                with current_device(device), outside_capture(device):
                    pictures = painted.pictures
                    if portrait.paste is not None:
                        pictures = portrait.paste.regions(pictures)
                    return _PendingBatch(
                        batch, networks, Readback.of(pictures), Readback.of(painted.finite)
                    )

        in_flight: deque[_PendingBatch] = deque()
        batches = shrinking_batches(
            len(keypoints), device, paint, self._networks.batch_size, self._networks.shrink_batch
        )
        for _, pending in batches:
            in_flight.append(pending)
            if len(in_flight) > _IN_FLIGHT[device.type]:
                yield from self._frames_of_batch(portrait, keypoints, facts, in_flight.popleft())
        while in_flight:
            yield from self._frames_of_batch(portrait, keypoints, facts, in_flight.popleft())
        facts.update(self._networks.facts())

    def _frames_of_batch(
        self, portrait: Portrait, keypoints: Tensor, facts: dict[str, Any], pending: _PendingBatch
    ) -> Iterator[Image]:
        """The frames of a batch on the host; painted again in a wider precision on overflow."""
        pictures = pending.pictures.wait().numpy()
        if not pending.finite.wait().item():
            self._networks.rebuild_wider(pending.networks)
            yield from self._paint_batches(portrait, keypoints[pending.batch], facts)
            return
        for picture in pictures:
            yield picture.copy() if portrait.paste is None else portrait.paste.frame(picture)
