"""What every `AvatarStore` does while a run is held back; the third part of the contract, see
`avatar_store_contract.py`.
"""

import json
from dataclasses import asdict, replace
from datetime import timedelta

import pytest

from resources.avatars.instants import now
from resources.avatars.store import AvatarStore, Cursor
from resources.avatars.waiting import Waiting
from sunriza_assets.errors import ConflictError
from sunriza_assets_tests.resources.avatars.avatar_clients_contract import PENDING
from sunriza_assets_tests.resources.avatars.avatar_store_contract import INPUTS, PUBLICATION, Client


def held(avatars: AvatarStore, avatar_id: str, *, seconds: float) -> Waiting:
    """A wait for what the avatar wants now, that ends in so many seconds."""
    version = avatars.get(avatar_id).inputs_version
    return Waiting("limit.x", "Wait.", now() + timedelta(seconds=seconds), version)


class AvatarWaitsContract:
    def test_a_wait_is_shown_and_comes_due(self, avatars: AvatarStore, client: Client) -> None:
        for name in ("anna", "ben"):
            avatars.merge(name, INPUTS)
        assert avatars.due(None, 10).changes == []
        later = held(avatars, "anna", seconds=3600)
        assert avatars.hold("anna", later)
        assert not avatars.hold("anna", later)
        document = avatars.get("anna")
        assert document.status == "pending"
        assert document.basic["waiting"].keys() == {"code", "message", "until"}
        assert document.needs_run
        assert not document.needs_settling
        assert avatars.due(None, 10).changes == []
        assert avatars.hold("anna", held(avatars, "anna", seconds=-5))
        assert [change.avatar_id for change in avatars.due(None, 10).changes] == ["anna"]
        document = avatars.claim("anna", "run-1")
        assert document.status == "generating"
        assert "waiting" not in document.basic
        assert avatars.due(None, 10).changes == []

    def test_who_is_due_comes_in_pages_the_longest_due_first(self, avatars: AvatarStore) -> None:
        names = ["e", "b", "d", "a", "c"]
        for late, name in enumerate(names):
            avatars.merge(name, INPUTS)
            avatars.hold(name, held(avatars, name, seconds=late - 100))
        found: list[str] = []
        after = None
        for _ in range(3):
            page = avatars.due(after, 2)
            found += [change.avatar_id for change in page.changes]
            after = Cursor(**json.loads(json.dumps(asdict(page.cursor)))) if page.cursor else None
        assert found == names
        assert after is None

    def test_a_client_cannot_end_a_wait(self, avatars: AvatarStore, client: Client) -> None:
        avatars.merge("anna", INPUTS)
        before = client.read("anna")
        avatars.hold("anna", held(avatars, "anna", seconds=3600))
        shown = avatars.get("anna").basic
        client.replace("anna", before)
        assert avatars.get("anna").is_held
        assert avatars.hold("anna", held(avatars, "anna", seconds=3600))
        avatars.merge("anna", {"dynamics": {"basic": {"waiting": {"until": "1970"}}}})
        assert avatars.get("anna").needs_settling
        assert avatars.settle("anna")
        assert avatars.get("anna").basic["waiting"].keys() == shown["waiting"].keys()
        avatars.merge("ben", INPUTS)
        avatars.claim("ben", "run-1")
        avatars.publish("ben", "run-1", **PUBLICATION)
        client.save("ben", {"dynamics": {"basic": {"waiting": shown["waiting"]}}})
        avatars.settle("ben")
        assert "waiting" not in avatars.get("ben").basic

    def test_a_wait_for_other_inputs_is_void(self, avatars: AvatarStore, client: Client) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        avatars.publish("anna", "run-1", **PUBLICATION)
        client.save("anna", {"avatarImageUrl": "https://example.com/new.jpg"})
        waiting = held(avatars, "anna", seconds=3600)
        client.save("anna", INPUTS)
        assert not avatars.hold("anna", waiting), "it was read before it was changed back"
        client.save("anna", {"avatarImageUrl": "https://example.com/new.jpg"})
        assert avatars.hold("anna", waiting)
        document = avatars.get("anna")
        assert (document.status, document.basic["idleVideoUrl"]) == ("pending", "idle-1")
        client.save("anna", INPUTS)
        assert not avatars.get("anna").needs_run
        avatars.settle("anna")
        document = avatars.get("anna")
        assert document.status == "ready"
        assert "waiting" not in document.basic
        assert avatars.due(None, 10).changes == []

    def test_a_wait_does_not_disturb_a_run_at_work(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        client.save("anna", {"avatarImageUrl": "https://example.com/new.jpg"})
        assert avatars.hold("anna", held(avatars, "anna", seconds=3600))
        assert avatars.get("anna").status == "generating"
        document = avatars.publish("anna", "run-1", **PUBLICATION)
        assert (document.status, document.basic["idleVideoUrl"]) == ("pending", "idle-1")
        assert document.needs_run

    @pytest.mark.parametrize("claimed", [True, False])
    def test_a_lost_run_is_tried_again_and_owns_nothing_any_more(
        self, avatars: AvatarStore, claimed: bool
    ) -> None:
        version = avatars.merge("anna", INPUTS | PENDING).inputs_version
        if claimed:
            avatars.claim("anna", "run-1")
        waiting = replace(held(avatars, "anna", seconds=-1), attempt=2, of=3, run_id="run-1")
        assert avatars.retry("anna", "run-1", waiting, requested_inputs=version)
        assert not avatars.retry("anna", "run-1", waiting, requested_inputs=version)
        document = avatars.get("anna")
        assert (document.status, document.run_id) == ("pending", "run-1")
        assert (document.basic["waiting"]["attempt"], document.basic["waiting"]["of"]) == (2, 3)
        assert "error" not in document.basic
        assert document.needs_run
        assert not document.needs_settling
        with pytest.raises(ConflictError):
            avatars.publish("anna", "run-1", **PUBLICATION)
        assert [change.avatar_id for change in avatars.due(None, 10).changes] == ["anna"]
        avatars.claim("anna", "run-2")
        assert not avatars.retry("anna", "run-1", waiting, requested_inputs=version)
        assert avatars.publish("anna", "run-2", **PUBLICATION).status == "ready"
