"""WebSockets at the edge: what is raised below becomes a close code.

A close code can only be sent after the handshake, so a socket whose caller is not known is accepted
and closed at once; one from a foreign host or page is refused in the handshake (403).
"""

from collections.abc import Mapping
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sunriza_assets.errors import SunrizaError
from sunriza_assets.service.problems import note_problem, problem_of

__all__ = ["CLOSE_CODES", "answer_websocket"]

CLOSE_CODES: Final[Mapping[int, int]] = {400: 4400, 401: 4401, 404: 4404, 410: 4404, 429: 4429}
"""Close code for the HTTP status that a problem would have."""

_OVERLOAD: Final = 1013
_POLICY: Final = 1008
_INTERNAL: Final = 1011
_REASON_BYTES: Final = 120
_REFUSED_IN_HANDSHAKE: Final = frozenset(("access.origin", "request.host"))


async def answer_websocket(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run the application for one WebSocket; close it with a code if something is raised."""
    scope["state"]["route"] = "websocket"
    accepted = closed = False

    async def noted(message: Message) -> None:
        nonlocal accepted, closed
        accepted = accepted or message["type"] == "websocket.accept"
        closed = closed or message["type"] == "websocket.close"
        await send(message)

    try:
        await app(scope, receive, noted)
    except SunrizaError as error:
        problem = problem_of(error)
        note_problem(problem, scope, error)
        if closed:
            return
        if problem.code not in _REFUSED_IN_HANDSHAKE and not accepted:
            await _accept(scope, receive, noted)
        code = CLOSE_CODES.get(problem.status, _OVERLOAD if problem.status >= 500 else _POLICY)
        await noted(_close(code, problem.detail))
    except Exception as error:
        note_problem(problem_of(error), scope, error)
        if accepted and not closed:
            await noted(_close(_INTERNAL, "Internal error"))
        elif not closed:
            raise


async def _accept(scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    if message["type"] == "websocket.connect":
        offered = scope.get("subprotocols", ())
        chosen = next((one for one in offered if one == "sunriza.v1"), None)
        await send({"type": "websocket.accept", "subprotocol": chosen, "headers": []})


def _close(code: int, reason: str) -> dict[str, Any]:
    short = reason.encode("utf-8")[:_REASON_BYTES].decode("utf-8", "ignore")
    return {"type": "websocket.close", "code": code, "reason": short}
