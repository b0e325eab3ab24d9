"""Dagster's web server with one more route: `/files/...` leads to the local store's files.

    python -m sunriza_assets.platform.ui --port 3000 --files-port 3001 --workspace workspace.yaml

Links in metadata are kept for ever, while ports and homes change. So a link to a local file is a
path of whatever UI shows it (`media_server.link`), and this server, which knows where the files are
served today, redirects from there. It does not serve them itself: the store's files came from
outside, and must not share an origin with the UI.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import click
import dagster as dg
from dagster_webserver.webserver import DagsterWebserver

from resources.serving.media_server import FILES_PATH, LOCAL_NAMES
from sunriza_assets.platform.dagster_web_internals import (
    WorkspaceFileTarget,
    WorkspaceProcessContext,
)

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["RedirectingWebserver", "main"]

# As Dagster's own commands have them.
_POLL_MS: Final = 2000
_STATEMENT_TIMEOUT_MS: Final = 15_000
_POOL_RECYCLE_S: Final = 3600
_POOL_MAX_OVERFLOW: Final = 20


class RedirectingWebserver(DagsterWebserver[Any, Any]):
    """Dagster's web server with a redirect to the file server.

    Args:
        context: the code locations.
        files_port: where the file server of this home listens.
    """

    def __init__(self, context: WorkspaceProcessContext, files_port: int) -> None:
        super().__init__(context, live_data_poll_rate=_POLL_MS)
        self._files_port = files_port

    def build_routes(self) -> list[Any]:
        """Our route before Dagster's, whose last one matches everything."""
        from starlette.routing import Route

        return [
            Route(f"{FILES_PATH}/{{name:path}}", self.redirect_to_file_server),
            *super().build_routes(),
        ]

    def redirect_to_file_server(self, request: "Request") -> "Response":
        """Redirect to the file on the file server; 403 from another machine, where none listens."""
        from starlette.responses import PlainTextResponse, RedirectResponse

        host = request.url.hostname
        if host not in LOCAL_NAMES:
            message = (
                f"Files of the local store are served to the machine they lie on, not to {host}."
            )
            return PlainTextResponse(f"{message} Open the UI there, as http://localhost.", 403)
        name = quote(request.path_params["name"])
        # Temporary: tomorrow the files may be served elsewhere.
        headers = {"Cache-Control": "no-store"}
        return RedirectResponse(f"http://{host}:{self._files_port}/{name}", 307, headers)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=3000, show_default=True)
@click.option("--files-port", type=int, required=True, help="Where the file server listens.")
@click.option(
    "--workspace", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True
)
def main(host: str, port: int, files_port: int, workspace: Path) -> None:
    """Serve the UI of the instance in DAGSTER_HOME until a signal comes."""
    import uvicorn

    with dg.DagsterInstance.get() as instance:
        instance.optimize_for_webserver(_STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_S, _POOL_MAX_OVERFLOW)
        with WorkspaceProcessContext(
            instance, WorkspaceFileTarget([str(workspace)]), code_server_log_level="warning"
        ) as context:
            served = RedirectingWebserver(context, files_port).create_asgi_app()
            uvicorn.run(served, host=host, port=port, log_level="warning")


if __name__ == "__main__":
    main()
