"""Cache of spoken sounds by content, bounded by size; the least recently used go first.

    cache/speech/<2 digits>/<key>/audio.wav     the sound
    cache/speech/<2 digits>/<key>/audio.json    its times and facts, and the hash of audio.wav
    cache/speech/.<key>.lock                    held while a sound is being made

An entry grows in a hidden folder beside its place, is synced and renamed, so that after a kill at
any line it is there whole or not at all. Its folder's time of modification is that of its last use.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sunriza_assets.atomic import lock, make_folder, part_path, replacing, store_errors

__all__ = ["CachedSound", "SoundCache"]

_SOUND: Final = "audio.wav"
_FACTS: Final = "audio.json"
_LEFTOVER_S: Final = 3600.0
"""Age at which a hidden folder is what a killed process has left."""
_GRACE_S: Final = 60.0
"""How long an entry is safe after its last use: whoever was given its path opens it by then."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CachedSound:
    """One entry; its files may be evicted a minute after its last use."""

    wav: Path
    times: Path
    """`audio.json`."""
    facts: Mapping[str, Any]
    """What `audio.json` holds."""


class SoundCache:
    """A folder of sounds.

    Args:
        folder: where; made when something is written.
        limit_bytes: what all entries together may take.
        grace_s: seconds that an entry is kept after its last use whatever the limit.
    """

    def __init__(self, folder: Path, limit_bytes: int, *, grace_s: float = _GRACE_S) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._grace_s = grace_s

    @contextmanager
    def locked(self, key: str, patience_s: float) -> Iterator[None]:
        """Hold the lock of a key, so that a sound is made once, by one thread of one process.

        Raises:
            StoreError: somebody else has held it for so long.
        """
        path = self._folder / f".{key}.lock"
        with lock(path, patience_s=patience_s):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)  # who waits for it locks a new one

    def has(self, key: str) -> bool:
        """Whether there is an entry; its content is not looked at."""
        return (self._entry(key) / _FACTS).is_file()

    def get(self, key: str) -> CachedSound | None:
        """The entry, marked as used now; a damaged one is removed, logged and counts as none."""
        entry = self._entry(key)
        try:
            facts = json.loads((entry / _FACTS).read_text("utf-8"))
            with (entry / _SOUND).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if facts["sound_sha256"] == found:
                os.utime(entry)
                return CachedSound(entry / _SOUND, entry / _FACTS, facts)
        except FileNotFoundError:
            if not entry.is_dir():
                return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("Spoken sound %s cannot be read: %s", entry, error)
        _log.warning("Damaged sound removed from the cache: %s", entry)
        self._remove(entry)
        return None

    def put(self, key: str, wav: bytes, facts: Mapping[str, Any]) -> CachedSound:
        """Store a sound and its facts, and evict what is too much. To be called with its lock held.

        Raises:
            StoreError: the disk cannot be written.
        """
        entry = self._entry(key)
        content = {**facts, "sound_sha256": hashlib.sha256(wav).hexdigest()}
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        part = part_path(entry)
        make_folder(entry.parent)
        try:
            with store_errors("write", entry):
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                for name, data in ((_SOUND, wav), (_FACTS, text.encode() + b"\n")):
                    with replacing(part / name) as file:
                        file.write(data)
                self._remove(entry)
                part.rename(entry)
                _sync_folder(entry.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        self.evict()
        return CachedSound(entry / _SOUND, entry / _FACTS, content)

    def discard(self, name: str, value: str) -> int:
        """Remove all entries of which one fact has this value; returns how many.

        Of a cloned voice, `reference_sha256` is the fact to ask for.
        """
        count = 0
        for entry in list(self._entries()):
            with suppress(OSError, ValueError):
                facts = json.loads((entry / _FACTS).read_text("utf-8"))
                if facts.get(name) == value:
                    self._remove(entry)
                    count += 1
        return count

    def evict(self) -> int:
        """Remove the least recently used entries beyond the limit, and leftovers; returns bytes."""
        now = time.time()
        known: list[tuple[float, int, Path]] = []
        for folder in self._prefixes():
            for path in folder.iterdir():
                with suppress(FileNotFoundError):  # somebody else has evicted it
                    used = path.stat().st_mtime
                    if path.name.startswith("."):
                        if now - used > _LEFTOVER_S:
                            shutil.rmtree(path, ignore_errors=True)
                        continue
                    size = sum(file.stat().st_size for file in path.iterdir())
                    known.append((used, size, path))
        too_much = sum(size for _, size, _ in known) - self._limit
        freed = 0
        for used, size, path in sorted(known):
            if freed >= too_much or now - used < self._grace_s:
                break
            self._remove(path)
            freed += size
        return freed

    def _entry(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _prefixes(self) -> Iterator[Path]:
        if self._folder.is_dir():
            yield from (path for path in self._folder.iterdir() if path.is_dir())

    def _entries(self) -> Iterator[Path]:
        for folder in self._prefixes():
            yield from (path for path in folder.iterdir() if not path.name.startswith("."))

    @staticmethod
    def _remove(entry: Path) -> None:
        """Take an entry away whole: nobody finds half of it."""
        gone = part_path(entry).with_suffix(f".{time.monotonic_ns()}")
        with suppress(FileNotFoundError):
            entry.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
