"""Cross-origin requests: an exact list of origins, no wildcard, no credentials (WHATWG Fetch)."""

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sunriza_assets.errors import AccessError

__all__ = ["Cors"]

_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_ALLOWED: Final = (
    "Authorization, Content-Type, If-Match, If-None-Match, If-Range, Idempotency-Key,"
    " Last-Event-ID, Prefer, Range, X-API-Key, X-Request-Id"
)
_EXPOSED: Final = (
    "Content-Disposition, Content-Range, Deprecation, ETag, Idempotency-Replayed, Location,"
    " RateLimit, RateLimit-Policy, Retry-After, Sunset, X-Request-Id"
)
_MAX_AGE_S: Final = "600"


class Cors:
    """Answers preflights and marks answers for listed origins.

    Args:
        app: the next application.
        origins: exact origins, `https://app.example.com`.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str]) -> None:
        self.app = app
        self.origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it if it is a preflight.

        Raises:
            AccessError: `access.origin` a preflight of an origin that is not listed.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        allowed = origin is not None and origin in self.origins
        if scope["method"] == "OPTIONS" and origin and "access-control-request-method" in headers:
            if not allowed:
                raise AccessError("Pages of this origin may not call the service", code="origin")
            answer = {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": _ALLOWED,
                "Access-Control-Max-Age": _MAX_AGE_S,
                "Vary": "Origin",
            }
            await Response(status_code=204, headers=answer)(scope, receive, send)
            return
        if self.origins:
            # The edge adds them, so that problems carry them, too.
            extra = scope["state"].setdefault("answer_headers", {})
            extra["Vary"] = "Origin"
            if allowed:
                extra["Access-Control-Allow-Origin"] = origin
                extra["Access-Control-Expose-Headers"] = _EXPOSED
        await self.app(scope, receive, send)
