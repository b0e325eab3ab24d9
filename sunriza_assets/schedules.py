"""What runs by the clock: the reports, once a day."""

from typing import Final

import dagster as dg

from sunriza_assets.jobs import REFRESH_REPORTS

__all__ = ["SCHEDULES"]

DAILY_REPORTS: Final = dg.ScheduleDefinition(
    name="daily_reports", job=REFRESH_REPORTS, cron_schedule="0 5 * * *"
)

SCHEDULES: Final = [DAILY_REPORTS]
