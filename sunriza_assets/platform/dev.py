"""UI, daemon and code server of one machine under one process, like `dagster dev` but with our UI.

`dagster dev` starts Dagster's own web server, which takes no further routes; see `ui`.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import dagster as dg
import yaml

from sunriza_assets.errors import StoreError
from sunriza_assets.platform.dagster_web_internals import ModuleTarget, ProxyServerManager
from sunriza_assets.with_parent import command_with_parent

__all__ = ["run_dev"]

_CODE_LOCATION: Final = "sunriza_assets.definitions"
_TERMINATE_TIMEOUT_S: Final = 60.0
_POLL_INTERVAL_S: Final = 1.0


def run_dev(instance: dg.DagsterInstance, *, host: str, port: int, files_port: int) -> None:
    """Serve until SIGINT or SIGTERM, then end all that was started.

    Args:
        instance: the prepared instance, which DAGSTER_HOME names.
        host: where the UI listens.
        port: likewise.
        files_port: where the file server of this home listens.

    Raises:
        StoreError: the UI or the daemon ended by itself.
    """
    os.environ["DAGSTER_IS_DEV_CLI"] = "1"  # what Dagster does on a laptop only
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has them ignored
        signal.signal(number, signal.default_int_handler)
    target = ModuleTarget(
        _CODE_LOCATION, attribute=None, working_directory=None, location_name=None
    )
    with (
        TemporaryDirectory() as folder,
        ProxyServerManager(instance, target, code_server_log_level="warning") as servers,
    ):
        workspace = Path(folder) / "workspace.yaml"
        workspace.write_text(yaml.safe_dump({"load_from": servers.get_code_server_specs()}))
        ui = ["-m", "sunriza_assets.platform.ui", "--host", host, "--port", str(port)]
        code = ["--workspace", str(workspace)]
        with (
            _child([*ui, "--files-port", str(files_port), *code]) as web,
            _child(["-m", "dagster._daemon", "run", *code]) as daemon,
        ):
            try:
                _wait_for_exit({"UI": web, "daemon": daemon})
            except KeyboardInterrupt:
                return


@contextmanager
def _child(arguments: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python process that ends with the block, and with this process.

    In a session of its own, so that Ctrl-C reaches it once, through us, and not twice.
    """
    process = subprocess.Popen(command_with_parent(arguments), start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_TERMINATE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_exit(processes: "dict[str, subprocess.Popen[bytes]]") -> None:
    while True:
        for name, process in processes.items():
            if process.poll() is not None:
                raise StoreError(
                    f"The {name} ended by itself with exit code {process.returncode}",
                    remedy="Its own output is above.",
                    code="dev",
                )
        time.sleep(_POLL_INTERVAL_S)
