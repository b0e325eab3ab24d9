"""`sunriza serve`: its processes come, come back, and go, however they are ended."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from sunriza_assets_tests.processes import has_ended, wait_for

CLI = [sys.executable, "-c", "from sunriza_assets.cli import main; main()"]


@dataclass
class Serving:
    """A running `sunriza serve`."""

    process: "subprocess.Popen[str]"
    environment: Mapping[str, str]
    log: Path
    url: str = ""
    family: list[psutil.Process] = field(default_factory=list)

    def wait_until_ready(self) -> None:
        """Read what it says until it is ready."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
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


@pytest.fixture
def begin(tmp_path: Path, models_root: Path) -> Iterator[Callable[..., Serving]]:
    """Starts `sunriza serve` with these arguments on a home of its own."""
    begun: list[Serving] = []
    environment = {name: value for name, value in os.environ.items() if "SUNRIZA" not in name}
    environment |= {
        "SUNRIZA_HOME": str(tmp_path / "home"),
        "SUNRIZA_MODELS": str(models_root),
        "SUNRIZA_METRICS_PORT": "0",
    }
    environment.pop("DAGSTER_HOME", None)

    def start(*arguments: str) -> Serving:
        log = tmp_path / f"{len(begun)}.log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [*CLI, "serve", "--port", "0", *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        begun.append(Serving(process, environment, log))
        return begun[-1]

    yield start
    for serving in begun:
        if serving.process.poll() is None:
            serving.family = serving.processes()
            serving.process.kill()
        serving.process.wait()
        for one in serving.family:
            if one.is_running():
                one.kill()


@pytest.mark.slow
def test_dead_children_come_back_and_a_signal_ends_all(begin: Callable[..., Serving]) -> None:
    serving = begin("--no-ui")
    serving.wait_until_ready()
    for module in ("api_process", "dispatcher_process", "engine_process"):
        victim = serving.find(module)
        assert victim is not None
        victim.kill()
        wait_for(partial(has_ended, victim))
        wait_for(lambda module=module: serving.find(module) is not None)  # type: ignore[misc]
        wait_for(serving.is_ready, 120)
    second = subprocess.run(
        [*CLI, "serve", "--no-ui", "--port", "0"],
        env=serving.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 2
    assert "Another `sunriza serve` runs on this home" in second.stderr
    assert second.stderr.count("\n") == 1

    family = serving.processes()
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(60) == 0
    assert all(has_ended(one) for one in family)


@pytest.mark.slow
def test_nothing_is_left_when_the_supervisor_is_killed(begin: Callable[..., Serving]) -> None:
    serving = begin()
    serving.wait_until_ready()
    for module in ("dagster._daemon", "platform.ui", "order_worker"):
        wait_for(lambda module=module: serving.find(module) is not None)  # type: ignore[misc]
    family = serving.processes()
    serving.process.kill()
    wait_for(lambda: all(has_ended(one) for one in family), 90)
    again = begin("--no-ui")
    again.wait_until_ready()


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = subprocess.run(
            [*CLI, "serve", "--no-ui", "--port", str(port)],
            env={**os.environ, "SUNRIZA_HOME": str(tmp_path)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert told.returncode == 2
    assert told.stderr.startswith(f"error: Port {port} of 127.0.0.1 cannot be used")
    assert told.stderr.count("\n") == 1


def test_open_mode_is_for_loopback_alone(tmp_path: Path) -> None:
    told = subprocess.run(
        [*CLI, "serve", "--no-ui", "--host", "192.0.2.1", "--port", "0"],
        env={**os.environ, "SUNRIZA_HOME": str(tmp_path), "SUNRIZA_AUTH": "off"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 2
    assert "SUNRIZA_AUTH=off" in told.stderr


def test_keys_are_added_listed_and_revoked(tmp_path: Path) -> None:
    def keys(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*CLI, "keys", *arguments],
            env={**os.environ, "SUNRIZA_HOME": str(tmp_path)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    made = json.loads(keys("add", "ann", "--scope", "jobs", "--name", "my page", "--json").stdout)
    assert made["key"].startswith(f"snz_{made['id']}_")
    (row,) = json.loads(keys("list", "--json").stdout)["keys"]
    assert (row["owner"], row["name"], row["scopes"]) == ("ann", "my page", ["jobs"])
    assert row["revoked"] is None
    assert made["key"] not in keys("list").stdout
    assert keys("revoke", made["id"]).returncode == 0
    assert keys("revoke", made["id"]).returncode == 1
    (row,) = json.loads(keys("list", "--owner", "ann", "--json").stdout)["keys"]
    assert row["revoked"]
