"""Listings of the Firestore store: one indexed query per page.

The indexes are in `deploy/firebase/firestore.indexes.json`. Documents that lack the field of the
order are not listed in it; everything made by this system or by the app has all three.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from resources.avatars.instants import instant_text
from resources.avatars.listing import PageKey, Sort, is_found

if TYPE_CHECKING:
    from google.cloud.firestore import CollectionReference, DocumentSnapshot, Query

__all__ = ["FirestoreListing"]

_FIELDS: Final[dict[Sort, str]] = {"updated": "updatedAt", "created": "createdAt", "name": "name"}
_EXAMINED: Final = 500
"""Documents that a search reads for one page at most."""


class FirestoreListing:
    """Queries the documents of a collection in the order of a listing.

    Args:
        collection: of the documents.
        run: runs a query with a limit.
    """

    def __init__(
        self,
        collection: "CollectionReference",
        run: "Callable[[Query, int], list[DocumentSnapshot]]",
    ) -> None:
        self._collection = collection
        self._run = run

    def after(
        self, owner: str | None, sort: Sort, text: str, key: PageKey | None, limit: int
    ) -> "tuple[list[DocumentSnapshot], PageKey | None]":
        """The next documents, and the last one that was examined; None at the end.

        Reads `limit` documents; with a search text at most 500.
        """
        chosen: list[DocumentSnapshot] = []
        left = _EXAMINED if text else limit
        while True:
            asked = min(left, max(limit, 100)) if text else limit
            page = self._run(self._query(owner, sort, key), asked)
            left -= len(page)
            for one in page:
                key = _key_of(one, sort)
                if not text or is_found(text, one.id, _get(one, "name")):
                    chosen.append(one)
                    if len(chosen) == limit:
                        return chosen, key
            if len(page) < asked:
                return chosen, None
            if left <= 0:
                return chosen, key

    def _query(self, owner: str | None, sort: Sort, key: PageKey | None) -> "Query":
        from google.cloud.firestore import FieldFilter, Query

        query: Any = self._collection
        if owner is not None:
            query = query.where(filter=FieldFilter("userId", "==", owner))
        direction = Query.ASCENDING if sort == "name" else Query.DESCENDING
        field = _FIELDS[sort]
        query = query.order_by(field, direction=direction)
        query = query.order_by("__name__", direction=direction)
        if key is not None:
            reference = self._collection.document(key.avatar_id)
            query = query.start_after({field: _decoded(key.value), "__name__": reference})
        return query


def _key_of(snapshot: "DocumentSnapshot", sort: Sort) -> PageKey:
    return PageKey(sort, _encoded(_get(snapshot, _FIELDS[sort])), snapshot.id)


def _get(snapshot: "DocumentSnapshot", field: str) -> Any:
    return (snapshot.to_dict() or {}).get(field)


def _encoded(value: Any) -> Any:
    """A sorted field's value for a cursor; instants become a map, other types None."""
    if isinstance(value, datetime):
        return {"instant": instant_text(value)}
    return value if isinstance(value, int | float | str) and not isinstance(value, bool) else None


def _decoded(value: Any) -> Any:
    from google.api_core.datetime_helpers import DatetimeWithNanoseconds

    if isinstance(value, dict):
        text = value.get("instant")
        return DatetimeWithNanoseconds.from_rfc3339(text) if isinstance(text, str) else None
    return value
