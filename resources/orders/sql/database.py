"""What the statements of an order store run on: one interface, SQLite and Postgres behind it.

Statements are written once, with `?` for each value. A `Transaction` knows the time of the store:
of this machine for SQLite, of the database server for Postgres, so that leases and rates of several
machines are measured by one clock.
"""

from contextlib import AbstractContextManager
from typing import Any, Protocol

from resources.orders.sql.rows import Row

__all__ = ["Database", "Transaction"]


class Transaction(Protocol):
    """Statements that happen together."""

    @property
    def now(self) -> int:
        """Milliseconds since 1970, UTC: one time for the whole transaction."""
        ...

    def run(self, sql: str, *values: Any) -> list[Row]:
        """Run one statement; the rows that it returns, if any."""
        ...


class Database(Protocol):
    """Connections to one database. Thread-safe, and safe to use after a fork."""

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that takes turns with all other writers of orders.

        It is committed, durably, when the block ends well, and undone otherwise.
        """
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """Statements that read; each sees what is committed when it begins."""
        ...

    def rates(self) -> AbstractContextManager[Transaction]:
        """Statements on the table `rates`; each is committed by itself, but not synced."""
        ...

    def position(self) -> int:
        """The number of the newest committed change."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...
