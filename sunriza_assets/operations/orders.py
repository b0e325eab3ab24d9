"""The dispatcher: makes runs for waiting orders, and writes to orders how their runs go.

One `tick` reads all unfinished orders and brings each a step further. Nothing is kept in memory
that is needed after a kill: an order names its run before the run exists, the run names its order,
and a tick of any dispatcher goes on from what store, Dagster and documents say. An order follows
one run at a time; a run that a sensor has started for the same inputs is adopted instead of making
another.

Whether an order succeeded is decided by the avatar's record: it did if its run has published.
"""

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any, Final

import dagster as dg

from resources.avatars.document import AvatarDocument
from resources.orders.order import WAITING_STATES, Order, OrderError, is_order_id
from resources.orders.store import OrderStore
from resources.process_names import is_gone
from resources.stores import open_stores
from sunriza_assets.errors import StoreError
from sunriza_assets.graph.tags import ORDER_TAG, PROCESS_TAG
from sunriza_assets.operations.order_ends import OrderEnds
from sunriza_assets.operations.order_outcomes import (
    CANCELLED,
    EXPIRED,
    with_line,
)
from sunriza_assets.operations.order_runs import (
    KILLED,
    Outcome,
    Progress,
    Runner,
    SpeechWork,
    Work,
    adoptable_run,
    close_run,
    has_started,
    is_draft,
    order_tags,
    plain_outcome,
    speech_tags,
    terminate_run,
)
from sunriza_assets.operations.retries import loss_of
from sunriza_assets.studio.parameters import canonical

__all__ = ["MAX_WAIT", "Dispatcher"]

_log = logging.getLogger(__name__)

MAX_WAIT: Final = timedelta(days=1)
"""How long an order may wait for its run."""
_FOLLOW_S: Final = 1.0
"""Seconds between two looks at a run that another process makes."""
_TERMINATE_S: Final = 15.0
"""Seconds after which a process that was told to end is told again: a broker may have lost it."""
_PROGRESS_S: Final = 1.0
"""Seconds between two writes of an order's progress within a step."""

_LAUNCHED: Final = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING)
"""Statuses of a run that may wait for somebody to start it."""


class Dispatcher:
    """Works on the orders of one store; only one is active at a time.

    Args:
        store: the orders.
        instance: Dagster's instance.
        runner: makes the runs.
        ended: gets each order that has ended.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: OrderStore,
        instance: dg.DagsterInstance,
        runner: Runner,
        *,
        ended: Callable[[Order], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._instance = instance
        self._runner = runner
        self._ends = OrderEnds(store, instance, ended)
        self._clock = clock
        self._written: dict[str, tuple[float, str | None]] = {}
        self._followed: dict[str, float] = {}

    def tick(self, *, starting: bool = True) -> None:
        """Bring every unfinished order a step further; never waits for a run.

        Args:
            starting: whether waiting orders are started.
        """
        reports = _by_run(self._runner.poll())
        orders = {order.order_id: order for order in self._store.unfinished()}
        for order in list(orders.values()):
            for report in reports.get(order.run_id or "", ()):
                with self._ends.guarded(order):
                    orders[order.order_id] = order = self._take(order, report)  # noqa: PLW2901
            if order.run_id is not None and not order.is_terminal:
                with self._ends.guarded(order):
                    self._attend(order, orders.values())
        self._ends.settle_cancelled()
        if starting:
            self._start_waiting(orders.values())
        self._forget(orders)

    def release(self) -> None:
        """Give the orders of runs that this dispatcher's own workers make back to the queue."""
        for order in self._store.unfinished():
            if order.run_id is not None and self._runner.has(order.run_id):
                with self._ends.guarded(order):
                    self._ends.close(order.run_id, cancelled=order.state == "cancelling")
                    if order.state != "cancelling":
                        self._ends.requeue(order, "The service was stopped", attempt=order.attempt)

    # -- waiting orders ---------------------------------------------------------------------------

    def _start_waiting(self, orders: Iterable[Order]) -> None:
        """Start what waits, in fair order, as far as there is room; tell the others that they wait.

        An order whose avatar is being made waits for that run to end, unless it can share it.
        """
        if not any(one.state in WAITING_STATES for one in orders):
            return
        busy = {one.avatar_id for one in orders if one.run_id is not None and not one.is_terminal}
        for order in self._store.waiting():
            with self._ends.guarded(order):
                if datetime.now(UTC) - order.created_at > MAX_WAIT:
                    self._ends.end(order, "expired", EXPIRED)
                elif order.avatar_id is not None and order.avatar_id in busy:
                    if not (self._is_due(f"adopt:{order.order_id}") and self._adopt(order)):
                        self._mark_queued(order)
                elif self._runner.free() <= 0:
                    self._mark_queued(order)
                elif not self._adopt(order):
                    self._start(order)
                    busy.add(order.avatar_id)

    def _mark_queued(self, order: Order) -> None:
        if order.state == "accepted":
            self._ends.change(order, state="queued")

    def _adopt(self, order: Order) -> bool:
        """Let an order follow an unfinished run for the same inputs; whether there was one."""
        if order.kind != "dynamics" or is_draft(order):
            return False
        force = bool(order.inputs.get("force"))
        run = adoptable_run(self._instance, _asked(order), force=force)
        if run is None:
            return False
        line = with_line(order.log_tail, "joined a run that is under way")
        self._ends.change(order, state="starting", run_id=run.run_id, log_tail=line)
        return True

    def _start(self, order: Order) -> None:
        """Make a run for an order."""
        refusal = _refusal(order)
        if refusal is not None:
            self._ends.end(order, "failed", refusal)
            return
        document = None if order.kind == "tts" else _asked(order)
        run_id = str(uuid.uuid4())
        line = "started" if order.attempt == 1 else f"started, attempt {order.attempt}"
        tail = with_line(order.log_tail, line)
        if self._ends.change(order, state="starting", run_id=run_id, log_tail=tail) is None:
            return
        if document is None:
            self._runner.start(SpeechWork(run_id, order.order_id, speech_tags(order)))
            return
        work = Work(
            run_id,
            document.avatar_id,
            force=bool(order.inputs.get("force")),
            tags=order_tags(document, order),
            parameters=canonical(order.inputs.get("parameters", {})) if is_draft(order) else {},
            is_draft=is_draft(order),
        )
        self._runner.start(work)

    # -- orders with a run ------------------------------------------------------------------------

    def _take(self, order: Order, report: Progress | Outcome) -> Order:
        """Write what a worker has reported of an order's run."""
        if isinstance(report, Outcome):
            return self._ends.finish(order, report)
        return order if order.state == "cancelling" else self._write_progress(order, report)

    def _attend(self, order: Order, orders: Iterable[Order]) -> None:
        """Look after an order whose run is under way: here, elsewhere, or nowhere any more."""
        run_id = order.run_id or ""
        if order.state == "cancelling" and _is_shared(order, orders):
            self._ends.end(order, "cancelled", CANCELLED)
        elif self._runner.has(run_id):
            if order.state == "cancelling" and self._is_due(order.order_id):
                self._interrupt(run_id)
        elif self._is_due(order.order_id):
            self._follow(order)

    def _interrupt(self, run_id: str) -> None:
        """Cancel a run that a worker makes; told before, Dagster calls it cancelled, not failed."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None and run.status == dg.DagsterRunStatus.STARTED:
            self._instance.report_run_canceling(run)
        self._runner.cancel(run_id)

    def _follow(self, order: Order) -> None:
        """Bring an order up to date with a run that no worker of this dispatcher makes."""
        run = self._instance.get_run_by_id(order.run_id or "")
        if run is None:  # the order was written, and then its dispatcher died
            if order.state == "cancelling":
                self._ends.end(order, "cancelled", CANCELLED)
            else:
                self._ends.requeue(order, "The run was never begun", attempt=order.attempt)
        elif _was_never_submitted(order, run):
            self._ends.close(run.run_id, cancelled=True)
            self._ends.requeue(order, "The run was never begun", attempt=order.attempt)
        elif run.is_finished:
            outcome = plain_outcome(self._instance, run)
            loss = loss_of(self._instance, run) if outcome.status == "error" else None
            if loss is not None:
                outcome = Outcome(run.run_id, "lost", KILLED if loss == "process" else "internal")
            self._ends.finish(order, outcome)
        elif is_gone(run.tags.get(PROCESS_TAG, "")) or (
            run.status in _LAUNCHED and self._runner.is_lost(run)
        ):
            self._ends.finish(order, Outcome(run.run_id, "lost"))
        elif order.state == "cancelling":
            self._terminate(order, run)
        else:
            self._write_followed(order, run)

    def _terminate(self, order: Order, run: dg.DagsterRun) -> None:
        """Have a launched run end; told, and not begun by then, it is closed.

        Whoever is about to begin a run that has ended ignores it.
        """
        key = f"terminate:{order.order_id}"
        is_due = self._is_due(key, _TERMINATE_S)
        if run.status == dg.DagsterRunStatus.CANCELING and not has_started(self._instance, run):
            close_run(self._instance, run, cancelled=True)
        elif is_due:
            try:
                terminate_run(self._instance, run)
            except StoreError:
                del self._followed[key]
                raise

    def _write_followed(self, order: Order, run: dg.DagsterRun) -> None:
        """Write the progress that the run has put into its document."""
        if is_draft(order) or order.avatar_id is None:  # no document tells of it
            self._write_progress(order, Progress(run.run_id))
            return
        document = self._ends.document(order)
        if document is None or document.record.run_id != run.run_id:
            return
        percent, eta_s = document.basic.get("progress"), document.basic.get("etaSeconds")
        progress = Progress(
            run.run_id,
            percent=percent if isinstance(percent, int) else None,
            eta_s=float(eta_s) if isinstance(eta_s, int | float) else None,
        )
        self._write_progress(order, progress)

    def _write_progress(self, order: Order, progress: Progress) -> Order:
        """Write progress: a new step or line at once, all else once a second."""
        now = self._clock()
        at, step = self._written.get(order.order_id, (0.0, None))
        changes: dict[str, Any] = {}
        if progress.lines:
            changes["log_tail"] = reduce(with_line, progress.lines, order.log_tail)
        if order.state != "running" or progress.step not in (None, step) or now - at >= _PROGRESS_S:
            changes["state"] = "running"
            known = {
                "step": progress.step,
                "progress": progress.percent,
                "eta_s": progress.eta_s,
            }
            changes |= {name: value for name, value in known.items() if value is not None}
        same = all(getattr(order, name) == value for name, value in changes.items())
        if not changes or same:
            return order
        self._written[order.order_id] = (now, progress.step or step)
        return self._ends.change(order, **changes) or order

    # -- memory -----------------------------------------------------------------------------------

    def _is_due(self, key: str, every_s: float = _FOLLOW_S) -> bool:
        now = self._clock()
        if now - self._followed.get(key, float("-inf")) < every_s:
            return False
        self._followed[key] = now
        return True

    def _forget(self, orders: dict[str, Order]) -> None:
        """Drop what is remembered of orders that have ended."""
        for memory in (self._written, self._followed):
            for key in [key for key in memory if key.rpartition(":")[2] not in orders]:
                del memory[key]


def _by_run(reports: Iterable[Progress | Outcome]) -> Mapping[str, Sequence[Progress | Outcome]]:
    """Reports by run, all progress of a run in one."""
    runs: defaultdict[str, list[Progress | Outcome]] = defaultdict(list)
    for report in reports:
        of_run = runs[report.run_id]
        if of_run and isinstance(report, Progress) and isinstance(of_run[-1], Progress):
            of_run[-1] = of_run[-1].then(report)
        else:
            of_run.append(report)
    return runs


def _was_never_submitted(order: Order, run: dg.DagsterRun) -> bool:
    """Whether a dispatcher died between making the order's own run and submitting it."""
    own = run.tags.get(ORDER_TAG) == order.order_id and PROCESS_TAG not in run.tags
    return own and run.status == dg.DagsterRunStatus.NOT_STARTED and order.state != "cancelling"


def _is_shared(order: Order, orders: Iterable[Order]) -> bool:
    """Whether another order needs the run of this one."""
    return any(
        one.run_id == order.run_id
        and one.order_id != order.order_id
        and not one.is_terminal
        and one.state != "cancelling"
        for one in orders
    )


def _refusal(order: Order) -> OrderError | None:
    """Why no run can be made for an order; None if one can."""
    if order.kind != "tts" and (order.kind != "dynamics" or order.avatar_id is None):
        return OrderError("parameter.kind", "This kind of job is not made here.", retryable=False)
    return None


def _asked(order: Order) -> AvatarDocument:
    """The order's avatar, its document with the order's wishes.

    Whoever accepts an order writes its wishes into the document afterwards, and may have been
    killed in between. Wishes of a later order stay.

    Raises:
        AvatarError: it was deleted.
    """
    avatars, avatar_id = open_stores().avatars, order.avatar_id or ""
    document = avatars.get(avatar_id)
    wishes, job_id = order.inputs.get("parameters"), document.basic.get("jobId")
    is_later = isinstance(job_id, str) and is_order_id(job_id) and job_id >= order.order_id
    if wishes is None or is_draft(order) or is_later:
        return document
    return avatars.ask(avatar_id, parameters=wishes, job_id=order.order_id)
