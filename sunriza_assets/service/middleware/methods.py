"""Methods: HEAD as GET without a body, OPTIONS, and 405 with everything that a path allows.

`X-HTTP-Method-Override` and its like are read nowhere. A Range of many parts is not honoured (RFC
9110, 14.2 allows it): each costs a part of its own.
"""

from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sunriza_assets.service.middleware.routing_table import FoundRoute, RoutingTable, own_path
from sunriza_assets.service.request_errors import RequestError

__all__ = ["Methods"]


_RANGES: Final = 8


class Methods:
    """Answers what no route has to know.

    Args:
        app: the next application.
        table: the routes.
    """

    def __init__(self, app: ASGIApp, *, table: RoutingTable) -> None:
        self.app = app
        self.table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on whose path and method some route has.

        Raises:
            RequestError: `request.path` no route has the path; `request.method` nor the method.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        found: FoundRoute = scope["state"]["found"]
        if not found.allowed:
            raise RequestError("There is no such path", code="path")
        _bound_ranges(scope)
        if found.known and scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        allowed = _allowed(self.table.find("", own_path(scope)))
        if scope["method"] == "OPTIONS":
            await Response(status_code=204, headers={"Allow": allowed})(scope, receive, send)
        elif scope["method"] == "HEAD" and found.known:
            await self._head(scope, receive, send)
        else:
            raise RequestError(
                f"This path does not take {scope['method']}",
                code="method",
                remedy=f"It takes {allowed}.",
                headers={"Allow": allowed},
            )

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the GET route, or the route's own HEAD, and keep its head alone."""
        own = "HEAD" in self.table.find("", own_path(scope)).allowed
        ended = False

        async def head_only(message: Message) -> None:
            nonlocal ended
            if ended:
                return
            await send(message)
            if message["type"] == "http.response.start":
                ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        inner = scope if own else {**scope, "method": "GET"}
        await self.app(inner, receive, head_only)


def _bound_ranges(scope: Scope) -> None:
    """Take a Range header away that names many ranges."""
    headers = scope["headers"]
    if any(name == b"range" and value.count(b",") >= _RANGES for name, value in headers):
        scope["headers"] = [(name, value) for name, value in headers if name != b"range"]


def _allowed(found: FoundRoute) -> str:
    """The value of Allow: what routes have, HEAD with GET, and OPTIONS."""
    methods = {*found.allowed, "OPTIONS"}
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))
