"""How long an accepted job waits for its first step, on the warm worker of `sunriza serve`.

    python -m sunriza_assets.service.bench.first_step

Wall time, so a quiet machine is needed: nothing else may want the cores.
"""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import httpx
from PIL import Image

from resources.home import Home

__all__ = ["BARS", "measure"]

BARS: Final[Mapping[str, tuple[str, float]]] = {"accept to first step, p50 s": ("<=", 0.6)}
"""Figure -> how it has to compare with which number."""
_LOOK_S: Final = 0.01
_WAIT_S: Final = 120.0


def measure(models: Path, *, jobs: int = 7) -> dict[str, float]:
    """Serve, and make jobs one after another, each cancelled after its first step.

    Args:
        models: the models folder.
        jobs: how many; the first one is not counted, for it warms up.
    """
    with (
        TemporaryDirectory(prefix="sunriza-bench-") as folder,
        _served(Path(folder), models) as client,
    ):
        avatar = _add_avatar(client)
        waited = [_first_step_s(client, avatar, number) for number in range(jobs)][1:]
    return {
        "accept to first step, p50 s": round(median(waited), 3),
        "accept to first step, longest s": round(max(waited), 3),
    }


def _add_avatar(client: httpx.Client) -> str:
    from sunriza_assets.studio.sample.clip import sample_portrait

    file = io.BytesIO()
    Image.fromarray(sample_portrait()).save(file, "JPEG")
    made = client.post(
        "/avatars",
        data={"name": "bench", "performance": "calm", "consent": "true"},
        files={"portrait": ("portrait.jpg", file.getvalue())},
    )
    if made.is_error:
        raise RuntimeError(made.text)
    answer = made.json()
    for job in client.get("/jobs").json()["jobs"]:
        _end(client, job["job_id"])
    return str(answer["avatar"]["id"])


def _first_step_s(client: httpx.Client, avatar: str, number: int) -> float:
    begin = time.perf_counter()
    # Other parameters each time, or the second job would have nothing to make.
    parameters = {"driving_multiplier": 1 + 0.01 * number}
    made = client.post("/generate-dynamics", json={"avatar_id": avatar, "parameters": parameters})
    job = made.raise_for_status().json()["job_id"]
    while client.get(f"/jobs/{job}").json()["step"] is None:
        if time.perf_counter() - begin > _WAIT_S:
            raise TimeoutError(f"{job} has not begun")
        time.sleep(_LOOK_S)
    waited = time.perf_counter() - begin
    _end(client, job)
    return waited


def _end(client: httpx.Client, job: str) -> None:
    client.post(f"/jobs/{job}/cancel")
    while client.get(f"/jobs/{job}").json()["status"] not in ("done", "error"):
        time.sleep(_LOOK_S)


@contextmanager
def _served(home: Path, models: Path) -> Iterator[httpx.Client]:
    """A client of a whole service that is ready."""
    command = "from sunriza_assets.cli import main; main()"
    settings = {"SUNRIZA_METRICS_PORT": "0", "SUNRIZA_AUTH": "off"}
    environment = {
        **os.environ,
        **settings,
        "SUNRIZA_HOME": str(home),
        "SUNRIZA_MODELS": str(models),
    }
    environment.pop("DAGSTER_HOME", None)
    with (home / "bench.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", command, "serve", "--port", "0", "--no-ui"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            url = ""
            for line in process.stdout or ():
                if line.startswith("API "):
                    url = line.split()[1]
                if line.startswith("Ready"):
                    break
            with httpx.Client(base_url=url, timeout=_WAIT_S, trust_env=False) as client:
                yield client
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    print(json.dumps(measure(Home.from_environment().models), indent=1))  # noqa: T201 - its answer
