"""Steps read from Dagster's event log, the source of the ledger.

A step that succeeded is a materialization and carries its own record. A run that failed or was
killed has none for its last step; that step is read from the run's own events, with the record in
its error's metadata, or, if it was killed, with the seconds of the log and the device of the run's
tags.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import dagster as dg
from dagster import DagsterEventType as Type

from resources.accounting.device_tags import killed_step_facts
from resources.dagster_internals import SqlRunStorage
from sunriza_assets.costs.events import LogCursor, StepEvent, step_facts
from sunriza_assets.costs.ledger import Ledger, Update

__all__ = ["StepLog", "plain_metadata", "update_ledger"]

_PAGE: Final = 500
"""Records fetched at once; Dagster refuses more than a thousand."""
_OVERLAP: Final = 100
"""Events that are read again: on Postgres transactions may become visible in another order than
their ids, and SQLite reuses the ids of the runs that were deleted last."""
_FAILED_RUN_EVENTS: Final[tuple[Literal[Type.RUN_FAILURE, Type.RUN_CANCELED], ...]] = (
    Type.RUN_FAILURE,
    Type.RUN_CANCELED,
)
_STEP_EVENTS: Final = frozenset(
    {
        Type.ASSET_MATERIALIZATION_PLANNED,
        Type.STEP_START,
        Type.STEP_SUCCESS,
        Type.STEP_FAILURE,
        *_FAILED_RUN_EVENTS,
    }
)


class StepLog:
    """The event log of an instance, as steps.

    Ids are those of the index, which every storage has: SQLite keeps a database for each run
    beside it, with ids of its own.
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    @property
    def end(self) -> LogCursor:
        """Cursor of the end of the log."""
        last = self._instance.event_log_storage.get_maximum_record_id()
        runs = self._instance.run_storage
        # Dagster's own storages are all of this class, and have an id of the installation.
        log = runs.get_run_storage_id() if isinstance(runs, SqlRunStorage) else ""
        return LogCursor(log, last or 0)

    def lag(self, cursor: LogCursor) -> int:
        """Upper bound of the number of events after a cursor."""
        return self.end.event_id - self._begin(cursor)

    def since(
        self, cursor: LogCursor, *, max_events: int | None = None
    ) -> tuple[Iterator[StepEvent], LogCursor]:
        """Steps after a cursor, and the cursor after them.

        A cursor of another log (the home was wiped) counts as none. Some steps before it are
        repeated; callers identify steps by run, asset, partition and event.

        Args:
            max_events: most events of the log to read; only some of them are steps.
        """
        end = self.end
        begin = self._begin(cursor)
        if max_events is not None:
            end = LogCursor(end.log, min(end.event_id, begin + max_events))
        window = (max(0, begin - _OVERLAP), end.event_id + 1)
        return self._between(*window), end

    def latest(self, limit: int) -> Iterator[StepEvent]:
        """The newest successful steps of each asset, at most `limit` each."""
        for key in self._instance.get_asset_keys():
            for record in self._instance.fetch_materializations(key, limit=limit).records:
                yield from _succeeded_steps(record)

    def _begin(self, cursor: LogCursor) -> int:
        end = self.end
        return cursor.event_id if cursor.log == end.log and cursor.event_id <= end.event_id else 0

    def _between(self, after: int, before: int) -> Iterator[StepEvent]:
        for key in self._instance.get_asset_keys():
            for record in self._materializations(key, after, before):
                yield from _succeeded_steps(record)
        for kind in _FAILED_RUN_EVENTS:
            for record in self._run_ends(kind, after, before):
                yield from self._failed_steps(record)

    def _materializations(
        self, key: dg.AssetKey, after: int, before: int
    ) -> Iterator[dg.EventLogRecord]:
        cursor = None
        wanted = dg.AssetRecordsFilter(
            asset_key=key, after_storage_id=after, before_storage_id=before
        )
        while True:
            page = self._instance.fetch_materializations(
                wanted, limit=_PAGE, cursor=cursor, ascending=True
            )
            yield from page.records
            if not page.has_more:
                return
            cursor = page.cursor

    def _run_ends(
        self, kind: Literal[Type.RUN_FAILURE, Type.RUN_CANCELED], after: int, before: int
    ) -> Iterator[dg.EventLogRecord]:
        cursor = None
        wanted = dg.RunStatusChangeRecordsFilter(
            event_type=kind, after_storage_id=after, before_storage_id=before
        )
        while True:
            page = self._instance.fetch_run_status_changes(
                wanted, limit=_PAGE, cursor=cursor, ascending=True
            )
            yield from page.records
            if not page.has_more:
                return
            cursor = page.cursor

    def _failed_steps(self, end: dg.EventLogRecord) -> Iterator[StepEvent]:
        """The steps of a run that began and did not succeed."""
        run_id = end.event_log_entry.run_id
        events = self._instance.get_records_for_run(run_id, of_type=set(_STEP_EVENTS)).records
        planned: dict[str, tuple[str, str | None]] = {}
        started: dict[str, float] = {}
        failed: dict[str, tuple[float, Mapping[str, Any]]] = {}
        for entry in (event.event_log_entry for event in events):
            event = entry.dagster_event
            if event is None:
                continue
            if event.event_type in _FAILED_RUN_EVENTS:
                if entry.timestamp != end.event_log_entry.timestamp:
                    return  # ended twice, once by run monitoring: the first end counts
                break
            step = event.step_key or ""
            if event.event_type == Type.ASSET_MATERIALIZATION_PLANNED and event.asset_key:
                planned[step] = (event.asset_key.to_user_string(), event.partition)
            elif event.event_type == Type.STEP_START:
                started[step] = entry.timestamp
            elif event.event_type == Type.STEP_SUCCESS:
                started.pop(step, None)
            elif event.event_type == Type.STEP_FAILURE:
                failure = event.step_failure_data.user_failure_data
                failed[step] = (entry.timestamp, failure.metadata if failure else {})
        ended = started.keys() & planned.keys()  # checks are steps, too, but make nothing
        run = self._instance.get_run_by_id(run_id) if ended else None
        for step in ended:
            asset, partition = planned[step]
            at, error_metadata = failed.get(step, (end.event_log_entry.timestamp, {}))
            elapsed_s = max(0.0, at - started[step])
            metadata = step_facts(plain_metadata(error_metadata))
            if "wall_s" not in metadata and run is not None:
                metadata |= killed_step_facts(run.tags, elapsed_s)
            yield StepEvent(
                run_id=run_id,
                asset=asset,
                partition=partition,
                event_id=end.storage_id,
                timestamp=at,
                success=False,
                metadata=metadata,
                elapsed_s=elapsed_s,
            )


def update_ledger(
    instance: dg.DagsterInstance, ledger: Ledger, *, max_events: int | None = None
) -> Update:
    """Add the steps after the ledger's cursor to the ledger.

    Args:
        max_events: see `StepLog.since`.

    Raises:
        CostError: the ledger is damaged or of a newer version.
        StoreError: the ledger cannot be written; nothing has changed then.
    """
    events, cursor = StepLog(instance).since(ledger.cursor, max_events=max_events)
    return ledger.update(events, cursor=cursor)


def plain_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata as plain values."""
    return {name: getattr(value, "value", value) for name, value in metadata.items()}


def _succeeded_steps(record: dg.EventLogRecord) -> Iterable[StepEvent]:
    made = record.asset_materialization
    if made is None:
        return ()
    return (
        StepEvent(
            run_id=record.run_id,
            asset=made.asset_key.to_user_string(),
            partition=made.partition,
            event_id=record.storage_id,
            timestamp=record.timestamp,
            success=True,
            metadata=step_facts(plain_metadata(made.metadata)),
        ),
    )
