"""How orders end, and how they go back to the queue: what is written, where, in which order."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from resources.avatars.document import AvatarDocument
from resources.orders.order import Order, OrderCost, OrderError
from resources.orders.store import OrderStore
from resources.storage.objects import MediaStorage
from resources.stores import open_stores
from sunriza_assets.errors import AvatarError, ConflictError, StoreError, SunrizaError
from sunriza_assets.logs import bound_lines
from sunriza_assets.operations.order_outcomes import (
    CANCELLED,
    DELETED,
    LOST,
    cost_of,
    draft_result,
    has_published,
    order_error,
    result_of,
    with_line,
)
from sunriza_assets.operations.order_runs import (
    KILLED,
    MAX_LOSSES,
    Outcome,
    adoptable_run,
    close_run,
    count_losses,
    is_draft,
)
from sunriza_assets.operations.outages import Outage
from sunriza_assets.operations.spoken_orders import discard_sound, publish_sound

__all__ = ["MAX_ATTEMPTS", "OrderEnds"]

_log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 10
"""Runs of one order that may be lost, for whatever reason, before it is given up."""
_LOOK_BACK: Final = 5000
"""Changes before its start that a dispatcher reads for orders that were cancelled without one."""
_TAKEN_OVER: Final = frozenset({"conflict.superseded", "conflict.duplicate"})
"""Errors of a run whose avatar another run is making."""
_REQUEUED: Final[Mapping[str, str]] = {
    **dict.fromkeys(_TAKEN_OVER, "Another run took over"),
    "store.full": "The service's disk was full",
}
"""Errors of a run that say nothing of the order's input: why it is queued again."""


class OrderEnds:
    """Writes ends of orders to the store of orders, to Dagster and to documents.

    Args:
        store: the orders.
        instance: Dagster's instance.
        ended: gets each order that has ended.
    """

    def __init__(
        self, store: OrderStore, instance: dg.DagsterInstance, ended: Callable[[Order], None]
    ) -> None:
        self._store = store
        self._instance = instance
        self._ended = ended
        self._position: int | None = None
        self._outage = Outage(_log, "Some jobs are not worked on")

    def finish(self, order: Order, outcome: Outcome) -> Order:
        """End an order whose run has ended, or give it back to the queue if the run was lost.

        Everything else is done before the order's own end is written: a dispatcher that dies in
        between comes here again.
        """
        document = self.document(order)
        if outcome.status == "lost":
            self.close(outcome.run_id, cancelled=order.state == "cancelling")
        result, cost = self._made(order, document, outcome)
        if result is not None:
            tail = with_line(order.log_tail, "done")
            ended = self.change(
                order, state="done", step=None, eta_s=None, result=result, cost=cost, log_tail=tail
            )
            return ended or order
        taken_over = outcome.code in _TAKEN_OVER and order.state != "cancelling"
        if not taken_over and (order.state == "cancelling" or outcome.status == "cancelled"):
            self._fail_document(order, CANCELLED)
            return self.end(order, "cancelled", CANCELLED)
        again = _REQUEUED.get(outcome.code, "The run was lost" if outcome.status == "lost" else "")
        if again and order.attempt < MAX_ATTEMPTS and not self._kills_its_runs(order, outcome):
            return self.requeue(order, again, attempt=order.attempt + 1)
        if outcome.status == "lost" or taken_over:
            self._fail_document(order, LOST)
            return self.end(order, "lost", LOST)
        is_deleted = document is None and order.avatar_id is not None
        error = DELETED if is_deleted else order_error(document, outcome)
        self._fail_document(order, error)
        return self.end(order, "failed", error)

    def _made(
        self, order: Order, document: AvatarDocument | None, outcome: Outcome
    ) -> tuple[dict[str, Any] | None, OrderCost | None]:
        """What an order's run has made, and what it cost; None if it has not succeeded."""
        if order.kind == "tts":
            return publish_sound(self._store, self._instance, order, outcome)
        storage = open_stores().storage
        if document is None or (result := _result(order, document, outcome, storage)) is None:
            return None, None
        return result, cost_of(document, outcome, storage)

    def _kills_its_runs(self, order: Order, outcome: Outcome) -> bool:
        """Whether an order's input has to be taken for what kills the processes of its runs."""
        run = self._instance.get_run_by_id(outcome.run_id) if outcome.code == KILLED else None
        if run is None:
            return False
        losses = count_losses(self._instance, run, order.step)
        return order.attempt >= MAX_LOSSES and losses >= MAX_LOSSES

    def end(self, order: Order, state: str, error: OrderError) -> Order:
        """End an order that did not succeed."""
        if order.kind == "tts":
            discard_sound(order)
        tail = with_line(order.log_tail, error.message)
        changes: dict[str, Any] = {
            "state": state,
            "step": None,
            "eta_s": None,
            "error": error,
            "log_tail": tail,
        }
        return self.change(order, **changes) or order

    def requeue(self, order: Order, why: str, *, attempt: int) -> Order:
        """Give an order back to the queue, without its run."""
        tail = with_line(order.log_tail, f"{why}. It is queued again.")
        changes: dict[str, Any] = {"state": "queued", "run_id": None, "step": None, "eta_s": None}
        return self.change(order, **changes, attempt=attempt, log_tail=tail) or order

    def close(self, run_id: str, *, cancelled: bool) -> None:
        """End a run in Dagster whose process is gone."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None:
            close_run(self._instance, run, cancelled=cancelled)

    def _fail_document(self, order: Order, error: OrderError) -> None:
        """Show an order's error on its avatar, unless a later run owns it or has answered it."""
        if order.avatar_id is None or is_draft(order):
            return
        try:
            open_stores().avatars.fail(
                order.avatar_id,
                order.run_id or order.order_id,
                code=error.code,
                message=error.message,
                requested_inputs=order.inputs_version,
            )
        except AvatarError as problem:  # deleted meanwhile
            _log.info("%s: the document of its avatar is not written: %s", order.order_id, problem)

    def settle_cancelled(self) -> None:
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
                    with self.guarded(order):
                        self._settle_document(order)
            if not changed:
                break

    def _settle_document(self, order: Order) -> None:
        document = self.document(order)
        others = [one for one in self._store.unfinished() if one.avatar_id == order.avatar_id]
        if document is None or others or document.inputs_version != order.inputs_version:
            return
        if is_draft(order):
            return
        if (
            document.has_open_request
            and adoptable_run(self._instance, document, force=False) is None
        ):
            self._fail_document(order, CANCELLED)

    def document(self, order: Order) -> AvatarDocument | None:
        """The order's avatar; None where it was deleted."""
        if order.avatar_id is None:
            return None
        try:
            return open_stores().avatars.get(order.avatar_id)
        except AvatarError:
            return None

    def change(self, order: Order, **changes: Any) -> Order | None:
        """The order as it is stored; None where it was changed meanwhile: the next tick sees it."""
        try:
            changed = self._store.change(order, **changes)
        except ConflictError as conflict:
            _log.info("%s was changed meanwhile: %s", order.order_id, conflict)
            return None
        if changed.state != order.state:
            _log.info("job is %s", changed.state, extra={"run_id": changed.run_id})
        if changed.is_terminal:
            self._ended(changed)
        return changed

    def fail(self, order: Order, error: OrderError) -> None:
        """End an order, as it is stored now, with an error, on its document, too."""
        latest = self._store.get(order.order_id)
        if latest is not None and not latest.is_terminal:
            try:
                self._fail_document(latest, error)
            except (StoreError, SQLAlchemyError, OSError) as problem:
                _log.warning("%s: %s", order.order_id, problem)
            self.end(latest, "failed", error)

    @contextmanager
    def guarded(self, order: Order) -> Iterator[None]:
        """Let an error of one order not keep the others waiting.

        A store or database that cannot be reached is tried again; any other error fails the order.
        """
        with bound_lines(job_id=order.order_id, request_id=order.request_id):
            try:
                yield
            except (StoreError, SQLAlchemyError, OSError) as problem:
                self._outage.failed(problem)
            except SunrizaError as error:
                self.fail(order, OrderError(error.code, error.public, retryable=False))
            except Exception:  # noqa: BLE001 - a bug in one order must not stop all of them
                _log.exception("%s fails", order.order_id)
                message = "Something went wrong on our side; the operators can see what."
                self.fail(order, OrderError("internal", message, retryable=True))


def _result(
    order: Order, document: AvatarDocument, outcome: Outcome, storage: MediaStorage
) -> dict[str, Any] | None:
    """What an order's run has made; None if it has not succeeded."""
    if is_draft(order):
        return draft_result(document, outcome.run_id, storage)
    made = has_published(document, outcome.run_id)
    # A run that has succeeded may have found what another one published to be what it makes.
    confirmed = outcome.status == "ready" and document.record.current is not None
    return result_of(document) if made or confirmed else None
