"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["part_path", "sync_and_rename", "written_beside"]


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
def written_beside(destination: Path) -> Iterator[Path]:
    """A path to write to; it becomes the destination if the block ends well, else it goes."""
    part = part_path(destination)
    try:
        yield part
        sync_and_rename(part, destination)
    finally:
        part.unlink(missing_ok=True)
