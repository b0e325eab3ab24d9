"""One API process: the application behind uvicorn, on the socket that the supervisor listens at.

python -m sunriza_assets.service.api_process HOST DESCRIPTOR METRICS_PORT
"""

import socket
import sys

import uvicorn

from resources.home import Home
from resources.orders.open import open_orders
from resources.settings import current_settings
from resources.stores import open_stores
from sunriza_assets.service.app import create_app
from sunriza_assets.service.auth.modes import auth_mode
from sunriza_assets.service.context import Service
from sunriza_assets.service.deadline import uvicorn_config
from sunriza_assets.service.engine_socket import EngineSocket
from sunriza_assets.service.engine_wire import engine_socket

__all__ = ["build_service", "main"]


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


def main(host: str, descriptor: int) -> None:
    """Serve until SIGTERM; requests that are under way get twenty seconds to end."""
    service = build_service(host)
    server = uvicorn.Server(uvicorn_config(create_app(service)))
    with socket.socket(fileno=descriptor) as listener:
        server.run(sockets=[listener])
    service.orders.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
