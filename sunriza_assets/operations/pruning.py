"""Delete old runs from Dagster's storage: their costs are in the ledger, their results replaced.

An event log has no retention of its own, and the events of one avatar's run are about half a
megabyte. Deleting a run deletes its materializations, so an avatar keeps its latest run of all
assets, every later run, and the runs whose results that one reused.
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
"""Runs read at once."""
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
    all_assets: AbstractSet[str],
) -> int:
    """Delete ended runs from before a time that later ones have superseded.

    Args:
        all_assets: assets that a run has to make so that nothing of an earlier one is left.

    Returns:
        How many were deleted.

    Raises:
        CostError: the ledger is damaged; nothing has been deleted then.
        StoreError: the ledger cannot be written; nothing has been deleted then.
    """
    update_ledger(instance, ledger)
    superseded = list(_superseded(instance, before, all_assets))
    for run_id in superseded:
        instance.delete_run(run_id)
    return len(superseded)


def _superseded(
    instance: dg.DagsterInstance, before: datetime, all_assets: AbstractSet[str]
) -> Iterator[str]:
    latest_full: dict[str, int | None] = {}
    source_runs: dict[str, AbstractSet[str]] = {}
    cursor: str | None = None
    filters = dg.RunsFilter(statuses=_ENDED, created_before=before)
    while page := instance.get_run_records(filters, limit=PAGE, cursor=cursor):
        cursor = page[-1].dagster_run.run_id
        for record in page:
            avatar_id = record.dagster_run.tags.get(AVATAR_TAG)
            if avatar_id is None:  # of reports: their figures are made anew every time
                yield record.dagster_run.run_id
                continue
            if avatar_id not in latest_full:
                latest_full[avatar_id] = _latest_full_run(instance, avatar_id, all_assets)
            latest = latest_full[avatar_id]
            if latest is None or record.storage_id >= latest:
                continue
            if avatar_id not in source_runs:
                source_runs[avatar_id] = _source_runs(instance, avatar_id, all_assets)
            if record.dagster_run.run_id not in source_runs[avatar_id]:
                yield record.dagster_run.run_id


def _source_runs(
    instance: dg.DagsterInstance, avatar_id: str, all_assets: AbstractSet[str]
) -> AbstractSet[str]:
    """The runs that made an avatar's current results; later ones may have reused them."""
    return {
        producing_run(record)
        for asset in all_assets
        for record in instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[avatar_id]),
            limit=1,
        ).records
    }


def _latest_full_run(
    instance: dg.DagsterInstance, avatar_id: str, all_assets: AbstractSet[str]
) -> int | None:
    """Storage id of the avatar's latest successful run of all its assets, or None."""
    filters = dg.RunsFilter(tags={AVATAR_TAG: avatar_id}, statuses=[dg.DagsterRunStatus.SUCCESS])
    for record in instance.get_run_records(filters):
        run = record.dagster_run
        if _selected_assets(run) >= all_assets or not _selected_assets(run):
            return record.storage_id
    return None


def _selected_assets(run: dg.DagsterRun) -> AbstractSet[str]:
    """Names of the assets that a run was asked to make; empty means all."""
    if run.step_keys_to_execute:  # an asset's step has its name
        return set(run.step_keys_to_execute)
    return {key.to_user_string() for key in run.asset_selection or ()}
