"""Answers of the health routes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Health", "Live", "Part", "Ready"]


class Health(BaseModel):
    """How the service stands."""

    model_config = ConfigDict(protected_namespaces=())

    status: Literal["healthy", "starting", "unhealthy"]
    service: str = Field(description="Name of the service.")
    gpu_available: bool
    gpu_name: str | None = Field(description="None on a CPU.")
    cuda_version: str | None = Field(description="None on a CPU.")
    model_loaded: bool = Field(description="Whether pictures are drawn at once.")
    engine: str | None = Field(description="Engine that draws expressions.")
    model_version: str | None = Field(description="Its version.")
    version: str = Field(description="Version of the service.")


class Live(BaseModel):
    """The process answers."""

    live: Literal[True]


class Part(BaseModel):
    """One part of the service."""

    ready: bool
    reason: str | None = Field(default=None, description="Why it is not ready.")


class Ready(BaseModel):
    """Whether work is done."""

    ready: bool
    parts: dict[str, Part] = Field(description="engine, store, dispatcher, disk")
