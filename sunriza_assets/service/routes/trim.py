"""`trimVideo`: a clip cut exactly to the frame, as the Cloud Function of old answered it."""

import math
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from sunriza_assets.errors import LimitError, ParameterError
from sunriza_assets.service.clips import fetch_clip
from sunriza_assets.service.context import PrincipalDep, Service, ServiceDep
from sunriza_assets.service.json_bodies import documented_body, read_object
from sunriza_assets.service.missing import MissingParameterError
from sunriza_assets.service.schemas.trim import TRIM_REQUEST

__all__ = ["router"]

router = APIRouter(tags=["trim"])

LONGEST_S: Final = 11.0
"""Seconds of a trimmed clip; the app lets 10.9 s pass."""
TRIMS_AT_ONCE: Final = 2
"""Trims that one process works on."""
_BODY: Final = documented_body(TRIM_REQUEST)
_BUSY_S: Final = 5.0
_REQUIRED: Final = ("video_url", "start_time", "end_time")
_CLIP: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The clip.",
        "content": {"video/mp4": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/trimVideo",
    response_class=Response,
    responses=_CLIP,
    summary="Cut a clip to the frame",
    openapi_extra=_BODY,
)
@router.post(
    "/trim-video",
    response_class=Response,
    responses=_CLIP,
    summary="Cut a clip to the frame, by its other name",
    openapi_extra=_BODY,
)
async def trim_video(
    request: Request,
    service: ServiceDep,
    principal: PrincipalDep,
) -> Response:
    """The whole file is finished before its first byte is sent, so its length is known."""
    url, start_s, end_s = _checked(read_object(request))
    with _slot(service):
        folder = service.uploads_folder / f"trim-{secrets.token_hex(8)}"
        try:
            folder.mkdir(mode=0o700, parents=True)
            clip = await fetch_clip(
                service, principal, url, folder, host=request.headers.get("host", "")
            )
            trimmed = folder / "trimmed.mp4"
            try:
                await service.engine.trim(clip, start_s, end_s, trimmed, owner=principal.uid)
            except LimitError as error:  # of another process
                raise _busy() from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return _TrimmedClip(trimmed)


class _TrimmedClip(FileResponse):
    """A file in a folder of its own, which is deleted when it has been sent, or cannot be."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            media_type="video/mp4",
            filename="trimmed.mp4",
            headers={"Cache-Control": "no-store"},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the whole file; parts (Range) are for GET alone."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        try:
            await super().__call__({**scope, "headers": headers}, receive, send)
        finally:
            shutil.rmtree(Path(self.path).parent, ignore_errors=True)


def _checked(body: Mapping[str, Any]) -> tuple[str, float, float]:
    """Address, start and end in seconds.

    Raises:
        ParameterError: something is missing, of the wrong kind, or out of range.
    """
    missing = [name for name in _REQUIRED if body.get(name) in (None, "")]
    if missing:
        raise MissingParameterError(
            f"Missing required parameters: {', '.join(missing)}", code="missing"
        )
    url = body["video_url"]
    if not isinstance(url, str):
        raise ParameterError("video_url is no text", code="video_url")
    start_s, end_s = (_seconds(name, body[name]) for name in ("start_time", "end_time"))
    if end_s <= start_s:
        raise ParameterError(
            "end_time is not after start_time", remedy="Both are seconds.", code="range"
        )
    if end_s - start_s > LONGEST_S:
        raise ParameterError(
            f"The part is longer than {LONGEST_S:g} s",
            remedy="Choose a shorter one.",
            code="range",
        )
    return url, start_s, end_s


def _seconds(name: str, value: object) -> float:
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if abs(value) < 1e9 else math.inf
    if not math.isfinite(number) or number < 0:
        raise ParameterError(
            f"{name} is {str(value)[:60]!r}", remedy="Send seconds, 0 or more.", code="range"
        )
    return number


@contextmanager
def _slot(service: Service) -> Iterator[None]:
    """Hold one of the few places for trims.

    Raises:
        LimitError: `limit.queue` all are taken.
    """
    taken = service.extra.setdefault("trims", set())
    if len(taken) >= TRIMS_AT_ONCE:
        raise _busy()
    mine = object()
    taken.add(mine)
    try:
        yield
    finally:
        taken.discard(mine)


def _busy() -> LimitError:
    return LimitError(
        "Other clips are being trimmed",
        remedy="Try again in a few seconds.",
        code="queue",
        retry_after_s=_BUSY_S,
    )
