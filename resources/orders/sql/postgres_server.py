"""Connections to a Postgres server: pool, time, errors, notifications.

psycopg2 belongs to the extras `celery` and `k8s`; it is imported when a server is used. Connections
are not used after a fork; psycopg2 closes none that another process has opened.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, Final
from weakref import WeakSet

from resources.orders.sql.rows import Row
from resources.orders.sql.schema import MIGRATIONS, RATES, SCHEMA_VERSION, TABLES
from resources.postgres import CONNECT_OPTIONS, is_readable, is_refusal
from sunriza_assets.errors import ConflictError, ParameterError, StoreError

__all__ = ["PostgresServer", "PostgresWatch"]

_SCHEMA: Final = "sunriza"
_TURN: Final = 0x53554E52495A41  # "SUNRIZA": the advisory lock of writers
_KEPT: Final = 10
"""Idle connections that are kept open."""
_TELL_AGAIN_S: Final = 1.0
"""How long a lost notification may go unnoticed."""
_CLOCK: Final = "(extract(epoch from clock_timestamp()) * 1000)::bigint"
_CONNECT: Final = {
    **CONNECT_OPTIONS,
    "application_name": "sunriza orders",
    "client_encoding": "utf8",
}
# A process that hangs inside a transaction must not hold up the others for ever.
_SESSION: Final = (
    f"set search_path to {_SCHEMA}; set lock_timeout to '15s'; set statement_timeout to '30s';"
    " set idle_in_transaction_session_timeout to '15s'"
)
_NOTIFY: Final = (
    "create function tell_position() returns trigger language plpgsql as"
    " 'begin perform pg_notify(''sunriza_orders'', ''''); return null; end'",
    "create trigger position_told after update on position for each statement"
    " execute function tell_position()",
)

_opened: WeakSet["PostgresServer | PostgresWatch"] = WeakSet()
_inherited: Final[list[Any]] = []


class _Statements:
    """`Transaction` on a Postgres connection."""

    __slots__ = ("_connection", "_server", "_time")

    def __init__(self, server: "PostgresServer", connection: Any, now: int | None = None) -> None:
        self._server = server
        self._connection = connection
        self._time = now

    @property
    def now(self) -> int:
        if self._time is None:
            self._time = self._server.now_ms()
        return self._time

    def run(self, sql: str, *values: Any) -> list[Row]:
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(_formatted(sql), values)
            except (UnicodeEncodeError, ValueError) as problem:  # NUL, lone surrogates
                raise ParameterError(
                    "This contains text or a number that cannot be stored", code="text"
                ) from problem
            return [] if cursor.description is None else cursor.fetchall()


class PostgresServer:
    """A pool of connections; thread-safe.

    Args:
        url: address of the database.
        now_ms: milliseconds since 1970 in the server's place, for tests.

    Raises:
        StoreError: psycopg2 is not installed, or the address is none.
    """

    def __init__(self, url: str, now_ms: Callable[[], int] | None = None) -> None:
        self.driver = _driver()
        try:
            given = self.driver.extensions.parse_dsn(url.replace("+psycopg2", "", 1))
        except self.driver.ProgrammingError:
            # Without the driver's text: it quotes the address, password included.
            raise StoreError(
                "SUNRIZA_ORDERS_URL is no address of a Postgres database",
                remedy="Write it like postgresql://user:password@host:5432/name.",
                code="address",
            ) from None
        self._options = {**_CONNECT, **given}
        self.where = f"Postgres {given.get('host', 'local')}/{given.get('dbname', '')}"
        self._given_ms = now_ms
        self._offset_ms: float | None = None
        self._idle: deque[Any] = deque()
        _opened.add(self)

    def now_ms(self) -> int:
        """The server's time, milliseconds since 1970; by this machine's clock since the last look.

        Raises:
            StoreError: the server was never reached.
        """
        if self._given_ms is not None:
            return self._given_ms()
        if self._offset_ms is None:
            with self.statements() as transaction:
                ((now,),) = transaction.run(f"select {_CLOCK}")
            self._note_time(now)
        return int(time.monotonic() * 1000 + (self._offset_ms or 0))

    def prepare(self) -> None:
        """Make schema and tables where they are missing; bring them up to date.

        Raises:
            StoreError: the server cannot be reached, or has a newer version or other tables.
        """
        with self.write() as transaction:
            ((there,),) = transaction.run(f"select to_regnamespace('{_SCHEMA}') is not null")
            if not there:
                transaction.run(f"create schema {_SCHEMA}")
            ((made,),) = transaction.run(f"select to_regclass('{_SCHEMA}.version') is not null")
            if not made:
                unlogged = RATES.replace("create table", "create unlogged table")
                for statement in (*TABLES, unlogged, *_NOTIFY):
                    transaction.run(statement)
                transaction.run("create table version (version integer not null)")
                transaction.run("insert into version values (?)", SCHEMA_VERSION)
            ((version,),) = transaction.run("select version from version")
            if version > SCHEMA_VERSION:
                raise StoreError(
                    f"The database has version {version}; this program knows {SCHEMA_VERSION}",
                    where=self.where,
                    remedy="Update Sunriza Assets.",
                    code="newer",
                )
            for step in range(version, SCHEMA_VERSION):
                for statement in MIGRATIONS[step]:
                    transaction.run(statement)
            transaction.run("update version set version = ?", SCHEMA_VERSION)

    @contextmanager
    def write(self) -> Iterator[_Statements]:
        """A transaction; one of all processes at a time."""
        with self._connection() as connection:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"begin; select {_CLOCK} from (select pg_advisory_xact_lock({_TURN})) as turn"
                )
                ((now,),) = cursor.fetchall()
            self._note_time(now)
            try:
                yield _Statements(
                    self, connection, now if self._given_ms is None else self._given_ms()
                )
                self._commit(connection)
            except BaseException:
                with suppress(self.driver.Error), connection.cursor() as cursor:
                    cursor.execute("rollback")
                raise

    @contextmanager
    def statements(self) -> Iterator[_Statements]:
        """Statements, each by itself."""
        with self._connection() as connection:
            yield _Statements(self, connection)

    def connect(self) -> Any:
        """A new connection, which commits each statement by itself.

        Raises:
            StoreError: the server cannot be reached.
        """
        try:
            connection = self.driver.connect(**self._options)
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(_SESSION)
        except self.driver.Error as problem:
            raise self.error(problem) from problem
        return connection

    def close(self) -> None:
        """Close idle connections."""
        while self._idle:
            self._idle.pop().close()

    def after_fork(self) -> None:
        """Leave the parent's connections alone, in the child."""
        _inherited.extend(self._idle)
        self._idle = deque()

    def error(self, problem: Exception) -> StoreError:
        """The named error for what the driver says."""
        if isinstance(problem, self.driver.IntegrityError):
            return ConflictError("This is there already", where=self.where, code="exists")
        state = getattr(problem, "pgcode", None) or ""
        if state in _ERRORS:
            what, name, remedy = _ERRORS[state]
        elif is_refusal(problem):
            what, name = "The database refuses this user, or there is none of this name", "refused"
            remedy = "Correct the address in SUNRIZA_ORDERS_URL."
        elif isinstance(problem, self.driver.OperationalError | self.driver.InterfaceError):
            what, name = "The database cannot be reached", "unreachable"
            remedy = "Start it, or wait until it has started."
        else:
            lines = str(problem).strip().splitlines()
            what, name, remedy = (
                f"The database failed: {lines[0] if lines else state}",
                "failed",
                None,
            )
        return StoreError(what, where=self.where, remedy=remedy, code=name)

    def _commit(self, connection: Any) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("commit")
        except self.driver.OperationalError as problem:
            raise StoreError(
                "The connection to the database broke while it was committing",
                where=self.where,
                remedy="Look whether it has happened before trying again.",
                code="uncertain",
            ) from problem

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """A connection of one's own; one that has failed is not used again."""
        connection = self._idle_connection() or self.connect()
        try:
            yield connection
        except self.driver.Error as problem:
            connection.close()
            raise self.error(problem) from problem
        finally:
            self._keep(connection)

    def _idle_connection(self) -> Any:
        """A connection on which the server has said nothing, its farewell included."""
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if not is_readable(connection):
                    return connection
                connection.close()
        return None

    def _keep(self, connection: Any) -> None:
        if connection.closed:
            return
        idle = self.driver.extensions.TRANSACTION_STATUS_IDLE
        if len(self._idle) < _KEPT and connection.info.transaction_status == idle:
            self._idle.append(connection)
        else:
            connection.close()

    def _note_time(self, now: int) -> None:
        self._offset_ms = now - time.monotonic() * 1000


class PostgresWatch:
    """The number of the newest change, asked for when a notification has come.

    Args:
        server: the server.
        clock: seconds, for looking again now and then without one.
    """

    def __init__(self, server: PostgresServer, clock: Callable[[], float]) -> None:
        self._server = server
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: Any = None
        self._asked_at = -_TELL_AGAIN_S
        self._value = 0
        _opened.add(self)

    def value(self) -> int:
        """The newest committed number.

        Raises:
            StoreError: the server cannot be reached; the next call tries again.
        """
        with self._lock:
            try:
                return self._newest()
            except self._server.driver.Error as problem:
                self._drop()
                raise self._server.error(problem) from problem

    def look_again(self) -> None:
        """Let the next call ask the server."""
        self._asked_at = -_TELL_AGAIN_S

    def close(self) -> None:
        """Close its connection."""
        with self._lock:
            self._drop()

    def after_fork(self) -> None:
        """Leave the parent's connection alone, in the child."""
        _inherited.append(self._connection)
        self._connection = None
        self._lock = threading.Lock()

    def _newest(self) -> int:
        if self._connection is None:
            self._connection = self._server.connect()
            with self._connection.cursor() as cursor:
                cursor.execute("listen sunriza_orders")
            self.look_again()
        connection = self._connection
        if is_readable(connection):
            connection.poll()
        now = self._clock()
        if connection.notifies or not 0 <= now - self._asked_at < _TELL_AGAIN_S:
            # What comes while the query runs is for the next call: a notification stays in the
            # list, a wish to look again in the time.
            connection.notifies.clear()
            self._asked_at = now
            with connection.cursor() as cursor:
                cursor.execute("select value from position")
                ((self._value,),) = cursor.fetchall()
        return self._value

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _driver() -> Any:
    try:
        import psycopg2
        import psycopg2.extensions
    except ImportError as missing:
        raise StoreError(
            "SUNRIZA_ORDERS_URL names a Postgres database, but its driver is not installed",
            remedy="Install it: pip install 'sunriza-assets[celery]' or psycopg2-binary.",
            code="driver",
        ) from missing
    return psycopg2


@lru_cache(maxsize=512)
def _formatted(sql: str) -> str:
    """A statement with psycopg2's placeholders."""
    return sql.replace("?", "%s")


_ERRORS: Final = {
    "53100": ("The database's disk is full", "full", "Free some space and try again."),
    "25006": ("The database only reads", "readonly", "Name the primary server, not a replica."),
    "42501": (
        "The database's role lacks a right",
        "rights",
        f"Give it a schema of its own: create schema {_SCHEMA} authorization <role>.",
    ),
    **dict.fromkeys(
        ("55P03", "57014"),
        ("Another process has held the database for too long", "busy", "Try again."),
    ),
}


def _after_fork() -> None:
    for one in tuple(_opened):
        one.after_fork()


os.register_at_fork(after_in_child=_after_fork)
