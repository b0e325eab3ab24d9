"""Which of the engine protocols a class implements, without making an instance."""

from collections.abc import Mapping
from typing import Final, Literal

__all__ = ["CAPABILITIES", "Capability", "capabilities_of"]

Capability = Literal[
    "motion from a clip",
    "motion from a script",
    "motion from sound",
    "portraits by motion",
    "mouths of finished frames",
    "single expressions",
]

CAPABILITIES: Final[Mapping[Capability, tuple[str, ...]]] = {
    "motion from a clip": ("extraction_identity", "extract"),
    "motion from a script": ("perform",),
    "motion from sound": ("motion_from_sound",),
    "portraits by motion": ("render", "visemes"),
    "mouths of finished frames": ("repaint",),
    "single expressions": ("prepare",),
}
"""Capability -> methods of its protocol in `contracts.engine`."""


def capabilities_of(engine: type) -> list[Capability]:
    """What instances of an engine class can do, in the order of `CAPABILITIES`."""
    return [
        capability
        for capability, methods in CAPABILITIES.items()
        if all(callable(getattr(engine, method, None)) for method in methods)
    ]
