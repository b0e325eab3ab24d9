"""The dispatcher: orders become runs and end as their runs do, whatever is killed in between."""

import dagster as dg
import pytest
from sqlalchemy.exc import OperationalError

from resources.orders.order import Order
from resources.process_names import this_process
from resources.stores import open_stores
from sunriza_assets.costs.totals import RunTotal
from sunriza_assets.graph.partitions import AVATAR_TAG
from sunriza_assets.graph.tags import INPUTS_TAG, ORDER_TAG, PROCESS_TAG
from sunriza_assets.operations.order_outcomes import result_of
from sunriza_assets.operations.order_runs import KILLED, Outcome, Progress
from sunriza_assets_tests.operations.conftest import Office, empty

GONE = this_process().rpartition(":")[0] + ":1.00"
"""A process of this machine that has ended."""


def test_an_order_goes_from_accepted_to_done(office: Office) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    started = office.get(order)
    assert (started.state, started.run_id) == ("starting", work.run_id)
    assert work.tags[INPUTS_TAG] == order.inputs_version
    assert work.tags[ORDER_TAG] == order.order_id

    office.run(work)
    office.runner.reports = [Progress(work.run_id, "idle_video", 40, 12.5)]
    office.tick()
    running = office.get(order)
    assert (running.state, running.step, running.progress) == ("running", "idle_video", 40)
    assert running.eta_s == 12.5
    office.runner.reports = [Progress(work.run_id, lines=("idle_video 3.1 s",))]
    office.tick()

    office.publish(work)
    total = RunTotal(3.5, 0.25, "USD", "book")
    office.runner.reports = [Outcome(work.run_id, "ready", total=total)]
    office.tick()
    done = office.get(order)
    assert (done.state, done.progress, done.step) == ("done", 100, None)
    assert done.result["video_url"] == done.result["idle_video_url"]
    assert done.result["version"] == "v000001-00000001"
    assert done.cost is not None
    assert (done.cost.seconds, done.cost.amount, done.cost.currency) == (3.5, 0.25, "USD")
    assert any(line.endswith("idle_video 3.1 s") for line in done.log_tail)


def test_wishes_that_were_not_written_before_a_kill_are_written_at_the_start(
    office: Office,
) -> None:
    office.avatar("anna", fps=25, loop=False)
    order = office.order("anna", parameters={"fps": 12.0}, publish=True)
    office.tick()
    document = open_stores().avatars.get("anna")
    assert document.wishes == {"fps": 12.0, "loop": False}
    assert document.basic["jobId"] == order.order_id
    assert office.runner.works[0].tags[INPUTS_TAG] == document.inputs_version


def test_a_run_for_other_wishes_is_not_adopted(office: Office) -> None:
    office.avatar("anna", fps=25)
    version = open_stores().avatars.get("anna").inputs_version
    run = office.instance.create_run_for_job(
        empty,
        tags={AVATAR_TAG: "anna", INPUTS_TAG: version},
        status=dg.DagsterRunStatus.STARTED,
    )
    other = office.order("anna", parameters={"fps": 12.0})
    same = office.order("anna", parameters={"fps": 25})
    office.tick()
    assert office.get(other).run_id not in (None, run.run_id)
    assert office.get(same).run_id == run.run_id


def test_a_result_shows_no_place_on_a_disk(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    office.run(work)
    open_stores().avatars.publish(
        "ada",
        work.run_id,
        version="v000001-00000001",
        results={"idleVideoUrl": "file:///home/x/idle.mp4", "chunks": 3},
        parameters={},
        overridden={},
    )
    office.runner.reports = [Outcome(work.run_id, "ready")]
    office.tick()
    path = "/avatars/ada/versions/v000001-00000001/files/idle.mp4"
    assert office.get(order).result["video_url"] == path
    monkeypatch.setenv("SUNRIZA_CDN", "https://cdn.example.com/b/")
    document = open_stores().avatars.get("ada")
    name = "avatars/ada/dynamics/basic/v000001-00000001/idle.mp4"
    assert result_of(document)["video_url"] == f"https://cdn.example.com/b/{name}"


def test_progress_is_written_once_a_second_and_a_new_step_at_once(office: Office) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    revisions = []
    for step, percent in (("a", 1), ("a", 2), ("a", 3), ("b", 4)):
        office.runner.reports = [Progress(work.run_id, step, percent, 1.0)]
        office.tick(0.3)
        revisions.append(office.get(order).revision)
    assert revisions[0] == revisions[1] == revisions[2] < revisions[3]


def test_owners_take_turns(office: Office) -> None:
    orders = [office.order(name, "ann") for name in ("a1", "a2", "a3")]
    orders.append(office.order("b1", "bob"))
    begun = []
    for _ in orders:
        office.tick()
        begun.append(office.runner.works[-1].avatar_id)
        office.runner.reports = [Outcome(office.runner.works[-1].run_id, "error", "face.none")]
    assert begun.index("b1") <= 1
    assert [name for name in begun if name != "b1"] == ["a1", "a2", "a3"]
    office.tick()
    assert {office.get(order).state for order in orders} == {"failed"}


def test_what_waits_is_queued(office: Office) -> None:
    office.runner.room = 0
    order = office.order("ada")
    office.tick()
    assert office.get(order).state == "queued"


def test_an_error_is_the_one_on_the_document(office: Office) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    office.run(work)
    open_stores().avatars.fail("ada", work.run_id, code="face.none", message="No face.")
    office.runner.reports = [Outcome(work.run_id, "error", "face.none", "secret path")]
    office.tick()
    error = office.get(order).error
    assert error is not None
    assert (error.code, error.message, error.retryable) == ("face.none", "No face.", False)


def test_an_error_before_the_claim_reaches_the_document(office: Office) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    office.runner.reports = [Outcome(work.run_id, "error", "store.read", "Cannot read this.")]
    office.tick()
    error = office.get(order).error
    assert error is not None
    assert error.retryable
    assert open_stores().avatars.get("ada").basic["error"]["code"] == "store.read"


def test_a_deleted_avatar_fails_its_order(office: Office) -> None:
    order = office.order("ada")
    open_stores().avatars.retire("ada", remove=True)
    office.tick()
    failed = office.get(order)
    assert failed.state == "failed"
    assert failed.error is not None
    assert failed.error.code == "avatar.missing"


def lose(office: Office, order: Order, *, step: str, restarted: bool = False) -> None:
    """Start an order's run and lose it in a step, alone or together with its dispatcher."""
    if office.get(order).run_id is None:
        office.tick()
    work = office.runner.works[-1]
    office.run(work, **{PROCESS_TAG: GONE})
    office.runner.reports = [Progress(work.run_id, step, 10, 5.0)]
    office.tick()
    assert office.get(order).step == step
    if restarted:
        office.restart()
    else:
        office.runner.reports = [Outcome(work.run_id, "lost", KILLED)]
    office.tick(0.1)
    run = office.instance.get_run_by_id(work.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.FAILURE


def test_an_input_that_kills_its_worker_is_given_up_after_three_runs(office: Office) -> None:
    order = office.order("ada")
    for attempt in (1, 2, 3):
        lose(office, order, step="idle_video")
        if attempt < 3:
            assert (office.get(order).state, office.get(order).attempt) == ("starting", attempt + 1)
            assert open_stores().avatars.get("ada").status == "generating"
    lost = office.get(order)
    assert (lost.state, lost.attempt) == ("lost", 3)
    assert lost.error is not None
    assert lost.error.retryable
    assert open_stores().avatars.get("ada").status == "error"


@pytest.mark.parametrize("how", ["in different steps", "with its dispatcher"])
def test_an_order_is_not_blamed_for_what_others_have_killed(office: Office, how: str) -> None:
    order = office.order("ada")
    for number in range(5):
        step = ("atlas", "mask")[number % 2] if how == "in different steps" else "atlas"
        lose(office, order, step=step, restarted=how == "with its dispatcher")
        assert office.get(order).state in ("queued", "starting")
    for _ in range(5):
        lose(office, order, step="atlas", restarted=True)
    assert office.get(order).state == "lost", "at some time it has to end"


def test_a_run_that_was_lost_after_it_published_is_done(office: Office) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    office.run(work, **{PROCESS_TAG: GONE})
    office.publish(work)
    office.restart()
    office.tick()
    assert office.get(order).state == "done"
    assert office.runner.works == []


def test_an_order_whose_run_was_never_begun_begins_again(office: Office) -> None:
    order = office.order("ada")
    office.tick()
    office.restart()
    office.tick()
    again = office.get(order)
    assert (again.state, again.attempt) == ("queued", 1)
    office.tick()
    assert office.get(order).run_id == office.runner.works[0].run_id


def test_a_run_that_ended_while_nobody_looked_ends_its_order(office: Office) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    run = office.run(work)
    open_stores().avatars.fail("ada", work.run_id, code="media.short", message="Too short.")
    office.instance.report_run_canceled(run)
    office.restart()
    office.tick()
    assert office.get(order).is_terminal


def test_a_run_of_the_sensor_is_adopted(office: Office) -> None:
    order = office.order("ada")
    run = office.instance.create_run_for_job(
        empty,
        tags={AVATAR_TAG: "ada", INPUTS_TAG: order.inputs_version or ""},
        status=dg.DagsterRunStatus.STARTED,
    )
    office.tick()
    assert office.runner.works == []
    adopted = office.get(order)
    assert (adopted.state, adopted.run_id) == ("starting", run.run_id)

    avatars = open_stores().avatars
    avatars.claim("ada", run.run_id)
    avatars.progress("ada", run.run_id, 30, eta_s=9)
    office.tick()
    followed = office.get(order)
    assert (followed.state, followed.progress, followed.eta_s) == ("running", 30, 9.0)


def test_a_forced_order_does_not_adopt(office: Office) -> None:
    order = office.order("ada", force=True)
    office.instance.create_run_for_job(
        empty,
        tags={AVATAR_TAG: "ada", INPUTS_TAG: order.inputs_version or ""},
        status=dg.DagsterRunStatus.STARTED,
    )
    office.tick()
    (work,) = office.runner.works
    assert work.force


def test_two_orders_for_the_same_inputs_share_a_run(office: Office) -> None:
    office.runner.room = 2
    first, second = office.order("ada"), office.order("ada", "admin")
    office.tick()
    (work,) = office.runner.works
    office.run(work)
    office.tick()
    assert office.get(second).run_id == work.run_id
    office.store.request_cancel(first.order_id)
    office.tick()
    assert office.get(first).state == "cancelled"
    assert office.runner.cancelled == [], "the other order needs the run"
    office.publish(work)
    office.runner.reports = [Outcome(work.run_id, "ready")]
    office.tick()
    assert office.get(second).state == "done"


def test_wishes_that_the_api_could_not_write_are_written(office: Office) -> None:
    office.order("ada", parameters={"drivingMultiplier": 1.25})
    office.tick()
    basic = open_stores().avatars.get("ada").basic
    assert basic["parameters"]["drivingMultiplier"] == 1.25
    (work,) = office.runner.works
    assert work.tags[INPUTS_TAG] == open_stores().avatars.get("ada").inputs_version


def test_wishes_of_a_later_order_stay(office: Office) -> None:
    first = office.order("ada", parameters={"drivingMultiplier": 1.25})
    second = office.order("ada", parameters={"drivingMultiplier": 1.5})
    avatars = open_stores().avatars
    for order in (first, second):
        avatars.ask("ada", parameters=order.inputs["parameters"], job_id=order.order_id)
    office.tick()
    (work,) = office.runner.works
    office.run(work)
    office.tick()
    assert avatars.get("ada").basic["parameters"]["drivingMultiplier"] == 1.5
    assert office.get(first).run_id == office.get(second).run_id, "one run answers both"


def test_an_order_that_was_superseded_follows_the_newer_run(office: Office) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    office.run(work)
    version = office.avatar("ada", driving_multiplier=1.1)
    newer = office.instance.create_run_for_job(
        empty,
        tags={AVATAR_TAG: "ada", INPUTS_TAG: version},
        status=dg.DagsterRunStatus.STARTED,
    )
    open_stores().avatars.claim("ada", newer.run_id)
    office.runner.reports = [Outcome(work.run_id, "error", "conflict.superseded")]
    office.tick()
    office.tick()
    assert office.get(order).run_id == newer.run_id


def test_stopping_gives_orders_back(office: Office) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    office.run(work)
    office.dispatcher.release()
    returned = office.get(order)
    assert (returned.state, returned.run_id, returned.attempt) == ("queued", None, 1)
    run = office.instance.get_run_by_id(work.run_id)
    assert run is not None
    assert run.is_finished


def test_a_database_that_restarts_costs_no_order(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = office.order("ada")
    office.tick()
    (work,) = office.runner.works
    office.run(work)
    office.publish(work)
    with monkeypatch.context() as patch:

        def gone(_: str) -> None:
            raise OperationalError("select 1", {}, ConnectionError("the server is gone"))

        patch.setattr(office.instance, "get_run_by_id", gone)
        office.restart()
        office.tick()
        assert office.get(order).state in ("queued", "starting")
    office.instance.report_run_failed(office.instance.get_runs()[0])
    office.tick()
    assert office.get(order).state == "done"


def test_a_bug_in_one_order_does_not_stop_the_others(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.runner.room = 2
    bad, good = office.order("bad"), office.order("good", "bob")
    original = office.dispatcher._start

    def start(order: object) -> None:
        if getattr(order, "order_id", None) == bad.order_id:
            raise ZeroDivisionError
        original(order)  # type: ignore[arg-type]

    monkeypatch.setattr(office.dispatcher, "_start", start)
    office.tick()
    failed = office.get(bad)
    assert failed.error is not None
    assert failed.error.code == "internal"
    assert office.get(good).state == "starting"
