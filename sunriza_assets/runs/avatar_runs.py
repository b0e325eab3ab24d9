"""Materialize avatars in this process and return the results as plain JSON values."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import dagster as dg

from resources.accounting.forecast import forecast
from resources.process_names import this_process
from resources.services import Listener, ProgressReporter, Stores
from sunriza_assets.definitions import build_defs
from sunriza_assets.errors import ParameterError, did_you_mean
from sunriza_assets.graph.assets.run_scope import assets_until_published
from sunriza_assets.graph.config import launchpad_config
from sunriza_assets.graph.jobs import AVATAR_DYNAMICS
from sunriza_assets.graph.partitions import AVATARS
from sunriza_assets.graph.tags import FORCE_TAG, PROCESS_TAG
from sunriza_assets.runs.run_results import (
    QUIET_LOGS,
    assets_of,
    error_of,
    failure_status,
    total_of,
    was_interrupted,
)
from sunriza_assets.runs.step_lines import LOGGED, with_step_lines
from sunriza_assets.studio.parameters import resolve

__all__ = ["AvatarRuns", "avatar_assets"]

# The user of the terminal decides about a retry, not Dagster's daemon.
_NOT_RETRIED: Final = {"dagster/max_retries": "0"}


class AvatarRuns:
    """Runs of the whole graph, or of some of its assets, one avatar after another.

    One object loads the code location once and keeps its models warm.

    Args:
        instance: where runs, events and partitions are kept.
        listener: gets (avatar id, asset, share done 0-1) while a step works.
        announce: gets (avatar id, estimate) before each run.
        logged: whether what a run says goes into this process's log.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        listener: Listener | None = None,
        announce: Callable[[str, Mapping[str, Any]], None] | None = None,
        *,
        logged: bool = False,
    ) -> None:
        self._instance = instance
        self._announce = announce
        self._listener = listener
        job = build_defs().resolve_job_def(AVATAR_DYNAMICS.name)
        self._job = with_step_lines(job) if logged else job
        self._logs = LOGGED if logged else QUIET_LOGS
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
            expected = forecast(
                self._instance, document, steps, launchpad=parameters, force=force
            ).to_dict()
            self._announce(avatar_id, expected)
        begin = time.monotonic()
        with ProgressReporter.reporting_to(self._listener):
            result = self._job.execute_in_process(
                run_config={**config, **self._logs},
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
        if was_interrupted(result):
            raise KeyboardInterrupt
        assets = assets_of(result)
        idle = assets.get("idle_video", {}).get("metadata", {})
        error = None if result.success else error_of(result)
        return {
            "status": "ready" if result.success else failure_status(result),
            "run_id": result.run_id,
            "engine": idle.get("engine"),
            "parameters": idle.get("parameters")
            or resolve(document.wishes, parameters or {}).to_dict(),
            "estimate": expected,
            "total": total_of(assets).to_dict(),
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
