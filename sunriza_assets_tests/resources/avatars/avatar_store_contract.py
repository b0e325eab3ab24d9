"""What every `AvatarStore` must do; each implementation's tests inherit from this suite.

A subclass brings two fixtures: `avatars` (the store under test, empty) and `client` (an app that
writes the same documents behind the store's back, the way the real one does).
"""

import threading
from typing import Any, Protocol

import pytest

from resources.avatars.store import AvatarStore
from sunriza_assets.errors import AvatarError, ConflictError, StoreError

INPUTS = {
    "avatarImageUrl": "https://example.com/anna.jpg",
    "training": {"heroVideoUrl": "https://example.com/anna.mp4"},
}
PUBLICATION: dict[str, Any] = {
    "version": "v000001-00000000",
    "results": {"idleVideoUrl": "idle-1", "atlasUrl": "atlas-1"},
    "parameters": {"fps": 25, "drivingMultiplier": 1.7},
    "overridden": {},
}


class Client(Protocol):
    """An app that reads and writes documents directly."""

    def save(self, avatar_id: str, fields: dict[str, Any]) -> None:
        """Merge nested fields, `set(fields, merge=True)` in Firestore."""

    def replace(self, avatar_id: str, data: dict[str, Any]) -> None:
        """Write the whole document."""

    def read(self, avatar_id: str) -> dict[str, Any]:
        """The whole document."""

    def delete(self, avatar_id: str) -> None:
        """Remove the document."""


def publication(number: int) -> dict[str, Any]:
    """Arguments of `publish` that differ for each number."""
    return PUBLICATION | {
        "version": f"v{number:06d}-00000000",
        "results": {"idleVideoUrl": f"idle-{number}", "atlasUrl": f"atlas-{number}"},
    }


class AvatarStoreContract:
    # Reading and merging

    def test_a_merged_document_reads_back_whole(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS | {"name": "Anna", "tags": ["a", None, 1.5, True]})
        document = avatars.merge("anna", {"training": {"lipsyncEnabled": False}})
        assert document.data["training"] == {
            "heroVideoUrl": "https://example.com/anna.mp4",
            "lipsyncEnabled": False,
        }
        assert document.data["tags"] == ["a", None, 1.5, True]
        assert document.hero_image_url == "https://example.com/anna.jpg"
        assert avatars.get("anna") == document

    def test_a_new_document_names_its_avatar_and_when_it_was_made(
        self, avatars: AvatarStore
    ) -> None:
        data = avatars.merge("anna", INPUTS).data
        assert data["avatarId"] == "anna"
        assert type(data["createdAt"]) is int
        again = avatars.merge("anna", {"name": "Anna"}).data
        assert again["createdAt"] == data["createdAt"]
        assert type(again["updatedAt"]) is int
        assert again["updatedAt"] >= data["updatedAt"]

    def test_a_missing_avatar_is_a_named_error(self, avatars: AvatarStore) -> None:
        for operation in (
            lambda: avatars.get("nobody"),
            lambda: avatars.claim("nobody", "run"),
            lambda: avatars.progress("nobody", "run", 5),
            lambda: avatars.publish("nobody", "run", **PUBLICATION),
            lambda: avatars.fail("nobody", "run", code="x", message="y"),
            lambda: avatars.settle("nobody"),
        ):
            with pytest.raises(AvatarError) as caught:
                operation()
            assert caught.value.code == "avatar.missing"

    @pytest.mark.parametrize(
        "avatar_id", ["", "a/b", "..", ".", "a|b", "x" * 300, "-a", "a b", "a\n", "ü", "__a__"]
    )
    def test_a_hostile_id_is_refused(self, avatars: AvatarStore, avatar_id: str) -> None:
        for operation in (
            lambda: avatars.get(avatar_id),
            lambda: avatars.merge(avatar_id, INPUTS),
            lambda: avatars.claim(avatar_id, "run"),
        ):
            with pytest.raises(AvatarError) as caught:
                operation()
            assert caught.value.code == "avatar.id"
        assert list(avatars.ids()) == []

    def test_ids_are_in_order_and_present_tells_which_exist(self, avatars: AvatarStore) -> None:
        for avatar_id in ("b", "a", "Z", "a-1", "a_1", "10", "9"):
            avatars.merge(avatar_id, INPUTS)
        assert list(avatars.ids()) == sorted(["b", "a", "Z", "a-1", "a_1", "10", "9"])
        assert avatars.present(["a", "nobody", "../b", "9"]) == {"a", "9"}

    def test_a_document_of_a_megabyte_is_the_limit(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", {"greetingText": "x" * 900_000})
        with pytest.raises(StoreError):
            avatars.merge("anna", {"greetingText": "x" * 1_100_000})
        assert len(avatars.get("anna").data["greetingText"]) == 900_000

    # The life of a run

    def test_a_claim_shows_that_a_run_is_at_work(self, avatars: AvatarStore) -> None:
        avatars.merge(
            "anna",
            INPUTS | {"dynamics": {"basic": {"name": "Idle", "icon": "x", "status": "pending"}}},
        )
        document = avatars.claim("anna", "run-1", eta_s=61.4)
        assert document.status == "generating"
        assert document.run_id == "run-1"
        assert document.basic["progress"] == 0
        assert document.basic["etaSeconds"] == 61
        assert document.basic["startedAt"]
        assert (document.basic["name"], document.basic["icon"]) == ("Idle", "x")
        assert document.data["avatarImageUrl"] == INPUTS["avatarImageUrl"]
        assert avatars.get("anna") == document

    def test_claiming_twice_is_claiming_once(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        first = avatars.claim("anna", "run-1")
        assert avatars.claim("anna", "run-1") == first
        published = avatars.publish("anna", "run-1", **PUBLICATION)
        assert avatars.claim("anna", "run-1") == published

    def test_progress_is_shown_and_bounded(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        avatars.progress("anna", "run-1", 140, eta_s=3)
        basic = avatars.get("anna").basic
        assert (basic["progress"], basic["etaSeconds"]) == (100, 3)

    def test_progress_is_written_at_most_once_a_second(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.merge("ben", INPUTS)
        avatars.claim("anna", "run-1")
        avatars.claim("ben", "run-2")
        avatars.progress("anna", "run-1", 1)
        written = avatars.get("anna").update_time
        for percent in range(2, 12):
            avatars.progress("anna", "run-1", percent)
        assert avatars.get("anna").update_time == written
        avatars.progress("ben", "run-2", 7)
        assert avatars.get("ben").basic["progress"] == 7

    def test_publishing_puts_everything_in_place_at_once(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS | {"name": "Anna", "dynamics": {"wave": {"status": "ready"}}})
        avatars.claim("anna", "run-1", eta_s=60)
        avatars.progress("anna", "run-1", 50)
        document = avatars.publish("anna", "run-1", **PUBLICATION)
        basic = document.basic
        assert basic["status"] == "ready"
        assert (basic["idleVideoUrl"], basic["atlasUrl"]) == ("idle-1", "atlas-1")
        assert basic["parameters"] == PUBLICATION["parameters"]
        assert basic["runId"] == "run-1"
        assert basic["createdAt"] == basic["generatedAt"] == basic["updatedAt"]
        assert not basic.keys() & {"progress", "etaSeconds", "startedAt", "error", "overridden"}
        assert document.data["dynamics"]["wave"] == {"status": "ready"}
        assert document.data["name"] == "Anna"
        assert type(document.data["updatedAt"]) is int
        assert not document.needs_run
        assert not document.needs_settling

    def test_publishing_again_keeps_the_first_date_and_no_key_of_the_former_version(
        self, avatars: AvatarStore
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        first = avatars.publish(
            "anna",
            "run-1",
            **publication(1) | {"results": {"idleVideoUrl": "idle-1", "idleChunk1Url": "chunk-1"}},
        )
        claimed = avatars.claim("anna", "run-2")
        assert claimed.basic["idleVideoUrl"] == "idle-1"
        second = avatars.publish("anna", "run-2", **publication(2))
        assert second.basic["createdAt"] == first.basic["createdAt"]
        assert second.basic["generatedAt"] != first.basic["generatedAt"]
        assert second.basic["idleVideoUrl"] == "idle-2"
        assert "idleChunk1Url" not in second.basic

    def test_the_same_publication_said_twice_is_one(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        first = avatars.publish("anna", "run-1", **publication(1))
        assert avatars.publish("anna", "run-1", **publication(1)) == first
        with pytest.raises(ConflictError):
            avatars.publish("anna", "run-1", **publication(2))
        assert avatars.get("anna") == first

    def test_a_publication_said_again_after_the_next_one_is_no_conflict(
        self, avatars: AvatarStore
    ) -> None:
        """Its answer was lost, and meanwhile another run has published."""
        avatars.merge("anna", INPUTS)
        for number in (1, 2):
            avatars.claim("anna", f"run-{number}")
            avatars.publish("anna", f"run-{number}", **publication(number))
        document = avatars.publish("anna", "run-1", **publication(1))
        assert document.basic["idleVideoUrl"] == "idle-2"

    def test_a_failure_leaves_the_former_results(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        avatars.publish("anna", "run-1", **PUBLICATION)
        avatars.claim("anna", "run-2", eta_s=9)
        assert avatars.fail("anna", "run-2", code="face.none", message="There is no face.")
        document = avatars.get("anna")
        assert document.status == "error"
        assert document.basic["error"] == {"code": "face.none", "message": "There is no face."}
        assert document.basic["idleVideoUrl"] == "idle-1"
        assert not document.basic.keys() & {"progress", "etaSeconds", "startedAt"}
        assert not document.needs_run
        assert not avatars.fail("anna", "run-2", code="x", message="again")
        assert avatars.get("anna") == document
        assert "error" not in avatars.claim("anna", "run-3").basic

    def test_a_run_that_failed_publishes_nothing(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        avatars.fail("anna", "run-1", code="x", message="y")
        with pytest.raises(ConflictError):
            avatars.publish("anna", "run-1", **PUBLICATION)
        assert avatars.get("anna").status == "error"

    def test_a_run_that_never_claimed_changes_nothing(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        before = avatars.get("anna")
        with pytest.raises(ConflictError):
            avatars.publish("anna", "run-2", **PUBLICATION)
        assert not avatars.fail("anna", "run-2", code="x", message="y")
        avatars.progress("anna", "run-2", 50)
        assert avatars.get("anna") == before

    def test_a_run_that_died_before_its_claim_fails_what_it_was_asked_for(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        asked = avatars.merge("anna", INPUTS | {"dynamics": {"basic": {"status": "pending"}}})
        failure = {"code": "run.failed", "message": "The run stopped."}
        assert not avatars.fail("anna", "run-1", **failure)
        client.save("anna", {"avatarImageUrl": "https://example.com/new.jpg"})
        assert not avatars.fail("anna", "run-1", **failure, requested_inputs=asked.inputs_version)
        document = avatars.get("anna")
        assert document.needs_run
        assert avatars.fail("anna", "run-2", **failure, requested_inputs=document.inputs_version)
        document = avatars.get("anna")
        assert (document.status, document.run_id) == ("error", "run-2")
        assert not document.needs_run

    def test_a_newer_run_takes_over_for_good(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        avatars.claim("anna", "run-2")
        with pytest.raises(ConflictError) as caught:
            avatars.claim("anna", "run-1")
        assert caught.value.code == "conflict.superseded"
        with pytest.raises(ConflictError):
            avatars.publish("anna", "run-1", **publication(1))
        assert not avatars.fail("anna", "run-1", code="x", message="y")
        avatars.publish("anna", "run-2", **publication(2))
        with pytest.raises(ConflictError):
            avatars.claim("anna", "run-1")
        assert avatars.get("anna").basic["idleVideoUrl"] == "idle-2"

    def test_of_many_runs_at_once_one_publishes(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        everybody = threading.Barrier(8)
        published: list[int] = []

        def run(number: int) -> None:
            everybody.wait()
            try:
                avatars.claim("anna", f"run-{number}")
                everybody.wait()
                avatars.publish("anna", f"run-{number}", **publication(number))
                published.append(number)
            except ConflictError:
                pass

        threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(published) == 1
        document = avatars.get("anna")
        assert document.basic["idleVideoUrl"] == f"idle-{published[0]}"
        assert document.record.claims == 8
