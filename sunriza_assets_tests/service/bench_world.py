"""The services that `bench_service` measures: real processes on a fresh home, and callers."""

import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from resources.orders.open import open_orders
from resources.orders.order import Order, new_order_id
from resources.orders.store import OrderStore, Quota
from resources.stores import open_stores
from sunriza_assets.service.auth.keys import make_key
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.service.bench_load import run_client
from sunriza_assets_tests.service.key_server import PROJECT, KeyServer, key_server
from sunriza_assets_tests.service.serving_processes import CLI, Serving, begin_serving

__all__ = ["Bench", "api_alone", "bench_home", "whole_service"]

UNLIMITED: Final = Quota(unfinished=None, per_day=None, queue=None)
SMALL: Final = {"max_seconds": 1.0, "stitching_retargeting_eyes_width": 256}
# The limits of callers stand as they are by default; what calls often does so as many users.
_ENVIRONMENT: Final = {
    "SUNRIZA_AUTH": "required",
    "SUNRIZA_FIREBASE_PROJECT": PROJECT,
    "SUNRIZA_METRICS_PORT": "0",
}


@dataclass
class Bench:
    """A running service on a home of its own, with callers."""

    home: Path
    port: int
    process: psutil.Process
    """The API process."""
    signer: KeyServer
    serving: Serving | None = None
    orders: OrderStore = field(default_factory=open_orders)

    def token(self, user: int) -> str:
        """A user's ID token."""
        return self.signer.token(sub=f"user-{user}", user_id=f"user-{user}")

    def key(self, user: int) -> str:
        """A user's API key."""
        text, key = make_key(f"user-{user}", ["jobs", "render"], "bench")
        self.orders.add_key(key)
        return text

    def order(self, user: int, **changes: Any) -> Order:
        """An order that nobody works on, changed as told."""
        now = datetime.now(UTC).replace(microsecond=0)
        order = Order(
            new_order_id(), "dynamics", f"user-{user}", "accepted", now,
            {"parameters": {}}, avatar_id=f"a{user}", inputs_version=new_order_id(), eta_s=60.0,
        )  # fmt: skip
        order = self.orders.accept(order, quota=UNLIMITED).order
        return self.orders.change(order, **changes) if changes else order

    def cpu_s(self) -> float:
        """CPU seconds of the API process until now."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def ask(self, requests: list[str], count: int, connections: int) -> dict[str, Any]:
        """What `bench_load` finds, with `cpu_ms` of the API process for each request."""
        wish = {"requests": requests, "count": count, "connections": connections}
        before = self.cpu_s()
        found = run_client("requests", {"host": "127.0.0.1", "port": self.port, **wish})
        found["cpu_ms"] = (self.cpu_s() - before) * 1000 / count
        found["rate"] = count / found["seconds"]
        return found

    def rounds(self, rounds: list[list[str]], count: int, connections: int) -> dict[str, Any]:
        """`ask` for each of some rounds: the medians, the lowest, and both as text.

        The lowest comes nearest to a quiet machine: a process that is interrupted finds its caches
        cold.
        """
        all_found = [self.ask(requests, count, connections) for requests in rounds]
        figures: dict[str, Any] = {
            name: statistics.median(found[name] for found in all_found)
            for name in ("cpu_ms", "rate", "p50_ms", "p99_ms")
        }
        lowest = min(found["cpu_ms"] for found in all_found)
        statuses = {status for found in all_found for status in found["statuses"]}
        return figures | {
            "lowest_cpu_ms": lowest,
            "statuses": sorted(statuses),
            "cpu": f"{figures['cpu_ms']:.2f} ms CPU, lowest {lowest:.2f}",
            "wall": f"{figures['rate']:.0f}/s, p99 {figures['p99_ms']:.0f} ms"
            f" ({1000 / figures['cpu_ms']:.0f}/s for a whole core)",
        }


@contextmanager
def bench_home(models: Path) -> Iterator[KeyServer]:
    """A home of its own for this process and its children."""
    former = dict(os.environ)
    with (
        tempfile.TemporaryDirectory(prefix="sunriza-bench-", ignore_cleanup_errors=True) as home,
        key_server() as signer,
    ):
        for name in [one for one in os.environ if one.startswith("SUNRIZA_")]:
            del os.environ[name]
        os.environ.pop("DAGSTER_HOME", None)
        os.environ |= _ENVIRONMENT | {
            "SUNRIZA_HOME": home, "SUNRIZA_MODELS": str(models), "SUNRIZA_CERTS_URL": signer.url,
        }  # fmt: skip
        try:
            yield signer
        finally:
            os.environ.clear()
            os.environ.update(former)


@contextmanager
def api_alone(models: Path, **settings: str) -> Iterator[Bench]:
    """`sunriza serve --only api`: nobody works on the jobs."""
    from resources.serving.media_server import available_port

    with bench_home(models) as signer:
        home, port = Path(os.environ["SUNRIZA_HOME"]), available_port(18080)
        with (home / "serve.log").open("w") as log:
            served = subprocess.Popen(
                [*CLI, "serve", "--only", "api", "--port", str(port)],
                env=os.environ | settings,
                stdout=log,
                stderr=log,
            )
        bench = None
        try:
            url = f"http://127.0.0.1:{port}/health/live"
            wait_for(lambda: _answers(url), 60)
            family = psutil.Process(served.pid).children(recursive=True)
            api = next(one for one in family if "api_process" in " ".join(one.cmdline()))
            bench = Bench(home, port, api, signer)
            yield bench
        finally:
            if bench is not None:
                bench.orders.close()
            served.terminate()
            served.wait()


@contextmanager
def whole_service(models: Path) -> Iterator[Bench]:
    """`sunriza serve --no-ui`, ready, with the small avatar `short` of user 0."""
    from sunriza_assets.cli.avatar import add_avatar
    from sunriza_assets.studio.sample.clip import write_sample

    with bench_home(models) as signer:
        home = Path(os.environ["SUNRIZA_HOME"])
        sample = write_sample(home / "sample", models)
        add_avatar("short", sample.portrait, sample.clip, parameters=dict(SMALL))
        open_stores().avatars.merge("short", {"userId": "user-0"})
        serving = begin_serving(["--no-ui"], home / "serve.log", {"SUNRIZA_AUTH": "required"})
        bench = None
        try:
            serving.wait_until_ready()
            api = serving.find("api_process")
            assert api is not None
            port = int(serving.url.rpartition(":")[2])
            bench = Bench(home, port, api, signer, serving)
            yield bench
        finally:
            if bench is not None:
                bench.orders.close()
            serving.end()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
