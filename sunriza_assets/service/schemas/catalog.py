"""What there is to choose from: performances and parameters."""

from typing import Any, Literal

from pydantic import BaseModel, Field

__all__ = ["ParameterList", "PerformanceList", "ShownParameter", "ShownPerformance"]


class ShownPerformance(BaseModel):
    """A built-in performance, which moves a portrait without a clip."""

    name: str = Field(examples=["calm"])
    description: str
    seconds: float = Field(description="After this time it repeats.")
    parameters: dict[str, Any] = Field(description="Default parameters that come with it.")


class PerformanceList(BaseModel):
    """All built-in performances."""

    performances: list[ShownPerformance]
    default: str = Field(description="Taken where neither a clip nor a name is given.")


class ShownParameter(BaseModel):
    """A render parameter."""

    name: str = Field(description="In snake_case.", examples=["driving_multiplier"])
    camel_name: str = Field(description="As avatar documents have it.")
    kind: Literal["number", "integer", "switch", "choice"]
    default: Any
    minimum: float | None = None
    maximum: float | None = None
    choices: list[str] | None = None
    allowed: str = Field(description="What it may be, in words.")
    meaning: str
    shown_in_still: bool = Field(description="Whether a preview still shows it.")


class ParameterList(BaseModel):
    """All render parameters."""

    parameters: list[ShownParameter]
