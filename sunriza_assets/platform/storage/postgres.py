"""Dagster's Postgres storage with connections that stay open, for processes that write many events.

dagster-postgres opens a connection for every statement, and Postgres starts a process for every
connection: for the events of one avatar's run that took as long as making the avatar. Each process
of a fleet (worker, daemon, web server) keeps three connections instead, one per kind of storage.

Events are committed without waiting for the database's disk: if the database's machine loses power,
the last half second of the event log may be missing, never its integrity. Run states are
committed to disk, and a worker that is killed loses nothing.
"""

import time
from typing import Any, Final

from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config
from sqlalchemy import Engine, event, exc

from sunriza_assets.platform.dagster_internals import ConfigurableClassData, EventLogStorage
from sunriza_assets.platform.storage.event_cache import CachedEventLog

__all__ = ["PooledPostgresStorage"]

RECYCLE_S: Final = 600
"""Age at which a connection is replaced, below what load balancers and firewalls put up with."""
OVERFLOW: Final = 20
"""Further connections that threads of the daemon may open for a moment."""
MAX_IDLE_S: Final = 5.0
"""Idle time up to which a connection is used without a test query."""


class PooledPostgresStorage(DagsterPostgresStorage):
    """`storage.custom` of the fleet's `dagster.yaml`; the same settings as `storage.postgres`."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        self._run_storage._engine = _open_engine(postgres_url)
        self._schedule_storage._engine = _open_engine(postgres_url)
        self._event_log_storage = _PooledEventLog(postgres_url, should_autocreate_tables)
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


class _PooledEventLog(CachedEventLog, PostgresEventLogStorage):
    """The event log, cached."""

    def _has_table_now(self, table_name: str) -> bool:
        return PostgresEventLogStorage.has_table(self, table_name)


def _open_engine(url: str, *, wait_for_disk: bool = True) -> Engine:
    """An engine that keeps one connection and tests it only after idle time."""
    engine = create_pg_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=OVERFLOW,
        pool_recycle=RECYCLE_S,
    )

    def on_connect(connection: Any, _record: Any) -> None:
        if not wait_for_disk:
            _execute(connection, "SET synchronous_commit TO off")

    def on_checkin(_connection: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    def on_checkout(connection: Any, record: Any, _proxy: Any) -> None:
        # A render writes nothing for a minute; a database that was restarted meanwhile costs a new
        # connection instead of the run.
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
