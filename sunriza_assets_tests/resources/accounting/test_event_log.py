"""Steps out of a real event log: good, failed and killed ones; each once, whatever happens."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.accounting.event_log import StepLog, update_ledger
from sunriza_assets.costs.events import LogCursor, StepEvent
from sunriza_assets.costs.ledger import Ledger
from sunriza_assets.costs.record import StepRecord
from sunriza_assets.platform.storage.sqlite import PooledSqliteStorage

AVATARS = dg.DynamicPartitionsDefinition(name="avatars")
RECORD = StepRecord(wall_s=2.0, device="AMD EPYC", device_kind="cpu", stages={"other": 2.0})


@dg.asset(partitions_def=AVATARS)
def clip() -> dg.MaterializeResult[None]:
    """Always well."""
    return dg.MaterializeResult(metadata={**RECORD.to_dict(), "preview": "x" * 1000})


class Mood(dg.Config):
    """How the idle ends."""

    how: str = "well"


@dg.asset(partitions_def=AVATARS, deps=[clip])
def idle(config: Mood) -> dg.MaterializeResult[None]:
    """Well, badly with a word, badly without, or not at all."""
    if config.how == "said":
        raise dg.Failure("no face", metadata={**RECORD.to_dict(), "code": "face.none"})
    if config.how == "unsaid":
        raise ZeroDivisionError
    if config.how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if config.how == "cancelled":
        raise dg.DagsterExecutionInterruptedError
    return dg.MaterializeResult(metadata=RECORD.to_dict())


@dg.asset
def foreign() -> dg.MaterializeResult[None]:
    """An asset without step records."""
    return dg.MaterializeResult(metadata={"rows": 5})


@dg.asset_check(asset=clip)
def clip_plays() -> dg.AssetCheckResult:
    """A check is a step, too, and is none of the ledger's."""
    return dg.AssetCheckResult(passed=True)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with opened(tmp_path / "dagster") as made:
        yield made


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def opened(home: Path) -> dg.DagsterInstance:
    """An instance on files, with the storage that this project uses."""
    home.mkdir(exist_ok=True)
    storage = {"module": PooledSqliteStorage.__module__, "class": PooledSqliteStorage.__name__}
    overrides = {"storage": {"custom": {**storage, "config": {"base_dir": str(home)}}}}
    return dg.DagsterInstance.from_config(str(write_config(home, overrides).parent))


def write_config(home: Path, content: dict[str, Any]) -> Path:
    import yaml

    path = home / "dagster.yaml"
    path.write_text(yaml.safe_dump({**content, "telemetry": {"enabled": False}}))
    return path


def run(instance: dg.DagsterInstance, how: str = "well", *, avatar: str = "ada") -> str:
    """One run of both assets; its id."""
    instance.add_dynamic_partitions("avatars", [avatar])
    defs = dg.Definitions(assets=[clip, idle, foreign], asset_checks=[clip_plays])
    job = defs.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance,
        partition_key=avatar,
        asset_selection=[clip.key, idle.key],
        run_config={"ops": {"idle": {"config": {"how": how}}}},
        raise_on_error=False,
    )
    return result.run_id


def die_in_a_run(home: str) -> None:
    with opened(Path(home)) as instance:
        run(instance, "killed")


def read(instance: dg.DagsterInstance) -> list[StepEvent]:
    events, _ = StepLog(instance).since(LogCursor())
    return sorted(events, key=lambda event: (event.event_id, event.asset))


def test_what_was_made_is_read_with_its_record_and_nothing_else(
    instance: dg.DagsterInstance,
) -> None:
    run_id = run(instance)
    events = read(instance)
    assert [(e.asset, e.partition, e.run_id, e.success) for e in events] == [
        ("clip", "ada", run_id, True),
        ("idle", "ada", run_id, True),
    ]
    assert dict(events[0].metadata) == RECORD.to_dict(), "no preview"


def test_a_step_that_failed_keeps_the_record_of_its_error(instance: dg.DagsterInstance) -> None:
    run(instance, "said")
    _, failed = read(instance)
    assert (failed.asset, failed.partition, failed.success) == ("idle", "ada", False)
    assert dict(failed.metadata) == RECORD.to_dict()


@pytest.mark.parametrize("how", ["unsaid", "cancelled"])
def test_a_step_without_a_record_has_the_seconds_of_the_log(
    instance: dg.DagsterInstance, how: str
) -> None:
    run(instance, how)
    failed = [event for event in read(instance) if not event.success]
    assert [event.asset for event in failed] == ["idle"]
    assert dict(failed[0].metadata) == {}
    assert failed[0].elapsed_s is not None
    assert failed[0].elapsed_s >= 0


def test_a_killed_run_is_read_when_somebody_has_closed_it(tmp_path: Path, ledger: Ledger) -> None:
    home = tmp_path / "dagster"
    with opened(home):  # two processes must not make a home at once
        pass
    child = multiprocessing.get_context("spawn").Process(target=die_in_a_run, args=(str(home),))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    with opened(home) as instance:
        (lost,) = instance.get_runs()
        assert update_ledger(instance, ledger).added == 1, "the clip; the idle may still be at work"
        instance.report_run_failed(lost)
        assert update_ledger(instance, ledger).added == 1
        instance.report_run_failed(lost, "and once more, by the monitor")
        assert update_ledger(instance, ledger).added == 0
        row = ledger.frame().set_index("asset").loc["idle"]
        assert (row.success, row.measured, row.device) == (False, False, "unknown")


def test_every_step_is_taken_in_once_however_often_one_looks(
    instance: dg.DagsterInstance, ledger: Ledger
) -> None:
    for how in ("well", "said", "unsaid", "well"):
        run(instance, how)
        assert update_ledger(instance, ledger).added == 2
        assert update_ledger(instance, ledger).added == 0
    assert len(ledger) == 8
    assert ledger.cursor == StepLog(instance).end


def test_a_long_log_is_read_piece_by_piece(instance: dg.DagsterInstance, ledger: Ledger) -> None:
    for number in range(5):
        run(instance, "well" if number % 2 else "said", avatar=f"avatar-{number}")
    looks = 0
    while StepLog(instance).lag(ledger.cursor) > 0:
        update_ledger(instance, ledger, max_events=7)
        looks += 1
    assert looks > 3
    assert len(ledger) == 10
    assert len(list(StepLog(instance).latest(2))) == 4


def test_rows_outlive_the_runs_they_come_from(instance: dg.DagsterInstance, ledger: Ledger) -> None:
    """SQLite gives the ids of what was deleted last to what comes next."""
    old = run(instance)
    update_ledger(instance, ledger)
    instance.delete_run(old)
    assert read(instance) == []
    new = run(instance)
    assert update_ledger(instance, ledger).added == 2
    assert set(ledger.frame()["run_id"]) == {old, new}


def test_a_log_that_was_wiped_is_read_from_its_beginning(tmp_path: Path, ledger: Ledger) -> None:
    with opened(tmp_path / "old") as instance:
        for _ in range(3):
            run(instance)
        update_ledger(instance, ledger)
    with opened(tmp_path / "new") as instance:
        run(instance)
        assert StepLog(instance).end.event_id < ledger.cursor.event_id
        assert update_ledger(instance, ledger).added == 2
        run(instance)
        assert update_ledger(instance, ledger).added == 2
    assert len(ledger) == 10


def test_assets_without_records_are_skipped(instance: dg.DagsterInstance, ledger: Ledger) -> None:
    assert dg.materialize([foreign], instance=instance).success
    update = update_ledger(instance, ledger)
    assert (update.added, update.unmeasured) == (0, 1)
