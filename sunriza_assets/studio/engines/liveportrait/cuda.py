"""CUDA streams, events, graphs and memory, on an explicit device.

torch creates streams, events and graphs on the *current* device, which is `cuda:0` in a new thread
whatever device was requested. So everything here takes the device and makes it the current one.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Generic, TypeVar

import torch
from torch import Tensor, cuda

from sunriza_assets.studio.capture_gate import GATE

__all__ = [
    "Capture",
    "Readback",
    "current_device",
    "free_memory_share",
    "give_back",
    "outside_capture",
]

T = TypeVar("T")

_WARM_UPS: Final = 2
"""Runs before a capture: libraries choose their algorithms and get their workspace in them."""


def current_device(device: torch.device) -> AbstractContextManager[object]:
    """A context in which this is the current CUDA device; does nothing for a CPU."""
    return cuda.device(device) if device.type == "cuda" else nullcontext()


def outside_capture(device: torch.device) -> AbstractContextManager[object]:
    """A context in which no graph is captured in this process; does nothing for a CPU."""
    return GATE.using() if device.type == "cuda" else nullcontext()


def give_back(device: torch.device) -> None:
    """Return memory that torch keeps for reuse to the device."""
    if device.type == "cuda":
        with current_device(device):
            cuda.empty_cache()


def free_memory_share(device: torch.device) -> float:
    """Share of the device's memory that is free, 0-1; 1 for a CPU."""
    if device.type != "cuda":
        return 1.0
    free, total = cuda.mem_get_info(device)
    return free / total


class Capture(Generic[T]):
    """Work on a CUDA device, captured once as a graph, to be replayed.

    The work is warmed up and captured on a stream made here for that device: the one that torch
    would choose is made once per process, on whatever device was current then. The capture mode is
    `thread_local`: in the default mode an allocation by any thread of the process, such as NVENC's
    or onnxruntime's, ends the capture with an error. `CaptureGate` keeps those threads from
    submitting work meanwhile, which no mode does.

    Args:
        device: a CUDA device.
        work: called a few times; its tensors must stay where they are.

    Raises:
        torch.OutOfMemoryError, RuntimeError: while warming up or capturing. The current stream is
            then what it was before.
    """

    def __init__(self, device: torch.device, work: Callable[[], T]) -> None:
        self._device = device
        with current_device(device), _cudnn_benchmarking():
            before, aside = cuda.current_stream(device), cuda.Stream(device)
            try:
                with outside_capture(device):
                    aside.wait_stream(before)
                    with cuda.stream(aside):
                        for _ in range(_WARM_UPS):
                            work()
                    before.wait_stream(aside)
                    cuda.empty_cache()  # a graph takes memory of its own, not what warming up left
                self._graph = cuda.CUDAGraph()
                with (
                    GATE.capturing(),
                    cuda.graph(self._graph, stream=aside, capture_error_mode="thread_local"),
                ):
                    self.result: T = work()
            finally:
                cuda.set_stream(before)  # torch leaves the other one current when a capture fails

    def replay(self) -> T:
        """Run again; returns the same tensors with new content."""
        with current_device(self._device):
            self._graph.replay()
        return self.result


class Readback:
    """A tensor that is being copied to the host."""

    def __init__(self, host: Tensor, arrived: cuda.Event | None) -> None:
        self._host, self._arrived = host, arrived

    @classmethod
    def of(cls, tensor: Tensor) -> "Readback":
        """Start the copy; from a GPU into pinned memory, without waiting for it.

        Raises:
            RuntimeError: there is no pinned memory left, see `memory.is_out_of_memory`.
        """
        if not tensor.is_cuda:
            return cls(tensor, None)
        with current_device(tensor.device):
            host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            host.copy_(tensor, non_blocking=True)
            arrived = cuda.Event()
            arrived.record(cuda.current_stream(tensor.device))
        return cls(host, arrived)

    def wait(self) -> Tensor:
        """The tensor on the host."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._host


def _cudnn_benchmarking() -> AbstractContextManager[object]:
    """cuDNN measures its algorithms for each shape, and never rounds float32 to TF32."""
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=True, deterministic=False, allow_tf32=False
    )
