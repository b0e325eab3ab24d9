"""Reading of documents with any content."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.avatars import ownership
from resources.avatars.document import AvatarDocument, merged
from resources.avatars.ids import checked_avatar_id
from resources.avatars.record import MAX_EARLIER_RUNS, MAX_PUBLICATIONS, RunRecord
from resources.avatars.transition import Transition, document_after
from sunriza_assets.errors import AvatarError, ConflictError
from sunriza_assets_tests.resources.avatars.avatar_store_contract import (
    INPUTS,
    PUBLICATION,
    publication,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def document(**data: Any) -> AvatarDocument:
    return AvatarDocument("anna", data, "2026-01-01T00:00:00.000000000Z")


def after(before: AvatarDocument, step: Transition | None) -> AvatarDocument:
    return before if step is None else document_after(before, step, before.update_time)


class TestReading:
    def test_the_picture_comes_from_the_first_place_that_has_one(self) -> None:
        places: dict[str, Any] = {
            "training": {"heroImageUrl": "1"},
            "avatarImageUrl": "2",
            "profileImageUrl": "3",
        }
        assert document(**places).hero_image_url == "1"
        places["training"] = {"heroImageUrl": ""}
        assert document(**places).hero_image_url == "2"
        places["avatarImageUrl"] = None
        assert document(**places).hero_image_url == "3"
        with pytest.raises(AvatarError) as caught:
            _ = document().hero_image_url
        assert caught.value.code == "avatar.no_image"

    def test_only_training_has_the_clip(self) -> None:
        assert document(training={"heroVideoUrl": "v"}).hero_video_url == "v"
        for data in (
            {},
            {"heroVideoUrl": "v"},
            {"training": "v"},
            {"training": {"videoUrls": ["v"]}},
        ):
            with pytest.raises(AvatarError):
                _ = document(**data).hero_video_url

    @given(st.dictionaries(st.sampled_from(["training", "dynamics", "avatarImageUrl"]), VALUES))
    def test_no_document_is_odd_enough_to_break_anything(self, data: dict[str, Any]) -> None:
        odd = document(**data)
        assert isinstance(odd.needs_run, bool)
        assert isinstance(odd.needs_settling, bool)
        assert len(odd.inputs_version) == 16
        assert json.dumps(odd.plain)
        claimed = after(odd, ownership.claim(odd, "run-1", NOW))
        assert claimed.status == "generating"
        assert not claimed.needs_run
        published = after(claimed, ownership.publish(claimed, "run-1", NOW, **PUBLICATION))
        assert published.status == "ready"
        assert not published.needs_run

    @pytest.mark.parametrize("avatar_id", ["a", "A1_-", "0", "x" * 128])
    def test_ids(self, avatar_id: str) -> None:
        assert checked_avatar_id(avatar_id) == avatar_id

    def test_a_long_id_is_shown_short(self) -> None:
        with pytest.raises(AvatarError) as caught:
            checked_avatar_id("x" * 10_000)
        assert len(caught.value.message) < 250


class TestInputsVersion:
    def test_it_changes_with_every_input_and_with_nothing_else(self) -> None:
        base = document(**INPUTS)
        others = [
            document(**INPUTS | {"avatarImageUrl": "other"}),
            document(**INPUTS | {"profileImageUrl": "other"}),
            document(**merged(INPUTS, {"training": {"heroVideoUrl": "other"}})),
            document(**merged(INPUTS, {"training": {"heroImageUrl": "other"}})),
            document(**INPUTS, dynamics={"basic": {"parameters": {"fps": 30}}}),
        ]
        versions = {one.inputs_version for one in (base, *others)}
        assert len(versions) == 6
        same = document(
            **merged(INPUTS, {"training": {"lipsyncEnabled": False}}),
            name="x",
            dynamics={"basic": {"status": "ready", "idleVideoUrl": "x"}, "wave": {}},
        )
        assert same.inputs_version == base.inputs_version

    def test_numbers_come_back_from_javascript_as_integers(self) -> None:
        said, back = (
            document(
                **INPUTS, dynamics={"basic": {"parameters": {"fps": 25, "loopSeconds": number}}}
            )
            for number in (5.0, 5)
        )
        assert said.inputs_version == back.inputs_version

    @given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
    def test_the_order_of_keys_does_not_matter(self, wishes: dict[str, Any]) -> None:
        turned = dict(reversed(wishes.items()))
        one, other = (
            document(**INPUTS, dynamics={"basic": {"parameters": said}})
            for said in (wishes, turned)
        )
        assert one.inputs_version == other.inputs_version


class TestNeedsRun:
    def test_a_new_avatar_does_once_both_inputs_are_there(self) -> None:
        assert document(**INPUTS).needs_run
        assert not document(avatarImageUrl="x").needs_run
        assert not document(training={"heroVideoUrl": "x"}).needs_run
        assert not document(**merged(INPUTS, {"training": {"dynamicsEnabled": False}})).needs_run

    def test_who_asks_gets_an_answer(self) -> None:
        asking = {"dynamics": {"basic": {"status": "pending"}}}
        assert document(**asking).needs_run
        assert document(
            **merged(INPUTS, {"training": {"dynamicsEnabled": False}}), **asking
        ).needs_run

    def test_results_of_the_former_system_wait_for_a_change(self) -> None:
        former = document(**INPUTS, dynamics={"basic": {"status": "ready", "idleVideoUrl": "old"}})
        assert not former.needs_run
        adopted = after(former, ownership.settle(former, NOW))
        assert adopted.data["dynamics"] == former.data["dynamics"]
        assert not adopted.needs_settling
        assert not adopted.needs_run
        changed = AvatarDocument(
            "anna", {**adopted.data, "avatarImageUrl": "new"}, adopted.update_time, adopted.record
        )
        assert changed.needs_run
        unfinished = document(**INPUTS, dynamics={"basic": {"status": "ready"}})
        assert unfinished.needs_run

    def test_a_wish_of_the_user_survives_what_a_launchpad_overrode(self) -> None:
        wished = document(**INPUTS, dynamics={"basic": {"parameters": {"fps": 25}}})
        claimed = after(wished, ownership.claim(wished, "run-1", NOW))
        said = {
            "parameters": {"fps": 30, "lips": "still"},
            "overridden": {
                "fps": {"by": 30, "document": 25},
                "lips": {"by": "still", "document": None},
            },
        }
        published = after(claimed, ownership.publish(claimed, "run-1", NOW, **PUBLICATION | said))
        assert published.wishes == {"fps": 25}
        data = merged(published.data, {"dynamics": {"basic": {"parameters": {"fps": 24}}}})
        changed = AvatarDocument("anna", data, published.update_time, published.record)
        assert changed.wishes == {"fps": 24}
        assert changed.needs_run


class TestRecord:
    def test_it_survives_being_stored_as_json(self) -> None:
        record = RunRecord(
            claims=3,
            run_id="r",
            state="ready",
            earlier=("a", "b"),
            started_at=NOW,
            created_at=NOW,
        )
        claimed = after(document(**INPUTS), ownership.claim(document(**INPUTS), "run-1", NOW))
        done = after(claimed, ownership.publish(claimed, "run-1", NOW, **PUBLICATION))
        for one in (RunRecord(), record, done.record):
            text = json.dumps(one.to_dict(), default=lambda instant: instant.isoformat())
            assert RunRecord.from_dict(json.loads(text)) == one

    def test_it_does_not_grow_for_ever(self) -> None:
        current = document(**INPUTS)
        for number in range(1, 200):
            current = after(current, ownership.claim(current, f"run-{number}", NOW))
            said = publication(number)
            current = after(current, ownership.publish(current, f"run-{number}", NOW, **said))
        assert current.record.claims == 199
        assert len(current.record.earlier) == MAX_EARLIER_RUNS
        assert len(current.record.published) == MAX_PUBLICATIONS
        with pytest.raises(ConflictError):
            ownership.claim(current, "run-150", NOW)


class TestPerformance:
    PORTRAIT: ClassVar = {"avatarImageUrl": "p"}

    def test_it_takes_the_place_of_a_clip_and_no_more(self) -> None:
        without = document(**self.PORTRAIT, training={"performance": "calm"})
        assert without.performance == "calm"
        assert without.has_inputs
        assert without.needs_run
        both = document(**self.PORTRAIT, training={"performance": "calm", "heroVideoUrl": "v"})
        assert both.performance is None
        assert both.inputs == document(**self.PORTRAIT, training={"heroVideoUrl": "v"}).inputs

    @pytest.mark.parametrize("nothing", [{}, {"performance": None}, {"performance": ""}])
    def test_a_portrait_whose_app_has_said_nothing_more_waits(self, nothing: Any) -> None:
        waiting = document(**self.PORTRAIT, training=nothing)
        assert not waiting.has_inputs
        assert not waiting.needs_run
        assert "performance" not in waiting.inputs

    @pytest.mark.parametrize("odd", ["no such", 7, ["calm"], {"name": "calm"}, True])
    def test_what_is_written_there_is_for_the_run_to_refuse(self, odd: Any) -> None:
        assert document(**self.PORTRAIT, training={"performance": odd}).needs_run

    def test_versions_from_before_there_were_any_hold(self) -> None:
        """A new kind of input must not render every avatar again."""
        assert document(**INPUTS).inputs_version == document(**INPUTS).inputs_version
        plain = document(avatarImageUrl="a", training={"heroVideoUrl": "v"})
        assert plain.inputs_version == "77951d566a1dc015"
        changed = document(avatarImageUrl="a", training={"performance": "calm"})
        other = document(avatarImageUrl="a", training={"performance": "cheerful"})
        assert len({plain.inputs_version, changed.inputs_version, other.inputs_version}) == 3

    def test_a_run_goes_on_with_the_performance_that_it_claimed(self) -> None:
        before = document(**self.PORTRAIT, training={"performance": "calm"})
        claimed = after(before, ownership.claim(before, "run-1", NOW))
        for change in ({"performance": "cheerful"}, {"heroVideoUrl": "v"}, {"performance": None}):
            data = merged(claimed.data, {"training": change})
            during = replace(claimed, data=data)
            assert during.as_claimed().performance == "calm"
            assert during.as_claimed().inputs == before.inputs
