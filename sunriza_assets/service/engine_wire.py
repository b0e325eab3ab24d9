"""The socket between API and engine process: where it lies, its frames, its errors.

A frame is four bytes of length, most significant first, and so many bytes of JSON. A connection
carries one request at a time; who closes it before the answer gives the work up.

    -> {"call": "render", "arguments": {…}}
    <- {"value": …}  or  {"error": {family, what, where, remedy, code, retry_after_s}}
"""

import asyncio
import hashlib
import json
import logging
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from sunriza_assets.atomic import store_errors
from sunriza_assets.errors import LimitError, StoreError, SunrizaError

__all__ = [
    "engine_socket",
    "error_from_dict",
    "error_to_dict",
    "make_private_folder",
    "read_frame",
    "write_frame",
]

MAX_FRAME: Final = 1_000_000
"""Bytes of a frame; pictures go by path."""
_LENGTH: Final = 4
_LONGEST_ADDRESS: Final = 103
"""Bytes of a Unix socket's path: 107 on Linux (`sun_path`), 103 on macOS."""
_log = logging.getLogger(__name__)


def engine_socket(home: Path) -> Path:
    """Where the engine process of a home listens: `service/run/engine.sock`.

    Below a home with a long path it is in a folder of this user below the temporary one, named
    after the home; that is logged, once.
    """
    path = home.absolute() / "service" / "run" / "engine.sock"
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        return path
    name = hashlib.sha256(os.fsencode(home.absolute())).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"sunriza-{os.getuid()}-{name}" / "engine.sock"
    _report_short_path(path, short)
    return short


@cache
def _report_short_path(path: Path, short: Path) -> None:
    _log.warning("The path %s is too long for a socket; the engine listens at %s", path, short)


def make_private_folder(folder: Path) -> None:
    """Make a folder that only this user can enter (0700), or check that it is one.

    Raises:
        StoreError: it cannot be made, is a link, belongs to somebody else, or is open to others.
    """
    with store_errors("make", folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise StoreError(
            "This folder must belong to the user of the service and be closed to others",
            where=folder,
            remedy=f"chmod 700 {folder}, or remove it.",
            code="private",
        )


async def read_frame(reader: asyncio.StreamReader) -> Any | None:
    """The next frame; None if the connection ended before it.

    Raises:
        ValueError: the frame is too long or no JSON.
        ConnectionError: the connection ended within a frame.
    """
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH), "big")
        if length > MAX_FRAME:
            raise ValueError(f"A frame of {length} bytes")
        return json.loads(await reader.readexactly(length))
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise ConnectionError("The connection ended within a frame") from end
        return None


async def write_frame(writer: asyncio.StreamWriter, message: Mapping[str, Any]) -> None:
    """Send a frame."""
    body = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
    writer.write(len(body).to_bytes(_LENGTH, "big") + body)
    await writer.drain()


def error_to_dict(error: SunrizaError) -> dict[str, Any]:
    """A named error as JSON values."""
    return {
        "family": error.family,
        "what": error.what,
        "where": error.where,
        "remedy": error.remedy,
        "code": error.code.removeprefix(error.family).removeprefix(".") or None,
        "retry_after_s": error.retry_after_s if isinstance(error, LimitError) else None,
    }


def error_from_dict(fields: Mapping[str, Any]) -> SunrizaError:
    """The same error again."""
    kind = _families()[fields["family"]]
    known = {name: fields[name] for name in ("where", "remedy", "code")}
    if issubclass(kind, LimitError):
        known["retry_after_s"] = fields["retry_after_s"]
    return kind(fields["what"], **known)


@cache
def _families() -> dict[str, type[SunrizaError]]:
    """Family -> class of the named errors."""

    def descendants(kind: type[SunrizaError]) -> Iterator[type[SunrizaError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from descendants(child)

    return {kind.family: kind for kind in descendants(SunrizaError)}
