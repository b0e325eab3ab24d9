"""A running `sunriza serve` with all its processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

__all__ = ["CLI", "Serving", "begin_serving"]

CLI = [sys.executable, "-c", "from sunriza_assets.cli import main; main()"]


@dataclass
class Serving:
    """One `sunriza serve`."""

    process: "subprocess.Popen[str]"
    log: Path
    url: str = ""
    lines: list[str] = field(default_factory=list)

    def wait_until_ready(self) -> None:
        """Read what it says until it is ready."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith("API "):
                self.url = line.split()[1]
            if line.startswith("Ready"):
                return
        raise AssertionError(f"it has ended: {self.log.read_text()[-3000:]}")

    def is_ready(self) -> bool:
        """Whether all parts are ready now."""
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def processes(self) -> list[psutil.Process]:
        """All its processes."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def find(self, module: str) -> psutil.Process | None:
        """The process that runs a module; None if there is none now."""
        for one in self.processes():
            with suppress(psutil.NoSuchProcess):
                if module in " ".join(one.cmdline()):
                    return one
        return None

    def end(self) -> None:
        """End it with a signal; kill what is left."""
        if self.process.poll() is None:
            family = self.processes()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            for one in family:
                with suppress(psutil.NoSuchProcess):
                    one.kill()


def begin_serving(
    arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Serving:
    """Start `sunriza serve` on a free port; see `Serving.wait_until_ready`.

    Args:
        arguments: of the command.
        log: gets its standard error.
        environment: variables besides this process's own.
    """
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*CLI, "serve", "--port", "0", *arguments],
            env={**os.environ, "SUNRIZA_METRICS_PORT": "0", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    return Serving(process, log)
