"""The ledger's index: which files count, and how far their sources were read."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from sunriza_assets.atomic import replaced, store_errors
from sunriza_assets.costs.events import FIRST_CALL_EVENT, LogCursor
from sunriza_assets.errors import CostError, StoreError

__all__ = ["LedgerFile", "LedgerIndex", "furthest_cursor"]

SCHEMA: Final = 1
_INDEX: Final = "index.json"


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """One Parquet file, and what can be known of its rows without opening it."""

    name: str
    """In the ledger's folder."""
    rows: int
    """Number of rows."""
    first_event: int
    """Smallest event id."""
    last_event: int
    """Largest event id."""
    first_time: float
    """Unix time of the oldest row."""
    last_time: float
    """Unix time of the newest row."""

    @property
    def holds_calls(self) -> bool:
        """Whether its rows are direct calls; steps and calls are kept in files of their own."""
        return self.first_event >= FIRST_CALL_EVENT


@dataclass(frozen=True, slots=True)
class LedgerIndex:
    """The state of a ledger; replaced as a whole."""

    cursor: LogCursor = field(default_factory=LogCursor)
    """How far the event log was read."""
    files: tuple[LedgerFile, ...] = ()
    """The files that count."""
    journal: Mapping[str, int] = field(default_factory=dict)
    """Bytes that were read of each file of the journal of calls."""

    @classmethod
    def read(cls, folder: Path) -> "LedgerIndex":
        """The index of a ledger's folder; an empty one where there is none.

        Raises:
            CostError: it is damaged or of a newer version.
            StoreError: it cannot be read.
        """
        path = folder / _INDEX
        try:
            with store_errors("read", path):
                document = json.loads(path.read_text(encoding="utf-8"))
            if document["schema"] != SCHEMA:
                raise CostError(
                    f"The ledger is of version {document['schema']}, this reads {SCHEMA}",
                    where=path,
                    remedy="Update the program.",
                    code="ledger",
                )
            return cls(
                LogCursor(**document["cursor"]),
                tuple(LedgerFile(**file) for file in document["files"]),
                dict(document.get("journal", {})),
            )
        except StoreError:
            if not path.exists():
                return cls()
            raise
        except (ValueError, KeyError, TypeError) as damage:
            raise CostError(
                "The ledger's index is damaged",
                where=path,
                remedy="Delete the folder and let the report read the event log anew.",
                code="ledger",
            ) from damage

    def write(self, folder: Path) -> None:
        """Take the place of the folder's index.

        Raises:
            StoreError: it cannot be written; the former one stays.
        """
        document = {
            "schema": SCHEMA,
            "cursor": asdict(self.cursor),
            "files": [asdict(file) for file in self.files],
            "journal": dict(self.journal),
        }
        with replaced(folder / _INDEX) as part:
            part.write_text(json.dumps(document, indent=1), encoding="utf-8")


def furthest_cursor(known: LogCursor, read: LogCursor | None) -> LogCursor:
    """The later of two cursors of one log, so that overlapping updates do not step back."""
    if read is None:
        return known
    return max(known, read, key=lambda c: c.event_id) if known.log == read.log else read
