"""The ledger: one row per step, and per minute of direct calls, kept after runs are deleted.

A folder of Parquet files and `index.json`, which names the files that count and the cursor. The
index is replaced in one rename, so an update is there wholly or not at all; files that no index
names are swept away by the next writer. A row is known by run, asset, partition and event, so
feeding the same events again changes nothing. New events go into small files; many small ones are
merged into one, a full one is never touched again, so an update costs the same at any size.
"""

import itertools
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sunriza_assets.atomic import lock, replaced
from sunriza_assets.costs.calls import read_calls
from sunriza_assets.costs.events import (
    FIRST_CALL_EVENT,
    KEY,
    TEXT_COLUMNS,
    LogCursor,
    StepEvent,
    column_of,
    row_of,
    table_of,
)
from sunriza_assets.costs.ledger_index import LedgerFile, LedgerIndex, furthest_cursor
from sunriza_assets.errors import CostError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["LEDGER_FOLDER", "Ledger", "Update"]

_log = logging.getLogger(__name__)

LEDGER_FOLDER: Final = "ledger"
"""Its place below the reports folder."""
FULL_ROWS: Final = 250_000
"""Rows from which on a file is never merged again."""
MAX_SMALL_FILES: Final = 16
"""More small files than this are merged."""
_BATCH: Final = 20_000
_READ_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Update:
    """What an update did."""

    added: int
    """New rows."""
    known: int
    """Events that were in the ledger already."""
    unmeasured: int
    """Successful steps without a record; they have no row."""
    refused: int
    """Events with malformed records, which were skipped and logged."""
    cursor: LogCursor
    """How far the log has been read; the next update starts after it."""


class Ledger:
    """The ledger in a folder, which is made when something is written.

    Several processes may read and write at once; writers wait for each other.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self) -> int:
        return sum(file.rows for file in self._index().files)

    @property
    def cursor(self) -> LogCursor:
        """How far which event log has been read."""
        return self._index().cursor

    def add_calls(self, journal: Path) -> Update:
        """Add the direct calls that were written to a journal since the last time.

        Args:
            journal: its folder; see `calls`.

        Raises:
            CostError: the ledger is damaged or of a newer version.
            StoreError: the journal cannot be read, or the ledger cannot be written.
        """
        index = self._index()
        events, reached = read_calls(journal, index.journal)
        if reached.items() <= index.journal.items():
            return Update(added=0, known=0, unmeasured=0, refused=0, cursor=index.cursor)
        return self.update(events, journal=reached)

    def update(
        self,
        events: Iterable[StepEvent],
        *,
        cursor: LogCursor | None = None,
        journal: Mapping[str, int] | None = None,
    ) -> Update:
        """Add the rows of events; events that are in the ledger already are skipped.

        Args:
            events: in any order.
            cursor: how far the log was read for them; None leaves the ledger's own as it is.
            journal: how far each file of the journal of calls was read for them.

        An event with a malformed record is logged, counted and skipped.

        Raises:
            CostError: the ledger is damaged or of a newer version.
            StoreError: the folder cannot be written (a full disk, too); nothing has changed then.
        """
        with lock(self.folder / ".lock"):
            index = self._index()
            self._remove_unreferenced(index)
            files, read = list(index.files), furthest_cursor(index.cursor, cursor)
            offsets = {**index.journal, **(journal or {})}
            counts = Counter[str]()
            for batch in _batches(events, _BATCH):
                rows = _rows(batch, counts)
                new_keys = rows.keys() - self._existing_keys(rows.keys(), files)
                if new_keys:
                    new = sorted((rows[key] for key in new_keys), key=lambda row: row["event_id"])
                    files += (self._write(table_of(part)) for part in _by_source(new))
                counts["added"] += len(new_keys)
                counts["known"] += len(rows) - len(new_keys)
            if read != index.cursor or offsets != index.journal or counts["added"]:
                compacted = LedgerIndex(read, tuple(self._compact(files)), offsets)
                compacted.write(self.folder)
                self._remove_unreferenced(compacted)
        return Update(
            added=counts["added"],
            known=counts["known"],
            unmeasured=counts["unmeasured"],
            refused=counts["refused"],
            cursor=read,
        )

    def table(
        self,
        columns: Sequence[str] | None = None,
        *,
        since: datetime | None = None,
        calls: bool = True,
    ) -> "pa.Table":
        """All rows, or those from an instant on, as one Arrow table; text is dictionary-encoded.

        Args:
            columns: wanted columns (`stage_*` stands for all stages); None takes all.
            since: no rows before it.
            calls: whether rows of direct calls are wanted, each of which sums up a minute.

        Raises:
            CostError: the ledger is damaged or of a newer version.
        """
        oldest = None if since is None else since.timestamp()
        return self._read(
            lambda index: [
                file
                for file in index.files
                if (oldest is None or file.last_time >= oldest) and (calls or not file.holds_calls)
            ],
            columns,
            since,
        )

    def recent(self, rows: int, columns: Sequence[str]) -> "pa.Table":
        """The newest `rows` rows of steps, the newest first, without reading old files.

        Raises:
            CostError: the ledger is damaged or of a newer version.
        """

        def newest(index: LedgerIndex) -> list[LedgerFile]:
            files = sorted(
                (file for file in index.files if not file.holds_calls),
                key=lambda file: (file.last_time, file.last_event),
                reverse=True,
            )
            before = itertools.accumulate((file.rows for file in files), initial=0)
            return [file for file, seen in zip(files, before, strict=False) if seen < rows]

        table = self._read(newest, [*columns, "time", "event_id"], None)
        order = [("time", "descending"), ("event_id", "descending")]
        return table.sort_by(order).slice(0, rows).select(_available(table.schema.names, columns))

    def frame(
        self,
        columns: Sequence[str] | None = None,
        *,
        since: datetime | None = None,
        calls: bool = True,
    ) -> "pd.DataFrame":
        """The same as `table`, as a pandas frame with categorical text."""
        return self.table(columns, since=since, calls=calls).to_pandas()

    def _read(
        self,
        select_files: Callable[[LedgerIndex], list[LedgerFile]],
        columns: Sequence[str] | None,
        since: datetime | None,
    ) -> "pa.Table":
        import pyarrow as pa
        import pyarrow.compute as pc

        for attempt in range(_READ_ATTEMPTS):
            files = select_files(self._index())
            try:
                tables = [self._load(file, columns) for file in files]
                break
            except FileNotFoundError:  # merged away between reading the index and the file
                if attempt == _READ_ATTEMPTS - 1:
                    raise CostError(
                        "The ledger lacks a file that its index names",
                        where=self.folder,
                        remedy="Delete the folder and let the report read the event log anew.",
                        code="ledger",
                    ) from None
        # Columns that no file has, because it was written before there were any.
        known = {name for table in tables for name in table.schema.names}
        empty = table_of([])
        missing = [name for name in _available(empty.schema.names, columns) if name not in known]
        table = pa.concat_tables([*tables, empty.select(missing)], promote_options="default")
        if since is not None and "time" in table.schema.names:
            floor = pa.scalar(since.astimezone(UTC), table.schema.field("time").type)
            table = table.filter(pc.greater_equal(table["time"], floor))
        return table.unify_dictionaries()

    def _load(self, file: LedgerFile, columns: Sequence[str] | None) -> "pa.Table":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            path = self.folder / file.name
            # Only columns that are there may be named; a file of an earlier version lacks some.
            there = set(pq.read_schema(path).names)
            text = [name for name in TEXT_COLUMNS if name in there]
            with pq.ParquetFile(path, read_dictionary=text) as parquet:
                return parquet.read(_available(parquet.schema_arrow.names, columns))
        except pa.ArrowInvalid as damage:
            raise CostError(
                "A file of the ledger is damaged",
                where=self.folder / file.name,
                remedy="Delete the ledger's folder and let the report read the event log anew.",
                code="ledger",
            ) from damage

    def _existing_keys(
        self, keys: Iterable[tuple[Any, ...]], files: list[LedgerFile]
    ) -> set[tuple[Any, ...]]:
        """Those of the keys that the files contain."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = {key[-1] for key in keys}
        if not wanted:
            return set()
        first, last = min(wanted), max(wanted)
        found: set[tuple[Any, ...]] = set()
        for file in files:
            if file.last_event < first or file.first_event > last:
                continue
            events = self._load(file, ["event_id"])["event_id"]
            hits = pc.is_in(events, value_set=column_of(sorted(wanted), pa.int64()))
            if pc.any(hits).as_py():
                columns = self._load(file, KEY).filter(hits).select(list(KEY))
                found.update(zip(*(column.to_pylist() for column in columns), strict=True))
        return found

    def _compact(self, files: list[LedgerFile]) -> list[LedgerFile]:
        """The files after merging: more than `MAX_SMALL_FILES` small ones become one.

        Steps and calls are merged apart: their event ids lie far from each other, and a file with
        both would seem to hold every event between.
        """
        calls = [file for file in files if file.holds_calls]
        steps = [file for file in files if not file.holds_calls]
        return self._compact_source(steps) + self._compact_source(calls)

    def _compact_source(self, files: list[LedgerFile]) -> list[LedgerFile]:
        import pyarrow as pa

        small = [file for file in files if file.rows < FULL_ROWS]
        if len(small) <= MAX_SMALL_FILES:
            return files
        chosen, rows = [], 0
        for file in small:
            chosen.append(file)
            rows += file.rows
            if rows >= FULL_ROWS:
                break
        tables = [self._load(file, None) for file in chosen]
        compacted = self._write(pa.concat_tables(tables, promote_options="default"))
        return [file for file in files if file not in chosen] + [compacted]

    def _write(self, table: "pa.Table") -> LedgerFile:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        name = f"steps-{uuid.uuid4().hex}.parquet"
        with replaced(self.folder / name) as part:
            pq.write_table(table.unify_dictionaries(), part, compression="zstd")
        # Whole microseconds: a moment with a time zone would load pandas to be told.
        moments = table["time"].cast(pa.int64())
        events, times = (pc.min_max(column).as_py() for column in (table["event_id"], moments))
        return LedgerFile(
            name=name,
            rows=table.num_rows,
            first_event=events["min"],
            last_event=events["max"],
            first_time=times["min"] / 1e6,
            last_time=times["max"] / 1e6,
        )

    def _index(self) -> LedgerIndex:
        return LedgerIndex.read(self.folder)

    def _remove_unreferenced(self, index: LedgerIndex) -> None:
        """Remove files that are not in the index: merged ones, and those of a killed writer."""
        named = {file.name for file in index.files}
        for path in self.folder.glob("steps-*.parquet"):
            if path.name not in named:
                path.unlink(missing_ok=True)
        for path in self.folder.glob(".*.part"):
            path.unlink(missing_ok=True)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)


def _rows(batch: list[StepEvent], counts: Counter[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Key -> row of the events that have one; of two with one key the first counts."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for event in batch:
        try:
            row = row_of(event)
        except CostError as error:
            _log.warning(
                "Event %d of run %s is left out: %s", event.event_id, event.run_id, error.message
            )
            counts["refused"] += 1
            continue
        if row is None:
            counts["unmeasured"] += 1
        elif rows.setdefault(_key(row), row) is not row:
            counts["known"] += 1
    return rows


def _by_source(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Rows, ordered by event, as those of steps and those of calls, where there are any."""
    for _, part in itertools.groupby(rows, key=lambda row: row["event_id"] >= FIRST_CALL_EVENT):
        yield list(part)


def _available(names: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    """The columns of `names` that are wanted; `stage_*` stands for all stages."""
    if wanted is None:
        return list(names)
    stages = "stage_*" in wanted
    return [name for name in names if name in wanted or (stages and name.startswith("stage_"))]


def _batches(events: Iterable[StepEvent], size: int) -> Iterator[list[StepEvent]]:
    source = iter(events)
    while batch := list(itertools.islice(source, size)):
        yield batch
