"""Accepting orders: one transaction for the order, its idempotency key, quotas and credits."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from resources.orders.order import Order, Webhook
from resources.orders.records import (
    KEEP_KEYS_S,
    Acceptance,
    AnswerOf,
    IdempotencyKey,
    Outcome,
    Quota,
    StoredAnswer,
)
from resources.orders.sql.answers import known_answer, store_answer
from resources.orders.sql.credits import reserve
from resources.orders.sql.database import Transaction
from resources.orders.sql.keys import default_webhook
from resources.orders.sql.parts import Part
from resources.orders.sql.rows import (
    DAY_MS,
    ORDER_COLUMNS,
    column_values,
    datetime_of,
    milliseconds,
    order_of,
    same_as,
)
from sunriza_assets.errors import LimitError

__all__ = ["Acceptances"]


class Acceptances(Part):
    """`accept`."""

    def accept(
        self,
        order: Order,
        *,
        quota: Quota,
        key: IdempotencyKey | None = None,
        answer: AnswerOf | None = None,
        answer_status: int = 200,
        credits: int = 0,
        api_key: str | None = None,
        charge: Callable[[], None] | None = None,
    ) -> Acceptance:
        """See `OrderStore.accept`."""
        if order.state != "accepted" or order.revision != 1:
            raise ValueError("a new order is `accepted` and has revision 1")
        with self._database.write() as transaction:
            if key is not None and (known := known_answer(transaction, key)):
                replayed = _order(transaction, str(known.order_id))
                return Acceptance(replayed, "replayed", known.answer)
            if charge is not None:
                charge()
            same = same_as(order)
            there = None if same is None else _unfinished(transaction, same)
            outcome: Outcome = "new" if there is None else "same_inputs"
            if there is None:
                _check_quota(transaction, order.owner, quota)
                reserve(transaction, order, credits)
                there = self._insert(transaction, order, same, api_key)
            given = None
            if answer is not None:
                given = StoredAnswer(answer_status, answer(there, outcome))
            if key is not None:
                until = transaction.now + KEEP_KEYS_S * 1000
                store_answer(transaction, key, given, order_id=there.order_id, until=until)
            return Acceptance(there, outcome, given)

    def _insert(
        self, transaction: Transaction, order: Order, same: str | None, api_key: str | None
    ) -> Order:
        created_at = datetime_of(milliseconds(order.created_at))  # what is finer is not stored
        order = replace(order, created_at=created_at)
        if order.webhook is None and api_key is not None:
            order = replace(order, webhook=_webhook(default_webhook(transaction, api_key)))
        number = self._next_change(transaction)
        fields = {name: getattr(order, name) for name in ORDER_COLUMNS.split(", ")}
        values = column_values(fields)
        transaction.run(
            f"insert into orders (number, changed, same_as, {ORDER_COLUMNS})"
            f" values (?, ?, ?{', ?' * len(values)})",
            number,
            number,
            same,
            *values.values(),
        )
        transaction.run(
            "insert into acceptances (owner, at) values (?, ?)", order.owner, transaction.now
        )
        return order


def _check_quota(transaction: Transaction, owner: str, quota: Quota) -> None:
    if quota.unfinished is not None:
        count = _count(transaction, "orders where owner = ? and finished_at is null", owner)
        if count >= quota.unfinished:
            raise LimitError(
                f"You have {count} unfinished jobs, and {quota.unfinished} are allowed at once",
                remedy="Wait until one has ended, or cancel one.",
                code="unfinished",
            )
    if quota.per_day is not None:
        _check_day(transaction, owner, quota.per_day)
    if quota.queue is not None:
        count = _count(transaction, "orders where finished_at is null")
        if count >= quota.queue:
            raise LimitError(
                "Too many jobs are waiting",
                remedy="Try again in a few minutes.",
                code="queue",
                retry_after_s=60.0,
            )


def _check_day(transaction: Transaction, owner: str, allowed: int) -> None:
    """Times a day ahead or more were written by a clock that was wrong; they do not count."""
    now = transaction.now
    times = transaction.run(
        "select at from acceptances where owner = ? and at > ? and at < ? order by at desc limit ?",
        owner,
        now - DAY_MS,
        now + DAY_MS,
        allowed,
    )
    if len(times) >= allowed:
        (oldest,) = times[-1]
        raise LimitError(
            f"You have made {allowed} jobs in 24 hours, as many as allowed",
            remedy="Try again later.",
            code="per_day",
            retry_after_s=min(oldest + DAY_MS - now, DAY_MS) / 1000,
        )


def _count(transaction: Transaction, what: str, *values: Any) -> int:
    ((count,),) = transaction.run(f"select count(*) from {what}", *values)
    return int(count)


def _order(transaction: Transaction, order_id: str) -> Order:
    """The order of an idempotency key; orders are removed together with their keys."""
    (row,) = transaction.run(
        f"select {ORDER_COLUMNS} from orders where order_id = ?",
        order_id,
    )
    return order_of(row)


def _unfinished(transaction: Transaction, same: str) -> Order | None:
    rows = transaction.run(
        f"select {ORDER_COLUMNS} from orders"
        " where same_as = ? and finished_at is null and state <> 'cancelling' limit 1",
        same,
    )
    return order_of(rows[0]) if rows else None


def _webhook(default: dict[str, Any]) -> Webhook | None:
    if not default.get("url"):
        return None
    events = default.get("events")
    return Webhook(default["url"], tuple(events)) if events else Webhook(default["url"])
