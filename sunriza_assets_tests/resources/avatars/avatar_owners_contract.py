"""What every `AvatarStore` does about owners: a deleted avatar is taken over by nobody. The third
part of the contract; see `avatar_store_contract.py`.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from resources.avatars.store import AvatarStore
from sunriza_assets.errors import AvatarError, ConflictError
from sunriza_assets_tests.resources.avatars.avatar_store_contract import (
    INPUTS,
    Client,
    publication,
)

ALICE: dict[str, Any] = INPUTS | {"userId": "alice"}
BOB: dict[str, Any] = {
    "id": "anna",
    "userId": "bob",
    "avatarImageUrl": "https://example.com/bob.jpg",
    "training": {"heroVideoUrl": "https://example.com/bob.mp4"},
}


def alices(avatars: AvatarStore) -> None:
    """An avatar of Alice's, published."""
    avatars.merge("anna", ALICE)
    avatars.claim("anna", "run-1")
    avatars.publish("anna", "run-1", **publication(1))


def refused(avatars: AvatarStore, code: str = "avatar.owner") -> None:
    """No run starts, and the document is not bound to another owner."""
    for operation in (
        lambda: avatars.bind("anna"),
        lambda: avatars.claim("anna", "run-9"),
    ):
        with pytest.raises(AvatarError) as caught:
            operation()
        assert caught.value.code == code


class AvatarOwnersContract:
    def test_a_run_binds_the_record_to_the_documents_owner(self, avatars: AvatarStore) -> None:
        alices(avatars)
        document = avatars.get("anna")
        assert (document.user_id, document.record.user_id) == ("alice", "alice")
        assert not document.needs_settling
        assert avatars.bind("anna") == document

    def test_who_takes_the_id_of_a_deleted_avatar_sees_nothing_of_it(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        alices(avatars)
        client.delete("anna")
        client.replace("anna", BOB | {"dynamics": {"basic": {"status": "pending"}}})
        assert avatars.get("anna").needs_settling
        assert not avatars.get("anna").needs_run
        assert avatars.settle("anna")
        document = avatars.get("anna")
        basic = dict(document.basic)
        basic.pop("updatedAt")
        assert basic == {
            "status": "error",
            "error": {
                "code": "avatar.owner",
                "message": "This id belongs to an avatar of another owner. "
                "Make the avatar again under another id.",
            },
        }
        assert document.user_id == "bob"
        assert document.record.user_id == "alice"
        assert not document.needs_settling
        assert not avatars.settle("anna")
        refused(avatars)

    def test_a_run_of_the_former_owner_publishes_nothing_for_the_next_one(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", ALICE)
        avatars.claim("anna", "run-1")
        client.delete("anna")
        client.replace("anna", BOB)
        avatars.progress("anna", "run-1", 50)
        assert "progress" not in client.read("anna").get("dynamics", {}).get("basic", {})
        with pytest.raises(ConflictError):
            avatars.publish("anna", "run-1", **publication(1))
        assert not avatars.fail("anna", "run-1", code="run.failed", message="It failed.")
        shown = client.read("anna")["dynamics"]["basic"]
        assert shown["error"]["code"] == "avatar.owner"
        assert "idleVideoUrl" not in shown

    def test_a_run_for_somebody_elses_record_is_told_in_the_document(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        alices(avatars)
        client.delete("anna")
        client.replace("anna", BOB)
        with pytest.raises(AvatarError):
            avatars.bind("anna")
        assert client.read("anna")["dynamics"]["basic"]["error"]["code"] == "avatar.owner"

    def test_a_document_that_names_no_user_is_not_the_owners(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        alices(avatars)
        client.delete("anna")
        client.replace("anna", {key: value for key, value in BOB.items() if key != "userId"})
        refused(avatars)

    def test_the_owner_may_make_his_own_avatar_again(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        alices(avatars)
        client.delete("anna")
        avatars.check_free("anna", "alice")
        avatars.merge("anna", ALICE)
        avatars.claim("anna", "run-2")
        assert avatars.publish("anna", "run-2", **publication(2)).status == "ready"

    def test_the_server_makes_no_avatar_beside_another_owners_record(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        alices(avatars)
        avatars.check_free("anna", "bob")  # it exists, so nothing is made
        client.delete("anna")
        for operation in (
            lambda: avatars.check_free("anna", "bob"),
            lambda: avatars.check_free("anna"),
            lambda: avatars.merge("anna", BOB),
        ):
            with pytest.raises(AvatarError) as caught:
                operation()
            assert caught.value.code == "avatar.owner"
        assert avatars.present(["anna"]) == set()

    # Records of former versions

    def test_a_record_without_an_owner_is_bound_where_document_and_record_agree(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        published = avatars.publish("anna", "run-1", **publication(1))
        assert published.record.user_id is None
        assert not published.needs_settling
        client.save("anna", {"userId": "alice", "avatarImageUrl": "https://example.com/new.jpg"})
        document = avatars.get("anna")
        assert (document.needs_settling, document.needs_run) == (True, True)
        assert avatars.settle("anna")
        document = avatars.get("anna")
        assert document.record.user_id == "alice"
        assert (document.needs_settling, document.needs_run) == (False, True)
        assert document.basic["idleVideoUrl"] == "idle-1"

    def test_one_whose_results_were_removed_agrees_by_its_inputs(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        avatars.publish("anna", "run-1", **publication(1) | {"parameters": {}})
        data = client.read("anna")
        del data["dynamics"]
        client.replace("anna", data | {"userId": "alice"})
        assert avatars.claim("anna", "run-2").record.user_id == "alice"

    def test_a_record_without_an_owner_is_not_given_to_whoever_comes(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        avatars.publish("anna", "run-1", **publication(1))
        client.delete("anna")
        client.replace("anna", BOB)
        refused(avatars)
        assert avatars.settle("anna") or avatars.get("anna").basic["status"] == "error"
        assert "idleVideoUrl" not in avatars.get("anna").basic

    def test_results_of_the_former_system_are_bound_when_they_are_taken_over(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        basic = {"status": "ready", "idleVideoUrl": "old"}
        client.replace("anna", ALICE | {"dynamics": {"basic": basic}})
        assert avatars.settle("anna")
        assert avatars.get("anna").record.user_id == "alice"

    # Deleting

    def test_an_avatar_that_exists_is_not_retired(self, avatars: AvatarStore) -> None:
        alices(avatars)
        assert not avatars.retire("anna")
        assert avatars.retired(10) == []
        with pytest.raises(ConflictError):
            avatars.forget("anna")
        assert avatars.get("anna").basic["idleVideoUrl"] == "idle-1"
        avatars.claim("anna", "run-2")

    @pytest.mark.parametrize("by", ["client", "server"])
    def test_a_retired_avatar_has_no_owner_until_it_is_forgotten(
        self, avatars: AvatarStore, client: Client, by: str
    ) -> None:
        alices(avatars)
        if by == "client":
            client.delete("anna")
        for _ in range(2):
            assert avatars.retire("anna", remove=by == "server")
            assert avatars.retired(10) == ["anna"]
        assert avatars.present(["anna"]) == set()
        for user in ("alice", "bob", None):
            with pytest.raises(AvatarError) as caught:
                avatars.check_free("anna", user)
            assert caught.value.code == "avatar.deleted"
        with pytest.raises(AvatarError):
            avatars.merge("anna", ALICE)
        client.replace("anna", ALICE)  # where rules are older than that
        refused(avatars, "avatar.deleted")
        assert avatars.retire("anna"), "what was begun is finished"
        avatars.forget("anna")
        avatars.forget("anna")
        assert avatars.retired(10) == []
        document = avatars.get("anna")
        assert document.record == type(document.record)()
        assert document.needs_run
        avatars.claim("anna", "run-2")

    def test_what_was_never_rendered_is_retired_as_well(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        assert avatars.retire("nobody")
        assert avatars.retired(10) == ["nobody"]
        avatars.forget("nobody")
        avatars.merge("nobody", BOB)

    def test_retired_avatars_come_in_order_and_at_most_so_many(self, avatars: AvatarStore) -> None:
        for name in ("c", "a", "b"):
            avatars.retire(name)
        assert avatars.retired(2) == ["a", "b"]

    def test_an_avatar_is_made_or_retired_never_both(self, avatars: AvatarStore) -> None:
        """Twenty races between who makes it and who purges it."""
        for number in range(20):
            made, retired = _raced(avatars, f"a{number}")
            assert made != retired, number


def _raced(avatars: AvatarStore, avatar_id: str) -> tuple[bool, bool]:
    """Make and retire an avatar at once: whether the one and the other succeeded."""
    everybody = threading.Barrier(2)

    def make() -> bool:
        everybody.wait()
        try:
            avatars.merge(avatar_id, ALICE)
        except AvatarError:
            return False
        return True

    def retire() -> bool:
        everybody.wait()
        return avatars.retire(avatar_id)

    with ThreadPoolExecutor(2) as pool:
        making, retiring = pool.submit(make), pool.submit(retire)
        return making.result(), retiring.result()
