"""Bodies: how large, of what type, and JSON read strictly before any route sees it.

The size is checked by Content-Length before a byte is read, and again while reading. The type must
be one that the route documents. Uploads are passed on as they come (`uploads.py` counts files and
fields); everything else is small and read here.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sunriza_assets.service.middleware.routing_table import FoundRoute, media_type
from sunriza_assets.service.middleware.strict_json import read_json
from sunriza_assets.service.request_errors import RequestError

__all__ = ["JSON_BYTES", "UPLOAD_BYTES", "Bodies"]

JSON_BYTES: Final = 128 * 1024
"""Largest body that is no upload."""
UPLOAD_BYTES: Final = 52 * 1024 * 1024
"""Largest upload, with all its files and fields."""

_MULTIPART: Final = "multipart/form-data"


class Bodies:
    """Bounds and checks the bodies of requests.

    Args:
        app: the next application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on whose body may be read.

        Raises:
            RequestError: `request.too_large`, `request.type`, `request.length`, `request.json`.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        found: FoundRoute = scope["state"]["found"]
        kind = media_type(scope["headers"])
        length, chunked = _announced(scope)
        upload = kind == _MULTIPART and found.takes_uploads
        limit = UPLOAD_BYTES if upload else JSON_BYTES
        if length is not None and length > limit:
            raise _too_large(limit)
        has_body = chunked or bool(length)
        if has_body:
            _check_type(kind, found)
        if upload:
            await self.app(scope, _bounded(receive, limit), send)
        elif has_body:
            await self.app(scope, await _read(scope, receive, limit, kind), send)
        else:
            await self.app(scope, receive, send)


def _announced(scope: Scope) -> tuple[int | None, bool]:
    """Content-Length, and whether the body comes in chunks; the parser has checked both."""
    length = None
    chunked = False
    for name, value in scope["headers"]:
        if name == b"content-length":
            try:
                length = int(value)
            except ValueError as error:
                raise RequestError("Content-Length is no number", code="form") from error
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise RequestError("The body may not be compressed", code="type")
    return length, chunked


def _check_type(kind: str | None, found: FoundRoute) -> None:
    if not found.content_types or kind in found.content_types:
        return
    if kind is not None and kind.endswith("+json") and "application/json" in found.content_types:
        return
    wanted = " or ".join(sorted(found.content_types))
    raise RequestError(
        "The body has a type that this path does not take" if kind else "The body has no type",
        code="type",
        remedy=f"Send it as {wanted}.",
        headers={"Accept-Post": ", ".join(sorted(found.content_types))},
    )


def _too_large(limit: int) -> RequestError:
    size = f"{limit // 2**20} MB" if limit >= 2**20 else f"{limit // 1024} kB"
    return RequestError(f"The body has more than {size}", code="too_large")


def _bounded(receive: Receive, limit: int) -> Receive:
    """The same pieces, until there are too many bytes."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(limit)
        return message

    return counted


async def _read(scope: Scope, receive: Receive, limit: int, kind: str | None) -> Receive:
    """Read a small body whole; it is given to the route as one piece, and JSON as `state.json`."""
    body = bytearray()
    more = True
    bounded = _bounded(receive, limit)
    while more:
        message = await bounded()
        if message["type"] != "http.request":
            return _replay(message, receive)
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if kind is not None and (kind == "application/json" or kind.endswith("+json")):
        scope["state"]["json"] = read_json(bytes(body))
    return _replay({"type": "http.request", "body": bytes(body), "more_body": False}, receive)


def _replay(message: Message, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return message

    return replayed
