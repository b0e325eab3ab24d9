"""Which engine animates: the choice, its reason, and one warm instance per process.

Models load once and stay; nothing of an avatar is kept in an engine, so sharing one is safe.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sunriza_assets.costs.devices import Device, cpu
from sunriza_assets.errors import EngineError

if TYPE_CHECKING:
    from sunriza_assets.studio.contracts.engine import AnimationEngine
    from sunriza_assets.studio.face.landmarks import FaceMesh
    from sunriza_assets.studio.face.model_store import ModelEntry

__all__ = [
    "Choice",
    "EngineDescription",
    "choose_engine",
    "describe_engines",
    "device_of",
    "face_mesh",
    "models_of",
    "name_engine",
]


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine and why it is the one."""

    engine: "AnimationEngine"
    """Ready to use; its models load on first use."""
    reason: str
    """Half a sentence for metadata and logs."""


def choose_engine(wanted: str, models: Path) -> Choice:
    """The engine a `engine` parameter means on this machine.

    Args:
        wanted: auto, mesh or liveportrait.
        models: the folder of model files.

    Raises:
        EngineError: there is no such engine.
        ModelError: it was asked for by name and its weights are missing.
    """
    name, reason = name_engine(wanted, models)
    return Choice(_instance(name, models), reason)


def name_engine(wanted: str, models: Path) -> tuple[str, str]:
    """Name of the engine that would be chosen, and why, without making it."""
    if wanted != "auto":
        return wanted, "asked for by name"
    from sunriza_assets.studio.engines.liveportrait.weights import weights_present

    if not weights_present(models):
        return "mesh", "no LivePortrait weights on this machine"
    import torch  # seconds; so only when the weights are there

    if not torch.cuda.is_available():
        return "mesh", "LivePortrait weights, but no CUDA device"
    return "liveportrait", "LivePortrait weights and a CUDA device"


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What an engine can do on this machine."""

    name: str
    """As parameters name it."""
    available: bool
    """Whether it can work here."""
    reason: str
    """Why it can, or what it lacks."""
    chosen: bool
    """Whether `auto` takes it."""
    capabilities: tuple[str, ...]
    """What it can do; see `contracts.capabilities`."""


def describe_engines(models: Path) -> list[EngineDescription]:
    """Every engine with what it can do, whether it can work here, and why."""
    from sunriza_assets.studio.contracts.capabilities import capabilities_of
    from sunriza_assets.studio.engines.liveportrait.engine import LivePortraitEngine
    from sunriza_assets.studio.engines.liveportrait.weights import weights_present
    from sunriza_assets.studio.engines.mesh.engine import MeshEngine
    from sunriza_assets.studio.face.model_store import ModelStore

    chosen, reason = name_engine("auto", models)
    faces = all(entry.present for entry in ModelStore(models).entries())
    weights = weights_present(models)
    lacking = "face models are missing: `sunriza models pull face`"
    live = "weights are missing: `sunriza models pull liveportrait`" if not weights else reason
    return [
        EngineDescription(
            name="mesh",
            available=faces,
            reason="any CPU will do" if faces else lacking,
            chosen=chosen == "mesh",
            capabilities=tuple(capabilities_of(MeshEngine)),
        ),
        EngineDescription(
            name="liveportrait",
            available=faces and weights,
            reason=live if faces else lacking,
            chosen=chosen == "liveportrait",
            capabilities=tuple(capabilities_of(LivePortraitEngine)),
        ),
    ]


def device_of(engine: str) -> Device:
    """What the steps of an engine run on here: the accelerator if it uses one, else the CPU."""
    if engine != "liveportrait":
        return cpu()
    import torch

    if not torch.cuda.is_available():
        return cpu()
    return Device(torch.cuda.get_device_name(), "cuda")


@lru_cache(maxsize=4)
def models_of(engine: str, models: Path) -> tuple["ModelEntry", ...]:
    """The models that take part when an avatar is made with this engine, each with its hash."""
    from sunriza_assets.studio.engines.liveportrait.weights import sha256_of, weight_entries
    from sunriza_assets.studio.face.landmarks import MESH_MODELS
    from sunriza_assets.studio.face.matte import MODEL as MATTE_MODEL
    from sunriza_assets.studio.face.model_store import ModelStore

    used = {*MESH_MODELS, MATTE_MODEL}
    entries = [entry for entry in ModelStore(models).entries() if entry.name in used]
    if engine == "liveportrait":
        entries += weight_entries(models)
    return tuple(
        # A file that was put there by hand has no record of a pull.
        entry if entry.sha256 else replace(entry, sha256=sha256_of(entry.path))
        for entry in entries
        if entry.present
    )


@lru_cache(maxsize=1)
def face_mesh(models: Path) -> "FaceMesh":
    """The face mesh of this process.

    Raises:
        ModelError: its models are missing; the message names the command to get them.
    """
    from sunriza_assets.studio.face.landmarks import FaceMesh
    from sunriza_assets.studio.face.model_store import ModelStore

    return FaceMesh(ModelStore(models))


@lru_cache(maxsize=4)
def _instance(name: str, models: Path) -> "AnimationEngine":
    if name == "mesh":
        from sunriza_assets.studio.engines.mesh.engine import MeshEngine

        return MeshEngine(models, faces=face_mesh(models))
    if name == "liveportrait":
        from sunriza_assets.studio.engines.liveportrait.engine import LivePortraitEngine

        return LivePortraitEngine(models)
    raise EngineError(f"There is no engine {name!r}", remedy="Use auto, mesh or liveportrait.")
