"""The run queue: priorities of runs, and caps on waiting ones.

Dagster reads and sorts the whole queue at every tick, so a short queue is a fast one. Requests
above the cap wait at their source: the stream of changes or a backfill's list.
"""

from typing import Final, Protocol, runtime_checkable

import dagster as dg

__all__ = [
    "BACKFILL",
    "BACKFILL_CAP",
    "CHANGED",
    "NEW",
    "QUEUE_CAP",
    "FindsTasks",
    "waiting_runs",
]

_PRIORITY: Final = "dagster/priority"

NEW: Final = {_PRIORITY: "10"}
"""Run tags of an avatar without a publication: its user is waiting."""
CHANGED: Final = {_PRIORITY: "5"}
"""Run tags of an avatar whose inputs have changed; its former results still play."""
BACKFILL: Final = {_PRIORITY: "-10"}
"""Run tags of a backfill: the lowest priority."""

QUEUE_CAP: Final = 500
"""Runs that wait before the sensor of changes stops asking for more."""
BACKFILL_CAP: Final = 50
"""Runs that wait before backfills stop asking for more; enough to keep a fleet busy for a tick."""

_WAITING: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
]


def waiting_runs(instance: dg.DagsterInstance) -> int:
    """Number of runs that are requested and have not started."""
    return instance.get_runs_count(dg.RunsFilter(statuses=_WAITING))


@runtime_checkable
class FindsTasks(Protocol):
    """A launcher that knows where a run is between its launch and its start."""

    def is_task_missing(self, run: dg.DagsterRun, waited_s: float) -> bool:
        """Whether nobody will start a run that was launched some seconds ago.

        Raises:
            StoreError: that cannot be found out now.
        """
        ...
