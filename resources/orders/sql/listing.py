"""Reading orders: one, pages, the queue, counts, the stream of changes."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from resources.orders.order import (
    WAITING_STATES,
    Kind,
    Order,
    State,
    Status,
    is_order_id,
    status_of,
)
from resources.orders.records import OrderPage
from resources.orders.sql.database import Database
from resources.orders.sql.fair_order import Waiting, fair_order
from resources.orders.sql.parts import Part
from resources.orders.sql.rows import ORDER_COLUMNS, Row, datetime_of, order_of
from sunriza_assets.errors import ParameterError

__all__ = ["Listing"]

_CURSOR: Final = re.compile(r"[0-9a-f]{1,15}")
_STATES: Final[Mapping[Status, Sequence[State]]] = {
    "queued": ("accepted", "queued"),
    "running": ("starting", "running", "cancelling"),
    "done": ("done",),
    "error": ("failed", "cancelled", "lost", "expired"),
}
_WAITS: Final = "finished_at is null and state in ('accepted', 'queued')"


class Listing(Part):
    """Reads."""

    def __init__(self, database: Database, *, push: bool = False) -> None:
        super().__init__(database, push=push)
        self._places: tuple[int, Mapping[str, int]] = (-1, {})

    def get(self, order_id: str) -> Order | None:
        """See `OrderStore.get`."""
        if not is_order_id(order_id):
            return None
        with self._database.read() as transaction:
            rows = transaction.run(
                f"select {ORDER_COLUMNS} from orders where order_id = ?",
                order_id,
            )
        return order_of(rows[0]) if rows else None

    def page(
        self,
        owner: str | None,
        *,
        status: Status | None = None,
        kind: Kind | None = None,
        avatar_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> OrderPage:
        """See `OrderStore.page`."""
        conditions, values = ["true"], list[Any]()
        for name, value in (("owner", owner), ("kind", kind), ("avatar_id", avatar_id)):
            if value is not None:
                conditions.append(f"{name} = ?")
                values.append(value)
        if status is not None:
            states = _STATES[status]
            conditions.append(f"state in ({', '.join('?' * len(states))})")
            values += states
        if cursor is not None:
            conditions.append("number < ?")
            values.append(_number(cursor))
        with self._database.read() as transaction:
            rows = transaction.run(
                f"select {ORDER_COLUMNS}, number from orders"
                f" where {' and '.join(conditions)} order by number desc limit ?",
                *values,
                limit + 1,
            )
        shown = rows[:limit]
        more = len(rows) > limit
        return OrderPage(
            [order_of(row[:-1]) for row in shown], f"{shown[-1][-1]:x}" if more else None
        )

    def unfinished(self) -> Sequence[Order]:
        """See `OrderStore.unfinished`."""
        with self._database.read() as transaction:
            # Not ordered by SQL: SQLite would read all orders in that order to find these few.
            rows = transaction.run(
                f"select {ORDER_COLUMNS}, number from orders where finished_at is null"
            )
        return [order_of(row[:-1]) for row in sorted(rows, key=lambda row: row[-1])]

    def waiting(self) -> Sequence[Order]:
        """See `OrderStore.waiting`."""
        columns = ", ".join(f"o.{name}" for name in ORDER_COLUMNS.split(", "))
        return fair_order(_waiting(order_of(row[2:-2]), row) for row in self._turns(columns))

    def queue_position(self, order: Order) -> int | None:
        """See `OrderStore.queue_position`."""
        if order.state not in WAITING_STATES:
            return None
        position = self._database.position()  # before reading, so that no change is missed
        known, places = self._places
        if known != position or order.order_id not in places:
            ids = fair_order(_waiting(str(row[2]), row) for row in self._turns("o.order_id"))
            places = {order_id: place for place, order_id in enumerate(ids)}
            self._places = (position, places)
        return places.get(order.order_id)

    def counts(self) -> Mapping[tuple[Kind, Status], int]:
        """See `OrderStore.counts`."""
        with self._database.read() as transaction:
            rows = transaction.run("select kind, state, count(*) from orders group by kind, state")
        counts: Counter[tuple[Kind, Status]] = Counter()
        for kind, state, count in rows:
            counts[kind, status_of(state)] += count
        return counts

    def oldest_waiting(self) -> datetime | None:
        """See `OrderStore.oldest_waiting`."""
        with self._database.read() as transaction:
            ((oldest,),) = transaction.run(f"select min(created_at) from orders where {_WAITS}")
        return None if oldest is None else datetime_of(oldest)

    def position(self) -> int:
        """See `OrderStore.position`."""
        return self._database.position()

    def changed_since(self, position: int, limit: int = 500) -> tuple[Sequence[Order], int]:
        """See `OrderStore.changed_since`."""
        with self._database.read() as transaction:
            # Read first: everything up to this number is visible to the next statement.
            ((newest,),) = transaction.run("select value from position")
            rows = transaction.run(
                f"select {ORDER_COLUMNS}, changed from orders"
                " where changed > ? order by changed limit ?",
                position,
                limit,
            )
        seen = rows[-1][-1] if rows else position
        if len(rows) < limit:
            seen = max(seen, newest)
        return [order_of(row[:-1]) for row in rows], seen

    def _turns(self, columns: str) -> list[Row]:
        """Number, kind's and owner's last turn, and columns of all waiting orders."""
        with self._database.read() as transaction:
            return transaction.run(
                f"select o.number, coalesce(t.served, 0), {columns}, o.kind, o.owner"
                " from orders o left join turns t on t.owner = o.owner and t.kind = o.kind"
                f" where {_WAITS}"
            )


def _waiting(what: Any, row: Row) -> Waiting[Any]:
    return Waiting(what, number=row[0], kind=row[-2], owner=row[-1], served=row[1])


def _number(cursor: str) -> int:
    if not _CURSOR.fullmatch(cursor):
        raise ParameterError(
            "This cursor is none that a listing has given",
            remedy="Use next_cursor of the page before, or leave it out.",
            code="cursor",
        )
    return int(cursor, 16)
