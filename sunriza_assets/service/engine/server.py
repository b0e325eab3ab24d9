"""The server of the engine process: calls that come over its socket, and their answers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sunriza_assets.errors import EngineError, ParameterError, SunrizaError
from sunriza_assets.service.engine_client import OPERATIONS, EngineFacts
from sunriza_assets.service.engine_wire import error_to_dict, read_frame, write_frame

__all__ = ["Calls", "EngineServer"]

Calls = Mapping[str, Callable[..., Awaitable[Any]]]
"""Name of an operation -> what does it; arguments are JSON values."""

_log = logging.getLogger(__name__)


class EngineServer:
    """Answers calls from the moment it listens: `engine.warming` for what is being loaded."""

    def __init__(self) -> None:
        self.facts = EngineFacts(
            ready=False, engine=None, version=None, gpu_name=None, cuda_version=None, starting=True
        )
        """How the engine stands."""
        self._calls: Calls = {}
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def listen(self, socket: Path) -> None:
        """Begin to listen; a socket that is there belonged to a process that has ended."""
        socket.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, socket, backlog=128)
        socket.chmod(0o600)

    def offer(self, calls: Calls) -> None:
        """Answer these calls from now on, whatever else is still being loaded."""
        self._calls = {**self._calls, **calls}

    def make_ready(self, facts: EngineFacts, calls: Calls) -> None:
        """Answer all calls from now on."""
        self.offer(calls)
        self.facts = facts

    async def close(self) -> None:
        """Stop listening and give up what is at work."""
        if self._server is not None:
            self._server.close()
        for writer in self._connections.values():
            writer.transport.abort()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections[task] = writer
            task.add_done_callback(self._connections.pop)
        try:
            while (request := await read_frame(reader)) is not None:
                answer = await self._answer_unless_closed(request, reader)
                if answer is None:
                    break
                await write_frame(writer, answer)
        except (ConnectionError, ValueError) as problem:
            _log.info("A connection was given up: %s", problem)
        finally:
            writer.close()

    async def _answer_unless_closed(
        self, request: Any, reader: asyncio.StreamReader
    ) -> dict[str, Any] | None:
        """The answer to a request; None when the connection ends before it is there."""
        work = asyncio.ensure_future(self._answer(request))
        closed = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({work, closed}, return_when=asyncio.FIRST_COMPLETED)
            return await work if work.done() else None
        finally:
            for task in (work, closed):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _answer(self, request: Any) -> dict[str, Any]:
        name = request.get("call") if isinstance(request, dict) else None
        try:
            if name == "facts":
                return {"value": asdict(self.facts)}
            if name not in OPERATIONS:
                return _error(ParameterError(f"There is no call {name!r}", code="unknown"))
            if name not in self._calls:
                return _error(
                    EngineError(
                        "The engine is starting", remedy="Try again in a minute.", code="warming"
                    )
                )
            return {"value": await self._calls[name](**request["arguments"])}
        except SunrizaError as error:
            return _error(error)
        except Exception as bug:  # noqa: BLE001 - the caller is told, and the log
            _log.exception("A bug: %s", name)
            return {"bug": type(bug).__name__}


def _error(error: SunrizaError) -> dict[str, Any]:
    return {"error": error_to_dict(error)}
