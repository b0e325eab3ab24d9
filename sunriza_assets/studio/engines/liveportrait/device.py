"""Where the networks run, and in which precision."""

import logging
from dataclasses import replace
from typing import Final, Literal

import torch

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.engines.liveportrait.arithmetic import computes_natively
from sunriza_assets.studio.engines.liveportrait.fast.convolution import Placement

__all__ = [
    "BATCH",
    "Precision",
    "device_name",
    "pick_device",
    "place",
    "precision_note",
    "wider_placement",
]

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
    """The requested device; else the first CUDA device, else the CPU.

    Raises:
        EngineError: the requested device does not exist.
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
    a warning is logged, and `precision_note` returns the reason.
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


def wider_placement(placement: Placement) -> Placement | None:
    """The placement in the next wider precision; None where there is none.

    bfloat16 reaches as far as float32 and comes after float16, where the device has instructions
    for it.
    """
    if placement.dtype == torch.float32:
        return None
    brain = torch.bfloat16
    fits = placement.dtype == torch.float16 and computes_natively(placement.device, brain)
    return replace(placement, dtype=brain if fits else torch.float32)


def device_name(device: torch.device) -> str:
    """The name of the device."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU, {torch.get_num_threads()} threads"
