"""Old runs out of Dagster's storage: what they cost is in the ledger, what they made is replaced.

An event log has no retention of its own, and the events of one avatar's run are about half a
megabyte. Deleting a run deletes what it told of its assets, so an avatar keeps its latest run of
all of them, everything after it, and the runs that made what this one found unchanged.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

import dagster as dg

from resources.accounting.event_log import update_ledger
from resources.publishing.reuse import producing_run
from sunriza_assets.costs.ledger import Ledger
from sunriza_assets.graph.partitions import AVATAR_TAG

__all__ = ["prune"]

PAGE: Final = 500
"""Runs looked at at once."""
_ENDED: Final = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


def prune(
    instance: dg.DagsterInstance,
    ledger: Ledger,
    *,
    before: datetime,
    whole: AbstractSet[str],
) -> int:
    """Delete ended runs from before a time that later ones have made needless.

    Args:
        whole: assets that a run has to make so that nothing of an earlier one is left.

    Returns:
        How many were deleted.

    Raises:
        CostError: the ledger is damaged; nothing has been deleted then.
        StoreError: the ledger cannot be written; nothing has been deleted then.
    """
    update_ledger(instance, ledger)
    needless = list(_needless(instance, before, whole))
    for run_id in needless:
        instance.delete_run(run_id)
    return len(needless)


def _needless(
    instance: dg.DagsterInstance, before: datetime, whole: AbstractSet[str]
) -> Iterator[str]:
    kept_from: dict[str, int | None] = {}
    makers: dict[str, AbstractSet[str]] = {}
    cursor: str | None = None
    filters = dg.RunsFilter(statuses=_ENDED, created_before=before)
    while page := instance.get_run_records(filters, limit=PAGE, cursor=cursor):
        cursor = page[-1].dagster_run.run_id
        for record in page:
            avatar_id = record.dagster_run.tags.get(AVATAR_TAG)
            if avatar_id is None:  # of reports: their figures are made anew every time
                yield record.dagster_run.run_id
                continue
            if avatar_id not in kept_from:
                kept_from[avatar_id] = _latest_whole(instance, avatar_id, whole)
            latest = kept_from[avatar_id]
            if latest is None or record.storage_id >= latest:
                continue
            if avatar_id not in makers:
                makers[avatar_id] = _makers(instance, avatar_id, whole)
            if record.dagster_run.run_id not in makers[avatar_id]:
                yield record.dagster_run.run_id


def _makers(
    instance: dg.DagsterInstance, avatar_id: str, whole: AbstractSet[str]
) -> AbstractSet[str]:
    """The runs that made what an avatar has now; later ones may have found it unchanged."""
    return {
        producing_run(record)
        for asset in whole
        for record in instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[avatar_id]),
            limit=1,
        ).records
    }


def _latest_whole(
    instance: dg.DagsterInstance, avatar_id: str, whole: AbstractSet[str]
) -> int | None:
    """Storage id of the avatar's latest successful run of all its assets, or None."""
    filters = dg.RunsFilter(tags={AVATAR_TAG: avatar_id}, statuses=[dg.DagsterRunStatus.SUCCESS])
    for record in instance.get_run_records(filters):
        run = record.dagster_run
        if _made(run) >= whole or not _made(run):
            return record.storage_id
    return None


def _made(run: dg.DagsterRun) -> AbstractSet[str]:
    """Names of the assets that a run was told to make; empty where it was all of them."""
    if run.step_keys_to_execute:  # an asset's step has its name
        return set(run.step_keys_to_execute)
    return {key.to_user_string() for key in run.asset_selection or ()}
