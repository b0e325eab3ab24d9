"""Which half-precision types a device multiplies in hardware.

Where the instructions are missing, torch computes bfloat16 convolutions all the same: in oneDNN's
emulation, two to three times slower than float32, or without oneDNN in plain loops, a hundred times
slower. Nothing in torch warns of it, so this module decides before anything is painted.
"""

import os
import platform
from collections.abc import Mapping
from typing import Final

import torch

__all__ = ["computes_natively"]

_ISA_LIMITS: Final = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Environment variables that keep oneDNN from using all of a CPU's instructions."""
_EMULATED_UNDER: Final = frozenset({"AVX512_CORE", "AVX512_CORE_VNNI"})
"""Limits under which oneDNN accepts bfloat16 and emulates it. Below them it does not accept it."""
_BFLOAT16_FLAGS: Final = ("avx512_bf16", "avx_ne_convert")
"""x86 capabilities that bring bfloat16 products or conversions; AMX implies the first."""


def computes_natively(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether convolutions of this type run on instructions made for it; true for float32.

    On a CPU this is asked of oneDNN, which honours `ONEDNN_MAX_CPU_ISA`, and of the CPU's flags,
    because oneDNN also accepts bfloat16 where it only emulates it. `ATEN_CPU_CAPABILITY` makes no
    difference: it limits element-wise kernels, not convolutions.
    """
    if dtype == torch.float32:
        return True
    if device.type == "cuda":
        return dtype != torch.bfloat16 or _cuda_has_bfloat16(device)
    if not torch.backends.mkldnn.is_available():
        return False
    if dtype == torch.float16:
        return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and _cpu_has_bfloat16(os.environ)


def _cpu_has_bfloat16(environment: Mapping[str, str]) -> bool:
    """Whether an accepted bfloat16 is more than an emulation; only x86 has one."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    if any(environment.get(name, "").upper() in _EMULATED_UNDER for name in _ISA_LIMITS):
        return False
    known = torch.cpu.get_capabilities()
    return any(known.get(flag, False) for flag in _BFLOAT16_FLAGS)


def _cuda_has_bfloat16(device: torch.device) -> bool:
    """Whether the GPU's tensor cores know bfloat16: compute capability 8.0 and later."""
    return torch.cuda.get_device_capability(device) >= (8, 0)
