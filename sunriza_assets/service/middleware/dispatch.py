"""Hands a request to the route that the routing table has found for it.

FastAPI's router would look for it again, through every included router, twice.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from sunriza_assets.service.middleware.routing_table import FoundRoute

__all__ = ["Dispatch"]


class Dispatch:
    """Stands before FastAPI's router.

    Args:
        router: answers what the table does not know: WebSockets, the lifespan; and everything
            while FastAPI traces requests, because it notes routes for its spans there.
    """

    def __init__(self, router: ASGIApp) -> None:
        self.router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        found: FoundRoute | None = scope.get("state", {}).get("found")
        if found is None or found.app is None or "fastapi.telemetry" in scope:
            await self.router(scope, receive, send)
            return
        scope["path_params"] = dict(found.parameters)
        await found.app(scope, receive, send)
