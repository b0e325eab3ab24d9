"""Drafts, and putting older publications in place again: part of the store's contract."""

from typing import Any

import pytest

from resources.avatars.store import AvatarStore
from sunriza_assets.errors import AvatarError, ConflictError
from sunriza_assets_tests.resources.avatars.avatar_store_contract import INPUTS, Client, publication


def made(avatars: AvatarStore, number: int, **parameters: Any) -> None:
    """One whole run, whose effective parameters are these."""
    avatars.claim("anna", f"run-{number}")
    avatars.publish(
        "anna", f"run-{number}", **publication(number) | {"parameters": {"fps": 25} | parameters}
    )


def put_in_place(avatars: AvatarStore, number: int, **parameters: Any) -> Any:
    chosen = publication(number)
    return avatars.republish(
        "anna",
        version=chosen["version"],
        results=chosen["results"],
        parameters={"fps": 25} | parameters,
    )


class AvatarVersionsContract:
    def test_an_older_publication_is_put_in_place_again(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS | {"userId": "u"})
        made(avatars, 1, lips="clip")
        avatars.merge("anna", {"dynamics": {"basic": {"parameters": {"lips": "still"}}}})
        made(avatars, 2, lips="still")
        document = put_in_place(avatars, 1, lips="clip")
        assert document == avatars.get("anna")
        assert document.status == "ready"
        assert document.basic["idleVideoUrl"] == "idle-1"
        assert document.basic["atlasUrl"] == "atlas-1"
        assert document.wishes == {"fps": 25, "lips": "clip"}
        assert document.record.current.version == publication(1)["version"]
        assert document.record.current.run_id == "run-1"
        assert not document.needs_run
        assert not document.needs_settling
        assert document.record.restoring is None

    def test_doing_it_twice_is_doing_it_once(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        made(avatars, 1)
        made(avatars, 2)
        first = put_in_place(avatars, 1)
        again = put_in_place(avatars, 1)
        assert again.record.published == first.record.published
        assert again.data == first.data

    def test_what_was_replaced_can_be_had_again(self, avatars: AvatarStore) -> None:
        """Wishes of the version that was left are a wish like any other."""
        avatars.merge("anna", INPUTS)
        made(avatars, 1, lips="clip")
        avatars.merge("anna", {"dynamics": {"basic": {"parameters": {"lips": "still"}}}})
        made(avatars, 2, lips="still")
        put_in_place(avatars, 1, lips="clip")
        basic = {"parameters": {"lips": "still"}, "status": "pending"}
        document = avatars.merge("anna", {"dynamics": {"basic": basic}})
        assert document.needs_run
        document = put_in_place(avatars, 2, lips="still")
        assert not document.needs_run
        assert document.status == "ready"
        assert document.basic["idleVideoUrl"] == "idle-2"

    def test_another_portrait_can_be_asked_for_afterwards(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        made(avatars, 1)
        made(avatars, 2)
        avatars.merge("anna", {"avatarImageUrl": "https://example.com/new.jpg"})
        document = put_in_place(avatars, 1)
        assert not document.needs_run  # its owner has chosen
        asked = avatars.merge("anna", {"dynamics": {"basic": {"status": "pending"}}})
        assert asked.needs_run

    def test_an_avatar_whose_last_run_failed_shows_a_good_version(
        self, avatars: AvatarStore
    ) -> None:
        avatars.merge("anna", INPUTS)
        made(avatars, 1)
        made(avatars, 2)
        avatars.claim("anna", "run-3")
        avatars.fail("anna", "run-3", code="face.none", message="No face.")
        document = put_in_place(avatars, 1)
        assert document.status == "ready"
        assert "error" not in document.basic
        assert document.basic["idleVideoUrl"] == "idle-1"

    def test_a_run_at_work_is_not_undercut(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        made(avatars, 1)
        made(avatars, 2)
        avatars.claim("anna", "run-3")
        with pytest.raises(ConflictError) as caught:
            put_in_place(avatars, 1)
        assert caught.value.code == "conflict.generating"
        assert avatars.get("anna").basic["idleVideoUrl"] == "idle-2"

    def test_a_removed_version_never_comes_back(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        made(avatars, 1)
        made(avatars, 2)
        versions = [publication(number)["version"] for number in (1, 2)]
        document = avatars.discard("anna", versions)  # the one in place stays
        assert [one.removed for one in document.record.published] == [True, False]
        for number in (1, 7):
            with pytest.raises(AvatarError) as caught:
                put_in_place(avatars, number)
            assert caught.value.code == "avatar.version"
        assert avatars.get("anna").basic["idleVideoUrl"] == "idle-2"

    def test_a_stale_copy_does_not_undo_it(self, avatars: AvatarStore, client: Client) -> None:
        avatars.merge("anna", INPUTS)
        made(avatars, 1)
        made(avatars, 2)
        put_in_place(avatars, 1)
        stale = client.read("anna")
        stale["dynamics"]["basic"]["idleVideoUrl"] = "idle-2"
        client.replace("anna", stale)
        assert avatars.settle("anna")
        assert avatars.get("anna").basic["idleVideoUrl"] == "idle-1"

    # Drafts

    def test_a_draft_leaves_the_document_alone(self, avatars: AvatarStore, client: Client) -> None:
        avatars.merge("anna", INPUTS)
        made(avatars, 1)
        before = client.read("anna")
        avatars.begin_draft("anna", "run-2", version="d000001-0000000a")
        document = avatars.finish_draft("anna", version="d000001-0000000a")
        assert client.read("anna") == before
        [draft] = document.record.drafts
        assert (draft.run_id, draft.complete) == ("run-2", True)
        assert not document.needs_run
        assert not document.needs_settling

    def test_a_draft_is_published(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        made(avatars, 1)
        avatars.begin_draft("anna", "run-2", version="d000001-0000000a")
        draft = {"version": "d000001-0000000a", "results": {"idleVideoUrl": "idle-d"}}
        with pytest.raises(AvatarError):  # not before its files are there
            avatars.republish("anna", parameters={"lips": "still"}, **draft)
        avatars.finish_draft("anna", version="d000001-0000000a")
        document = avatars.republish("anna", parameters={"lips": "still"}, **draft)
        assert document.basic["idleVideoUrl"] == "idle-d"
        assert "atlasUrl" not in document.basic
        assert document.wishes == {"lips": "still"}
        assert document.record.drafts == ()
        assert document.record.results_cover(document.inputs_version)
        assert not document.needs_run
        document = put_in_place(avatars, 1)
        assert document.basic["idleVideoUrl"] == "idle-1"
        assert "lips" not in document.wishes

    def test_a_draft_of_another_portrait_does_not_count_as_the_new_one(
        self, avatars: AvatarStore
    ) -> None:
        avatars.merge("anna", INPUTS)
        made(avatars, 1)
        avatars.begin_draft("anna", "run-2", version="d000001-0000000a")
        avatars.finish_draft("anna", version="d000001-0000000a")
        avatars.merge("anna", {"avatarImageUrl": "https://example.com/new.jpg"})
        document = avatars.republish(
            "anna", version="d000001-0000000a", results={"idleVideoUrl": "d"}, parameters={}
        )
        assert not document.needs_run
        assert not document.record.results_cover(document.inputs_version)

    def test_a_draft_may_be_the_first_version(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.begin_draft("anna", "run-1", version="d000000-0000000a")
        document = avatars.finish_draft("anna", version="d000000-0000000a")
        assert document.status is None
        assert document.needs_run
        document = avatars.republish(
            "anna", version="d000000-0000000a", results={"idleVideoUrl": "d"}, parameters={}
        )
        assert (document.status, document.basic["idleVideoUrl"]) == ("ready", "d")
        assert not document.needs_run
        assert not document.needs_settling

    def test_five_drafts_are_kept(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        for number in range(7):
            avatars.begin_draft("anna", f"run-{number}", version=f"d00000{number}-0000000a")
        drafts = avatars.get("anna").record.drafts
        assert [one.run_id for one in drafts] == [f"run-{number}" for number in range(2, 7)]
        with pytest.raises(ConflictError):
            avatars.finish_draft("anna", version="d000000-0000000a")

    def test_a_discarded_draft_is_gone(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.begin_draft("anna", "run-1", version="d000000-0000000a")
        assert avatars.discard("anna", ["d000000-0000000a"]).record.drafts == ()
        with pytest.raises(ConflictError):
            avatars.finish_draft("anna", version="d000000-0000000a")

    def test_a_draft_that_is_made_again_replaces_itself(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.begin_draft("anna", "run-1", version="d000000-0000000a")
        avatars.begin_draft("anna", "run-1", version="d000000-0000000b")
        assert [one.version for one in avatars.get("anna").record.drafts] == ["d000000-0000000b"]
