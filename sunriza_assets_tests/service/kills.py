"""Kill the service's processes at random moments under many jobs, and count what is lost.

    python -m sunriza_assets_tests.service.kills [--kills 100] [--jobs 200] [--seed 1] [--fleet]

Four of five jobs are for avatars of their own, so that each is a whole run; every fifth asks for an
avatar again. Half of the jobs wait from the beginning, half are asked for over HTTP meanwhile, each
with a key, again and again until it is answered.

With `--fleet` orders and Dagster's storage are in Postgres, and runs go to a Celery worker through
Redis; both servers, Dagster's daemon and the worker are killed, too, and started again.

Prints a table; exit code 1 if a job was lost, published twice, told of twice, or did not end. The
webhooks' receiver does not exist: their tries are counted where they are stored.
"""

import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import click
import httpx
import psutil

from resources.orders.open import open_orders
from resources.orders.order import Order, Webhook, new_order_id
from resources.orders.store import OrderStore, Quota
from resources.stores import open_stores
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.studio.sample.clip import write_sample
from sunriza_assets_tests.service.kill_report import Report, Watch, judge
from sunriza_assets_tests.service.serving_processes import Serving, begin_serving

__all__ = ["SMALL", "Embedded", "World", "kill_process", "place", "run"]

MODELS = Path(os.environ.get("SUNRIZA_MODELS") or Path(__file__).parents[2] / "data" / "models")
SMALL: Mapping[str, object] = {"max_seconds": 1.0, "stitching_retargeting_eyes_width": 256}
UNLIMITED = Quota(unfinished=None, per_day=None, queue=None)
_SETTINGS = {
    "SUNRIZA_UNFINISHED_JOBS": "100000",
    "SUNRIZA_JOBS_PER_DAY": "100000",
    "SUNRIZA_JOBS_PER_MINUTE": "100000",
    "SUNRIZA_OWNER_RUNS_PER_DAY": "unlimited",
}
_QUIET_EVERY = 8
"""After so many kills nothing is killed until a job has ended."""


class World(Protocol):
    """The processes that are killed."""

    serving: Serving
    targets: Sequence[str]

    def kill(self, target: str) -> bool:
        """Kill one; False if there is none now."""
        ...

    def is_back(self, target: str) -> bool:
        """Whether it runs again."""
        ...


class Embedded:
    """`sunriza serve` with its defaults."""

    targets: Sequence[str] = (
        "api_process",
        "dispatcher_process",
        "order_worker",
        "engine_process",
    )

    def __init__(self, log: Path) -> None:
        self.serving = begin_serving(["--no-ui"], log)

    def __enter__(self) -> "Embedded":
        return self

    def __exit__(self, *_: object) -> None:
        self.serving.end()

    def kill(self, target: str) -> bool:
        """See `World`."""
        return kill_process(self.serving.find(target))

    def is_back(self, target: str) -> bool:
        """See `World`."""
        return self.serving.find(target) is not None


def kill_process(victim: psutil.Process | None) -> bool:
    """Kill a process with -9; False if there is none."""
    if victim is None:
        return False
    try:
        victim.kill()
        victim.wait(10)
    except psutil.Error:
        return False
    return True


def place(store: OrderStore, avatar_id: str, number: int) -> Order:
    """Ask for an avatar as the API does: the wish in the document, then the order."""
    wishes = {"drivingMultiplier": 1 + number % 7 / 20}
    order_id = new_order_id()
    document = open_stores().avatars.ask(avatar_id, parameters=wishes, job_id=order_id)
    now = datetime.now(UTC)
    order = Order(
        order_id, "dynamics", f"owner-{number % 3}", "accepted",
        now.replace(microsecond=now.microsecond // 1000 * 1000),
        {"number": number}, avatar_id=avatar_id, inputs_version=document.inputs_version,
        webhook=Webhook("https://receiver.invalid/"),
    )  # fmt: skip
    return store.accept(order, quota=UNLIMITED).order


class Asking:
    """Asks for jobs over HTTP, one after another, each until it is answered with a job."""

    def __init__(self, serving: Serving, avatars: Sequence[str], report: Report) -> None:
        self._url = f"{serving.url}/generate-dynamics"
        self._avatars = avatars
        self._report = report
        self._stop = threading.Event()
        self.pause_s = 2.0
        self.orders: list[str] = []
        self.thread = threading.Thread(target=self._ask_all, daemon=True)

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()
        self.thread.join(60)

    def _ask_all(self) -> None:
        for number, avatar_id in enumerate(self._avatars):
            if self._stop.wait(self.pause_s):
                return
            order_id = None
            while order_id is None:
                order_id = self._ask(avatar_id, f"key-{number}")
                if order_id is None and self._stop.wait(0.5):
                    return
            self.orders.append(order_id)
            repeated = self._ask(avatar_id, f"key-{number}")
            if repeated not in (None, order_id):
                self._report.wrong.append(f"one key has made {order_id} and {repeated}")

    def _ask(self, avatar_id: str, key: str) -> str | None:
        try:
            answer = httpx.post(
                self._url,
                json={"avatar_id": avatar_id, "force": True},
                headers={"Idempotency-Key": key},
                timeout=40,
                trust_env=False,
            )
        except httpx.HTTPError as problem:
            self._report.answers[type(problem).__name__] += 1
            return None
        self._report.answers[str(answer.status_code)] += 1
        if answer.status_code == 200:
            return str(answer.json()["job_id"])
        if answer.status_code not in (409, 503):
            self._report.wrong.append(f"a caller was answered {answer.text[:200]}")
        return None


def prepare(home: Path, models: Path, count: int) -> list[str]:
    """Avatars in the stores of this process's settings; their ids."""
    sample = write_sample(home / "sample", models)
    names = [f"avatar-{number:03d}" for number in range(count)]
    for name in names:
        add_avatar(name, sample.portrait, sample.clip, parameters=dict(SMALL))
        # Dagster's sensors, where a daemon runs, leave it alone until somebody asks for it.
        open_stores().avatars.merge(name, {"training": {"dynamicsEnabled": False}})
    return names


def run(
    opened: AbstractContextManager[World],
    names: Sequence[str],
    *,
    kills: int,
    jobs: int,
    seed: int,
    pause_s: float = 6.0,
) -> Report:
    """Ask for jobs, kill processes, wait for the end of all.

    Args:
        opened: the processes, started inside.
        names: the avatars.
        kills: how often a process is killed.
        jobs: how many.
        seed: of the moments and victims.
        pause_s: longest pause between a recovery and the next kill.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    report = Report(jobs)
    wanted = [names[number % len(names)] for number in range(jobs)]
    begin = time.monotonic()
    with opened as world:
        world.serving.wait_until_ready()
        store = open_orders()
        orders = [place(store, name, number) for number, name in enumerate(wanted[: jobs // 2])]
        asking = Asking(world.serving, wanted[jobs // 2 :], report)
        asking.thread.start()
        watch = Watch(store, report)
        try:
            for number in range(kills):
                watch.wait(chance.uniform(0.2, pause_s))
                target = chance.choice(world.targets)
                if world.kill(target):
                    report.kills[target] += 1
                    watch.restart()
                watch.until(lambda target=target: world.is_back(target), 120)  # type: ignore[misc]
                watch.restart()
                if number % _QUIET_EVERY == _QUIET_EVERY - 1:
                    watch.until_one_ends(300)
            asking.pause_s = 0.0
            watch.until(lambda: not asking.thread.is_alive(), 60 + 2 * jobs)
            watch.until(lambda: not store.unfinished(), 120 + 30 * jobs)
            report.seconds = time.monotonic() - begin
            told = [one.order_id for one in orders]
            judge(store, told + asking.orders, told, report)
            if len(set(told + asking.orders)) != jobs:
                report.wrong.append(f"{len(set(told + asking.orders))} jobs for {jobs} wishes")
        finally:
            asking.stop()
            store.close()
    return report


@click.command()
@click.option("--kills", default=100, show_default=True)
@click.option("--jobs", default=200, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--fleet", is_flag=True, help="Postgres, Redis and a Celery worker, killed as well.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep homes and logs there.")
def main(kills: int, jobs: int, seed: int, fleet: bool, folder: Path | None) -> None:
    """Kill, wait, and print what became of the jobs."""
    with tempfile.TemporaryDirectory(prefix="sunriza-kills-", ignore_cleanup_errors=True) as made:
        root = folder or Path(made)
        root.mkdir(parents=True, exist_ok=True)
        for name in [one for one in os.environ if one.startswith(("SUNRIZA_", "DAGSTER_"))]:
            del os.environ[name]
        os.environ |= _SETTINGS | {
            "SUNRIZA_HOME": str(root / "home"),
            "SUNRIZA_MODELS": str(MODELS),
        }
        names = prepare(root / "home", MODELS, max(1, jobs * 4 // 5))
        opened: AbstractContextManager[World]
        if fleet:
            from sunriza_assets_tests.service.kills_fleet import Fleet

            opened = Fleet(root, random.Random(seed + 1))  # noqa: S311 - no secret
        else:
            opened = Embedded(root / "serve.log")
        report = run(opened, names, kills=kills, jobs=jobs, seed=seed)
    sys.exit(report.show())


if __name__ == "__main__":
    main()
