"""Index of the local avatars whose runs are held back, for `AvatarStore.due`.

    avatars/.waiting/<id>    an empty file; its modification time is when the avatar is due

The record is authoritative (`RunRecord.waiting`). A mark is written before the record and removed
after it, so a killed process may leave a mark too many, never one too few.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Final

from resources.avatars.ids import is_avatar_id
from resources.avatars.instants import rfc3339
from resources.avatars.store import Cursor
from resources.avatars.waiting import Waiting
from resources.storage.stamped import write_bytes
from sunriza_assets.atomic import store_errors

__all__ = ["WaitingMarks"]

_FOLDER: Final = ".waiting"


class WaitingMarks:
    """The marks of one folder of avatars."""

    def __init__(self, avatars: Path) -> None:
        self._folder = avatars / _FOLDER

    def put(self, avatar_id: str, waiting: Waiting) -> None:
        """Mark an avatar as due at the end of its wait."""
        write_bytes(self._folder / avatar_id, b"", mtime_ns=_nanoseconds(waiting.until))

    def remove(self, avatar_id: str) -> None:
        """Remove an avatar's mark, if it has one."""
        path = self._folder / avatar_id
        with store_errors("write", path):
            path.unlink(missing_ok=True)

    def due(self, now: datetime) -> list[Cursor]:
        """The avatars that are due at this time, the longest due first."""
        if not self._folder.is_dir():
            return []
        found = []
        with store_errors("read", self._folder), os.scandir(self._folder) as entries:
            for entry in entries:
                if is_avatar_id(entry.name):
                    try:
                        stamp = entry.stat(follow_symlinks=False).st_mtime_ns
                    except FileNotFoundError:  # removed since the folder was opened
                        continue
                    if stamp <= _nanoseconds(now):
                        found.append(Cursor(rfc3339(stamp), entry.name))
        return sorted(found)


def _nanoseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1_000_000) * 1000
