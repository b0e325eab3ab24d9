"""Choosing an engine: the choice, its reason, and one cached instance per process.

Models are loaded once; engines keep no state of an avatar, so sharing one is safe.
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
    "select_engine_name",
]


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine and why it was chosen."""

    engine: "AnimationEngine"
    """Ready to use; its models load on first use."""
    reason: str
    """A phrase for metadata and logs."""


def choose_engine(wanted: str, models: Path) -> Choice:
    """The engine for a value of the parameter `engine` on this machine.

    Args:
        wanted: auto, mesh or liveportrait.
        models: the folder of model files.

    Raises:
        EngineError: there is no such engine.
        ModelError: it was requested by name and its weights are missing.
    """
    name, reason = select_engine_name(wanted, models)
    return Choice(_instance(name, models), reason)


def select_engine_name(wanted: str, models: Path) -> tuple[str, str]:
    """Name of the engine that would be chosen, and the reason, without loading it."""
    if wanted != "auto":
        return wanted, "asked for by name"
    from sunriza_assets.studio.engines.liveportrait.weights import weights_present

    if not weights_present(models):
        return "mesh", "no LivePortrait weights on this machine"
    import torch  # takes seconds, so only if there are weights

    if not torch.cuda.is_available():
        return "mesh", "LivePortrait weights, but no CUDA device"
    return "liveportrait", "LivePortrait weights and a CUDA device"


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What an engine can do on this machine."""

    name: str
    """Its value of the parameter `engine`."""
    available: bool
    """Whether it can run on this machine."""
    reason: str
    """Why it can, or what it lacks."""
    chosen: bool
    """Whether `auto` selects it."""
    capabilities: tuple[str, ...]
    """Its capabilities; see `contracts.capabilities`."""


def describe_engines(models: Path) -> list[EngineDescription]:
    """Every engine with its capabilities, whether it can run here, and why."""
    from sunriza_assets.studio.contracts.capabilities import capabilities_of
    from sunriza_assets.studio.engines.liveportrait.engine import LivePortraitEngine
    from sunriza_assets.studio.engines.liveportrait.weights import weights_present
    from sunriza_assets.studio.engines.mesh.engine import MeshEngine
    from sunriza_assets.studio.face.model_store import ModelStore

    chosen, reason = select_engine_name("auto", models)
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
    """The device that an engine runs on: the accelerator if it uses one, else the CPU."""
    if engine != "liveportrait":
        return cpu()
    import torch

    if not torch.cuda.is_available():
        return cpu()
    return Device(torch.cuda.get_device_name(), "cuda")


@lru_cache(maxsize=4)
def models_of(engine: str, models: Path) -> tuple["ModelEntry", ...]:
    """The models used to make an avatar with this engine, each with its hash."""
    from sunriza_assets.studio.engines.liveportrait.weights import sha256_of, weight_entries
    from sunriza_assets.studio.face.landmarks import MESH_MODELS
    from sunriza_assets.studio.face.matte import MODEL as MATTE_MODEL
    from sunriza_assets.studio.face.model_store import ModelStore

    used = {*MESH_MODELS, MATTE_MODEL}
    entries = [entry for entry in ModelStore(models).entries() if entry.name in used]
    if engine == "liveportrait":
        entries += weight_entries(models)
    return tuple(
        # A file that was copied there by hand has no recorded hash.
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
