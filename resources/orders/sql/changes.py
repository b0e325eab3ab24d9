"""Changing, cancelling and removing orders; what an order's end sets off."""

from collections.abc import Mapping
from typing import Any, Final

from resources.orders.order import (
    TERMINAL_STATES,
    WAITING_STATES,
    Order,
    OrderError,
    is_order_id,
)
from resources.orders.records import KEEP_ORDERS_S
from resources.orders.sql.credits import settle
from resources.orders.sql.database import Transaction
from resources.orders.sql.notices import announce
from resources.orders.sql.parts import Part
from resources.orders.sql.rows import (
    ORDER_COLUMNS,
    column_values,
    datetime_of,
    milliseconds,
    order_of,
)
from sunriza_assets.errors import ConflictError

__all__ = ["Changes", "forget"]

_CHANGEABLE: Final = frozenset(
    {
        "state",
        "progress",
        "step",
        "eta_s",
        "started_at",
        "expires_at",
        "run_id",
        "attempt",
        "result",
        "error",
        "log_tail",
        "cost",
    }
)
_CANCELLED: Final = OrderError("run.cancelled", "The job was cancelled.", retryable=True)


class Changes(Part):
    """Changes of single orders."""

    def change(self, order: Order, **changes: Any) -> Order:
        """See `OrderStore.change`."""
        if unknown := changes.keys() - _CHANGEABLE:
            raise TypeError(f"an order's {', '.join(sorted(unknown))} cannot be changed")
        progress = changes.get("progress", 0)
        if not 0 <= progress <= 100:
            raise ValueError(f"progress is {progress!r}, not within 0-100")
        with self._database.write() as transaction:
            return self._change(transaction, order, changes)

    def request_cancel(self, order_id: str) -> Order | None:
        """See `OrderStore.request_cancel`."""
        with self._database.write() as transaction:
            order = _read(transaction, order_id)
            if order is None or order.is_terminal or order.state == "cancelling":
                return order
            waits = order.state in WAITING_STATES and order.run_id is None
            state = "cancelled" if waits else "cancelling"
            return self._change(transaction, order, {"state": state})

    def remove(self, order_id: str) -> bool:
        """See `OrderStore.remove`."""
        with self._database.write() as transaction:
            order = _read(transaction, order_id)
            if order is None:
                return False
            if not order.is_terminal:
                raise ConflictError(
                    "This job has not ended", remedy="Cancel it first.", code="unfinished"
                )
            forget(transaction, order_id)
            return True

    def _change(self, transaction: Transaction, order: Order, changes: Mapping[str, Any]) -> Order:
        values = column_values(_completed(order, changes, transaction.now))
        state = values.get("state", order.state)
        # A larger progress than the given one stays.
        settings = [
            "progress = case when progress < ? then ? else progress end"
            if name == "progress"
            else f"{name} = ?"
            for name in values
        ]
        given: list[Any] = []
        for name, value in values.items():
            given += [value, value] if name == "progress" else [value]
        number = self._next_change(transaction)
        rows = transaction.run(
            f"update orders set {', '.join([*settings, ''])}"
            "revision = revision + 1, changed = ?"
            " where order_id = ? and revision = ? and finished_at is null"
            f" and (state <> 'cancelling' or ?) returning {ORDER_COLUMNS}",
            *given,
            number,
            order.order_id,
            order.revision,
            state == "cancelling" or state in TERMINAL_STATES,
        )
        if not rows:
            raise _conflict(transaction, order)
        changed = order_of(rows[0])
        if order.state in WAITING_STATES and changed.state in {"starting", "running"}:
            _note_turn(transaction, changed, number)
        if "state" in values:
            announce(transaction, changed, push=self._push)
        if changed.is_terminal:
            settle(transaction, changed)
        return changed


def forget(transaction: Transaction, order_id: str) -> None:
    """Delete an order and what hangs on it; its outputs expire."""
    for table in ("orders", "notices", "deliveries", "answers"):
        transaction.run(f"delete from {table} where order_id = ?", order_id)
    transaction.run("update outputs set expires_at = 0 where order_id = ?", order_id)


def _completed(order: Order, changes: Mapping[str, Any], now: int) -> Mapping[str, Any]:
    """The changes with what follows from a new state."""
    state = changes.get("state", order.state)
    completed = dict(changes)
    if state == "running" and order.started_at is None and "started_at" not in changes:
        completed["started_at"] = datetime_of(now)
    if state in TERMINAL_STATES:
        # Not before it began, even if the clock was set back since.
        ended = max(now, milliseconds(order.started_at or order.created_at))
        completed["finished_at"] = datetime_of(ended)
        completed.setdefault("expires_at", datetime_of(ended + KEEP_ORDERS_S * 1000))
        completed["eta_s"] = None
        if state == "done":
            completed["progress"] = 100
        if state == "cancelled":
            completed.setdefault("error", _CANCELLED)
    return completed


def _read(transaction: Transaction, order_id: str) -> Order | None:
    if not is_order_id(order_id):
        return None
    rows = transaction.run(
        f"select {ORDER_COLUMNS} from orders where order_id = ?",
        order_id,
    )
    return order_of(rows[0]) if rows else None


def _conflict(transaction: Transaction, order: Order) -> ConflictError:
    there = _read(transaction, order.order_id)
    if there is not None and there.revision == order.revision and there.state == "cancelling":
        return ConflictError("This job is being cancelled", where=order.order_id, code="cancelling")
    if there is None:
        what = "This job is gone"
    elif there.is_terminal:
        what = "This job has ended"
    else:
        what = f"This job was changed since: revision {there.revision}, not {order.revision}"
    return ConflictError(what, where=order.order_id, remedy="Read it again.", code="revision")


def _note_turn(transaction: Transaction, order: Order, number: int) -> None:
    """Put the owner behind all others whose orders of this kind wait."""
    transaction.run(
        "insert into turns (owner, kind, served) values (?, ?, ?)"
        " on conflict (owner, kind) do update set served = excluded.served",
        order.owner,
        order.kind,
        number,
    )
