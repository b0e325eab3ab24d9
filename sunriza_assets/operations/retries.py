"""Retries of runs that were lost by the infrastructure and did not fail by the avatar's input.

A run that fails before any of its steps has begun (a code server that starts slowly, a worker that
never came, a launcher's error) says nothing about the avatar, so it is requested again after one,
five and fifteen minutes. A run whose process was killed in the middle may have been killed by its
input, so it is requested again once. The number of a retry is in the run's tags, so a
restart of the daemon neither loses one nor adds one.

Dagster's own retry of crashed runs is switched off for the runs that a sensor asks for: it comes at
once, while the machines still have their problem, and it would double every retry.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import dagster as dg
from dagster import DagsterEventType as Type

from resources.avatars.document import AvatarDocument
from resources.avatars.waiting import Waiting
from resources.dagster_internals import ChildProcessCrashException, StepFailureData
from sunriza_assets.graph.tags import INPUTS_TAG

__all__ = [
    "ATTEMPT_TAG",
    "RETRY_OF_TAG",
    "Loss",
    "failure_message",
    "loss_of",
    "pending_retry",
    "retry_of",
    "retry_tags",
]

ATTEMPT_TAG: Final = "sunriza/attempt"
"""Run tag: which retry of a lost run it is, from 1; absent when it is none."""
RETRY_OF_TAG: Final = "sunriza/retry-of"
"""Run tag: the lost run that it retries."""
NOT_RETRIED_BY_DAGSTER: Final = {"dagster/max_retries": "0"}
CODE: Final = "run.retry"

PAUSES: Final = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
"""Pause between a lost run and the request for its retry."""

_DATABASE_ERRORS: Final = frozenset({"OperationalError", "InterfaceError", "StoreError"})
"""Classes of the drivers, and of `platform.storage`. An asset's own StoreError becomes a failure
with a description."""

Loss = Literal["machines", "process"]

_RETRIES: Final[Mapping[Loss, int]] = {"machines": len(PAUSES), "process": 1}
_REASONS: Final[Mapping[Loss, str]] = {
    "machines": "Our machines have a problem, your avatar has none.",
    "process": "Making your avatar was cut short.",
}


def loss_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Loss | None:
    """How a failed run was lost; None where a step has failed by itself and said why.

    machines: before any step had begun, with the worker of a step that had not, or by Dagster's
    database.
    process: its process, or a step's, has ended without an error of its own.
    """
    begun: set[str | None] = set()
    lost: set[str | None] = set()
    events = instance.get_records_for_run(run.run_id, of_type={Type.STEP_START, Type.STEP_FAILURE})
    for event in (record.event_log_entry.dagster_event for record in events.records):
        if event is None:
            continue
        if event.event_type == Type.STEP_START:
            begun.add(event.step_key)
        elif _is_lost_worker(event.step_failure_data):
            lost.add(event.step_key)
        elif _is_lost_database(event.step_failure_data):
            return "machines"
        else:
            return None
    if not begun or (lost and not lost & begun):
        return "machines"
    return "process"


def retry_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Waiting | None:
    """Time and number of a failed run's next attempt; None if it is not retried.

    The result does not depend on when or how often it is computed.
    """
    version = run.tags.get(INPUTS_TAG)
    if version is None:  # an operator's own run: not retried
        return None
    loss = loss_of(instance, run)
    attempt = _attempt(run) + 1
    if loss is None or attempt > _RETRIES[loss]:
        return None
    record = instance.get_run_record_by_id(run.run_id)
    ended = record.end_time if record is not None else None
    since = datetime.now(UTC) if ended is None else datetime.fromtimestamp(ended, UTC)
    until = since + PAUSES[attempt - 1]
    message = (
        f"{_REASONS[loss]} It will be tried again at {until:%H:%M} UTC "
        f"(attempt {attempt} of {_RETRIES[loss]})."
    )
    return Waiting(CODE, message, until, version, attempt, _RETRIES[loss], run.run_id)


def failure_message(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[str, str]:
    """Code and message of a run that has failed and is not tried again."""
    if run.tags.get(INPUTS_TAG) is not None and loss_of(instance, run) == "machines":
        return "run.machines", (
            "Our machines have a problem, your avatar has none. It was tried "
            f"{_attempt(run) + 1} times; please ask again later."
        )
    return "run.failed", "The run stopped unexpectedly. Please try again."


def pending_retry(document: AvatarDocument) -> Waiting | None:
    """The retry that an avatar waits for, due or not, if it waits for one."""
    waiting = document.record.waiting
    return waiting if waiting is not None and waiting.attempt and document.is_held else None


def retry_tags(waiting: Waiting) -> Mapping[str, str]:
    """The tags of the run that is a retry."""
    return {ATTEMPT_TAG: str(waiting.attempt), RETRY_OF_TAG: waiting.run_id}


def _is_lost_worker(failure: StepFailureData) -> bool:
    """Whether a step's failure was reported by its executor, for a worker that is gone."""
    if failure.user_failure_data is not None or failure.error is None:
        return False
    return failure.error.cls_name in (None, ChildProcessCrashException.__name__)


def _is_lost_database(failure: StepFailureData) -> bool:
    """Whether a step failed because Dagster's database did, and not by an error of its own."""
    error = failure.error if failure.user_failure_data is None else None
    while error is not None:
        if error.cls_name in _DATABASE_ERRORS:
            return True
        error = error.cause
    return False


def _attempt(run: dg.DagsterRun) -> int:
    value = run.tags.get(ATTEMPT_TAG, "")
    return int(value) if value.isascii() and value.isdecimal() else 0
