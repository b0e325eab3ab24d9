"""Numbers that overflow, and threads that use the device at the same time."""

import threading
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch
from torch import nn

from sunriza_assets.errors import SunrizaError
from sunriza_assets.studio.bench.gpu.bench import PRECISIONS, Bench, Note, grey_difference
from sunriza_assets.studio.bench.liveportrait import Scene
from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.engines.liveportrait.device import Precision, place
from sunriza_assets.studio.engines.liveportrait.fast.overflow import Unfit
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.painter import Painter
from sunriza_assets.studio.engines.liveportrait.reader import to_input
from sunriza_assets.studio.media.encode import encode

__all__ = ["INJECTIONS", "injected", "overflow", "threads"]

INJECTIONS: Final[Mapping[str, Callable[[Modules], nn.Module]]] = {
    "first level": lambda m: m.warping.dense_motion_network.hourglass.encoder.blocks()[0].norm,
    "coarsest level": lambda m: m.warping.dense_motion_network.hourglass.encoder.blocks()[4].norm,
    "last level": lambda m: m.warping.dense_motion_network.hourglass.decoder.blocks()[4].norm,
    "mask": lambda m: m.warping.dense_motion_network.mask,
    "occlusion": lambda m: m.warping.dense_motion_network.occlusion,
    "features": lambda m: m.warping.fourth,
    "middle block": lambda m: m.generator.middle_blocks()[2].norm_0.mlp_gamma,
    "pixels": lambda m: m.generator.painter,
}
"""Layer -> what is multiplied so that it overflows."""
_FACTORS: Final = {"float16": 1e5, "bfloat16": 3e38, "float32": 3e38}
"""What takes a layer beyond the range of a precision."""


def injected(modules: Modules, layer: str, factor: float) -> Modules:
    """The same networks with one layer's outputs so many times larger."""
    changed = replace(
        modules, warping=deepcopy(modules.warping), generator=deepcopy(modules.generator)
    )
    with torch.inference_mode():
        for parameter in INJECTIONS[layer](changed).parameters():
            parameter.mul_(factor)
    return changed


def overflow(bench: Bench, note: Note) -> None:
    """Whether an overflow in any layer is noticed, and what the engine makes of one in float16."""
    modules = bench.modules()
    layers = list(INJECTIONS)[2:4] if bench.settings.tiny else list(INJECTIONS)
    scene = Scene.made(modules)
    for precision in PRECISIONS:
        reason = bench.why_not(precision)
        if reason is not None:
            note(precision, {"skipped": reason})
            continue
        seen = {"none": _noticed(bench, modules, scene, precision)}
        for layer in layers:
            changed = injected(modules, layer, _FACTORS[precision])
            seen[layer] = _noticed(bench, changed, scene, precision)
        note(precision, seen)
    reason = bench.why_not("float16")
    if reason is not None:
        note("engine", {"skipped": reason})
        return
    changed = injected(modules, "last level", _FACTORS["float16"])
    rendering = bench.planned(bench.engine(changed, precision="float16"))
    names = ("precision", "precision_note", "batch")
    told = {name: rendering.facts.get(name) for name in names}
    note("engine", told | {"frames": len(bench.frames(rendering))})


@torch.inference_mode()
def _noticed(bench: Bench, modules: Modules, scene: Scene, precision: Precision) -> str:
    """finite, noticed, or refused when the weights are loaded."""
    try:
        painter = Painter(modules, place(bench.device, precision), 1, fixed=False)
    except Unfit:
        return "refused"
    poses = scene.poses(modules, to_input(scene.crops[:1]))
    shown = painter(painter.prepare(scene.volume, scene.keypoints), poses)
    return "finite" if shown.finite.item() else "noticed"


def threads(bench: Bench, note: Note) -> None:
    """One thread paints and encodes while another plans, and so captures graphs, again and again.

    Both renderings are then held against what each gives alone.
    """
    modules = bench.modules()
    large, small = bench.sizes.batches[-1], bench.sizes.batches[0]
    first = bench.engine(modules, batch=large)
    rendering = bench.planned(first)
    alone = bench.frames(rendering)
    other_alone = bench.frames(bench.planned(bench.engine(modules, batch=small), gain=0.5))
    found: dict[str, list[Image]] = {}
    errors: dict[str, str] = {}

    def paint() -> None:
        with TemporaryDirectory() as name:
            found["painted"] = bench.frames(rendering)
            encode(found["painted"], Path(name) / "out.mp4", rate=rendering.rate)
            found["painted again"] = bench.frames(rendering)

    def capture() -> None:
        for batch in bench.sizes.batches:
            other = bench.planned(bench.engine(modules, batch=batch), gain=0.5)
            found[f"captured for {batch}"] = bench.frames(other)

    def kept(work: Callable[[], None], name: str) -> None:
        try:
            work()
        except (RuntimeError, SunrizaError) as error:  # what CUDA and the engine raise
            errors[name] = f"{type(error).__name__}: {error}"

    both: list[Any] = [
        threading.Thread(target=kept, args=(work, name))
        for work, name in ((paint, "paint"), (capture, "capture"))
    ]
    for each in both:
        each.start()
    for each in both:
        each.join()
    note("errors", errors)
    for name, frames in found.items():
        expected = alone if name.startswith("painted") else other_alone
        note(name, {"frames": len(frames), "grey_levels": grey_difference(frames, expected)})
