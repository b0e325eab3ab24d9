"""One part of the service in this process: for containers, where others watch over processes.

`serve.py` starts all parts on one machine and starts them again; here, whoever has started the
process does that. Each part answers for its own metrics.
"""

import os
import sys
from typing import Final, Literal, NoReturn

from resources.home import Home
from resources.settings import current_settings
from sunriza_assets.atomic import make_folder

__all__ = ["PARTS", "Part", "serve_part"]

Part = Literal["api", "engine", "dispatcher"]
PARTS: Final[tuple[Part, ...]] = ("api", "engine", "dispatcher")


def serve_part(part: Part, *, host: str, port: int) -> NoReturn:
    """Run one part until SIGTERM or SIGINT; the process ends with it.

    Args:
        part: which one. The API and its engine have to see the same SUNRIZA_HOME; a dispatcher only
            the same databases.
        host: where the API listens, and where metrics are served.
        port: of the API; the port of the metrics is SUNRIZA_METRICS_PORT.

    Raises:
        StoreError: the port is taken (`store.port`).
        ParameterError: a setting is wrong, or would open the service to everybody.
    """
    home = Home(current_settings().home)
    home.make()
    make_folder(home.root / "service")
    os.environ["SUNRIZA_HOME"] = str(home.root)
    if part == "api":
        from sunriza_assets.service.serve import serve_api

        serve_api(host=host, port=port)
        sys.exit(0)
    _serve_metrics(host)
    if part == "engine":
        from sunriza_assets.service.engine_process import main as serve_engine

        serve_engine()
    from sunriza_assets.service.dispatcher_process import main as dispatch

    sys.exit(dispatch())


def _serve_metrics(host: str) -> None:
    """Serve what this process counts on the port of the metrics, in a thread."""
    port = current_settings().metrics_port
    if not port:
        return
    from prometheus_client import start_http_server

    from sunriza_assets.service.monitor.metrics import REGISTRY

    start_http_server(port, addr=host, registry=REGISTRY)
