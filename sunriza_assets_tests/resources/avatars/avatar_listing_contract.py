"""Listings, and creating and changing documents for the service: part of the store's contract."""

import threading
from typing import Any

import pytest

from resources.avatars.listing import Sort
from resources.avatars.store import AvatarStore
from sunriza_assets.errors import AvatarError, ConflictError, ParameterError
from sunriza_assets_tests.resources.avatars.avatar_store_contract import INPUTS, Client, publication


def listed(avatars: AvatarStore, owner: str | None, limit: int = 2, **asked: Any) -> list[str]:
    """Ids of all pages."""
    ids: list[str] = []
    cursor = None
    for _ in range(50):
        page = avatars.page(owner, limit=limit, cursor=cursor, **asked)
        assert len(page.changes) <= limit
        ids += [change.avatar_id for change in page.changes]
        cursor = page.cursor
        if cursor is None:
            return ids
    raise AssertionError("a listing without an end")


class AvatarListingContract:
    def test_pages_hold_an_owners_avatars_alone(self, avatars: AvatarStore) -> None:
        for number in range(5):
            avatars.create(f"a{number}", INPUTS | {"userId": "anna", "name": f"N{number}"})
            avatars.create(f"b{number}", INPUTS | {"userId": "ben", "name": "B"})
        avatars.create("nobodys", INPUTS | {"name": "C"})
        expected = {f"a{number}" for number in range(5)}
        sorts: tuple[Sort, ...] = ("updated", "created", "name")
        for sort in sorts:
            found = listed(avatars, "anna", sort=sort)
            assert (len(found), set(found)) == (5, expected)
            assert len(listed(avatars, None, sort=sort)) == 11
        assert listed(avatars, "nobody") == []

    def test_pages_are_in_the_asked_order(self, avatars: AvatarStore) -> None:
        for avatar_id, name in (("one", "Zoe"), ("two", "Anna"), ("three", "Mia")):
            avatars.create(avatar_id, INPUTS | {"userId": "u", "name": name})
        avatars.update("one", {"name": "Zora"})
        assert listed(avatars, "u", limit=1, sort="updated")[0] == "one"
        assert listed(avatars, "u", limit=1, sort="name") == ["two", "three", "one"]
        assert set(listed(avatars, "u", limit=1, sort="created")) == {"one", "two", "three"}

    def test_rows_carry_their_records(self, avatars: AvatarStore) -> None:
        avatars.create("anna", INPUTS | {"userId": "u"})
        avatars.claim("anna", "run-1")
        avatars.publish("anna", "run-1", **publication(1))
        [change] = avatars.page("u").changes
        assert change.document is not None
        assert change.document.record.current is not None
        assert change.document == avatars.get("anna")

    def test_a_search_finds_names_and_ids(self, avatars: AvatarStore) -> None:
        avatars.create("x-1", INPUTS | {"userId": "u", "name": "Ännchen"})
        avatars.create("x-2", INPUTS | {"userId": "u", "name": "Ben"})
        avatars.create("anne", INPUTS | {"userId": "u", "name": "C"})
        avatars.create("other", INPUTS | {"userId": "v", "name": "Ann"})
        assert set(listed(avatars, "u", text="än")) == {"x-1"}
        assert set(listed(avatars, "u", text="ANN")) == {"anne"}
        assert set(listed(avatars, "u", text="x-")) == {"x-1", "x-2"}
        assert listed(avatars, "u", text="no such") == []

    def test_deleted_avatars_leave_the_listing_at_once(self, avatars: AvatarStore) -> None:
        avatars.create("anna", INPUTS | {"userId": "u"})
        avatars.create("ben", INPUTS | {"userId": "u"})
        assert set(listed(avatars, "u")) == {"anna", "ben"}
        assert avatars.retire("anna", remove=True)
        assert listed(avatars, "u") == ["ben"]
        assert listed(avatars, None) == ["ben"]

    def test_what_apps_write_is_listed(self, avatars: AvatarStore, client: Client) -> None:
        fields = {"userId": "u", "name": "Anna", "createdAt": 1_700_000_000_000}
        client.replace("anna", INPUTS | fields | {"updatedAt": 1_700_000_000_000})
        assert listed(avatars, "u") == ["anna"]
        client.replace("ben", INPUTS | fields | {"name": "Ben", "updatedAt": 1_700_000_000_001})
        assert listed(avatars, "u", sort="name") == ["anna", "ben"]

    @pytest.mark.parametrize(
        "cursor",
        [
            "", "x", "é", "W10", "bnVsbA", "A" * 9000,
            "WyJ1cGRhdGVkIixbXSwiYSJd",  # ["updated",[],"a"]
            "WyJ1cGRhdGVkIiwxZTk5OSwiYSJd",  # 1e999
            "WyJ1cGRhdGVkIiwxLCJhL2IiXQ",  # id a/b
            "WyJ1cGRhdGVkIiwxLCIuLiJd",  # id ..
            "WyJ1cGRhdGVkIix7Imluc3RhbnQiOjF9LCJhIl0",  # {"instant":1}
            "WyJuYW1lIiwiYSIsImEiXQ",  # of another order
        ],
    )  # fmt: skip
    def test_a_forged_cursor_is_refused(self, avatars: AvatarStore, cursor: str) -> None:
        avatars.create("anna", INPUTS)
        with pytest.raises(ParameterError) as caught:
            avatars.page(None, cursor=cursor)
        assert caught.value.code == "parameter.cursor"

    def test_a_cursor_outlives_the_avatar_that_it_names(self, avatars: AvatarStore) -> None:
        for number in range(4):
            avatars.create(f"a{number}", INPUTS | {"userId": "u", "name": f"N{number}"})
        page = avatars.page("u", sort="name", limit=2)
        avatars.retire(page.changes[-1].avatar_id, remove=True)
        rest = avatars.page("u", sort="name", limit=5, cursor=page.cursor)
        assert [change.avatar_id for change in rest.changes] == ["a2", "a3"]

    # Creating and changing

    def test_an_id_is_given_once(self, avatars: AvatarStore) -> None:
        avatars.create("anna", INPUTS | {"userId": "u"})
        for owner in ("u", "v"):
            with pytest.raises(ConflictError) as caught:
                avatars.create("anna", {"userId": owner, "name": "Another"})
            assert caught.value.code == "conflict.exists"
        assert "name" not in avatars.get("anna").data

    def test_of_many_creations_at_once_one_succeeds(self, avatars: AvatarStore) -> None:
        outcomes: list[str] = []

        def create(number: int) -> None:
            try:
                avatars.create("anna", {"userId": f"u{number}"})
                outcomes.append(f"u{number}")
            except ConflictError:
                pass

        threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [avatars.get("anna").user_id] == outcomes

    def test_an_update_makes_no_document(self, avatars: AvatarStore) -> None:
        with pytest.raises(AvatarError) as caught:
            avatars.update("anna", {"name": "Anna"})
        assert caught.value.code == "avatar.missing"
        assert list(avatars.ids()) == []

    def test_an_update_is_for_the_owners_document(self, avatars: AvatarStore) -> None:
        avatars.create("anna", INPUTS | {"userId": "u"})
        with pytest.raises(AvatarError) as caught:
            avatars.update("anna", {"name": "Mine"}, owner="v")
        assert caught.value.code == "avatar.missing"
        document = avatars.update("anna", {"name": "Anna", "training": {"x": 1}}, owner="u")
        assert document.data["name"] == "Anna"
        assert document.data["training"] == INPUTS["training"] | {"x": 1}  # type: ignore[operator]

    def test_an_update_goes_on_beside_a_run(self, avatars: AvatarStore) -> None:
        avatars.create("anna", INPUTS | {"userId": "u"})
        avatars.claim("anna", "run-1")

        def report() -> None:
            for percent in range(10):
                avatars.settle("anna")
                avatars.merge("anna", {"percent": percent})

        thread = threading.Thread(target=report)
        thread.start()
        for number in range(10):
            avatars.update("anna", {"number": number}, owner="u")
        thread.join()
        data = avatars.get("anna").data
        assert (data["number"], data["percent"]) == (9, 9)
