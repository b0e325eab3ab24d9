"""What runs in this process have made, as plain JSON values."""

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

from resources.dagster_internals import RunFailureReason
from resources.publishing.reuse import REUSED_FROM
from resources.storage.logged_urls import as_path
from sunriza_assets.costs.totals import RunTotal, run_total, steps_in_total
from sunriza_assets.graph.assets.metadata import PREVIEW_KEYS

__all__ = [
    "QUIET_LOGS",
    "assets_of",
    "error_of",
    "failure_status",
    "total_of",
    "was_interrupted",
]

# Dagster's own log lines would drown a progress bar; `--verbose` and the UI have them.
QUIET_LOGS: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether a run was interrupted, which Dagster does not raise itself."""
    return any(
        event.event_type == dg.DagsterEventType.RUN_FAILURE
        and event.job_failure_data.failure_reason == RunFailureReason.UNEXPECTED_TERMINATION
        for event in result.all_events
    )


def failure_status(result: dg.ExecuteInProcessResult) -> str:
    """`cancelled` for a run whose end was asked for, else `error`."""
    cancelled = any(
        event.event_type == dg.DagsterEventType.RUN_CANCELED for event in result.all_events
    )
    return "cancelled" if cancelled else "error"


def assets_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Asset -> seconds, cache, files and metadata of what a run has made."""
    found: dict[str, Any] = {}
    for event in result.get_asset_materialization_events():
        key = event.asset_key
        if key is None:
            continue
        metadata = {name: _plain(value) for name, value in event.materialization.metadata.items()}
        urls = metadata.pop("files", [])
        found[key.to_user_string()] = {
            "seconds": metadata.get("wall_s"),
            "cache": "unchanged" if REUSED_FROM in metadata else metadata.get("cache"),
            "files": [as_path(url) for url in urls],
            "metadata": {
                name: value for name, value in metadata.items() if name not in PREVIEW_KEYS
            },
        }
    return found


def total_of(assets: Mapping[str, Any]) -> RunTotal:
    """The run's total, as its manifest has it if it published."""
    made = {name: asset["metadata"] for name, asset in assets.items()}
    return run_total(steps_in_total(made).values())


def _plain(value: dg.MetadataValue[Any]) -> Any:
    """A metadata value as a JSON value; other types become text."""
    inner = value.value
    return inner if isinstance(inner, bool | int | float | str | list | dict) else str(inner)


def error_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Code and message of the run's first error: a named error, a failed check, or a bug.

    `public` is what a user may read, where the message says more.
    """
    for event in result.all_events:
        evaluation = (
            event.asset_check_evaluation_data
            if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
            else None
        )
        if evaluation is not None and not evaluation.passed:
            text = f"Check {evaluation.check_name} failed: {evaluation.description}"
            return {"code": "check.failed", "message": text}
        if event.is_step_failure:
            failure = event.step_failure_data.user_failure_data
            if failure is not None and failure.description:
                code, where = failure.metadata.get("code"), failure.metadata.get("where")
                place = f" ({where.value})" if where is not None and where.value else ""
                return {
                    "code": str(code.value) if code is not None else "failure",
                    "message": failure.description,
                    "public": failure.description.replace(place, "")
                    if place
                    else failure.description,
                    "asset": event.step_key,
                }
            error = event.step_failure_data.error
            text = (error.cause or error).message if error else "failed"
            return {"code": "internal", "message": " ".join(text.split()), "asset": event.step_key}
    return {"code": "internal", "message": "the run failed before its first step"}
