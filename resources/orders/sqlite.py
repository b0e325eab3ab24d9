"""The embedded order store: two SQLite files in one folder.

`service.db` holds what must survive a power cut: it has a write-ahead log, and each commit is
synced before it returns. `rates.db` beside it holds the rate limits, which are written at every
request: its commits are not synced. It survives a kill of any process. Should a power cut damage
it, it is made anew; what is lost is how much of the limits was used up.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from resources.orders.sql.database import Transaction
from resources.orders.sql.schema import RATES, TABLES
from resources.orders.sql.sqlite_file import SqliteFile, SqliteWatch
from resources.orders.sql.store import SqlOrders

__all__ = ["SqliteOrders"]


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class SqliteOrders(SqlOrders):
    """Orders in a SQLite database.

    Args:
        path: the database; made with its folder where missing, for this user alone.
        push: whether the end of each order is pushed to its owner's devices.
        now_ms: milliseconds since 1970, for tests.

    Raises:
        StoreError: it is damaged, of a newer version, something else, or cannot be opened.
    """

    def __init__(
        self, path: Path, *, push: bool = False, now_ms: Callable[[], int] = _wall_clock_ms
    ) -> None:
        super().__init__(_SqliteDatabase(path, now_ms), push=push)


class _SqliteDatabase:
    """`Database` in two files."""

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        self._orders = SqliteFile(path, TABLES, now_ms)
        self._rates = SqliteFile(path.with_name("rates.db"), (RATES,), now_ms, disposable=True)
        self._watch = SqliteWatch(self._orders, "select value from position")

    def write(self) -> AbstractContextManager[Transaction]:
        """See `Database.write`."""
        return self._orders.write()

    def read(self) -> AbstractContextManager[Transaction]:
        """See `Database.read`."""
        return self._orders.statements()

    def rates(self) -> AbstractContextManager[Transaction]:
        """See `Database.rates`."""
        return self._rates.write()

    def position(self) -> int:
        """See `Database.position`."""
        return self._watch.value()

    def close(self) -> None:
        """See `Database.close`."""
        self._watch.close()
        self._orders.close()
        self._rates.close()
