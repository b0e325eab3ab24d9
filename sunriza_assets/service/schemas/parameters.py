"""The render parameters as JSON schemas: what `studio.parameters` takes, no more."""

from dataclasses import fields
from typing import Any, Final

from sunriza_assets.studio.parameters import (
    CHOICES,
    DEFAULTS,
    RANGES,
    RenderParameters,
    allowed_values,
)

__all__ = ["parameter_schemas"]

_WORDS: Final = {"fps": {"const": "source"}, "loop_seconds": {"type": "null"}}
"""What a number may be instead."""


def parameter_schemas() -> dict[str, dict[str, Any]]:
    """snake_case name -> schema of its values."""
    return {field.name: _schema(field.name) for field in fields(RenderParameters)}


def _schema(name: str) -> dict[str, Any]:
    described = {"description": f"{allowed_values(name)}.", "default": getattr(DEFAULTS, name)}
    if name in CHOICES:
        return {"type": "string", "enum": list(CHOICES[name])} | described
    if name not in RANGES:
        return {"type": "boolean"} | described
    low, high = RANGES[name]
    whole = isinstance(low, int) and isinstance(described["default"], int)
    number = {"type": "integer" if whole else "number", "minimum": low, "maximum": high}
    if name in _WORDS:
        return {"anyOf": [number, _WORDS[name]]} | described
    return number | described
