"""Fields of multipart forms about avatars: switches, numbers, parameters."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from sunriza_assets.errors import ParameterError
from sunriza_assets.service.uploads import UploadedForm
from sunriza_assets.studio.parameters import camel_name, canonical, checked

__all__ = [
    "checked_parameters",
    "form_schema",
    "number_of",
    "parameters_in",
    "parameters_of",
    "switch_of",
]

_LONGEST_NAME: Final = 80
_SWITCHES: Final[Mapping[str, bool]] = {"true": True, "1": True, "on": True, "yes": True} | {
    "false": False, "0": False, "off": False, "no": False,
}  # fmt: skip


def form_schema(properties: Mapping[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The OpenAPI description of a route that reads a multipart form itself."""
    schema: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    if required:
        schema["required"] = list(required)
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


def switch_of(form: UploadedForm, name: str, *, default: bool) -> bool:
    """A field that is true or false.

    Raises:
        ParameterError: it is neither.
    """
    text = form.field(name)
    if text is None or not text.strip():
        return default
    try:
        return _SWITCHES[text.strip().lower()]
    except KeyError:
        raise ParameterError(
            f"{name} is {text[:60]!r}", remedy="Allowed: true or false.", code="out_of_range"
        ) from None


def number_of(form: UploadedForm, name: str) -> float | None:
    """A field that is a number of seconds, 0 or more; None without it.

    Raises:
        ParameterError: it is no such number.
    """
    text = form.field(name)
    if text is None or not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ParameterError(
            f"{name} is {text[:60]!r}", remedy="Seconds, 0 or more.", code="out_of_range"
        )
    return number


def parameters_of(form: UploadedForm) -> dict[str, Any]:
    """The render parameters in the field `parameters`, a JSON object, checked.

    Raises:
        ParameterError: it is no object, or a parameter is unknown or out of its range.
    """
    return parameters_in(form.field("parameters"))


def parameters_in(text: str | None) -> dict[str, Any]:
    """The render parameters in a JSON object, checked; none in no text.

    Raises:
        ParameterError: it is no object, or a parameter is unknown or out of its range.
    """
    if text is None or not text.strip():
        return {}
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise ParameterError(
            "parameters is no JSON object", remedy='Such as {"lips": "still"}.', code="parameters"
        )
    return checked_parameters(given)


def checked_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Raw parameters by any of their names as checked values by camelCase name.

    Raises:
        ParameterError: one is unknown or out of its range.
    """
    if any(len(str(key)) > _LONGEST_NAME for key in given):
        raise ParameterError("This is no parameter's name", code="unknown")
    return {camel_name(name): checked(name, value) for name, value in canonical(given).items()}
