"""A reader's position in the stream of changed documents.

The stream is ordered by `updatedAt`, which clients set by their own clocks, and a document may be
saved a while after it was stamped. So the position stays two minutes behind the present and keeps a
list of the later versions that were returned already: late ones are not missed, none comes twice.
"""

import time
from typing import TYPE_CHECKING, Any, Final

from resources.avatars.instants import nanoseconds, rfc3339
from resources.avatars.store import Cursor

if TYPE_CHECKING:
    from google.cloud.firestore import DocumentSnapshot

__all__ = ["StreamPosition", "update_time_text"]

LAG_MS: Final = 120_000
"""How long after its own stamp a document may be saved and still be in the stream."""
_MAX_SEEN: Final = 2000


class StreamPosition:
    """A cursor while a page is read; instants are the documents' own `updatedAt`, epoch ms."""

    def __init__(self, after: Cursor | None) -> None:
        self.updated_ms: float = 0 if after is None else _epoch_ms(after.update_time)
        self.avatar_id = "" if after is None else after.avatar_id
        self.at_end = False
        """Whether the stream was read to its end: documents not encountered are gone."""
        self._horizon_ms = time.time_ns() // 1_000_000 - LAG_MS
        self._seen: dict[str, str] = {} if after is None else dict(after.seen)
        self._passed: set[str] = set()
        self._encountered: set[str] = set()

    def advance(self, snapshot: "DocumentSnapshot") -> bool:
        """Advance to the next document of the stream; whether this version of it is new."""
        updated_ms: float = snapshot.get("updatedAt")
        is_new = self._is_new(snapshot)
        self.mark_seen(snapshot)
        if updated_ms <= self._horizon_ms:
            self.updated_ms, self.avatar_id = updated_ms, snapshot.id
            self._passed.add(snapshot.id)
        else:
            self._encountered.add(snapshot.id)
        return is_new

    def is_new_request(self, snapshot: "DocumentSnapshot") -> bool:
        """Whether this version of a pending document was not returned before."""
        self._encountered.add(snapshot.id)
        return self._is_new(snapshot)

    def mark_seen(self, snapshot: "DocumentSnapshot") -> None:
        """Note that this version of a document was returned."""
        self._seen[snapshot.id] = update_time_text(snapshot.update_time)

    def cursor(self) -> Cursor:
        """The cursor at which the stream continues."""
        kept = [
            (one, written)
            for one, written in self._seen.items()
            if one in self._encountered or not (self.at_end or one in self._passed)
        ]
        newest = sorted(kept, key=lambda entry: entry[1])[-_MAX_SEEN:]
        return Cursor(rfc3339(round(self.updated_ms * 1_000_000)), self.avatar_id, tuple(newest))

    def _is_new(self, snapshot: "DocumentSnapshot") -> bool:
        return self._seen.get(snapshot.id) != update_time_text(snapshot.update_time)


def _epoch_ms(text: str) -> float:
    """Epoch ms, an int where it is one; a double comes back exactly, being coarser than 1 ns."""
    whole, rest = divmod(nanoseconds(text), 1_000_000)
    return whole if rest == 0 else whole + rest / 1_000_000


def update_time_text(instant: Any) -> str:
    """RFC 3339 of a `DatetimeWithNanoseconds`, or of the bare protobuf in a write result."""
    if hasattr(instant, "timestamp_pb"):
        instant = instant.timestamp_pb()
    return rfc3339(instant.seconds * 1_000_000_000 + instant.nanos)
