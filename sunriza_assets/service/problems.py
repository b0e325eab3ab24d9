"""Errors as the service's callers see them: RFC 9457 problems.

A problem carries `detail`, which the app reads, and `error`, which the Cloud Function of old sent;
both are the same text. The family of a named error decides its HTTP status. Anything else is a bug:
its traceback is logged, and the caller is told the request's id alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from sunriza_assets.errors import LimitError, SunrizaError
from sunriza_assets.service.monitor import metrics
from sunriza_assets.service.openai_shape import is_openai_path, openai_error
from sunriza_assets.service.request_errors import RequestError

__all__ = [
    "PROBLEM_JSON",
    "Problem",
    "ProblemBody",
    "install_problem_handlers",
    "problem_of",
    "problem_response",
]

PROBLEM_JSON: Final = "application/problem+json"
"""Content type of a problem."""

_FAMILY_STATUS: Final[Mapping[str, int]] = {
    "access": 403,
    "avatar": 404,
    "conflict": 409,
    "cost": 500,
    "credits": 402,
    "engine": 503,
    "face": 422,
    "limit": 429,
    "media": 422,
    "model": 503,
    "parameter": 400,
    "speech": 422,
    "store": 503,
}
_CODE_STATUS: Final[Mapping[str, int]] = {
    "access.credentials": 400,
    "access.expired": 410,
    "access.missing": 404,
    "access.token": 401,
    "avatar.id": 404,
    "avatar.no_image": 409,
    "avatar.no_video": 409,
    "conflict.idempotency": 422,
    "limit.queue": 503,
    "media.too_large": 413,
    "model.cloning": 501,
    "store.address": 403,
    "store.full": 507,
}
_CODE_NAMES: Final[Mapping[str, str]] = {
    "conflict.idempotency": "idempotency.mismatch",
    "conflict.in_progress": "idempotency.in_progress",
}
_FAMILY_TITLES: Final[Mapping[str, str]] = {
    "access": "Not allowed",
    "avatar": "Avatar not usable",
    "conflict": "Conflict",
    "cost": "Costs not available",
    "credits": "Not enough credits",
    "engine": "Engine not available",
    "face": "Face not usable",
    "limit": "Limit reached",
    "media": "Media not usable",
    "model": "Model not available",
    "parameter": "Invalid parameter",
    "request": "Invalid request",
    "speech": "Speech not possible",
    "store": "Store not available",
}
_CODE_TITLES: Final[Mapping[str, str]] = {
    "access.credentials": "Credentials not usable",
    "access.token": "Credentials not usable",
    "store.address": "Address not allowed",
    "store.full": "Storage full",
}
_DEFAULT_RETRY_S: Final = 5
_HTTP_CODES: Final[Mapping[int, str]] = {
    400: "request.form",
    401: "access.token",
    403: "access.scope",
    404: "request.path",
    405: "request.method",
    406: "request.accept",
    408: "request.slow",
    411: "request.length",
    413: "request.too_large",
    415: "request.type",
    422: "request.invalid",
    429: "limit",
    503: "request.overload",
}

_log = structlog.get_logger("sunriza.service")


class ProblemPlace(BaseModel):
    """One wrong place of a request."""

    loc: list[str | int] = Field(description="Where: body, query, header, and the names below.")
    msg: str = Field(description="What is wrong there.")


class ProblemBody(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(title="Problem", extra="forbid")

    type: str = Field(description="`/problems/` and the code.")
    title: str = Field(description="What kind of problem it is.")
    status: int = Field(description="HTTP status.", ge=400, le=599)
    detail: str = Field(description="What is wrong and what to do about it, for users.")
    instance: str = Field(description="The request's id, as in X-Request-Id.")
    code: str = Field(description="Dotted machine-readable code.")
    error: str = Field(description="The same text as `detail`.")
    errors: list[ProblemPlace] | None = Field(
        default=None, description="Each wrong place, if there are several."
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem before it is written."""

    status: int
    """HTTP status."""
    code: str
    """Dotted code."""
    detail: str
    """What is wrong and what to do, for users."""
    title: str
    """What kind of problem it is."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the answer."""
    errors: Sequence[Mapping[str, Any]] = ()
    """Each wrong place."""

    def body(self, request_id: str) -> dict[str, Any]:
        """Its JSON body."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": request_id,
            "code": self.code,
            "error": self.detail,
        }
        if self.errors:
            body["errors"] = [dict(one) for one in self.errors]
        return body


def problem_of(error: Exception) -> Problem:
    """The problem that an exception means to the caller; 500 for one that is a bug."""
    if isinstance(error, RequestError):
        return Problem(
            status=error.status,
            code=error.code,
            detail=error.public,
            title=_FAMILY_TITLES["request"],
            headers=error.headers,
            errors=error.errors,
        )
    if isinstance(error, SunrizaError):
        return _named(error)
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        code = _HTTP_CODES.get(error.status_code, f"http.{error.status_code}")
        title = _FAMILY_TITLES.get(code.partition(".")[0], HTTPStatus(error.status_code).phrase)
        detail = error.detail if isinstance(error.detail, str) else title
        return Problem(error.status_code, code, detail, title, headers=dict(error.headers or {}))
    return Problem(
        500,
        "internal",
        "Something went wrong in the service. Its operator finds the reason by this request's id.",
        "Internal error",
    )


def problem_response(
    problem: Problem, request_id: str, scope: Mapping[str, Any] | None = None
) -> Response:
    """The answer that carries a problem, in the shape of the path that was asked, if known."""
    body, kind = problem.body(request_id), PROBLEM_JSON
    if scope is not None and is_openai_path(scope):
        body, kind = openai_error(problem.status, problem.code, problem.detail), "application/json"
    return JSONResponse(
        body,
        status_code=problem.status,
        headers={**problem.headers, "Cache-Control": "no-store"},
        media_type=kind,
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Answer the named errors, validation errors and HTTP errors of routes with problems."""

    async def handle(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        note_problem(problem, request.scope, error)
        return problem_response(problem, request.state.request_id, request.scope)

    for kind in (SunrizaError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)


def note_problem(problem: Problem, scope: Mapping[str, Any], error: Exception) -> None:
    """Count a problem, and log it if it is the service's own fault."""
    route = scope["state"].get("route", "other")
    metrics.ERRORS.labels(route=route, code=problem.code).inc()
    scope["state"]["problem"] = problem.code
    if problem.status == 500:
        _log.error("request failed", route=route, exc_info=error)
    elif problem.status > 500:
        _log.warning("request refused", route=route, code=problem.code, reason=str(error))


def _named(error: SunrizaError) -> Problem:
    status = _CODE_STATUS.get(error.code, _FAMILY_STATUS.get(error.family, 500))
    code = _CODE_NAMES.get(error.code, error.code)
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503) or error.code == "conflict.in_progress":
        wait = error.retry_after_s if isinstance(error, LimitError) else None
        headers["Retry-After"] = str(max(1, math.ceil(wait)) if wait else _DEFAULT_RETRY_S)
    return Problem(
        status=status,
        code=code,
        detail=error.public,
        title=_title(error, status),
        headers=headers,
    )


def _title(error: SunrizaError, status: int) -> str:
    if status in (404, 410):
        return HTTPStatus(status).phrase
    named = _CODE_TITLES.get(error.code) or _FAMILY_TITLES.get(error.family)
    return named or HTTPStatus(status).phrase


def _invalid(error: RequestValidationError) -> Problem:
    """Validation by FastAPI; text that is no JSON is 400, JSON that does not fit is 422."""
    found = error.errors()
    places = [
        {"loc": [_place(part) for part in one["loc"]], "msg": _plain(str(one["msg"]))}
        for one in found
    ]
    first = places[0] if places else {"loc": [], "msg": "The request does not fit"}
    where = ".".join(str(part) for part in first["loc"][1:]) if first["loc"] else ""
    more = f" ({len(places) - 1} more)" if len(places) > 1 else ""
    detail = f"{where}: {first['msg']}{more}." if where else f"{first['msg']}{more}."
    broken = any(one["type"] == "json_invalid" for one in found)
    return Problem(
        status=400 if broken else 422,
        code="request.json" if broken else "request.invalid",
        detail=detail,
        title=_FAMILY_TITLES["request"],
        errors=places,
    )


def _place(part: object) -> str | int:
    return part if isinstance(part, int) else _plain(str(part))


def _plain(text: str) -> str:
    """At most 200 characters that UTF-8 can carry: names come from the caller."""
    return text[:200].encode("utf-8", "replace").decode("utf-8")
