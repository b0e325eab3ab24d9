"""Sensors on a real instance and real documents: what starts a run and what does not."""

import json
from datetime import timedelta

import dagster as dg
import pytest

from resources.avatars.instants import now
from resources.avatars.local import LocalAvatars
from resources.home import Home
from sunriza_assets.graph import sensors
from sunriza_assets.graph.partitions import AVATARS
from sunriza_assets.graph.sensors import (
    INPUTS_TAG,
    PAGE,
    avatar_changes,
    avatar_scan,
    deleted_avatars,
    held_avatars,
)
from sunriza_assets_tests.graph.ticks import asked, document, home, instance, some_job, tick

__all__ = ["home", "instance"]


PENDING = {"dynamics": {"basic": {"status": "pending"}}}


def test_a_new_avatar_starts_one_run_and_becomes_a_partition(
    home: Home, instance: dg.DagsterInstance
) -> None:
    LocalAvatars(home).merge("ada", document())
    result = tick(instance)
    assert asked(result) == ["ada"]
    (request,) = result.dynamic_partitions_requests or []
    assert request.partition_keys == ["ada"]
    assert asked(tick(instance, result.cursor)) == []


def test_our_own_writes_start_nothing(home: Home, instance: dg.DagsterInstance) -> None:
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    cursor = tick(instance).cursor
    avatars.claim("ada", "run-1")
    avatars.progress("ada", "run-1", 50)
    avatars.publish(
        "ada",
        "run-1",
        version="v1",
        results={"idleVideoUrl": "u"},
        parameters={"fps": 25},
        overridden={},
    )
    assert asked(tick(instance, cursor)) == []


@pytest.mark.parametrize("change", ["clip", "parameters", "nothing left"])
def test_what_an_app_changes_starts_a_run(
    home: Home, instance: dg.DagsterInstance, change: str
) -> None:
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    avatars.claim("ada", "run-1")
    avatars.publish(
        "ada", "run-1", results={"idleVideoUrl": "u"}, parameters={}, overridden={}, version="v1"
    )
    cursor = tick(instance).cursor
    changes = {
        "clip": document("b"),
        "parameters": {"dynamics": {"basic": {"parameters": {"drivingMultiplier": 1}}}},
    }
    if change == "nothing left":  # the app has removed the results, to have them made anew
        (home.avatars / "ada.json").write_text(json.dumps(document()))
    else:
        avatars.merge("ada", changes[change])
    assert asked(tick(instance, cursor)) == ["ada"]


@pytest.mark.parametrize("sensor", [avatar_changes, avatar_scan])
@pytest.mark.parametrize("during", ["the run", "ready"])
def test_pending_with_what_is_in_place_is_ready_and_no_run(
    home: Home, instance: dg.DagsterInstance, sensor: dg.SensorDefinition, during: str
) -> None:
    avatars = LocalAvatars(home)
    avatars.merge("ada", document() | PENDING)
    stale = (home.avatars / "ada.json").read_text()
    avatars.claim("ada", "run-1")
    if during == "the run":
        (home.avatars / "ada.json").write_text(stale)
        assert asked(tick(instance, sensor=sensor)) == []
        assert avatars.get("ada").status == "generating"
        (home.avatars / "ada.json").write_text(stale)
    avatars.publish(
        "ada", "run-1", results={"idleVideoUrl": "u"}, parameters={}, overridden={}, version="v1"
    )
    if during == "ready":
        (home.avatars / "ada.json").write_text(stale)
    assert asked(tick(instance, sensor=sensor)) == []
    ada = avatars.get("ada")
    assert (ada.status, ada.basic["idleVideoUrl"]) == ("ready", "u")
    assert asked(tick(instance, sensor=sensor)) == []


def test_back_to_an_earlier_clip_is_a_change(home: Home, instance: dg.DagsterInstance) -> None:
    avatars = LocalAvatars(home)
    keys = []
    cursor = None
    for number, clip in enumerate("aba"):
        avatars.merge("ada", document(clip))
        result = tick(instance, cursor)
        keys += [request.run_key for request in result.run_requests or []]
        cursor = result.cursor
        avatars.claim("ada", f"run-{number}")
    assert len(set(keys)) == 3


def test_a_page_is_bounded_and_nothing_is_skipped(home: Home, instance: dg.DagsterInstance) -> None:
    avatars = LocalAvatars(home)
    names = [f"a{number:03}" for number in range(PAGE + 20)]
    for name in names:
        avatars.merge(name, document())
    first = tick(instance)
    second = tick(instance, first.cursor)
    assert len(asked(first)) == PAGE
    assert sorted(asked(first) + asked(second)) == names


def test_an_unreadable_document_does_not_hold_up_the_others(
    home: Home, instance: dg.DagsterInstance
) -> None:
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    (home.avatars / "broken.json").write_text("{ not json")
    assert asked(tick(instance)) == ["ada"]


def test_the_scan_finds_what_the_stream_has_passed(
    home: Home, instance: dg.DagsterInstance
) -> None:
    avatars = LocalAvatars(home)
    names = [f"a{number:03}" for number in range(PAGE // 2)]
    for name in names:
        avatars.merge(name, document())
    found: list[str | None] = []
    cursor: str | None = None
    for _ in range(3):
        result = tick(instance, cursor, avatar_scan)
        found += asked(result)
        cursor = result.cursor
    assert set(found) == set(names)


def scanned(instance: dg.DagsterInstance) -> list[str | None]:
    """Whom the scan asks for, which does not know what the stream has asked for."""
    return asked(tick(instance, sensor=avatar_scan))


def run_for(
    avatars: LocalAvatars, instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> dg.DagsterRun:
    """A run for ada as she is, as a sensor asks for it."""
    tags = {"dagster/partition": "ada", INPUTS_TAG: avatars.get("ada").inputs_version}
    return instance.create_run_for_job(some_job(), status=status, tags=tags)


@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTING", "STARTED", "CANCELING"])
def test_who_has_been_asked_for_is_not_asked_for_again(
    home: Home, instance: dg.DagsterInstance, status: str
) -> None:
    """A run that has started claims its avatar seconds later."""
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    run_for(avatars, instance, dg.DagsterRunStatus[status])
    assert asked(tick(instance)) == []
    assert scanned(instance) == []


@pytest.mark.parametrize("status", ["CANCELED", "FAILURE"])
def test_a_run_that_ends_before_its_claim_is_not_made_up_for_before_that_is_told(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    run_for(avatars, instance, dg.DagsterRunStatus[status])
    assert scanned(instance) == []
    monkeypatch.setattr(sensors, "_STATUS_DELAY", timedelta(0))
    if status == "CANCELED":
        assert scanned(instance) == ["ada"], "nobody has told it, and never will"
        return
    assert scanned(instance) == []
    told = avatars.get("ada").basic
    assert (told["status"], told["waiting"]["code"]) == ("pending", "run.retry")
    assert scanned(instance) == asked(tick(instance, sensor=held_avatars)) == []


@pytest.mark.parametrize("status", ["CANCELED", "FAILURE"])
def test_a_request_after_a_failure_is_a_new_one(
    home: Home, instance: dg.DagsterInstance, status: str
) -> None:
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    run = run_for(avatars, instance, dg.DagsterRunStatus[status])
    avatars.claim("ada", run.run_id)
    avatars.merge("ada", PENDING)
    assert scanned(instance) == [], "the run at work answers to these inputs"
    avatars.fail("ada", run.run_id, code="face.none", message="No face.")
    assert scanned(instance) == []
    avatars.merge("ada", PENDING)
    assert scanned(instance) == ["ada"]


def test_a_run_for_other_inputs_does_not_count(home: Home, instance: dg.DagsterInstance) -> None:
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    run_for(avatars, instance, dg.DagsterRunStatus.STARTED)
    avatars.merge("ada", document("b"))
    assert scanned(instance) == ["ada"]


def test_a_deleted_avatar_leaves_once_nothing_runs(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "DELETION_GRACE", timedelta(0))
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    instance.add_dynamic_partitions(AVATARS.name or "", ["ada", "bob", "eve"])
    run = instance.create_run_for_job(
        some_job(), status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": "eve"}
    )
    tick(instance, sensor=deleted_avatars)
    assert instance.get_dynamic_partitions(AVATARS.name or "") == ["ada", "eve"]
    assert avatars.retired(9) == ["eve"], "nobody makes her anew while her run is at work"
    instance.delete_run(run.run_id)
    tick(instance, sensor=deleted_avatars)
    assert instance.get_dynamic_partitions(AVATARS.name or "") == ["ada"]
    assert avatars.retired(9) == []


def test_the_look_for_deleted_avatars_walks_round_a_page_at_a_time(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "PARTITION_PAGE", 2)
    monkeypatch.setattr(sensors, "DELETION_GRACE", timedelta(0))
    LocalAvatars(home).merge("b", document())
    instance.add_dynamic_partitions(AVATARS.name or "", ["d", "b", "a", "c", "e"])
    left: list[list[str]] = []
    cursor: str | None = None
    for _ in range(4):
        cursor = tick(instance, cursor, deleted_avatars).cursor
        left.append(list(instance.get_dynamic_partitions(AVATARS.name or "")))
    assert left == [["b", "a", "c", "e"], ["b", "e"], ["b"], ["b"]]


def test_what_a_tick_has_no_time_to_purge_the_next_one_does(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.add_dynamic_partitions(AVATARS.name or "", ["a", "b", "c"])
    monkeypatch.setattr(sensors, "DELETION_GRACE", timedelta(0))
    monkeypatch.setattr(sensors, "PURGE_BUDGET_S", -1.0)
    result = tick(instance, sensor=deleted_avatars)
    assert instance.get_dynamic_partitions(AVATARS.name or "") == ["a", "b", "c"]
    monkeypatch.setattr(sensors, "PURGE_BUDGET_S", 20.0)
    tick(instance, result.cursor, deleted_avatars)
    assert instance.get_dynamic_partitions(AVATARS.name or "") == []


def test_a_document_that_is_away_for_a_moment_costs_nobody_his_avatar(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    avatars, clock = LocalAvatars(home), now()
    monkeypatch.setattr(sensors, "now", lambda: clock)
    avatars.merge("ada", document())
    instance.add_dynamic_partitions(AVATARS.name or "", ["ada", "bob"])
    (home.avatars / "ada.json").rename(home.root / "edited.json")
    cursor = tick(instance, sensor=deleted_avatars).cursor
    (home.root / "edited.json").rename(home.avatars / "ada.json")
    clock += timedelta(minutes=6)
    cursor = tick(instance, cursor, deleted_avatars).cursor
    (home.avatars / "ada.json").unlink()
    clock += timedelta(minutes=6)
    cursor = tick(instance, cursor, deleted_avatars).cursor
    assert instance.get_dynamic_partitions(AVATARS.name or "") == ["ada"]
    assert avatars.retired(9) == []
    clock += timedelta(minutes=11)
    cursor = tick(instance, cursor, deleted_avatars).cursor
    assert cursor
    assert json.loads(cursor)["missed"] == {}
    assert instance.get_dynamic_partitions(AVATARS.name or "") == []


def test_a_store_without_its_documents_is_not_purged(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is not mounted, or a database's name that was mistyped."""
    monkeypatch.setattr(sensors, "DELETION_GRACE", timedelta(0))
    names = ["a", "b", "c", "d"]
    instance.add_dynamic_partitions(AVATARS.name or "", names)
    tick(instance, sensor=deleted_avatars)
    assert instance.get_dynamic_partitions(AVATARS.name or "") == names
    for name in names[:2]:
        LocalAvatars(home).merge(name, document())
    tick(instance, sensor=deleted_avatars)
    assert instance.get_dynamic_partitions(AVATARS.name or "") == names[:2]


def test_a_cursor_of_a_former_version_is_read(home: Home, instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions(AVATARS.name or "", ["a", "b"])
    page = instance.event_log_storage.get_paginated_dynamic_partitions(
        AVATARS.name or "", limit=1, ascending=True
    )
    cursor = tick(instance, page.cursor, deleted_avatars).cursor
    assert cursor
    assert list(json.loads(cursor)["missed"]) == ["b"]
