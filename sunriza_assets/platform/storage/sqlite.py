"""Dagster's SQLite storage with connections that stay open: a run writes its events in a third of
the time.

Dagster's own opens an engine and a connection for every single statement, compiles the statement
anew and, being the last to close the file, folds the write-ahead log back into it with two syncs.
That was 1.0 s for the hundred events of one avatar's run, against 5 s of work. The files and their
layout are the same, so a home may be opened with either.

Commits are not synced one by one (`synchronous=NORMAL`, safe with a write-ahead log): a power cut
may take the last second of the event log along, never its integrity. A killed process loses
nothing.

Every run has a database of its own, and making its eight tables and their indices took a quarter of
what was left. The first one of a process is made by Dagster; the others are copies of it.
"""

import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from sunriza_assets.platform.dagster_internals import (
    INDEX_SHARD_NAME,
    ConfigurableClassData,
    DagsterSqliteStorage,
    SqliteEventLogStorage,
    SqliteRunStorage,
    SqliteScheduleStorage,
)
from sunriza_assets.platform.storage.event_cache import CachedEventLog

__all__ = ["PooledSqliteStorage"]

OPEN_SHARDS: Final = 4
"""Databases of runs kept open at once; every run has one of its own."""
BUSY_S: Final = 60
"""How long a statement waits for another process's transaction."""


class PooledSqliteStorage(DagsterSqliteStorage):
    """`storage.custom` of the shipped `dagster.yaml`; `base_dir` is DAGSTER_HOME."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # Not the class above's own: it would open each database first, and that costs most.
        super(DagsterSqliteStorage, self).__init__()
        self.base_dir = base_dir
        self._inst_data = inst_data
        history = Path(base_dir) / "history"
        self._run_storage = _PooledRunStorage.from_local(str(history))
        self._event_log_storage = _PooledEventLog(str(history / "runs"))
        self._schedule_storage = SqliteScheduleStorage.from_local(str(Path(base_dir) / "schedules"))

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Any
    ) -> "PooledSqliteStorage":
        """As Dagster makes it from `dagster.yaml`."""
        return cls.from_local(inst_data=inst_data, **config_value)


class _PooledRunStorage(SqliteRunStorage):
    """The table of runs."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(conn_string, inst_data)
        self._engine = _open_engine(conn_string)
        self._lock = threading.RLock()
        self._current: Connection | None = None

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A transaction on the open connection; nested calls share it."""
        with self._lock:
            if self._current is not None:
                yield self._current
                return
            with self._engine.connect() as connection, connection.begin():
                self._current = connection
                try:
                    yield connection
                finally:
                    self._current = None

    def dispose(self) -> None:
        """Close the file."""
        self._engine.dispose()


class _PooledEventLog(CachedEventLog, SqliteEventLogStorage):
    """The event log: one database per run, and an index of what concerns assets."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._empty_run_database: bytes | None = None  # a run's database without events
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if shard not in self._initialized_dbs:
                self._create_database(shard)
                self._initialized_dbs.add(shard)
            with self._engine(shard).connect() as connection, connection.begin():
                yield connection

    def _has_table_now(self, table_name: str) -> bool:
        return SqliteEventLogStorage.has_table(self, table_name)

    def _create_database(self, shard: str) -> None:
        """Make sure that a database has its tables."""
        path = Path(self.path_for_shard(shard))
        is_new = shard != INDEX_SHARD_NAME and not path.exists()
        if (
            is_new
            and self._empty_run_database is not None
            and _create_file(self._empty_run_database, path)
        ):
            return
        engine = self._engine(shard)
        self._initdb(engine)
        if is_new:
            self._empty_run_database = _file_content(engine)

    def delete_events(self, run_id: str) -> None:
        """Delete a run's events, and the file that held nothing else."""
        super().delete_events(run_id)
        with self._db_lock:
            if run_id in self._engines:
                self._engines.pop(run_id).dispose()
            self._initialized_dbs.discard(run_id)
            path = Path(self.path_for_shard(run_id))
            for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                file.unlink(missing_ok=True)

    def dispose(self) -> None:
        """Close all files."""
        super().dispose()
        while self._engines:
            self._engines.popitem()[1].dispose()

    def _engine(self, shard: str) -> Engine:
        if shard not in self._engines:
            self._engines[shard] = _open_engine(self.conn_string_for_shard(shard))
        self._engines.move_to_end(shard)
        if INDEX_SHARD_NAME in self._engines:  # it never goes
            self._engines.move_to_end(INDEX_SHARD_NAME)
        while len(self._engines) > OPEN_SHARDS + 1:
            self._engines.popitem(last=False)[1].dispose()
        return self._engines[shard]


def _file_content(engine: Engine) -> bytes:
    """A database as the bytes of its file."""
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        if not isinstance(raw, sqlite3.Connection):
            raise TypeError(f"a connection of SQLite, not {type(raw).__name__}")
        return raw.serialize()


def _create_file(content: bytes, path: Path) -> bool:
    """Create a file atomically; returns False if it exists already."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    temporary.write_bytes(content)
    try:
        os.link(temporary, path)
    except OSError:  # it is there now, or this file system has no links: Dagster makes it
        return False
    finally:
        temporary.unlink()
    return True


def _open_engine(url: str) -> Engine:
    """An engine with one connection, for callers that hold a lock."""
    engine = create_engine(
        url,
        poolclass=StaticPool,
        # The turns are taken under a lock, so a thread never meets another one's transaction.
        connect_args={"timeout": BUSY_S, "check_same_thread": False},
    )

    def set_pragmas(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(engine, "connect", set_pragmas)
    return engine
