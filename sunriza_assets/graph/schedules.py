"""When reports are made: after work on one machine, by a schedule on a fleet.

A report reads every avatar, so its interval grows with their number. A tick costs the same for any
number: it reads the newest runs and the latest report.
"""

import json
from typing import Final

import dagster as dg

from resources.avatars.instants import now
from resources.dagster_internals import DefaultRunLauncher
from sunriza_assets.graph.jobs import REFRESH_REPORTS

__all__ = ["SCHEDULES", "reports_after_work"]

DAILY_REPORTS: Final = dg.ScheduleDefinition(
    name="daily_reports", job=REFRESH_REPORTS, cron_schedule="0 5 * * *"
)

SCHEDULES: Final = [DAILY_REPORTS]

MIN_INTERVAL_S: Final = 300.0
"""Least seconds between two reports, whatever the number of avatars."""
INTERVAL_PER_AVATAR_S: Final = 0.6
"""Further seconds for each avatar: 6 minutes with 100 of them, 17 hours with 100,000."""
_RECENT_RUNS: Final = 20
"""Newest runs that are read."""
_STATUS_REPORT: Final = dg.AssetKey("avatar_status")


@dg.sensor(
    job=REFRESH_REPORTS,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def reports_after_work(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Status, runtime and cost of all avatars, once the runs that are under way have ended.

    If there is always one under way, twice the usual interval after the last report. On a fleet a
    report waits for a worker, so the schedule `daily_reports` makes them.
    """
    if not isinstance(context.instance.run_launcher, DefaultRunLauncher):
        return dg.SensorResult(skip_reason="a fleet's reports are made by `daily_reports`")
    latest = context.instance.get_run_records(limit=_RECENT_RUNS)
    work = [record for record in latest if record.dagster_run.job_name != REFRESH_REPORTS.name]
    if not work:
        return dg.SensorResult(skip_reason="nothing was rendered yet")
    if any(not one.dagster_run.is_finished for one in latest if one not in work):
        return dg.SensorResult(skip_reason="a report is being made")
    busy = any(not one.dagster_run.is_finished for one in work)
    # A run that a report did not wait for is seen again when it has ended.
    seen = [max(one.storage_id for one in work), busy]
    before, asked_at = json.loads(context.cursor) if context.cursor else (None, 0.0)
    if seen == before:
        return dg.SensorResult(skip_reason="nothing was rendered since the last report")
    made_at, interval_s = _last_report(context.instance)
    at = now().timestamp()
    # A failed report counts, too: retrying at once would fail again.
    wait_s = max(made_at, asked_at) + (2 * interval_s if busy else interval_s) - at
    if wait_s > 0:
        return dg.SensorResult(skip_reason=f"the next report is made in {wait_s:.0f} s at most")
    key = f"reports:{seen[0]}:{'busy' if busy else 'idle'}"
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=key)], cursor=json.dumps([seen, at]))


def _last_report(instance: dg.DagsterInstance) -> tuple[float, float]:
    """When the last report was made (Unix time, 0: never), and the seconds until the next one."""
    last = instance.get_latest_materialization_event(_STATUS_REPORT)
    if last is None or last.asset_materialization is None:
        return 0.0, MIN_INTERVAL_S
    counted = last.asset_materialization.metadata.get("avatars")
    avatars = counted.value if isinstance(counted, dg.IntMetadataValue) else None
    return last.timestamp, MIN_INTERVAL_S + INTERVAL_PER_AVATAR_S * (avatars or 0)
