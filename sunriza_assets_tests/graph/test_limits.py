"""How many runs one owner may cause: on real run records, across ticks, sensors and restarts."""

import hashlib
import time
from datetime import timedelta

import dagster as dg
import pytest

from resources.avatars.instants import as_instant, now
from resources.avatars.local import LocalAvatars
from resources.home import Home
from sunriza_assets.errors import ParameterError
from sunriza_assets.graph.sensors import avatar_changes, avatar_scan, held_avatars
from sunriza_assets.operations import limits
from sunriza_assets.operations.limits import OWNER_TAG, OwnerLimit, owner_tags, runs_per_day
from sunriza_assets_tests.graph.ticks import asked, document, home, instance, some_job, tick

__all__ = ["home", "instance"]

UID = "Zk3-öß/..\n'; --" * 40
"""A user id may be anything."""


@pytest.fixture(autouse=True)
def two_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUNRIZA_OWNER_RUNS_PER_DAY", "2")


def launched(instance: dg.DagsterInstance, result: dg.SensorResult) -> list[dg.DagsterRun]:
    """What the daemon makes of a tick's requests."""
    return [
        instance.create_run_for_job(
            some_job(), tags={**request.tags, "dagster/partition": request.partition_key or ""}
        )
        for request in result.run_requests or []
    ]


def rendered(avatars: LocalAvatars, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """The run has worked and published."""
    avatar_id = run.tags["dagster/partition"]
    avatars.claim(avatar_id, run.run_id)
    avatars.publish(
        avatar_id,
        run.run_id,
        version=f"v-{run.run_id[:8]}",
        results={"idleVideoUrl": run.run_id},
        parameters={},
        overridden={},
    )


def test_the_third_run_of_an_owner_waits_and_the_document_says_until_when(
    home: Home, instance: dg.DagsterInstance
) -> None:
    avatars = LocalAvatars(home)
    for name in ("a", "b", "c", "d"):
        avatars.merge(name, document(userId=UID))
    avatars.merge("other", document(userId="somebody else"))
    avatars.merge("operators", document())
    result = tick(instance)
    assert asked(result) == ["a", "b", "other", "operators"]
    told = avatars.get("c").basic
    assert told["status"] == "pending"
    assert told["waiting"]["code"] == "limit.owner_runs"
    assert "2 avatars were made for you, which is the limit" in told["waiting"]["message"]
    until = as_instant(told["waiting"]["until"])
    assert until is not None
    assert timedelta(hours=23) < until - now() < timedelta(hours=25)
    runs = launched(instance, result)
    assert {run.tags.get(OWNER_TAG) for run in runs} == {
        hashlib.sha256(UID.encode()).hexdigest()[:32],
        hashlib.sha256(b"somebody else").hexdigest()[:32],
        None,
    }
    for sensor in (avatar_changes, avatar_scan, held_avatars):
        assert asked(tick(instance, sensor=sensor)) == []


def test_pending_as_often_as_one_likes_is_two_runs(
    home: Home, instance: dg.DagsterInstance
) -> None:
    """The attack: a new wish a minute, and `pending` with each."""
    avatars = LocalAvatars(home)
    runs = 0
    cursor = None
    for number in range(12):
        wish = {"parameters": {"drivingMultiplier": number / 10}, "status": "pending"}
        avatars.merge("ada", document(userId=UID) | {"dynamics": {"basic": wish}})
        result = tick(instance, cursor)
        cursor = result.cursor
        for run in launched(instance, result):
            runs += 1
            rendered(avatars, instance, run)
    assert runs == 2
    ada = avatars.get("ada")
    assert ada.basic["idleVideoUrl"], "what is in place stays in place"
    assert ada.basic["waiting"]["code"] == "limit.owner_runs"


def test_when_the_limit_lifts_the_run_is_asked_for_by_itself(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WINDOW", timedelta(seconds=4))
    avatars = LocalAvatars(home)
    for name in ("a", "b", "c"):
        avatars.merge(name, document(userId=UID))
    first = tick(instance)
    launched(instance, first)
    assert asked(tick(instance, sensor=held_avatars)) == []
    assert avatars.get("c").is_held
    waited = 0
    while asked(due := tick(instance, sensor=held_avatars)) == [] and waited < 600:
        waited += 1
        time.sleep(0.1)
    assert asked(due) == ["c"]
    (run,) = launched(instance, due)
    assert asked(tick(instance, sensor=held_avatars)) == [], "it is on its way"
    rendered(avatars, instance, run)
    assert avatars.get("c").status == "ready"
    assert "waiting" not in avatars.get("c").basic


def test_each_waiting_avatar_has_a_turn_of_its_own(
    instance: dg.DagsterInstance, home: Home
) -> None:
    """The line does not come due all at once, to be sent away again all but one."""
    avatars = LocalAvatars(home)
    for name in "abcdef":
        avatars.merge(name, document(userId=UID))
    limit = OwnerLimit(instance, now())
    turns = [limit.wait_for(avatars.get(name)) for name in "abcdef"]
    assert turns[:2] == [None, None]
    hours = [round((turn.until - now()).total_seconds() / 3600) for turn in turns[2:] if turn]
    assert hours == [24, 24, 48, 48]


def test_a_limit_that_an_operator_raises_or_lifts_counts_at_once(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    avatars = LocalAvatars(home)
    for name in ("a", "b", "c"):
        avatars.merge(name, document(userId=UID))
    launched(instance, tick(instance))
    monkeypatch.setenv("SUNRIZA_OWNER_RUNS_PER_DAY", "unlimited")
    assert asked(tick(instance, sensor=avatar_scan)) == ["c"]


def test_runs_of_operators_and_retries_of_lost_ones_do_not_count(
    home: Home, instance: dg.DagsterInstance
) -> None:
    avatars = LocalAvatars(home)
    for name in ("a", "b"):
        avatars.merge(name, document(userId=UID))
        for attempt in ("1", "2"):
            tags = {"dagster/partition": name, "sunriza/attempt": attempt}
            instance.create_run_for_job(some_job(), status=dg.DagsterRunStatus.SUCCESS, tags=tags)
    assert asked(tick(instance)) == ["a", "b"]


def test_a_tag_tells_owners_apart_and_nothing_else_of_them(home: Home) -> None:
    avatars = LocalAvatars(home)
    users: list[object] = ["ada", "Ada", " ada", 7, "7", True, ["ada"], "x" * 10_000, "\ud800"]
    tags = [
        owner_tags(avatars.merge(f"a{number}", document(userId=user)))[OWNER_TAG]
        for number, user in enumerate(users)
    ]
    assert all(len(tag) == 32 and int(tag, 16) >= 0 for tag in tags)
    assert len({*tags} - {tags[3]}) == len(users) - 2, "7 and '7' may be one"
    for nobody in (None, ""):
        assert owner_tags(avatars.merge("nobody", document(userId=nobody))) == {}


@pytest.mark.parametrize(
    ("said", "meant"), [("", 50), ("  ", 50), ("1", 1), (" 12 ", 12), ("Unlimited", None)]
)
def test_the_setting(said: str, meant: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUNRIZA_OWNER_RUNS_PER_DAY", said)
    assert runs_per_day() == meant


@pytest.mark.parametrize("said", ["0", "-1", "1.5", "many", "²", "1e3"])
def test_a_setting_that_is_none(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUNRIZA_OWNER_RUNS_PER_DAY", said)
    with pytest.raises(ParameterError) as caught:
        runs_per_day()
    assert caught.value.code == "parameter.setting"
    assert "SUNRIZA_OWNER_RUNS_PER_DAY" in caught.value.message
