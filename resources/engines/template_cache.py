"""Cache of motion templates by content: each clip is extracted once.

The key (`sunriza_assets.studio.motion.key`) covers the clip's bytes, the extractor and its models,
so an entry never goes stale and needs no invalidation; it may be deleted at any time. Entries are
in the local cache folder and, if machines share a bucket, in the bucket too.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from resources.storage.objects import MediaStorage
from sunriza_assets.atomic import make_folder
from sunriza_assets.errors import MediaError, StoreError
from sunriza_assets.studio.motion.template import MotionTemplate

__all__ = ["TemplateCache"]

_log = logging.getLogger(__name__)


class TemplateCache:
    """A folder of `<key>.npz`, backed by a shared bucket where there is one.

    Args:
        folder: local folder, made when something is written.
        shared: a bucket that other machines write to as well, or None.
    """

    def __init__(self, folder: Path, shared: MediaStorage | None = None) -> None:
        self._folder = folder
        self._shared = shared

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Lock a key, so that two processes of one machine do not extract the same clip twice."""
        make_folder(self._folder)
        with FileLock(self._folder / f".{key}.lock"):
            yield

    def get(self, key: str) -> MotionTemplate | None:
        """The template, or None; a damaged entry is removed, logged and counts as none."""
        path = self._path(key)
        if not path.exists() and self._shared is not None:
            self._download(key, path)
        if not path.exists():
            return None
        try:
            return MotionTemplate.load(path)
        except MediaError as error:
            _log.warning("Damaged motion template removed from the cache: %s", error)
            path.unlink(missing_ok=True)
            return None

    def put(self, key: str, template: MotionTemplate, *, seconds: float) -> Path:
        """Store a template and the seconds of its extraction; returns its file.

        Raises:
            StoreError: the disk or the bucket cannot be written.
        """
        path = self._path(key)
        try:
            make_folder(path.parent)
            template.save(path)
            path.with_suffix(".json").write_text(json.dumps({"seconds": round(seconds, 3)}))
        except OSError as error:
            raise StoreError(
                f"Motion template cannot be kept: {error.strerror}", where=path
            ) from error
        if self._shared is not None:
            self._shared.put(path, _object_name(key), private=True)
        return path

    def seconds(self, key: str) -> float | None:
        """Seconds that the extraction took, if it was done on this machine."""
        try:
            return float(json.loads(self._path(key).with_suffix(".json").read_text())["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def discard(self, key: str) -> None:
        """Delete an entry here and in the shared bucket, if there is one.

        Other machines keep their local copies until their caches are emptied.
        """
        path = self._path(key)
        for file in (path, path.with_suffix(".json")):
            file.unlink(missing_ok=True)
        if self._shared is not None:
            self._shared.delete(_object_name(key))

    def file(self, key: str) -> Path:
        """Path of the entry on this machine."""
        return self._path(key)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.npz"

    def _download(self, key: str, path: Path) -> None:
        if self._shared is None or self._shared.stat(_object_name(key)) is None:
            return
        make_folder(path.parent)
        temporary = path.parent / f".{key}.{os.getpid()}"
        try:
            fetched = self._shared.fetch(_object_name(key), temporary)
            shutil.copyfile(fetched, temporary / "part")
            (temporary / "part").replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _object_name(key: str) -> str:
    return f"cache/templates/{key}.npz"
