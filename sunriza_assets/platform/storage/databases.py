"""Checks of Dagster's SQLite files for damage, and the remedy.

    history/runs.db          the list of runs
    history/runs/index.db    the event log of all assets, and the partitions
    history/runs/<run>.db    the event log of one run
    schedules/schedules.db   ticks and cursors of sensors and schedules

Headers and sizes are checked before the files are opened; `sunriza doctor` reads them whole.
Documents, results, templates and the ledger of costs are kept elsewhere.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shlex import quote
from typing import Final

from sunriza_assets.atomic import make_folder, store_errors
from sunriza_assets.errors import StoreError

__all__ = ["check_databases", "damaged_databases", "find_damage", "mark_prepared"]

MAIN: Final = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")
_SQLITE_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_PREPARED: Final = ".prepared"
"""Made once all files are there: from then on an empty one has lost what was in it."""
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def check_databases(folder: Path, *, thoroughly: bool = False) -> None:
    """Check the main files of a DAGSTER_HOME before they are opened; takes milliseconds.

    Args:
        thoroughly: read them page by page: about a second for a hundred megabytes.

    Raises:
        StoreError: one is damaged; the message names it, and how to start with a new one.
    """
    for path, problem in damaged_databases(folder, thoroughly=thoroughly):
        if path in {folder / name for name in MAIN}:
            raise _damaged(folder, path, problem)


def damaged_databases(folder: Path, *, thoroughly: bool) -> Iterator[tuple[Path, str]]:
    """Files of a DAGSTER_HOME that are damaged, and what is wrong with each.

    Args:
        thoroughly: read the main files page by page, and look at those of single runs, too.
    """
    prepared = (folder / _PREPARED).exists()
    for path in (folder / name for name in MAIN):
        problem = _problem(path, thoroughly=thoroughly, was_filled=prepared)
        if problem is not None:
            yield path, problem
    if thoroughly:
        index = folder / MAIN[1]
        for path in sorted(index.parent.glob("*.db")):
            if path != index and (problem := _problem(path, thoroughly=False, was_filled=False)):
                yield path, problem


def mark_prepared(folder: Path) -> None:
    """Note that all files of a DAGSTER_HOME have been made."""
    make_folder(folder)
    with store_errors("write", folder / _PREPARED):
        (folder / _PREPARED).touch()


def find_damage(error: BaseException, folder: Path) -> StoreError | None:
    """The named error for an exception that a damaged file of a DAGSTER_HOME has caused, or None.

    Args:
        error: any exception; its causes are examined as well.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, sqlite3.DatabaseError) and _is_damage(cause):
            for path, problem in damaged_databases(folder, thoroughly=True):
                return _damaged(folder, path, problem)
            return _damaged(folder, folder, str(cause))
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return None


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    # The lowest byte of an extended code is the code itself.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def _problem(path: Path, *, thoroughly: bool, was_filled: bool) -> str | None:
    """What is wrong with one file, if anything; a file that is not there will be made."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
            size = file.seek(0, 2)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if size == 0:
        return "it is empty" if was_filled and not _has_wal_content(path) else None
    if not header.startswith(_SQLITE_MAGIC) or len(header) < _HEADER_BYTES:
        return "it is not an SQLite database"
    page = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    # A checkpoint of another process may be half way, so what looks short is read to be sure.
    if thoroughly or size < (65536 if page == 1 else page) * pages:
        return _quick_check(path)
    return None


def _has_wal_content(path: Path) -> bool:
    """Whether the write-ahead log holds what is not in the file yet."""
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _quick_check(path: Path) -> str | None:
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error) if _is_damage(error) else None  # busy, or no right to read it
    return None if found == "ok" else " ".join(str(found).split())


def _damaged(folder: Path, path: Path, problem: str) -> StoreError:
    aside = " && ".join(
        f"mv {quote(str(folder / name))} {quote(f'{folder / name}.damaged')}"
        for name in ("history", "schedules")
        if (folder / name).exists()
    )
    return StoreError(
        f"A database of Dagster is damaged: {problem}",
        where=path,
        remedy="Stop Dagster and bring back a backup, or begin a new history of runs (avatars, "
        f"results and costs are kept elsewhere): {aside}",
        code="database",
    )
