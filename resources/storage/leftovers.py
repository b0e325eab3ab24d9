"""What killed writers have left below SUNRIZA_HOME: files that grew beside their place.

Every file grows as `.<name>.<writer>.part` and is renamed at its end (`sunriza_assets.atomic`). Of
a writer that is killed the part stays. Its name does not say on which machine the writer was, so
age decides: nothing is written for a day. Looking through a large home takes seconds, so it is done
once a day, when a step begins.
"""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Final

from resources.home import Home
from sunriza_assets.atomic import store_errors

__all__ = ["sweep_leftovers"]

_STALE_S: Final = 24 * 3600
_INTERVAL_S: Final = 24 * 3600
_STAMP: Final = ".swept"
_PART: Final = re.compile(r"\..+\.(?:\d+(?:\.\d+)?|[0-9a-f]{32})\.part")
"""Process id, process and thread id, or a random number: see `part_path` and its kin."""
_FETCHING: Final = re.compile(r"\.[0-9a-f]{64}\.\d+")
"""The folder in which `template_cache` fetches an entry from a shared bucket."""


def sweep_leftovers(home: Home, *, force: bool = False) -> int:
    """Remove parts that have not been written to for a day.

    Args:
        home: where to look; links are not followed.
        force: look even if somebody has looked today.

    Returns:
        How many were removed; 0 when it was not looked.

    Raises:
        StoreError: a folder cannot be read.
    """
    if not home.root.is_dir() or not (force or _is_due(home.root / _STAMP)):
        return 0
    removed = 0
    with store_errors("sweep", home.root):
        for entry in _entries(home.root):
            removed += _remove_if_stale(entry)
    return removed


def _is_due(stamp: Path) -> bool:
    """Whether nobody has looked for a day; whoever is told so has the turn."""
    try:
        due = time.time() - stamp.stat().st_mtime > _INTERVAL_S
    except FileNotFoundError:
        due = True
    if due:
        with store_errors("write", stamp):
            stamp.touch(mode=0o600)
    return due


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All files and folders whose name is that of a leftover, at any depth."""
    waiting = [str(folder)]
    while waiting:
        # A folder that cannot be entered, a database's perhaps, holds nothing that we have written.
        gone = contextlib.suppress(FileNotFoundError, PermissionError)
        with gone, os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if _PART.fullmatch(entry.name) or _FETCHING.fullmatch(entry.name):
                    yield entry
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def _remove_if_stale(entry: os.DirEntry[str]) -> bool:
    """Remove a leftover that is old enough."""
    # Its writer or another process's sweep may be faster; another user's file is left alone.
    with contextlib.suppress(FileNotFoundError, PermissionError):
        status = entry.stat(follow_symlinks=False)
        if time.time() - status.st_mtime <= _STALE_S:
            return False
        if S_ISREG(status.st_mode):
            Path(entry.path).unlink()
            return True
        if S_ISDIR(status.st_mode):
            shutil.rmtree(entry.path)
            return True
    return False
