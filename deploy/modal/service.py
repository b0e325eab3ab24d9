"""The HTTP service on Modal, at the address that the app has always called.

    modal deploy deploy/modal/service.py
    curl https://<workspace>--sunriza-dynamics-generate-dynamics.modal.run/health

One small container answers requests and draws emotions on its processor. Jobs are rows in Postgres;
as long as some are unfinished, one container with a GPU works on them, then it ends. So nothing is
paid while nobody asks. The secret `sunriza` holds, beside what `app.py` needs of it,

    SUNRIZA_ORDERS_URL     postgresql://user:password@host/database, reachable from Modal
    SUNRIZA_POSTGRES_URL   the same for Dagster's history of runs
    SUNRIZA_AUTH           anonymous-until=YYYY-MM-DD as long as old app builds send no token
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

import modal
from sunriza_image import MODELS, image_with

GPU: Final = "T4"
PORT: Final = 8080
LABEL: Final = "sunriza-dynamics-generate-dynamics"
"""The address's part behind the workspace, as it stands in the app."""
LOOK_S: Final = 1.0
"""Seconds between two looks at the queue."""
IDLE_S: Final = 20.0
"""Seconds without an unfinished job after which the GPU is given back."""
STOP_S: Final = 30.0
"""Seconds that a process may take to end."""

app = modal.App("sunriza-dynamics")
image = image_with("gpu,celery")
models = modal.Volume.from_name("sunriza-models", create_if_missing=True)
settings = modal.Secret.from_name("sunriza")


class Counts(Protocol):
    """What is asked of the store of jobs."""

    def counts(self) -> Mapping[tuple[str, str], int]:
        """(kind, status) -> jobs."""
        ...


@app.function(
    image=image,
    cpu=2.0,
    memory=4096,
    volumes={MODELS: models},
    secrets=[settings],
    min_containers=0,
    # One: emotion pictures lie on its disk until they are fetched.
    max_containers=1,
    scaledown_window=300,
    timeout=3600,
)
@modal.concurrent(max_inputs=200)
@modal.web_server(PORT, startup_timeout=120, label=LABEL)
def generate_dynamics() -> None:
    """The API and its engine, and a thread that asks for a GPU when jobs wait."""
    from resources.orders.open import open_orders

    for part in (["engine"], ["api", "--host", "0.0.0.0", "--port", str(PORT)]):  # noqa: S104
        subprocess.Popen(serve(*part))
    threading.Thread(
        target=watch, args=(open_orders(), work.spawn), name="queue", daemon=True
    ).start()


@app.function(
    image=image,
    gpu=GPU,
    cpu=2.0,
    memory=8192,
    volumes={MODELS: models},
    secrets=[settings],
    min_containers=0,
    # One dispatcher is active anyway; a second container would only wait for its lease.
    max_containers=1,
    scaledown_window=60,
    timeout=3600,
    # A job that was at work is taken up again by the next dispatcher, whoever starts it.
    retries=0,
)
def work() -> None:
    """Work on jobs until none is left."""
    from resources.orders.open import open_orders

    drain(open_orders(), serve("dispatcher"))


def serve(part: str, *options: str) -> list[str]:
    """The command line of one part of the service."""
    return [str(Path(sys.executable).with_name("sunriza")), "serve", "--only", part, *options]


def watch(
    orders: Counts,
    start: Callable[[], object],
    *,
    look_s: float = LOOK_S,
    again_s: float = 60.0,
    stop: threading.Event | None = None,
) -> None:
    """Call `start` when jobs wait; again after a while, should they still do.

    Args:
        orders: the store of jobs.
        start: starts a worker; one that is there already makes it nothing.
        look_s: seconds between two looks.
        again_s: seconds after which a start that has changed nothing is repeated.
        stop: ends the watch.
    """
    stop = stop or threading.Event()
    started = float("-inf")
    while not stop.wait(look_s):
        if unfinished(orders, "queued") == 0:
            started = float("-inf")
        elif time.monotonic() - started >= again_s:
            start()
            started = time.monotonic()


def drain(
    orders: Counts, command: list[str], *, look_s: float = LOOK_S, idle_s: float = IDLE_S
) -> int:
    """Run a dispatcher until no job has been unfinished for a while; its exit code."""
    process = subprocess.Popen(command)
    try:
        busy = time.monotonic()
        while process.poll() is None and time.monotonic() - busy < idle_s:
            if unfinished(orders, "queued", "running"):
                busy = time.monotonic()
            time.sleep(look_s)
    finally:
        process.terminate()
        try:
            code = process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    return code


def unfinished(orders: Counts, *statuses: str) -> int:
    """How many jobs have one of these statuses."""
    return sum(count for (_, status), count in orders.counts().items() if status in statuses)
