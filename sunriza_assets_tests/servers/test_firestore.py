"""The test Firestore answers the real client as Firestore is documented to."""

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore_v1.field_path import FieldPath
from google.cloud.firestore_v1.transforms import DELETE_FIELD

from sunriza_assets_tests.servers.firestore.server import FirestoreServer


@pytest.fixture(scope="module")
def server() -> Iterator[FirestoreServer]:
    with FirestoreServer() as running:
        yield running


@pytest.fixture
def db(server: FirestoreServer, monkeypatch: pytest.MonkeyPatch) -> firestore.Client:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", server.host)
    project = f"test-{uuid.uuid4().hex}"
    return firestore.Client(project=project, credentials=AnonymousCredentials())


VALUES: dict[str, Any] = {
    "none": None,
    "yes": True,
    "int": 2**62,
    "float": 25.0,
    "text": "é",
    "bytes": b"\x00\xff",
    "when": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "where": firestore.GeoPoint(1.5, -2.5),
    "list": [1, "a", {"b": [None]}],
    "map": {"a": {"b": {}}},
}


def test_values_come_back_as_they_went(db: firestore.Client) -> None:
    reference = db.document("c/d")
    reference.set(VALUES | {"ref": reference})
    found = reference.get().to_dict()
    assert found == VALUES | {"ref": reference}
    assert type(found["float"]) is float


def test_set_replaces_and_merge_merges(db: firestore.Client) -> None:
    reference = db.document("c/d")
    reference.set({"a": {"x": 1, "y": 2}, "b": 1})
    reference.set({"a": {"x": 3}}, merge=True)
    assert reference.get().to_dict() == {"a": {"x": 3, "y": 2}, "b": 1}
    reference.set({"c": 1})
    assert reference.get().to_dict() == {"c": 1}


def test_updates_go_by_path(db: firestore.Client) -> None:
    reference = db.document("c/d")
    reference.set({"a": {"x": 1, "y": 2}, "s": "text"})
    odd = FieldPath("a", "odd `name`.x").to_api_repr()
    reference.update({"a.x": DELETE_FIELD, odd: 5, "s.t": 1, "new.deep": 2})
    assert reference.get().to_dict() == {
        "a": {"y": 2, "odd `name`.x": 5},
        "s": {"t": 1},
        "new": {"deep": 2},
    }


def test_transforms(db: firestore.Client) -> None:
    reference = db.document("c/d")
    reference.set({"n": 1, "list": [1, 2]})
    reference.update(
        {
            "n": firestore.Increment(2),
            "list": firestore.ArrayUnion([2, 3]),
            "now": firestore.SERVER_TIMESTAMP,
        }
    )
    reference.update({"list": firestore.ArrayRemove([1])})
    found = reference.get().to_dict()
    assert (found["n"], found["list"]) == (3, [2, 3])
    assert abs((datetime.now(UTC) - found["now"]).total_seconds()) < 60


def test_preconditions(db: firestore.Client) -> None:
    reference = db.document("c/d")
    with pytest.raises(exceptions.NotFound):
        reference.update({"a": 1})
    reference.create({"a": 1})
    with pytest.raises(exceptions.AlreadyExists):
        reference.create({"a": 2})
    stale = reference.get().update_time
    reference.update({"a": 2})
    with pytest.raises(exceptions.FailedPrecondition):
        reference.update({"a": 3}, option=db.write_option(last_update_time=stale))
    with pytest.raises(exceptions.FailedPrecondition):
        reference.delete(option=db.write_option(last_update_time=stale))
    fresh = reference.get().update_time
    reference.update({"a": 3}, option=db.write_option(last_update_time=fresh))
    assert reference.get().to_dict() == {"a": 3}


def test_a_batch_is_all_or_nothing(db: firestore.Client) -> None:
    batch = db.batch()
    batch.set(db.document("c/a"), {"x": 1})
    batch.update(db.document("c/missing"), {"x": 1})
    with pytest.raises(exceptions.NotFound):
        batch.commit()
    assert not db.document("c/a").get().exists


def test_update_times_grow_and_stay_without_a_change(db: firestore.Client) -> None:
    reference = db.document("c/d")
    times = [reference.set({"n": number}).update_time for number in range(50)]
    assert times == sorted(set(times))
    assert reference.set({"n": 49}).update_time == times[-1]


def test_a_document_has_at_most_a_mebibyte(db: firestore.Client) -> None:
    db.document("c/d").set({"x": "a" * 1_000_000})
    with pytest.raises(exceptions.InvalidArgument):
        db.document("c/d").set({"x": "a" * 1_100_000})


def test_queries(db: firestore.Client) -> None:
    collection = db.collection("c")
    documents: dict[str, dict[str, Any]] = {
        "a": {"t": 3, "deep": {"s": "x"}, "tags": ["p", "q"]},
        "b": {"t": 1.5, "deep": {"s": "y"}},
        "c": {"t": 3, "deep": {"s": "x"}},
        "d": {"t": None},
        "e": {"t": datetime(2026, 1, 1, tzinfo=UTC)},
        "f": {"u": 1},
        "g": {"t": "text"},
    }
    for name, data in documents.items():
        collection.document(name).set(data)

    def ids(query: Any) -> str:
        return "".join(snapshot.id for snapshot in query.stream())

    def where(path: str, op: str, value: Any) -> Any:
        return collection.where(filter=firestore.FieldFilter(path, op, value))

    assert ids(collection) == "abcdefg"
    assert ids(collection.order_by("t")) == "dbaceg"
    assert ids(collection.order_by("t", direction="DESCENDING")) == "gecabd"
    assert ids(collection.order_by("t").limit(2).offset(1)) == "ba"
    assert ids(where("t", ">=", 0)) == "bac"
    assert ids(where("t", ">", 1.5)) == "ac"
    assert ids(where("t", "<", 3).order_by("t")) == "b"
    assert ids(where("t", "==", 3)) == "ac"
    assert ids(where("t", "!=", 3)) == "beg"
    assert ids(where("t", "in", [3, "text"])) == "acg"
    assert ids(where("t", "==", None)) == "d"
    assert ids(where("tags", "array_contains", "q")) == "a"
    assert ids(where("deep.s", "==", "x").where(filter=firestore.FieldFilter("t", ">", 1))) == "ac"
    assert ids(where("deep.s", "==", "x").order_by("__name__", direction="DESCENDING")) == "ca"
    after = {"t": 3, "__name__": collection.document("a")}
    assert ids(where("t", ">=", 0).order_by("t").order_by("__name__").start_after(after)) == "c"
    assert ids(collection.order_by("t").start_at({"t": 3})) == "aceg"
    assert ids(collection.order_by("t").end_before({"t": 3})) == "db"
    here = collection.document("c")
    assert ids(collection.order_by("__name__").start_after({"__name__": here})) == "defg"
    [only] = list(where("t", "==", 1.5).select(["deep.s"]).stream())
    assert only.to_dict() == {"deep": {"s": "y"}}
    assert collection.count().get()[0][0].value == 7
    collection.document("a").delete()
    collection.document("f").update({"t": 2})
    assert ids(collection.order_by("t")) == "dbfceg"


def test_what_is_not_known_is_refused(db: firestore.Client) -> None:
    either = firestore.Or(
        [firestore.FieldFilter("a", "==", 1), firestore.FieldFilter("b", "==", 1)]
    )
    for query in (db.collection("c").where(filter=either), db.collection_group("c")):
        with pytest.raises(exceptions.MethodNotImplemented):
            list(query.stream())


def test_transactions_that_contend_are_repeated(db: firestore.Client) -> None:
    reference = db.document("c/d")
    reference.set({"n": 0})

    @firestore.transactional
    def increment(transaction: firestore.Transaction) -> None:
        found = reference.get(transaction=transaction).get("n")
        transaction.update(reference, {"n": found + 1})

    def work() -> None:
        for _ in range(5):
            increment(db.transaction(max_attempts=50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reference.get().to_dict() == {"n": 20}


def test_faults_and_restarts(server: FirestoreServer, db: firestore.Client) -> None:
    reference = db.document("c/d")
    reference.set({"n": 0})
    server.fail("Commit", status=grpc.StatusCode.PERMISSION_DENIED, when="after")
    with pytest.raises(exceptions.PermissionDenied):
        reference.set({"n": 1})
    assert reference.get().to_dict() == {"n": 1}
    server.fail("Commit", status=grpc.StatusCode.PERMISSION_DENIED)
    with pytest.raises(exceptions.PermissionDenied):
        reference.set({"n": 2})
    assert reference.get().to_dict() == {"n": 1}
    server.stop()
    server.start()
    assert reference.get().to_dict() == {"n": 1}
