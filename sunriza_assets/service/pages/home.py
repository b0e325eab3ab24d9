"""`/`: where everything is, and how the first avatar is made."""

from collections.abc import Iterator
from html import escape
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from sunriza_assets import __version__
from sunriza_assets.service.auth.addresses import Caller
from sunriza_assets.service.context import Service, ServiceDep
from sunriza_assets.service.pages.layout import page

__all__ = ["router"]

_KEY: Final = ' -H "X-API-Key: $KEY"'

router = APIRouter()


@router.get("/", response_class=HTMLResponse, tags=["health"], summary="First page, for browsers")
async def home(request: Request, service: ServiceDep) -> Response:
    """Where everything is, and how the first avatar is made.

    What only this machine reaches is shown to this machine alone.
    """
    caller: Caller = request.state.client
    address = str(request.base_url).rstrip("/")
    return page(f"Sunriza {__version__}", _body(service, address, is_local=caller.loopback))


def _body(service: Service, address: str, *, is_local: bool) -> Iterator[str]:
    yield "<p>A portrait and a short talking clip become an avatar that moves.</p><nav>"
    for path, name, text in _links(service, is_local=is_local):
        target = path if "://" in path else f"{service.base_path}/{path}"
        yield f"<a href='{escape(target)}'><b>{escape(name)}</b>{escape(text)}</a>"
    yield "</nav><h2>The first avatar</h2>"
    key = "" if service.open_mode else _KEY
    if key:
        yield "<p>Callers need a Firebase ID token, or an API key as <code>KEY</code>:"
        yield " <code>sunriza keys add</code> makes one.</p>"
    yield "<p>Send a portrait and a clip. Without a clip, a built-in performance moves it.</p>"
    yield _command(f"curl{key} -F portrait=@portrait.jpg -F clip=@clip.mp4 {address}/avatars")
    yield "<p>The answer names the avatar and its job. Watch all your jobs:</p>"
    yield _command(f"curl -N{key} {address}/jobs/events")
    yield "<p>All avatars, the newest first:</p>"
    yield _command(f"curl{key} {address}/avatars")
    yield "<p>When the job is done, the files of the avatar are listed:</p>"
    yield _command(f"curl{key} {address}/avatars/ID/gallery")


def _links(service: Service, *, is_local: bool) -> Iterator[tuple[str, str, str]]:
    """Address, name and description of what this reader's browser may open."""
    if is_local:
        yield "docs", "API documentation", "Every route, with a command that calls it"
    else:
        yield "openapi.json", "API documentation", "As OpenAPI document"
    if service.open_mode:  # a browser sends no key
        yield "avatars", "Avatars", "All there are, as JSON"
    if is_local and service.settings.dagster_ui is not None:
        yield service.settings.dagster_ui, "Dagster UI", "Runs, assets and what they were made of"
    if is_local:
        yield "metrics", "Metrics", "For Prometheus"
    yield "health/ready", "Health", "Whether all parts are ready"


def _command(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"
