"""Orders whose runs are lost: by a full disk, a broker that forgets, a database that goes."""

import dagster as dg
import pytest
from sqlalchemy.exc import OperationalError

from resources.stores import open_stores
from sunriza_assets.graph.tags import PROCESS_TAG
from sunriza_assets.operations import order_ends
from sunriza_assets.operations.order_runs import Outcome
from sunriza_assets_tests.operations.conftest import Office


def test_a_full_disk_costs_no_order(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_ends, "MAX_ATTEMPTS", 2)
    order = office.order("ada")
    for attempt in (2, None):
        office.tick()
        work = office.runner.works[-1]
        run = office.run(work)
        office.instance.report_run_failed(run)
        full = Outcome(work.run_id, "error", "store.full", "The disk is full. Free some space.")
        office.runner.reports = [full]
        office.tick()
        if attempt is not None:
            again = office.get(order)
            assert (again.state, again.attempt) == ("starting", attempt)
            assert any("disk was full" in line for line in again.log_tail)
    failed = office.get(order)
    assert failed.state == "failed"
    assert failed.error is not None
    assert failed.error.code == "store.full"
    assert failed.error.retryable


def test_a_run_that_nobody_will_start_is_made_again(office: Office) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    office.runner.running.clear()  # it was launched elsewhere
    run = office.run(work, dg.DagsterRunStatus.STARTING)
    office.instance.add_run_tags(run.run_id, {PROCESS_TAG: "elsewhere:1:0"})
    office.tick()
    assert office.get(order).run_id == work.run_id
    office.runner.lost.add(work.run_id)
    office.tick()
    again = office.get(order)
    assert again.attempt == 2
    assert again.run_id != work.run_id
    ended = office.instance.get_run_by_id(work.run_id)
    assert ended is not None
    assert ended.status == dg.DagsterRunStatus.FAILURE
    assert open_stores().avatars.get("ada").basic.get("error") is None


def test_a_step_that_fails_with_its_database_is_made_again(office: Office) -> None:
    @dg.op
    def tells() -> None:
        raise OperationalError("insert into event_logs", {}, Exception("server closed"))

    @dg.job
    def telling() -> None:
        tells()

    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    office.runner.running.clear()
    telling.execute_in_process(
        instance=office.instance, run_id=work.run_id, tags=dict(work.tags), raise_on_error=False
    )
    office.tick()
    again = office.get(order)
    assert (again.attempt, again.error) == (2, None)
