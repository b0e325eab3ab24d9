"""Object names of the results of runs, as the media IO manager stores them.

pipeline/<avatarId>/<asset>/<runId>/<file>        what one run made
pipeline/<avatarId>/<asset>/<runId>/files.json    written last: the names and checksums
pipeline/<avatarId>/<asset>/current.json          the run whose files are current
"""

import json
from collections.abc import Iterable
from typing import Any

import dagster as dg

from resources.home import Home
from resources.storage.objects import MediaStorage
from resources.storage.scratch import discard, new_folder

__all__ = ["current_run", "listing_of", "pipeline_folder", "stored_files"]


def pipeline_folder(avatar_id: str, asset: dg.AssetKey) -> str:
    """Folder of an asset's results for one avatar."""
    return f"pipeline/{avatar_id}/{asset.to_user_string()}"


def current_run(storage: MediaStorage, folder: str, home: Home) -> str | None:
    """The run whose files are current; None if there is none."""
    return (_read_json(storage, f"{folder}/current.json", home) or {}).get("run")


def listing_of(storage: MediaStorage, version: str, home: Home) -> dict[str, Any] | None:
    """`files.json` of what one run made: {"kind": file or folder, "files": [name, size, md5]}.

    Args:
        version: `pipeline/<avatarId>/<asset>/<runId>`.
    """
    return _read_json(storage, f"{version}/files.json", home)


def stored_files(
    storage: MediaStorage, folder: str, runs: Iterable[str | None], home: Home
) -> list[str] | None:
    """Object names of an asset's files: those of the first of these runs that made any.

    Args:
        folder: `pipeline/<avatarId>/<asset>`.
    """
    for run in runs:
        if run is None:
            continue
        listing = listing_of(storage, f"{folder}/{run}", home)
        if listing is not None:
            return [f"{folder}/{run}/{file['name']}" for file in listing["files"]]
    return None


def _read_json(storage: MediaStorage, name: str, home: Home) -> dict[str, Any] | None:
    if storage.stat(name) is None:
        return None
    scratch = new_folder(home)
    try:
        content = json.loads(storage.fetch(name, scratch).read_text())
    finally:
        discard(home, scratch)
    return content if isinstance(content, dict) else None
