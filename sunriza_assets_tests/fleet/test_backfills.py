"""Backfills as records: asked for once, fed to the queue a few at a time, cancelled, resumed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from resources.avatars.local import LocalAvatars
from resources.home import Home
from resources.services import Stores
from resources.storage.local import LocalStorage
from sunriza_assets.errors import AvatarError
from sunriza_assets.graph.sensors import avatar_changes
from sunriza_assets.operations import backfills
from sunriza_assets.operations.backfills import BACKFILL_TAG, Backfill, BackfillProgress
from sunriza_assets.platform import queue
from sunriza_assets.platform.executors import EXECUTORS, build_executor

STATUS = dg.DagsterRunStatus


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStorage:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    return LocalStorage(Home(tmp_path))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    """One look of the sensor."""
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    result = backfills.backfills(context, stores=Stores())
    assert isinstance(result, dg.SensorResult)
    return result


def keys(result: dg.SensorResult) -> list[str | None]:
    return [request.partition_key for request in result.run_requests or []]


def add_run(
    instance: dg.DagsterInstance, backfill_id: str, avatar_id: str, status: dg.DagsterRunStatus
) -> None:
    tags = {BACKFILL_TAG: backfill_id, "dagster/partition": avatar_id}
    run = dg.DagsterRun(job_name="avatar_dynamics", tags=tags, status=status)
    instance.add_run(run)


def test_a_backfill_is_read_as_it_was_written(storage: LocalStorage) -> None:
    wanted = Backfill(("a", "b"), {"fps": 25.0, "lips": "still"}, force=True)
    backfills.save(storage, wanted)
    assert backfills.load(storage, wanted.backfill_id) == wanted
    assert backfills.list_ids(storage) == [wanted.backfill_id]
    here = Backfill(("a",), queued=False, resumes=wanted.backfill_id)
    backfills.save(storage, here)
    assert backfills.load(storage, here.backfill_id) == here
    with pytest.raises(AvatarError, match="no backfill"):
        backfills.load(storage, "20260101-000000-abcdef")
    with pytest.raises(AvatarError, match="not an avatar id"):
        backfills.load(storage, "../avatars/a")


def test_the_sensor_asks_for_every_avatar_once_and_never_for_more_than_fits(
    storage: LocalStorage, instance: dg.DagsterInstance
) -> None:
    names = [f"a{number:03d}" for number in range(queue.BACKFILL_CAP + 20)]
    wanted = Backfill(tuple(names), {"fps": 25.0})
    backfills.save(storage, wanted)
    first = tick(instance)
    assert keys(first) == names[: queue.BACKFILL_CAP]
    second = tick(instance, first.cursor)
    assert keys(second) == names[queue.BACKFILL_CAP :]
    assert keys(tick(instance, second.cursor)) == []

    request = (first.run_requests or [])[0]
    assert request.tags["dagster/priority"] == "-10"
    assert request.tags[BACKFILL_TAG] == wanted.backfill_id
    assert request.run_config["ops"]["idle_video"]["config"] == {"fps": 25.0}
    asked = [request.run_key for one in (first, second) for request in one.run_requests or []]
    assert len(set(asked)) == len(names)
    # A tick that is cut short and repeated asks with the same keys, which Dagster knows.
    assert [request.run_key for request in tick(instance).run_requests or []] == asked[
        : queue.BACKFILL_CAP
    ]


def test_the_sensor_waits_while_the_queue_is_full(
    storage: LocalStorage, instance: dg.DagsterInstance
) -> None:
    backfills.save(storage, Backfill(("a", "b", "c")))
    for number in range(queue.BACKFILL_CAP - 1):
        add_run(instance, "another", f"x{number}", STATUS.STARTING)
    first = tick(instance)
    assert keys(first) == ["a"]
    add_run(instance, "another", "y", STATUS.STARTING)
    assert keys(tick(instance, first.cursor)) == []


def test_older_backfills_come_first_and_cancelled_ones_not_at_all(
    storage: LocalStorage, instance: dg.DagsterInstance
) -> None:
    old = Backfill(("a",), backfill_id="20260101-000000-aaaaaa")
    stopped = Backfill(("b",), backfill_id="20260102-000000-bbbbbb")
    new = Backfill(("c",), backfill_id="20260103-000000-cccccc")
    for one in (new, stopped, old):
        backfills.save(storage, one)
    backfills.cancel(storage, instance, stopped.backfill_id)
    assert keys(tick(instance)) == ["a", "c"]
    assert backfills.delete_before(storage, before=datetime(2026, 1, 3, tzinfo=UTC)) == 2
    assert backfills.list_ids(storage) == [new.backfill_id]
    assert not backfills.is_cancelled(storage, stopped.backfill_id)


def test_the_sensor_leaves_a_backfill_to_the_terminal_that_works_on_it(
    storage: LocalStorage, instance: dg.DagsterInstance
) -> None:
    backfills.save(storage, Backfill(("a",), queued=False))
    first = tick(instance)
    assert keys(first) == []
    backfills.save(storage, Backfill(("b",)))
    assert keys(tick(instance, first.cursor)) == ["b"]


def test_a_resumed_backfill_counts_for_the_first_one(
    storage: LocalStorage, instance: dg.DagsterInstance
) -> None:
    first = Backfill(("a", "b", "c"), {"fps": 25.0})
    backfills.save(storage, first)
    add_run(instance, first.backfill_id, "a", STATUS.SUCCESS)
    add_run(instance, first.backfill_id, "b", STATUS.FAILURE)
    second = backfills.remaining(storage, instance, first.backfill_id)
    backfills.save(storage, second)
    assert (second.avatars, second.parameters) == (("b", "c"), first.parameters)
    assert set(BackfillProgress(instance, second).states().values()) == {"waiting"}, (
        "what failed is asked anew"
    )

    tags = backfills.run_options(second)["tags"] | {"dagster/partition": "b"}
    instance.add_run(dg.DagsterRun(job_name="j", tags=tags, status=STATUS.SUCCESS))
    assert BackfillProgress(instance, first).states() == {"a": "done", "b": "done", "c": "waiting"}
    for former in (first, second):
        assert backfills.remaining(storage, instance, former.backfill_id).avatars == ("c",)
        assert (
            backfills.remaining(storage, instance, former.backfill_id).resumes == first.backfill_id
        )


def test_a_watch_tells_what_is_missing(storage: LocalStorage, instance: dg.DagsterInstance) -> None:
    wanted = Backfill(("done", "failed", "again", "running", "queued", "never"))
    for avatar_id, status in {
        "done": STATUS.SUCCESS,
        "failed": STATUS.FAILURE,
        "running": STATUS.STARTED,
        "queued": STATUS.STARTING,
    }.items():
        add_run(instance, wanted.backfill_id, avatar_id, status)
    watch = BackfillProgress(instance, wanted)
    assert watch.states() == {
        "done": "done",
        "failed": "failed",
        "again": "waiting",
        "running": "running",
        "queued": "waiting",
        "never": "waiting",
    }
    for status in (STATUS.FAILURE, STATUS.SUCCESS, STATUS.CANCELED):
        add_run(instance, wanted.backfill_id, "again", status)
    assert watch.states()["again"] == "done", "done stays done, whatever ran afterwards"
    assert watch.missing() == ["failed", "running", "queued", "never"]


def test_a_run_that_dagster_retries_is_not_failed_yet(instance: dg.DagsterInstance) -> None:
    wanted = Backfill(("a",))
    tags = {
        BACKFILL_TAG: wanted.backfill_id,
        "dagster/partition": "a",
        "dagster/will_retry": "true",
    }
    instance.add_run(dg.DagsterRun(job_name="j", tags=tags, status=STATUS.FAILURE))
    assert BackfillProgress(instance, wanted).states() == {"a": "waiting"}


def test_new_avatars_come_before_changed_ones_and_both_before_backfills(
    storage: LocalStorage, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    store = LocalAvatars(Home(tmp_path))
    inputs = {"training": {"heroImageUrl": "avatars/a/p.jpg", "heroVideoUrl": "avatars/a/v.mp4"}}
    for name in ("changed", "new"):
        store.merge(name, inputs)
    store.claim("changed", "r")
    store.publish(
        "changed",
        "r",
        version="v000001-00000000",
        results={"idleVideoUrl": "x"},
        parameters={},
        overridden={},
    )
    store.merge("changed", {"training": {"heroVideoUrl": "avatars/a/other.mp4"}})
    context = dg.build_sensor_context(instance=instance)
    result = avatar_changes(context, stores=Stores())
    assert isinstance(result, dg.SensorResult)
    urgency = {
        request.partition_key: int(request.tags["dagster/priority"])
        for request in result.run_requests or []
    }
    assert urgency["new"] > urgency["changed"] > int(queue.BACKFILL["dagster/priority"])


def test_the_sensor_of_changes_waits_while_the_queue_is_full(
    storage: LocalStorage, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "QUEUE_CAP", 1)
    add_run(instance, "any", "x", STATUS.STARTING)
    context = dg.build_sensor_context(instance=instance)
    result = avatar_changes(context, stores=Stores())
    assert isinstance(result, dg.SensorResult)
    assert not result.run_requests
    assert result.cursor is None, "the cursor stays where it is"


@pytest.mark.parametrize("name", list(EXECUTORS))
def test_every_executor_can_be_built(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUNRIZA_EXECUTOR", name)
    assert build_executor().name == name


def test_an_unknown_executor_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUNRIZA_EXECUTOR", "ray")
    with pytest.raises(Exception, match="'in_process', 'multiprocess', 'celery' or 'k8s'"):
        build_executor()
