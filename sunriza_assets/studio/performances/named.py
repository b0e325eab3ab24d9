"""The built-in performances by name; nothing here computes curves, nor loads NumPy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from sunriza_assets.errors import AvatarError
from sunriza_assets.studio.parameters import canonical

__all__ = [
    "DEFAULT_PERFORMANCE",
    "PERFORMANCES",
    "Performance",
    "checked_performance",
    "with_performance_defaults",
]


@dataclass(frozen=True, slots=True)
class Performance:
    """Description and default parameters of a performance; its events are in `plans`."""

    description: str
    """Half a sentence for users."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Default render parameters, which the document or the launchpad may override. A constant
    expression is an emotion parameter, because it applies to viseme cells, too."""


PERFORMANCES: Final[Mapping[str, Performance]] = MappingProxyType(
    {
        "calm": Performance("quiet and present: slow shifts of the head, the trace of a smile"),
        "cheerful": Performance(
            "in a good mood: a smile that grows and fades, a lively head and brows",
            {"emotion": "happy", "emotion_strength": 0.65},
        ),
        "attentive": Performance("listening: leans in, nods, raises the brows"),
    }
)
"""By name."""
DEFAULT_PERFORMANCE: Final = "calm"
"""Default of the command line where neither a clip nor a name is given."""


def with_performance_defaults(name: str | None, requested: Mapping[str, Any]) -> dict[str, Any]:
    """The default parameters of a performance, overridden by requested ones.

    Args:
        name: the performance; None or an unknown name has no defaults.
        wishes: raw parameters; with an emotion or its strength, no default applies.

    Raises:
        ParameterError: an unknown parameter.
    """
    canonical_requested = canonical(requested)
    performance = PERFORMANCES.get(name or "")
    if performance is None or not canonical_requested.keys().isdisjoint(performance.parameters):
        return canonical_requested
    return {**performance.parameters, **canonical_requested}


def checked_performance(name: str) -> str:
    """The name itself, if there is such a performance.

    Raises:
        AvatarError: there is none.
    """
    if name not in PERFORMANCES:
        shown = repr(name) if len(repr(name)) <= 60 else f"{repr(name)[:57]}..."
        raise AvatarError(
            f"There is no performance {shown}",
            remedy=f"Use one of {', '.join(PERFORMANCES)}, or a talking clip.",
            code="performance",
        )
    return name
