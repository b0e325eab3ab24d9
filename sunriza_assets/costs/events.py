"""A step as read from an event log, and its row in the ledger.

`StepEvent` does not depend on Dagster: readers of an event log create them. The
columns of a row and their types are defined here, for writing and reading.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from sunriza_assets.costs.prices import COST_FACTS
from sunriza_assets.costs.record import StepRecord, stage_key, stage_name
from sunriza_assets.costs.spoken import SPOKEN_NUMBERS, SPOKEN_TEXT, SPOKEN_WHOLE
from sunriza_assets.errors import CostError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FIRST_CALL_EVENT",
    "KEY",
    "TEXT_COLUMNS",
    "UNKNOWN",
    "LogCursor",
    "StepEvent",
    "column_of",
    "row_of",
    "step_facts",
    "table_of",
]

KEY: Final = ("run_id", "asset", "partition", "event_id")
"""Primary key of a row: a retry or a second materialization has its own event."""
FIRST_CALL_EVENT: Final = 1 << 48
"""Ids from here on are those of direct calls (microseconds since 1970), which come from a journal
of their own (`calls`); below it are those of event logs."""
UNKNOWN: Final = "unknown"
"""Device of a step that left no record; no price book has a price for it."""

TEXT_COLUMNS: Final = (
    "run_id",
    "asset",
    "partition",
    "device",
    "device_kind",
    "engine",
    "engine_version",
    "cache",
    "price_book",
    "cost_currency",
    "kind",
    "owner",
    *SPOKEN_TEXT,
)
_FLOAT_COLUMNS: Final = (
    "wall_s",
    "queue_s",
    "cpu_s",
    "gpu_s",
    "cache_saved_s",
    "clip_s",
    "unbooked_s",
    "cost",
    *SPOKEN_NUMBERS,
)
_WHOLE_COLUMNS: Final = (
    "event_id",
    "cores",
    "peak_memory_bytes",
    "peak_gpu_memory_bytes",
    "bytes_in",
    "bytes_out",
    "egress_bytes",
    "frames",
    "clip_frames",
    "calls",
    *SPOKEN_WHOLE,
)
_FLAG_COLUMNS: Final = ("success", "measured", "cold")
_STAGE: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


_BOOKED: Final = ("kind", "owner", "calls", *SPOKEN_TEXT, *SPOKEN_WHOLE, *SPOKEN_NUMBERS)
"""Columns that are no part of a step's record."""
_FACTS: Final = frozenset(
    {*(item.name for item in fields(StepRecord) if item.name != "stages"), *COST_FACTS, *_BOOKED}
)


@dataclass(frozen=True, slots=True)
class LogCursor:
    """How far an event log has been read."""

    log: str = ""
    """Which log; a log that is wiped and begun anew is another one."""
    event_id: int = 0
    """The last event that was read; 0 for none."""


@dataclass(frozen=True, slots=True)
class StepEvent:
    """One finished, failed or killed step of an event log."""

    run_id: str
    """The run that the step belongs to."""
    asset: str
    """Name of the asset."""
    partition: str | None
    """Partition key: the avatar's id; None for an unpartitioned asset."""
    event_id: int
    """Position in the log, growing; unique together with the run."""
    timestamp: float
    """Unix time at which the log says it happened."""
    success: bool
    """False for a step that failed or was killed."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON values, as `StepRecord.to_dict` and `Cost.to_dict` write them."""
    elapsed_s: float | None = None
    """Seconds between the log's own start and end of the step; used where it left no record."""


def step_facts(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Those entries of an asset's metadata that are its step record and cost, unchanged."""
    return {
        name: value
        for name, value in metadata.items()
        if name in _FACTS or stage_name(name) is not None
    }


def row_of(event: StepEvent) -> dict[str, Any] | None:
    """The ledger row of an event; None for a successful step without a record.

    A step that failed or was killed without a record has the log's own seconds. Its device and cost
    come from its run's tags; without them the device is unknown and the cost empty.

    Raises:
        CostError: the metadata contains a malformed record.
    """
    measured = "wall_s" in event.metadata
    if measured:
        record = StepRecord.from_dict(event.metadata)
    elif event.success:
        return None
    else:
        record = StepRecord(
            wall_s=max(0.0, event.elapsed_s or 0.0),
            device=str(event.metadata.get("device", UNKNOWN)),
            device_kind=str(event.metadata.get("device_kind", UNKNOWN)),
        )
    row = {item.name: getattr(record, item.name) for item in fields(record)}
    for stage, seconds in row.pop("stages").items():
        if not _STAGE.fullmatch(stage):
            raise CostError(f"A stage cannot be called {stage!r}", code="record")
        row[stage_key(stage)] = seconds
    cost = event.metadata.get("cost")
    return row | {
        "run_id": event.run_id,
        "asset": event.asset,
        "partition": event.partition,
        "event_id": event.event_id,
        "time": round(event.timestamp * 1e6),
        "success": event.success,
        "measured": measured,
        "cost": float(cost) if isinstance(cost, int | float) else None,
        "cost_currency": event.metadata.get("cost_currency"),
        "price_book": event.metadata.get("price_book"),
        **{name: event.metadata.get(name) for name in _BOOKED},
    }


def table_of(rows: list[dict[str, Any]]) -> "pa.Table":
    """Rows as an Arrow table with the ledger's column types, stages last."""
    import pyarrow as pa

    stages = sorted({key for row in rows for key in row if key.startswith("stage_")})
    schema = pa.schema(
        [
            ("time", pa.timestamp("us", tz="UTC")),
            *((name, pa.string()) for name in TEXT_COLUMNS),
            *((name, pa.int64()) for name in _WHOLE_COLUMNS),
            *((name, pa.float64()) for name in (*_FLOAT_COLUMNS, *stages)),
            *((name, pa.bool_()) for name in _FLAG_COLUMNS),
        ]
    )
    columns = [column_of([row.get(item.name) for row in rows], item.type) for item in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def column_of(values: list[Any], kind: "pa.DataType") -> "pa.Array":
    """Values of a row's types, None where there is none.

    Laid out here because `pyarrow.array` loads pandas to ask whether a list is one of its kind, and
    every run begins with a forecast: that was 0.4 CPU seconds of each.
    """
    import numpy as np
    import pyarrow as pa

    known = pa.py_buffer(_bits([value is not None for value in values]))
    if pa.types.is_string(kind):
        words = [b"" if value is None else value.encode() for value in values]
        ends = np.cumsum([0, *(len(word) for word in words)], dtype=np.int32)
        buffers = [known, pa.py_buffer(ends), pa.py_buffer(b"".join(words))]
    elif pa.types.is_boolean(kind):
        buffers = [known, pa.py_buffer(_bits([bool(value) for value in values]))]
    else:
        item = np.float64 if pa.types.is_floating(kind) else np.int64
        filled = np.array([0 if value is None else value for value in values], dtype=item)
        buffers = [known, pa.py_buffer(filled)]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _bits(flags: list[bool]) -> bytes:
    """Flags as Arrow keeps them, eight to a byte, the lowest bit first."""
    import numpy as np

    return np.packbits(np.array(flags, dtype=bool), bitorder="little").tobytes()
