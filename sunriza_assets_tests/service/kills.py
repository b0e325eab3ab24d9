"""Kill the service's processes at random moments under many jobs, and count what is lost.

    python -m sunriza_assets_tests.service.kills [--kills 100] [--jobs 200] [--seed 1]

Prints a table; exit code 1 if a job was lost, published twice, told of twice, or did not end. The
webhooks' receiver does not exist: their tries are counted where they are stored.
"""

import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click
import dagster as dg
import psutil

from resources.orders.open import open_orders
from resources.orders.order import Order, Webhook, new_order_id
from resources.orders.store import OrderStore, Quota
from resources.stores import open_stores
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.graph.tags import ORDER_TAG
from sunriza_assets.platform.instance import opened_instance
from sunriza_assets.studio.sample.clip import Sample, write_sample
from sunriza_assets_tests.service.serving_processes import Serving, begin_serving

MODELS = Path(__file__).parents[2] / "data" / "models"
TARGETS = ("api_process", "dispatcher_process", "order_worker", "engine_process")
SMALL: Mapping[str, object] = {"max_seconds": 1.0, "stitching_retargeting_eyes_width": 256}
AVATARS = 4
UNLIMITED = Quota(unfinished=None, per_day=None, queue=None)
RECOVERY_S = 60.0
"""Bound for a quiet machine."""


@dataclass
class Report:
    """What became of the jobs."""

    jobs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)
    unfinished: int = 0
    published_twice: list[str] = field(default_factory=list)
    told_twice: list[str] = field(default_factory=list)
    longest_pause_s: float = 0.0
    seconds: float = 0.0

    @property
    def problems(self) -> list[str]:
        """What must not be."""
        found = [f"{self.unfinished} jobs have not ended"] if self.unfinished else []
        if set(self.states) - {"done"}:
            found.append(f"not all jobs are done: {dict(self.states)}")
        found += [f"{one} published twice" for one in self.published_twice]
        return found + [f"{one} was told of twice" for one in self.told_twice]


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


def run(
    home: Path, models: Path, sample: Sample, *, kills: int, jobs: int, seed: int = 1
) -> Report:
    """Place jobs, kill processes, wait for the end of all."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    os.environ |= {"SUNRIZA_HOME": str(home), "SUNRIZA_MODELS": str(models)}
    os.environ.pop("DAGSTER_HOME", None)
    names = [f"avatar-{number}" for number in range(AVATARS)]
    for name in names:
        add_avatar(name, sample.portrait, sample.clip, parameters=dict(SMALL))
    store = open_orders()
    report = Report(jobs)
    serving = begin_serving(["--no-ui"], home / "serve.log")
    begin = time.monotonic()
    try:
        serving.wait_until_ready()
        orders = [place(store, names[number % AVATARS], number) for number in range(jobs)]
        watch = _Watch(store, report)
        for _ in range(kills):
            watch.wait(chance.uniform(0.2, 6.0))
            target = chance.choice(TARGETS)
            if _kill(serving, target):
                report.kills[target] += 1
                watch.restart()
            watch.until(lambda target=target: serving.find(target) is not None, 60)  # type: ignore[misc]
        watch.until(lambda: not store.unfinished(), 120 + 30 * jobs)
        report.seconds = time.monotonic() - begin
        _judge(store, [one.order_id for one in orders], report)
    finally:
        serving.end()
    return report


class _Watch:
    """Notes the longest time from a kill or the end of a job to the next end, while some wait."""

    def __init__(self, store: OrderStore, report: Report) -> None:
        self._store = store
        self._report = report
        self._left = len(store.unfinished())
        self._since = time.monotonic()

    def restart(self) -> None:
        """Something was killed."""
        self._since = time.monotonic()

    def wait(self, seconds: float) -> None:
        """Look on for a while."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end, seconds + 1)

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Look on until something is so, or for so long."""
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            left, now = len(self._store.unfinished()), time.monotonic()
            if left != self._left or not left:
                self._left, self._since = left, now
            pause = now - self._since
            self._report.longest_pause_s = max(self._report.longest_pause_s, pause)
            time.sleep(0.1)


def _kill(serving: Serving, target: str) -> bool:
    victim = serving.find(target)
    if victim is None:
        return False
    try:
        victim.kill()
        victim.wait(10)
    except psutil.Error:
        return False
    return True


def _judge(store: OrderStore, order_ids: list[str], report: Report) -> None:
    """Compare orders, publications and notices."""
    from resources.home import Home

    report.unfinished = len(store.unfinished())
    publications: Counter[str] = Counter()
    with opened_instance(Home.from_environment()) as instance:
        for avatar_id in open_stores().avatars.ids():
            for one in open_stores().avatars.get(avatar_id).record.published:
                made = instance.get_run_by_id(one.run_id)
                publications[made.tags[ORDER_TAG] if made else one.run_id] += 1
        closed = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        if closed:
            report.published_twice += [f"run {run.run_id} was left open and" for run in closed]
    report.published_twice += [name for name, count in publications.items() if count > 1]
    for order_id in order_ids:
        order = store.get(order_id)
        if order is None:
            report.states["gone"] += 1
            continue
        report.states[order.state] += 1
        report.attempts[order.attempt] += 1
        if len({one.notice_id for one in store.deliveries(order_id)}) > 1:
            report.told_twice.append(order_id)


@click.command()
@click.option("--kills", default=100, show_default=True)
@click.option("--jobs", default=200, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(kills: int, jobs: int, seed: int) -> None:
    """Kill, wait, and print what became of the jobs."""
    with tempfile.TemporaryDirectory(prefix="sunriza-kills-") as folder:
        home = Path(folder)
        sample = write_sample(home / "sample", MODELS)
        report = run(home, MODELS, sample, kills=kills, jobs=jobs, seed=seed)
    click.echo(f"| {report.jobs} jobs, {report.kills.total()} kills | |\n|---|---|")
    rows = {
        "killed": ", ".join(f"{name} {count}" for name, count in report.kills.items()),
        "jobs by state": dict(report.states),
        "jobs by attempts": dict(sorted(report.attempts.items())),
        "longest time without the end of a job": f"{report.longest_pause_s:.0f} s",
        "all in all": f"{report.seconds:.0f} s",
        "published twice": len(report.published_twice),
        "told of twice": len(report.told_twice),
    }
    for name, value in rows.items():
        click.echo(f"| {name} | {value} |")
    for problem in report.problems:
        click.echo(problem, err=True)
    if report.longest_pause_s > RECOVERY_S:
        click.echo(f"no job ended for {report.longest_pause_s:.0f} s", err=True)
    sys.exit(bool(report.problems) or report.longest_pause_s > RECOVERY_S)


if __name__ == "__main__":
    main()
