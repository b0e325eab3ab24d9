"""The run queue: who goes first, and how many may wait.

Dagster reads the whole queue at every look and sorts it, so a short queue is a fast one; what does
not fit waits where it came from, in the stream of changes or in a backfill's list.
"""

from typing import Final

import dagster as dg

__all__ = ["BACKFILL", "BACKFILL_CAP", "CHANGED", "NEW", "QUEUE_CAP", "waiting_runs"]

_PRIORITY: Final = "dagster/priority"

NEW: Final = {_PRIORITY: "10"}
"""Run tags of an avatar that nobody has seen alive yet: somebody is waiting for it."""
CHANGED: Final = {_PRIORITY: "5"}
"""Run tags of an avatar whose inputs have changed; its former results still play."""
BACKFILL: Final = {_PRIORITY: "-10"}
"""Run tags of a re-render that an operator asked for: whenever there is nothing else to do."""

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
    """Runs that are asked for and have not started."""
    return instance.get_runs_count(dg.RunsFilter(statuses=_WAITING))
