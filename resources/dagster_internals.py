"""What resources and the graph use of Dagster's private modules.

Dagster promises nothing about names in modules that begin with an underscore: they may move in any
release. They are imported in the modules named `dagster_internals` and `dagster_web_internals`
alone (ruff bans them elsewhere); `test_dagster_internals.py` lists what breaks when one is gone.
"""

from dagster._config.config_type import ConfigType, ConfigTypeKind
from dagster._config.errors import PostProcessingError
from dagster._core.definitions.data_version import (
    extract_data_provenance_from_entry,
    extract_data_version_from_entry,
)
from dagster._core.events import RunFailureReason
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.executor.child_process_executor import ChildProcessCrashException
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.storage.runs import SqlRunStorage

__all__ = [
    "ChildProcessCrashException",
    "ConfigType",
    "ConfigTypeKind",
    "DefaultRunLauncher",
    "PostProcessingError",
    "RunFailureReason",
    "SqlRunStorage",
    "StepFailureData",
    "extract_data_provenance_from_entry",
    "extract_data_version_from_entry",
]
