"""Structured queries: filters, orders, cursors and limits over one collection."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from sunriza_assets_tests.servers.firestore.index import NAME
from sunriza_assets_tests.servers.firestore.store import Store
from sunriza_assets_tests.servers.firestore.values import (
    Document,
    SortKey,
    get_field,
    name_key,
    parse_path,
    set_field,
    sort_key,
    type_of,
)

LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, EQUAL, NOT_EQUAL, CONTAINS, IN, CONTAINS_ANY, NOT_IN = (
    range(1, 11)
)
_INEQUALITIES = (LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, NOT_EQUAL, NOT_IN)
IS_NAN, IS_NULL, IS_NOT_NAN, IS_NOT_NULL = 2, 3, 4, 5
_DESCENDING = 2


class UnsupportedError(Exception):
    """A query that this server does not know."""


def run(store: Store, parent: str, query: Any) -> list[Document]:
    """The documents that a structured query asks for, projected where it says so."""
    if len(query.from_) != 1 or query.from_[0].all_descendants or query.HasField("find_nearest"):
        raise UnsupportedError("only queries over one collection are known")
    collection = f"{parent}/{query.from_[0].collection_id}"
    filters = list(_filters(query.where)) if query.HasField("where") else []
    orders = _orders(query, filters)
    matches = [_condition(one) for one in filters]
    start = _bound(query.start_at, orders) if query.HasField("start_at") else None
    end = _bound(query.end_at, orders) if query.HasField("end_at") else None
    found = (
        document
        for document in _candidates(store, collection, filters, orders, query)
        if all(match(document) for match in matches)
        and (start is None or _is_inside(document, orders, start, before=False))
    )
    if not _is_presorted(filters, orders):
        found = iter(sorted(found, key=lambda document: _Ordered(document, orders)))
    result: list[Document] = []
    limit = query.limit.value if query.HasField("limit") else None
    for document in islice(found, query.offset, None):
        if limit is not None and len(result) >= limit:
            break
        if end is not None and not _is_inside(document, orders, end, before=True):
            break
        result.append(document)
    return [_projected(document, query) for document in result]


def _filters(where: Any) -> Iterator[Any]:
    kind = where.WhichOneof("filter_type")
    if kind == "composite_filter":
        if where.composite_filter.op != 1:  # AND
            raise UnsupportedError("OR is not known")
        for part in where.composite_filter.filters:
            yield from _filters(part)
    else:
        yield getattr(where, kind)


def _is_field_filter(one: Any) -> bool:
    return bool(one.DESCRIPTOR.name == "FieldFilter")


def _condition(one: Any) -> Callable[[Document], bool]:
    path = parse_path(one.field.field_path)
    if not _is_field_filter(one):
        null = {IS_NULL: True, IS_NOT_NULL: False}.get(one.op)
        if null is None:
            raise UnsupportedError(f"unary operator {one.op}")

        def is_null(document: Document) -> bool:
            value = get_field(document, path)
            return value is not None and (sort_key(value) == (0,)) == null

        return is_null
    said = _filter_key(one)

    def holds(document: Document) -> bool:
        found = (6, name_key(document.name)) if path == [NAME] else None
        if found is None:
            value = get_field(document, path)
            if value is None:
                return False
            found = sort_key(value)
        return _compare(one.op, found, said)

    return holds


def _filter_key(one: Any) -> SortKey:
    return sort_key(one.value)


def _compare(op: int, found: SortKey, said: SortKey) -> bool:
    if op == EQUAL:
        return found == said
    if op == NOT_EQUAL:
        return found not in (said, (0,))
    if op in (LESS, LESS_EQUAL, GREATER, GREATER_EQUAL):
        if type_of(found) != type_of(said):
            return False
        greater = op in (GREATER, GREATER_EQUAL)
        return (found == said and op in (LESS_EQUAL, GREATER_EQUAL)) or (
            found > said if greater else found < said
        )
    if op == IN:
        return found in said[1]
    if op == CONTAINS:
        return type_of(found) == 8 and said in found[1]
    raise UnsupportedError(f"operator {op}")


def _orders(query: Any, filters: list[Any]) -> list[tuple[list[str], bool]]:
    """(path, descending) of every order, the implied ones added: inequality field, then name."""
    orders = [(parse_path(one.field.field_path), one.direction == _DESCENDING)
              for one in query.order_by]  # fmt: skip
    if not orders:
        for one in filters:
            if _is_field_filter(one) and one.op in _INEQUALITIES:
                path = parse_path(one.field.field_path)
                if (path, False) not in orders:
                    orders.append((path, False))
    if not any(path == [NAME] for path, _ in orders):
        orders.append(([NAME], orders[-1][1] if orders else False))
    return orders


def _candidates(
    store: Store, collection: str, filters: list[Any], orders: list[tuple[list[str], bool]],
    query: Any,
) -> Iterator[Document]:  # fmt: skip
    """Documents from the index that serves the query best."""
    for one in filters:
        if _is_field_filter(one) and one.op == EQUAL:
            key = _filter_key(one)
            return store.index(collection, one.field.field_path).walk(key, key, back=orders[0][1])
    path, back = orders[0]
    low = high = None
    if query.HasField("start_at") and query.start_at.values:
        edge = sort_key(query.start_at.values[0])
        low, high = (None, edge) if back else (edge, None)
    text = ".".join(f"`{name}`" for name in path)
    return store.index(collection, text).walk(low, high, back=back)


def _is_presorted(filters: list[Any], orders: list[tuple[list[str], bool]]) -> bool:
    """Whether the index walk is in the query's order already."""
    rest = orders
    if any(_is_field_filter(one) and one.op == EQUAL for one in filters):
        return [path for path, _ in rest] == [[NAME]]
    if rest[0][0] == [NAME]:
        return len(rest) == 1
    return len(rest) == 2 and rest[1] == ([NAME], rest[0][1])


class _Ordered:
    """A document as `sorted` compares it."""

    def __init__(self, document: Document, orders: list[tuple[list[str], bool]]) -> None:
        self._keys = [(_order_key(document, path), down) for path, down in orders]

    def __lt__(self, other: "_Ordered") -> bool:
        for (mine, down), (theirs, _) in zip(self._keys, other._keys, strict=True):
            if mine != theirs:
                return mine > theirs if down else mine < theirs
        return False


def _order_key(document: Document, path: list[str]) -> SortKey:
    if path == [NAME]:
        return (6, name_key(document.name))
    value = get_field(document, path)
    return (-1,) if value is None else sort_key(value)


def _bound(cursor: Any, orders: list[tuple[list[str], bool]]) -> tuple[list[SortKey], bool]:
    if len(cursor.values) > len(orders):
        raise UnsupportedError("a cursor with more values than orders")
    return [sort_key(value) for value in cursor.values], cursor.before


def _is_inside(
    document: Document,
    orders: list[tuple[list[str], bool]],
    bound: tuple[list[SortKey], bool],
    *,
    before: bool,
) -> bool:
    """Whether a document stands after a start (`before` false) or before an end (true)."""
    keys, cursor_before = bound
    for key, (path, down) in zip(keys, orders, strict=False):
        mine = _order_key(document, path)
        if mine != key:
            is_less = mine > key if down else mine < key
            return is_less if before else not is_less
    # Equal to the cursor: it starts before or after such documents, as the cursor says.
    return not cursor_before if before else cursor_before


def _projected(document: Document, query: Any) -> Document:
    if not query.HasField("select"):
        return document
    slim = type(document)(name=document.name)
    slim.create_time.CopyFrom(document.create_time)
    slim.update_time.CopyFrom(document.update_time)
    for one in query.select.fields:
        path = parse_path(one.field_path)
        if path != [NAME] and (value := get_field(document, path)) is not None:
            set_field(slim, path, value)
    return slim
