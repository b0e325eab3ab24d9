"""Index of the avatars that use a motion template, for deleting templates with their avatars.

    cache/template_users/by_avatar/<avatarId>/<key>
    cache/template_users/by_key/<key>/<avatarId>

Both are empty objects. Older templates have none; if one is deleted while another avatar uses it,
it is extracted again, as with every entry of the cache.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from resources.storage.objects import MediaStorage

__all__ = ["TemplateUsers"]

_BY_AVATAR: Final = "cache/template_users/by_avatar"
_BY_KEY: Final = "cache/template_users/by_key"


class TemplateUsers:
    """The index in one bucket."""

    def __init__(self, storage: MediaStorage) -> None:
        self._storage = storage

    def add(self, key: str, avatar_id: str) -> None:
        """Record that an avatar uses a template; repeating it costs one `stat`."""
        names = (f"{_BY_AVATAR}/{avatar_id}/{key}", f"{_BY_KEY}/{key}/{avatar_id}")
        if self._storage.stat(names[1]) is not None:
            return
        with TemporaryDirectory(prefix="sunriza-") as folder:
            empty = Path(folder) / "empty"
            empty.touch()
            for name in names:
                self._storage.put(empty, name, private=True)

    def keys_of(self, avatar_id: str) -> list[str]:
        """Keys of all templates that an avatar uses or has used."""
        prefix = f"{_BY_AVATAR}/{avatar_id}/"
        return [stored.name.removeprefix(prefix) for stored in self._storage.list(prefix)]

    def is_used_by_others(self, key: str, avatar_id: str) -> bool:
        """Whether another avatar uses a template as well."""
        prefix = f"{_BY_KEY}/{key}/"
        return any(
            stored.name.removeprefix(prefix) != avatar_id for stored in self._storage.list(prefix)
        )

    def remove(self, key: str, avatar_id: str) -> None:
        """Remove an entry; the object that `keys_of` reads is deleted last."""
        self._storage.delete(f"{_BY_KEY}/{key}/{avatar_id}")
        self._storage.delete(f"{_BY_AVATAR}/{avatar_id}/{key}")
