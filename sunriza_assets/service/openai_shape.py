"""Paths that answer as OpenAI does, and errors in its shape."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["is_openai_path", "openai_error"]

_PREFIX: Final = "/v1/"
_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}


def is_openai_path(scope: Mapping[str, Any]) -> bool:
    """Whether a request came to a path of OpenAI's."""
    path, root = str(scope.get("path", "")), str(scope.get("root_path", ""))
    return path.removeprefix(root).startswith(_PREFIX)


def openai_error(status: int, code: str, message: str) -> dict[str, Any]:
    """The body of an error."""
    kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
