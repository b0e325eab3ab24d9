"""What Dagster and its steps say of a run, as lines of this process's own log.

There they carry the job's id (`logs.lines_about`), as the lines of libraries do.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

__all__ = ["LOGGED", "with_step_lines"]

LOGGED: Final[Mapping[str, Any]] = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}
"""Run config of a job `with_step_lines`."""

_log = logging.getLogger("sunriza.steps")


def with_step_lines(job: dg.JobDefinition) -> dg.JobDefinition:
    """The job with a logger that writes its lines into this process's log.

    It takes the place of the console's and looks like it, so that the job's snapshot stays.
    """
    console = dg.colored_console_logger
    return job.with_logger_defs(
        {"console": dg.LoggerDefinition(_lines, console.config_schema, console.description)}
    )


def _lines(context: dg.InitLoggerContext) -> logging.Logger:
    lines = logging.Logger("sunriza.steps", level=context.logger_config["log_level"])
    lines.addHandler(_Lines())
    return lines


class _Lines(logging.Handler):
    """Writes the message itself; the run, the step and the failure are fields of their own."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of a record of Dagster's."""
        facts: Mapping[str, Any] = getattr(record, "dagster_meta", {})
        event = facts.get("dagster_event")
        failure = event.step_failure_data if event is not None and event.is_step_failure else None
        about = {
            "run_id": facts.get("run_id"),
            "step": facts.get("step_key"),
            "error": failure.error_display_string if failure is not None else None,
        }
        message = facts.get("orig_message") or record.getMessage()
        known = {name: fact for name, fact in about.items() if fact is not None}
        _log.log(record.levelno, "%s", message, extra=known)
