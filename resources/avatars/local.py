"""Avatar documents as JSON files, one per avatar: the embedded default.

    avatars/<id>.json           the document, the same shape as in Firestore, instants as RFC 3339
    avatars/.server/<id>.json   the server's own record of it, see `record.py`
    avatars/.retired/<id>       mark of an avatar that is being deleted, until all is purged
    avatars/.locks/<id>.lock    held for the moment of a change
    avatars/.waiting/<id>       mark of an avatar whose run is held back, see `waiting_marks.py`

Documents may be edited by hand at any time; a broken one affects that avatar only.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

from resources.avatars.document import AvatarDocument, merged, new_document
from resources.avatars.ids import checked_avatar_id, is_avatar_id
from resources.avatars.instants import epoch_ms, instant_text, nanoseconds, now, rfc3339
from resources.avatars.listing import AvatarPage, Sort, read_cursor
from resources.avatars.local_listing import LocalListing
from resources.avatars.owned import OwnedAvatars
from resources.avatars.owners import id_error, may_use_id, owner_in
from resources.avatars.record import RunRecord
from resources.avatars.store import (
    Change,
    Cursor,
    Page,
    id_in_use,
    no_such_avatar,
    not_retired,
)
from resources.avatars.transition import Transition, document_after
from resources.avatars.waiting_marks import WaitingMarks
from resources.home import Home
from resources.storage.stamped import next_time, write_bytes
from sunriza_assets.atomic import LOCK_PATIENCE_S, lock, store_errors
from sunriza_assets.errors import AvatarError, StoreError

__all__ = ["LocalAvatars"]

_MAX_BYTES: Final = 1 << 20  # Firestore's limit for a document
_SUFFIX: Final = ".json"
# Kernels stamp files with a coarse clock, at most 10 ms behind the precise one (CONFIG_HZ=100).
_SETTLING_NS: Final = 20_000_000


class LocalAvatars(OwnedAvatars):
    """`AvatarStore` in a folder."""

    def __init__(self, home: Home) -> None:
        super().__init__()
        self._home = home
        self._folder = home.avatars
        self._waiting = WaitingMarks(home.avatars)
        self._listing = LocalListing(home.avatars, self._scan)

    def get(self, avatar_id: str) -> AvatarDocument:
        """One document; see `AvatarStore.get`."""
        path = self._path(avatar_id)
        if not path.is_file():
            raise no_such_avatar(avatar_id)
        with self._locked(avatar_id):
            return self._read(avatar_id)

    def ids(self) -> Iterator[str]:
        """All avatar ids, in order."""
        yield from sorted(stem for stem, _ in self._scan() if is_avatar_id(stem))

    def present(self, avatar_ids: Sequence[str]) -> set[str]:
        """Which of these avatars exist."""
        return {one for one in avatar_ids if is_avatar_id(one) and self._path(one).is_file()}

    def merge(self, avatar_id: str, fields: Mapping[str, Any]) -> AvatarDocument:
        """Create the document or merge nested fields into it."""
        path = self._path(avatar_id)
        with self._locked(avatar_id):
            return self._merge(path, avatar_id, fields)

    def create(self, avatar_id: str, fields: Mapping[str, Any]) -> AvatarDocument:
        """Create a document; see `AvatarStore.create`."""
        path = self._path(avatar_id)
        with self._locked(avatar_id):
            if path.is_file():
                raise id_in_use(avatar_id)
            return self._merge(path, avatar_id, fields)

    def update(
        self, avatar_id: str, fields: Mapping[str, Any], *, owner: str | None = None
    ) -> AvatarDocument:
        """Merge nested fields into a document that exists; see `AvatarStore.update`."""
        path = self._path(avatar_id)
        with self._locked(avatar_id):
            if not path.is_file() or owner not in (None, self._read(avatar_id).user_id):
                raise no_such_avatar(avatar_id)
            return self._merge(path, avatar_id, fields)

    def _merge(self, path: Path, avatar_id: str, fields: Mapping[str, Any]) -> AvatarDocument:
        """Create or change the document; the caller holds its lock."""
        now_ms = epoch_ms(now())
        data: Mapping[str, Any] = new_document(avatar_id, now_ms)
        former = None
        if path.is_file():
            document = self._read(avatar_id)
            data, former = document.data, document.update_time
        else:
            self._check_free(avatar_id, owner_in(fields))
        after = merged(data, fields) | {"updatedAt": now_ms}
        self._write(path, after, former)
        return self._read(avatar_id)

    def page(
        self,
        owner: str | None,
        *,
        sort: Sort = "updated",
        text: str = "",
        limit: int = 50,
        cursor: str | None = None,
    ) -> AvatarPage:
        """A page of avatars; see `AvatarStore.page` and `local_listing`."""
        key = None if cursor is None else read_cursor(cursor, sort)
        found = self._listing.after(owner, sort, text, key, limit + 1)
        changes = [self._change(one.avatar_id) for one in found[:limit]]
        return AvatarPage(
            [
                one
                for one in changes
                if (self._is_document(one.avatar_id) if one.document is None else True)
                and owner in (None, one.document.user_id if one.document else None)
            ],
            found[limit - 1].to_cursor() if len(found) > limit else None,
        )

    def check_free(self, avatar_id: str, user_id: str | None = None) -> None:
        """Make sure that a new document may have this id; see `AvatarStore.check_free`."""
        with self._locked(avatar_id):
            if not self._path(avatar_id).is_file():
                self._check_free(avatar_id, user_id)

    def retire(self, avatar_id: str, *, remove: bool = False) -> bool:
        """Mark a deleted avatar's record; see `AvatarStore.retire`.

        The mark's file is written first, so that it survives a process killed at any line, and the
        record is marked last: a document with a mark file but an unmarked record was not deleted.
        """
        path, mark = self._path(avatar_id), self._mark_path(avatar_id)
        with self._locked(avatar_id):
            record = self._record(avatar_id)
            if path.is_file() and not remove:
                if not record.purging:
                    mark.unlink(missing_ok=True)
                return record.purging
            write_bytes(mark, b"")
            with store_errors("delete", path):
                path.unlink(missing_ok=True)
            if not record.purging:
                marked = replace(record, purging=True)
                write_bytes(self._record_path(avatar_id), _json(marked.to_dict()))
            return True

    def retired(self, limit: int) -> Sequence[str]:
        """At most `limit` avatars that are being deleted."""
        folder = self._folder / ".retired"
        if not folder.is_dir():
            return []
        with store_errors("read", folder):
            names = sorted(path.name for path in folder.iterdir())
            return [name for name in names if is_avatar_id(name)][:limit]

    def forget(self, avatar_id: str) -> None:
        """Remove a retired avatar's record, and then its mark; see `AvatarStore.forget`."""
        with self._locked(avatar_id):
            path = self._record_path(avatar_id)
            if path.is_file() and not self._record(avatar_id).purging:
                raise not_retired(avatar_id)
            self._waiting.remove(avatar_id)
            with store_errors("delete", path):
                path.unlink(missing_ok=True)
                self._mark_path(avatar_id).unlink(missing_ok=True)

    def changes(self, after: Cursor | None, limit: int) -> Page:
        """At most `limit` documents written after a cursor, in (update_time, id) order."""
        # A document that is written during the scan could be missed while a later one is seen.
        # So only what was there before this call counts, and the scan waits until the kernel's
        # coarse clock has passed it: whatever appears from here on carries a later stamp.
        called = time.time_ns()
        time.sleep(_SETTLING_NS / 1e9)
        found = sorted(
            Cursor(rfc3339(stamp), stem) for stem, stamp in self._scan() if stamp <= called
        )
        page = [one for one in found if after is None or one > after][:limit]
        changes = [self._change(cursor.avatar_id) for cursor in page]
        return Page(changes, page[-1] if page else after)

    def scan(self, after_id: str, limit: int) -> Sequence[Change]:
        """At most `limit` documents in order of id; see `AvatarStore.scan`."""
        page = islice((stem for stem in self._stems(after_id) if self._is_document(stem)), limit)
        return [self._change(stem) for stem in page]

    def due(self, after: Cursor | None, limit: int) -> Page:
        """At most `limit` avatars whose wait is over; see `AvatarStore.due`."""
        marked = [one for one in self._waiting.due(now()) if after is None or one > after]
        page = marked[:limit]
        changes = [self._change(one.avatar_id) for one in page if self._is_due(one.avatar_id)]
        return Page(changes, page[-1] if len(marked) > limit else None)

    def _is_due(self, avatar_id: str) -> bool:
        """Whether a mark is valid; one left by a deletion or a killed process is corrected."""
        with self._locked(avatar_id):
            if not self._path(avatar_id).is_file():
                self._waiting.remove(avatar_id)
                return False
            try:
                waiting = self._read(avatar_id).record.waiting
            except (AvatarError, StoreError):  # the error is reported by `_change`
                return True
            if waiting is None:
                self._waiting.remove(avatar_id)
                return False
            if waiting.until > now():
                self._waiting.put(avatar_id, waiting)
                return False
            return True

    def _apply(
        self,
        avatar_id: str,
        decide: Callable[[AvatarDocument], Transition | None],
        *,
        patience_s: float | None = None,
    ) -> tuple[AvatarDocument, bool]:
        """Apply a transition under the avatar's lock; see `OwnedAvatars._apply`.

        The record is written first: a process killed in between leaves an outdated document, which
        every later transition corrects.
        """
        path = self._path(avatar_id)
        if not path.is_file():
            raise no_such_avatar(avatar_id)
        with self._locked(avatar_id, patience_s):
            document = self._read(avatar_id)
            step = decide(document)
            if step is None:
                return document, False
            waiting = step.record.waiting
            if waiting is not None and waiting != document.record.waiting:
                self._waiting.put(avatar_id, waiting)
            if step.record != document.record:
                write_bytes(self._record_path(avatar_id), _json(step.record.to_dict()))
            if waiting is None and document.record.waiting is not None:
                self._waiting.remove(avatar_id)
            if step.fields or step.drop:
                after = document_after(document, step, document.update_time)
                content = self._write(path, after.data, document.update_time, lasting=step.lasting)
                update_time = rfc3339(_stamp(path.stat()))
                document = replace(document, data=json.loads(content), update_time=update_time)
            return replace(document, record=step.record), True

    def _read(self, avatar_id: str) -> AvatarDocument:
        """The document as it is stored, with its record."""
        data, stat = _load(self._path(avatar_id))
        return AvatarDocument(
            avatar_id, data, rfc3339(_stamp(stat)), record=self._record(avatar_id)
        )

    def _record(self, avatar_id: str) -> RunRecord:
        path = self._record_path(avatar_id)
        return RunRecord.from_dict(_load(path)[0] if path.is_file() else {})

    def _check_free(self, avatar_id: str, user_id: str | None) -> None:
        record = self._record(avatar_id)
        if not may_use_id(record, user_id):
            raise id_error(record, avatar_id)

    def _change(self, avatar_id: str) -> Change:
        try:
            return Change(avatar_id, self.get(avatar_id))
        except (AvatarError, StoreError) as problem:
            return Change(avatar_id, None, problem.message)

    def _write(
        self, path: Path, data: Mapping[str, Any], former: str | None, *, lasting: bool = True
    ) -> bytes:
        """Write a document; its content."""
        content = _json(data)
        if len(content) > _MAX_BYTES:
            raise StoreError(
                "The document would be larger than 1 MiB", where=path, code="too_large"
            )
        stamp = next_time(None if former is None else nanoseconds(former))
        write_bytes(path, content, mtime_ns=stamp, lasting=lasting)
        return content

    def _stems(self, after_id: str) -> list[str]:
        """File stems after this one, in order; reads names only, no metadata."""
        if not self._folder.is_dir():
            return []
        with store_errors("read", self._folder), os.scandir(self._folder) as entries:
            names = [entry.name for entry in entries]
        stems = (one[: -len(_SUFFIX)] for one in names if one.endswith(_SUFFIX) and one[0] != ".")
        return sorted(stem for stem in stems if stem > after_id)

    def _is_document(self, stem: str) -> bool:
        return (self._folder / f"{stem}{_SUFFIX}").is_file()

    def _scan(self) -> Iterator[tuple[str, int]]:
        """(file stem, time stamp) of every document, in no order."""
        if not self._folder.is_dir():
            return
        with store_errors("read", self._folder), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    try:
                        stat = entry.stat()
                    except FileNotFoundError:  # deleted since the folder was opened
                        continue
                    if S_ISREG(stat.st_mode):
                        yield entry.name.removesuffix(".json"), _stamp(stat)

    def _path(self, avatar_id: str) -> Path:
        return self._folder / f"{checked_avatar_id(avatar_id)}.json"

    def _record_path(self, avatar_id: str) -> Path:
        return self._folder / ".server" / f"{checked_avatar_id(avatar_id)}.json"

    def _mark_path(self, avatar_id: str) -> Path:
        return self._folder / ".retired" / checked_avatar_id(avatar_id)

    def _locked(self, avatar_id: str, patience_s: float | None = None) -> Any:
        patience = LOCK_PATIENCE_S if patience_s is None else patience_s
        self._home.make()
        return lock(self._folder / ".locks" / f"{avatar_id}.lock", patience_s=patience)


def _load(path: Path) -> tuple[dict[str, Any], os.stat_result]:
    with store_errors("read", path), path.open("rb") as file:
        stat = os.fstat(file.fileno())
        content = file.read(_MAX_BYTES + 1)
    remedy = "Correct the file; it is read again as soon as it changes."
    if len(content) > _MAX_BYTES:
        raise StoreError("The document is larger than 1 MiB", where=path, code="too_large")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as problem:
        raise StoreError(
            f"The document is not valid JSON: {problem}", where=path, remedy=remedy, code="json"
        ) from problem
    if not isinstance(data, dict):
        raise StoreError(
            "The document is not a JSON object", where=path, remedy=remedy, code="json"
        )
    return data, stat


def _stamp(stat: os.stat_result) -> int:
    """When a document was written, in ns: the modification time, which every write here makes
    strictly later than the one before; or the change time if that is later (a file copied with an
    old modification time by `cp -p`), or if the modification time is in the future (`touch -d`).
    """
    if stat.st_mtime_ns > stat.st_ctime_ns + 1_000_000_000:
        return stat.st_ctime_ns
    return max(stat.st_mtime_ns, stat.st_ctime_ns)


def _json(data: Mapping[str, Any]) -> bytes:
    text = json.dumps(data, indent=2, ensure_ascii=False, default=_json_word)
    return (text + "\n").encode("utf-8", "surrogatepass")  # as json.loads reads bytes


def _json_word(value: object) -> str:
    if isinstance(value, datetime):
        return instant_text(value)
    raise TypeError(f"{type(value).__name__} has no place in a document")
