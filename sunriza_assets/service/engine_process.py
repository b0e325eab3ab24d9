"""The engine process: one for each GPU, or one on a machine without.

    python -m sunriza_assets.service.engine_process

It listens at `engine_wire.engine_socket` at once, loads the best engine that can draw expressions,
draws a first picture, and is ready; it speaks from the beginning. It imports no Dagster, keeps
nothing but caches, and may be killed and started again at any time. It ends when the process that
started it ends.
"""

import asyncio
import fcntl
import logging
import os
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from resources.home import Home
from resources.settings import current_settings
from sunriza_assets.atomic import make_folder, store_errors
from sunriza_assets.costs.calls import CALLS_FOLDER, CallBook
from sunriza_assets.costs.devices import cpu
from sunriza_assets.costs.prices import price_book
from sunriza_assets.errors import EngineError, StoreError, SunrizaError
from sunriza_assets.service.engine.server import Calls, EngineServer
from sunriza_assets.service.engine_client import EngineFacts
from sunriza_assets.service.engine_wire import engine_socket, make_private_folder
from sunriza_assets.service.monitor import metrics

if TYPE_CHECKING:
    from sunriza_assets.service.engine.drawing import Drawing
    from sunriza_assets.service.engine.speaking import Speaking
    from sunriza_assets.studio.contracts.engine import ExpressionEngine
    from sunriza_assets.studio.media.forking import ForkServer

__all__ = ["main"]

BOOKING_S: Final = 60.0
"""How often what was done is written to the journal of costs."""
_PARENT_S: Final = 0.5
"""How often it looks whether the process that started it is still there."""
_LOCK_S: Final = 30.0
"""How long the engine process before this one may take to end."""
_log = logging.getLogger(__name__)


def main() -> NoReturn:
    """Serve until SIGTERM, SIGINT, or the end of the parent process."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s engine: %(message)s")
    try:
        asyncio.run(_run(Home.from_environment(), parent=os.getppid()))
    except SunrizaError as error:
        _log.error("%s", error.message)
        sys.exit(1)
    os._exit(0)  # threads that still draw for nobody need not be waited for


async def _run(home: Home, *, parent: int) -> None:
    from sunriza_assets.studio.media import sandbox

    home.make()
    make_folder(home.root / "service")
    socket = engine_socket(home.root)
    make_private_folder(socket.parent)
    ended = _end_signals()
    book = CallBook(home.reports / CALLS_FOLDER, price_book(current_settings().price_book))
    server = EngineServer()
    lock = await _only_one(socket.with_suffix(".lock"))
    with sandbox.fork_server() as decoders:
        await server.listen(socket)
        speaking = _speaking(home, book, decoders)
        server.offer(
            {
                "speak": speaking.speak,
                "speak_to": speaking.speak_to,
                "speech_forecast": speaking.speech_forecast,
                "voices": speaking.voices,
            }
        )
        tasks = [
            asyncio.ensure_future(one)
            for one in (
                _make_ready(server, home, book, decoders),
                _book_costs(book),
                _watch_parent(parent, ended),
            )
        ]
        await ended.wait()
        for task in tasks:
            task.cancel()
        await server.close()
        socket.unlink(missing_ok=True)
        speaking.close()
        _flush(book)
    os.close(lock)


def _speaking(home: Home, book: CallBook, decoders: "ForkServer") -> "Speaking":
    """What speaks; it loads an engine when it is first needed."""
    from resources.speech.speaker import open_speaker
    from sunriza_assets.service.engine.speaking import Speaking
    from sunriza_assets.service.engine.work import Work

    work = Work(book, decoders, engine=("", ""), device=cpu())
    return Speaking(open_speaker(home), book, work, home.root / "service" / "outputs")


def _end_signals() -> asyncio.Event:
    """An event that is set by SIGTERM and SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    return ended


async def _only_one(path: Path) -> int:
    """Hold the lock of this home's engine; the kernel frees it when this process ends.

    Raises:
        EngineError: another engine process holds it and does not end.
    """
    with store_errors("lock", path):
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    deadline = asyncio.get_running_loop().time() + _LOCK_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if asyncio.get_running_loop().time() > deadline:
                os.close(lock)
                raise EngineError(
                    "Another engine process serves this home",
                    where=path,
                    remedy="End it first.",
                    code="second",
                ) from None
            await asyncio.sleep(0.1)
        else:
            return lock


async def _watch_parent(parent: int, ended: asyncio.Event) -> None:
    """End with the process that started this one; init takes over orphans."""
    while os.getppid() == parent:
        await asyncio.sleep(_PARENT_S)
    _log.warning("The process that started the engine has ended")
    ended.set()


async def _book_costs(book: CallBook) -> None:
    while True:
        await asyncio.sleep(BOOKING_S)
        await asyncio.to_thread(_flush, book)


def _flush(book: CallBook) -> None:
    """Write what was done to the journal, and count it for the metrics."""
    try:
        booked = book.flush()
    except StoreError as error:  # kept for the next minute
        _log.error("Costs could not be booked: %s", error.message)
        return
    for one in booked:
        if one.amount is not None:
            metrics.COST.labels(kind=one.kind, currency=one.currency).inc(one.amount)


async def _make_ready(
    server: EngineServer, home: Home, book: CallBook, decoders: "ForkServer"
) -> None:
    """Load the engine and draw a first picture; a failure is told to whoever asks."""
    try:
        facts, calls = await _load(home, book, decoders)
    except SunrizaError as error:
        _log.error("The engine cannot be used: %s", error.message)
        server.facts = replace(server.facts, problem=error.public, starting=False)
    except Exception as bug:  # noqa: BLE001 - whoever asks is told, and the log
        _log.exception("The engine cannot be used")
        problem = f"The engine failed: {type(bug).__name__}."
        server.facts = replace(server.facts, problem=problem, starting=False)
    else:
        server.make_ready(facts, calls)
        _log.info("Ready: %s %s on %s", facts.engine, facts.version, facts.gpu_name or "the CPU")


async def _load(home: Home, book: CallBook, decoders: "ForkServer") -> tuple[EngineFacts, Calls]:
    engine = await asyncio.to_thread(_expression_engine, home.models)
    from resources.engines.choice import device_of
    from sunriza_assets.service.engine.drawing import Drawing
    from sunriza_assets.service.engine.inputs import Inputs
    from sunriza_assets.service.engine.pictures import PictureCache
    from sunriza_assets.service.engine.work import Work

    device = await asyncio.to_thread(device_of, engine.name)
    work = Work(book, decoders, engine=(engine.name, engine.version), device=device)
    folder = home.root / "service"
    cache = PictureCache(folder / "pictures", folder / "outputs")
    drawing = Drawing(engine, work, cache, models=home.models)
    inputs = Inputs(work, models=home.models)
    await _draw_first(drawing)
    gpu = device.kind == "cuda"
    facts = EngineFacts(
        ready=True,
        engine=engine.name,
        version=engine.version,
        gpu_name=device.name if gpu else None,
        cuda_version=_cuda_version() if gpu else None,
    )
    calls: Calls = {
        "render": drawing.render,
        "preview": drawing.preview,
        "inspect": inputs.inspect,
        "trim": inputs.trim,
    }
    return facts, calls


def _expression_engine(models: Path) -> "ExpressionEngine":
    """The best engine of this machine that can draw expressions.

    Raises:
        EngineError: there is none.
        ModelError: its models are missing.
    """
    from resources.engines.choice import choose_engine
    from sunriza_assets.studio.contracts.capabilities import capabilities_of

    for name in ("auto", "mesh"):
        engine = choose_engine(name, models).engine
        if "single expressions" in capabilities_of(type(engine)):
            return cast("ExpressionEngine", engine)
    raise EngineError("No engine of this machine draws expressions", code="none")


async def _draw_first(drawing: "Drawing") -> None:
    """Draw a picture as a request would, so that the first request is no slower than others."""
    from sunriza_assets.studio.media.picture import write_picture
    from sunriza_assets.studio.sample.clip import sample_portrait

    with tempfile.TemporaryDirectory(prefix="sunriza-") as folder:
        portrait = Path(folder) / "portrait.jpg"
        await asyncio.to_thread(write_picture, sample_portrait(), portrait)
        wish: dict[str, Any] = {"intensity": 0.7, "width": None, "height": None, "owner": None}
        for output_format in ("png", "jpg", "webp"):
            pictures = await drawing.render(
                portrait=str(portrait),
                emotions=["happy", "surprised"],
                output_format=output_format,
                request_id="first",
                **wish,
            )
            for picture in pictures:
                Path(picture["path"]).unlink(missing_ok=True)


def _cuda_version() -> str | None:
    import torch

    return torch.version.cuda


if __name__ == "__main__":
    main()
