"""HTTP server of the local store's objects on this machine's loopback, read-only.

Browsers follow no `file:` link from a page loaded over HTTP, so the Dagster UI could not link to
files. `sunriza dev` starts this server next to the UI. Links in metadata must not contain ports or
homes, so they are paths below `/files` of the UI that shows them, which redirects here
(docs/decisions/links-in-metadata.md); a bucket's objects have URLs of their own.

    python -m resources.serving.media_server 3001

The content of the store is untrusted. So pages are sandboxed in an origin of their own, and
requests whose Host is not this machine are refused, against DNS rebinding.
"""

import contextlib
import os
import socket
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from resources.home import Home
from resources.serving.avatar_list import LIST_HEADERS, list_page
from resources.settings import current_settings
from resources.storage.local import LocalStorage
from resources.storage.objects import content_type_of
from sunriza_assets.errors import StoreError

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = [
    "FILES_PATH",
    "LOCAL_NAMES",
    "application",
    "available_port",
    "link",
    "start_with_parent",
]

FILES_PATH: Final = "/files"
"""Path of the UI below which it redirects to the file server of its home."""
LOCAL_NAMES: Final = ("localhost", "127.0.0.1")
"""Host names that the file server accepts."""
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_SCRIPTLESS_TYPES: Final = ("video/", "image/jpeg", "image/png", "image/webp")
"""Content types that run no scripts; browsers play no videos in a sandboxed origin."""
_SANDBOX: Final = {
    "Content-Security-Policy": (
        "sandbox allow-scripts; default-src 'self' data: blob: 'unsafe-inline'"
    )
}


def link(url: str) -> str:
    """The link to a stored object on a page of the UI.

    Args:
        url: as `StoredObject.url` has it.

    Returns:
        For an object of the local store a path of the UI, independent of port and home; below
        SUNRIZA_MEDIA_URL if that is set. Other URLs unchanged.
    """
    own = Home.from_environment().storage.as_uri() + "/"
    if not url.startswith(own):
        return url
    address = current_settings().media_url
    return f"{address.rstrip('/')}/{quote(unquote(url.removeprefix(own)))}"


def available_port(wanted: int) -> int:
    """The wanted port if it is free, else another free port."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise StoreError("This machine has no free port", code="port")


def application(home: Home) -> "Starlette":
    """The ASGI application: GET and HEAD of every object of a home, with ranges; else 404.

    The root lists the avatars with links to their preview pages.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
    from starlette.routing import Route

    storage = LocalStorage(home)

    def serve_object(request: Request) -> Response:
        try:
            path = storage.fetch(request.path_params["name"], home.cache)
        except StoreError as error:
            return PlainTextResponse(error.message, 404, _HEADERS)
        kind = content_type_of(path.name)
        headers = _HEADERS if kind.startswith(_SCRIPTLESS_TYPES) else _HEADERS | _SANDBOX
        return FileResponse(path, headers=headers, media_type=kind)

    def avatars(request: Request) -> Response:
        page = list_page(home, after=request.query_params.get("after", ""))
        return HTMLResponse(page, headers=_HEADERS | LIST_HEADERS)

    def no_icon(_: Request) -> Response:
        return Response(status_code=204)  # browsers request it, and log a 404

    return Starlette(
        routes=[
            Route("/", avatars),
            Route("/favicon.ico", no_icon),
            Route("/{name:path}", serve_object),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL_NAMES))],
    )


def start_with_parent(port: int) -> None:
    """Start the server as a child that exits with this process, also after an `exec`.

    The child holds the reading end of a pipe, and only this process has the writing end. The child
    exits once that is closed, which any end of this process does, kill -9 included.
    """
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)  # kept over exec; children started later do not get it
    subprocess.Popen([sys.executable, "-m", __name__, str(port)], stdin=reading)
    os.close(reading)


def _exit_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # unbuffered: this thread holds no lock when Ctrl-C comes first
    os._exit(0)


def _serve(port: int) -> None:
    import uvicorn

    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):  # started by `start_with_parent`
        threading.Thread(target=_exit_with_parent, daemon=True).start()
    else:
        sys.stdout.write(f"http://localhost:{port}\n")
        sys.stdout.flush()
    served = application(Home.from_environment())
    uvicorn.run(served, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
