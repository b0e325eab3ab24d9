"""What tests of publishing share: files that name their version, publications, a failing bucket."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from resources.avatars.document import AvatarDocument
from resources.avatars.store import AvatarStore
from resources.publishing.publication import FILES, Retention, publish_avatar
from resources.storage.objects import MediaStorage
from sunriza_assets.errors import StoreError

AT_ONCE = Retention(timedelta(seconds=-1), versions=1)
"""Replaced versions go at once: readers may meet a 404 then, but no document at rest may."""
DAY = Retention(versions=1)
"""They go after a day."""
NAMES = ("idle.mp4", "atlas.jpg", "mask.png", "atlas.json", "roi.json")


def files_of(folder: Path, text: str, names: tuple[str, ...] = NAMES) -> dict[str, Path]:
    """Local files that say which version they belong to."""
    made = {name: folder / text / name for name in names}
    for name, path in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{text} {name}".encode())
    return made


def published(
    storage: MediaStorage,
    avatars: AvatarStore,
    folder: Path,
    run_id: str,
    *,
    names: tuple[str, ...] = NAMES,
    **arguments: Any,
) -> AvatarDocument:
    """A whole run: claim, make, publish."""
    avatars.claim("anna", run_id)
    return publish_avatar(
        storage,
        avatars,
        "anna",
        run_id,
        files=files_of(folder, run_id, names),
        parameters={"fps": 25},
        overridden={},
        **arguments,
    )


def versions_seen(
    basic: Mapping[str, Any], opened: Callable[[str], bytes | None]
) -> dict[str, str | None]:
    """The version that each URL of a document leads to, None for a 404."""
    seen: dict[str, str | None] = {}
    for name, entry in FILES.items():
        if entry.key in basic:
            content = opened(basic[entry.key])
            if content is None:
                seen[name] = None
            else:
                version, _, file_name = content.decode().partition(" ")
                assert file_name == name
                seen[name] = version
    return seen


class FailingStorage:
    """A bucket that fails at the n-th call of an operation, and passes everything else on."""

    def __init__(self, storage: MediaStorage, operation: str, at: int) -> None:
        self._storage = storage
        self._operation = operation
        self._left = at

    def __getattr__(self, name: str) -> Any:
        wrapped = getattr(self._storage, name)
        if name != self._operation:
            return wrapped

        def failing(*args: Any, **keywords: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                raise StoreError("The bucket answers 503", code="unavailable")
            return wrapped(*args, **keywords)

        return failing
