"""The folder of uploads: made private, and swept of what killed processes have left."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from sunriza_assets.atomic import store_errors
from sunriza_assets.service.context import in_thread

__all__ = ["keep_swept", "make_uploads_folder", "sweep_uploads"]

KEPT_S: Final = 3600.0
"""Files older than this belong to no request any more."""
_SWEEP_S: Final = 600.0


def make_uploads_folder(folder: Path) -> None:
    """Make the folder of uploads and those above it, mode 0700.

    Raises:
        StoreError: it cannot be made.
    """
    with store_errors("make", folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)


def sweep_uploads(folder: Path, *, kept_s: float = KEPT_S) -> int:
    """Delete files that a killed process has left; how many."""
    removed = 0
    oldest = time.time() - kept_s
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                if path.lstat().st_mtime < oldest and not path.is_dir():
                    path.unlink()
                    removed += 1
    return removed


async def keep_swept(folder: Path) -> None:
    """Sweep now and every ten minutes, until cancelled."""
    while True:
        await in_thread(sweep_uploads, folder)
        await asyncio.sleep(_SWEEP_S)
