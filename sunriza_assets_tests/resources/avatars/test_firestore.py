"""`FirestoreAvatars` keeps the contract over real gRPC, and survives faulty networks and clocks."""

import threading
import time
from typing import Any

import grpc
import pytest
from google.api_core.datetime_helpers import DatetimeWithNanoseconds
from google.cloud import firestore
from google.cloud.firestore_v1 import types

from resources.avatars import owned as owned_avatars
from resources.avatars.firestore import FirestoreAvatars
from resources.avatars.store import Cursor
from resources.google import errors as google_errors
from sunriza_assets.errors import StoreError
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.resources.avatars.avatar_asking_contract import AvatarAskingContract
from sunriza_assets_tests.resources.avatars.avatar_clients_contract import (
    AvatarClientsContract,
    all_changes,
)
from sunriza_assets_tests.resources.avatars.avatar_listing_contract import AvatarListingContract
from sunriza_assets_tests.resources.avatars.avatar_owners_contract import AvatarOwnersContract
from sunriza_assets_tests.resources.avatars.avatar_store_contract import (
    INPUTS,
    PUBLICATION,
    AvatarStoreContract,
    publication,
)
from sunriza_assets_tests.resources.avatars.avatar_versions_contract import AvatarVersionsContract
from sunriza_assets_tests.resources.avatars.avatar_waits_contract import AvatarWaitsContract
from sunriza_assets_tests.resources.avatars.firestore_fixtures import (
    App,
    avatars,
    client,
    firestore_client,
    firestore_server,
    own_server,
)
from sunriza_assets_tests.servers.firestore.server import FirestoreServer

__all__ = ["avatars", "client", "firestore_client", "firestore_server", "own_server"]

_MINUTE = 60_000


class TestContract(
    AvatarStoreContract,
    AvatarAskingContract,
    AvatarClientsContract,
    AvatarOwnersContract,
    AvatarListingContract,
    AvatarVersionsContract,
    AvatarWaitsContract,
):
    """All of it."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def names(avatars: FirestoreAvatars, after: Cursor | None, page: int = 100) -> list[str]:
    return [change.avatar_id for change in all_changes(avatars, after, page)[0]]


class TestDocuments:
    def test_instants_are_timestamps_inside_and_epoch_ms_at_the_top(
        self, avatars: FirestoreAvatars, client: App
    ) -> None:
        """The security rules demand the integer: a timestamp would lock the owner out."""
        client.replace("anna", INPUTS | {"updatedAt": DatetimeWithNanoseconds(2026, 1, 1)})
        avatars.claim("anna", "run-1")
        data = client.read("anna")
        assert type(data["updatedAt"]) is int
        assert abs(data["updatedAt"] - now_ms()) < _MINUTE
        assert isinstance(data["dynamics"]["basic"]["startedAt"], DatetimeWithNanoseconds)
        avatars.publish("anna", "run-1", **PUBLICATION)
        data = client.read("anna")
        assert type(data["updatedAt"]) is int
        for key in ("generatedAt", "createdAt", "updatedAt"):
            assert isinstance(data["dynamics"]["basic"][key], DatetimeWithNanoseconds)

    def test_values_that_json_has_no_word_for_stay_as_they_are(
        self, avatars: FirestoreAvatars, client: App, firestore_client: firestore.Client
    ) -> None:
        odd: dict[str, Any] = {
            "place": firestore.GeoPoint(1.0, 2.0),
            "raw": b"\x00",
            "owner": firestore_client.document("users/u"),
            "odd key.with `marks`": {"x": 1},
            "createdAt": 5,
        }
        client.replace("anna", INPUTS | odd)
        avatars.merge("anna", {"odd key.with `marks`": {"y": 2}})
        avatars.claim("anna", "run-1")
        avatars.publish("anna", "run-1", **PUBLICATION)
        data = client.read("anna")
        assert data["odd key.with `marks`"] == {"x": 1, "y": 2}
        assert {key: data[key] for key in ("place", "raw", "owner", "createdAt")} == {
            key: odd[key] for key in ("place", "raw", "owner", "createdAt")
        }

    def test_a_document_whose_id_is_none_of_ours_is_told_of(
        self, avatars: FirestoreAvatars, client: App
    ) -> None:
        for avatar_id in ("überrascht", "a b", "x" * 200, "good"):
            client.replace(avatar_id, INPUTS | {"updatedAt": now_ms()})
        problems = {one.avatar_id: one.problem for one in all_changes(avatars)[0]}
        assert sorted(problems) == sorted(["überrascht", "a b", "x" * 200, "good"])
        assert problems["good"] is None
        assert "not an avatar id" in (problems["überrascht"] or "")
        assert list(avatars.ids()) == ["good"]

    def test_the_record_lies_where_no_client_writes(
        self, avatars: FirestoreAvatars, client: App, firestore_client: firestore.Client
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        record = firestore_client.document("avatars/anna/server/basic").get().to_dict()
        assert record
        assert (record["run_id"], record["claims"]) == ("run-1", 1)
        client.replace("anna", INPUTS | {"updatedAt": 1, "dynamics": {"basic": {"status": "x"}}})
        document = avatars.publish("anna", "run-1", **PUBLICATION)
        assert (document.status, document.run_id) == ("ready", "run-1")


class TestClocks:
    """`updatedAt` is what clients say, by clocks of their own."""

    @pytest.fixture
    def cursor(self, avatars: FirestoreAvatars, client: App) -> Cursor:
        """The cursor after the avatars of an hour were read."""
        client.replace("past", INPUTS | {"updatedAt": now_ms() - 60 * _MINUTE})
        avatars.merge("present", INPUTS)
        cursor = all_changes(avatars)[1]
        assert cursor
        return cursor

    @pytest.mark.parametrize("late_ms", [1, 1000, 100_000])
    def test_a_document_that_arrives_late_is_seen(
        self, avatars: FirestoreAvatars, client: App, cursor: Cursor, late_ms: int
    ) -> None:
        client.replace("late", INPUTS | {"updatedAt": now_ms() - late_ms})
        assert names(avatars, cursor) == ["late"]

    def test_a_document_from_the_future_comes_once_and_hides_nothing(
        self, avatars: FirestoreAvatars, client: App, cursor: Cursor
    ) -> None:
        client.replace("future", INPUTS | {"updatedAt": now_ms() + 10_000 * _MINUTE})
        changes, after = all_changes(avatars, cursor)
        assert [change.avatar_id for change in changes] == ["future"]
        client.replace("now", INPUTS | {"updatedAt": now_ms()})
        changes, after = all_changes(avatars, after)
        assert [change.avatar_id for change in changes] == ["now"]
        client.save("future", {"name": "again", "updatedAt": now_ms() + 10_001 * _MINUTE})
        assert names(avatars, after) == ["future"]

    def test_a_request_that_does_not_touch_the_stamp_is_seen(
        self, avatars: FirestoreAvatars, client: App
    ) -> None:
        """The app sends `update({'dynamics.basic.status': 'pending'})` and nothing else."""
        client.replace("old", INPUTS | {"updatedAt": 1000})
        avatars.settle("old")
        _, after = all_changes(avatars)
        client.save("old", {"dynamics": {"basic": {"status": "pending"}}})
        changes, after = all_changes(avatars, after)
        assert [change.avatar_id for change in changes] == ["old"]
        assert names(avatars, after) == []
        avatars.claim("old", "run-1")
        avatars.fail("old", "run-1", code="x", message="y")
        _, after = all_changes(avatars, after)
        client.save("old", {"dynamics": {"basic": {"status": "pending"}}})
        assert names(avatars, after) == ["old"]

    @pytest.mark.parametrize(
        "stamp", [1000, None, "2026-01-01", DatetimeWithNanoseconds(2026, 1, 1)]
    )
    def test_what_the_stream_cannot_see_the_scan_finds(
        self, avatars: FirestoreAvatars, client: App, cursor: Cursor, stamp: object
    ) -> None:
        """A phone that was offline for a day, and documents without a usable stamp."""
        fields = {} if stamp is None else {"updatedAt": stamp}
        client.replace("offline", INPUTS | fields)
        assert names(avatars, cursor) == []
        found = {one.avatar_id: one.document for one in avatars.scan("", 100)}
        assert found["offline"]
        assert found["offline"].needs_run

    @pytest.mark.parametrize("page", [1, 2, 3, 7])
    def test_equal_stamps_across_a_page_border(
        self, avatars: FirestoreAvatars, client: App, page: int
    ) -> None:
        expected = [f"a{number}" for number in range(9)]
        for name in expected:
            client.replace(name, INPUTS | {"updatedAt": 1_700_000_000_000})
        assert names(avatars, None, page) == expected

    def test_fractions_of_a_millisecond_are_passed(
        self, avatars: FirestoreAvatars, client: App
    ) -> None:
        for number in range(5):
            client.replace(f"a{number}", INPUTS | {"updatedAt": 1_700_000_000_000.5})
        assert names(avatars, None, 2) == [f"a{number}" for number in range(5)]

    def test_a_tick_that_was_cut_short_can_be_repeated(
        self, avatars: FirestoreAvatars, client: App, cursor: Cursor
    ) -> None:
        for number in range(7):
            client.replace(f"a{number}", INPUTS | {"updatedAt": now_ms()})
        first = avatars.changes(cursor, 3)
        again = avatars.changes(cursor, 3)
        assert first == again
        rest = names(avatars, first.cursor, 3)
        assert [one.avatar_id for one in first.changes] + rest == [f"a{n}" for n in range(7)]

    def test_the_cursor_does_not_grow_with_what_has_passed(
        self, avatars: FirestoreAvatars, client: App
    ) -> None:
        for number in range(30):
            client.replace(f"a{number:02d}", INPUTS | {"updatedAt": 1_700_000_000_000 + number})
        _, after = all_changes(avatars, page=4)
        assert after
        assert after.seen == ()
        assert after.avatar_id == "a29"


class TestFaults:
    @pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_an_answer_that_gets_lost_neither_loses_nor_doubles_a_step(
        self, avatars: FirestoreAvatars, own_server: FirestoreServer, when: str, status: Any
    ) -> None:
        avatars.merge("anna", INPUTS)
        for number in (1, 2):
            own_server.fail("Commit", when=when, status=status)
            assert avatars.claim("anna", f"run-{number}").record.claims == number
            own_server.fail("BatchGetDocuments", times=2, when=when, status=status)
            own_server.fail("Commit", when=when, status=status)
            document = avatars.publish("anna", f"run-{number}", **publication(number))
            assert len(document.record.published) == number
        own_server.fail("Commit", when=when, status=status)
        avatars.claim("anna", "run-3")
        own_server.fail("Commit", when=when, status=status)
        assert avatars.fail("anna", "run-3", code="face.none", message="There is no face.")
        assert avatars.get("anna").status == "error"

    def test_queries_are_repeated(
        self, avatars: FirestoreAvatars, own_server: FirestoreServer
    ) -> None:
        avatars.merge("anna", INPUTS)
        for method in ("RunQuery", "BatchGetDocuments"):
            own_server.fail(method, times=3)
            assert names(avatars, None) == ["anna"]
        own_server.fail("RunQuery", times=2)
        assert list(avatars.ids()) == ["anna"]

    def test_a_writer_in_between_makes_the_step_begin_anew(
        self, avatars: FirestoreAvatars, client: App, own_server: FirestoreServer
    ) -> None:
        avatars.merge("anna", INPUTS)
        own_server.fail("Commit", status=None, delay_s=1.5)
        own_server.calls.clear()
        claiming = threading.Thread(target=avatars.claim, args=("anna", "run-1"))
        claiming.start()
        wait_for(lambda: "Commit" in own_server.calls)
        client.save("anna", {"avatarImageUrl": "https://example.com/new.jpg"})
        claiming.join()
        document = avatars.get("anna")
        assert document.status == "generating"
        assert document.record.inputs_version == document.inputs_version

    def test_a_server_that_restarts_is_waited_for(
        self, avatars: FirestoreAvatars, own_server: FirestoreServer
    ) -> None:
        avatars.merge("anna", INPUTS)
        own_server.stop()
        restart = threading.Timer(0.5, own_server.start)
        restart.start()
        assert avatars.claim("anna", "run-1").status == "generating"
        restart.join()

    def test_a_server_that_stays_away_is_a_named_error(
        self,
        avatars: FirestoreAvatars,
        own_server: FirestoreServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(google_errors, "PATIENCE_S", 0.5)
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        own_server.fail("Commit", times=1000)
        with pytest.raises(StoreError) as caught:
            avatars.publish("anna", "run-1", **PUBLICATION)
        assert caught.value.code == "store.unavailable"
        own_server.fail("RunQuery", times=1000)
        with pytest.raises(StoreError):
            avatars.changes(None, 10)

    def test_progress_that_cannot_be_written_raises_nothing(
        self,
        avatars: FirestoreAvatars,
        own_server: FirestoreServer,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(owned_avatars, "_PROGRESS_PATIENCE_S", 0.2)
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        own_server.fail("Commit", times=1000)
        avatars.progress("anna", "run-1", 50)
        assert "Progress could not be written" in caplog.text

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (grpc.StatusCode.PERMISSION_DENIED, "store.rights"),
            (grpc.StatusCode.UNAUTHENTICATED, "store.credentials"),
            (grpc.StatusCode.DATA_LOSS, "store.google"),
        ],
    )
    def test_what_cannot_be_helped_is_not_repeated(
        self, avatars: FirestoreAvatars, own_server: FirestoreServer, status: Any, code: str
    ) -> None:
        own_server.fail("BatchGetDocuments", status=status)
        with pytest.raises(StoreError) as caught:
            avatars.get("anna")
        assert caught.value.code == code
        assert "fault on demand" not in caught.value.message  # Google's words stay out


def test_a_tick_over_a_hundred_thousand_avatars_costs_what_has_changed(
    avatars: FirestoreAvatars,
    client: App,
    firestore_client: firestore.Client,
    own_server: FirestoreServer,
) -> None:
    root = f"{firestore_client._database_string}/documents/avatars"
    blank = type(types.Document.pb(types.Document()))
    start = 1_700_000_000_000

    def document(number: int) -> Any:
        made = blank(name=f"{root}/a{number:06d}")
        made.fields["updatedAt"].integer_value = start + number
        return made

    own_server.store.load(document(number) for number in range(100_000))
    cursor = Cursor("2023-11-15T00:00:00.000000000Z", "zzz")
    assert names(avatars, cursor) == []
    changed = [f"a{number:06d}" for number in range(0, 100_000, 10_000)]
    for name in changed:
        client.save(name, INPUTS | {"updatedAt": now_ms()})
    own_server.documents_read, own_server.calls[:] = 0, []
    page = avatars.changes(cursor, 100)
    assert [change.avatar_id for change in page.changes] == changed
    assert own_server.documents_read <= 3 * len(changed)
    assert len(own_server.calls) <= 4
