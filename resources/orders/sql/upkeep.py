"""Leases, the probe for readiness, and the removal of what is old."""

from typing import Final

from resources.orders.records import KEEP_ORDERS_S, Lease
from resources.orders.sql.changes import forget
from resources.orders.sql.database import Transaction
from resources.orders.sql.parts import BATCH, Part
from resources.orders.sql.rows import DAY_MS, datetime_of
from sunriza_assets.errors import StoreError

__all__ = ["Upkeep"]

_OLD: Final = (
    ("delete from answers where until <= ? returning 1", 0),
    ("delete from acceptances where at <= ? returning 1", DAY_MS),
    ("delete from webhook_secrets where until <= ? returning 1", 0),
    (
        "delete from reservations where at <= ? and state <> 'reserved' returning 1",
        KEEP_ORDERS_S * 1000,
    ),
)
"""What removes old rows, and for how many milliseconds they have stayed."""


class Upkeep(Part):
    """What the dispatcher and the health check need."""

    def hold_lease(self, name: str, holder: str, *, seconds: float = 10.0) -> Lease:
        """See `OrderStore.hold_lease`."""
        with self._database.write() as transaction:
            now = transaction.now
            until = now + int(seconds * 1000)
            there = _lease(transaction, name)
            if there is not None and there[0] != holder and there[2] > now:
                if there[2] > until:
                    there = (there[0], there[1], until)
                    transaction.run("update leases set until = ? where name = ?", until, name)
                return _lease_of(there)
            transaction.run(
                "insert into leases (name, holder, renewed_at, until) values (?, ?, ?, ?)"
                " on conflict (name) do update set holder = excluded.holder,"
                " renewed_at = excluded.renewed_at, until = excluded.until",
                name,
                holder,
                now,
                until,
            )
            return _lease_of((holder, now, until))

    def release_lease(self, name: str, holder: str) -> None:
        """See `OrderStore.release_lease`."""
        with self._database.write() as transaction:
            transaction.run("delete from leases where name = ? and holder = ?", name, holder)

    def lease(self, name: str) -> Lease | None:
        """See `OrderStore.lease`."""
        with self._database.read() as transaction:
            there = _lease(transaction, name)
        return None if there is None else _lease_of(there)

    def check_writable(self) -> None:
        """See `OrderStore.check_writable`."""
        with self._database.write() as transaction:
            ((at,),) = transaction.run(
                "insert into probes (name, at) values ('ready', ?)"
                " on conflict (name) do update set at = excluded.at returning at",
                transaction.now,
            )
            if at != transaction.now:
                raise StoreError("The order store gave back another value than was written")

    def sweep(self) -> int:
        """See `OrderStore.sweep`."""
        count = 0
        while (removed := self._sweep_orders()) > 0:
            count += removed
        for statement, kept_ms in _OLD:
            with self._database.write() as transaction:
                count += len(transaction.run(statement, transaction.now - kept_ms))
        with self._database.rates() as transaction:
            transaction.run("delete from rates where tat < ?", transaction.now * 1_000_000)
        return count

    def _sweep_orders(self) -> int:
        """Remove some of the terminal orders whose time is over; how many."""
        with self._database.write() as transaction:
            rows = transaction.run(
                "select order_id from orders where expires_at <= ? and finished_at is not null"
                " order by order_id limit ?",
                transaction.now,
                BATCH,
            )
            for (order_id,) in rows:
                forget(transaction, order_id)
        return len(rows)

    def close(self) -> None:
        """See `OrderStore.close`."""
        self._database.close()


def _lease(transaction: Transaction, name: str) -> tuple[str, int, int] | None:
    rows = transaction.run("select holder, renewed_at, until from leases where name = ?", name)
    return (rows[0][0], rows[0][1], rows[0][2]) if rows else None


def _lease_of(there: tuple[str, int, int]) -> Lease:
    holder, renewed_at, until = there
    return Lease(holder, datetime_of(renewed_at), datetime_of(until))
