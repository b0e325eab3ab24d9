"""One engine process for all tests of a session."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from PIL import Image

from sunriza_assets.service.engine_client import EngineFacts
from sunriza_assets.service.engine_socket import EngineSocket
from sunriza_assets.service.engine_wire import engine_socket

READY_S = 120
T = TypeVar("T")
RENDER: dict[str, Any] = {
    "intensity": 0.7, "output_format": "png", "width": None, "height": None, "owner": "u",
    "request_id": "r",
}  # fmt: skip


@dataclass
class RunningEngine:
    """An engine process and the home it serves."""

    process: subprocess.Popen[bytes]
    home: Path

    def connect(self) -> EngineSocket:
        """A client for the present event loop."""
        return EngineSocket(engine_socket(self.home))


def calling(engine: RunningEngine, call: Callable[[EngineSocket], Awaitable[T]]) -> T:
    """The result of a call in an event loop of its own."""

    async def run() -> T:
        client = engine.connect()
        try:
            return await call(client)
        finally:
            await client.close()

    return asyncio.run(run())


def start_engine(home: Path, models: Path, **environment: str) -> RunningEngine:
    """Start an engine process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sunriza_assets.service.engine_process"],
        env={**os.environ, "SUNRIZA_HOME": str(home), "SUNRIZA_MODELS": str(models)} | environment,
    )
    return RunningEngine(process, home)


async def ready(engine: RunningEngine) -> EngineFacts:
    """Wait until an engine is ready."""
    client = engine.connect()
    async with asyncio.timeout(READY_S):
        while not (facts := await client.facts()).ready:
            assert engine.process.poll() is None, "the engine process has ended"
            await asyncio.sleep(0.05)
    await client.close()
    return facts


@pytest.fixture(scope="session")
def engine(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """The engine process of the session, ready."""
    running = start_engine(tmp_path_factory.mktemp("engine_home"), models_root)
    try:
        asyncio.run(ready(running))
        yield running
    finally:
        running.process.kill()
        running.process.wait()


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait of 300 x 400 pixels that carries EXIF data."""
    import skimage.data

    path = tmp_path_factory.mktemp("portrait") / "portrait.jpg"
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    Image.fromarray(skimage.data.astronaut()[0:400, 72:372]).save(path, quality=92, exif=exif)
    return path
