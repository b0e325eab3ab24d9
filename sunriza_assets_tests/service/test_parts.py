"""`sunriza serve --only …`: the parts as containers start them, with the image's health check."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from sunriza_assets_tests.processes import free_port, wait_for

ROOT = Path(__file__).parents[2]
HEALTHY = ROOT / "deploy" / "docker" / "healthy.sh"
CLI = [sys.executable, "-c", "from sunriza_assets.cli import main; main()"]


@pytest.fixture
def start(
    tmp_path: Path, models_root: Path
) -> Iterator[Callable[..., "tuple[subprocess.Popen[bytes], dict[str, str]]"]]:
    """Starts one part on the test's home; the process, and its environment."""
    begun: list[subprocess.Popen[bytes]] = []

    def begin(part: str) -> "tuple[subprocess.Popen[bytes], dict[str, str]]":
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {name: value for name, value in os.environ.items() if "SUNRIZA" not in name}
        environment |= {
            "PATH": programs,
            "SUNRIZA_HOME": str(tmp_path / "home"),
            "SUNRIZA_MODELS": str(models_root),
            "SUNRIZA_METRICS_PORT": str(free_port()),
            "SUNRIZA_PORT": str(free_port()),
        }
        environment.pop("DAGSTER_HOME", None)
        command = [*CLI, "serve", "--only", part, "--port", environment["SUNRIZA_PORT"]]
        process = subprocess.Popen(command, env=environment, cwd=ROOT)
        begun.append(process)
        return process, environment

    yield begin
    for process in begun:
        process.kill()
        process.wait()


def is_healthy(part: str, environment: dict[str, str]) -> bool:
    """What the image's health check says."""
    command = ["sh", HEALTHY, f"sunriza serve --only {part}"]
    checked = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    return checked.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "metric"),
    [
        ("api", "sunriza_queue_depth"),
        ("engine", "sunriza_render_stage_seconds"),
        ("dispatcher", "sunriza_job_duration_seconds"),
    ],
)
def test_a_part_is_healthy_counts_and_ends_in_order(
    start: "Callable[..., tuple[subprocess.Popen[bytes], dict[str, str]]]", part: str, metric: str
) -> None:
    process, environment = start(part)
    wait_for(lambda: is_healthy(part, environment), 120)
    url = f"http://127.0.0.1:{environment['SUNRIZA_METRICS_PORT']}/metrics"
    assert f"# TYPE {metric} " in httpx.get(url, timeout=20, trust_env=False).text
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert not is_healthy(part, environment)
