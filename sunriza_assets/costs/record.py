"""The record of one step: flat metadata that passes through the event log into the ledger.

Only the container and its two-way flat form live here; `stopwatch` fills it, `prices` puts a price
to it. Facts that were not measured are absent, never zero.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final, Literal

from sunriza_assets.errors import CostError

__all__ = [
    "CACHE_STATES",
    "CacheState",
    "StepRecord",
    "billed_seconds",
    "stage_key",
    "stage_name",
]

CacheState = Literal["hit", "miss"]
CACHE_STATES: Final = ("hit", "miss")

_STAGE_PREFIX: Final = "stage_"
_STAGE_SUFFIX: Final = "_s"
_TEXT: Final = (
    "device",
    "device_kind",
    "engine",
    "engine_version",
    "peak_memory_method",
    "cache",
)
_WHOLE: Final = (
    "cores",
    "peak_memory_bytes",
    "peak_gpu_memory_bytes",
    "bytes_in",
    "bytes_out",
    "egress_bytes",
    "frames",
    "clip_frames",
)
_NUMBERS: Final = (
    "wall_s",
    "queue_s",
    "cpu_s",
    "gpu_s",
    "cache_saved_s",
    "clip_s",
    "started_at",
    "unbooked_s",
)


@dataclass(frozen=True)
class StepRecord:
    """The measured facts of one step. All seconds are >= 0.

    Raises:
        CostError: a value is negative, not finite, or the cache state is unknown.
    """

    wall_s: float
    """Seconds from entering the stopwatch to leaving it, on a monotonic clock."""
    device: str
    """Device that the step ran on and is billed for: `AMD EPYC`, `Tesla T4`."""
    device_kind: str
    """`cpu`, `cuda` or `mps`."""
    cores: int | None = None
    """CPU cores that the process may use."""
    stages: Mapping[str, float] = field(default_factory=dict)
    """Stage -> exclusive seconds; with `other` they add up to `wall_s`."""
    queue_s: float | None = None
    """Seconds between being asked for and starting; None when unknown."""
    cpu_s: float | None = None
    """CPU seconds, user and system, of this process and the children it has waited for."""
    gpu_s: float | None = None
    """Seconds of the stages that held the accelerator; 0 for a step without one."""
    peak_memory_bytes: int | None = None
    """Highest resident memory of this process during the step (its child processes not counted)."""
    peak_memory_method: str | None = None
    """`high_water` (the kernel's own mark, exact) or `sampled` (polled by a thread)."""
    peak_gpu_memory_bytes: int | None = None
    """Highest memory that torch held on the accelerator during the step; None without torch."""
    bytes_in: int | None = None
    """Bytes read from stores and files."""
    bytes_out: int | None = None
    """Bytes written to stores and files."""
    egress_bytes: int | None = None
    """Bytes that left the provider's network because of this step."""
    frames: int | None = None
    """Frames that the step read or made."""
    clip_frames: int | None = None
    """Frames of the avatar's clip, in which runtime is linear."""
    clip_s: float | None = None
    """Seconds of that clip."""
    cache: CacheState | None = None
    """Whether a cached result was taken; None for a step without a cache."""
    cache_saved_s: float | None = None
    """On a hit: the seconds that making the result had taken."""
    cold: bool | None = None
    """True for the first step of this process with this engine, which pays for loading it."""
    engine: str | None = None
    """Name of the engine."""
    engine_version: str | None = None
    """Version of the engine."""
    started_at: float | None = None
    """Unix time at the start. Only for reading: no duration is taken from it."""
    unbooked_s: float | None = None
    """Seconds after the manifest was written: the step that publishes it cannot include its own
    remaining time. In no stage, not in `wall_s`, and not billed."""

    def __post_init__(self) -> None:
        for name in (*_NUMBERS, *_WHOLE):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise CostError(f"{name} of a step record is {value!r}", code="record")
        for stage, seconds in self.stages.items():
            if not (math.isfinite(seconds) and seconds >= 0):
                raise CostError(f"Stage {stage!r} of a step took {seconds!r} s", code="record")
        if self.cache is not None and self.cache not in CACHE_STATES:
            raise CostError(f"Cache state of a step record is {self.cache!r}", code="record")
        object.__setattr__(self, "stages", MappingProxyType(dict(self.stages)))

    @property
    def billed_s(self) -> float:
        """Seconds of its device that the step is billed for.

        An accelerator is held for the step's whole wall time. A CPU is shared: its price is for the
        CPU seconds that the step used, so a busy neighbour makes it slower and not dearer. Where
        they were not measured, wall time is used.
        """
        return billed_seconds(self.device_kind, self.wall_s, self.cpu_s)

    def to_dict(self) -> dict[str, Any]:
        """Flat JSON values; stages as `stage_<name>_s`; unmeasured facts are left out."""
        flat: dict[str, Any] = {
            name: value
            for item in fields(self)
            if (name := item.name) != "stages" and (value := getattr(self, name)) is not None
        }
        flat.update({stage_key(name): seconds for name, seconds in self.stages.items()})
        return flat

    @classmethod
    def from_dict(cls, flat: Mapping[str, Any]) -> "StepRecord":
        """Read metadata back; keys that are not a record's own are left alone.

        Raises:
            CostError: `wall_s` or the device is missing, or a value is of the wrong kind.
        """
        facts: dict[str, Any] = {}
        for name in _NUMBERS:
            if flat.get(name) is not None:
                facts[name] = _number(name, flat[name])
        for name in _WHOLE:
            if flat.get(name) is not None:
                facts[name] = int(_number(name, flat[name]))
        for name in _TEXT:
            if flat.get(name) is not None:
                facts[name] = str(flat[name])
        if isinstance(flat.get("cold"), bool):
            facts["cold"] = flat["cold"]
        for name in ("wall_s", "device", "device_kind"):
            if name not in facts:
                raise CostError(f"A step record without {name}", code="record")
        stages = {
            stage: _number(key, value)
            for key, value in flat.items()
            if (stage := stage_name(key)) is not None
        }
        return cls(stages=stages, **facts)


def billed_seconds(device_kind: str | None, wall_s: float, cpu_s: float | None) -> float:
    """See `StepRecord.billed_s`."""
    return cpu_s if device_kind == "cpu" and cpu_s is not None else wall_s


def stage_key(stage: str) -> str:
    """Metadata key of a stage: `decode` -> `stage_decode_s`."""
    return f"{_STAGE_PREFIX}{stage}{_STAGE_SUFFIX}"


def stage_name(key: str) -> str | None:
    """Stage of a metadata key, or None when the key is not a stage's."""
    if key.startswith(_STAGE_PREFIX) and key.endswith(_STAGE_SUFFIX):
        return key[len(_STAGE_PREFIX) : -len(_STAGE_SUFFIX)] or None
    return None


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CostError(f"{name} of a step record is {value!r}, not a number", code="record")
    return value
