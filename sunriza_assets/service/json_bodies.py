"""JSON bodies of routes that check them in words of their own, which old clients know."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from sunriza_assets.errors import ParameterError

__all__ = ["documented_body", "read_object"]


def read_object(request: Request) -> dict[str, Any]:
    """The object in a request's body, as the middleware `Bodies` has read it; an empty one without
    a body.

    Raises:
        ParameterError: it is JSON, but no object.
    """
    value = getattr(request.state, "json", None)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ParameterError("The body is no JSON object", code="body")
    return value


def documented_body(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What makes the OpenAPI document describe a body that `read_object` reads."""
    content = {"application/json": {"schema": dict(schema)}}
    return {"requestBody": {"required": True, "content": content}}
