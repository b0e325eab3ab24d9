"""Runs that machines have lost, on real run records: asked for again, counted, told."""

import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.remote_representation.external import RemoteJob
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.test_utils import create_run_for_test, create_test_daemon_workspace_context
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)
from sqlalchemy.exc import OperationalError

from resources.avatars.instants import as_instant
from resources.avatars.local import LocalAvatars
from resources.home import Home
from resources.services import Stores
from sunriza_assets.errors import StoreError
from sunriza_assets.graph.sensors import (
    INPUTS_TAG,
    avatar_changes,
    avatar_scan,
    cancelled_runs,
    failed_runs,
    held_avatars,
)
from sunriza_assets.operations import retries
from sunriza_assets.operations.limits import OWNER_TAG
from sunriza_assets.operations.retries import loss_of
from sunriza_assets_tests.graph.ticks import asked, document, home, instance, some_job, tick

__all__ = ["home", "instance"]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants to wait twenty minutes for a test."""
    monkeypatch.setattr(retries, "PAUSES", (timedelta(0),) * 3)


def launched(instance: dg.DagsterInstance, result: dg.SensorResult) -> dg.DagsterRun:
    """What the daemon makes of the one request of a tick."""
    (request,) = result.run_requests or []
    tags = {**request.tags, "dagster/partition": request.partition_key or ""}
    return instance.create_run_for_job(some_job(), tags=tags)


def told(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    sensor: dg.RunStatusSensorDefinition = failed_runs,
    kind: dg.DagsterEventType = dg.DagsterEventType.RUN_FAILURE,
) -> None:
    """The daemon tells the sensor of ended runs of this one."""
    (record, *_) = reversed(instance.get_records_for_run(run.run_id, of_type=kind).records)
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    event = record.event_log_entry.dagster_event
    assert event is not None
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_event=event,
        dagster_instance=instance,
        dagster_run=ended,
    )
    sensor(context, stores=Stores())


def test_a_run_that_no_machine_took_is_asked_for_three_times_more(
    home: Home, instance: dg.DagsterInstance, at_once: None
) -> None:
    avatars = LocalAvatars(home)
    avatars.merge("ada", document(userId="me"))
    run = launched(instance, tick(instance))
    assert run.tags[OWNER_TAG]
    assert run.tags["dagster/max_retries"] == "0", "Dagster's own retries would double ours"
    lost = [run]
    for attempt in (1, 2, 3):
        instance.report_run_failed(run, "No code server.")
        told(instance, run)
        told(instance, run)  # the daemon was restarted and tells it again
        basic = avatars.get("ada").basic
        assert basic["status"] == "pending"
        assert basic["waiting"]["code"] == "run.retry"
        assert (basic["waiting"]["attempt"], basic["waiting"]["of"]) == (attempt, 3)
        assert f"(attempt {attempt} of 3)" in basic["waiting"]["message"]
        assert "error" not in basic
        due = tick(instance, sensor=held_avatars)
        again = tick(instance, sensor=held_avatars)
        (key,), (same,) = ([one.run_key for one in x.run_requests or []] for x in (due, again))
        assert key == same, "a tick that is repeated asks with the same key"
        run = launched(instance, due)
        assert run.tags["sunriza/attempt"] == str(attempt)
        assert run.tags["sunriza/retry-of"] == lost[-1].run_id
        assert OWNER_TAG not in run.tags, "an owner does not pay for our machines"
        for sensor in (avatar_changes, avatar_scan, held_avatars):
            assert asked(tick(instance, sensor=sensor)) == [], "it is on its way"
        lost.append(run)
    instance.report_run_failed(run, "No code server.")
    told(instance, run)
    basic = avatars.get("ada").basic
    assert (basic["status"], basic["error"]["code"]) == ("error", "run.machines")
    assert "tried 4 times" in basic["error"]["message"]
    assert "waiting" not in basic
    for sensor in (avatar_changes, avatar_scan, held_avatars):
        assert asked(tick(instance, sensor=sensor)) == []
    avatars.merge("ada", {"dynamics": {"basic": {"status": "pending"}}})
    assert "sunriza/attempt" not in launched(instance, tick(instance)).tags, "a new request"


def test_the_pauses_grow_and_nothing_is_asked_for_before(
    home: Home, instance: dg.DagsterInstance
) -> None:
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    run = launched(instance, tick(instance))
    instance.report_run_failed(run, "No worker.")
    told(instance, run)
    record = instance.get_run_record_by_id(run.run_id)
    assert record is not None
    assert record.end_time is not None
    until = as_instant(avatars.get("ada").basic["waiting"]["until"])
    assert until is not None
    assert abs(until.timestamp() - record.end_time - 60) < 1
    assert avatars.get("ada").needs_run
    for sensor in (avatar_changes, avatar_scan, held_avatars):
        assert asked(tick(instance, sensor=sensor)) == []
    assert [pause.total_seconds() for pause in retries.PAUSES] == [60, 300, 900]


def test_a_retry_that_works_leaves_nothing_of_all_this(
    home: Home, instance: dg.DagsterInstance, at_once: None
) -> None:
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    run = launched(instance, tick(instance))
    instance.report_run_failed(run, "No code server.")
    told(instance, run)
    run = launched(instance, tick(instance, sensor=held_avatars))
    avatars.claim("ada", run.run_id)
    assert "waiting" not in avatars.get("ada").basic
    avatars.publish(
        "ada", run.run_id, results={"idleVideoUrl": "u"}, parameters={}, overridden={}, version="v"
    )
    assert avatars.get("ada").status == "ready"
    for sensor in (avatar_changes, avatar_scan, held_avatars):
        assert asked(tick(instance, sensor=sensor)) == []


def test_a_failure_that_nobody_could_tell_is_told_later_and_not_forgotten(
    home: Home, instance: dg.DagsterInstance, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store was away when the run failed: the next look goes on where the count stands."""
    monkeypatch.setattr("sunriza_assets.graph.sensors._STATUS_DELAY", timedelta(0))
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    run = launched(instance, tick(instance))
    for attempt in ("1", "2", "3"):
        instance.report_run_failed(run, "No code server.")
        assert asked(tick(instance, sensor=avatar_scan)) == []
        run = launched(instance, tick(instance, sensor=held_avatars))
        assert run.tags["sunriza/attempt"] == attempt
    instance.report_run_failed(run, "No code server.")
    assert asked(tick(instance, sensor=avatar_scan)) == []
    assert avatars.get("ada").basic["error"]["code"] == "run.machines"


def test_a_changed_input_is_a_new_request_with_all_its_retries(
    home: Home, instance: dg.DagsterInstance
) -> None:
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    run = launched(instance, tick(instance))
    instance.report_run_failed(run, "No code server.")
    told(instance, run)
    avatars.merge("ada", document("b"))
    run = launched(instance, tick(instance))
    assert "sunriza/attempt" not in run.tags
    avatars.claim("ada", run.run_id)
    assert avatars.get("ada").status == "generating"


def test_a_retry_that_somebody_cancels_stays_cancelled(
    home: Home, instance: dg.DagsterInstance, at_once: None
) -> None:
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    run = launched(instance, tick(instance))
    instance.report_run_failed(run, "No code server.")
    told(instance, run)
    run = launched(instance, tick(instance, sensor=held_avatars))
    instance.report_run_canceled(run)
    told(instance, run, cancelled_runs, dg.DagsterEventType.RUN_CANCELED)
    assert avatars.get("ada").basic["error"]["code"] == "run.cancelled"
    assert asked(tick(instance, sensor=held_avatars)) == []


def test_a_failure_of_the_input_stays_one(home: Home, instance: dg.DagsterInstance) -> None:
    avatars = LocalAvatars(home)
    version = avatars.merge("ada", document()).inputs_version

    @dg.op
    def looks() -> None:
        raise dg.Failure("no face", allow_retries=False)

    @dg.op
    def breaks() -> None:
        raise ValueError("a bug")

    for step in (looks, breaks):
        run = _executed(instance, step, {INPUTS_TAG: version, "dagster/partition": "ada"})
        assert loss_of(instance, run) is None
        assert retries.retry_of(instance, run) is None
        avatars.claim("ada", run.run_id)
        told(instance, run)
        assert avatars.get("ada").basic["error"]["code"] == "run.failed"


def test_an_operators_run_is_not_started_again(home: Home, instance: dg.DagsterInstance) -> None:
    LocalAvatars(home).merge("ada", document())
    run = instance.create_run_for_job(some_job(), tags={"dagster/partition": "ada"})
    instance.report_run_failed(run, "No code server.")
    assert loss_of(instance, run) == "machines"
    assert retries.retry_of(instance, run) is None


def test_a_resource_that_does_not_start_is_no_fault_of_the_avatar(
    instance: dg.DagsterInstance,
) -> None:
    @dg.resource
    def away(_context: dg.InitResourceContext) -> None:
        raise ConnectionError("the bucket is away")

    @dg.op(required_resource_keys={"bucket"})
    def reads() -> None:
        """Some step."""

    run = _executed(instance, reads, {}, bucket=away)
    assert loss_of(instance, run) == "machines"


def test_a_database_that_goes_is_no_fault_of_the_avatar(instance: dg.DagsterInstance) -> None:
    @dg.op
    def tells() -> None:
        raise OperationalError("insert into event_logs", {}, Exception("server closed"))

    @dg.op
    def publishes() -> None:
        raise dg.Failure("The bucket cannot be reached", allow_retries=False) from StoreError("x")

    assert loss_of(instance, _executed(instance, tells, {})) == "machines"
    assert loss_of(instance, _executed(instance, publishes, {})) is None


@pytest.mark.slow
@pytest.mark.parametrize(("step", "meant"), [("killed", "process"), ("failing", None)])
def test_a_step_whose_process_is_killed_is_tried_again_once(
    tmp_path: Path, at_once: None, step: str, meant: str | None
) -> None:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as own:
        job = dg.reconstructable({"killed": _killed_job, "failing": _failing_job}[step])
        tags = {INPUTS_TAG: "v", "dagster/partition": "ada"}
        result = dg.execute_job(job, own, tags=tags, raise_on_error=False)
        run = own.get_run_by_id(result.run_id)
        assert run is not None
        assert run.status == DagsterRunStatus.FAILURE
        assert loss_of(own, run) == meant
        retry = retries.retry_of(own, run)
        assert (retry is not None and (retry.attempt, retry.of)) == ((meant and (1, 1)) or False)
        own.add_run_tags(run.run_id, {retries.ATTEMPT_TAG: "1"})
        run = own.get_run_by_id(run.run_id)
        assert run is not None
        assert retries.retry_of(own, run) is None


@pytest.mark.slow
def test_a_code_server_that_is_gone_is_told_and_tried_again_across_restarts(
    home: Home, tmp_path: Path, at_once: None
) -> None:
    """A real queue, a real launcher, and a code server that was killed behind them."""
    code = tmp_path / "code.py"
    code.write_text(
        "import dagster as dg\n\n@dg.op\ndef nothing(): pass\n\n"
        "@dg.job\ndef anything(): nothing()\n\ndefs = dg.Definitions(jobs=[anything])\n"
    )
    queued = {"module": "dagster._core.run_coordinator", "class": "QueuedRunCoordinator"}
    (tmp_path / "dagster").mkdir()
    avatars = LocalAvatars(home)
    avatars.merge("ada", document())
    with (
        dg.instance_for_test(
            temp_dir=str(tmp_path / "dagster"), overrides={"run_coordinator": queued}
        ) as first,
        create_test_daemon_workspace_context(
            PythonFileTarget(str(code), attribute="defs", working_directory=None,
                             location_name="code"), first
        ) as workspace,
    ):  # fmt: skip
        job = _job_of(workspace)
        for server in psutil.Process().children(recursive=True):
            os.kill(server.pid, signal.SIGKILL)
        for attempt in (0, 1, 2, 3):
            # A daemon that was restarted knows what is in the storage, and nothing else.
            with dg.DagsterInstance.from_ref(first.get_ref()) as own:
                sensor = held_avatars if attempt else avatar_changes
                (request,) = tick(own, sensor=sensor).run_requests or []
                assert request.tags.get("sunriza/attempt", "0") == str(attempt)
                run = create_run_for_test(
                    first,
                    job_name="anything",
                    remote_job_origin=job.get_remote_origin(),
                    job_code_origin=job.get_python_origin(),
                    tags={**request.tags, "dagster/partition": "ada"},
                )
                first.submit_run(run.run_id, workspace.create_request_context())
                queue = QueuedRunCoordinatorDaemon(interval_seconds=1)
                list(queue.run_iteration(workspace, fixed_iteration_time=time.time()))
                ended = own.get_run_by_id(run.run_id)
                assert ended is not None
                assert ended.status == DagsterRunStatus.FAILURE
                told(own, run)
                state = avatars.get("ada").basic
                if attempt < 3:
                    assert (state["status"], state["waiting"]["attempt"]) == (
                        "pending",
                        attempt + 1,
                    )
        assert (state["status"], state["error"]["code"]) == ("error", "run.machines")
        assert asked(tick(first, sensor=held_avatars)) == []
        assert first.get_runs_count(dg.RunsFilter(tags={"dagster/partition": "ada"})) == 4


def _job_of(workspace: IWorkspaceProcessContext) -> RemoteJob:
    location = workspace.create_request_context().get_code_location("code")
    (repository,) = location.get_repositories().values()
    return repository.get_full_job("anything")


def _executed(
    instance: dg.DagsterInstance,
    step: dg.OpDefinition,
    tags: dict[str, str],
    **resources: dg.ResourceDefinition,
) -> dg.DagsterRun:
    @dg.job(resource_defs=resources)
    def anything() -> None:
        step()

    result = anything.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status == DagsterRunStatus.FAILURE
    return run


@dg.op
def _killed_step() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dg.op
def _failing_step() -> None:
    raise dg.Failure("no face", allow_retries=False)


@dg.job(executor_def=dg.multiprocess_executor)
def _killed_job() -> None:
    _killed_step()


@dg.job(executor_def=dg.multiprocess_executor)
def _failing_job() -> None:
    _failing_step()
