"""What every `AvatarStore` does about others who write: clients with old copies, and readers of
the stream of changes. The second half of the contract; see `avatar_store_contract.py`.
"""

import json
import threading
from dataclasses import asdict

import pytest

from resources.avatars.store import AvatarStore, Change, Cursor
from sunriza_assets.errors import AvatarError
from sunriza_assets_tests.resources.avatars.avatar_store_contract import (
    INPUTS,
    PUBLICATION,
    Client,
    publication,
)

PENDING = {"dynamics": {"basic": {"status": "pending"}}}
"""What an app writes to ask for a run."""


def all_changes(
    avatars: AvatarStore, after: Cursor | None = None, page: int = 100
) -> tuple[list[Change], Cursor | None]:
    """The stream of changes from a cursor to its end, page by page, and where it goes on."""
    found: list[Change] = []
    while (part := avatars.changes(after, page)).changes and len(found) < 10_000:
        assert len(part.changes) <= page
        found += part.changes
        after = Cursor(**json.loads(json.dumps(asdict(part.cursor)))) if part.cursor else None
    return found, part.cursor


class AvatarClientsContract:
    # What clients do meanwhile

    def test_a_stale_copy_saved_during_a_run_loses_nothing(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        avatars.publish("anna", "run-1", **publication(1))
        copy = client.read("anna")
        avatars.claim("anna", "run-2")
        client.save("anna", copy)
        assert avatars.get("anna").needs_settling
        avatars.progress("anna", "run-2", 50)
        assert avatars.get("anna").status == "generating"
        client.save("anna", copy)
        document = avatars.publish("anna", "run-2", **publication(2))
        assert (document.status, document.basic["idleVideoUrl"]) == ("ready", "idle-2")

    def test_a_stale_copy_saved_after_a_run_is_put_right(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        while_generating = client.read("anna")
        avatars.publish("anna", "run-1", **publication(1))
        when_ready = client.read("anna")
        avatars.claim("anna", "run-2")
        good = avatars.publish("anna", "run-2", **publication(2))
        for copy in (while_generating, when_ready):
            client.save("anna", copy)
            assert avatars.get("anna").needs_settling
            assert avatars.settle("anna")
            document = avatars.get("anna")
            assert not document.needs_settling
            assert not document.needs_run
            ours = {"updatedAt"}
            assert {k: v for k, v in document.basic.items() if k not in ours} == {
                k: v for k, v in good.basic.items() if k not in ours
            }
        assert not avatars.settle("anna")

    def test_a_wish_uttered_during_a_run_is_kept_and_answered(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS | {"dynamics": {"basic": {"parameters": {"fps": 25}}}})
        avatars.claim("anna", "run-1")
        client.save("anna", {"dynamics": {"basic": {"parameters": {"fps": 30}}}})
        document = avatars.publish("anna", "run-1", **PUBLICATION)
        assert document.basic["idleVideoUrl"] == "idle-1"
        assert document.wishes == {"fps": 30}
        assert document.needs_run

    def test_all_steps_of_a_run_work_with_the_inputs_of_its_first_claim(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS | {"dynamics": {"basic": {"parameters": {"fps": 25}}}})
        first = avatars.claim("anna", "run-1")
        client.save(
            "anna",
            {
                "avatarImageUrl": "https://example.com/new.jpg",
                "training": {"heroVideoUrl": "https://example.com/new.mp4"},
                "dynamics": {"basic": {"parameters": {"fps": 30, "lips": "still"}}},
            },
        )
        later = avatars.claim("anna", "run-1")
        assert later.inputs == first.inputs
        assert avatars.get("anna").hero_image_url == "https://example.com/new.jpg"
        assert avatars.claim("anna", "run-2").inputs == avatars.get("anna").inputs

    def test_a_request_for_what_a_run_works_with_is_answered_by_it(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        client.save("anna", PENDING)
        document = avatars.get("anna")
        assert not document.needs_run
        assert document.needs_settling
        avatars.settle("anna")
        assert avatars.get("anna").status == "generating"
        client.save("anna", PENDING)
        document = avatars.publish("anna", "run-1", **PUBLICATION)
        assert (document.status, document.basic["idleVideoUrl"]) == ("ready", "idle-1")
        assert not document.needs_run
        assert not document.needs_settling

    def test_a_failure_answers_a_request_for_what_the_run_worked_with(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        client.save("anna", PENDING)
        assert avatars.fail("anna", "run-1", code="face.none", message="No face.")
        document = avatars.get("anna")
        assert document.status == "error"
        assert not document.needs_run
        client.save("anna", PENDING)
        assert avatars.get("anna").needs_run, "a failure is repeated when somebody asks"

    @pytest.mark.parametrize("during", ["claim", "ready", "again", "failed again"])
    def test_a_stale_pending_is_not_another_run(
        self, avatars: AvatarStore, client: Client, during: str
    ) -> None:
        """A phone saves the copy it took before the first run, whole, at the worst moment."""
        avatars.merge("anna", INPUTS | PENDING)
        copy = client.read("anna")
        avatars.claim("anna", "run-1")
        if during == "claim":
            client.replace("anna", copy)
        avatars.publish("anna", "run-1", **PUBLICATION)
        if during != "claim":
            client.replace("anna", copy)
        if during in ("again", "failed again"):
            avatars.claim("anna", "run-2")
            client.replace("anna", copy)
        if during == "again":
            avatars.publish("anna", "run-2", **publication(2))
        if during == "failed again":  # an operator's run of the same inputs
            avatars.fail("anna", "run-2", code="face.none", message="No face.")
            client.replace("anna", copy)
        assert not avatars.get("anna").needs_run
        avatars.settle("anna")
        document = avatars.get("anna")
        assert document.status == "ready"
        assert document.run_id == ("run-2" if during == "again" else "run-1")
        assert document.basic["idleVideoUrl"] == ("idle-2" if during == "again" else "idle-1")
        assert "error" not in document.basic
        assert not document.needs_run
        assert not document.needs_settling

    def test_a_request_for_changed_inputs_during_a_run_is_kept(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        client.save("anna", PENDING | {"avatarImageUrl": "https://example.com/new.jpg"})
        assert avatars.get("anna").needs_run
        document = avatars.publish("anna", "run-1", **PUBLICATION)
        assert (document.status, document.basic["idleVideoUrl"]) == ("pending", "idle-1")
        assert document.needs_run
        assert avatars.claim("anna", "run-2").status == "generating"

    def test_an_owner_has_results_made_anew_by_removing_them_or_changing_an_input(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        avatars.publish("anna", "run-1", **PUBLICATION)
        client.save("anna", PENDING)
        avatars.settle("anna")
        client.save("anna", {"dynamics": {"basic": {"parameters": {"drivingMultiplier": 1}}}})
        assert avatars.get("anna").needs_run
        client.replace("anna", INPUTS | PENDING | {"updatedAt": 1, "avatarImageUrl": "other"})
        assert avatars.get("anna").needs_run
        client.replace("anna", INPUTS | {"updatedAt": 1})
        assert avatars.get("anna").needs_run

    def test_inputs_that_change_back_and_forth_are_three_runs(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS)
        for number, picture in enumerate(["a", "b", "a"], start=1):
            client.save("anna", {"avatarImageUrl": f"https://example.com/{picture}.jpg"})
            assert avatars.get("anna").needs_run
            avatars.claim("anna", f"run-{number}")
            assert not avatars.get("anna").needs_run
            avatars.publish("anna", f"run-{number}", **publication(number))
            assert not avatars.get("anna").needs_run

    def test_what_a_launchpad_overrode_does_not_become_a_wish(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS | {"dynamics": {"basic": {"parameters": {"fps": 25}}}})
        avatars.claim("anna", "run-1")
        parameters = {"parameters": {"fps": 30}, "overridden": {"fps": {"by": 30, "document": 25}}}
        document = avatars.publish("anna", "run-1", **PUBLICATION | parameters)
        assert document.basic["parameters"] == {"fps": 30}
        assert document.wishes == {"fps": 25}
        assert not document.needs_run

    def test_results_of_the_former_system_are_adopted(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        former = {"status": "ready", "idleVideoUrl": "old", "framesZipUrl": "old"}
        client.replace("anna", INPUTS | {"updatedAt": 1, "dynamics": {"basic": former}})
        document = avatars.get("anna")
        assert not document.needs_run
        assert document.needs_settling
        assert avatars.settle("anna")
        document = avatars.get("anna")
        assert dict(document.basic) == former
        assert not document.needs_settling
        client.save("anna", {"avatarImageUrl": "https://example.com/new.jpg"})
        assert avatars.get("anna").needs_run
        assert avatars.claim("anna", "run-1").basic["framesZipUrl"] == "old"
        assert "framesZipUrl" not in avatars.publish("anna", "run-1", **PUBLICATION).basic

    def test_an_avatar_made_anew_under_its_old_id_is_new(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        avatars.publish("anna", "run-1", **PUBLICATION)
        client.delete("anna")
        with pytest.raises(AvatarError):
            avatars.get("anna")
        avatars.merge("anna", INPUTS)
        document = avatars.get("anna")
        assert document.needs_run
        assert not document.needs_settling
        assert "idleVideoUrl" not in avatars.claim("anna", "run-2").basic

    def test_a_map_that_is_none_is_replaced(self, avatars: AvatarStore, client: Client) -> None:
        client.replace("anna", INPUTS | {"updatedAt": 1, "dynamics": "broken"})
        avatars.claim("anna", "run-1")
        assert avatars.publish("anna", "run-1", **PUBLICATION).status == "ready"
        assert client.read("anna")["dynamics"]["basic"]["idleVideoUrl"] == "idle-1"

    # The stream of changes, and the scan that walks round

    def test_changes_come_once_and_in_pages(self, avatars: AvatarStore) -> None:
        names = [f"a{number:02d}" for number in range(25)]
        for name in names:
            avatars.merge(name, INPUTS)
        found, cursor = all_changes(avatars, page=7)
        assert sorted(change.avatar_id for change in found) == names
        assert all_changes(avatars, cursor)[0] == []
        assert all(change.document and change.document.needs_run for change in found)

    def test_only_what_was_written_since_comes_again(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        for name in ("anna", "ben", "cleo"):
            avatars.merge(name, INPUTS)
            avatars.claim(name, "run-1")
            avatars.publish(name, "run-1", **PUBLICATION)
        cursor = all_changes(avatars)[1]
        assert all_changes(avatars, cursor)[0] == []
        client.save("ben", {"avatarImageUrl": "https://example.com/new.jpg", "updatedAt": 2**41})
        changes, _ = all_changes(avatars, cursor)
        fresh = [c for c in changes if c.document and c.document.needs_run]
        assert [change.avatar_id for change in fresh] == ["ben"]

    def test_a_scan_returns_every_avatar(self, avatars: AvatarStore) -> None:
        names = sorted(f"a{number}" for number in range(23))
        for name in names:
            avatars.merge(name, INPUTS)
        found: list[str] = []
        while page := avatars.scan(found[-1] if found else "", 5):
            assert len(page) <= 5
            found += [change.avatar_id for change in page]
            assert all(change.document and change.document.needs_run for change in page)
        assert found == names

    def test_update_times_grow_with_every_write(self, avatars: AvatarStore) -> None:
        times = [avatars.merge("anna", {"n": number}).update_time for number in range(30)]
        assert times == sorted(set(times))

    def test_own_writes_need_no_run(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        avatars.progress("anna", "run-1", 10)
        assert not any(c.document and c.document.needs_run for c in all_changes(avatars)[0])
        avatars.fail("anna", "run-1", code="x", message="y")
        assert not any(c.document and c.document.needs_run for c in all_changes(avatars)[0])

    def test_a_reader_in_another_process_loses_no_change(self, avatars: AvatarStore) -> None:
        """Writers write while a reader follows; every last state must reach the reader."""
        names = [f"a{number}" for number in range(6)]
        finished = threading.Event()

        def write(part: list[str]) -> None:
            for number in range(12):
                for name in part:
                    avatars.merge(name, {"n": number})

        writers = [threading.Thread(target=write, args=(names[i::3],)) for i in range(3)]
        seen: dict[str, int] = {}
        cursor: Cursor | None = None
        for writer in writers:
            writer.start()
        while not finished.is_set():
            if not any(writer.is_alive() for writer in writers):
                finished.set()  # and one more round
            changes, cursor = all_changes(avatars, cursor, page=4)
            for change in changes:
                assert change.document
                seen[change.avatar_id] = change.document.data["n"]
        assert seen == dict.fromkeys(names, 11)
