"""Removing all that is kept of an avatar whose document is gone.

    1. the record is marked, and the document deleted if it is still there: from here on an
       avatar of this id cannot be made, claimed or published
    2. once no run is at work: objects, motion templates that no other avatar uses, local copies,
       and what was declared of voices that are imitated for it
    3. the partition
    4. what is stored below the document, the record, the mark

Each step may be repeated, and the mark goes last, so a purge that was killed at any line is found
by `AvatarStore.retired` and continued. What is kept: the event log, the ledger and the manifests
of its runs, which hold durations, prices and hashes.
"""

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import dagster as dg

from resources.avatars.ids import checked_avatar_id
from resources.avatars.store import AvatarStore
from resources.engines.template_cache import TemplateCache
from resources.engines.template_users import TemplateUsers
from resources.home import Home
from resources.orders.open import open_orders
from resources.storage.objects import MediaStorage
from sunriza_assets.graph.partitions import AVATAR_TAG, AVATARS

__all__ = [
    "MissingDocuments",
    "PurgeResult",
    "is_mass_deletion",
    "prefixes_of",
    "purge",
    "unfinished_runs",
]

_MAX_MISSING: Final = 3
_MAX_AGE: Final = timedelta(days=7)  # a scan of a hundred thousand avatars takes a day
_UNFINISHED: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class _Stores(Protocol):
    """The part of `Stores` that a purge uses."""

    @property
    def avatars(self) -> AvatarStore: ...
    @property
    def storage(self) -> MediaStorage: ...


class _Templates(Protocol):
    """The part of `Templates` that a purge uses."""

    @property
    def cache(self) -> TemplateCache: ...
    @property
    def users(self) -> TemplateUsers: ...


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """The result of a purge."""

    objects: int
    """Objects that were deleted."""
    templates: int
    """Motion templates that were deleted."""
    is_complete: bool
    """False while a run is still at work: nothing but the document was removed yet."""


@dataclass(frozen=True, slots=True)
class MissingDocuments:
    """Position of a scan over the partitions, and since when each missing document is missing.

    A document may be away for a moment: an editor puts a new file in its place, a folder is mounted
    late. So it counts as deleted once it was missed twice, some time apart.
    """

    page: str
    """Dagster's cursor of the next page of partitions; empty for the first."""
    missed: Mapping[str, str]
    """When each document was missed first, RFC 3339."""

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "MissingDocuments":
        """Read a sensor's cursor; former versions kept the page alone."""
        try:
            stored = json.loads(cursor or "")
            return cls(stored["page"], stored["missed"])
        except (ValueError, KeyError, TypeError):
            return cls(cursor or "", {})

    def to_cursor(self) -> str:
        """As the sensor keeps it."""
        return json.dumps({"page": self.page, "missed": dict(self.missed)})

    def seen(
        self, present: Collection[str], gone: Collection[str], now: datetime
    ) -> "MissingDocuments":
        """The state after looking up some documents; entries older than a week are dropped."""
        oldest = now - _MAX_AGE
        missed = {
            name: since
            for name, since in self.missed.items()
            if name not in present and datetime.fromisoformat(since) > oldest
        }
        return MissingDocuments(self.page, {name: now.isoformat() for name in gone} | missed)

    def without(self, purged: Collection[str]) -> "MissingDocuments":
        """The state without the avatars that were purged."""
        left = {name: since for name, since in self.missed.items() if name not in purged}
        return MissingDocuments(self.page, left)

    def deleted(self, gone: Collection[str], now: datetime, grace: timedelta) -> list[str]:
        """Those of the documents that have been gone for long enough, in order."""
        return sorted(
            name for name in gone if now - datetime.fromisoformat(self.missed[name]) >= grace
        )


def is_mass_deletion(gone: int, known: int) -> bool:
    """Whether so many documents are gone that the store is more likely the wrong one.

    A folder that is not mounted and a database's name that was mistyped look like a deletion of
    everything; nothing of that may be purged by itself.
    """
    return gone > max(_MAX_MISSING, known // 2)


def purge(
    instance: dg.DagsterInstance,
    stores: _Stores,
    templates: _Templates,
    avatar_id: str,
    *,
    remove: bool = False,
) -> PurgeResult | None:
    """Purge an avatar whose document is gone, or continue a purge that was begun.

    Args:
        remove: delete the document as well, if it is there.

    Returns:
        None if the avatar exists; it is left as it is.

    Raises:
        AvatarError: the id is none.
        StoreError: a store cannot be read or written; calling again continues.
    """
    checked_avatar_id(avatar_id)
    if not stores.avatars.retire(avatar_id, remove=remove):
        return None
    # A run that began before the mark may still store what it makes; none begins after it.
    if unfinished_runs(instance, avatar_id):
        return PurgeResult(0, 0, is_complete=False)
    objects = sum(_delete_all(stores.storage, prefix) for prefix in prefixes_of(avatar_id))
    discarded = _discard_templates(templates, avatar_id)
    copies = Home.from_environment().cache / "downloads" / "pipeline" / avatar_id
    shutil.rmtree(copies, ignore_errors=True)
    open_orders().remove_consents_of(avatar_id)
    instance.delete_dynamic_partition(AVATARS.name or "", avatar_id)
    stores.avatars.forget(avatar_id)
    return PurgeResult(objects, discarded, is_complete=True)


def prefixes_of(avatar_id: str) -> tuple[str, str]:
    """Prefixes of an avatar's objects: uploads and publications, and results of runs.

    Uploads are included: a new avatar of the same id would own their folder.
    """
    return f"avatars/{avatar_id}/", f"pipeline/{avatar_id}/"


def unfinished_runs(instance: dg.DagsterInstance, avatar_id: str) -> int:
    """How many runs for an avatar wait or are at work."""
    filters = dg.RunsFilter(statuses=_UNFINISHED, tags={AVATAR_TAG: avatar_id})
    return instance.get_runs_count(filters)


def _delete_all(storage: MediaStorage, prefix: str) -> int:
    names = [stored.name for stored in storage.list(prefix)]
    return sum(storage.delete(name) for name in names)


def _discard_templates(templates: _Templates, avatar_id: str) -> int:
    """Delete templates that only this avatar used; returns how many."""
    cache, users, discarded = templates.cache, templates.users, 0
    for key in users.keys_of(avatar_id):
        with cache.locked(key):
            if not users.is_used_by_others(key, avatar_id):
                cache.discard(key)
                discarded += 1
            users.remove(key, avatar_id)
    return discarded
