"""Which device a step ran on: the CPU, or the accelerator that its process holds.

Names are the manufacturer's own (`AMD EPYC`, `Tesla T4`); `prices` maps them to entries of a price
book. Nothing here loads torch: a process that has not loaded it has not used it.
"""

import platform
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

__all__ = ["Device", "accelerator", "cpu", "expected_device", "loaded_cuda"]

_CPUINFO: Final = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Device:
    """What a step is billed for."""

    name: str
    """The manufacturer's name."""
    kind: Literal["cpu", "cuda", "mps"]
    """Backend."""


@lru_cache(maxsize=1)
def cpu() -> Device:
    """The CPU of this machine."""
    return Device(_cpu_model(), "cpu")


def accelerator() -> Device | None:
    """The accelerator that this process has in use through torch, or None."""
    if (cuda := loaded_cuda()) is not None:
        return Device(cuda.get_device_name(), "cuda")
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "mps"):
        return None
    if torch.backends.mps.is_available() and torch.mps.driver_allocated_memory():
        return Device(f"{_cpu_model()} GPU", "mps")
    return None


def expected_device(engine: str) -> Device:
    """The device that an engine will use, before it has allocated anything."""
    torch: Any = sys.modules.get("torch")
    if engine != "mesh" and torch is not None and torch.cuda.is_available():
        return Device(torch.cuda.get_device_name(), "cuda")
    return cpu()


def loaded_cuda() -> ModuleType | None:
    """`torch.cuda` when this process has loaded torch and talks to a CUDA device, else None."""
    torch = sys.modules.get("torch")
    cuda: ModuleType | None = getattr(torch, "cuda", None)
    return cuda if cuda is not None and cuda.is_initialized() else None


def _cpu_model() -> str:
    try:
        for line in _CPUINFO.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model") and value.strip():
                return value.strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine() or "CPU"
