"""Batch by batch: milliseconds, share of a matrix product, memory, graph against eager."""

from functools import partial
from typing import Any, Final

import torch

from sunriza_assets.studio.bench.gpu.bench import Bench, Note, timed
from sunriza_assets.studio.bench.liveportrait import Scene, measure
from sunriza_assets.studio.engines.liveportrait.device import Precision, place
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.painter import Painter
from sunriza_assets.studio.engines.liveportrait.reader import to_input

__all__ = ["batches"]

_STAGE: Final = "warp and paint"
"""What the painter does, by the name that `measure` gives it."""
_KEPT: Final = ("frame_ms", "frames_per_second", "network_ms", "share_of_matmul", "memory_mb")


def batches(bench: Bench, note: Note, precision: Precision) -> None:
    """One precision in all batch sizes, and its ratio to the loop over single frames.

    The loop is measured in the same process, after the others, for its networks take memory.
    """
    reason = bench.why_not(precision)
    if reason is not None:
        note("skipped", reason)
        return
    modules = bench.modules()
    measured = partial(
        measure,
        device=str(bench.device),
        precision=precision,
        modules=modules,
        rounds=bench.sizes.rounds,
        matrix=bench.sizes.matrix,
    )
    frame_ms: dict[int, float] = {}
    for batch in bench.sizes.batches:
        bench.forget()
        found = measured(batch=batch)
        frame_ms[batch] = found["frame_ms"]
        kept: dict[str, Any] = {name: found[name] for name in _KEPT}
        painted = found["stages"][_STAGE]["ms"]
        kept["graph_ms"] = painted if bench.on_cuda else "skipped: no CUDA device"
        bench.forget()
        kept["eager_ms"] = _eager_ms(bench, modules, precision, batch)
        note(f"batch_{batch}", kept | {"stages": found["stages"]})
    note("matmul_tflops", found["matmul_tflops"])
    bench.forget()
    loop = measured(batch=bench.sizes.batches[0], baseline=True)
    note("loop", loop["baseline"])
    note("difference_to_loop", loop["difference"])
    loop_ms = loop["baseline"]["frame_ms"]
    note("ratio_to_loop", {f"batch_{batch}": loop_ms / ms for batch, ms in frame_ms.items()})


@torch.inference_mode()
def _eager_ms(bench: Bench, modules: Modules, precision: Precision, batch: int) -> float:
    """Milliseconds a frame of warping and painting without a graph."""
    scene = Scene.made(modules)
    crops = [scene.crops[k % len(scene.crops)] for k in range(batch)]
    poses = scene.poses(modules, to_input(crops))
    painter = Painter(modules, place(bench.device, precision), batch, fixed=False)
    source = painter.prepare(scene.volume, scene.keypoints)
    seconds = timed(bench.device, lambda: painter(source, poses), bench.sizes.rounds)
    return 1e3 * seconds / batch
