"""The executor of a run's steps, chosen by SUNRIZA_EXECUTOR.

in_process     (default) all steps in the run's own process: models stay warm between two assets
multiprocess   a process per step, forked from one that has loaded the code location
celery         a Celery task per step, routed by the queue in the step's tags
k8s            a Kubernetes Job per step, with the limits in the step's tags

Where runs themselves start is not decided here but by `run_launcher` in `dagster.yaml`; a fleet
usually wants whole runs on warm workers (`platform/celery/`) and `in_process` inside of them. Why,
with figures: `docs/decisions/one-avatar-one-run.md`.
"""

from collections.abc import Callable, Mapping
from typing import Final

import dagster as dg

from resources.settings import current_settings
from sunriza_assets.errors import ParameterError

__all__ = ["EXECUTORS", "build_executor"]


def build_executor(name: str | None = None) -> dg.ExecutorDefinition:
    """The executor of that name; SUNRIZA_EXECUTOR decides when None.

    Called when the code location is built, so only the executor in use is ever imported.

    Raises:
        ParameterError: there is no such executor, or its extra is not installed.
    """
    wanted = name or current_settings().executor
    if wanted not in EXECUTORS:
        raise ParameterError(
            f"SUNRIZA_EXECUTOR is {wanted!r}",
            remedy=f"Known are: {', '.join(EXECUTORS)}.",
            code="executor",
        )
    try:
        return EXECUTORS[wanted]()
    except ModuleNotFoundError as missing:
        raise ParameterError(
            f"The executor {wanted!r} needs {missing.name}",
            remedy=f"pip install 'sunriza-assets[{wanted}]'",
            code="executor",
        ) from missing


def _in_process() -> dg.ExecutorDefinition:
    return dg.in_process_executor


def _multiprocess() -> dg.ExecutorDefinition:
    # A forked child finds the code location loaded: 22 s for a run that took 28 to 38 s when every
    # step's process began from nothing (and 10 s in one process).
    preload = {"preload_modules": ["sunriza_assets.definitions"]}
    return dg.multiprocess_executor.configured(
        {"max_concurrent": 2, "start_method": {"forkserver": preload}}, name="multiprocess"
    )


def _celery() -> dg.ExecutorDefinition:
    from dagster_celery import celery_executor

    from sunriza_assets.platform.celery.settings import broker_settings

    return celery_executor.configured(
        {
            "broker": {"env": "SUNRIZA_CELERY_BROKER"},
            "backend": {"env": "SUNRIZA_CELERY_BROKER"},
            "config_source": broker_settings(),
        },
        name="celery",
    )


def _k8s() -> dg.ExecutorDefinition:
    from dagster_k8s import k8s_job_executor

    # Image, service account, secrets and volumes are the run launcher's (`deploy/k8s/values.yaml`).
    return k8s_job_executor.configured({"max_concurrent": 4}, name="k8s")


EXECUTORS: Final[Mapping[str, Callable[[], dg.ExecutorDefinition]]] = {
    "in_process": _in_process,
    "multiprocess": _multiprocess,
    "celery": _celery,
    "k8s": _k8s,
}
"""Makers of executors by name; each imports what it needs when it is called."""
