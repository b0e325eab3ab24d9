"""A warm worker: takes whole runs (or single steps) from its queues, one after another.

Its child process loads the code location and the models once and keeps them from run to run. One
worker per GPU, with that GPU as the only one it sees; see `sunriza worker`.
"""

import os
import socket
from collections.abc import Callable, Sequence

from celery import Celery
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task, create_task

from sunriza_assets.platform.celery.settings import broker_settings

__all__ = ["build_app", "is_worker_reachable", "run_worker"]


def build_app(url: str) -> Celery:
    """The Celery application of a worker, with dagster-celery's three tasks.

    Args:
        url: the broker, which keeps the tasks' states, too.
    """
    app: Celery = make_app({"broker": url, "backend": url, "config_source": broker_settings()})
    for create in (create_task, create_execute_job_task, create_resume_job_task):
        create(app)
    return app


def run_worker(
    url: str,
    queues: Sequence[str],
    *,
    name: str,
    concurrency: int,
    preload: Callable[[], object],
    gpu: str | None = None,
) -> None:
    """Work until told to stop: SIGTERM lets the present run finish, SIGQUIT does not.

    Args:
        url: the broker.
        queues: queues to take from.
        name: unique among the workers of this machine.
        concurrency: runs at once; 1 on a GPU.
        preload: loads the code location, once, before the pool forks.
        gpu: value of CUDA_VISIBLE_DEVICES; None leaves the environment as it is.
    """
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    # Every child has what was loaded before the pool forks. Models are loaded by the children:
    # neither CUDA nor onnxruntime survives a fork.
    preload()

    arguments = ["worker", "--queues", ",".join(queues), "--concurrency", str(concurrency)]
    arguments += ["--hostname", f"{name}@%h", "--loglevel", "INFO", "--pool", "prefork"]
    # Gossip and mingle are for workers that talk to one another; ours only listen.
    arguments += ["--without-gossip", "--without-mingle"]
    build_app(url).worker_main(arguments)


def is_worker_reachable(url: str) -> bool:
    """Whether a worker of this machine answers a ping through the broker."""
    inspect = build_app(url).control.inspect(
        timeout=5.0, pattern=f"*@{socket.gethostname()}", matcher="glob"
    )
    return bool(inspect.ping())
