"""Removing all that is kept of an avatar whose document is gone.

    1. the record is marked, and the document deleted if it is still there: from here on nobody
       makes, claims or publishes an avatar of this id
    2. once no run is at work: objects, motion templates that nobody else uses, local copies
    3. the partition
    4. what lies below the document, the record, the mark

Each step may be repeated, and the mark goes last, so a purge that was killed at any line is found
by `AvatarStore.retired` and gone on with. What is kept: the event log, the ledger and the manifests
of its runs, which hold durations, prices and hashes.
"""

import shutil
from dataclasses import dataclass
from typing import Final, Protocol

import dagster as dg

from resources.avatars import AvatarStore
from resources.document import checked_avatar_id
from resources.home import Home
from resources.storage import MediaStorage
from resources.template_cache import TemplateCache
from resources.template_users import TemplateUsers
from sunriza_assets.partitions import AVATAR_TAG, AVATARS

__all__ = ["Purged", "prefixes_of", "purge", "unfinished_runs"]

_UNFINISHED: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class _Stores(Protocol):
    """What of `Stores` is asked for."""

    @property
    def avatars(self) -> AvatarStore: ...
    @property
    def storage(self) -> MediaStorage: ...


class _Templates(Protocol):
    """What of `Templates` is asked for."""

    @property
    def cache(self) -> TemplateCache: ...
    @property
    def users(self) -> TemplateUsers: ...


@dataclass(frozen=True, slots=True)
class Purged:
    """What came of a purge."""

    objects: int
    """Objects that were deleted."""
    templates: int
    """Motion templates that were deleted."""
    is_over: bool
    """False while a run is still at work: nothing but the document was removed yet."""


def purge(
    instance: dg.DagsterInstance,
    stores: _Stores,
    templates: _Templates,
    avatar_id: str,
    *,
    remove: bool = False,
) -> Purged | None:
    """Purge an avatar whose document is gone, or go on with a purge that was begun.

    Args:
        remove: delete the document as well, if it is there.

    Returns:
        None where the avatar exists, and is left as it is.

    Raises:
        AvatarError: the id is none.
        StoreError: a store cannot be read or written; calling again goes on.
    """
    checked_avatar_id(avatar_id)
    if not stores.avatars.retire(avatar_id, remove=remove):
        return None
    # A run that began before the mark may still store what it makes; none begins after it.
    if unfinished_runs(instance, avatar_id):
        return Purged(0, 0, is_over=False)
    objects = sum(_delete_all(stores.storage, prefix) for prefix in prefixes_of(avatar_id))
    discarded = _discard_templates(templates, avatar_id)
    copies = Home.from_environment().cache / "downloads" / "pipeline" / avatar_id
    shutil.rmtree(copies, ignore_errors=True)
    instance.delete_dynamic_partition(AVATARS.name or "", avatar_id)
    stores.avatars.forget(avatar_id)
    return Purged(objects, discarded, is_over=True)


def prefixes_of(avatar_id: str) -> tuple[str, str]:
    """Where an avatar's objects lie: what its app and publications store, and what runs make.

    The uploads belong to it, too: whoever made the id anew would own their folder.
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
        with cache.claimed(key):
            if not users.is_used_by_others(key, avatar_id):
                cache.discard(key)
                discarded += 1
            users.remove(key, avatar_id)
    return discarded
