"""The same jobs through each way to run them: how soon they start, how soon they can be cancelled.

The warm worker beside the service; Dagster's queue with a process per run; and the queue with a
Celery worker, Redis and Postgres, if these servers are installed.
"""

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import dagster as dg
import httpx
import psutil

from resources.home import Home
from resources.orders.open import open_orders
from resources.orders.order import Order
from resources.orders.store import OrderStore
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.platform.instance import opened_instance
from sunriza_assets.studio.sample.clip import write_sample
from sunriza_assets_tests.fleet.servers import Child
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.service.bench_rows import Row
from sunriza_assets_tests.service.serving_processes import Serving, begin_serving

__all__ = ["MODES"]

ROOT: Final = Path(__file__).parents[2]
SMALL: Final = {"max_seconds": 1.0, "stitching_retargeting_eyes_width": 256}
LONG: Final = {"max_seconds": 10.0, "stitching_retargeting_eyes_width": 512}
JOBS: Final = 4
CANCELLED: Final = 3
_PATIENCE_S: Final = 300.0


@contextmanager
def warm(root: Path) -> Iterator[Serving]:
    """The default: a warm worker."""
    yield from _served(root)


@contextmanager
def queue(root: Path) -> Iterator[Serving]:
    """SUNRIZA_DISPATCH=queue on one machine: Dagster's daemon, a process per run."""
    os.environ["SUNRIZA_DISPATCH"] = "queue"
    with opened_instance(Home.from_environment()):
        pass
    command = [Path(sys.executable).with_name("dagster-daemon"), "run", "-m"]
    daemon = Child(
        [*command, "sunriza_assets.definitions"], root / "daemon.log", env=os.environ, cwd=ROOT
    )
    try:
        yield from _served(root)
    finally:
        daemon.stop()


@contextmanager
def celery(root: Path) -> Iterator[Serving]:
    """SUNRIZA_DISPATCH=queue on a fleet: Celery, Redis, Postgres."""
    from sunriza_assets_tests.service.kills_fleet import Fleet

    with Fleet(root, random.Random(1)) as fleet:  # noqa: S311 - no secret
        fleet.serving.wait_until_ready()
        yield fleet.serving


def _served(root: Path) -> Iterator[Serving]:
    serving = begin_serving(["--no-ui"], root / "serve.log")
    try:
        serving.wait_until_ready()
        yield serving
    finally:
        serving.end()


_OPENED: Final[Mapping[str, Callable[[Path], AbstractContextManager[Serving]]]] = {
    "warm worker": warm,
    "queue, a process per run": queue,
    "queue, Celery": celery,
}


def _measured(name: str, models: Path, figures: dict[str, Any]) -> Iterator[Row]:
    """From the acceptance of a job to its first step, and from a cancellation to its end."""
    opened = _OPENED[name]
    if opened is celery and shutil.which("redis-server") is None:
        yield Row(name, "not measured: apt-get install redis-server postgresql")
        return
    with _home(models) as root, opened(root) as serving, ExitStack() as stack:
        instance = stack.enter_context(opened_instance(Home.from_environment()))
        store = open_orders()
        stack.callback(store.close)
        url = serving.url
        client = stack.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=60))
        waits = [_first_step_s(client, store, instance, one) for one in range(JOBS)]
        ends = [_cancelled_s(client, store, instance, one) for one in range(CANCELLED)]
        figures[name] = {"waits": waits, "cancelled": ends}
        yield from _rows(name, figures[name])


def _rows(name: str, found: Mapping[str, list[float]]) -> Iterator[Row]:
    first, *waits = found["waits"]
    bar = 0.6 if name == "warm worker" else 7.0
    told = ", ".join(f"{wait:.1f}" for wait in waits)
    yield Row(
        f"accept to first step, {name}",
        f"{told} s (the first job {first:.1f})",
        f"≤ {bar} s on a quiet machine",
        sorted(waits)[len(waits) // 2] <= bar,
    )
    told = ", ".join(f"{wait:.1f}" for wait in found["cancelled"])
    yield Row(f"cancel to end, {name}", f"{told} s", "≤ 5 s", max(found["cancelled"]) <= 5.0)


def _first_step_s(
    client: httpx.Client, store: OrderStore, instance: dg.DagsterInstance, number: int
) -> float:
    """Seconds from an order's acceptance to the start of its first step, as both are stored."""
    order_id = _ask(client, "short", number)
    wait_for(lambda: _order(store, order_id).is_terminal, _PATIENCE_S)
    order = _order(store, order_id)
    assert order.state == "done", order
    started = instance.get_records_for_run(
        order.run_id or "", of_type=dg.DagsterEventType.STEP_START
    ).records
    first = min(record.event_log_entry.timestamp for record in started)
    return first - order.created_at.timestamp()


def _cancelled_s(
    client: httpx.Client, store: OrderStore, instance: dg.DagsterInstance, number: int
) -> float:
    """Seconds from the cancellation of a running job to its end; then nothing is left of it."""
    order_id = _ask(client, "long", number)
    before = _processes()
    wait_for(lambda: _is_at_work(store, instance, order_id), _PATIENCE_S)
    time.sleep(random.Random(number).uniform(0.0, 2.0))  # noqa: S311 - no secret
    # Dagster's daemon replaces its code servers from time to time.
    workers = [one for one in _processes() - before if "grpc" not in one.cmdline()]
    begin = time.monotonic()
    client.post(f"/jobs/{order_id}/cancel").raise_for_status()
    wait_for(lambda: _order(store, order_id).is_terminal, _PATIENCE_S)
    seconds = time.monotonic() - begin
    order = _order(store, order_id)
    assert order.state == "cancelled", f"it was cancelled too late: {order}"
    run = instance.get_run_by_id(order.run_id or "")
    assert run is not None
    assert run.status == dg.DagsterRunStatus.CANCELED
    wait_for(lambda: not instance.event_log_storage.get_concurrency_run_ids(), 30)
    # What the run has started is gone, and so is its process where it had one of its own.
    end = time.monotonic() + 30
    while left := [one for one in workers if _is_running(one)]:
        assert time.monotonic() < end, [(one.create_time(), one.cmdline()) for one in left]
        time.sleep(0.1)
    return seconds


def _ask(client: httpx.Client, avatar_id: str, number: int) -> str:
    wished = {"drivingMultiplier": 1 + number / 20}
    body = {"avatar_id": avatar_id, "parameters": wished, "force": True}
    answer = client.post("/generate-dynamics", json=body)
    return str(answer.raise_for_status().json()["job_id"])


def _order(store: OrderStore, order_id: str) -> Order:
    order = store.get(order_id)
    assert order is not None
    return order


def _is_at_work(store: OrderStore, instance: dg.DagsterInstance, order_id: str) -> bool:
    """Whether the idle, the longest step, is being drawn."""
    order = _order(store, order_id)
    assert not order.is_terminal, order
    stats = instance.get_run_step_stats(order.run_id, ["idle_video"]) if order.run_id else []
    return any(one.start_time and not one.end_time for one in stats)


def _processes() -> set[psutil.Process]:
    """All descendants of this process."""
    return set(psutil.Process().children(recursive=True))


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def _home(models: Path) -> Iterator[Path]:
    """A folder with a home of its own, with the avatars `short` and `long`."""
    former = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="sunriza-modes-", ignore_cleanup_errors=True) as name:
        for one in [one for one in os.environ if one.startswith(("SUNRIZA_", "DAGSTER_"))]:
            del os.environ[one]
        root = Path(name)
        os.environ |= {"SUNRIZA_HOME": str(root / "home"), "SUNRIZA_MODELS": str(models)}
        try:
            sample = write_sample(root / "sample", models)
            for avatar_id, parameters in (("short", SMALL), ("long", LONG)):
                add_avatar(avatar_id, sample.portrait, sample.clip, parameters=dict(parameters))
                _leave_to_orders(avatar_id)
            yield root
        finally:
            os.environ.clear()
            os.environ.update(former)


def _leave_to_orders(avatar_id: str) -> None:
    """Have Dagster's sensors leave an avatar alone until somebody asks for it."""
    from resources.stores import open_stores

    open_stores().avatars.merge(avatar_id, {"training": {"dynamicsEnabled": False}})


MODES: Final = {
    "warm": partial(_measured, "warm worker"),
    "queue": partial(_measured, "queue, a process per run"),
    "celery": partial(_measured, "queue, Celery"),
}
"""The parts of `bench_service` by name."""
