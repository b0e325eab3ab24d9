"""Files of the ledger and of the manifest archive: whole or absent, whenever the process dies."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sunriza_assets.errors import StoreError

__all__ = ["locked", "replace_file", "store_errors"]

_LOCK_PATIENCE_S = 60.0


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; synced and renamed when the block ends well.

    Raises:
        StoreError: the file cannot be written (a full disk, too); the former one is still there.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with store_errors("written", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        _sync_folder(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; the kernel frees it when its holder dies.

    Raises:
        StoreError: somebody else has held it for a minute.
    """
    from filelock import FileLock, Timeout

    with store_errors("locked", path):
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
def store_errors(done: str, where: object) -> Iterator[None]:
    """Turn what the operating system says into a `StoreError`; `done` is a participle."""
    try:
        yield
    except OSError as problem:
        full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StoreError(
            "The disk is full" if full else f"This cannot be {done}: {problem.strerror or problem}",
            where=where,
            remedy="Free some space and try again." if full else None,
            code="full" if full else done,
        ) from problem


def _sync_folder(folder: Path) -> None:
    """Make a rename last over a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
