"""Files that are there whole or not at all, and the locks that order their writers.

Every file grows beside its place, is synced and then renamed over it, so that after an error, a
kill at any line or a power cut there is the former file or the new one, never a piece. What
is made in a folder that is closed to others is closed to them, too. Nothing here knows what is
inside a file.
"""

import errno
import fcntl
import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from sunriza_assets.errors import StoreError

__all__ = [
    "LOCK_PATIENCE_S",
    "lock",
    "make_folder",
    "part_path",
    "replaced",
    "replacing",
    "store_errors",
]

LOCK_PATIENCE_S: Final = 60.0
"""How long a lock is waited for."""
_POLL_S: Final = 0.01


@contextmanager
def replacing(path: Path, *, lasting: bool = True) -> Iterator[IO[bytes]]:
    """An open file to write to, which takes the place of `path` when the block ends well.

    Args:
        path: its place.
        lasting: see `replaced`.

    Raises:
        StoreError: it cannot be written (no such folder, a full disk); what was there still is.
    """
    with replaced(path, lasting=lasting) as part, part.open("wb") as file:
        yield file


@contextmanager
def replaced(path: Path, *, lasting: bool = True) -> Iterator[Path]:
    """A name beside `path` to write to, for writers that open files themselves (FFmpeg, Parquet).

    What lies under that name when the block ends well takes the place of `path`.

    Args:
        path: its place.
        lasting: whether the new file stays after a power cut, too; False where somebody writes it
            again then, and the former file, whole, will do until then.

    Raises:
        StoreError: it cannot be written (no such folder, a full disk); what was there still is.
    """
    part = part_path(path)
    try:
        with store_errors("write", path):
            yield part
            _close_to_others(part)
            _sync(part)
            part.replace(path)
            if lasting:
                _sync(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def part_path(path: Path, writer: int | None = None) -> Path:
    """Where a file grows before it is renamed: in the same folder, hidden.

    Args:
        path: its final place.
        writer: process id of who writes it; this process if not given.
    """
    return path.with_name(f".{path.name}.{writer or os.getpid()}.part")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing; as private as what they are in.

    Raises:
        StoreError: it cannot be made.
    """
    with store_errors("make", folder):
        if folder.is_dir():
            return
        missing = [one for one in (folder, *folder.parents) if not one.is_dir()]
        for one in reversed(missing):
            one.mkdir(mode=0o777 & _shared(one.parent), exist_ok=True)


@contextmanager
def lock(path: Path, *, patience_s: float = LOCK_PATIENCE_S) -> Iterator[None]:
    """Hold a lock file, its folder made where missing; the kernel frees it when its holder dies.

    Raises:
        StoreError: somebody else has held it for so long.
    """
    make_folder(path.parent)
    with store_errors("lock", path):
        held = _locked(path, 0o644 & _shared(path.parent), time.monotonic() + patience_s)
        if held is None:
            raise StoreError(
                f"Another process has held this lock for {patience_s:.0f} s",
                where=path,
                remedy="End the process that hangs and try again.",
                code="locked",
            )
    with held:
        try:
            yield
        finally:
            fcntl.flock(held, fcntl.LOCK_UN)  # a forked child may share the descriptor


def _locked(path: Path, mode: int, until: float) -> "io.FileIO | None":
    """The open file with its lock held; None if somebody else holds it until then.

    A file object, not a descriptor: an exception at any line closes it, and so frees the lock.
    """

    def opened(name: str, _: int) -> int:
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)

    while True:
        file = io.FileIO(path, "r+", opener=opened)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            if time.monotonic() >= until:
                return None
            time.sleep(_POLL_S)
            continue
        status = os.fstat(file.fileno())
        if status.st_nlink:
            if status.st_mode & 0o777 != mode and status.st_uid == os.geteuid():
                os.fchmod(file.fileno(), mode)  # whatever the umask
            return file
        file.close()  # it was removed before it was locked: others lock a new one


@contextmanager
def store_errors(doing: str, where: object) -> Iterator[None]:
    """Turn what the operating system says into a `StoreError` with the code `doing`, or `full`.

    Args:
        doing: what was attempted, a verb: read, write, make, lock.
        where: the file or folder it was attempted on.
    """
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


def _shared(folder: Path) -> int:
    """The bits of a mode that a folder leaves to what is in it: all, or those of its owner alone.

    Its group's and others' go where the folder itself is closed to them.
    """
    mode = folder.stat().st_mode
    return 0o777 & ~sum(bits for bits in (0o070, 0o007) if not mode & bits)


def _close_to_others(path: Path) -> None:
    """Take a file's rights from whoever may not enter its folder."""
    mode = path.stat().st_mode & 0o777
    wanted = mode & _shared(path.parent)
    if wanted != mode:
        path.chmod(wanted)


def _sync(path: Path) -> None:
    """Have the disk hold what was written to a file, or which names a folder has."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
