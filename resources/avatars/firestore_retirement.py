"""Creating and deleting avatars in Firestore, which depends on documents that are absent.

    avatars/{id}/server/basic    the record; kept after the document, until all else is purged
    retired_avatars/{id}         the mark of an avatar that is being deleted

A compare-and-swap needs a document that exists. So these operations are Firestore transactions: a
document is created only if its record allows it, and a record is marked only if its document is
deleted.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type

from resources.avatars.document import DYNAMICS_ID
from resources.avatars.instants import now
from resources.avatars.owners import id_error, may_use_id, owner_in
from resources.avatars.record import RunRecord
from resources.avatars.store import not_retired

if TYPE_CHECKING:
    from google.cloud.firestore import (
        Client,
        CollectionReference,
        DocumentReference,
        DocumentSnapshot,
        Transaction,
    )

__all__ = ["Retirement", "read_record", "record_of"]

Result = TypeVar("Result")

_MARKS: Final = "retired_avatars"
_SERVER: Final = "server"
_TIMEOUT_S: Final = 15.0
_NO_RETRY: Final = Retry(predicate=if_exception_type())


class Retirement:
    """The operations on one database; each may be retried as a whole."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    @property
    def marks(self) -> "CollectionReference":
        """The collection of the marks."""
        return self._client.collection(_MARKS)

    def create(self, reference: "DocumentReference", document: dict[str, Any]) -> None:
        """Create a document.

        Raises:
            AvatarError: another owner's record, or one that is being purged, has this id.
        """

        def work(transaction: "Transaction") -> None:
            _, stored = self._read(reference, transaction)
            record = read_record(stored)
            if not may_use_id(record, owner_in(document)):
                raise id_error(record, reference.id)
            transaction.create(reference, document)

        self._transact(work)

    def retire(self, reference: "DocumentReference", *, remove: bool) -> bool:
        """Mark the record of a deleted avatar; see `AvatarStore.retire`."""

        def work(transaction: "Transaction") -> bool:
            snapshot, stored = self._read(reference, transaction)
            record = read_record(stored)
            if snapshot.exists and not remove:
                return record.purging
            if snapshot.exists:
                transaction.delete(reference)
            if not record.purging:
                transaction.set(stored.reference, replace(record, purging=True).to_dict())
                transaction.set(self.marks.document(reference.id), {"retiredAt": now()})
            return True

        return self._transact(work)

    def forget(self, reference: "DocumentReference") -> None:
        """Remove the subcollections of a retired avatar: the app's first, then the record.

        Raises:
            ConflictError: the avatar is not retired.
        """

        def check(transaction: "Transaction") -> None:
            _, stored = self._read(reference, transaction)
            if stored.exists and not read_record(stored).purging:
                raise not_retired(reference.id)

        def work(transaction: "Transaction") -> None:
            check(transaction)
            transaction.delete(record_of(reference))
            transaction.delete(self.marks.document(reference.id))

        self._transact(check)
        for collection in reference.collections(retry=_NO_RETRY, timeout=_TIMEOUT_S):
            if collection.id != _SERVER:
                self._delete_all(collection)
        self._transact(work)

    def _delete_all(self, collection: "CollectionReference") -> None:
        """Delete the documents of a collection and of those below them."""
        for snapshot in collection.stream(retry=_NO_RETRY, timeout=_TIMEOUT_S):
            for below in snapshot.reference.collections(retry=_NO_RETRY, timeout=_TIMEOUT_S):
                self._delete_all(below)
            snapshot.reference.delete(retry=_NO_RETRY, timeout=_TIMEOUT_S)

    def _read(
        self, reference: "DocumentReference", transaction: "Transaction"
    ) -> tuple["DocumentSnapshot", "DocumentSnapshot"]:
        """A document and its record, whether they exist or not."""
        references = [reference, record_of(reference)]
        snapshots = self._client.get_all(
            references, transaction=transaction, retry=_NO_RETRY, timeout=_TIMEOUT_S
        )
        found = {one.reference.path: one for one in snapshots}
        return found[references[0].path], found[references[1].path]

    def _transact(self, work: Callable[["Transaction"], Result]) -> Result:
        from google.cloud.firestore import transactional

        try:
            return transactional(work)(self._client.transaction(max_attempts=1))
        except ValueError as given_up:  # the client's error for lost races
            if isinstance(given_up.__cause__, exceptions.GoogleAPICallError):
                raise given_up.__cause__ from given_up
            raise


def read_record(snapshot: "DocumentSnapshot") -> RunRecord:
    """The record in a snapshot; an empty one where there is none.

    Raises:
        StoreError: it is damaged.
    """
    return RunRecord.from_dict((snapshot.to_dict() if snapshot.exists else None) or {})


def record_of(reference: "DocumentReference") -> Any:
    """The reference of the record of an avatar's document."""
    return reference.collection(_SERVER).document(DYNAMICS_ID)
