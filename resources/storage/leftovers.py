"""Removal of partial files that killed writers left below SUNRIZA_HOME.

Every file is written as `.<name>.<writer>.part` and renamed at the end (`sunriza_assets.atomic`). A
killed writer leaves its part. The name does not contain the writer's machine, so parts are removed
by age: no write takes a day. Scanning a large home takes seconds, so it is done once a day, when a
step begins.
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
        home: the home to scan; links are not followed.
        force: scan even if it was scanned today.

    Returns:
        Number of removed parts; 0 if it was not scanned.

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
    """Whether the last scan is more than a day ago; if so, now counts as the last."""
    try:
        due = time.time() - stamp.stat().st_mtime > _INTERVAL_S
    except FileNotFoundError:
        due = True
    if due:
        with store_errors("write", stamp):
            stamp.touch(mode=0o600)
    return due


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All files and folders with the name of a leftover, at any depth."""
    waiting = [str(folder)]
    while waiting:
        # A folder that cannot be entered, such as a database's, contains no file of this system.
        gone = contextlib.suppress(FileNotFoundError, PermissionError)
        with gone, os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if _PART.fullmatch(entry.name) or _FETCHING.fullmatch(entry.name):
                    yield entry
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def _remove_if_stale(entry: os.DirEntry[str]) -> bool:
    """Remove a leftover that is old enough; whether it was removed."""
    # Its writer or another process may remove it first; another user's file is skipped.
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
