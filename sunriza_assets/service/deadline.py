"""uvicorn's HTTP protocol with deadlines and limits for what is received.

uvicorn waits for ever for a head or a body, and httptools takes heads of any size. Here a request's
head must be complete some seconds after its first byte, its body within a time that grows with what
has arrived, and a reader must take some of its answer within a time. Timers are absolute, so a
client that sends a byte now and then gains nothing. An upgrade to a WebSocket ends them: that
protocol has pings.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from sunriza_assets.service.problems import problem_of, problem_response
from sunriza_assets.service.request_errors import RequestError

__all__ = ["CONCURRENCY", "DeadlineProtocol", "Deadlines", "uvicorn_config"]

CONCURRENCY: Final = 1000
"""Connections and requests of one process; more are answered 503."""
BACKLOG: Final = 512
"""Connections that wait to be accepted."""
SOCKET_MESSAGE_BYTES: Final = 1024
"""Largest message of a WebSocket's client."""
PING_S: Final = 20.0
"""Seconds between the pings of a WebSocket, and for a pong."""
GRACE_S: Final = 20
"""Seconds that requests get to end when the service stops."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Limits of one server."""

    first_byte_s: float = 20.0
    """From a connection to its first byte."""
    head_s: float = 10.0
    """From a request's first byte to the end of its head."""
    body_s: float = 10.0
    """For a body; each piece that arrives buys more."""
    body_bytes_per_s: float = 65_536.0
    """How slow a body may be on average, beside `body_s`."""
    reader_s: float = 30.0
    """For a reader to take some of an answer that waits for it."""
    keep_alive_s: float = 75.0
    """Between two requests of a connection."""
    linger_s: float = 5.0
    """For the rest of a body whose request is answered already."""
    linger_bytes: int = 256 * 1024
    """Likewise; a connection with more to come is closed, and its end announced."""
    discard_bytes: int = 64 * 1024 * 1024
    """What is still read of a connection that ends: a client may read only after it has sent."""
    head_bytes: int = 32_768
    """Largest head: request line and headers."""
    headers: int = 100
    """Headers of one request."""


class DeadlineProtocol(HttpToolsProtocol):
    """One connection; `deadlines` are its limits."""

    deadlines: ClassVar[Deadlines] = Deadlines()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._concurrency = config.limit_concurrency
        self.limit_concurrency = None  # answered by `_admitted`, as a problem
        self._service = cast(ASGIApp, self.app)
        self.app = cast(Any, self._admitted)
        self._timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_received = 0  # bytes of packets since the head began
        self._head_parsed = 0  # bytes of the target and of whole headers
        self._in_body = False
        self._body_left: int | None = 0  # bytes still to come; None if nobody knows
        self._body_due_at = 0.0
        self._lingered: int | None = None  # bytes since the answer, if the body went on after it
        self._refused = False
        self._discarded = 0  # bytes since the refusal

    # -- the connection ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._arm(self.deadlines.first_byte_s, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """End all timers."""
        self._disarm()
        self._disarm_reader()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Start a head's timer with its first byte, and bound a head that does not end."""
        if self._refused:
            self._discarded += len(data)
            if self._discarded > self.deadlines.discard_bytes:
                self.transport.close()
            return
        if not self._in_head and not self._in_body:
            self._begin_head()
        if self._in_head:
            self._head_received += len(data)
        super().data_received(data)
        if self._in_head and self._head_received > self.deadlines.head_bytes:
            self._refuse(_large_head())

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, if there is room; the timers end."""
        if self._refused:
            return
        if self._is_full():
            self._refuse(_overload())
            return
        self._disarm()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with a problem."""
        self._refuse(RequestError("This is no HTTP request", code="form"))

    # -- the parser -------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a head that shares a packet with what came before."""
        if not self._in_head:
            self._begin_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Collect the request's target."""
        super().on_url(url)
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header, unless there are too many."""
        if self._refused:
            return
        super().on_header(name, value)
        self._count_head(len(name) + len(value) + len(b": \r\n"))
        if len(self.headers) > self.deadlines.headers:
            what = f"The request has more than {self.deadlines.headers} headers"
            self._refuse(RequestError(what, code="headers"))

    def on_headers_complete(self) -> None:
        """Start the body's timer and the application."""
        if self._refused:
            return
        self._in_head = False
        self._disarm()
        if not (self.parser.should_upgrade() and self._should_upgrade()):
            self._in_body = True
            self._body_left = _announced_length(self.headers)
            self._lingered = None
            self._body_due_at = self.loop.time() + self.deadlines.body_s
            self._arm(self.deadlines.body_s, self._check_body)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a piece of a body on; it buys time."""
        if self._refused:
            return
        self._body_due_at += len(body) / self.deadlines.body_bytes_per_s
        if self._body_left is not None:
            self._body_left -= len(body)
        if self._lingered is not None:
            self._lingered += len(body)
            if self._lingered > self.deadlines.linger_bytes:
                self._close_gently()
                return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body's timer."""
        if self._refused:
            return
        self._in_body = False
        self._disarm()
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete:
            self._arm(self.deadlines.keep_alive_s, self.transport.close)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of this one's body."""
        super().on_response_complete()
        if self._refused or self.transport.is_closing() or not self.cycle.response_complete:
            return
        if self._in_body and self._has_much_to_come():
            self._close_gently()
        elif self._in_body:
            self._lingered = 0
            self._arm(self.deadlines.linger_s, self._close_gently)
        elif not self._in_head:
            self._arm(self.deadlines.keep_alive_s, self.transport.close)

    # -- the reader -------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Start the reader's timer: its side takes nothing more."""
        super().pause_writing()
        self._disarm_reader()
        self._reader_timer = self.loop.call_later(self.deadlines.reader_s, self.transport.abort)

    def resume_writing(self) -> None:
        """End the reader's timer."""
        self._disarm_reader()
        super().resume_writing()

    # -- timers and refusals ----------------------------------------------------------------------

    def _begin_head(self) -> None:
        self._in_head = True
        self._head_received = self._head_parsed = 0
        self._arm(self.deadlines.head_s, self._refuse_slow)

    def _count_head(self, size: int) -> None:
        self._head_parsed += size
        if self._head_parsed > self.deadlines.head_bytes:
            self._refuse(_large_head())

    def _check_body(self) -> None:
        """The body's timer: has it bought more time, or is it not its sender who is slow?"""
        now = self.loop.time()
        if self.flow.read_paused:
            self._body_due_at = now + self.deadlines.body_s
        if now < self._body_due_at:
            self._arm(self._body_due_at - now, self._check_body)
        else:
            self._refuse_slow()

    def _refuse_slow(self) -> None:
        self._refuse(RequestError("The request took too long to arrive", code="slow"))

    def _refuse(self, error: RequestError) -> None:
        """Answer a request that is not read to its end, and close."""
        if self._refused or self.transport.is_closing():
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        started = answering and self.cycle.response_started
        if answering:
            # As if the caller had left: the application is told, and sends nothing more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not started:
            self.transport.write(_raw_answer(error))
        self._close_gently()

    def _close_gently(self) -> None:
        """Close for writing, read no more; the end follows when the other side has read."""
        self._refused = True
        self._unset_keepalive_if_required()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._arm(self.deadlines.linger_s, self.transport.close)

    def _arm(self, seconds: float, callback: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, callback)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _disarm_reader(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    # -- the application --------------------------------------------------------------------------

    def _is_full(self) -> bool:
        limit = self._concurrency
        return limit is not None and (len(self.connections) >= limit or len(self.tasks) >= limit)

    def _has_much_to_come(self) -> bool:
        left = self._body_left
        return left is None or left > self.deadlines.linger_bytes

    def _announcing(self, scope: Scope, send: Send) -> Send:
        """A sender that announces the end of a connection whose body is not read to its end."""

        async def announcing(message: Message) -> None:
            if message["type"] != "http.response.start" or not (
                self._in_body and self.cycle.scope is scope and self._has_much_to_come()
            ):
                await send(message)
                return
            cycle = self.cycle
            headers = [*message.get("headers", ()), (b"connection", b"close")]
            await send({**message, "headers": headers})
            cycle.keep_alive = True  # closed by `on_response_complete`, gently

        return announcing

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application, or 503 if too much is under way."""
        if not self._is_full():
            await self._service(scope, receive, self._announcing(scope, send))
            return
        request_id = secrets.token_hex(12)
        response = problem_response(problem_of(_overload()), request_id, scope)
        response.headers["X-Request-Id"] = request_id
        response.headers["Connection"] = "close"
        await response(scope, receive, send)


def _announced_length(headers: list[tuple[bytes, bytes]]) -> int | None:
    """Content-Length, which the parser has checked; 0 for no body, None for one of chunks."""
    for name, value in headers:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            return int(value)
    return 0


def uvicorn_config(
    app: ASGIApp,
    *,
    protocol: type[DeadlineProtocol] = DeadlineProtocol,
    concurrency: int = CONCURRENCY,
    ping_s: float = PING_S,
    base_path: str = "",
) -> uvicorn.Config:
    """How uvicorn serves the service; sockets are handed to `Server.serve`.

    Args:
        app: made by `create_app`.
        protocol: another one has other deadlines.
        concurrency: connections and requests at once.
        ping_s: seconds between the pings of a WebSocket, and for a pong.
        base_path: path prefix under which the service is mounted.
    """
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False  # the edge logs what matters
    return uvicorn.Config(
        app,
        http=protocol,
        ws="websockets-sansio",
        loop="uvloop",
        lifespan="on",
        ws_max_size=SOCKET_MESSAGE_BYTES,
        ws_max_queue=8,
        ws_ping_interval=ping_s,
        ws_ping_timeout=ping_s,
        ws_per_message_deflate=False,  # a small message may unpack to a large one
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # `auth.addresses` trusts whom the settings name
        root_path=base_path,
        limit_concurrency=concurrency,
        backlog=BACKLOG,
        timeout_keep_alive=round(protocol.deadlines.keep_alive_s),
        timeout_graceful_shutdown=GRACE_S,
    )


def _large_head() -> RequestError:
    return RequestError("The request's head is too large", code="headers")


def _overload() -> RequestError:
    return RequestError(
        "Too many requests are under way",
        code="overload",
        remedy="Try again in a moment.",
        headers={"Retry-After": "2"},
    )


def _raw_answer(error: RequestError) -> bytes:
    """A whole HTTP answer with a problem, for requests that reach no application."""
    request_id = secrets.token_hex(12)
    response = problem_response(problem_of(error), request_id)
    response.headers["X-Request-Id"] = request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Connection"] = "close"
    lines = [b"%s: %s\r\n" % (name, value) for name, value in response.raw_headers]
    return b"".join((STATUS_LINE[response.status_code], *lines, b"\r\n", bytes(response.body)))
