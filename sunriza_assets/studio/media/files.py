"""Clips that are there whole or not at all.

FFmpeg writes by name, and a clip is often written by a child process and put in its place by the
parent, so the steps of `sunriza_assets.atomic.replaced` are needed one by one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sunriza_assets.atomic import part_path, store_errors

__all__ = ["part_path", "sync_and_rename", "writing"]


def sync_and_rename(part: Path, destination: Path) -> None:
    """Make what was written durable, then visible under its name in one step."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(destination)


@contextmanager
def writing(destination: Path) -> Iterator[None]:
    """Turn what the system says while a file is written into named errors; PyAV's errors, too.

    Raises:
        StoreError: the folder cannot be written to, or the disk is full.
    """
    with store_errors("write", destination):
        yield
