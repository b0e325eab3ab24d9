"""Celery settings that launcher, executor and worker share."""

from typing import Any, Final

from resources.settings import current_settings
from sunriza_assets.errors import ParameterError

__all__ = ["CPU_QUEUE", "GPU_QUEUE", "UNTAGGED_QUEUE", "broker_settings", "broker_url"]

GPU_QUEUE: Final = "gpu"
"""Runs and steps that want a GPU."""
CPU_QUEUE: Final = "cpu"
"""Runs and steps that must not hold one."""
UNTAGGED_QUEUE: Final = "dagster"
"""Where dagster-celery sends steps that name no queue (asset checks); a worker has to serve it."""

MAX_RUN_S: Final = 4 * 3600


def broker_settings() -> dict[str, Any]:
    """Celery's settings, each with its reason.

    Launcher, executor and worker all pass them to Celery, so none uses other defaults.
    """
    return {
        # A worker takes a run when it can start it, not before: whatever a killed worker had merely
        # reserved would come back only after the visibility timeout.
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        # Delivered once. A run that is lost is retried by Dagster as a new run, with a new owner of
        # the avatar; the broker handing out the same run again would only be refused.
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "broker_transport_options": {"visibility_timeout": MAX_RUN_S},
        # A launch waits about a minute for a broker that restarts, instead of failing the run.
        "task_publish_retry_policy": {
            "max_retries": 20,
            "interval_start": 0.2,
            "interval_step": 0.3,
            "interval_max": 5,
        },
        # The launcher asks for the state of a run's task for as long as the run may last.
        "result_expires": 2 * MAX_RUN_S,
        "task_track_started": True,
        # A broker that restarts must not cost the runs that work.
        "broker_connection_retry_on_startup": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # No tick of the event loop but the broker's own: a fleet of ten talks of little else.
        "worker_send_task_events": False,
        "task_default_queue": UNTAGGED_QUEUE,
        # What a run prints goes to Dagster's compute logs, not into the worker's own log.
        "worker_redirect_stdouts": False,
        "worker_hijack_root_logger": False,
    }


def broker_url() -> str:
    """SUNRIZA_CELERY_BROKER: a redis:// URL, for tasks and for their states.

    Raises:
        ParameterError: it is not set.
    """
    broker = current_settings().celery_broker
    if broker is None:
        raise ParameterError(
            "SUNRIZA_CELERY_BROKER is not set",
            remedy="Set it to the broker's URL, for example redis://localhost:6379/0.",
            code="broker",
        )
    return broker.get_secret_value()
