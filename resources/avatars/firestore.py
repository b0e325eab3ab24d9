"""Avatar documents in Firestore.

    avatars/{id}                 the document; its app and this system both write to it
    avatars/{id}/server/basic    the server's own record of it, see `record.py`
    retired_avatars/{id}         mark of an avatar that is being deleted, until all is purged

Every change is a compare-and-swap: both documents are read, the transition is computed, and one
commit writes both on condition that neither has changed (`update_time`), else all is repeated. That
is Firestore's optimistic transaction with one round trip less and without locks. Transitions are
idempotent, so the lost response of a commit does no harm.

Firestore cannot query documents by the time they were written. The stream of changes is ordered by
`updatedAt` instead, which clients set by their own clocks, and includes `status == pending`, which
the app sets without touching `updatedAt`; see `changes`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type

from resources.avatars.document import DYNAMICS_ID, AvatarDocument
from resources.avatars.firestore_fields import document_of, field_paths, new_fields
from resources.avatars.firestore_listing import FirestoreListing
from resources.avatars.firestore_retirement import Retirement, read_record, record_of
from resources.avatars.firestore_stream import StreamPosition, update_time_text
from resources.avatars.ids import checked_avatar_id, is_avatar_id
from resources.avatars.instants import epoch_ms, now
from resources.avatars.listing import AvatarPage, Sort, read_cursor
from resources.avatars.owned import OwnedAvatars
from resources.avatars.owners import id_error, may_use_id, owner_in
from resources.avatars.store import Change, Cursor, Page, id_in_use, no_such_avatar
from resources.avatars.transition import Transition, document_after
from resources.google.errors import google_errors, retrying
from sunriza_assets.errors import AvatarError, StoreError

if TYPE_CHECKING:
    from google.cloud.firestore import Client, DocumentReference, DocumentSnapshot, Query

__all__ = ["FirestoreAvatars"]

_READS_PER_CHANGE: Final = 5
_BATCH: Final = 300
_TIMEOUT_S: Final = 15.0
# Retrying is done around whole operations (`retrying`), not inside the client.
_NO_RETRY: Final = Retry(predicate=if_exception_type())
_CONFLICTS: Final = (
    exceptions.FailedPrecondition,
    exceptions.Aborted,
    exceptions.AlreadyExists,
    exceptions.NotFound,
)


class FirestoreAvatars(OwnedAvatars):
    """`AvatarStore` in a Firestore database.

    Args:
        client: of the project and database.
        collection: name of the collection of documents.
    """

    def __init__(self, client: "Client", collection: str = "avatars") -> None:
        super().__init__()
        self._client = client
        self._collection = collection
        self._retirement = Retirement(client)

    def get(self, avatar_id: str) -> AvatarDocument:
        """One document; see `AvatarStore.get`."""
        checked_avatar_id(avatar_id)
        with google_errors(avatar_id):
            snapshot, record = retrying()(self._read, avatar_id)
        return document_of(snapshot, record)

    def ids(self) -> Iterator[str]:
        """All avatar ids, in order."""
        last = ""
        while page := self._by_id(last, 1000, fields=[]):
            yield from (one.id for one in page if is_avatar_id(one.id))
            last = page[-1].id

    def present(self, avatar_ids: Sequence[str]) -> set[str]:
        """Which of these avatars exist."""
        references = [self._reference(one) for one in avatar_ids if is_avatar_id(one)]
        return {one.id for one in self._get_all(references, fields=["id"]) if one.exists}

    def merge(self, avatar_id: str, fields: Mapping[str, Any]) -> AvatarDocument:
        """Create the document or merge nested fields into it."""
        reference = self._reference(avatar_id)

        def attempt() -> None:
            [snapshot] = self._get_all([reference], fields=["id"])
            if snapshot.exists:
                self._merge(reference, fields)
            else:
                self._retirement.create(reference, new_fields(avatar_id, fields))

        with google_errors(avatar_id):
            retrying(*_CONFLICTS)(attempt)
        return self.get(avatar_id)

    def create(self, avatar_id: str, fields: Mapping[str, Any]) -> AvatarDocument:
        """Create a document; see `AvatarStore.create`.

        A repeated creation whose first answer was lost is told by its content.
        """
        reference = self._reference(avatar_id)
        document = new_fields(avatar_id, fields)

        def attempt() -> None:
            [snapshot] = self._get_all([reference])
            if not snapshot.exists:
                self._retirement.create(reference, document)
            elif snapshot.to_dict() != document:
                raise id_in_use(avatar_id)

        with google_errors(avatar_id):
            retrying(*_CONFLICTS)(attempt)
        return self.get(avatar_id)

    def update(
        self, avatar_id: str, fields: Mapping[str, Any], *, owner: str | None = None
    ) -> AvatarDocument:
        """Merge nested fields into a document that exists; see `AvatarStore.update`."""
        reference = self._reference(avatar_id)

        def attempt() -> None:
            [snapshot] = self._get_all([reference])
            found = owner_in(snapshot.to_dict() or {}) if snapshot.exists else None
            if not snapshot.exists or owner not in (None, found):
                raise no_such_avatar(avatar_id)
            self._merge(reference, fields, unchanged_since=snapshot)

        with google_errors(avatar_id):
            retrying(*_CONFLICTS)(attempt)
        return self.get(avatar_id)

    def _merge(
        self,
        reference: "DocumentReference",
        fields: Mapping[str, Any],
        *,
        unchanged_since: "DocumentSnapshot | None" = None,
    ) -> None:
        option = None
        if unchanged_since is not None:
            option = self._client.write_option(last_update_time=unchanged_since.update_time)
        batch = self._client.batch()
        batch.update(reference, field_paths(fields) | {"updatedAt": epoch_ms(now())}, option=option)
        batch.commit(retry=_NO_RETRY, timeout=_TIMEOUT_S)

    def page(
        self,
        owner: str | None,
        *,
        sort: Sort = "updated",
        text: str = "",
        limit: int = 50,
        cursor: str | None = None,
    ) -> AvatarPage:
        """A page of avatars by one indexed query; see `AvatarStore.page`."""
        key = None if cursor is None else read_cursor(cursor, sort)
        listing = FirestoreListing(self._client.collection(self._collection), self._run)
        with google_errors(self._collection):
            found, last = listing.after(owner, sort, text, key, limit)
            return AvatarPage(self._with_records(found), last.to_cursor() if last else None)

    def check_free(self, avatar_id: str, user_id: str | None = None) -> None:
        """Make sure that a new document may have this id; see `AvatarStore.check_free`."""
        reference = self._reference(avatar_id)
        records = {
            one.reference.path: one for one in self._get_all([reference, record_of(reference)])
        }
        record = read_record(records[record_of(reference).path])
        if not records[reference.path].exists and not may_use_id(record, user_id):
            raise id_error(record, avatar_id)

    def retire(self, avatar_id: str, *, remove: bool = False) -> bool:
        """Mark a deleted avatar's record; see `AvatarStore.retire`."""
        with google_errors(avatar_id):
            return retrying(*_CONFLICTS)(
                self._retirement.retire, self._reference(avatar_id), remove=remove
            )

    def retired(self, limit: int) -> Sequence[str]:
        """At most `limit` avatars that are being deleted."""
        query = self._retirement.marks.order_by("__name__")
        with google_errors(self._retirement.marks.id):
            return [one.id for one in self._run(query, limit) if is_avatar_id(one.id)]

    def forget(self, avatar_id: str) -> None:
        """Remove all subcollections of a retired avatar; see `AvatarStore.forget`."""
        with google_errors(avatar_id):
            retrying(*_CONFLICTS)(self._retirement.forget, self._reference(avatar_id))

    def changes(self, after: Cursor | None, limit: int) -> Page:
        """Documents whose `updatedAt` comes after the cursor's, and all that are `pending`.

        The cursor stays two minutes behind the present and lists the later versions that were
        returned already, so documents that are saved up to two minutes late, or stamped by a fast
        clock, are not missed. Each tick reads what changed in two minutes.
        """
        position = StreamPosition(after)
        with google_errors(self._collection):
            chosen = self._since(position, limit)
            chosen += self._pending(position, limit - len(chosen))
        return Page(self._with_records(chosen), position.cursor())

    def scan(self, after_id: str, limit: int) -> Sequence[Change]:
        """At most `limit` documents in order of id; see `AvatarStore.scan`."""
        with google_errors(self._collection):
            return self._with_records(self._by_id(after_id, limit))

    def due(self, after: Cursor | None, limit: int) -> Page:
        """At most `limit` avatars whose wait is over; see `AvatarStore.due`."""
        from google.api_core.datetime_helpers import DatetimeWithNanoseconds
        from google.cloud.firestore import FieldFilter

        until = f"dynamics.{DYNAMICS_ID}.waiting.until"
        over = FieldFilter(until, "<=", now())
        query = self._client.collection(self._collection).where(filter=over)
        query = query.order_by(until).order_by("__name__")
        if after is not None:
            start = DatetimeWithNanoseconds.from_rfc3339(after.update_time)
            reference = self._any_reference(after.avatar_id)
            query = query.start_after({until: start, "__name__": reference})
        with google_errors(self._collection):
            page = self._run(query, limit)
        last = Cursor(update_time_text(page[-1].get(until)), page[-1].id) if page else None
        return Page(self._with_records(page), last if len(page) == limit else None)

    def _apply(
        self,
        avatar_id: str,
        decide: Callable[[AvatarDocument], Transition | None],
        *,
        patience_s: float | None = None,
    ) -> tuple[AvatarDocument, bool]:
        """Apply a transition by compare-and-swap; see `OwnedAvatars._apply`."""
        checked_avatar_id(avatar_id)

        def attempt() -> tuple[AvatarDocument, bool]:
            snapshot, record = self._read(avatar_id)
            document = document_of(snapshot, record)
            step = decide(document)
            if step is None:
                return document, False
            update_time = self._swap(snapshot, record, document, step)
            return document_after(document, step, update_time), True

        with google_errors(avatar_id):
            return retrying(*_CONFLICTS, for_s=patience_s)(attempt)

    def _swap(
        self,
        snapshot: "DocumentSnapshot",
        record: "DocumentSnapshot",
        document: AvatarDocument,
        step: Transition,
    ) -> str:
        """Commit a transition if neither document has changed; the document's new update time."""
        from google.cloud.firestore import DELETE_FIELD

        batch = self._client.batch()
        paths: dict[str, Any] = {f"dynamics.{DYNAMICS_ID}.{key}": DELETE_FIELD for key in step.drop}
        paths |= {f"dynamics.{DYNAMICS_ID}.{key}": value for key, value in step.fields.items()}
        if step.updated_at is not None:
            paths["updatedAt"] = epoch_ms(step.updated_at)
        if paths:
            unchanged = self._client.write_option(last_update_time=snapshot.update_time)
            batch.update(snapshot.reference, paths, option=unchanged)
        if step.record != document.record:
            if record.exists:
                unchanged = self._client.write_option(last_update_time=record.update_time)
                batch.update(record.reference, step.record.to_dict(), option=unchanged)
            else:
                batch.create(record.reference, step.record.to_dict())
        results = batch.commit(retry=_NO_RETRY, timeout=_TIMEOUT_S)
        return update_time_text(results[0].update_time) if paths else document.update_time

    def _read(self, avatar_id: str) -> tuple["DocumentSnapshot", "DocumentSnapshot"]:
        """The document and its record, as they were at one moment.

        Firestore reads the documents of one request consistently.
        """
        reference = self._reference(avatar_id)
        found = {
            one.reference.path: one
            for one in self._client.get_all(
                [reference, record_of(reference)], retry=_NO_RETRY, timeout=_TIMEOUT_S
            )
        }
        if not found[reference.path].exists:
            raise no_such_avatar(avatar_id)
        return found[reference.path], found[record_of(reference).path]

    def _since(self, position: "StreamPosition", limit: int) -> list["DocumentSnapshot"]:
        """The next documents by `updatedAt`; advances the position."""
        from google.cloud.firestore import FieldFilter

        collection = self._client.collection(self._collection)
        query = (
            collection.where(filter=FieldFilter("updatedAt", ">=", position.updated_ms))
            .order_by("updatedAt")
            .order_by("__name__")
        )
        start = {
            "updatedAt": position.updated_ms,
            "__name__": self._any_reference(position.avatar_id),
        }
        chosen: list[DocumentSnapshot] = []
        reads = 0
        while len(chosen) < limit and reads < limit * _READS_PER_CHANGE:
            asked = min(_BATCH, limit)
            page = self._run(query.start_after(start) if start["__name__"] else query, asked)
            for one in page:
                reads += 1
                if position.advance(one):
                    chosen.append(one)
                    if len(chosen) == limit:
                        return chosen
                start = {"updatedAt": one.get("updatedAt"), "__name__": one.reference}
            if len(page) < asked:
                position.at_end = True
                break
        return chosen

    def _pending(self, position: "StreamPosition", limit: int) -> list["DocumentSnapshot"]:
        """Documents that request a run and were not returned yet."""
        from google.cloud.firestore import FieldFilter

        asks = FieldFilter(f"dynamics.{DYNAMICS_ID}.status", "==", "pending")
        query = self._client.collection(self._collection).where(filter=asks).order_by("__name__")
        chosen: list[DocumentSnapshot] = []
        reads, last = 0, None
        while len(chosen) < limit and reads < limit * _READS_PER_CHANGE:
            page = self._run(query.start_after({"__name__": last}) if last else query, _BATCH)
            reads += len(page)
            chosen += [one for one in page if position.is_new_request(one)][: limit - len(chosen)]
            if len(page) < _BATCH:
                break
            last = page[-1].reference
        for one in chosen:
            position.mark_seen(one)
        return chosen

    def _by_id(
        self, after_id: str, limit: int, fields: list[str] | None = None
    ) -> list["DocumentSnapshot"]:
        query = self._client.collection(self._collection).order_by("__name__")
        if fields is not None:
            query = query.select(fields)
        if after_id:
            query = query.start_after({"__name__": self._any_reference(after_id)})
        with google_errors(self._collection):
            return self._run(query, limit)

    def _run(self, query: "Query", limit: int) -> list["DocumentSnapshot"]:
        limited = query.limit(limit)
        return retrying()(lambda: list(limited.stream(retry=_NO_RETRY, timeout=_TIMEOUT_S)))

    def _with_records(self, snapshots: Sequence["DocumentSnapshot"]) -> list[Change]:
        references = [record_of(one.reference) for one in snapshots if is_avatar_id(one.id)]
        records = {one.reference.parent.parent.id: one for one in self._get_all(references)}
        changes = []
        for one in snapshots:
            try:
                checked_avatar_id(one.id)
                changes.append(Change(one.id, document_of(one, records[one.id])))
            except (AvatarError, StoreError) as problem:
                changes.append(Change(one.id, None, problem.message))
        return changes

    def _get_all(
        self, references: Sequence["DocumentReference"], fields: list[str] | None = None
    ) -> Iterator["DocumentSnapshot"]:
        for begin in range(0, len(references), _BATCH):
            part = references[begin : begin + _BATCH]

            def read(part: Any = part) -> list["DocumentSnapshot"]:
                found = self._client.get_all(
                    part, field_paths=fields, retry=_NO_RETRY, timeout=_TIMEOUT_S
                )
                return list(found)

            with google_errors(self._collection):
                found = retrying()(read)
            yield from found

    def _reference(self, avatar_id: str) -> "DocumentReference":
        return self._any_reference(checked_avatar_id(avatar_id))

    def _any_reference(self, document_id: str) -> Any:
        if not document_id:
            return None
        return self._client.collection(self._collection).document(document_id)
