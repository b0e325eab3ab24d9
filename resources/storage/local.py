"""Objects as files below `storage/`, laid out exactly like the bucket: the embedded default.

    storage/<object name>            the content
    storage/.objects/<name>.json     md5, size and content type, written just before the content
    storage/.locks/<n>.lock          held while an object is written; names share 256 locks

Files that are copied there by hand are objects, too. An object's URL is its file URI, so that it
can be opened; only the part after `/storage/` is used to read it, so a home may be moved or mounted
elsewhere, and no URL can name a file outside of it.
"""

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from resources.downloads.public_download import PublicDownload
from resources.home import Home
from resources.storage.input_addresses import input_refused, is_own_input, without_query
from resources.storage.objects import (
    ABSENT,
    StoredObject,
    checked_object_name,
    content_type_of,
    no_such_object,
    too_large,
)
from resources.storage.stamped import copy_file, next_time, write_bytes
from sunriza_assets.atomic import lock, store_errors
from sunriza_assets.errors import ConflictError, StoreError

__all__ = ["LocalStorage"]

_FOLDER: Final = "/storage/"


class LocalStorage:
    """`MediaStorage` in a folder.

    Args:
        home: the home that contains the `storage` folder.
        downloads: for public addresses that documents name; by default none is allowed.
    """

    def __init__(self, home: Home, downloads: PublicDownload | None = None) -> None:
        self._home = home
        self._root = home.storage
        self._downloads = downloads or PublicDownload()

    def put(
        self,
        source: Path,
        name: str,
        *,
        content_type: str | None = None,
        cache_control: str | None = None,
        if_generation: str | None = None,
        private: bool = False,
    ) -> StoredObject:
        """Copy a file into the store; see `MediaStorage.put`.

        `cache_control` and `private` have no effect here.
        """
        del cache_control, private
        path = self._path(name)
        if not source.is_file():
            raise StoreError("There is no such file to store", where=source, code="missing")
        with self._locked(name):
            former = _generation(path)
            if if_generation not in (None, former or ABSENT):
                raise ConflictError(
                    "The object was written by somebody else", where=name, code="generation"
                )
            mtime_ns = next_time(int(former) if former else None)
            with store_errors("read", source):
                facts = {
                    "generation": str(mtime_ns),
                    "size": source.stat().st_size,
                    "md5": _md5(source),
                    "contentType": content_type or content_type_of(name),
                }
            write_bytes(self._facts_path(name), json.dumps(facts).encode())
            copy_file(source, path, mtime_ns=mtime_ns)
            with store_errors("read", path):
                intact = _md5(path) == facts["md5"]
            if not intact:
                raise StoreError("The file changed while it was stored", where=source, code="torn")
            return self._object(name, path)

    def stat(self, name: str) -> StoredObject | None:
        """The object, or None when there is none."""
        path = self._path(name)
        try:
            return self._object(name, path) if path.is_file() else None
        except FileNotFoundError:  # deleted a moment ago
            return None

    def fetch(self, name: str, folder: Path) -> Path:
        """The object's own file; `folder` is for stores that must download."""
        del folder
        path = self._path(name)
        former = None
        while (stored := self.stat(name)) != former or stored is None:
            if stored is None:
                raise no_such_object(name)
            with store_errors("read", path):
                if _md5(path) == stored.md5:
                    return path
            former = stored  # if it was replaced meanwhile, it is read again
        raise StoreError("The object is damaged", where=name, code="damaged")

    def copy(self, name: str, target: str, *, cache_control: str | None = None) -> StoredObject:
        """Put a copy of an object under another name; see `MediaStorage.copy`."""
        stored = self.stat(name)
        if stored is None:
            raise no_such_object(name)
        return self.put(
            self._path(name), target, content_type=stored.content_type, cache_control=cache_control
        )

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Objects whose name starts with a prefix, in order of name."""
        folder, _, _ = prefix.rpartition("/")
        top = self._path(folder) if folder else self._root
        names = (path.relative_to(self._root).as_posix() for path in _files(top))
        for name in sorted(name for name in names if name.startswith(prefix)):
            stored = self.stat(name)
            if stored is not None:
                yield stored

    def delete(self, name: str, *, if_generation: str | None = None) -> bool:
        """Remove an object; False when there was none."""
        path = self._path(name)
        with self._locked(name):
            generation = _generation(path)
            if generation is None:
                return False
            if if_generation not in (None, generation):
                raise ConflictError(
                    "The object was written by somebody else", where=name, code="generation"
                )
            with store_errors("delete", path):
                path.unlink()
                self._facts_path(name).unlink(missing_ok=True)
            self._remove_empty_folders(path)
            self._remove_empty_folders(self._facts_path(name))
            return True

    def name_of(self, url: str) -> str | None:
        """The object that a file URI of this store, or a bare name, names."""
        try:
            return self._name_from_url(url)
        except StoreError:
            return None

    def resolve(self, url: str, folder: Path, *, avatar_id: str, max_bytes: int) -> Path:
        """The file behind a file URI of this store, a bare object name, or an allowed address.

        There are no tokens here: of the store's own objects, a document may only name those in its
        avatar's folder.
        """
        if url.startswith("https:"):
            return self._downloads.fetch(url, folder / "download", max_bytes=max_bytes)
        name = self._name_from_url(url)
        if not is_own_input(name, avatar_id):
            raise input_refused(url)
        own_folder = self._root.resolve() / "avatars" / avatar_id
        if not self._path(name).resolve().is_relative_to(own_folder):
            raise input_refused(url)  # a symbolic link to another folder
        stored = self.stat(name)
        if stored is None:
            raise no_such_object(name)
        if stored.size > max_bytes:
            raise too_large(stored, max_bytes)
        return self._path(name)

    def _name_from_url(self, url: str) -> str:
        """The object name in a URL, not checked."""
        try:
            parts = urlsplit(url)
        except ValueError as problem:
            raise _refused(url) from problem
        if not parts.scheme and not parts.netloc:
            return url
        if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
            raise _refused(url)
        path = unquote(parts.path)
        own = self._root.as_posix() + "/"
        if path.startswith(own):
            return path.removeprefix(own)
        _, found, name = path.rpartition(_FOLDER)
        if not found:
            raise _refused(url)
        return name

    def _object(self, name: str, path: Path) -> StoredObject:
        stat = path.stat()
        facts = self._facts(name)
        if (facts.get("generation"), facts.get("size")) != (str(stat.st_mtime_ns), stat.st_size):
            with store_errors("read", path):  # copied by hand, or during a change
                facts = {"md5": _md5(path), "contentType": content_type_of(name)}
        return StoredObject(
            name=name,
            size=stat.st_size,
            generation=str(stat.st_mtime_ns),
            md5=facts["md5"],
            content_type=facts["contentType"],
            url=path.absolute().as_uri(),
        )

    def _facts(self, name: str) -> dict[str, Any]:
        try:
            facts = json.loads(self._facts_path(name).read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        complete = isinstance(facts, dict) and {"md5", "contentType"} <= facts.keys()
        return facts if complete else {}

    def _path(self, name: str) -> Path:
        """Path of an object; never outside the store, also with symbolic links."""
        path = self._root / checked_object_name(name)
        root = self._root.resolve()
        if not path.resolve().is_relative_to(root):
            raise StoreError("This object is a link that leaves the store", where=name, code="link")
        return path

    def _facts_path(self, name: str) -> Path:
        return self._root / ".objects" / f"{name}.json"

    def _remove_empty_folders(self, path: Path) -> None:
        """Remove the folders above a deleted file that nothing else is in: a bucket has none."""
        kept = {self._root, self._root / ".objects"}
        with contextlib.suppress(OSError):  # the first one that is in use ends it
            for folder in path.parents:
                if folder in kept:
                    return
                folder.rmdir()

    def _locked(self, name: str) -> AbstractContextManager[None]:
        self._home.make()
        return lock(self._root / ".locks" / f"{zlib.crc32(name.encode()) % 256}.lock")


def _files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    with store_errors("list", folder):
        for top, folders, files in os.walk(folder):
            folders[:] = [one for one in folders if not one.startswith(".")]
            for file in files:
                if not file.startswith("."):
                    yield Path(top, file)


def _generation(path: Path) -> str | None:
    try:
        return str(path.stat().st_mtime_ns) if path.is_file() else None
    except FileNotFoundError:
        return None


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, _checksum).hexdigest()


def _checksum() -> Any:
    return hashlib.md5(usedforsecurity=False)  # the bucket's own checksum; not for security


def _refused(url: str) -> StoreError:
    return StoreError(
        "This address is not one of the local store",
        where=without_query(url),
        remedy="Bring files in by adding an avatar, or by changing one.",
        code="address",
    )
