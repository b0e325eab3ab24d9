"""The client of the engine process: `EngineService` over its Unix socket."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from resources.orders.spoken import SpeechForecast, SpeechWish, SpokenSound
from sunriza_assets.errors import EngineError
from sunriza_assets.service.engine_client import EngineFacts, RenderedPicture
from sunriza_assets.service.engine_wire import error_from_dict, read_frame, write_frame

__all__ = ["EngineSocket"]

_CONNECT_S: Final = 2.0
_SECONDS: Final[Mapping[str, float]] = {
    "facts": 2.0,
    "render": 28.0,
    "preview": 28.0,
    "inspect": 120.0,
    "trim": 178.0,
    "speak": 178.0,
    "speak_to": 178.0,
    "speech_forecast": 28.0,
    "voices": 28.0,
}
"""Time limits of the calls: just below those of the requests that wait for them."""
_START_S: Final = 30.0
"""Longest time from the end of an engine process to the moment the next one listens."""
_CONNECTIONS: Final = 64
"""Connections of one API process at a time; further calls wait for one."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


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
        """How the engine process stands.

        One that does not answer is being started, or started anew; it is a problem when that takes
        longer than a start does.
        """
        now = asyncio.get_running_loop().time
        try:
            facts = EngineFacts(**await self._call("facts"))
        except EngineError as error:
            self._silent_since = self._silent_since or now()
            lost = now() - self._silent_since > _START_S
            return EngineFacts(
                ready=False, engine=None, version=None, gpu_name=None, cuda_version=None,
                problem=error.public if lost else None,
            )  # fmt: skip
        self._silent_since = None
        return facts

    async def render(
        self,
        portrait: Path,
        emotions: Sequence[str],
        *,
        intensity: float,
        output_format: str,
        width: int | None,
        height: int | None,
        owner: str,
        request_id: str,
    ) -> Sequence[RenderedPicture]:
        """Draw emotions of a portrait; see `EngineService`."""
        pictures = await self._call(
            "render",
            portrait=str(portrait.absolute()),
            emotions=list(emotions),
            intensity=intensity,
            output_format=output_format,
            width=width,
            height=height,
            owner=owner,
            request_id=request_id,
        )
        return [RenderedPicture(**{**one, "path": Path(one["path"])}) for one in pictures]

    async def preview(
        self,
        portrait: Path,
        parameters: Mapping[str, Any],
        *,
        size: int = 256,
        owner: str | None = None,
    ) -> Path:
        """A still with all render parameters; see `EngineService`."""
        return Path(
            await self._call(
                "preview",
                portrait=str(portrait.absolute()),
                parameters=dict(parameters),
                size=size,
                owner=owner,
            )
        )

    async def inspect(
        self,
        portrait: Path | None,
        clip: Path | None,
        parameters: Mapping[str, Any],
        *,
        owner: str | None = None,
    ) -> Sequence[Mapping[str, Any]]:
        """Findings of the input coach; see `EngineService`."""
        findings: list[Mapping[str, Any]] = await self._call(
            "inspect",
            portrait=None if portrait is None else str(portrait.absolute()),
            clip=None if clip is None else str(clip.absolute()),
            parameters=dict(parameters),
            owner=owner,
        )
        return findings

    async def trim(
        self,
        clip: Path,
        start_s: float,
        end_s: float,
        destination: Path,
        *,
        owner: str | None = None,
    ) -> int:
        """Cut a clip exactly to the frame; see `EngineService`."""
        return int(
            await self._call(
                "trim",
                clip=str(clip.absolute()),
                start_s=start_s,
                end_s=end_s,
                destination=str(destination.absolute()),
                owner=owner,
            )
        )

    async def speak(
        self,
        wish: SpeechWish,
        *,
        owner: str,
        reference: Path | None = None,
        patience_s: float | None = None,
    ) -> SpokenSound | SpeechForecast:
        """Speak a text; see `EngineService`."""
        made = await self._call(
            "speak",
            wish=wish.to_dict(),
            owner=owner,
            reference=None if reference is None else str(reference.absolute()),
            patience_s=patience_s,
        )
        return SpokenSound.from_dict(made) if "audio_id" in made else SpeechForecast(**made)

    async def speak_to(
        self, wish: SpeechWish, destination: Path, *, audio_format: str, owner: str
    ) -> SpokenSound:
        """Speak a text into a file; see `EngineService`."""
        return SpokenSound.from_dict(
            await self._call(
                "speak_to",
                wish=wish.to_dict(),
                destination=str(destination.absolute()),
                audio_format=audio_format,
                owner=owner,
            )
        )

    async def speech_forecast(self, wish: SpeechWish) -> SpeechForecast:
        """What speaking a text will probably take; see `EngineService`."""
        return SpeechForecast(**await self._call("speech_forecast", wish=wish.to_dict()))

    async def voices(self) -> Sequence[Mapping[str, Any]]:
        """All voices; see `EngineService`."""
        found: list[Mapping[str, Any]] = await self._call("voices")
        return found

    async def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            _, writer = self._idle.pop()
            await _close(writer)

    async def _call(self, name: str, **arguments: Any) -> Any:
        """Call an operation of the engine process.

        A kept connection may be that of a process which has ended since, so a call over one is
        tried again over a new one. All operations may be repeated.

        Raises:
            EngineError: `unreachable`, or what the engine process raised.
            RuntimeError: a bug in the engine process, which logged it.
        """
        request = {"call": name, "arguments": arguments}
        # How the engine stands is told however many pictures are waited for.
        slot = contextlib.nullcontext() if name == "facts" else self._slots
        try:
            async with asyncio.timeout(_SECONDS[name]), slot:
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


async def _answer(reader: asyncio.StreamReader) -> Mapping[str, Any]:
    answer: Mapping[str, Any] | None = await read_frame(reader)
    if answer is None:
        raise ConnectionError("The engine process has closed the connection")
    return answer


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
