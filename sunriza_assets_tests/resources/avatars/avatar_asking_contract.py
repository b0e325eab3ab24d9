"""What every `AvatarStore` does when a job of the service asks for a run."""

import pytest

from resources.avatars.asking import Wishes
from resources.avatars.store import AvatarStore
from sunriza_assets.errors import AvatarError
from sunriza_assets_tests.resources.avatars.avatar_store_contract import (
    INPUTS,
    PUBLICATION,
    Client,
)

WISHES = {"drivingMultiplier": 0.41, "stitchingRetargetingEyesWidth": 1024}


class AvatarAskingContract:
    def test_wishes_job_and_request_are_written_together(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS | {"dynamics": {"basic": {"name": "Idle", "icon": "x"}}})
        document = avatars.ask("anna", parameters=WISHES, job_id="job_1")
        assert document.basic["parameters"] == WISHES
        assert document.basic["jobId"] == "job_1"
        assert document.status == "pending"
        assert document.has_open_request
        assert (document.basic["name"], document.basic["icon"]) == ("Idle", "x")
        assert type(document.data["updatedAt"]) is int
        assert avatars.get("anna") == document

    def test_a_job_asks_once(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.ask("anna", parameters=WISHES, job_id="job_1")
        claimed = avatars.claim("anna", "run-1")
        assert avatars.ask("anna", parameters=WISHES, job_id="job_1") == claimed

    def test_the_job_is_no_input(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.ask("anna", parameters=WISHES, job_id="job_1")
        avatars.claim("anna", "run-1")
        published = avatars.publish("anna", "run-1", **PUBLICATION)
        again = avatars.ask("anna", parameters={}, job_id="job_2")
        assert again.inputs_version == published.inputs_version
        assert not again.needs_run
        assert avatars.settle("anna")
        settled = avatars.get("anna")
        assert (settled.status, settled.basic["jobId"]) == ("ready", "job_2")
        assert not settled.needs_settling

    def test_a_wish_replaces_the_same_parameter_under_another_name(
        self, avatars: AvatarStore
    ) -> None:
        """Two values under two names would be refused by the run."""
        sent = {"source_max_dim": 512, "driving_multiplier": 1.0, "fps": 25, "odd": 1}
        avatars.merge("anna", INPUTS | {"dynamics": {"basic": {"parameters": sent}}})
        document = avatars.ask("anna", parameters=WISHES, job_id="job_1")
        assert document.wishes == {"fps": 25, "odd": 1} | WISHES

    def test_a_wish_counts_although_a_launchpad_had_overridden_it(
        self, avatars: AvatarStore
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        overridden = {"drivingMultiplier": {"by": 0.41, "document": 2.0}}
        overridden["fps"] = {"by": 12, "document": 30}
        parameters = {"drivingMultiplier": 0.41, "fps": 12}
        avatars.publish(
            "anna",
            "run-1",
            **PUBLICATION | {"parameters": parameters, "overridden": overridden},
        )
        document = avatars.ask("anna", parameters={"drivingMultiplier": 0.41}, job_id="job_1")
        assert document.wishes == {"drivingMultiplier": 0.41, "fps": 30}
        assert document.has_open_request

    def test_a_run_at_work_with_these_inputs_answers_the_request(
        self, avatars: AvatarStore
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.ask("anna", parameters=WISHES, job_id="job_1")
        avatars.claim("anna", "run-1")
        same = avatars.ask("anna", parameters=WISHES, job_id="job_2")
        assert (same.status, same.basic["jobId"]) == ("generating", "job_2")
        assert not same.needs_run
        other = avatars.ask("anna", parameters={"fps": 12}, job_id="job_3")
        assert other.status == "pending"
        assert other.needs_run

    def test_nobody_asks_for_an_avatar_that_is_gone_or_another_owners(
        self, avatars: AvatarStore, client: Client
    ) -> None:
        with pytest.raises(AvatarError) as caught:
            avatars.ask("nobody", parameters={}, job_id="job_1")
        assert caught.value.code == "avatar.missing"
        avatars.merge("anna", INPUTS | {"userId": "alice"})
        avatars.claim("anna", "run-1")
        client.delete("anna")
        client.replace("anna", INPUTS | {"userId": "mallory", "updatedAt": 1})
        with pytest.raises(AvatarError) as caught:
            avatars.ask("anna", parameters={}, job_id="job_1")
        assert caught.value.code == "avatar.owner"

    def test_a_cancelled_jobs_wishes_are_taken_back(self, avatars: AvatarStore) -> None:
        """To those of what is published; no run starts for them, and the job's error stays."""
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        published = avatars.publish("anna", "run-1", **PUBLICATION)
        before = Wishes.of(published)
        avatars.ask("anna", parameters=WISHES, job_id="job_1")
        version = avatars.claim("anna", "run-2").inputs_version
        avatars.fail("anna", "run-2", code="run.cancelled", message="no", requested_inputs=version)
        assert taken_back(avatars, before)
        document = avatars.get("anna")
        assert document.wishes == published.wishes
        assert document.inputs_version == published.inputs_version
        assert document.basic["error"]["code"] == "run.cancelled"
        assert (document.status, document.basic["jobId"]) == ("error", "job_1")
        assert not document.needs_run and not document.needs_settling
        assert not taken_back(avatars, before)

    def test_wishes_of_a_job_that_never_began_are_taken_back(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        before = Wishes.of(avatars.get("anna"))
        asked = avatars.ask("anna", parameters=WISHES, job_id="job_1")
        avatars.fail(
            "anna", "job_1", code="run.cancelled", message="no",
            requested_inputs=asked.inputs_version,
        )  # fmt: skip
        assert taken_back(avatars, before)
        document = avatars.get("anna")
        assert document.wishes == {} and "parameters" not in document.basic
        assert not document.needs_run

    def test_what_was_asked_or_changed_since_stays(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        before = Wishes.of(avatars.get("anna"))
        avatars.ask("anna", parameters=WISHES, job_id="job_1")
        avatars.ask("anna", parameters={"fps": 12}, job_id="job_2")
        assert not taken_back(avatars, before)
        assert avatars.get("anna").wishes == WISHES | {"fps": 12}
        avatars.ask("anna", parameters=WISHES, job_id="job_1")
        changed = {"dynamics": {"basic": {"parameters": {"drivingMultiplier": 2}}}}
        avatars.merge("anna", changed)
        assert not taken_back(avatars, before)

    def test_what_a_run_makes_stays(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        before = Wishes.of(avatars.get("anna"))
        avatars.ask("anna", parameters=WISHES, job_id="job_1")
        avatars.claim("anna", "run-1")
        assert not taken_back(avatars, before)
        assert avatars.get("anna").wishes == WISHES

    def test_a_run_for_former_wishes_goes_on(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        before = Wishes.of(avatars.get("anna"))
        avatars.ask("anna", parameters=WISHES, job_id="job_1")
        assert avatars.get("anna").status == "pending"
        assert taken_back(avatars, before)
        document = avatars.get("anna")
        assert (document.status, document.wishes) == ("generating", {})
        published = avatars.publish("anna", "run-1", **PUBLICATION)
        assert published.status == "ready" and not published.needs_run


def taken_back(avatars: AvatarStore, before: Wishes) -> bool:
    return avatars.take_back(
        "anna", job_id="job_1", parameters=WISHES, before=before, back_to=before
    )
