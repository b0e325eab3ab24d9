"""Clips that are there whole or not at all.

FFmpeg writes by name, and reads what it wrote again to put the index first, so that
`studio.files.replacing`, which hands out an open file, does not serve it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sunriza_assets.studio.files import unwritable

__all__ = ["part_path", "sync_and_rename", "writing"]


def part_path(destination: Path, writer: int | None = None) -> Path:
    """Where a file grows before it is renamed to its destination: in the same folder.

    Args:
        destination: its final place.
        writer: process id of who writes it; this process if not given.
    """
    return destination.with_name(f".{destination.name}.{writer or os.getpid()}.part")


def sync_and_rename(part: Path, destination: Path) -> None:
    """Make what was written durable, then visible under its name in one step."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(destination)


@contextmanager
def writing(destination: Path) -> Iterator[None]:
    """Turn what the system says while a file is written into named errors.

    Raises:
        StoreError: the folder cannot be written to, or the disk is full.
    """
    try:
        yield
    except OSError as error:  # PyAV's errors with an errno are such, too
        raise unwritable(destination, error) from error
