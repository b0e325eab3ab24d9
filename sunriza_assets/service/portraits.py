"""Portraits of avatars as local files, for the engine: downloaded once for many previews."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from resources.avatars.document import AvatarDocument
from sunriza_assets.service.context import Service
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS

__all__ = ["local_portrait"]

_KEPT: Final = 64
"""Downloaded portraits that stay."""


def local_portrait(service: Service, document: AvatarDocument) -> Path:
    """A local file of an avatar's portrait; blocking.

    Raises:
        AvatarError: `avatar.no_image`.
        StoreError: its address may not be read, or it is gone.
    """
    url = document.hero_image_url
    storage = service.stores.storage
    limit = DEFAULT_LIMITS.file_bytes
    if not service.stores.shared and not url.startswith("https:"):
        return storage.resolve(url, service.folder, avatar_id=document.avatar_id, max_bytes=limit)
    folder = service.folder / "portraits"
    name = hashlib.sha256(f"{document.avatar_id} {url}".encode()).hexdigest()[:32]
    kept = folder / name
    for known in sorted(kept.iterdir()) if kept.is_dir() else ():
        known.touch()
        return known
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as scratch:
        found = storage.resolve(url, Path(scratch), avatar_id=document.avatar_id, max_bytes=limit)
        kept.mkdir(mode=0o700, exist_ok=True)
        target = found.rename(kept / "portrait")
    _forget_oldest(folder)
    return target


def _forget_oldest(folder: Path) -> None:
    """Remove the portraits that were used longest ago."""
    files = [one for one in folder.glob("*/portrait") if one.is_file()]
    for old in sorted(files, key=lambda one: one.stat().st_mtime)[:-_KEPT]:
        old.unlink(missing_ok=True)
