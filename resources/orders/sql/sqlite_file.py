"""One SQLite file: its connections, version and errors; thread-safe, usable by several processes.

A connection must not be used after a fork, not even be closed: the child opens its own.
"""

import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

from resources.orders.sql.rows import Row
from resources.orders.sql.schema import MIGRATIONS, SCHEMA_VERSION
from sunriza_assets.atomic import lock, make_folder, store_errors
from sunriza_assets.errors import ConflictError, ParameterError, StoreError

__all__ = ["SqliteFile", "SqliteWatch"]

_PATIENCE_S: Final = 15.0
"""How long a writer waits for the others."""
_APPLICATION_ID: Final = 0x53554E52  # "SUNR": tells our files from other databases
_KEPT: Final = 20
"""Idle connections that are kept open."""

_opened: WeakSet["SqliteFile | SqliteWatch"] = WeakSet()
_inherited: Final[list[sqlite3.Connection]] = []


class _Statements:
    """`Transaction` on a SQLite connection."""

    __slots__ = ("_connection", "now")

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self._connection = connection
        self.now = now

    def run(self, sql: str, *values: Any) -> list[Row]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except (UnicodeEncodeError, OverflowError) as problem:
            raise ParameterError(
                "This contains text or a number that cannot be stored", code="text"
            ) from problem


class SqliteFile:
    """A database file with tables of our own.

    Args:
        path: the file; made with its folder where missing, for this user alone.
        tables: the statements that make its tables.
        now_ms: milliseconds since 1970.
        disposable: commits are not synced, and a damaged file is made anew.

    Raises:
        StoreError: it is damaged, of a newer version, something else, or cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        tables: Sequence[str],
        now_ms: Callable[[], int],
        *,
        disposable: bool = False,
    ) -> None:
        self.path = path
        self._tables = tables
        self._now_ms = now_ms
        self._disposable = disposable
        self._idle: deque[sqlite3.Connection] = deque()
        self._writing = threading.Lock()
        self._inode = -1
        self._prepare()
        _opened.add(self)

    @contextmanager
    def write(self) -> Iterator[_Statements]:
        """A transaction."""
        with self._turn() as connection:
            connection.execute("begin immediate")
            try:
                yield _Statements(connection, self._now_ms())
                connection.execute("commit")
            finally:
                if connection.in_transaction:
                    connection.execute("rollback")

    @contextmanager
    def writes(self) -> Iterator[_Statements]:
        """Statements that write, each committed by itself."""
        with self._turn() as connection:
            yield _Statements(connection, self._now_ms())

    @contextmanager
    def statements(self) -> Iterator[_Statements]:
        """Statements, each by itself."""
        with self._connection() as connection:
            yield _Statements(connection, self._now_ms())

    def connect(self) -> sqlite3.Connection:
        """A new connection, which any one thread may use at a time.

        Raises:
            StoreError: the file cannot be opened.
        """
        try:
            connection = sqlite3.connect(
                self.path,
                timeout=_PATIENCE_S,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            connection.execute(f"pragma synchronous = {'off' if self._disposable else 'full'}")
            connection.execute("pragma trusted_schema = off")
            connection.execute("pragma cell_size_check = on")
        except sqlite3.Error as problem:
            raise self.error(problem) from problem
        return connection

    def close(self) -> None:
        """Close idle connections; the last one of all processes folds the log into the file."""
        while self._idle:
            self._idle.pop().close()

    def after_fork(self) -> None:
        """Leave the parent's connections alone and begin anew, in the child."""
        _inherited.extend(self._idle)
        self._idle = deque()
        self._writing = threading.Lock()

    def error(self, problem: sqlite3.Error) -> StoreError:
        """The named error for what SQLite says."""
        code = getattr(problem, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return self._busy()
        if isinstance(problem, sqlite3.IntegrityError):
            return ConflictError(f"This is there already: {problem}", code="exists")
        what, name, remedy = _ERRORS.get(code, (f"The database failed: {problem}", "failed", None))
        return StoreError(what, where=self.path, remedy=remedy, code=name)

    @contextmanager
    def _turn(self) -> Iterator[sqlite3.Connection]:
        """A connection to write by; one of this process at a time: its threads need not poll."""
        if not self._writing.acquire(timeout=_PATIENCE_S):
            raise self._busy()
        try:
            self._check_place()
            with self._connection() as connection:
                yield connection
        finally:
            self._writing.release()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own; one that has failed is not used again."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.connect()
        try:
            yield connection
        except sqlite3.Error as problem:
            connection.close()
            named = self.error(problem)
            if self._disposable and named.code == "store.damaged":
                self._renew()
            raise named from problem
        except BaseException:
            self._keep(connection)
            raise
        self._keep(connection)

    def _keep(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction or len(self._idle) >= _KEPT:
            connection.close()
        else:
            self._idle.append(connection)

    def _check_place(self) -> None:
        """A file that was moved away would take orders that nobody ever sees again."""
        with suppress(OSError):
            if self.path.stat().st_ino == self._inode:
                return
        if self._disposable:
            self.close()
            self._prepare()
            return
        raise StoreError(
            "The database was removed or replaced while it was in use",
            where=self.path,
            remedy="Restart the service.",
            code="replaced",
        )

    def _prepare(self) -> None:
        """Make the file if it is missing, its tables if it is empty; bring it up to date."""
        with store_errors("make", self.path.parent):
            if not self.path.parent.is_dir():
                make_folder(self.path.parent.parent)
                self.path.parent.mkdir(mode=0o700, exist_ok=True)
        with lock(self.path.with_name(f".{self.path.name}.lock")):
            try:
                self._make()
            except StoreError as problem:
                if not (self._disposable and problem.code in _UNUSABLE):
                    raise
                self._unlink()
                self._make()

    def _make(self) -> None:
        with store_errors("open", self.path):
            # SQLite gives its log the mode of the file.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            if self.path.stat().st_mode & 0o077:
                self.path.chmod(0o600)
            self._inode = self.path.stat().st_ino
        connection = self.connect()
        try:
            self._bring_up_to_date(connection)
        except sqlite3.Error as problem:
            raise self.error(problem) from problem
        finally:
            connection.close()

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        (mode,) = connection.execute("pragma journal_mode = wal").fetchone()
        if mode != "wal":
            raise StoreError(
                "This disk cannot keep a write-ahead log",
                where=self.path,
                remedy="Put SUNRIZA_HOME on a local disk, or set SUNRIZA_ORDERS_URL.",
                code="disk",
            )
        connection.execute("begin immediate")
        (version,) = connection.execute("pragma user_version").fetchone()
        (application,) = connection.execute("pragma application_id").fetchone()
        (tables,) = connection.execute("select count(*) from sqlite_schema").fetchone()
        if version == 0 and application == 0 and tables == 0:
            for statement in self._tables:
                connection.execute(statement)
            connection.execute(f"pragma application_id = {_APPLICATION_ID}")
        elif application != _APPLICATION_ID or version < 1:
            raise self._foreign()
        elif self._disposable and version < SCHEMA_VERSION:
            raise self._foreign()  # made anew rather than migrated
        elif version > SCHEMA_VERSION:
            raise StoreError(
                f"The database has version {version}; this program knows {SCHEMA_VERSION}",
                where=self.path,
                remedy="Update Sunriza Assets, or move the file away to begin without its jobs.",
                code="newer",
            )
        else:
            for step in range(version, SCHEMA_VERSION):
                for statement in MIGRATIONS[step]:
                    connection.execute(statement)
        connection.execute(f"pragma user_version = {SCHEMA_VERSION}")
        connection.execute("commit")

    def _renew(self) -> None:
        """Replace a damaged disposable file."""
        self.close()
        with lock(self.path.with_name(f".{self.path.name}.lock")):
            self._unlink()
        self._prepare()

    def _unlink(self) -> None:
        for ending in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def _busy(self) -> StoreError:
        return StoreError(
            f"Another process has held the database for {_PATIENCE_S:.0f} s",
            where=self.path,
            remedy="Try again; if it stays so, end the process that hangs.",
            code="busy",
        )

    def _foreign(self) -> StoreError:
        return StoreError(
            "This is a database of something else",
            where=self.path,
            remedy="Move it away, and start again.",
            code="foreign",
        )


class SqliteWatch:
    """A value that is read again only when somebody has committed something since.

    Args:
        file: where it is.
        query: gives the value.
    """

    def __init__(self, file: SqliteFile, query: str) -> None:
        self._file = file
        self._query = query
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._version = -1
        self._value = 0
        _opened.add(self)

    def value(self) -> int:
        """The newest committed value.

        `pragma data_version` tells that another connection has committed; this one never does.
        """
        with self._lock:
            if self._connection is None:
                self._connection = self._file.connect()
                self._version = -1
            try:
                (version,) = self._connection.execute("pragma data_version").fetchone()
                if version != self._version:
                    (self._value,) = self._connection.execute(self._query).fetchone()
                    self._version = version
            except sqlite3.Error as problem:
                self._connection.close()
                self._connection = None
                raise self._file.error(problem) from problem
            return self._value

    def close(self) -> None:
        """Close its connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def after_fork(self) -> None:
        """Leave the parent's connection alone and begin anew, in the child."""
        if self._connection is not None:
            _inherited.append(self._connection)
        self._connection = None
        self._lock = threading.Lock()


_UNUSABLE: Final = frozenset({"store.damaged", "store.foreign", "store.newer"})
_ERRORS: Final = {
    sqlite3.SQLITE_FULL: ("The disk is full", "full", "Free some space and try again."),
    sqlite3.SQLITE_READONLY: (
        "The database cannot be written",
        "readonly",
        "Give this user the right to write it and its folder.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "The database cannot be opened",
        "rights",
        "Give this user the right to read and write it and its folder.",
    ),
    **dict.fromkeys(
        (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
        (
            "The database of jobs is damaged",
            "damaged",
            "Stop the service and put a backup in its place, or move it away together with its"
            " -wal and -shm files to begin without its jobs. Avatars are not affected.",
        ),
    ),
}


def _after_fork() -> None:
    for one in tuple(_opened):
        one.after_fork()


os.register_at_fork(after_in_child=_after_fork)
