"""What `sunriza dev` and the queue of orders use of Dagster's private modules: workspaces.

Apart from `dagster_internals`, because a run needs none of this. See `resources.dagster_internals`
for the reason; `test_dagster_internals.py` says what breaks when one of these names is gone.
"""

from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.definitions.selector import JobSubsetSelector
from dagster._core.remote_representation.code_location import CodeLocation
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget, WorkspaceFileTarget

__all__ = [
    "CodeLocation",
    "JobSubsetSelector",
    "ModuleTarget",
    "ProxyServerManager",
    "WorkspaceFileTarget",
    "WorkspaceProcessContext",
]
