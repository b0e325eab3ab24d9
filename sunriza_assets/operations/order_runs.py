"""The Dagster runs that work for orders: their tags, which one fits, how one is ended.

An order names the id of its run before the run exists. So a run that is found in Dagster belongs to
an order or to none, whenever a process was killed, and no order has two.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final, Protocol

import dagster as dg

from resources.avatars.document import AvatarDocument
from resources.orders.order import Order
from resources.process_names import is_gone
from sunriza_assets.costs.totals import RunTotal
from sunriza_assets.errors import StoreError
from sunriza_assets.graph.partitions import AVATAR_TAG
from sunriza_assets.graph.tags import (
    DRAFT_TAG,
    FORCE_TAG,
    INPUTS_TAG,
    ORDER_TAG,
    PROCESS_TAG,
    REQUEST_TAG,
)
from sunriza_assets.operations.limits import owner_tags
from sunriza_assets.operations.retries import NOT_RETRIED_BY_DAGSTER
from sunriza_assets.platform import queue

__all__ = [
    "KILLED",
    "LOST_TAG",
    "MAX_LOSSES",
    "Outcome",
    "Progress",
    "Runner",
    "SpeechWork",
    "Work",
    "adoptable_run",
    "close_run",
    "count_losses",
    "has_started",
    "is_draft",
    "order_tags",
    "plain_outcome",
    "speech_tags",
    "terminate_run",
]

_log = logging.getLogger(__name__)

MAX_LOSSES: Final = 3
"""Runs of the same inputs that may be lost alone in the same step before they are given up."""
LOST_TAG: Final = "sunriza/lost-in"
"""Run tag: the step in which the run's process died while its dispatcher lived."""
KILLED: Final = "run.killed"
"""Code of a run that was lost alone, so that its input may be the reason."""

_UNFINISHED: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


@dataclass(frozen=True, slots=True)
class Work:
    """One run that is to be made."""

    run_id: str
    """Its id, chosen before."""
    avatar_id: str
    """Its avatar."""
    force: bool
    """Whether everything is made anew."""
    tags: Mapping[str, str]
    """Tags of the run."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Canonical parameters of the run's own, over those of the document: a draft's."""
    is_draft: bool = False
    """Whether the result is stored as a draft; such a run ends where the avatar is published."""


@dataclass(frozen=True, slots=True)
class SpeechWork:
    """One run that speaks the text of an order."""

    run_id: str
    """Its id, chosen before."""
    order_id: str
    """The order, which says what is spoken."""
    tags: Mapping[str, str]
    """Tags of the run."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    run_id: str
    """Which run."""
    step: str | None = None
    """The asset at work; None if that is not known."""
    percent: int | None = None
    """0-100; None if it is not known."""
    eta_s: float | None = None
    """Seconds to its end; None if that is not known."""
    lines: tuple[str, ...] = ()
    """Lines for the order's log."""

    def then(self, later: "Progress") -> "Progress":
        """Both in one: what the later one does not know stays."""
        return Progress(
            self.run_id,
            later.step or self.step,
            self.percent if later.percent is None else later.percent,
            self.eta_s if later.eta_s is None else later.eta_s,
            (*self.lines, *later.lines),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run has ended."""

    run_id: str
    """Which run."""
    status: str
    """`ready`, `error`, `cancelled`, or `lost` with its process."""
    code: str = "internal"
    """Code of the error; `KILLED` for a run that was lost alone, and not with its dispatcher."""
    message: str | None = None
    """What a user may read of it; None where nothing is known."""
    total: RunTotal | None = None
    """What it took and cost, if it says so itself."""


class Runner(Protocol):
    """Makes runs, here or elsewhere."""

    def free(self) -> int:
        """How many runs may be started now."""
        ...

    def start(self, work: Work | SpeechWork) -> None:
        """Start a run. An error of this is an `Outcome` later, or the run never appears."""
        ...

    def has(self, run_id: str) -> bool:
        """Whether `poll` will report how this run ends; others are looked up in Dagster."""
        ...

    def is_lost(self, run: dg.DagsterRun) -> bool:
        """Whether a run that was launched elsewhere has not started and never will.

        Raises:
            StoreError: that cannot be found out now.
        """
        ...

    def cancel(self, run_id: str) -> None:
        """End a run that it has; asked again, nothing more happens."""
        ...

    def poll(self) -> list[Progress | Outcome]:
        """What has happened since the last call; does not wait."""
        ...


def order_tags(document: AvatarDocument, order: Order) -> dict[str, str]:
    """Tags of a run for an order: what the sensors look for, and the order's id.

    A run for a draft answers no wish of the document, so sensors do not look for it.
    """
    if is_draft(order):
        return {**_names(order), DRAFT_TAG: "true", **NOT_RETRIED_BY_DAGSTER}
    return {
        INPUTS_TAG: document.inputs_version,
        **_names(order),
        **(queue.CHANGED if document.record.current else queue.NEW),
        **NOT_RETRIED_BY_DAGSTER,
        **owner_tags(document),
    }


def speech_tags(order: Order) -> dict[str, str]:
    """Tags of a run that speaks: somebody waits for it."""
    return {**_names(order), **queue.NEW, **NOT_RETRIED_BY_DAGSTER}


def _names(order: Order) -> dict[str, str]:
    """Tags by which a run's lines are found: its order, and the request that made that."""
    request = {} if order.request_id is None else {REQUEST_TAG: order.request_id}
    return {ORDER_TAG: order.order_id, **request}


def is_draft(order: Order) -> bool:
    """Whether an order's result is stored as a draft."""
    return order.inputs.get("publish") is False


def adoptable_run(
    instance: dg.DagsterInstance, document: AvatarDocument, *, force: bool
) -> dg.DagsterRun | None:
    """An unfinished run for the present inputs of an avatar, the newest; None if there is none.

    Args:
        force: only a run that makes everything anew will do.
    """
    tags = {AVATAR_TAG: document.avatar_id, INPUTS_TAG: document.inputs_version}
    for run in instance.get_runs(dg.RunsFilter(tags=tags, statuses=_UNFINISHED)):
        is_forced = run.tags.get(FORCE_TAG) == "true"
        if (is_forced or not force) and not is_gone(run.tags.get(PROCESS_TAG, "")):
            return run
    return None


def close_run(instance: dg.DagsterInstance, run: dg.DagsterRun, *, cancelled: bool) -> None:
    """End a run whose process is gone and free its pool slots; its document stays as it is."""
    if not run.is_finished:
        if cancelled:
            instance.report_run_canceled(run, message="The run was cancelled")
        else:
            instance.report_run_failed(run, "The process of this run was killed")
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def has_started(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run has begun in some process."""
    record = instance.get_run_record_by_id(run.run_id)
    return record is not None and record.start_time is not None


def terminate_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Ask for the end of a run that was launched: it leaves the queue, or its process is told.

    Raises:
        StoreError: whoever would have to be told cannot be reached.
    """
    _log.info("Run %s is being cancelled", run.run_id)
    try:
        is_told = instance.run_coordinator.cancel_run(run.run_id)
    except dg.DagsterError as problem:
        raise StoreError(
            "The process of a run cannot be told to end",
            where=str(problem)[:200],
            remedy="Is the code server there?",
            code="queue",
        ) from problem
    if not is_told:
        close_run(instance, run, cancelled=True)


def count_losses(instance: dg.DagsterInstance, run: dg.DagsterRun, step: str | None) -> int:
    """Note that a run was lost alone in this step; how many of the same inputs were, in a row.

    What kills its process does so in the same step each time. A run that was lost in another step,
    or together with its dispatcher, says nothing about its input.
    """
    name = step or "start"
    instance.add_run_tags(run.run_id, {LOST_TAG: name})
    kept = (INPUTS_TAG, AVATAR_TAG) if INPUTS_TAG in run.tags else (ORDER_TAG,)
    same = {tag: run.tags[tag] for tag in kept if tag in run.tags}
    newest = instance.get_runs(dg.RunsFilter(tags=same), limit=MAX_LOSSES)
    return sum(1 for _ in takewhile(lambda one: one.tags.get(LOST_TAG) == name, newest))


def plain_outcome(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Outcome:
    """The outcome of a finished run, as Dagster knows it: with the first error of its steps."""
    words: Mapping[Any, str] = {
        dg.DagsterRunStatus.SUCCESS: "ready",
        dg.DagsterRunStatus.CANCELED: "cancelled",
    }
    code, message = "run.failed", None
    if run.status != dg.DagsterRunStatus.SUCCESS:
        code, message = _named_failure(instance, run.run_id) or (code, message)
    return Outcome(run.run_id, words.get(run.status, "error"), code, message)


def _named_failure(instance: dg.DagsterInstance, run_id: str) -> tuple[str, str] | None:
    """Code and public message of a run's first failure that was raised on purpose."""
    failures = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    for record in failures.records:
        event = record.event_log_entry.dagster_event
        raised = event.step_failure_data.user_failure_data if event is not None else None
        if raised is not None and raised.description:
            code, where = (raised.metadata.get(name) for name in ("code", "where"))
            place = f" ({where.value})" if where is not None and where.value else ""
            return (
                str(code.value) if code is not None else "internal",
                raised.description.replace(place, "") if place else raised.description,
            )
    return None
