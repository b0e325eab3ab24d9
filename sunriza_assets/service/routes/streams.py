"""Jobs as they change: server-sent events and WebSockets, for one job or for all of one's own."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Header, WebSocket
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect, WebSocketState

from sunriza_assets.errors import SunrizaError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import PrincipalDep, Service, ServiceDep
from sunriza_assets.service.jobs import cancelled, job_json, own_order
from sunriza_assets.service.middleware.sockets import CLOSE_CODES
from sunriza_assets.service.problems import problem_of
from sunriza_assets.service.routes.jobs import JobId
from sunriza_assets.service.streams import (
    STALLED_S,
    JobNews,
    event_number,
    seconds_left,
    stream_slots,
    watch_job,
    watch_jobs,
)

__all__ = ["router"]

router = APIRouter(tags=["jobs"])

COMMENT_S: Final = 15.0
"""Seconds after which an idle event stream sends a comment."""
PING_S: Final = 20.0
"""Seconds after which an idle WebSocket sends a ping."""
MESSAGE_BYTES: Final = 1024
"""Largest message of a client."""
MESSAGES_PER_MINUTE: Final = 60
"""Messages that a client may send."""

_CLOSE_S: Final = 5.0
_POLICY: Final = 1008
_OVERLOAD: Final = 1013

LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", description="The `id` of the last event received.")
]
_EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events `job`, each with a job as JSON; a comment every 15 s.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
_ENDED: Final[dict[int | str, dict[str, Any]]] = {
    204: {"description": "The caller knows the end of this job: no more events will come."}
}


# -- server-sent events ---------------------------------------------------------------------------


@router.get(
    "/jobs/events",
    response_class=Response,
    responses=_EVENTS,
    summary="All of the caller's jobs as they change",
)
async def jobs_events(
    request: Request,
    service: ServiceDep,
    principal: PrincipalDep,
    last_event_id: LastEventId = None,
) -> Response:
    """Begins with the unfinished jobs; after `Last-Event-ID`, with what has changed since."""
    news = watch_jobs(
        service,
        principal.user_id,
        after=event_number(last_event_id),
        sign_of_life_s=COMMENT_S,
    )
    return EventStream(service, principal, news, of_one_job=False)


@router.get(
    "/jobs/{job_id}/events",
    response_class=Response,
    responses=_EVENTS | _ENDED,
    summary="One job as it changes",
)
async def job_events(
    job_id: JobId,
    service: ServiceDep,
    principal: PrincipalDep,
    last_event_id: LastEventId = None,
) -> Response:
    """Ends after the event that says how the job has ended. The event's id is the revision."""
    order = await own_order(service, principal, job_id)
    known = event_number(last_event_id) or 0
    if order.is_terminal and known == order.revision:
        return Response(status_code=204)  # an EventSource would come back for ever
    after = known if known <= order.revision else 0
    news = watch_job(service, order, after=after, sign_of_life_s=COMMENT_S)
    return EventStream(service, principal, news, of_one_job=True)


class EventStream(Response):
    """An answer of server-sent events that ends with its news, its reader, or the credential.

    Args:
        service: the service.
        principal: who reads.
        news: what is told.
        of_one_job: whether an event's id is the revision; else it is the store's position.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        service: Service,
        principal: Principal,
        news: AsyncGenerator[JobNews, None],
        *,
        of_one_job: bool,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._service = service
        self._principal = principal
        self._news = news
        self._of_one_job = of_one_job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until there is no more to tell."""
        with stream_slots(self._service).held(self._principal, "sse"):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            sending = asyncio.create_task(self._send_news(send))
            leaving = asyncio.create_task(_left(receive))
            await _first_of(sending, leaving, timeout_s=seconds_left(self._principal))
            if leaving.done() and not leaving.cancelled():
                return
            if not sending.cancelled():
                try:
                    sending.result()
                except TimeoutError:  # the server closes the connection
                    return
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_news(self, send: Send) -> None:
        await _send_part(send, b"retry: 2000\n\n")
        async with aclosing(self._news) as told:
            async for news in told:
                await _send_part(send, await self._event(news))

    async def _event(self, news: JobNews) -> bytes:
        if news.order is None:
            number = None if self._of_one_job else news.position
            return b": alive\n\n" if number is None else f"id: {number}\n\n".encode()
        number = news.order.revision if self._of_one_job else news.position
        identity = "" if number is None else f"id: {number}\n"
        job = json.dumps(await job_json(self._service, news.order))
        return f"event: job\n{identity}data: {job}\n\n".encode()


async def _send_part(send: Send, body: bytes) -> None:
    """Send a part of an answer.

    Raises:
        TimeoutError: the reader takes nothing.
    """
    async with asyncio.timeout(STALLED_S):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _left(receive: Receive) -> None:
    """Return when the reader has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first_of(*tasks: "asyncio.Task[Any]", timeout_s: float | None) -> None:
    """Wait until one task has ended, or the time is over; all have ended then."""
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# -- WebSockets -----------------------------------------------------------------------------------


@router.websocket("/ws/jobs")
async def ws_jobs(websocket: WebSocket) -> None:
    """All of the caller's jobs; a cancel message names one: `{"type":"cancel","job_id":…}`."""
    socket = _JobSocket(websocket)
    await socket.serve(
        lambda principal: watch_jobs(socket.service, principal.user_id, sign_of_life_s=PING_S)
    )


@router.websocket("/ws/jobs/{job_id}")
async def ws_job(websocket: WebSocket, job_id: str) -> None:
    """One job until it has ended; closed with 1000 then."""
    socket = _JobSocket(websocket, job_id)

    async def news(principal: Principal) -> AsyncGenerator[JobNews, None]:
        order = await own_order(socket.service, principal, job_id)
        async with aclosing(watch_job(socket.service, order, sign_of_life_s=PING_S)) as told:
            async for one in told:
                yield one

    await socket.serve(news)


class _JobSocket:
    """One WebSocket: sends jobs, takes cancel messages.

    Close codes: 1000 the job has ended, 1003 a binary message, 1008 too many messages, 1009 one
    that is too large, 1013 overload or a reader that takes nothing, 4401 no credential, 4404 no
    such job, 4408 the credential has ended, 4429 too many streams of one caller.
    """

    def __init__(self, websocket: WebSocket, job_id: str | None = None) -> None:
        self.service = cast(Service, websocket.app.state.service)
        self._websocket = websocket
        self._job_id = job_id
        self._sending = asyncio.Lock()
        self._code = 1000

    async def serve(self, watch: Callable[[Principal], AsyncGenerator[JobNews, None]]) -> None:
        """Accept, tell what `watch` yields, and close with the code that says why."""
        websocket = self._websocket
        principal = cast(Principal, websocket.state.principal)
        await websocket.accept()  # the authentication names the subprotocol
        try:
            with stream_slots(self.service).held(principal, "websocket"):
                sending = asyncio.create_task(self._send_news(watch(principal)))
                reading = asyncio.create_task(self._read(principal))
                await _first_of(sending, reading, timeout_s=seconds_left(principal))
                if not sending.cancelled():
                    sending.result()
                elif not reading.cancelled():
                    reading.result()
                else:
                    self._code = 4408
        except SunrizaError as error:
            status = problem_of(error).status
            self._code = CLOSE_CODES.get(status, _OVERLOAD if status >= 500 else _POLICY)
        except TimeoutError:
            self._code = _OVERLOAD
        except WebSocketDisconnect:
            return
        await self._close(self._code)

    async def _send_news(self, news: AsyncGenerator[JobNews, None]) -> None:
        """Send jobs and pings until there is no more to tell."""
        ended = self._job_id is None
        async with aclosing(news) as told:
            async for one in told:
                if one.order is not None:
                    job = await job_json(self.service, one.order)
                    await self._send({"type": "job", "job": job})
                    ended = one.order.is_terminal
                elif one.position is None:
                    await self._send({"type": "ping"})
        if not ended:
            self._code = 4404  # deleted

    async def _read(self, principal: Principal) -> None:
        """Take messages until the client leaves, or sends what nobody should."""
        recent = 0
        since = time.monotonic()
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if time.monotonic() - since >= 60.0:
                recent, since = 0, time.monotonic()
            recent += 1
            text: str | None = message.get("text")
            size = len(
                message.get("bytes") or b"" if text is None else text.encode("utf-8", "replace")
            )
            if size > MESSAGE_BYTES:
                self._code = 1009
            elif text is None:
                self._code = 1003
            elif recent > MESSAGES_PER_MINUTE:
                self._code = _POLICY
            else:
                await self._obey(principal, text)
                continue
            return

    async def _obey(self, principal: Principal, text: str) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            await self._refuse("request.message", "This is no message: send JSON with a `type`.")
        elif message["type"] == "cancel":
            await self._cancel(principal, message)
        elif message["type"] != "pong":
            await self._refuse("request.message", "Messages are `cancel` and `pong`.")

    async def _cancel(self, principal: Principal, message: Mapping[str, Any]) -> None:
        job_id = self._job_id or str(message.get("job_id"))
        try:
            order = await own_order(self.service, principal, job_id)
            if not order.is_terminal:
                await cancelled(self.service, order)
        except SunrizaError as error:
            await self._refuse(error.code, error.public)

    async def _refuse(self, code: str, detail: str) -> None:
        await self._send({"type": "error", "code": code, "detail": detail})

    async def _send(self, message: Mapping[str, Any]) -> None:
        """Send a message.

        Raises:
            TimeoutError: the reader takes nothing.
        """
        async with asyncio.timeout(STALLED_S), self._sending:
            await self._websocket.send_text(json.dumps(message))

    async def _close(self, code: int) -> None:
        if self._websocket.application_state is not WebSocketState.CONNECTED:
            return
        if self._websocket.client_state is not WebSocketState.CONNECTED:
            return
        with suppress(TimeoutError, OSError, RuntimeError):
            async with asyncio.timeout(_CLOSE_S):
                await self._websocket.close(code)
