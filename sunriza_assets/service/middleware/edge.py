"""The outermost middleware: request ids, headers of every answer, problems, time, counting.

Whatever is raised below becomes a problem here, so that no answer leaves the service without its
request id. `scope["state"]` gets `request_id`, `route` (the template), `found`, `policy`, `client`.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sunriza_assets.service.auth.addresses import Caller, TrustedProxies
from sunriza_assets.service.middleware.routing_table import RoutingTable, own_path
from sunriza_assets.service.middleware.sockets import answer_websocket
from sunriza_assets.service.monitor import metrics
from sunriza_assets.service.monitor.audit import audit, job_of
from sunriza_assets.service.policies import Policy, policy_of
from sunriza_assets.service.problems import note_problem, problem_of, problem_response
from sunriza_assets.service.request_errors import RequestError

__all__ = ["Edge"]

URL_BYTES: Final = 8192
"""Longest path with query."""

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_CHANGING: Final = frozenset(("POST", "PUT", "PATCH", "DELETE"))
_HEADERS: Final[Sequence[tuple[bytes, bytes]]] = (
    (b"cache-control", b"no-store"),  # whatever may be kept says so itself
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-site"),
)
_SECURE_HEADERS: Final = (*_HEADERS, (b"strict-transport-security", b"max-age=31536000"))
_SLOW_S: Final = 5.0
_log = structlog.get_logger("sunriza.requests")


class Edge:
    """Makes ids, headers and problems; refuses what no route could answer.

    Args:
        app: the next application.
        table: the routes.
        proxies: whose X-Forwarded-For counts.
    """

    def __init__(self, app: ASGIApp, *, table: RoutingTable, proxies: TrustedProxies) -> None:
        self.app = app
        self.table = table
        self.proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = _request_id(scope)
        state["client"] = caller = self.proxies.caller(scope)
        if caller.secure:  # so that addresses in answers say so
            scope["scheme"] = "wss" if scope["type"] == "websocket" else "https"
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=state["request_id"])
        if scope["type"] == "websocket":
            await answer_websocket(self.app, scope, receive, send)
            return
        method = scope["method"]
        found = self.table.find(method, own_path(scope))
        if not found.known and method == "HEAD":
            found = self.table.find("GET", own_path(scope))
        state["found"], state["route"] = found, found.template
        waits = any(name == b"prefer" for name, _ in scope["headers"])
        state["policy"] = policy = policy_of(method, found.template, waits=waits)
        await self._answer(scope, receive, send, policy, caller)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, policy: Policy, caller: Caller
    ) -> None:
        state = scope["state"]
        began = time.perf_counter()
        clock = _AnswerClock(policy.answer_s, receive, send, has_body=_has_body(scope))
        status = 0

        async def with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _set_headers(message, state, secure=caller.secure)
            await clock.send(message)

        try:
            _check_target(scope)
            async with clock:
                await self.app(scope, clock.receive, with_headers)
        except Exception as error:  # the last place where a bug can be answered
            if status:  # the answer has begun; it can only be broken off
                note_problem(problem_of(error), scope, error)
                raise
            if clock.expired:
                error = RequestError(
                    "The answer took too long", code="timeout", headers={"Retry-After": "5"}
                )
            problem = problem_of(error)
            note_problem(problem, scope, error)
            response = problem_response(problem, state["request_id"], scope)
            await response(scope, receive, with_headers)
        finally:
            _record(scope, status, time.perf_counter() - began)


class _AnswerClock:
    """Limits the time from the end of a request to the beginning of its answer."""

    def __init__(
        self, seconds: float | None, receive: Receive, send: Send, *, has_body: bool
    ) -> None:
        self._seconds = seconds
        self._has_body = has_body
        self._receive, self._send = receive, send
        self._timeout = asyncio.timeout(None)
        self._started = False
        self._ended = False
        self.expired = False

    async def __aenter__(self) -> "_AnswerClock":
        await self._timeout.__aenter__()
        if not self._has_body:
            self._start()
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._ended = True
        try:
            await self._timeout.__aexit__(*error)
        finally:
            self.expired = self._timeout.expired()

    async def receive(self) -> Message:
        """Start the clock with the last piece of the body."""
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._start()
        return message

    async def send(self, message: Message) -> None:
        """Stop the clock with the answer's head: what follows is bounded by its reader."""
        if message["type"] == "http.response.start" and self._started and not self._ended:
            self._timeout.reschedule(None)
        await self._send(message)

    def _start(self) -> None:
        if self._seconds is not None and not self._started and not self._ended:
            self._started = True
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)


def _request_id(scope: Scope) -> str:
    """The caller's own id if it is a plain one, else a new one."""
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return given[0].decode("ascii")
    return secrets.token_hex(12)


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _check_target(scope: Scope) -> None:
    """Refuse methods that no route has, addresses that are too long or carry a NUL."""
    if scope["method"] not in _METHODS:
        allowed = ", ".join(scope["state"]["found"].allowed or sorted(_METHODS))
        raise RequestError("There is no such method", code="method", headers={"Allow": allowed})
    raw, query = scope.get("raw_path") or b"", scope["query_string"]
    if len(raw) + len(query) > URL_BYTES:
        raise RequestError(f"The address has more than {URL_BYTES} bytes", code="url")
    if b"%00" in raw or b"\0" in raw:
        raise RequestError("There is no such path", code="path")
    if b"%00" in query or b"\0" in query:
        raise RequestError("The query carries a NUL character", code="query")


def _set_headers(message: Message, state: Mapping[str, Any], *, secure: bool) -> None:
    """Add to an answer's head what every answer has, where the route has not said otherwise."""
    headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
    given = {name for name, _ in headers}
    headers.append((b"x-request-id", state["request_id"].encode("ascii")))
    headers += [one for one in (_SECURE_HEADERS if secure else _HEADERS) if one[0] not in given]
    message["headers"] = headers
    for name, value in state.get("answer_headers", {}).items():
        plain = MutableHeaders(raw=headers)
        if name == "Vary":
            plain.add_vary_header(value)
        else:
            plain.setdefault(name, value)


def _record(scope: Scope, status: int, seconds: float) -> None:
    """Count a request; log a changing, refused or slow one."""
    state, method = scope["state"], scope["method"]
    route = state["route"]
    label = method if method in _METHODS else "OTHER"
    metrics.count_request(route, label, status or 499, seconds)
    if method in _CHANGING:
        audit(scope, status or 499)
    probe = state["policy"].public  # asked every few seconds; metrics count it
    if method in _CHANGING or (not probe and (status >= 400 or seconds > _SLOW_S)):
        _log.info(
            "request",
            method=label,
            route=route,
            status=status or 499,
            ms=round(seconds * 1000, 1),
            code=state.get("problem"),
            job_id=job_of(scope),
        )
