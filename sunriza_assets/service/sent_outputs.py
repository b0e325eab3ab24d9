"""Answers that carry an output's file: whole, in ranges, or not at all if the caller has it."""

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from fastapi import HTTPException, Request, Response
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from resources.orders.spoken import object_name
from resources.orders.store import Output
from sunriza_assets.errors import StoreError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import Service, in_thread
from sunriza_assets.service.outputs import (
    MEDIA_TYPES,
    OpenOutput,
    OutputFolder,
    is_output_name,
    no_such_output,
)

__all__ = ["FILE_ANSWERS", "remove_output", "send_output"]

_MOST_RANGES: Final = 100
_RANGE: Final = re.compile(r"([0-9]{0,15})-([0-9]{0,15})")


def file_answers(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of a route that answers with a file."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in media_types}
    return {
        200: {"content": content, "description": "The file."},
        206: {"content": content, "description": "The range of the file that was asked for."},
        304: {"description": "It is what the caller has (If-None-Match)."},
        416: {"description": "The range lies beyond the end of the file."},
    }


FILE_ANSWERS: Final = file_answers(*dict.fromkeys(MEDIA_TYPES.values()))
"""Of a route that answers with any output."""


async def send_output(
    request: Request, filename: str, service: Service, principal: Principal
) -> Response:
    """The answer with a caller's output.

    One of an order that is not on this disk is fetched from the bucket first.

    Raises:
        AccessError: `missing`.
        StoreError: the bucket cannot be read.
    """
    known = await _own(filename, service, principal)
    folder = OutputFolder(service.outputs_folder)
    output = await in_thread(folder.open, filename)
    if output is None and known.order_id is not None:
        await in_thread(_fetch, service, folder, known)
        output = await in_thread(folder.open, filename)
    if output is None:
        raise no_such_output()
    response = _OutputResponse(output, filename)
    try:
        return _conditional(request, response, output.facts.st_size)
    except BaseException:
        response.close()
        raise


async def remove_output(filename: str, service: Service, principal: Principal) -> None:
    """Delete a caller's output, wherever it lies.

    Raises:
        AccessError: `missing`.
        StoreError: it cannot be deleted.
    """
    known = await _own(filename, service, principal)

    def remove() -> bool:
        OutputFolder(service.outputs_folder).remove(filename)
        if known.order_id is not None:
            service.stores.storage.delete(object_name(known.order_id, filename))
        return service.orders.remove_output(filename)

    if not await in_thread(remove):  # of two that delete at once one was first
        raise no_such_output()


async def _own(filename: str, service: Service, principal: Principal) -> Output:
    """Refuse names that are none, and what belongs to others, in the same words.

    Raises:
        AccessError: `missing`.
    """
    if not is_output_name(filename):
        raise no_such_output()
    known = await in_thread(service.orders.output, filename)
    if known is None or not principal.owns(known.owner):
        raise no_such_output()
    return known


def _fetch(service: Service, folder: OutputFolder, output: Output) -> None:
    """Copy an order's output from the bucket; nothing if it is not there."""
    name = object_name(output.order_id or "", output.name)
    storage = service.stores.storage
    with TemporaryDirectory(prefix="sunriza-", dir=service.folder) as scratch:
        try:
            found = storage.fetch(name, Path(scratch))
        except StoreError:
            if storage.stat(name) is None:
                return
            raise
        folder.copy_in(output.name, found)


class _OutputResponse(FileResponse):
    """An open file, whole or in ranges, closed whatever becomes of the connection."""

    def __init__(self, output: OpenOutput, filename: str) -> None:
        self._descriptor = output.descriptor
        super().__init__(
            # The very file that was opened, whatever its name means by now.
            f"/dev/fd/{output.descriptor}",
            media_type=output.media_type,
            stat_result=output.facts,
            filename=filename,
            content_disposition_type="inline",
            headers={
                "Cache-Control": "private, no-cache",
                "X-Content-Type-Options": "nosniff",
            },
        )

        self.only: str | None = None
        """A Range header, checked; None for the whole file."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [pair for pair in scope["headers"] if pair[0] not in (b"range", b"if-range")]
        if self.only is not None:
            headers.append((b"range", self.only.encode()))
        try:
            await super().__call__({**scope, "headers": headers}, receive, send)
        finally:
            self.close()

    def close(self) -> None:
        """Close the file, for an answer that is not sent."""
        os.close(self._descriptor)


def _conditional(request: Request, response: _OutputResponse, size: int) -> Response:
    """What a request's conditions make of the answer with the whole file (RFC 9110, 13 and 14)."""
    headers = request.headers
    tag = response.headers["etag"]
    if (known := headers.get("if-none-match")) is not None and _names(known, tag):
        response.close()
        kept = ("etag", "cache-control", "last-modified")
        return Response(status_code=304, headers={name: response.headers[name] for name in kept})
    wanted = headers.get("range")
    if request.method != "GET" or wanted is None:
        return response
    if headers.get("if-range", tag) not in (tag, response.headers["last-modified"]):
        return response  # of another file than this
    ranges = _ranges(wanted, size)
    if ranges is not None:
        response.only = "bytes=" + ",".join(f"{first}-{last}" for first, last in ranges)
    return response


def _names(condition: str, tag: str) -> bool:
    """Whether an If-None-Match names a tag; weak tags compare as strong ones."""
    tags = [one.strip().removeprefix("W/") for one in condition.split(",")]
    return "*" in tags or tag in tags


def _ranges(header: str, size: int) -> list[tuple[int, int]] | None:
    """(first byte, last byte) of a Range header's satisfiable ranges; None takes the whole file.

    A header that is malformed, or that asks for too many ranges, is ignored.

    Raises:
        HTTPException: 416: no range is satisfiable.
    """
    unit, _, listed = header.partition("=")
    parts = [part.strip() for part in listed.split(",")]
    found = [_RANGE.fullmatch(part) for part in parts]
    if unit.strip().lower() != "bytes" or len(parts) > _MOST_RANGES:
        return None
    ranges = []
    for match in found:
        if match is None or match[0] == "-":
            return None
        first, last = match[1], match[2]
        if not first:
            ranges.append((max(0, size - int(last)), size - 1 if int(last) else -1))
        elif last and int(last) < int(first):
            return None
        else:
            ranges.append((int(first), min(int(last), size - 1) if last else size - 1))
    satisfiable = [(first, last) for first, last in ranges if first <= last]
    if not satisfiable:
        raise HTTPException(
            416, "The range lies beyond the end of the file",
            headers={"Content-Range": f"bytes */{size}"},
        )  # fmt: skip
    return satisfiable
