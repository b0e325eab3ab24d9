"""Dagster's Postgres storage with connections that stay open, for processes that tell many events.

dagster-postgres opens a connection for every statement, and Postgres starts a process for every
connection: for the events of one avatar's run that took as long as making the avatar. Each process
of a fleet (worker, daemon, web server) keeps three connections instead, one per kind of storage.
"""

from typing import Any, Final

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config

__all__ = ["WarmPostgresStorage"]

RECYCLE_S: Final = 600
"""Age at which a connection is replaced, below what load balancers and firewalls put up with."""
OVERFLOW: Final = 20
"""Further connections that threads of the daemon may open for a moment."""


class WarmPostgresStorage(DagsterPostgresStorage):
    """`storage.custom` of the fleet's `dagster.yaml`; the same settings as `storage.postgres`."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = create_pg_engine(
                postgres_url,
                isolation_level="AUTOCOMMIT",
                pool_size=1,
                max_overflow=OVERFLOW,
                pool_recycle=RECYCLE_S,
                # A database that was restarted costs a second look instead of a run.
                pool_pre_ping=True,
            )

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "WarmPostgresStorage":
        """As Dagster makes it from `dagster.yaml`."""
        return cls(
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
        )
