"""Scratch folders, in which steps write before their results are stored.

A result is needed after its function returns, until the IO manager has stored it, so a scratch
folder belongs to the step and not to a `with` block. Folders of killed processes are removed later.
"""

import shutil
import tempfile
import time
from pathlib import Path

from resources.home import Home
from resources.process_names import is_gone, this_process
from resources.storage.leftovers import sweep_leftovers
from sunriza_assets.atomic import make_folder

__all__ = ["discard", "new_folder", "sweep"]

_MARK = "step-"
_STALE_S = 24 * 3600
"""Age at which folders of processes on other machines are removed; no step runs for a day."""


def new_folder(home: Home) -> Path:
    """A new empty folder for one step, on the same disk as the local storage."""
    root = home.cache / "scratch"
    home.make()
    make_folder(root)
    sweep(home)
    sweep_leftovers(home)
    return Path(tempfile.mkdtemp(prefix=f"{_MARK}{this_process().replace(':', ',')}-", dir=root))


def discard(home: Home, path: Path) -> None:
    """Remove the scratch folder that contains `path`; other paths are ignored."""
    root = home.cache / "scratch"
    if path.is_relative_to(root) and path != root:
        shutil.rmtree(root / path.relative_to(root).parts[0], ignore_errors=True)


def sweep(home: Home) -> None:
    """Remove folders of killed steps: at once if their process is known to have ended."""
    for folder in (home.cache / "scratch").glob(f"{_MARK}*"):
        owner = folder.name.removeprefix(_MARK).rpartition("-")[0].replace(",", ":")
        try:
            stale = time.time() - folder.stat().st_mtime > _STALE_S
        except FileNotFoundError:  # another process swept it
            continue
        if stale or is_gone(owner):
            shutil.rmtree(folder, ignore_errors=True)
