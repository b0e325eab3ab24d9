"""Launches runs on Celery workers and notices when a worker is gone.

dagster-celery's own launcher asks only for the state of the run's task. When a whole worker dies
(its machine is switched off, it is killed with -9), nothing changes that state: the run looks
STARTED until `max_runtime_seconds`. When Redis restarts, the states of tasks are lost although
their workers are well: the run would count as lost. This launcher asks the workers themselves.
"""

import logging
from typing import TYPE_CHECKING, Any, Final

from dagster import DagsterRun, Field, IntSource
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from sunriza_assets.platform.celery.settings import broker_settings
from sunriza_assets.platform.dagster_internals import CheckRunHealthResult, WorkerStatus

if TYPE_CHECKING:
    from celery.result import AsyncResult

__all__ = ["MonitoredCeleryRunLauncher"]

PATIENCE: Final = 3
"""Health checks in a row that must fail; their interval is `poll_interval_seconds`."""
INSPECT_TIMEOUT_S: Final = 2.0
"""How long a worker may take to answer; its main process only listens."""

_log = logging.getLogger(__name__)


class MonitoredCeleryRunLauncher(CeleryRunLauncher):
    """`CeleryRunLauncher` with this project's broker settings, which asks the workers.

    Args:
        config_source: settings of Celery beside `broker_settings`.
        patience: health checks in a row that must fail before a run counts as lost.
        settings: as for `CeleryRunLauncher`.
    """

    def __init__(
        self,
        config_source: dict[str, Any] | None = None,
        patience: int = PATIENCE,
        **settings: Any,
    ) -> None:
        super().__init__(config_source={**broker_settings(), **(config_source or {})}, **settings)
        self._patience = patience
        self._failed_checks: dict[str, int] = {}

    @classmethod
    def config_type(cls) -> Any:
        """What `dagster.yaml` may say."""
        patience = Field(
            IntSource,
            is_required=False,
            default_value=PATIENCE,
            description="Looks in a row that must fail before a run is called lost.",
        )
        known: Any = super().config_type()
        return {**known, "patience": patience}

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether a worker still executes a run that is STARTED.

        A worker that does not answer, or that answers and knows nothing of the run (it was
        restarted), has lost it; so has one that calls the task done while the run is not. One miss
        may be the network's fault, so it takes `patience` of them in a row.
        """
        if DAGSTER_CELERY_TASK_ID_TAG not in run.tags:  # it works in a process of the command line
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        health = super().check_run_worker_health(run)
        if health.status == WorkerStatus.FAILED:  # its process died, as its worker reports
            self._failed_checks.pop(run.run_id, None)
            return health
        problem = self._problem(run)
        if problem is None:
            self._failed_checks.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        failed_checks = self._failed_checks[run.run_id] = self._failed_checks.get(run.run_id, 0) + 1
        _log.warning(
            "Run %s, look %d of %d: %s", run.run_id, failed_checks, self._patience, problem
        )
        if failed_checks < self._patience:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        del self._failed_checks[run.run_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, problem)

    def _problem(self, run: DagsterRun) -> str | None:
        """Why the run seems to have no worker, or None."""
        task_id = run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        result: AsyncResult = self.celery.AsyncResult(task_id)
        if result.state not in ("STARTED", "PENDING"):
            return f"its task is over ({result.state}) and the run is not"
        # Celery calls an unknown task PENDING: after a restart Redis has lost its state.
        worker = result.info.get("hostname") if isinstance(result.info, dict) else None
        inspect = self.celery.control.inspect(
            destination=[worker] if worker else None, timeout=INSPECT_TIMEOUT_S
        )
        answers = inspect.query_task(task_id) or {}
        if any(task_id in tasks for tasks in answers.values()):
            return None
        if not answers:
            return f"worker {worker} does not answer" if worker else "no worker answers"
        return f"{', '.join(sorted(answers))} know nothing of it"
