"""Cancelling an order: while it waits, runs, and too late."""

import dagster as dg
import pytest

from resources.stores import open_stores
from sunriza_assets.graph.tags import PROCESS_TAG
from sunriza_assets.operations.order_runs import Outcome
from sunriza_assets_tests.operations.conftest import Office


def test_a_running_order_is_cancelled(office: Office) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    office.run(work)
    assert office.store.request_cancel(order.order_id)
    office.tick()
    assert office.runner.cancelled == [work.run_id]
    run = office.instance.get_run_by_id(work.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.CANCELING
    office.runner.reports = [Outcome(work.run_id, "lost")]  # it had to be killed
    office.tick()
    cancelled = office.get(order)
    assert cancelled.state == "cancelled"
    assert cancelled.error is not None
    assert cancelled.error.code == "run.cancelled"
    assert open_stores().avatars.get("ada").basic["error"]["code"] == "run.cancelled"
    run = office.instance.get_run_by_id(work.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.CANCELED


def test_a_cancellation_that_comes_after_publishing_is_too_late(office: Office) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    office.run(work)
    office.publish(work)
    office.store.request_cancel(order.order_id)
    office.tick()
    office.runner.reports = [Outcome(work.run_id, "cancelled")]
    office.tick()
    assert office.get(order).state == "done"


@pytest.mark.parametrize("restarted", [False, True])
def test_cancelled_while_waiting_the_document_asks_no_more(office: Office, restarted: bool) -> None:
    office.runner.room = 0
    order = office.order("ada")
    if not restarted:
        office.tick()
    assert office.store.request_cancel(order.order_id)
    assert office.get(order).state == "cancelled"
    office.tick()
    document = open_stores().avatars.get("ada")
    assert document.basic["error"]["code"] == "run.cancelled"
    assert not document.needs_run


def test_a_launched_run_is_closed_if_nobody_has_begun_it(office: Office) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    office.runner.running.clear()  # it was launched elsewhere
    run = office.run(work, dg.DagsterRunStatus.STARTING)
    office.instance.add_run_tags(run.run_id, {PROCESS_TAG: "elsewhere:1:0"})
    office.store.request_cancel(order.order_id)
    office.instance.report_run_canceling(run)  # as launchers do
    office.tick()
    office.tick()
    assert office.get(order).state == "cancelled"
    ended = office.instance.get_run_by_id(work.run_id)
    assert ended is not None
    assert ended.status == dg.DagsterRunStatus.CANCELED
