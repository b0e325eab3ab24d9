"""Which engine animates: the choice, its reason, and one warm instance per process.

Models load once and stay; nothing of an avatar is kept in an engine, so sharing one is safe.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sunriza_assets.errors import EngineError

if TYPE_CHECKING:
    from sunriza_assets.studio.engines.base import Engine
    from sunriza_assets.studio.face.landmarks import FaceMesh

__all__ = ["Choice", "choose_engine", "face_mesh"]


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine and why it is the one."""

    engine: "Engine"
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
    if wanted == "auto":
        return _automatic(models)
    return Choice(_instance(wanted, models), "asked for by name")


def _automatic(models: Path) -> Choice:
    from sunriza_assets.studio.engines.liveportrait.weights import weights_present

    if not weights_present(models):
        return Choice(_instance("mesh", models), "no LivePortrait weights on this machine")
    import torch  # seconds; so only when the weights are there

    if not torch.cuda.is_available():
        return Choice(_instance("mesh", models), "LivePortrait weights, but no CUDA device")
    return Choice(_instance("liveportrait", models), "LivePortrait weights and a CUDA device")


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
def _instance(name: str, models: Path) -> "Engine":
    if name == "mesh":
        from sunriza_assets.studio.engines.mesh.engine import MeshEngine

        return MeshEngine(models)
    if name == "liveportrait":
        from sunriza_assets.studio.engines.liveportrait.engine import LivePortraitEngine

        return LivePortraitEngine(models)
    raise EngineError(f"There is no engine {name!r}", remedy="Use auto, mesh or liveportrait.")
