"""Atomic writing of clips.

FFmpeg writes by name, and a clip is often written by a child process and put in its place by the
parent, so the steps of `sunriza_assets.atomic.replaced` are needed one by one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sunriza_assets.atomic import part_path, store_errors

__all__ = ["part_path", "sync_and_rename", "write_errors"]


def sync_and_rename(part: Path, destination: Path) -> None:
    """Sync a written file to disk, then rename it to its destination atomically."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(destination)


@contextmanager
def write_errors(destination: Path) -> Iterator[None]:
    """Convert errors while a file is written, PyAV's too, into named errors.

    Raises:
        StoreError: the folder cannot be written to, or the disk is full.
    """
    with store_errors("write", destination):
        yield
