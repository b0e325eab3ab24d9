"""CPU time of emotion pictures through HTTP: a portrait that is known, a new one, a batch.

    python -m sunriza_assets.service.bench.render

An engine process and an API process serve a home of their own; requests come one after another,
and what both processes and their children have used in between is divided by their number. CPU time
depends little on what else the machine does; the wall times stand beside it.
"""

import io
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import psutil
from PIL import Image

from sunriza_assets.cores import core_count
from sunriza_assets.costs.devices import cpu

__all__ = ["BARS", "measure"]

BARS: Final = {"warm": 80.0, "cold": 450.0}
"""CPU milliseconds that a picture of 512 pixels may take with the mesh engine: of a portrait that
is prepared, and of one that was never seen."""
_START_S: Final = 120.0
_EMOTIONS: Final = ("happy", "sad", "surprised", "angry", "disgusted", "fearful")


@dataclass(frozen=True, slots=True)
class _Sample:
    """What requests of one kind took."""

    cpu_ms: float
    wall_ms: Sequence[float]

    def to_dict(self) -> dict[str, float]:
        """Mean CPU milliseconds; median and 95th percentile of the wall milliseconds."""
        ordered = sorted(self.wall_ms)
        return {
            "cpu_ms": round(self.cpu_ms, 1),
            "p50_ms": round(statistics.median(ordered), 1),
            "p95_ms": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
            "requests": len(ordered),
        }


def measure(models: Path, *, rounds: int = 5) -> dict[str, Any]:
    """Serve and ask.

    Args:
        models: the models folder.
        rounds: how often each of six emotions is asked for, and how many new portraits.

    Returns:
        device, cores, engine; for each kind of request CPU milliseconds (mean) and wall
        milliseconds: `first` after the service is ready, `cold` (a new portrait), `warm` as png,
        jpg and webp, `cached` (the same picture again), `batch_warm` and `batch_cold` (seven
        emotions); `bars` with what each of them may be.
    """
    from sunriza_assets.studio.sample.clip import sample_portrait

    portrait = Image.fromarray(sample_portrait())
    with TemporaryDirectory(prefix="sunriza-") as folder, _served(Path(folder), models) as served:
        client, processes = served
        pictures = (_jpeg(portrait, number) for number in range(10_000))

        def sample(calls: Sequence[Callable[[], httpx.Response]]) -> dict[str, float]:
            walls, before = [], _cpu_s(processes)
            for call in calls:
                begin = time.perf_counter()
                call().raise_for_status()
                walls.append((time.perf_counter() - begin) * 1000)
            spent = (_cpu_s(processes) - before) * 1000 / len(calls)
            return _Sample(spent, walls).to_dict()

        def asking(picture: bytes, emotion: str, intensity: float, form: str = "png") -> Any:
            fields = {"emotion": emotion, "intensity": f"{intensity}", "output_format": form}
            files = {"source_image": ("portrait.jpg", picture)}
            return lambda: client.post("/render", files=files, data=fields)

        def batch(picture: bytes, intensity: float) -> Any:
            files = {"source_image": ("portrait.jpg", picture)}
            fields = {"intensity": f"{intensity}"}
            return lambda: client.post("/render/batch", files=files, data=fields)

        figures: dict[str, Any] = {"first": sample([asking(next(pictures), "happy", 0.7)])}
        figures["cold"] = sample(
            [asking(next(pictures), _EMOTIONS[n % 6], 0.7) for n in range(2 * rounds)]
        )
        known = next(pictures)
        sample([asking(known, "happy", 0.1)])
        asked = [(emotion, 0.3 + 0.1 * n) for n in range(rounds) for emotion in _EMOTIONS]
        for form in ("png", "jpg", "webp"):
            figures[f"warm_{form}"] = sample([asking(known, *wish, form) for wish in asked])
        figures["cached"] = sample([asking(known, *wish) for wish in asked])
        figures["batch_warm"] = sample([batch(known, 0.31 + 0.1 * n) for n in range(rounds)])
        figures["batch_cold"] = sample([batch(next(pictures), 0.7) for _ in range(rounds)])
        facts = client.get("/health").json()
    figures["bars"] = {
        "cold": figures["cold"]["cpu_ms"] <= BARS["cold"],
        **{f"warm_{form}": figures[f"warm_{form}"]["cpu_ms"] <= BARS["warm"]
           for form in ("png", "jpg", "webp")},
    }  # fmt: skip
    return {
        "device": facts["gpu_name"] or cpu().name,
        "cores": core_count(),
        "engine": f"{facts['engine']} {facts['model_version']}",
        **figures,
    }


def _jpeg(portrait: Image.Image, number: int) -> bytes:
    """The portrait as a file that differs from all others."""
    file = io.BytesIO()
    portrait.save(file, "JPEG", quality=92, comment=f"{number}")
    return file.getvalue()


@contextmanager
def _served(home: Path, models: Path) -> Iterator[tuple[httpx.Client, list[psutil.Process]]]:
    """A client of a service on a home of its own, and the processes that serve."""
    environment = {
        **os.environ,
        "SUNRIZA_HOME": str(home),
        "SUNRIZA_MODELS": str(models),
        "SUNRIZA_AUTH": "off",
    }
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        descriptor = listener.fileno()
        log = home / "bench.log"
        module = "sunriza_assets.service"
        commands = (
            [f"{module}.engine_process"],
            [f"{module}.api_process", "127.0.0.1", str(descriptor), "0"],
        )
        with log.open("wb") as output:
            children = [
                subprocess.Popen(
                    [sys.executable, "-m", *command],
                    env=environment,
                    pass_fds=[descriptor],
                    stdout=output,
                    stderr=output,
                )
                for command in commands
            ]
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=url, timeout=_START_S, trust_env=False) as client:
                end = time.monotonic() + _START_S
                while client.get("/health").status_code != 200:
                    if time.monotonic() > end:
                        raise TimeoutError(f"The service is not ready: {log.read_text()[-2000:]}")
                yield client, [psutil.Process(child.pid) for child in children]
        finally:
            for child in children:
                child.terminate()
            for child in children:
                child.wait()


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    """CPU seconds of processes, of their children, and of what those have waited for."""
    everyone = [one for process in processes for one in (process, *process.children())]
    return sum(sum(one.cpu_times()[:4]) for one in everyone)


if __name__ == "__main__":
    from resources.home import Home

    print(json.dumps(measure(Home.from_environment().models), indent=1))  # noqa: T201 - its answer
