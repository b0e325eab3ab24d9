"""Files that are whole or absent, and the locks that order their writers.

Every file is written beside its place, synced and renamed, so that a kill at any instruction leaves
the former file or the new one. To `sunriza_assets.studio.files` this adds what stores need: chosen
modification times, synced folders and locks. Nothing here knows what is inside a file.
"""

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from sunriza_assets.errors import StoreError
from sunriza_assets.studio.files import replacing

__all__ = ["copy_file", "lock", "next_time", "store_errors", "write_bytes"]

_LOCK_PATIENCE_S = 60.0


def write_bytes(path: Path, content: bytes, *, mtime_ns: int | None = None) -> None:
    """Put a file in place, synced to disk, its folder made where missing.

    Raises:
        StoreError: it cannot be written (a full disk, too); what was there before still is.
    """
    _make_folder(path.parent)
    with replacing(path) as file:
        file.write(content)
        _stamp(file, mtime_ns)
    _sync_folder(path.parent)


def copy_file(source: Path, path: Path, *, mtime_ns: int | None = None) -> None:
    """Put a copy of a file in place, like `write_bytes`.

    It is always a copy: a link would change with whatever happens to the source later.

    Raises:
        StoreError: the source cannot be read, or the copy not written.
    """
    _make_folder(path.parent)
    with store_errors("read", source), source.open("rb") as original, replacing(path) as file:
        shutil.copyfileobj(original, file, 1 << 20)
        _stamp(file, mtime_ns)
    _sync_folder(path.parent)


def next_time(former_ns: int | None) -> int:
    """A modification time (ns) for the next version of a file: now, and later than the former's."""
    now = time.time_ns()
    return now if former_ns is None else max(now, former_ns + 1)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock file; the kernel frees it when its holder dies.

    Raises:
        StoreError: somebody else has held it for a minute.
    """
    with store_errors("lock", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        holding = FileLock(path, timeout=_LOCK_PATIENCE_S, poll_interval=0.01)
        try:
            holding.acquire()
        except Timeout as late:
            raise StoreError(
                f"Another process has held this lock for {_LOCK_PATIENCE_S:.0f} s",
                where=path,
                remedy="End the process that hangs and try again.",
                code="locked",
            ) from late
    try:
        yield
    finally:
        holding.release()


@contextmanager
def store_errors(doing: str, where: object) -> Iterator[None]:
    """Turn what the operating system says into a `StoreError`."""
    try:
        yield
    except OSError as problem:
        full = problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise StoreError(
            "The disk is full" if full else f"Cannot {doing} this: {problem.strerror or problem}",
            where=where,
            remedy="Free some space and try again." if full else None,
            code="full" if full else doing,
        ) from problem


def _make_folder(folder: Path) -> None:
    with store_errors("make", folder):
        folder.mkdir(parents=True, exist_ok=True)


def _stamp(file: IO[bytes], mtime_ns: int | None) -> None:
    if mtime_ns is not None:
        file.flush()  # a later write would stamp it anew
        os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))


def _sync_folder(folder: Path) -> None:
    """Make a rename last over a power cut."""
    with store_errors("sync", folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
