"""Whole files with chosen modification times: what the local stores tell versions apart by."""

import os
import shutil
import time
from pathlib import Path
from typing import IO

from sunriza_assets.atomic import make_folder, replacing, store_errors

__all__ = ["copy_file", "next_time", "write_bytes"]


def write_bytes(path: Path, content: bytes, *, mtime_ns: int | None = None) -> None:
    """Put a file in place, synced to disk, its folder made where missing.

    Raises:
        StoreError: it cannot be written (a full disk, too); what was there before still is.
    """
    make_folder(path.parent)
    with replacing(path) as file:
        file.write(content)
        _stamp(file, mtime_ns)


def copy_file(source: Path, path: Path, *, mtime_ns: int | None = None) -> None:
    """Put a copy of a file in place, like `write_bytes`.

    It is always a copy: a link would change with whatever happens to the source later.

    Raises:
        StoreError: the source cannot be read, or the copy not written.
    """
    make_folder(path.parent)
    with store_errors("read", source), source.open("rb") as original, replacing(path) as file:
        shutil.copyfileobj(original, file, 1 << 20)
        _stamp(file, mtime_ns)


def next_time(former_ns: int | None) -> int:
    """A modification time (ns) for the next version of a file: now, and later than the former's."""
    now = time.time_ns()
    return now if former_ns is None else max(now, former_ns + 1)


def _stamp(file: IO[bytes], mtime_ns: int | None) -> None:
    if mtime_ns is not None:
        file.flush()  # a later write would stamp it anew
        os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))
