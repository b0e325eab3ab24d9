"""The client of the engine process: `EngineService` over its Unix socket.

What is called, and with what, stands in `EngineService` alone: each method here is made of the one
declared there. Of its arguments, paths go over the wire as text and wishes as maps.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from resources.orders.spoken import SpeechForecast, SpeechWish, SpokenSound
from sunriza_assets.errors import EngineError
from sunriza_assets.service.engine_client import EngineFacts, EngineService, RenderedPicture
from sunriza_assets.service.engine_wire import error_from_dict, read_frame, write_frame

__all__ = ["EngineSocket"]

_CONNECT_S: Final = 2.0
_FACTS_S: Final = 2.0
_START_S: Final = 30.0
"""Longest time from the end of an engine process to the moment the next one listens."""
_SILENCE_S: Final = 10.0
"""How long a process that is loading may be too busy to answer."""
_CONNECTIONS: Final = 64
"""Connections of one API process at a time; further calls wait for one."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
P = ParamSpec("P")
R = TypeVar("R")


def _call(
    declared: Callable[Concatenate[EngineService, P], Coroutine[Any, Any, R]],
    read: Callable[[Any], R],
    *,
    seconds: float,
) -> Callable[Concatenate["EngineSocket", P], Coroutine[Any, Any, R]]:
    """The method that calls an operation.

    Args:
        declared: of `EngineService`; its name is the operation's.
        read: makes the result of the JSON value that comes back.
        seconds: time limit, just below that of the request that waits for it.
    """
    taken = signature(declared)

    @functools.wraps(declared)
    async def method(self: "EngineSocket", *args: P.args, **kwargs: P.kwargs) -> R:
        bound = taken.bind(self, *args, **kwargs)
        bound.apply_defaults()
        _, *given = bound.arguments.items()
        arguments = {name: _sent(value) for name, value in given}
        return read(await self.call(declared.__name__, arguments, seconds=seconds))

    return method


class EngineSocket:
    """`EngineService` by the engine process that listens at a socket.

    Connections are kept and used again. To be used from one event loop. A call that is cancelled
    closes its connection, and the engine process gives its work up.

    Args:
        socket: see `engine_wire.engine_socket`.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._idle: list[Connection] = []
        self._slots = asyncio.Semaphore(_CONNECTIONS)
        self._silent_since: float | None = None

    async def facts(self) -> EngineFacts:
        """How the engine process stands; of one that does not answer, since when."""
        begun = asyncio.get_running_loop().time()
        try:
            facts = EngineFacts(**await self.call("facts", {}, seconds=_FACTS_S))
        except EngineError as error:
            if self._silent_since is None:
                self._silent_since = begun
            silent_s = asyncio.get_running_loop().time() - self._silent_since
            return _silent_facts(silent_s, is_there=isinstance(error.__cause__, TimeoutError))
        self._silent_since = None
        return facts

    render = _call(
        EngineService.render,
        lambda found: [RenderedPicture(**{**one, "path": Path(one["path"])}) for one in found],
        seconds=28.0,
    )
    preview = _call(EngineService.preview, Path, seconds=28.0)
    inspect = _call(EngineService.inspect, list, seconds=120.0)
    trim = _call(EngineService.trim, int, seconds=178.0)
    speak = _call(
        EngineService.speak,
        lambda made: SpokenSound.from_dict(made) if "audio_id" in made else SpeechForecast(**made),
        seconds=178.0,
    )
    speak_to = _call(EngineService.speak_to, SpokenSound.from_dict, seconds=178.0)
    speech_forecast = _call(
        EngineService.speech_forecast, lambda made: SpeechForecast(**made), seconds=28.0
    )
    voices = _call(EngineService.voices, list, seconds=28.0)

    async def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            _, writer = self._idle.pop()
            await _close(writer)

    async def call(self, name: str, arguments: Mapping[str, Any], *, seconds: float) -> Any:
        """Call an operation by name; its result as a JSON value.

        A kept connection may be that of a process which has ended since, so a call over one is
        tried again over a new one. All operations may be repeated.

        Args:
            name: of the operation.
            arguments: JSON values by name.
            seconds: time limit.

        Raises:
            EngineError: `unreachable`, or what the engine process raised.
            RuntimeError: a bug in the engine process, which logged it.
        """
        request = {"call": name, "arguments": arguments}
        # How the engine stands is told however many pictures are waited for.
        slot = contextlib.nullcontext() if name == "facts" else self._slots
        try:
            async with asyncio.timeout(seconds), slot:
                while self._idle:
                    with suppress(ConnectionError):
                        return await self._exchange(self._idle.pop(), request)
                return await self._exchange(await self._connect(), request)
        except (OSError, TimeoutError) as problem:
            raise EngineError(
                "The engine does not answer at the moment",
                where=f"{self._socket}: {problem or type(problem).__name__}",
                remedy="Try again in a few seconds.",
                code="unreachable",
            ) from problem

    async def _connect(self) -> Connection:
        async with asyncio.timeout(_CONNECT_S):
            return await asyncio.open_unix_connection(self._socket)

    async def _exchange(self, connection: Connection, request: Mapping[str, Any]) -> Any:
        reader, writer = connection
        try:
            await write_frame(writer, request)
            answer = await _answer(reader)
        except BaseException:  # a cancelled call, too: its answer must not be taken for another's
            writer.close()
            raise
        self._idle.append(connection)
        if "error" in answer:
            raise error_from_dict(answer["error"])
        if "bug" in answer:
            raise RuntimeError(f"The engine process failed: {answer['bug']}")
        return answer["value"]


def _silent_facts(silent_s: float, *, is_there: bool) -> EngineFacts:
    """How an engine process stands that does not answer.

    Args:
        silent_s: since when.
        is_there: whether one listens; else the next one is being started.
    """
    problem = (
        f"The engine has not answered for {silent_s:.0f} s."
        if is_there
        else f"The engine is being started, for {silent_s:.0f} s now."
    )
    patience_s = _SILENCE_S if is_there else _START_S
    return EngineFacts(
        ready=False, engine=None, version=None, gpu_name=None, cuda_version=None,
        problem=problem, starting=silent_s <= patience_s,
    )  # fmt: skip


def _sent(value: object) -> Any:
    """An argument as a JSON value."""
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, SpeechWish):
        return value.to_dict()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return value


async def _answer(reader: asyncio.StreamReader) -> Mapping[str, Any]:
    answer: Mapping[str, Any] | None = await read_frame(reader)
    if answer is None:
        raise ConnectionError("The engine process has closed the connection")
    return answer


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
