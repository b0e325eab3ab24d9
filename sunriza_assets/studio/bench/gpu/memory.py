"""What happens when the device's memory runs out: while planning, between frames, at one frame.

A limit on this process (`torch.cuda.set_per_process_memory_fraction`) stands for a full device. It
is put half-way between what single frames take and what the largest batch takes, so that halving
the batch helps.
"""

from itertools import islice
from typing import Final, Protocol

import torch

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.bench.gpu.bench import Bench, Note, grey_difference
from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.engines.liveportrait.modules import Modules

__all__ = ["CudaFence", "Fence", "at_frames", "at_one_frame", "at_plan"]

_SHARES: Final = (0.9, 0.7, 0.5, 0.3, 0.1)
"""Of what single frames take; one of them is too little."""


class Fence(Protocol):
    """A limit on the device's memory."""

    def peak(self) -> int:
        """The most bytes that were held since `Bench.forget`."""

    def set(self, most: int | None) -> None:
        """Let this process hold so many bytes; None lets it hold all."""


class CudaFence:
    """That of torch's allocator. Memory of the driver, cuDNN and cuBLAS is beyond it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def peak(self) -> int:
        """See `Fence`."""
        return torch.cuda.max_memory_reserved(self._device)

    def set(self, most: int | None) -> None:
        """See `Fence`."""
        total = torch.cuda.get_device_properties(self._device).total_memory
        share = 1.0 if most is None else min(1.0, most / total)
        torch.cuda.set_per_process_memory_fraction(share, self._device)


def at_plan(bench: Bench, note: Note, fence: Fence | None = None) -> None:
    """Too little memory for the largest batch while the rendering is planned."""
    fence = fence or CudaFence(bench.device)
    modules = bench.modules()
    limit, reference = _half_way(bench, note, modules, fence)
    fence.set(limit)
    engine = bench.engine(modules, batch=bench.sizes.batches[-1])
    rendering = bench.planned(engine)
    note("batch_after_plan", rendering.facts["batch"])
    note("grey_levels", grey_difference(bench.frames(rendering), reference))


def at_frames(bench: Bench, note: Note, fence: Fence | None = None) -> None:
    """Memory becomes scarce after the first frames of the largest batch."""
    fence = fence or CudaFence(bench.device)
    modules = bench.modules()
    limit, reference = _half_way(bench, note, modules, fence)
    fence.set(None)
    engine = bench.engine(modules, batch=bench.sizes.batches[-1])
    rendering = bench.planned(engine)
    note("batch_after_plan", rendering.facts["batch"])
    frames = rendering.frames()
    seen: list[Image] = [next(frames)[::4, ::4].copy()]
    fence.set(limit)
    bench.forget()  # what is kept for reuse is no longer there
    seen += [frame[::4, ::4].copy() for frame in islice(frames, len(reference) - 1)]
    note("grey_levels", grey_difference(seen, reference))
    note("batch_after_frames", engine.batch)


def at_one_frame(bench: Bench, note: Note, fence: Fence | None = None) -> None:
    """Not even one frame fits: the error has a name, and the process goes on afterwards."""
    fence = fence or CudaFence(bench.device)
    modules = bench.modules()
    taken = _peak(bench, modules, 1, fence)[0]
    note("bytes_single", taken)
    engine = bench.engine(modules, batch=bench.sizes.usual)
    for share in _SHARES:
        fence.set(round(share * taken))
        try:
            bench.planned(engine)
        except EngineError as error:
            note("error", {"code": error.code, "message": error.message, "share": share})
            break
    else:
        note("error", None)
    fence.set(None)
    note("frames_afterwards", len(bench.frames(bench.planned(engine))))


def _half_way(bench: Bench, note: Note, modules: Modules, fence: Fence) -> tuple[int, list[Image]]:
    """A limit between what one frame and what the largest batch take, and the frames to expect."""
    low, reference = _peak(bench, modules, 1, fence)
    high, _ = _peak(bench, modules, bench.sizes.batches[-1], fence)
    limit = (low + high) // 2
    note("bytes", {"single": low, "largest_batch": high, "limit": limit})
    return limit, reference


def _peak(bench: Bench, modules: Modules, batch: int, fence: Fence) -> tuple[int, list[Image]]:
    """The most memory that a rendering takes, and its frames."""
    bench.forget()
    frames = bench.frames(bench.planned(bench.engine(modules, batch=batch)))
    most = fence.peak()
    bench.forget()
    return most, frames
