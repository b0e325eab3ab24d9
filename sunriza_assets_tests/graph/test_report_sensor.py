"""Reports by themselves: after work, not during it, and the rarer the more avatars there are."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest
from dagster import DagsterRunStatus as Status
from dagster._core.test_utils import create_run_for_test

from resources.avatars import instants
from sunriza_assets.definitions import defs
from sunriza_assets.graph import schedules
from sunriza_assets.graph.jobs import AVATAR_DYNAMICS, REFRESH_REPORTS
from sunriza_assets.graph.schedules import MIN_INTERVAL_S, reports_after_work


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance in memory, taken for one machine's."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        monkeypatch.setattr(schedules, "DefaultRunLauncher", type(ephemeral.run_launcher))
        yield ephemeral


class Ticks:
    """The sensor's life: each tick begins with the cursor of the one before."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None
        self.keys: list[str | None] = []

    def asks(self) -> bool:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = reports_after_work(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor or self.cursor
        self.keys += [request.run_key for request in result.run_requests or []]
        return bool(result.run_requests)


@pytest.fixture
def ticks(instance: dg.DagsterInstance) -> Ticks:
    return Ticks(instance)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Add seconds to the clock that the sensor reads."""
    seconds = [0.0]
    monkeypatch.setattr(schedules, "now", lambda: instants.now() + timedelta(seconds=sum(seconds)))
    yield seconds


def run(instance: dg.DagsterInstance, status: Status, job: str = AVATAR_DYNAMICS.name) -> str:
    return create_run_for_test(instance, job_name=job, status=status).run_id


def reported(instance: dg.DagsterInstance, avatars: int) -> None:
    instance.report_runless_asset_event(
        dg.AssetMaterialization("avatar_status", metadata={"avatars": avatars})
    )


def test_it_runs_unasked() -> None:
    assert reports_after_work.default_status == dg.DefaultSensorStatus.RUNNING
    assert reports_after_work in (defs.sensors or [])


def test_a_first_rendering_is_reported_once(instance: dg.DagsterInstance, ticks: Ticks) -> None:
    assert not ticks.asks()
    run(instance, Status.SUCCESS)
    assert ticks.asks()
    run(instance, Status.SUCCESS, REFRESH_REPORTS.name)
    reported(instance, 1)
    assert not ticks.asks()


@pytest.mark.parametrize("status", [Status.FAILURE, Status.CANCELED])
def test_what_failed_is_reported_too(
    instance: dg.DagsterInstance, ticks: Ticks, status: Status
) -> None:
    run(instance, status)
    assert ticks.asks()


def test_it_waits_for_the_interval_and_for_work_to_end(
    instance: dg.DagsterInstance, ticks: Ticks, later: list[float]
) -> None:
    reported(instance, 100)
    run(instance, Status.SUCCESS)
    assert not ticks.asks()
    later.append(MIN_INTERVAL_S + 50)
    assert not ticks.asks(), "a hundred avatars take a minute more"
    later.append(20)
    going = run(instance, Status.STARTED)
    assert not ticks.asks()
    later.append(MIN_INTERVAL_S + 60)
    assert ticks.asks(), "always busy, and twice the interval is over"
    reported(instance, 100)
    later.append(2 * MIN_INTERVAL_S + 200)
    assert not ticks.asks(), "nothing has happened"
    instance.report_run_canceled(instance.get_run_by_id(going) or pytest.fail("no run"))
    assert ticks.asks()
    assert len(set(ticks.keys)) == len(ticks.keys), "a key is remembered for ever"


def test_two_reports_are_never_made_at_once(instance: dg.DagsterInstance, ticks: Ticks) -> None:
    run(instance, Status.SUCCESS)
    run(instance, Status.STARTED, REFRESH_REPORTS.name)
    assert not ticks.asks()


def test_many_avatars_are_read_about_once_a_day(
    instance: dg.DagsterInstance, ticks: Ticks, later: list[float]
) -> None:
    reported(instance, 100_000)
    run(instance, Status.SUCCESS)
    later.append(16 * 3600)
    assert not ticks.asks()
    later.append(3600)
    assert ticks.asks()


def test_a_report_that_fails_is_not_asked_for_with_every_run(
    instance: dg.DagsterInstance, ticks: Ticks, later: list[float]
) -> None:
    run(instance, Status.SUCCESS)
    assert ticks.asks()
    run(instance, Status.FAILURE, REFRESH_REPORTS.name)
    run(instance, Status.SUCCESS)
    assert not ticks.asks()
    later.append(MIN_INTERVAL_S + 1)
    assert ticks.asks()


def test_a_fleet_has_its_schedule() -> None:
    """A report there waits for a worker of the queue `cpu`, which nobody may have started."""
    with dg.DagsterInstance.ephemeral() as elsewhere:  # its launcher is not that of one machine
        run(elsewhere, Status.SUCCESS)
        assert not Ticks(elsewhere).asks()
