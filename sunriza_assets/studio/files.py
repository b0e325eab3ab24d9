"""JSON documents on disk, whole ones only: `sunriza_assets.atomic` sees to that."""

import errno
import json
from pathlib import Path
from typing import Any

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import StoreError

__all__ = ["replacing", "unwritable", "write_json"]


def unwritable(path: Path, error: OSError) -> StoreError:
    """What the system said while a file was written, as a named error: `full` or `write`."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return StoreError(
        "The disk is full" if full else f"File cannot be written: {error.strerror or error}",
        where=path,
        remedy="Free some space and try again." if full else "Check that the folder is there.",
        code="full" if full else "write",
    )


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document, one trailing newline, keys in the order given.

    Raises:
        StoreError: as `replacing` does.
        ValueError: it holds what JSON has no word for (NaN, infinity).
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    with replacing(path) as file:
        file.write(text.encode() + b"\n")
