"""The fleet's order store: a schema `sunriza` of its own in a Postgres database.

Several machines share it. Writers of orders take turns at an advisory lock, so that the statements
of `SqlOrders` mean the same as in SQLite. Time is the server's. Who waits for changes is told by
NOTIFY; a proxy in front of Postgres has to keep sessions (PgBouncer's session mode).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from resources.orders.sql.database import Transaction
from resources.orders.sql.postgres_server import PostgresServer, PostgresWatch
from resources.orders.sql.store import SqlOrders
from sunriza_assets.errors import StoreError

__all__ = ["PostgresOrders"]


class PostgresOrders(SqlOrders):
    """Orders in Postgres.

    Args:
        url: `postgresql://user:password@host:port/database`; the role may create a schema, or owns
            one named `sunriza`.
        push: whether the end of each order is pushed to its owner's devices.
        now_ms: milliseconds since 1970 in the server's place, for tests.

    A server that cannot be reached now is tried again by each method. So whoever uses the store
    starts without it and goes on as soon as it is there.

    Raises:
        StoreError: the server refuses the user, the schema is of a newer version, or psycopg2 is
            not installed.
    """

    def __init__(
        self, url: str, *, push: bool = False, now_ms: Callable[[], int] | None = None
    ) -> None:
        super().__init__(_PostgresDatabase(PostgresServer(url, now_ms)), push=push)


class _PostgresDatabase:
    """`Database` on a server."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._watch = PostgresWatch(server, time.monotonic)
        self._prepared = False
        try:
            self._prepare()
        except StoreError as problem:
            if problem.code != "store.unreachable":
                raise

    def _prepare(self) -> None:
        """Have the tables made, once; several threads and processes may do so at a time."""
        if not self._prepared:
            self._server.prepare()
            self._prepared = True

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """See `Database.write`."""
        self._prepare()
        with self._server.write() as transaction:
            yield transaction
        self._watch.look_again()  # one's own changes are seen before they are told

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """See `Database.read`."""
        self._prepare()
        with self._server.statements() as transaction:
            yield transaction

    @contextmanager
    def rates(self) -> Iterator[Transaction]:
        """See `Database.rates`: the table is unlogged, so that no commit waits for the disk."""
        self._prepare()
        with self._server.statements() as transaction:
            yield transaction

    def position(self) -> int:
        """See `Database.position`."""
        self._prepare()
        return self._watch.value()

    def close(self) -> None:
        """See `Database.close`."""
        self._watch.close()
        self._server.close()
