"""Dagster's Postgres storage with connections that stay open, for processes that write many events.

dagster-postgres opens a connection for every statement, and Postgres starts a process for every
connection: for the events of one avatar's run that took as long as making the avatar. Each process
of a fleet (worker, daemon, web server) keeps three connections instead, one per kind of storage.

A server that is restarted costs no run: a connection that has ended is noticed before it is used,
a server that is away is waited for, and an event whose connection broke is stored again.

Events are committed without waiting for the database's disk: if the database's machine loses power,
the last half second of the event log may be missing, never its integrity. Run states are
committed to disk, and a worker that is killed loses nothing.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from dagster import EventLogEntry
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config
from sqlalchemy import Connection, Engine, event, exc, select

from resources.postgres import CONNECT_OPTIONS, is_readable, is_refusal
from sunriza_assets.errors import StoreError
from sunriza_assets.platform.dagster_internals import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    ConfigurableClassData,
    EventLogStorage,
    SqlEventLogStorageTable,
    serialize_value,
)
from sunriza_assets.platform.storage.event_cache import CachedEventLog

__all__ = ["PooledPostgresStorage"]

_log = logging.getLogger(__name__)

PATIENCE_S: Final = 60.0
"""How long a server that cannot be reached is waited for: a restart, or another one taking over."""
RECYCLE_S: Final = 600
"""Age at which a connection is replaced, below what load balancers and firewalls put up with."""
OVERFLOW: Final = 20
"""Further connections that threads of the daemon may open for a moment."""
MAX_IDLE_S: Final = 5.0
"""Idle time up to which a connection is used without a test query."""
_LOOK_S: Final = 0.5


class PooledPostgresStorage(DagsterPostgresStorage):
    """`storage.custom` of the fleet's `dagster.yaml`; the same settings as `storage.postgres`.

    Raises:
        StoreError: the server cannot be reached, or refuses the user or database.
    """

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        runs = _open_engine(postgres_url)
        with _connected(runs):  # the server is there, or was waited for
            super().__init__(postgres_url, should_autocreate_tables, inst_data)
        # The tables have been made: these do not look for them again.
        self._run_storage = _PooledRuns(postgres_url, False)
        self._run_storage._engine = runs
        self._schedule_storage = _PooledSchedules(postgres_url, False)
        self._schedule_storage._engine = _open_engine(postgres_url)
        self._event_log_storage = _PooledEventLog(postgres_url, False)
        self._event_log_storage._engine = _open_engine(postgres_url, wait_for_disk=False)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "PooledPostgresStorage":
        """As Dagster makes it from `dagster.yaml`."""
        return cls(
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
        )

    @property
    def event_log_storage(self) -> EventLogStorage:
        """The event log."""
        return self._event_log_storage


class _PooledRuns(PostgresRunStorage):
    """The runs."""

    def connect(self) -> AbstractContextManager[Connection]:
        return _connected(self._engine)


class _PooledSchedules(PostgresScheduleStorage):
    """Ticks and cursors of sensors and schedules."""

    def connect(self, run_id: str | None = None) -> AbstractContextManager[Connection]:
        del run_id
        return _connected(self._engine)


class _PooledEventLog(CachedEventLog, PostgresEventLogStorage):
    """The event log, cached."""

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event; once more if the connection broke meanwhile, unless it is there."""
        try:
            super().store_event(event)
        except exc.DBAPIError as problem:
            if not problem.connection_invalidated:
                raise
            _log.warning("The database has ended a connection; an event is stored again")
            self._complete(event)

    def _complete(self, event: EventLogEntry) -> None:
        """Do what is missing of `store_event`, which was broken off at some line."""
        table = SqlEventLogStorageTable
        same = (table.c.run_id == event.run_id, table.c.event == serialize_value(event))
        with self._connect() as connection:
            row = connection.execute(select(table.c.id).where(*same)).first()
        if row is None:
            super().store_event(event)
        elif event.dagster_event_type in ASSET_EVENTS:
            self.store_asset_event(event, int(row[0]))
        elif event.dagster_event_type in ASSET_CHECK_EVENTS:
            self.store_asset_check_event(event, int(row[0]))

    def _connect(self) -> AbstractContextManager[Connection]:
        return _connected(self._engine)

    def _has_table_now(self, table_name: str) -> bool:
        return PostgresEventLogStorage.has_table(self, table_name)


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    """A connection of the pool; a server that is away is waited for.

    Raises:
        StoreError: it does not come back, or refuses the user or database.
    """
    until: float | None = None
    while True:
        try:
            connection = engine.connect()
            break
        except exc.DBAPIError as problem:
            now = time.monotonic()
            if until is None:
                until = now + PATIENCE_S
                _log.warning("Dagster's database %s cannot be reached: waiting", engine.url.host)
            if is_refusal(problem) or now > until:
                raise _named(engine, refused=is_refusal(problem)) from problem
            time.sleep(_LOOK_S)
    with connection:
        yield connection


def _named(engine: Engine, *, refused: bool) -> StoreError:
    what = "refuses this user, or there is none of this name" if refused else "cannot be reached"
    return StoreError(
        f"Dagster's database {what}",
        where=f"Postgres {engine.url.host or 'local'}/{engine.url.database or ''}",
        remedy="Correct the address in SUNRIZA_POSTGRES_URL." if refused else "Start it.",
        code="refused" if refused else "unreachable",
    )


def _open_engine(url: str, *, wait_for_disk: bool = True) -> Engine:
    """An engine that keeps one connection and tests it only after idle time."""
    engine = create_pg_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=OVERFLOW,
        pool_recycle=RECYCLE_S,
        connect_args=dict(CONNECT_OPTIONS),
    )

    def on_connect(connection: Any, _record: Any) -> None:
        if not wait_for_disk:
            _execute(connection, "SET synchronous_commit TO off")

    def on_checkin(_connection: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    def on_checkout(connection: Any, record: Any, _proxy: Any) -> None:
        if is_readable(connection):  # nothing was asked: it is the server's farewell
            raise exc.DisconnectionError
        # A render writes nothing for a minute; a server whose machine is gone says no farewell.
        if time.monotonic() - record.info.get("used_at", time.monotonic()) > MAX_IDLE_S:
            try:
                _execute(connection, "SELECT 1")
            except Exception as error:
                if not engine.dialect.is_disconnect(error, connection, None):  # type: ignore[arg-type]
                    raise
                raise exc.DisconnectionError from error

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "checkin", on_checkin)
    event.listen(engine, "checkout", on_checkout)
    return engine


def _execute(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
    if not connection.autocommit:
        connection.commit()
