"""The state of an asset check for each avatar, fast enough for a page of the UI.

Dagster 1.13.27 computes this partition by partition: it does not pass the store of dynamic
partitions, which ends in an error, asks the database about each key, and copies a growing set for
each. Here the settled partitions are put into sets at once, and Dagster's own code handles the few
whose check is in progress.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from dagster import (
    AssetCheckKey,
    DagsterInstance,
    DagsterRunStatus,
    DynamicPartitionsDefinition,
    RunsFilter,
)

from sunriza_assets.platform.dagster_internals import (
    FINISHED_STATUSES,
    AssetCheckExecutionRecordStatus,
    AssetCheckExecutionResolvedStatus,
    AssetCheckPartitionInfo,
    AssetCheckState,
    SerializableEntitySubset,
    partition_loading_context,
)

__all__ = ["state_of_check"]

_SETTLED: Final[Mapping[AssetCheckExecutionRecordStatus, AssetCheckExecutionResolvedStatus]] = {
    AssetCheckExecutionRecordStatus.SUCCEEDED: AssetCheckExecutionResolvedStatus.SUCCEEDED,
    AssetCheckExecutionRecordStatus.FAILED: AssetCheckExecutionResolvedStatus.FAILED,
}


def state_of_check(
    instance: DagsterInstance, key: AssetCheckKey, partitions: DynamicPartitionsDefinition
) -> AssetCheckState:
    """For which partitions a check passed, failed or is at work, by its latest run of each."""
    present = set(instance.get_dynamic_partitions(partitions.name or ""))
    infos = [
        info
        for info in instance.event_log_storage.get_asset_check_partition_info([key])
        if info.partition_key in present
    ]
    settled: dict[AssetCheckExecutionResolvedStatus, list[str]] = {
        status: [] for status in _SETTLED.values()
    }
    in_progress: list[AssetCheckPartitionInfo] = []
    for info in infos:
        if info.latest_execution_status not in _SETTLED:
            in_progress.append(info)
        elif info.is_current and info.partition_key is not None:
            settled[_SETTLED[info.latest_execution_status]].append(info.partition_key)
    state = AssetCheckState(
        latest_storage_id=max((info.latest_check_event_storage_id for info in infos), default=0),
        subsets={
            status: SerializableEntitySubset(key, partitions.subset_with_partition_keys(keys))
            for status, keys in settled.items()
        },
        in_progress_runs={},
    )
    with partition_loading_context(dynamic_partitions_store=instance):
        return state.with_updates(key, partitions, in_progress, _finished(instance, in_progress))


def _finished(
    instance: DagsterInstance, in_progress: Sequence[AssetCheckPartitionInfo]
) -> Mapping[str, DagsterRunStatus]:
    """Run -> status, of those that have ended without a result of their check."""
    run_ids = sorted({info.latest_planned_run_id for info in in_progress})
    if not run_ids:
        return {}
    runs = instance.get_runs(RunsFilter(run_ids=run_ids, statuses=FINISHED_STATUSES))
    return {run.run_id: run.status for run in runs}
