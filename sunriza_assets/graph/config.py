"""Config schemas of the launchpad: the last of the three layers of parameters.

The schemas are generated from the tables of `studio.parameters`. A parameter that the launchpad
does not set comes from the avatar's document, else from the default. The scaffolded value says just
that (`driving_multiplier: document, else 1.7`), so an unchanged scaffold changes nothing and a
backfill needs no config.

Dagster checks names, types and enum values while one types; ranges only when the run is launched,
by the code location, which then refuses the run.
"""

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

from resources.dagster_internals import ConfigType, ConfigTypeKind, PostProcessingError
from sunriza_assets.errors import ParameterError
from sunriza_assets.studio.parameters import CHOICES, DEFAULTS, MEANINGS, allowed_values, checked

__all__ = [
    "IDLE_CONFIG",
    "TEMPLATE_CONFIG",
    "TRIM_CONFIG",
    "asset_overrides",
    "launchpad_config",
    "run_overrides",
]

Schema = dict[str, dg.Field]

_DOCUMENT: Final = "document"
"""A value that begins with this word leaves the parameter to the document."""


class _Parameter(ConfigType):
    """A number or a switch, or text that leaves it to the document.

    Its Dagster kind is ANY, for no other takes numbers as well as text; the value is checked when
    the run is launched.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            key=f"{name}, {allowed_values(name)}",
            kind=ConfigTypeKind.ANY,
            given_name=f"{allowed_values(name)}, or document",
        )
        self._name = name

    def post_process(self, value: Any) -> Any:
        """The parsed value; None leaves it to the document.

        Raises:
            PostProcessingError: it is of another kind or out of range; says what is allowed.
        """
        if not _is_override(value):
            return None
        try:
            result = checked(self._name, value)
        except ParameterError as error:
            raise PostProcessingError(error.message) from None
        return "best" if result is None else result  # of `loop_seconds`, where None says nothing


def _field(name: str) -> dg.Field:
    default = getattr(DEFAULTS, name)
    shown = f"{default:g}" if isinstance(default, float) else str(default).lower()
    shown = "best" if default is None else shown
    placeholder = f"{_DOCUMENT}, else {shown}"
    kind: ConfigType = _Parameter(name)
    if name in CHOICES:
        values = [dg.EnumValue(placeholder), *(dg.EnumValue(word) for word in CHOICES[name])]
        # A wrong word is answered with the name of its kind, so that has to say what is right.
        kind = dg.Enum(f"{name}, {allowed_values(name)}", values)
    meaning = f"{MEANINGS[name]} Allowed: {allowed_values(name)}. Default: {shown}."
    return dg.Field(kind, is_required=False, default_value=placeholder, description=meaning)


_FIELDS: Final[Schema] = {name: _field(name) for name in MEANINGS}

TRIM_CONFIG: Final[Schema] = {"max_seconds": _FIELDS["max_seconds"]}
"""How much of the clip is used."""
TEMPLATE_CONFIG: Final[Schema] = {
    "engine": _FIELDS["engine"],
    "force": dg.Field(
        bool,
        is_required=False,
        default_value=False,
        description="Make everything anew in this run, whatever is unchanged.",
    ),
}
"""Which engine reads the motion, and whether the cache counts."""
IDLE_CONFIG: Final[Schema] = {
    name: field for name, field in _FIELDS.items() if name != "max_seconds"
}
"""Everything that shapes the idle; changing it never extracts the motion again."""

_SCHEMAS: Final[Mapping[str, Schema]] = {
    "trimmed_video": TRIM_CONFIG,
    "motion_template": TEMPLATE_CONFIG,
    "idle_video": IDLE_CONFIG,
}


def asset_overrides(context: dg.AssetExecutionContext) -> dict[str, Any]:
    """The checked parameters that the launchpad sets for this asset."""
    config: Mapping[str, Any] = context.op_execution_context.op_config
    return {
        name: value for name, value in config.items() if _is_override(value) and name != "force"
    }


def run_overrides(run_config: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a run's config sets for any asset, `force` included, unchecked."""
    ops = run_config.get("ops") or {}
    configs = [(op or {}).get("config") or {} for op in ops.values()]
    return {
        name: value for config in configs for name, value in config.items() if _is_override(value)
    }


def _is_override(value: Any) -> bool:
    """Whether a value of the launchpad is set and does not leave the parameter to the document."""
    return value is not None and not (isinstance(value, str) and value.startswith(_DOCUMENT))


def launchpad_config(
    parameters: Mapping[str, Any], *, force: bool, selected: set[str]
) -> dict[str, Any]:
    """Run config that sets these canonical parameters for every selected asset that has them."""
    ops: dict[str, Any] = {}
    for asset, schema in _SCHEMAS.items():
        if asset not in selected:
            continue
        config = {name: value for name, value in parameters.items() if name in schema}
        if "loop_seconds" in config and config["loop_seconds"] is None:
            config["loop_seconds"] = "best"
        if force and "force" in schema:
            config["force"] = True
        ops[asset] = {"config": config}
    return {"ops": ops}
