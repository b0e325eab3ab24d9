"""One field of a collection in order, so that a query costs what it finds."""

from collections.abc import Iterable, Iterator, Sequence

from sortedcontainers import SortedKeyList

from sunriza_assets_tests.servers.firestore.values import (
    Document,
    SortKey,
    get_field,
    name_key,
    sort_key,
)

NAME = "__name__"


class Index:
    """Documents of a collection by one field and then by name, those without the field left out."""

    def __init__(self, path: Sequence[str]) -> None:
        self._path = list(path)
        self._entries = SortedKeyList(key=lambda entry: entry[0])

    def fill(self, documents: Iterable[Document]) -> None:
        """Take in many documents."""
        self._entries.update(
            (key, document) for document in documents if (key := self._key(document)) is not None
        )

    def replace(self, before: Document | None, after: Document | None) -> None:
        """Follow a change of one document."""
        if before is not None and (key := self._key(before)) is not None:
            at = self._entries.bisect_key_left(key)
            del self._entries[at]
        if after is not None and (key := self._key(after)) is not None:
            self._entries.add((key, after))

    def walk(self, low: SortKey | None, high: SortKey | None, *, back: bool) -> Iterator[Document]:
        """Documents whose value lies in [low, high], both None where there is no bound."""
        minimum = None if low is None else (low,)
        # A name key is never greater than this, so the whole of `high` is inside.
        maximum = None if high is None else (high, (b"\xff" * 8,))
        for _, document in self._entries.irange_key(minimum, maximum, reverse=back):
            yield document

    def _key(self, document: Document) -> tuple[SortKey, ...] | None:
        if self._path == [NAME]:
            return ((6, name_key(document.name)), ())
        value = get_field(document, self._path)
        return None if value is None else (sort_key(value), name_key(document.name))
