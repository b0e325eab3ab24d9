"""The Dagster graph: assets, checks, jobs, sensors, schedules, partitions, config and tags."""
