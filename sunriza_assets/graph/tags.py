"""Tags and names for schedulers: pools, groups, owners, and where a step may run.

One dictionary per kind of step carries the Celery queue and the Kubernetes limits together, so the
same asset runs on a laptop, on Celery workers or as Kubernetes jobs without a branch in its code.
"""

from collections.abc import Mapping
from typing import Any, Final

from sunriza_assets.platform.pools import GPU_POOL

__all__ = [
    "CPU_RUN",
    "CPU_STEP",
    "DRAFT_TAG",
    "FORCE_TAG",
    "GPU_POOL",
    "GPU_RUN",
    "GPU_STEP",
    "GROUP_INPUTS",
    "GROUP_MOTION",
    "GROUP_ORDERS",
    "GROUP_OVERLAY",
    "GROUP_PUBLISHED",
    "GROUP_REPORTS",
    "INPUTS_TAG",
    "ORDER_TAG",
    "OWNERS",
    "PROCESS_TAG",
    "REQUEST_TAG",
]

FORCE_TAG: Final = "sunriza/force"
"""Run tag: `true` makes everything anew, whatever is unchanged."""
DRAFT_TAG: Final = "sunriza/draft"
"""Run tag: `true` stores the result as a draft, and leaves the avatar's document as it is."""
INPUTS_TAG: Final = "sunriza/inputs"
"""Run tag: the version of the inputs that the run was requested for."""
ORDER_TAG: Final = "sunriza/job"
"""Run tag: the id of the order of the service that the run was made for."""
REQUEST_TAG: Final = "sunriza/request"
"""Run tag: the id of the HTTP request that the order was made by."""
PROCESS_TAG: Final = "sunriza/process"
"""Run tag: `this_process`, for runs in a process that Dagster did not launch."""

GROUP_INPUTS: Final = "inputs"
GROUP_MOTION: Final = "motion"
GROUP_OVERLAY: Final = "overlay"
GROUP_ORDERS: Final = "orders"
GROUP_PUBLISHED: Final = "published"
GROUP_REPORTS: Final = "reports"

OWNERS: Final = ["team:avatars"]

CPU_STEP: Final[Mapping[str, Any]] = {
    "dagster-celery/queue": "cpu",
    "dagster-k8s/config": {
        "container_config": {
            "resources": {
                # Trimming a 4k phone clip peaks near 1 GB; two cores keep x264 busy.
                "requests": {"cpu": "2", "memory": "2Gi"},
                "limits": {"memory": "4Gi"},
            }
        },
        "job_spec_config": {"ttl_seconds_after_finished": 3600, "backoff_limit": 0},
    },
}
"""Steps that only decode, encode, copy or publish."""

GPU_STEP: Final[Mapping[str, Any]] = {
    "dagster-celery/queue": "gpu",
    "dagster-k8s/config": {
        "container_config": {
            "resources": {
                "requests": {"cpu": "2", "memory": "8Gi"},
                "limits": {"nvidia.com/gpu": "1", "memory": "16Gi"},
            }
        },
        "pod_spec_config": {
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        },
        # A retried pod would run beside the one that Dagster retries.
        "job_spec_config": {"ttl_seconds_after_finished": 3600, "backoff_limit": 0},
    },
}
"""Steps that extract or render: one whole GPU each."""

GPU_RUN: Final[Mapping[str, Any]] = {"dagster-celery/queue": "gpu"}
"""Runs of avatars, where a run is one process. On Kubernetes a run's pod has a GPU unless its job
says otherwise (`deploy/k8s/values.yaml`): runs that are started by hand in the UI carry no tags."""

CPU_RUN: Final[Mapping[str, Any]] = {
    "dagster-celery/queue": "cpu",
    "dagster-k8s/config": {
        # Takes the place of what the launcher says, GPU and all, instead of adding to it.
        "merge_behavior": "SHALLOW",
        "container_config": {
            "resources": {
                "requests": {"cpu": "1", "memory": "1Gi"},
                "limits": {"memory": "4Gi"},
            }
        },
        "pod_spec_config": {"node_selector": {}, "tolerations": []},
        "job_spec_config": {"ttl_seconds_after_finished": 3600, "backoff_limit": 0},
    },
}
"""Runs that make reports and must not hold a GPU."""
