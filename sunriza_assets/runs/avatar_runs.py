"""Materialize avatars in this process and return the results as plain JSON values."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import dagster as dg

from resources.accounting.forecast import forecast
from resources.dagster_internals import RunFailureReason
from resources.process_names import this_process
from resources.publishing.reuse import REUSED_FROM
from resources.services import Listener, ProgressReporter, Stores
from resources.storage.logged_urls import as_path
from sunriza_assets.costs.totals import RunTotal, run_total, steps_in_total
from sunriza_assets.definitions import build_defs
from sunriza_assets.errors import ParameterError, did_you_mean
from sunriza_assets.graph.assets.metadata import PREVIEW_KEYS
from sunriza_assets.graph.assets.progress import announced_forecast
from sunriza_assets.graph.assets.run_scope import assets_until_published
from sunriza_assets.graph.config import launchpad_config
from sunriza_assets.graph.jobs import AVATAR_DYNAMICS
from sunriza_assets.graph.partitions import AVATARS
from sunriza_assets.graph.tags import FORCE_TAG, PROCESS_TAG
from sunriza_assets.studio.parameters import resolve

__all__ = ["AvatarRuns", "avatar_assets"]

# Dagster's own log lines would drown a progress bar; `--verbose` and the UI have them.
_QUIET_LOGS: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


# The user of the terminal decides about a retry, not Dagster's daemon.
_NOT_RETRIED: Final = {"dagster/max_retries": "0"}


class AvatarRuns:
    """Runs of the whole graph, or of some of its assets, one avatar after another.

    One object loads the code location once and keeps its models warm.

    Args:
        instance: where runs, events and partitions are kept.
        listener: gets (avatar id, asset, share done 0-1) while a step works.
        announce: gets (avatar id, estimate) before each run.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        listener: Listener | None = None,
        announce: Callable[[str, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._instance = instance
        self._announce = announce
        self._listener = listener
        self._job = build_defs().resolve_job_def(AVATAR_DYNAMICS.name)
        self.assets = _asset_names(self._job)
        """Names of the assets of an avatar, upstream first."""

    def render(
        self,
        avatar_id: str,
        *,
        only: Sequence[str] = (),
        parameters: dict[str, Any] | None = None,
        force: bool = False,
        tags: Mapping[str, str] | None = None,
        run_id: str | None = None,
    ) -> dict[str, Any]:
        """Materialize one avatar.

        Args:
            only: assets to materialize; all when empty.
            parameters: canonical parameters of the launchpad layer.
            force: make everything anew, whatever is unchanged or cached.
            tags: tags of the run, beside the job's own.
            run_id: id of the run; a new one when None.

        Returns:
            status (`ready`, `error`, or `cancelled` after a request to cancel it), run_id, engine,
            parameters, estimate (see `Forecast.to_dict`; None without `announce`), total (the
            run's, see `costs.totals`), wall_s (of this call, checks and loading included), assets,
            error.

        Raises:
            AvatarError: there is no such avatar.
            ParameterError: `only` names no asset.
            KeyboardInterrupt: the run was interrupted and has ended as a failure, which Dagster
                does not raise itself.
        """
        for name in only:
            if name not in self.assets:
                raise ParameterError(
                    f"There is no asset {name!r}",
                    remedy=did_you_mean(name, self.assets) + f"Assets: {', '.join(self.assets)}.",
                )
        document = Stores().avatars.get(avatar_id)
        self._instance.add_dynamic_partitions(AVATARS.name or "", [avatar_id])
        selected = set(only or self.assets)
        config = launchpad_config(parameters or {}, force=force, selected=selected)
        expected: dict[str, Any] | None = None
        if self._announce is not None:  # it reads the clip, so only if it is announced
            steps = assets_until_published([name for name in self.assets if name in selected])
            made = forecast(self._instance, document, steps, launchpad=parameters, force=force)
            expected = made.to_dict()
            self._announce(avatar_id, expected)
            run_id = run_id or str(uuid.uuid4())
            announced_forecast(run_id, made)
        begin = time.monotonic()
        with ProgressReporter.reporting_to(self._listener):
            result = self._job.execute_in_process(
                run_config={**config, **_QUIET_LOGS},
                instance=self._instance,
                partition_key=avatar_id,
                tags={
                    **(tags or {}),
                    **({FORCE_TAG: "true"} if force else {}),
                    **_NOT_RETRIED,
                    PROCESS_TAG: this_process(),
                },
                asset_selection=[dg.AssetKey(name) for name in only] or None,
                raise_on_error=False,
                run_id=run_id,
            )
        if _was_interrupted(result):
            raise KeyboardInterrupt
        assets = _assets(result)
        idle = assets.get("idle_video", {}).get("metadata", {})
        error = None if result.success else _error(result)
        return {
            "status": "ready" if result.success else _failure_status(result),
            "run_id": result.run_id,
            "engine": idle.get("engine"),
            "parameters": idle.get("parameters")
            or resolve(document.wishes, parameters or {}).to_dict(),
            "estimate": expected,
            "total": _total(assets).to_dict(),
            "wall_s": round(time.monotonic() - begin, 3),
            "assets": assets,
            "error": error,
        }


def avatar_assets() -> list[str]:
    """Names of the assets of an avatar, upstream first."""
    return _asset_names(build_defs().resolve_job_def(AVATAR_DYNAMICS.name))


def _asset_names(job: dg.JobDefinition) -> list[str]:
    return [
        key.to_user_string()
        for level in job.asset_layer.asset_graph.toposorted_asset_keys_by_level
        for key in level
        if key in job.asset_layer.selected_asset_keys
    ]


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    return any(
        event.event_type == dg.DagsterEventType.RUN_FAILURE
        and event.job_failure_data.failure_reason == RunFailureReason.UNEXPECTED_TERMINATION
        for event in result.all_events
    )


def _failure_status(result: dg.ExecuteInProcessResult) -> str:
    cancelled = any(
        event.event_type == dg.DagsterEventType.RUN_CANCELED for event in result.all_events
    )
    return "cancelled" if cancelled else "error"


def _assets(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
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


def _total(assets: Mapping[str, Any]) -> RunTotal:
    """The run's total, as its manifest has it if it published."""
    made = {name: asset["metadata"] for name, asset in assets.items()}
    return run_total(steps_in_total(made).values())


def _plain(value: dg.MetadataValue[Any]) -> Any:
    """A metadata value as a JSON value; other types become text."""
    inner = value.value
    return inner if isinstance(inner, bool | int | float | str | list | dict) else str(inner)


def _error(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
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
