"""Atomic writes of files with given modification times, the versions of the local stores."""

import os
import shutil
import time
from pathlib import Path
from typing import IO

from sunriza_assets.atomic import make_folder, replacing, store_errors

__all__ = ["copy_file", "next_time", "write_bytes"]


def write_bytes(
    path: Path, content: bytes, *, mtime_ns: int | None = None, lasting: bool = True
) -> None:
    """Write a file atomically, synced to disk; its folder is made if missing.

    Args:
        path: its place.
        content: all of it.
        mtime_ns: its modification time.
        lasting: see `atomic.replaced`.

    Raises:
        StoreError: it cannot be written (a full disk, too); the former file is unchanged.
    """
    make_folder(path.parent)
    with replacing(path, lasting=lasting) as file:
        file.write(content)
        _stamp(file, mtime_ns)


def copy_file(source: Path, path: Path, *, mtime_ns: int | None = None) -> None:
    """Copy a file atomically, like `write_bytes`.

    It is never a link, which would change with the source.

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
        file.flush()  # a later write would change the time
        os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))
