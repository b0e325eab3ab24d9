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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any, Final

import dagster as dg

from resources.avatars.document import AvatarDocument
from resources.orders.order import WAITING_STATES, Order, OrderError
from resources.orders.store import OrderStore
from resources.process_names import is_gone
from resources.stores import open_stores
from sunriza_assets.errors import AvatarError, ConflictError, StoreError, SunrizaError
from sunriza_assets.graph.tags import PROCESS_TAG
from sunriza_assets.operations.order_outcomes import (
    CANCELLED,
    DELETED,
    EXPIRED,
    LOST,
    cost_of,
    has_published,
    order_error,
    result_of,
    with_line,
)
from sunriza_assets.operations.order_runs import (
    Outcome,
    Progress,
    Runner,
    Work,
    adoptable_run,
    close_run,
    order_tags,
    plain_outcome,
    terminate_run,
)
from sunriza_assets.operations.retries import loss_of

__all__ = ["MAX_ATTEMPTS", "MAX_WAIT", "Dispatcher"]

_log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 3
"""Runs of one order that may be lost before it is given up."""
MAX_WAIT: Final = timedelta(days=1)
"""How long an order may wait for its run."""
_FOLLOW_S: Final = 1.0
"""Seconds between two looks at a run that another process makes."""
_PROGRESS_S: Final = 1.0
"""Seconds between two writes of an order's progress within a step."""
_LOOK_BACK: Final = 5000
"""Changes before its start that a dispatcher reads for orders that were cancelled without one."""
_TAKEN_OVER: Final = frozenset({"conflict.superseded", "conflict.duplicate"})
"""Errors of a run whose avatar another run is making."""


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
        self._ended = ended
        self._clock = clock
        self._written: dict[str, tuple[float, str | None]] = {}
        self._followed: dict[str, float] = {}
        self._position: int | None = None

    def tick(self, *, starting: bool = True) -> None:
        """Bring every unfinished order a step further; never waits for a run.

        Args:
            starting: whether waiting orders are started.
        """
        reports = _by_run(self._runner.poll())
        orders = {order.order_id: order for order in self._store.unfinished()}
        for order in list(orders.values()):
            for report in reports.get(order.run_id or "", ()):
                with self._guarded(order):
                    orders[order.order_id] = order = self._take(order, report)  # noqa: PLW2901
            if order.run_id is not None and not order.is_terminal:
                with self._guarded(order):
                    self._attend(order, orders.values())
        self._settle_cancelled()
        if starting:
            self._start_waiting(orders.values())
        self._forget(orders)

    def release(self) -> None:
        """Give the orders of runs that this dispatcher's own workers make back to the queue."""
        for order in self._store.unfinished():
            if order.run_id is not None and self._runner.has(order.run_id):
                with self._guarded(order):
                    self._close(order.run_id, cancelled=order.state == "cancelling")
                    if order.state != "cancelling":
                        self._requeue(order, "The service was stopped", attempt=order.attempt)

    # -- waiting orders ---------------------------------------------------------------------------

    def _start_waiting(self, orders: Iterable[Order]) -> None:
        """Start what waits, in fair order, as far as there is room; tell the others that they wait.

        An order whose avatar is being made waits for that run to end, unless it can share it.
        """
        if not any(one.state in WAITING_STATES for one in orders):
            return
        busy = {one.avatar_id for one in orders if one.run_id is not None and not one.is_terminal}
        for order in self._store.waiting():
            with self._guarded(order):
                if datetime.now(UTC) - order.created_at > MAX_WAIT:
                    self._end(order, "expired", EXPIRED)
                elif order.avatar_id in busy:
                    if not (self._is_due(f"adopt:{order.order_id}") and self._adopt(order)):
                        self._mark_queued(order)
                elif self._runner.free() <= 0:
                    self._mark_queued(order)
                elif not self._adopt(order):
                    self._start(order)
                    busy.add(order.avatar_id)

    def _mark_queued(self, order: Order) -> None:
        if order.state == "accepted":
            self._change(order, state="queued")

    def _adopt(self, order: Order) -> bool:
        """Let an order follow an unfinished run for the same inputs; whether there was one."""
        if order.kind != "dynamics":
            return False
        document = self._document(order)
        force = bool(order.inputs.get("force"))
        run = document and adoptable_run(self._instance, document, force=force)
        if not run:
            return False
        line = with_line(order.log_tail, "joined a run that is under way")
        self._change(order, state="starting", run_id=run.run_id, log_tail=line)
        return True

    def _start(self, order: Order) -> None:
        """Make a run for an order."""
        refusal = _refusal(order)
        if refusal is not None:
            self._end(order, "failed", refusal)
            return
        document = open_stores().avatars.get(order.avatar_id or "")
        run_id = str(uuid.uuid4())
        line = "started" if order.attempt == 1 else f"started, attempt {order.attempt}"
        tail = with_line(order.log_tail, line)
        if self._change(order, state="starting", run_id=run_id, log_tail=tail) is None:
            return
        force = bool(order.inputs.get("force"))
        tags = order_tags(document, order)
        self._runner.start(Work(run_id, document.avatar_id, force, tags))

    # -- orders with a run ------------------------------------------------------------------------

    def _take(self, order: Order, report: Progress | Outcome) -> Order:
        """Write what a worker has reported of an order's run."""
        if isinstance(report, Outcome):
            return self._finish(order, report)
        return order if order.state == "cancelling" else self._write_progress(order, report)

    def _attend(self, order: Order, orders: Iterable[Order]) -> None:
        """Look after an order whose run is under way: here, elsewhere, or nowhere any more."""
        run_id = order.run_id or ""
        if order.state == "cancelling" and _is_shared(order, orders):
            self._end(order, "cancelled", CANCELLED)
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
                self._end(order, "cancelled", CANCELLED)
            else:
                self._requeue(order, "The run was never begun", attempt=order.attempt)
        elif run.is_finished:
            outcome = plain_outcome(self._instance, run)
            if outcome.status == "error" and loss_of(self._instance, run) is not None:
                outcome = Outcome(run.run_id, "lost")
            self._finish(order, outcome)
        elif is_gone(run.tags.get(PROCESS_TAG, "")):
            self._finish(order, Outcome(run.run_id, "lost"))
        elif order.state == "cancelling":
            terminate_run(self._instance, run)
        else:
            self._write_followed(order, run)

    def _write_followed(self, order: Order, run: dg.DagsterRun) -> None:
        """Write the progress that the run has put into its document."""
        document = self._document(order)
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
        return self._change(order, **changes) or order

    # -- ends -------------------------------------------------------------------------------------

    def _finish(self, order: Order, outcome: Outcome) -> Order:
        """End an order whose run has ended, or give it back to the queue if the run was lost.

        Everything else is done before the order's own end is written: a dispatcher that dies in
        between comes here again.
        """
        document = self._document(order)
        if outcome.status == "lost":
            self._close(outcome.run_id, cancelled=order.state == "cancelling")
        if document is not None and has_published(document, outcome.run_id):
            result, storage = result_of(document), open_stores().storage
            cost = cost_of(document, outcome, storage)
            tail = with_line(order.log_tail, "done")
            ended = self._change(
                order, state="done", step=None, eta_s=None, result=result, cost=cost, log_tail=tail
            )
            return ended or order
        taken_over = outcome.code in _TAKEN_OVER and order.state != "cancelling"
        if not taken_over and (order.state == "cancelling" or outcome.status == "cancelled"):
            self._fail_document(order, CANCELLED)
            return self._end(order, "cancelled", CANCELLED)
        if outcome.status == "lost" or taken_over:
            if order.attempt < MAX_ATTEMPTS:
                why = "The run was lost" if outcome.status == "lost" else "Another run took over"
                return self._requeue(order, why, attempt=order.attempt + 1)
            self._fail_document(order, LOST)
            return self._end(order, "lost", LOST)
        error = order_error(document, outcome) if document is not None else DELETED
        self._fail_document(order, error)
        return self._end(order, "failed", error)

    def _end(self, order: Order, state: str, error: OrderError) -> Order:
        tail = with_line(order.log_tail, error.message)
        changes = {"state": state, "step": None, "eta_s": None, "error": error, "log_tail": tail}
        return self._change(order, **changes) or order

    def _requeue(self, order: Order, why: str, *, attempt: int) -> Order:
        tail = with_line(order.log_tail, f"{why}. It is queued again.")
        changes = {"state": "queued", "run_id": None, "step": None, "eta_s": None}
        return self._change(order, **changes, attempt=attempt, log_tail=tail) or order

    def _close(self, run_id: str, *, cancelled: bool) -> None:
        run = self._instance.get_run_by_id(run_id)
        if run is not None:
            close_run(self._instance, run, cancelled=cancelled)

    def _fail_document(self, order: Order, error: OrderError) -> None:
        """Show an order's error on its avatar, unless a later run owns it or has answered it."""
        if order.avatar_id is None:
            return
        try:
            open_stores().avatars.fail(
                order.avatar_id,
                order.run_id or order.order_id,
                code=error.code,
                message=error.message,
                asked_for=order.inputs_version,
            )
        except AvatarError as problem:  # deleted meanwhile
            _log.info("%s: the document of its avatar is not written: %s", order.order_id, problem)

    def _settle_cancelled(self) -> None:
        """Show on documents that orders were cancelled while they waited.

        The store ends such an order at once, and its document still asks for a run.
        """
        first = self._position is None
        position = self._store.position()
        if first:
            self._position = max(0, position - _LOOK_BACK)
        while self._position is not None and self._position < position:
            changed, self._position = self._store.changed_since(self._position)
            for order in changed:
                if order.state == "cancelled" and order.run_id is None:
                    with self._guarded(order):
                        self._settle_document(order)
            if not changed:
                break

    def _settle_document(self, order: Order) -> None:
        document = self._document(order)
        others = [one for one in self._store.unfinished() if one.avatar_id == order.avatar_id]
        if document is None or others or document.inputs_version != order.inputs_version:
            return
        if (
            document.has_open_request
            and adoptable_run(self._instance, document, force=False) is None
        ):
            self._fail_document(order, CANCELLED)

    # -- what these use ---------------------------------------------------------------------------

    def _document(self, order: Order) -> AvatarDocument | None:
        """The order's avatar; None where it was deleted."""
        if order.avatar_id is None:
            return None
        try:
            return open_stores().avatars.get(order.avatar_id)
        except AvatarError:
            return None

    def _change(self, order: Order, **changes: Any) -> Order | None:
        """The order as it is stored; None where it was changed meanwhile: the next tick sees it."""
        try:
            changed = self._store.change(order, **changes)
        except ConflictError as conflict:
            _log.info("%s was changed meanwhile: %s", order.order_id, conflict)
            return None
        if changed.is_terminal:
            self._ended(changed)
        return changed

    def _is_due(self, key: str) -> bool:
        now = self._clock()
        if now - self._followed.get(key, -_FOLLOW_S) < _FOLLOW_S:
            return False
        self._followed[key] = now
        return True

    def _forget(self, orders: dict[str, Order]) -> None:
        """Drop what is remembered of orders that have ended."""
        for memory in (self._written, self._followed):
            for key in [key for key in memory if key.removeprefix("adopt:") not in orders]:
                del memory[key]

    @contextmanager
    def _guarded(self, order: Order) -> Iterator[None]:
        """Let an error of one order not keep the others waiting.

        A store that cannot be reached is tried again; any other error fails the order.
        """
        try:
            yield
        except StoreError as problem:
            _log.warning("%s: %s", order.order_id, problem)
        except SunrizaError as error:
            self._fail_document_and_end(order, OrderError(error.code, error.public, False))
        except Exception:  # noqa: BLE001 - a bug in one order must not stop all of them
            _log.exception("%s fails", order.order_id)
            message = "Something went wrong on our side; the operators can see what."
            self._fail_document_and_end(order, OrderError("internal", message, True))

    def _fail_document_and_end(self, order: Order, error: OrderError) -> None:
        latest = self._store.get(order.order_id)
        if latest is not None and not latest.is_terminal:
            try:
                self._fail_document(latest, error)
            except StoreError as problem:
                _log.warning("%s: %s", order.order_id, problem)
            self._end(latest, "failed", error)


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
    if order.kind != "dynamics" or order.avatar_id is None:
        return OrderError("parameter.kind", "This kind of job is not made here.", retryable=False)
    if order.inputs.get("publish") is False:
        return OrderError("parameter.draft", "Drafts are not made here.", retryable=False)
    return None
