"""Finds out who calls, before a route or a body is looked at.

`request.state.principal` holds the caller. A credential is a Firebase ID token or an API key in
`Authorization: Bearer`, or a key in `X-API-Key`; one of them, once. A WebSocket brings its token
in `Authorization` or among its subprotocols (`sunriza.v1, bearer.<token>`), because browsers
cannot set headers there. Nothing is ever read from the query: addresses end up in logs.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, cast

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sunriza_assets.errors import AccessError
from sunriza_assets.service.auth.addresses import Caller
from sunriza_assets.service.auth.keys import is_key, key_id_of, matches
from sunriza_assets.service.auth.modes import AuthMode, auth_mode
from sunriza_assets.service.auth.principals import LOCAL_USER, Principal
from sunriza_assets.service.auth.principals import Scope as KeyScope
from sunriza_assets.service.auth.refusals import refused
from sunriza_assets.service.auth.tokens import TokenVerifier
from sunriza_assets.service.context import Service, in_thread, read_orders
from sunriza_assets.service.middleware.hosts import origin_allowed
from sunriza_assets.service.monitor import metrics
from sunriza_assets.service.policies import Policy

__all__ = ["SUBPROTOCOL", "Authentication"]

SUBPROTOCOL: Final = "sunriza.v1"
"""What a WebSocket is accepted with if the client offers it."""

_OPEN: Final = Principal(
    uid=LOCAL_USER,
    via="open",
    scopes=frozenset(("render", "jobs", "metrics", "admin")),
    credential="open",
)
_BEARER: Final = "bearer."
_CREDENTIAL_BYTES: Final = 8192
_DEPRECATED_AT: Final = 1_796_083_200
"""2026-12-01, when calls without a token became deprecated (RFC 9745)."""


class Authentication:
    """Sets `state.principal`, or refuses the request.

    Args:
        app: the next application.
        service: settings, the store of keys, the mode.
    """

    def __init__(self, app: ASGIApp, *, service: Service) -> None:
        self.app = app
        self.service = service
        self.mode = mode_of(service)
        self.credentials = Credentials(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its principal.

        Raises:
            AccessError: `access.token`, `access.credentials`, `access.scope`.
        """
        if scope["type"] == "http":
            await self._http(scope)
        elif scope["type"] == "websocket":
            send = await self._websocket(scope, send)
        await self.app(scope, receive, send)

    async def _http(self, scope: Scope) -> None:
        state = scope["state"]
        policy: Policy = state["policy"]
        if self.mode.open_mode:
            _set(scope, _OPEN)
            return
        caller: Caller = state["client"]
        if policy.public or (policy.loopback and caller.loopback) or scope["method"] == "OPTIONS":
            return
        credential = _credential(scope)
        if credential is None:
            _set(scope, self._anonymous(scope, policy, caller))
            return
        principal = await self.credentials.principal(credential)
        _set(scope, principal)
        if policy.scope is not None:
            check_scope(principal, policy.scope)

    def _anonymous(self, scope: Scope, policy: Policy, caller: Caller) -> Principal:
        """The principal of an old app build, if its time is not over."""
        until = self.mode.anonymous_until
        if until is None or not policy.anonymous or not self.mode.anonymous_at(datetime.now(UTC)):
            raise refused("missing", "This needs a token or an API key")
        scope["state"].setdefault("answer_headers", {}).update(
            {
                "Deprecation": f"@{_DEPRECATED_AT}",
                "Sunset": format_datetime(until, usegmt=True),
            }
        )
        name = f"anonymous:{caller.network}"
        return Principal(name, "anonymous", frozenset(("jobs",)), credential=name)

    async def _websocket(self, scope: Scope, send: Send) -> Send:
        """Authenticate a handshake; the sender that names the accepted subprotocol."""
        offered: list[str] = list(scope.get("subprotocols", ()))
        if self.mode.open_mode:
            _set(scope, _OPEN)
        else:
            if not origin_allowed(scope, self.service.settings.cors_origins):
                metrics.AUTH_FAILURES.labels(reason="origin").inc()
                raise AccessError("Pages of this origin may not call the service", code="origin")
            credential = _credential(scope, offered)
            if credential is None:
                raise refused("missing", "This needs a token or an API key")
            principal = await self.credentials.principal(credential)
            _set(scope, principal)
            check_scope(principal, "jobs")
        # The token is not passed on.
        scope["subprotocols"] = [one for one in offered if not one.startswith(_BEARER)]
        if SUBPROTOCOL not in offered:
            return send

        async def with_subprotocol(message: Message) -> None:
            if message["type"] == "websocket.accept" and not message.get("subprotocol"):
                message = {**message, "subprotocol": SUBPROTOCOL}
            await send(message)

        return with_subprotocol


@dataclass
class Credentials:
    """Turns a credential into a principal."""

    service: Service
    """Where keys are stored, how tokens are verified."""
    _touched: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tokens = TokenVerifier.of(self.service.settings)

    async def principal(self, credential: str) -> Principal:
        """Whose credential it is.

        Raises:
            AccessError: `access.token` it is nobody's.
            StoreError: keys or certificates cannot be read.
        """
        if len(credential) > _CREDENTIAL_BYTES:
            raise refused("malformed", "The token is too long")
        if is_key(credential):
            return await self._of_key(credential)
        known = self._tokens.known(credential)
        if known is not None:
            return known
        return await in_thread(self._tokens.verify, credential)

    async def _of_key(self, text: str) -> Principal:
        key_id = key_id_of(text)
        orders = self.service.orders
        key = None if key_id is None else await read_orders(self.service, orders.find_key, key_id)
        if not matches(text, key) or key is None:
            raise refused("key", "The API key is unknown or revoked")
        now = time.monotonic()
        if now - self._touched.get(key.key_id, -60.0) >= 60.0:
            self._touched[key.key_id] = now
            await in_thread(orders.touch_key, key.key_id, datetime.now(UTC))
        scopes = cast(frozenset[KeyScope], frozenset(key.scopes))
        return Principal(key.owner, "key", scopes, credential=f"key:{key.key_id}")


def mode_of(service: Service) -> AuthMode:
    """The mode of a service that is already bound."""
    if service.open_mode:
        return AuthMode(open_mode=True)
    return auth_mode(service.settings, "0.0.0.0")  # noqa: S104  # a host that is not loopback


def check_scope(principal: Principal, scope: KeyScope) -> None:
    """Refuse a principal without this scope; `admin` has every scope.

    Raises:
        AccessError: `access.scope`.
    """
    if scope not in principal.scopes and "admin" not in principal.scopes:
        metrics.AUTH_FAILURES.labels(reason="scope").inc()
        raise AccessError(f"This needs a credential with the scope {scope}", code="scope")


def _set(scope: Scope, principal: Principal) -> None:
    scope["state"]["principal"] = principal
    structlog.contextvars.bind_contextvars(uid_hash=principal.uid_hash)


def _credential(scope: Scope, subprotocols: list[str] | None = None) -> str | None:
    """The one credential of a request; None without one.

    Raises:
        AccessError: `access.credentials` there are several; `access.token` it is no bearer token.
    """
    found: list[str] = []
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, token = value.decode("latin-1").partition(" ")
            if kind.lower() != "bearer" or not token.strip():
                raise refused("malformed", "Authorization must be `Bearer <token>`")
            found.append(token.strip())
        elif name == b"x-api-key":
            found.append(value.decode("latin-1").strip())
    found += [one.removeprefix(_BEARER) for one in subprotocols or () if one.startswith(_BEARER)]
    if len(found) > 1:
        metrics.AUTH_FAILURES.labels(reason="several").inc()
        raise AccessError(
            "The request carries several credentials", remedy="Send one.", code="credentials"
        )
    return found[0] if found else None
