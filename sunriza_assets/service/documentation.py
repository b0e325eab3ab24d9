"""The OpenAPI document: problems of every operation, and credentials."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sunriza_assets.service.context import Service
from sunriza_assets.service.policies import policy_of
from sunriza_assets.service.problems import PROBLEM_JSON, ProblemBody

__all__ = ["install_documentation"]

_METHODS: Final = ("get", "put", "post", "delete", "patch", "head")
_REFERENCE: Final = {"$ref": "#/components/responses/Problem"}
_SECURITY: Final[list[dict[str, list[str]]]] = [{"token": []}, {"key": []}]
_SCHEMES: Final = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A Firebase ID token, or an API key.",
    },
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}


def install_documentation(app: FastAPI, service: Service) -> None:
    """Let `/openapi.json` say what holds: problems and, unless everybody may call, credentials."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, service)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI, service: Service) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="Portraits that move: jobs, emotions, trimming.",
        routes=app.routes,
        webhooks=app.webhooks.routes,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["responses"] = {
        "Problem": {
            "description": "A problem (RFC 9457).",
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    }
    if not service.open_mode:
        components["securitySchemes"] = dict(_SCHEMES)
    for message in document.get("webhooks", {}).values():
        for operation in message.values():  # answers of receivers, who validate as they like
            operation["responses"].pop("422", None)
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            if method in _METHODS:
                _complete(operation, method.upper(), path, secured=not service.open_mode)
    return document


def _complete(operation: dict[str, Any], method: str, path: str, *, secured: bool) -> None:
    """Add what holds for every operation."""
    responses = operation.setdefault("responses", {})
    validation = responses.get("422", {})
    if "HTTPValidationError" in str(validation):
        responses["422"] = dict(_REFERENCE)
    responses.setdefault("4XX", dict(_REFERENCE))
    responses.setdefault("5XX", dict(_REFERENCE))
    policy = policy_of(method, path)
    if secured and not policy.public:
        operation["security"] = [*_SECURITY, *([{}] if policy.anonymous or policy.loopback else [])]
