"""What is asked of a GPU, in which order, and how long each step may take."""

from dataclasses import asdict, dataclass
from typing import Any, Final

__all__ = ["ENVIRONMENT", "STEPS", "TOTAL_S", "Settings", "Step"]

TOTAL_S: Final = 480.0
"""Seconds that one call may take in all."""
_HERE: Final = "sunriza_assets.studio.bench.gpu"


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides the figures. A report can only be gone on with under equal settings."""

    device: str | None = None
    """cpu or cuda or cuda:1; None takes a CUDA device where there is one."""
    tiny: bool = False
    """Narrow networks and a few frames: the script is tried out, nothing is measured."""
    models: str = ""
    """The models folder, for the face models."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the script."""

    name: str
    """Its key in the report."""
    target: str
    """`package.module:function`, called in the child with (bench, note)."""
    limit_s: float
    """Seconds after which it is ended, its process's start included."""
    argument: str | None = None
    """Handed to the function as a third argument."""
    needs_cuda: bool = False
    """Whether it is skipped where there is no CUDA device."""


ENVIRONMENT: Final = Step("environment", f"{_HERE}.machine:environment", 60)
"""The first step, which says whether there is a CUDA device."""

STEPS: Final = (
    ENVIRONMENT,
    Step("parity", f"{_HERE}.parity:parity", 90),
    Step("batches_float16", f"{_HERE}.speed:batches", 75, "float16"),
    Step("grey_levels", f"{_HERE}.parity:grey_levels", 60),
    Step("clip", f"{_HERE}.whole:clip", 120),
    Step("profile", f"{_HERE}.whole:profile", 45),
    Step("out_of_memory_plan", f"{_HERE}.memory:at_plan", 60, needs_cuda=True),
    Step("out_of_memory_frames", f"{_HERE}.memory:at_frames", 60, needs_cuda=True),
    Step("out_of_memory_one", f"{_HERE}.memory:at_one_frame", 60, needs_cuda=True),
    Step("overflow", f"{_HERE}.faults:overflow", 60),
    Step("threads", f"{_HERE}.faults:threads", 60),
    Step("onnx", f"{_HERE}.machine:onnx", 30),
    Step("encoders", f"{_HERE}.machine:encoders", 30),
    Step("batches_bfloat16", f"{_HERE}.speed:batches", 75, "bfloat16"),
    Step("batches_float32", f"{_HERE}.speed:batches", 75, "float32"),
)
"""In the order of what one wants to know first."""
