"""Where the networks run, in which precision, and what happens when memory runs out."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import torch
from torch import Tensor

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.engines.liveportrait.arithmetic import computes_natively
from sunriza_assets.studio.engines.liveportrait.fast.convolution import Placement

__all__ = [
    "BATCH",
    "Precision",
    "Readback",
    "device_name",
    "pick_device",
    "place",
    "precision_note",
    "shrinking_batches",
]

T = TypeVar("T")
Precision = Literal["auto", "float32", "float16", "bfloat16"]

BATCH: Final = {"cuda": 8, "cpu": 1}
"""Poses painted at once. A CPU is busy with one, and more would only cost memory."""
_TYPES: Final = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
_log = logging.getLogger(__name__)


def pick_device(wanted: str | None = None) -> torch.device:
    """The device asked for; else the first CUDA device, else the CPU.

    Raises:
        EngineError: the one asked for is not there.
    """
    if wanted is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise EngineError(f"There is no device {wanted!r}", remedy="Use cpu or cuda.") from error
    if device.type not in BATCH:
        raise EngineError(f"Device {wanted!r} is not supported", remedy="Use cpu or cuda.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise EngineError(
            f"Device {wanted!r} is not here", remedy="See what `sunriza doctor` says of the GPU."
        )
    return device


def place(device: torch.device, precision: Precision = "auto") -> Placement:
    """A device and the precision of its convolutions.

    `auto` is float16 on a GPU, whose eleven bits of mantissa keep batches equal to single frames
    where bfloat16's eight do not, and float32 on a CPU. A half precision that the device has no
    instructions for is replaced by float32, which is both more exact and many times faster there;
    a warning is logged, and `precision_note` says the same.
    """
    if precision == "auto":
        precision = "float16" if device.type == "cuda" else "float32"
    note = precision_note(device, precision)
    if note is not None:
        _log.warning("%s", note)
        precision = "float32"
    return Placement(device, _TYPES[precision])


def precision_note(device: torch.device, precision: Precision) -> str | None:
    """Why `place` puts float32 in the place of a precision, for facts and reports; None if not."""
    if precision == "auto" or computes_natively(device, _TYPES[precision]):
        return None
    kind = "GPU" if device.type == "cuda" else "CPU"
    return f"this {kind} has no {precision} instructions: float32 is used"


def device_name(device: torch.device) -> str:
    """What the device calls itself."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU, {torch.get_num_threads()} threads"


def shrinking_batches(
    count: int, size: int, work: Callable[[slice], T], shrink: Callable[[int], None]
) -> Iterator[tuple[slice, T]]:
    """Work through `count` items in batches; where memory runs out, go on with half the size.

    Args:
        count: items in all.
        size: items of a batch at first.
        work: called with the items of each batch.
        shrink: called with the new size, to let go of what was made for the old one.

    Yields:
        Each batch and its result.

    Raises:
        EngineError: there is not memory enough for a single item.
    """
    start = 0
    while start < count:
        batch = slice(start, min(start + size, count))
        try:
            result = work(batch)
        except torch.OutOfMemoryError as error:
            if size == 1:
                raise EngineError(
                    "The device has not memory enough for a single frame",
                    remedy="Close what else uses the GPU, or set engine=mesh.",
                    code="out_of_memory",
                ) from error
            size = max(1, size // 2)
            _log.warning("Out of device memory: going on with batches of %d", size)
            shrink(size)
            continue
        yield batch, result
        start = batch.stop


@dataclass(frozen=True)
class Readback:
    """A tensor on its way to the host."""

    _host: Tensor
    _arrived: torch.cuda.Event | None

    @classmethod
    def of(cls, tensor: Tensor) -> "Readback":
        """Start the journey; from a GPU into pinned memory, without anybody waiting."""
        if not tensor.is_cuda:
            return cls(tensor, None)
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        host.copy_(tensor, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        return cls(host, arrived)

    def wait(self) -> Tensor:
        """The tensor on the host."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._host
