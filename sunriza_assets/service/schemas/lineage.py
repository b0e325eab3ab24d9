"""What a version was made of, as HTTP answers show it."""

from typing import Any

from pydantic import BaseModel, Field

__all__ = ["Lineage", "LineageFile", "LineageModel", "LineageStep"]


class LineageFile(BaseModel):
    """One file by its content."""

    name: str
    sha256: str
    size: int = Field(description="Bytes.")


class LineageModel(BaseModel):
    """One model that took part."""

    name: str
    sha256: str
    licence: str


class LineageStep(BaseModel):
    """One asset on the way."""

    asset: str
    upstream: list[str] = Field(description="Assets that it was made from.")
    run_id: str
    reused: bool = Field(description="Whether an earlier run had made it; it costs nothing then.")
    seconds: float | None
    cost: float | None
    currency: str | None
    device: str | None
    cache: str | None = Field(description="`hit` if its result was in a cache.")


class Lineage(BaseModel):
    """From what, by what, where and at what cost a version was made."""

    avatar_id: str
    version: str
    run_id: str
    made_at: str
    engine: str
    engine_version: str
    package_version: str
    devices: list[str]
    performance: str | None
    seconds: float = Field(description="Of the run's own steps.")
    cost: float | None
    currency: str | None
    steps: list[LineageStep] = Field(description="In order of making, the publishing one last.")
    inputs: list[LineageFile]
    outputs: list[LineageFile]
    models: list[LineageModel]
    parameters: dict[str, Any] = Field(description="Effective, by snake_case name.")
    requested: dict[str, Any] = Field(description="What was asked for.")
    text: str = Field(description="The same as a tree in plain text.")
