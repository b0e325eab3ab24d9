"""The outbox: notices of orders for webhooks and push, and the tries to deliver them."""

import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

from resources.orders.order import Order
from resources.orders.order_json import order_to_json
from resources.orders.records import Delivery, Notice
from resources.orders.sql.database import Transaction
from resources.orders.sql.parts import Part
from resources.orders.sql.rows import Row, datetime_of, json_text, milliseconds

__all__ = ["Notices", "announce"]

_COLUMNS: Final = "notice_id, order_id, owner, channel, target, event, body, due_at, tries, state"


class Notices(Part):
    """Waiting notices and deliveries."""

    def due_notices(self, limit: int = 50) -> Sequence[Notice]:
        """See `OrderStore.due_notices`."""
        with self._database.read() as transaction:
            rows = transaction.run(
                f"select {_COLUMNS} from (select {_COLUMNS}, row_number() over"
                " (partition by channel, target, case channel when 'push' then owner else '' end"
                " order by due_at, notice_id) as place"
                " from notices where state = 'waiting' and due_at <= ?) as due"
                " where place = 1 order by due_at, notice_id limit ?",
                transaction.now,
                limit,
            )
        return [_notice(row) for row in rows]

    def record_delivery(
        self,
        notice_id: str,
        *,
        status: int | None,
        ms: int,
        outcome: Literal["delivered", "refused", "failed"],
        next_try_at: datetime | None,
    ) -> None:
        """See `OrderStore.record_delivery`."""
        if outcome == "delivered":
            state, due = "delivered", None
        else:
            state, due = ("failed", None) if next_try_at is None else ("waiting", next_try_at)
        with self._database.write() as transaction:
            told = transaction.run(
                "update notices set tries = tries + 1, state = ?, due_at = ? where notice_id = ?"
                " returning order_id, event",
                state,
                transaction.now if due is None else milliseconds(due),
                notice_id,
            )
            if not told:  # its order was removed while it was being delivered
                return
            ((order_id, event),) = told
            transaction.run(
                "insert into deliveries"
                " (order_id, number, notice_id, event, at, status, ms, outcome)"
                " select ?, coalesce(max(number), 0) + 1, ?, ?, ?, ?, ?, ?"
                " from deliveries where order_id = ?",
                order_id,
                notice_id,
                event,
                transaction.now,
                status,
                ms,
                outcome,
                order_id,
            )

    def deliveries(self, order_id: str) -> Sequence[Delivery]:
        """See `OrderStore.deliveries`."""
        with self._database.read() as transaction:
            rows = transaction.run(
                "select number, notice_id, event, at, status, ms, outcome from deliveries"
                " where order_id = ? order by number",
                order_id,
            )
        return [
            Delivery(number, notice_id, event, datetime_of(at), status, ms, outcome)
            for number, notice_id, event, at, status, ms, outcome in rows
        ]

    def redeliver(self, order_id: str, number: int) -> bool:
        """See `OrderStore.redeliver`."""
        with self._database.write() as transaction:
            again = transaction.run(
                "update notices set state = 'waiting', due_at = ? where notice_id ="
                " (select notice_id from deliveries where order_id = ? and number = ?)"
                " returning notice_id",
                transaction.now,
                order_id,
                number,
            )
        return bool(again)


def announce(transaction: Transaction, order: Order, *, push: bool) -> None:
    """Put notices of an order's new state into the outbox: one per channel and event, ever."""
    event = _event(order)
    if event is None:
        return
    receivers: list[tuple[str, str]] = []
    if order.webhook is not None and event in order.webhook.events:
        receivers.append(("webhook", order.webhook.url))
    if push and order.is_terminal:
        receivers.append(("push", ""))
    body: Any = None
    for channel, target in receivers:
        body = body or json_text(order_to_json(order))
        transaction.run(
            f"insert into notices ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, 0, 'waiting')"
            " on conflict (order_id, channel, event) do nothing",
            f"msg_{secrets.token_hex(16)}",
            order.order_id,
            order.owner,
            channel,
            target,
            event,
            body,
            transaction.now,
        )


def _notice(row: Row) -> Notice:
    notice_id, order_id, owner, channel, target, event, body, due_at, tries, state = row
    return Notice(
        notice_id=notice_id,
        order_id=order_id,
        owner=owner,
        channel=channel,
        target=target,
        event=event,
        body=json.loads(body),
        due_at=datetime_of(due_at),
        tries=tries,
        state=state,
    )


def _event(order: Order) -> str | None:
    if order.is_terminal:
        return "job.done" if order.state == "done" else "job.error"
    return "job.running" if order.state == "running" else None
