"""Listings of the local store, for folders of a hundred thousand documents.

A page in order of change needs the files' time stamps alone. An owner, a search text and the other
orders need three fields of every document: they are read once in a process, and then again of
documents that have changed. Time stamps are read again when the folder has changed, which every
write here does because it renames a file, or after two seconds, for files that were edited in
place.
"""

import json
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from resources.avatars.listing import PageKey, Sort, is_found
from resources.avatars.owners import owner_in

__all__ = ["LocalListing"]

_FRESH_S: Final = 2.0
"""How long time stamps are trusted while the folder does not change."""
_COARSE_NS: Final = 20_000_000
"""A folder that changed less than this before it was read may change again without a trace."""


@dataclass(frozen=True, slots=True)
class _Summary:
    """What a listing needs of one document."""

    stamp: int
    owner: str | None
    created: float
    name: str


@dataclass(frozen=True, slots=True)
class _Stamps:
    """Time stamps of all documents, as they were at one moment."""

    folder_ns: int
    read_at: float
    by_stem: Mapping[str, int]


class LocalListing:
    """Orders the documents of a folder; thread-safe.

    Args:
        folder: where the documents are.
        scan: yields (file stem, time stamp in ns) of each.
    """

    def __init__(self, folder: Path, scan: Callable[[], Iterator[tuple[str, int]]]) -> None:
        self._folder = folder
        self._scan = scan
        self._stamps: _Stamps | None = None
        self._summaries: dict[str, _Summary] = {}
        self._lock = threading.Lock()

    def after(
        self, owner: str | None, sort: Sort, text: str, key: PageKey | None, limit: int
    ) -> list[PageKey]:
        """At most `limit` documents after a key, in order.

        Args:
            owner: whose; None for everybody's.
            text: see `listing.is_found`; empty for all.
        """
        with self._lock:
            stamps = self._current_stamps()
            plain = owner is None and not text and sort == "updated"
            if plain:
                rows = [(-stamp, stem) for stem, stamp in stamps.items()]
            else:
                rows = [
                    (_rank(sort, one), stem)
                    for stem, one in self._updated_summaries(stamps).items()
                    if (owner is None or one.owner == owner)
                    and (not text or is_found(text, stem, one.name))
                ]
        rows.sort()
        begin = 0 if key is None else bisect_right(rows, (_compared(key), key.avatar_id))
        return [
            PageKey(sort, rank if sort == "name" else -rank, stem)
            for rank, stem in rows[begin : begin + limit]
        ]

    def _current_stamps(self) -> Mapping[str, int]:
        kept, now = self._stamps, time.monotonic()
        try:
            folder_ns = self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            return {}
        if kept and kept.folder_ns == folder_ns and now - kept.read_at < _FRESH_S:
            return kept.by_stem
        settled = time.time_ns() - folder_ns > _COARSE_NS
        by_stem = dict(self._scan())
        self._stamps = _Stamps(folder_ns, now, by_stem) if settled else None
        return by_stem

    def _updated_summaries(self, stamps: Mapping[str, int]) -> Mapping[str, _Summary]:
        """Summaries of all documents; reads those that are new or have changed."""
        for stem in self._summaries.keys() - stamps.keys():
            del self._summaries[stem]
        for stem, stamp in stamps.items():
            known = self._summaries.get(stem)
            if known is None or known.stamp != stamp:
                self._summaries[stem] = _summary(self._folder / f"{stem}.json", stamp)
        return self._summaries


def _summary(path: Path, stamp: int) -> _Summary:
    """The fields of one document; a broken one has no owner."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        return _Summary(stamp, None, 0.0, "")
    created, name = data.get("createdAt"), data.get("name")
    return _Summary(
        stamp,
        owner_in(data),
        created if isinstance(created, int | float) and not isinstance(created, bool) else 0.0,
        name if isinstance(name, str) else "",
    )


def _rank(sort: Sort, one: _Summary) -> Any:
    """Ascending in the order of the listing."""
    if sort == "name":
        return one.name
    return -(one.created if sort == "created" else one.stamp)


def _compared(key: PageKey) -> Any:
    if key.sort == "name":
        return str(key.value)
    return -key.value if isinstance(key.value, int | float) else 0
