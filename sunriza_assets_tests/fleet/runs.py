"""What tests ask a Dagster instance about runs."""

import dagster as dg

__all__ = ["process_of", "run_of", "status", "step_spans", "step_started"]


def run_of(instance: dg.DagsterInstance, avatar_id: str) -> dg.DagsterRun | None:
    """The latest run for an avatar."""
    filters = dg.RunsFilter(tags={"dagster/partition": avatar_id})
    return next(iter(instance.get_runs(filters, limit=1)), None)


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
