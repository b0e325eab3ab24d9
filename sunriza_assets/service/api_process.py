"""One API process: the application behind uvicorn, on the socket that the supervisor listens at.

python -m sunriza_assets.service.api_process HOST DESCRIPTOR METRICS_PORT
"""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from resources.home import Home
from resources.orders.open import open_orders
from resources.settings import current_settings
from resources.stores import open_stores
from sunriza_assets.errors import SunrizaError
from sunriza_assets.service.app import create_app
from sunriza_assets.service.auth.modes import auth_mode
from sunriza_assets.service.context import Service
from sunriza_assets.service.deadline import uvicorn_config
from sunriza_assets.service.engine_socket import EngineSocket
from sunriza_assets.service.engine_wire import engine_socket
from sunriza_assets.service.monitor.exposition import metrics_server

__all__ = ["build_service", "main"]

_METRICS_END_S: Final = 5.0


def build_service(host: str) -> Service:
    """What the routes of a process that listens on this host call on."""
    settings = current_settings()
    home = Home(settings.home)
    return Service(
        settings=settings,
        home=home,
        orders=open_orders(),
        stores=open_stores(),
        engine=EngineSocket(engine_socket(home.root)),
        open_mode=auth_mode(settings, host).open_mode,
    )


def main(host: str, descriptor: int, metrics_port: int) -> None:
    """Serve until SIGTERM; requests that are under way get twenty seconds to end.

    Args:
        host: where the socket listens.
        descriptor: of the listening socket.
        metrics_port: of the metrics beside it; 0 for none.
    """
    service = build_service(host)
    server = uvicorn.Server(uvicorn_config(create_app(service)))
    with (
        socket.socket(fileno=descriptor) as listener,
        _metrics(host, metrics_port),
    ):
        server.run(sockets=[listener])
    service.orders.close()


@contextmanager
def _metrics(host: str, port: int) -> Iterator[None]:
    """Serve the metrics of all processes on a port of their own until the block ends."""
    if not port:
        yield
        return
    # A service of its own: connections to the engine belong to one event loop.
    server = metrics_server(build_service(host), host=host, port=port)
    thread = threading.Thread(target=server.run, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(_METRICS_END_S)


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    except SunrizaError as error:
        sys.exit(f"error: API: {error.message}")
