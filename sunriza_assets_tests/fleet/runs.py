"""What tests ask a Dagster instance about runs."""

import dagster as dg

__all__ = [
    "history",
    "launch_order",
    "process_of",
    "run_of",
    "runs_of",
    "status",
    "step_spans",
    "step_started",
    "step_workers",
    "task_of",
    "worker_of",
]

_AVATAR_TAG = "dagster/partition"


def run_of(instance: dg.DagsterInstance, avatar_id: str) -> dg.DagsterRun | None:
    """The latest run for an avatar."""
    return next(iter(runs_of(instance, avatar_id)), None)


def runs_of(instance: dg.DagsterInstance, avatar_id: str) -> list[dg.DagsterRun]:
    """All runs for an avatar, the latest first."""
    return list(instance.get_runs(dg.RunsFilter(tags={_AVATAR_TAG: avatar_id})))


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    """Its status now."""
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def step_started(instance: dg.DagsterInstance, avatar_id: str, step: str) -> bool:
    """Whether the avatar's run is in the middle of a step."""
    run = run_of(instance, avatar_id)
    stats = instance.get_run_step_stats(run.run_id, [step]) if run else []
    return any(one.start_time and not one.end_time for one in stats)


def step_spans(
    instance: dg.DagsterInstance, run: dg.DagsterRun, steps: list[str]
) -> list[tuple[float, float]]:
    """(begin, end) of steps, Unix seconds."""
    stats = instance.get_run_step_stats(run.run_id, steps)
    return [(one.start_time, one.end_time) for one in stats if one.start_time and one.end_time]


def process_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int:
    """The process that executes a run, as it has told the event log."""
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        told = entry.dagster_event
        if told and told.message and told.message.startswith("Started process for run"):
            return int(told.message.rpartition("pid: ")[2].rstrip(")."))
    raise AssertionError(f"run {run.run_id} has no process")


def task_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """Id of the Celery task that a run is; None before it was launched."""
    found = instance.get_run_by_id(run.run_id)
    return found.tags.get("dagster-celery/task_id") if found else None


def worker_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """Name of the Celery worker that has a run, before its @; None before and after."""
    task_id = task_of(instance, run)
    if task_id is None:
        return None
    task = instance.run_launcher.celery.AsyncResult(task_id)
    return task.info["hostname"].partition("@")[0] if task.state == "STARTED" else None


def step_workers(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, str]:
    """Step -> name of the Celery worker, under the celery executor."""
    found = {}
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        worker = event.engine_event_data.metadata.get("Celery worker") if event else None
        if event and event.step_key and worker:
            found[event.step_key] = str(worker.value).partition("@")[0]
    return found


def history(instance: dg.DagsterInstance, avatar_id: str) -> list[str]:
    """The runs of an avatar, the latest first, and why they ended."""
    told = ("dagster/failure_reason", "dagster/retry_number", "dagster/will_retry")
    return [
        f"{run.run_id[:8]} {run.status.value} {[run.tags.get(name) for name in told]}"
        for run in runs_of(instance, avatar_id)
    ]


def launch_order(instance: dg.DagsterInstance) -> list[str]:
    """Avatars in the order in which their first run began."""
    began: dict[str, float] = {}
    for record in instance.get_run_records():
        avatar_id = record.dagster_run.tags.get(_AVATAR_TAG)
        if avatar_id and record.start_time:
            began[avatar_id] = min(record.start_time, began.get(avatar_id, record.start_time))
    return sorted(began, key=began.__getitem__)
