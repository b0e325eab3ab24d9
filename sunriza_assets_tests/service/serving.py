"""A service for tests: the real application behind a real uvicorn server in a thread."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import APIRouter, FastAPI

from resources.avatars.local import LocalAvatars
from resources.downloads.public_download import PublicDownload
from resources.home import Home
from resources.orders.sqlite import SqliteOrders
from resources.settings import Settings
from resources.storage.local import LocalStorage
from resources.stores import OpenStores
from sunriza_assets.errors import EngineError
from sunriza_assets.service.app import create_app
from sunriza_assets.service.context import Service
from sunriza_assets.service.engine_client import EngineFacts
from sunriza_assets.service.routes import ROUTERS, health, metrics


@dataclass
class StillEngine:
    """An engine process that only says how it stands."""

    facts_now: EngineFacts = field(
        default_factory=lambda: EngineFacts(True, "mesh", "1", gpu_name=None, cuda_version=None)
    )

    async def facts(self) -> EngineFacts:
        return self.facts_now

    async def render(self, *_: object, **__: object) -> None:
        raise EngineError("Nothing is drawn here", code="unreachable")


@dataclass
class Served:
    """A running service."""

    app: FastAPI
    service: Service
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def raw(self, sent: bytes, *, wait_s: float = 20.0) -> bytes:
        """What the server answers to these bytes until it closes, or is silent for a while."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as connection:
            connection.sendall(sent)
            received = b""
            try:
                while piece := connection.recv(65536):
                    received += piece
            except (TimeoutError, ConnectionResetError):
                pass
            return received


def make_service(root: Path, *, open_mode: bool = True, **settings: Any) -> Service:
    """A service on a home of its own; settings by their environment variables."""
    values = Settings.from_environment({"SUNRIZA_HOME": str(root), **settings})
    home = Home(root)
    return Service(
        settings=values,
        home=home,
        orders=SqliteOrders(root / "service" / "service.db"),
        stores=OpenStores(LocalAvatars(home), LocalStorage(home, PublicDownload(())), shared=False),
        engine=StillEngine(),
        open_mode=open_mode,
    )


@contextmanager
def serving(service: Service, *routers: APIRouter, **options: Any) -> Iterator[Served]:
    """The service on a free port of 127.0.0.1 until the block ends.

    With routers, these take the place of its own but for health and metrics.
    """
    ours = (health.router, metrics.router, *routers) if routers else ROUTERS
    app = create_app(service, ours)
    with running(app, **options) as port:
        yield Served(app, service, port)


@contextmanager
def running(app: FastAPI, **options: Any) -> Iterator[int]:
    """An application on a free port of 127.0.0.1."""
    from sunriza_assets.service.deadline import uvicorn_config

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn_config(app, **options))
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    assert server.started
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
        listener.close()
