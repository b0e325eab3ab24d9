"""Writing a file so that a reader only ever meets a whole one, whatever happens to the writer."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sunriza_assets.errors import StoreError

__all__ = ["replacing", "unwritable", "write_json"]


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Give a file beside `path` to write to; sync it and rename it over `path` at the end.

    After an error, or a kill at any line, `path` is what it was before.

    Raises:
        StoreError: the folder cannot be written to, or the disk is full.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        beside.unlink(missing_ok=True)


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
