"""Documents in memory: atomic commits with preconditions, transforms, optimistic transactions."""

import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

import grpc
from google.cloud.firestore_v1 import types

from sunriza_assets_tests.servers.firestore.index import Index
from sunriza_assets_tests.servers.firestore.values import (
    Document,
    delete_field,
    get_field,
    parse_path,
    set_field,
    sort_key,
)

MAX_DOCUMENT_BYTES = 1 << 20
MAX_WRITES = 500
_REQUEST_TIME = 1

_PbDocument = type(types.Document.pb(types.Document()))
_PbWriteResult = type(types.WriteResult.pb(types.WriteResult()))
_PbValue = type(types.Value.pb(types.Value()))


class RefusedError(Exception):
    """An answer with a gRPC status other than OK."""

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Store:
    """All documents of all databases. It outlives its server, as a disk would."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._documents: dict[str, Document] = {}
        self._collections: dict[str, set[str]] = {}
        self._indexes: dict[tuple[str, tuple[str, ...]], Index] = {}
        self._transactions: dict[bytes, dict[str, int]] = {}
        self._last_time = 0

    def get(self, name: str) -> Document | None:
        """A document, not to be changed, or None."""
        return self._documents.get(name)

    def names(self, collection: str) -> Iterable[str]:
        """Names of the documents directly in a collection (`…/documents/avatars`)."""
        return self._collections.get(collection, ())

    def collection_ids(self, parent: str) -> list[str]:
        """Ids of the collections directly below a document, in order."""
        prefix = f"{parent}/"
        below = (one.removeprefix(prefix) for one, names in self._collections.items() if names)
        return sorted(
            one for one in below if f"{prefix}{one}" in self._collections and "/" not in one
        )

    def index(self, collection: str, path: str) -> Index:
        """All documents of a collection that have a field, in its order; kept up to date."""
        key = (collection, tuple(parse_path(path)))
        if key not in self._indexes:
            index = Index(key[1])
            index.fill(self._documents[name] for name in self.names(collection))
            self._indexes[key] = index
        return self._indexes[key]

    # Transactions: reads are remembered, and a commit fails if one of them is outdated.

    def begin(self) -> bytes:
        """A new transaction's id."""
        transaction = secrets.token_bytes(8)
        self._transactions[transaction] = {}
        return transaction

    def read_in(self, transaction: bytes, name: str) -> None:
        """Remember that a transaction has read a document."""
        reads = self._transactions.get(transaction)
        if reads is None:
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, "This transaction is over.")
        reads.setdefault(name, self._version(name))

    def rollback(self, transaction: bytes) -> None:
        """Forget a transaction."""
        self._transactions.pop(transaction, None)

    def commit(self, writes: Sequence[Any], transaction: bytes = b"") -> tuple[list[Any], int]:
        """Apply all writes or none.

        Returns:
            The write results, and the commit time in microseconds.
        """
        if len(writes) > MAX_WRITES:
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, f"more than {MAX_WRITES} writes")
        with self.lock:
            if transaction:
                reads = self._transactions.pop(transaction, {})
                if any(self._version(name) != version for name, version in reads.items()):
                    raise RefusedError(
                        grpc.StatusCode.ABORTED, "Too much contention on these documents."
                    )
            now = self._tick()
            staged: dict[str, Document | None] = {}
            results = [self._stage(write, staged, now) for write in writes]
            for name, document in staged.items():
                self._put(name, document)
            return results, now

    def load(self, documents: Iterable[Document]) -> None:
        """Put many documents in place at once, each with an update time of its own."""
        with self.lock:
            for document in documents:
                _stamp(document.create_time, now := self._tick())
                _stamp(document.update_time, now)
                self._put(document.name, document)

    def _stage(self, write: Any, staged: dict[str, Document | None], now: int) -> Any:
        operation = write.WhichOneof("operation")
        if operation not in ("update", "delete"):
            raise RefusedError(grpc.StatusCode.UNIMPLEMENTED, f"write operation {operation}")
        name = write.delete if operation == "delete" else write.update.name
        before = staged[name] if name in staged else self._documents.get(name)
        _check(write.current_document, before, name)
        result = _PbWriteResult()
        if operation == "delete":
            staged[name] = None
            return result
        after = _updated(write, before)
        for transform in write.update_transforms:
            result.transform_results.append(_transformed(after, transform, now))
        if after.ByteSize() > MAX_DOCUMENT_BYTES:
            raise RefusedError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"Document '{name}' cannot be written because its size exceeds the maximum allowed "
                f"size of {MAX_DOCUMENT_BYTES} bytes.",
            )
        after.name = name
        if before is None:
            _stamp(after.create_time, now)
        else:
            after.create_time.CopyFrom(before.create_time)
        # A write that changes nothing leaves the update time alone, as in Firestore.
        if before is not None and before.fields == after.fields:
            after.update_time.CopyFrom(before.update_time)
        else:
            _stamp(after.update_time, now)
        result.update_time.CopyFrom(after.update_time)
        staged[name] = after
        return result

    def _put(self, name: str, document: Document | None) -> None:
        collection = name.rpartition("/")[0]
        before = self._documents.pop(name, None)
        if document is not None:
            self._documents[name] = document
            self._collections.setdefault(collection, set()).add(name)
        elif before is not None:
            self._collections[collection].discard(name)
        for (indexed, _), index in self._indexes.items():
            if indexed == collection:
                index.replace(before, document)

    def _version(self, name: str) -> int:
        document = self._documents.get(name)
        return -1 if document is None else _microseconds(document.update_time)

    def _tick(self) -> int:
        """The next commit time, µs: Firestore's clock is precise to that and never stands still."""
        self._last_time = max(time.time_ns() // 1000, self._last_time + 1)
        return self._last_time


def _check(condition: Any, document: Document | None, name: str) -> None:
    kind = condition.WhichOneof("condition_type")
    if kind == "exists" and condition.exists != (document is not None):
        if document is None:
            raise RefusedError(grpc.StatusCode.NOT_FOUND, f"No document to update: {name}")
        raise RefusedError(grpc.StatusCode.ALREADY_EXISTS, f"Document already exists: {name}")
    if kind == "update_time" and (
        document is None or document.update_time != condition.update_time
    ):
        raise RefusedError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "the stored version does not match the required base version",
        )


def _updated(write: Any, before: Document | None) -> Document:
    if not write.HasField("update_mask"):
        after = _PbDocument()
        after.CopyFrom(write.update)
        return after
    after = _PbDocument()
    if before is not None:
        after.CopyFrom(before)
    for text in write.update_mask.field_paths:
        path = parse_path(text)
        value = get_field(write.update, path)
        if value is None:
            delete_field(after, path)
        else:
            set_field(after, path, value)
    return after


def _transformed(document: Document, transform: Any, now: int) -> Any:
    path = parse_path(transform.field_path)
    kind = transform.WhichOneof("transform_type")
    value, result = _PbValue(), _PbValue()
    before = get_field(document, path)
    if before is not None:
        value.CopyFrom(before)
    if kind == "set_to_server_value" and transform.set_to_server_value == _REQUEST_TIME:
        _stamp(value.timestamp_value, now)
        result.CopyFrom(value)
    elif kind == "increment":
        value.CopyFrom(_sum(value, transform.increment))
        result.CopyFrom(value)
    elif kind in ("append_missing_elements", "remove_all_from_array"):
        entries = list(value.array_value.values)
        said = list(getattr(transform, kind).values)
        keys = {sort_key(entry) for entry in (entries if kind.startswith("append") else said)}
        kept = entries if kind.startswith("append") else []
        for entry in said if kind.startswith("append") else entries:
            if sort_key(entry) not in keys:
                kept.append(entry)
        value = _PbValue()
        value.array_value.SetInParent()
        value.array_value.values.extend(kept)
        result.null_value = 0
    else:
        raise RefusedError(grpc.StatusCode.UNIMPLEMENTED, f"transform {kind}")
    set_field(document, path, value)
    return result


def _sum(value: Any, increment: Any) -> Any:
    total = _PbValue()
    numbers = [
        one.double_value if one.WhichOneof("value_type") == "double_value" else one.integer_value
        for one in (value, increment)
    ]
    if any(isinstance(number, float) for number in numbers):
        total.double_value = sum(numbers)
    else:
        total.integer_value = sum(numbers)
    return total


def _stamp(timestamp: Any, microseconds: int) -> None:
    timestamp.seconds, rest = divmod(microseconds, 1_000_000)
    timestamp.nanos = rest * 1000


def _microseconds(timestamp: Any) -> int:
    return int(timestamp.seconds) * 1_000_000 + int(timestamp.nanos) // 1000
