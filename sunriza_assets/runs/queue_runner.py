"""Runs for orders through Dagster's queue: Celery, Kubernetes, Modal, or a process per run.

`SUNRIZA_DISPATCH=queue`. The run is submitted as a sensor's request would be, and whatever launcher
the instance is configured with takes it. How it goes is read off Dagster and the document. The code
location is the one that the daemon uses: `workspace.yaml` in DAGSTER_HOME, or this package.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg

from sunriza_assets.errors import StoreError
from sunriza_assets.graph.assets.orders import speech_config
from sunriza_assets.graph.assets.run_scope import assets_until_published
from sunriza_assets.graph.config import launchpad_config
from sunriza_assets.graph.jobs import AVATAR_DYNAMICS, SPEAK_ORDER
from sunriza_assets.graph.partitions import AVATAR_TAG, AVATARS
from sunriza_assets.graph.tags import FORCE_TAG
from sunriza_assets.operations.order_runs import Outcome, Progress, SpeechWork, Work
from sunriza_assets.platform import queue
from sunriza_assets.platform.dagster_web_internals import (
    CodeLocation,
    JobSubsetSelector,
    ModuleTarget,
    WorkspaceFileTarget,
    WorkspaceProcessContext,
)
from sunriza_assets.runs.avatar_runs import avatar_assets

__all__ = ["QueueRunner", "opened_queue"]

_MODULE: Final = "sunriza_assets.definitions"
_COUNT_S: Final = 1.0
"""Seconds for which the length of the queue is not counted again."""
_LAUNCH_S: Final = 5.0
"""Seconds after its launch for which a run is not looked for."""
_SEARCH_S: Final = 3.0
"""Seconds between two searches for a run."""
_SEARCHES: Final = 2
"""Searches in a row that must fail: a task may be on its way just then."""

_FORGET_S: Final = 3600.0
"""Seconds after which a search begins anew."""


@dataclass
class _Search:
    """What is known of a run that was launched and has not started."""

    since: float
    searched_at: float = float("-inf")
    misses: int = 0


class QueueRunner:
    """`Runner` that submits runs to the instance's queue.

    Args:
        instance: Dagster's instance.
        context: the workspace with this project's code location.
        assets: names of an avatar's assets, upstream first.
    """

    def __init__(
        self, instance: dg.DagsterInstance, context: WorkspaceProcessContext, assets: Sequence[str]
    ) -> None:
        self._instance = instance
        self._context = context
        self._assets = list(assets)
        self._room, self._counted_at = 0, float("-inf")
        self._searches: dict[str, _Search] = {}

    def free(self) -> int:
        """Runs that may be queued before the queue is full."""
        now = time.monotonic()
        if now - self._counted_at >= _COUNT_S:
            self._room = queue.QUEUE_CAP - queue.waiting_runs(self._instance)
            self._counted_at = now
        return self._room

    def start(self, work: Work | SpeechWork) -> None:
        """Create a run and submit it.

        Raises:
            StoreError: the code location or the queue cannot be reached.
        """
        self._room -= 1
        try:
            self._submit(work)
        except dg.DagsterError as problem:
            raise StoreError(
                "Runs cannot be submitted",
                where=str(problem)[:200],
                remedy="Is the code server there?",
                code="queue",
            ) from problem

    def has(self, run_id: str) -> bool:
        """False: all runs are looked up in Dagster."""
        del run_id
        return False

    def is_lost(self, run: dg.DagsterRun) -> bool:
        """Whether a run that was launched has not started and never will.

        Looked up in the launcher, if it can tell; Dagster's own monitoring gives up on such a run
        after `start_timeout_seconds` only.

        Raises:
            StoreError: that cannot be found out now.
        """
        launcher = self._instance.run_launcher
        if not isinstance(launcher, queue.FindsTasks):
            return False
        now = time.monotonic()
        search = self._searches.setdefault(run.run_id, _Search(now))
        if now - search.since < _LAUNCH_S or now - search.searched_at < _SEARCH_S:
            return False
        search.searched_at = now
        is_missing = launcher.is_task_missing(run, now - search.since)
        search.misses = search.misses + 1 if is_missing else 0
        return search.misses >= _SEARCHES

    def cancel(self, run_id: str) -> None:
        """Nothing: the dispatcher ends runs that it looks up through Dagster."""

    def poll(self) -> list[Progress | Outcome]:
        """Nothing: see `has`."""
        old = time.monotonic() - _FORGET_S
        for run_id in [one for one, search in self._searches.items() if search.since < old]:
            del self._searches[run_id]
        return []

    def _submit(self, work: Work | SpeechWork) -> None:
        job_name, config, tags = SPEAK_ORDER.name, dict[str, Any](), dict(work.tags)
        selection: list[dg.AssetKey] | None = None
        if isinstance(work, SpeechWork):
            config = speech_config(work.order_id)
        else:
            job_name = AVATAR_DYNAMICS.name
            self._instance.add_dynamic_partitions(AVATARS.name or "", [work.avatar_id])
            chosen = assets_until_published(self._assets) if work.is_draft else self._assets
            config = launchpad_config(work.parameters, force=work.force, selected=set(chosen))
            selection = [dg.AssetKey(name) for name in chosen] if work.is_draft else None
            tags |= {FORCE_TAG: "true"} if work.force else {}
            tags[AVATAR_TAG] = work.avatar_id
        with self._context.create_request_context() as workspace:
            location = _location(workspace)
            repository = next(iter(location.get_repositories().values()))
            job = location.get_job(
                JobSubsetSelector(
                    location_name=location.name,
                    repository_name=repository.name,
                    job_name=job_name,
                    op_selection=None,
                    asset_selection=selection,
                )
            )
            plan = location.get_execution_plan(
                job, config, step_keys_to_execute=None, known_state=None, instance=self._instance
            )
            run = self._instance.create_run(
                job_name=job_name,
                run_id=work.run_id,
                run_config=config,
                status=dg.DagsterRunStatus.NOT_STARTED,
                tags={**(job.run_tags or {}), **tags},
                root_run_id=None,
                parent_run_id=None,
                step_keys_to_execute=None,
                execution_plan_snapshot=plan.execution_plan_snapshot,
                job_snapshot=job.job_snapshot,
                parent_job_snapshot=job.parent_job_snapshot,
                asset_selection=frozenset(selection) if selection else None,
                asset_check_selection=None,
                resolved_op_selection=job.resolved_op_selection,
                op_selection=None,
                remote_job_origin=job.get_remote_origin(),
                job_code_origin=job.get_python_origin(),
                asset_graph=repository.asset_graph,
            )
            self._instance.submit_run(run.run_id, workspace)


@contextmanager
def opened_queue(instance: dg.DagsterInstance) -> Iterator[QueueRunner]:
    """A runner on the code location that the daemon uses; its code server ends with the block."""
    file = Path(os.environ["DAGSTER_HOME"]) / "workspace.yaml"
    target: Any = (
        WorkspaceFileTarget([str(file)])
        if file.exists()
        else ModuleTarget(_MODULE, attribute=None, working_directory=None, location_name=None)
    )
    assets = avatar_assets()
    with WorkspaceProcessContext(instance, target, code_server_log_level="warning") as context:
        yield QueueRunner(instance, context, assets)


def _location(workspace: Any) -> CodeLocation:
    """The code location with the job of avatars.

    Raises:
        StoreError: it cannot be loaded.
    """
    for name in workspace.code_location_names:
        if workspace.has_code_location(name):
            location: CodeLocation = workspace.get_code_location(name)
            jobs = [
                repo.has_job(AVATAR_DYNAMICS.name) for repo in location.get_repositories().values()
            ]
            if any(jobs):
                return location
    raise StoreError(
        "The code location cannot be loaded",
        where=", ".join(workspace.code_location_names),
        remedy="Is the code server there?",
        code="queue",
    )
