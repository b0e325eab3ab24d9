"""Launches runs on Celery workers and notices when a worker is gone.

dagster-celery's own launcher asks only for the state of the run's task. When a whole worker dies
(its machine is switched off, it is killed with -9), nothing changes that state: the run looks
STARTED until `max_runtime_seconds`. When Redis restarts, the states of tasks are lost although
their workers are well: the run would count as lost. This launcher asks the workers themselves.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from dagster import DagsterRun, DagsterRunStatus, Field, IntSource
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG
from kombu.exceptions import OperationalError
from redis import RedisError

from sunriza_assets.errors import StoreError
from sunriza_assets.platform.celery.settings import broker_settings
from sunriza_assets.platform.dagster_internals import CheckRunHealthResult, WorkerStatus

if TYPE_CHECKING:
    from celery.result import AsyncResult

__all__ = ["MonitoredCeleryRunLauncher"]

PATIENCE: Final = 3
"""Health checks in a row that must fail; their interval is `poll_interval_seconds`."""
INSPECT_TIMEOUT_S: Final = 2.0
"""How long a worker may take to answer; its main process only listens."""
PUBLISH_S: Final = 20.0
"""How long a launch may take from a run's status to its task. A broker that is away is waited for
longer; but a worker ignores the task of a run that has been given up."""

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

    def terminate(self, run_id: str) -> bool:
        """Revoke a run's task, and interrupt the process that executes it.

        Returns:
            False if the run has no task (yet).

        Raises:
            StoreError: the broker cannot be reached.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return False
        if run.status != DagsterRunStatus.CANCELING:  # else an interrupted run counts as failed
            self._instance.report_run_canceling(run)
        with _named_errors():
            return super().terminate(run_id)

    def is_task_missing(self, run: DagsterRun, waited_s: float) -> bool:
        """Whether the task of a launched run is over, in no queue, and with no worker.

        A broker that restarts forgets what waits in it; so does a worker that dies with a task that
        it has not begun.

        Args:
            run: a run that was launched and has not started.
            waited_s: seconds for which it has been so.

        Raises:
            StoreError: the broker cannot be reached.
        """
        if DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return waited_s > PUBLISH_S
        with _named_errors():
            return not self._is_queued(run) and self._problem(run) is not None

    def _is_queued(self, run: DagsterRun) -> bool:
        """Whether a run's task is in its queue, or on its way from there to a worker."""
        task_id = run.tags[DAGSTER_CELERY_TASK_ID_TAG].encode()
        queue = run.tags.get(DAGSTER_CELERY_QUEUE_TAG, self.default_queue)
        with self.celery.connection_for_read() as connection:
            channel: Any = connection.default_channel
            names = [channel._q_for_pri(queue, step) for step in channel.priority_steps]
            waiting = [task for name in names for task in channel.client.lrange(name, 0, -1)]
            waiting += channel.client.hvals(channel.unacked_key)
        return any(task_id in task for task in waiting)

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


@contextmanager
def _named_errors() -> Iterator[None]:
    """Name what a broker's client raises.

    Raises:
        StoreError: the broker cannot be reached.
    """
    try:
        yield
    except (OperationalError, RedisError, OSError) as problem:
        raise StoreError(
            "The broker cannot be reached",
            where=type(problem).__name__,
            remedy="Start it, or correct SUNRIZA_CELERY_BROKER.",
            code="broker",
        ) from problem
