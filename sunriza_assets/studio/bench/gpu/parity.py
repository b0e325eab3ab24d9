"""Whether the device computes what a CPU does: network by network, and batch against single frame.

The reference is the plain networks on this machine's CPU in float32.
"""

from typing import Any, Final

import torch
from torch import Tensor

from sunriza_assets.studio.bench.gpu.bench import (
    PRECISIONS,
    Bench,
    Note,
    difference,
    grey_difference,
)
from sunriza_assets.studio.bench.liveportrait import Scene
from sunriza_assets.studio.engines.liveportrait.device import place, precision_note
from sunriza_assets.studio.engines.liveportrait.fast.overflow import Unfit
from sunriza_assets.studio.engines.liveportrait.keypoints import motion_of
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.painter import Painter
from sunriza_assets.studio.engines.liveportrait.paste import to_bytes
from sunriza_assets.studio.engines.liveportrait.reader import Reader, to_input

__all__ = ["grey_levels", "parity"]

_BAR: Final = {"max": 2, "mean": 0.25}
"""Grey levels between a batch and single frames."""


@torch.inference_mode()
def parity(bench: Bench, note: Note) -> None:
    """F and M in float32, W, G and the whole picture in three precisions, against the CPU."""
    modules = bench.modules()
    scene = Scene.made(modules)
    pose = _poses(modules, scene, 1)
    warped = modules.warping(scene.volume, pose, scene.keypoints)
    painted = modules.generator(warped)
    picture = [*to_bytes(painted.movedim(1, -1)).numpy()]
    crop = scene.crops[0]
    features = modules.appearance(to_input([crop]))
    motion = motion_of(modules.motion(to_input([crop]))).keypoints
    reader = Reader(modules, bench.device)
    note("features", difference(reader.features(crop), features))
    note("motion", difference(reader.motion([crop]).keypoints, motion))
    for precision in PRECISIONS:
        reason = precision_note(bench.device, precision)
        if reason is not None:
            note(precision, {"skipped": reason})
            continue
        try:
            painter = Painter(modules, place(bench.device, precision), 1)
        except Unfit as error:
            note(precision, {"refused": str(error)})
            continue
        source = painter.prepare(scene.volume, scene.keypoints)
        shown = painter(source, pose)
        note(
            precision,
            {
                "warp": difference(painter.warp(source, pose), warped),
                "paint": difference(painter.paint(warped), painted.movedim(1, -1)),
                "picture_finite": bool(shown.finite.item()),
                "picture_grey_levels": grey_difference([*shown.pictures.cpu().numpy()], picture),
            },
        )


@torch.inference_mode()
def grey_levels(bench: Bench, note: Note) -> None:
    """The same poses in one batch and one by one."""
    modules, count = bench.modules(), bench.sizes.usual
    scene = Scene.made(modules)
    poses = _poses(modules, scene, count)
    note("batch", count)
    note("bar", _BAR)
    for precision in PRECISIONS:
        reason = bench.why_not(precision)
        if reason is not None:
            note(precision, {"skipped": reason})
            continue
        found: dict[int, list[Any]] = {}
        for batch in (1, count):
            painter = Painter(modules, place(bench.device, precision), batch, fixed=True)
            shown = painter(painter.prepare(scene.volume, scene.keypoints), poses)
            found[batch] = [*shown.pictures.cpu().numpy()]
            del painter, shown
            bench.forget()
        off = grey_difference(found[count], found[1])
        holds = all(off[name] <= bar for name, bar in _BAR.items())
        note(precision, off | {"within_bar": holds})


def _poses(modules: Modules, scene: Scene, count: int) -> Tensor:
    """(count, 21, 3) stitched keypoints of the scene's crops."""
    crops = [scene.crops[k % len(scene.crops)] for k in range(count)]
    return scene.poses(modules, to_input(crops))
