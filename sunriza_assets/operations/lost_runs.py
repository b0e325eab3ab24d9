"""Runs whose process is gone: killed, out of memory, or the machine went down.

Runs that Dagster launches are watched by its run monitoring. A run in the process of the command
line is not, so it carries a tag with its process. The next command closes the runs of dead
processes, and so does a watchdog process as soon as its parent dies.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import DEVNULL, PIPE, Popen
from typing import Final

import dagster as dg

from resources.process_names import is_gone
from resources.services import Stores
from sunriza_assets.errors import SunrizaError
from sunriza_assets.graph.partitions import AVATAR_TAG
from sunriza_assets.graph.tags import PROCESS_TAG

__all__ = ["close_lost_runs", "with_watchdog"]

_UNFINISHED: Final = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_DONE: Final = b"done"


def close_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the runs of dead processes of this machine: FAILURE in Dagster, `error` on the document.

    Their pool slots are freed. Returns the ids of the runs.
    """
    lost = [
        run
        for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
        if is_gone(run.tags.get(PROCESS_TAG, ""))
    ]
    for run in lost:
        instance.report_run_failed(run, "The process of this run was killed")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        avatar_id = run.tags.get(AVATAR_TAG)
        if avatar_id is not None:
            _report_lost(avatar_id, run.run_id)
    return [run.run_id for run in lost]


@contextmanager
def with_watchdog() -> Iterator[None]:
    """Run a watchdog process that closes this process's runs if it is killed."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    watchdog = Popen(
        [sys.executable, "-m", "sunriza_assets.operations.watchdog"],
        stdin=PIPE,
        stdout=DEVNULL,
        stderr=DEVNULL,
        env=environment,
        start_new_session=True,  # it outlives whatever kills our process group
    )
    try:
        yield
    finally:
        if watchdog.stdin is not None:
            try:
                watchdog.stdin.write(_DONE)
                watchdog.stdin.close()
            except BrokenPipeError:  # the watchdog was killed: nothing to stop
                pass
        watchdog.wait(timeout=10)


def _report_lost(avatar_id: str, run_id: str) -> None:
    message = "The run stopped unexpectedly. Please try again."
    try:
        Stores().avatars.fail(avatar_id, run_id, code="run.killed", message=message)
    except SunrizaError as error:
        dg.get_dagster_logger().warning(
            "The error is not on the document of %s: %s", avatar_id, error
        )
