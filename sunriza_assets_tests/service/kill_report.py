"""What becomes of jobs whose processes are killed: counted from stores, records and Dagster."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import click
import dagster as dg

from resources.home import Home
from resources.orders.store import OrderStore
from resources.stores import open_stores
from sunriza_assets.errors import StoreError
from sunriza_assets.graph.tags import ORDER_TAG
from sunriza_assets.platform.instance import opened_instance

__all__ = ["RECOVERY_S", "Report", "Watch", "judge"]

RECOVERY_S = 60.0
"""Bound for a quiet machine."""
_SETTLE_S = 60.0
"""How long the last run may take to be closed, and the last notice to be tried."""


@dataclass
class Report:
    """What became of the jobs."""

    jobs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    """What callers were answered, or why they were not."""
    unfinished: int = 0
    publications: int = 0
    wrong: list[str] = field(default_factory=list)
    """What must not be."""
    longest_pause_s: float = 0.0
    seconds: float = 0.0

    @property
    def problems(self) -> list[str]:
        """All that must not be."""
        found = [f"{self.unfinished} jobs have not ended"] if self.unfinished else []
        if set(self.states) - {"done"}:
            found.append(f"not all jobs are done: {dict(self.states)}, {dict(self.errors)}")
        if self.answers["500"]:
            found.append(f"callers were answered 500 {self.answers['500']} times")
        return found + self.wrong

    def rows(self) -> Mapping[str, object]:
        """What is printed."""
        return {
            "killed": ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items())),
            "jobs by state": dict(self.states),
            "jobs by attempts": dict(sorted(self.attempts.items())),
            "answers to callers": dict(self.answers),
            "publications": self.publications,
            "longest time without the end of a job": f"{self.longest_pause_s:.0f} s",
            "all in all": f"{self.seconds:.0f} s",
        }

    def show(self) -> int:
        """Print it as a table; the exit code."""
        click.echo(f"| {self.jobs} jobs, {self.kills.total()} kills | |\n|---|---|")
        for name, value in self.rows().items():
            click.echo(f"| {name} | {value} |")
        problems = self.problems
        if self.longest_pause_s > RECOVERY_S:
            problems.append(f"no job ended for {self.longest_pause_s:.0f} s")
        for problem in problems:
            click.echo(problem, err=True)
        return int(bool(problems))


class Watch:
    """Notes the longest time from a recovery or the end of a job to the next end."""

    def __init__(self, store: OrderStore, report: Report) -> None:
        self._store = store
        self._report = report
        self._left = -1
        self._since = time.monotonic()

    def restart(self) -> None:
        """Something was killed, or is back."""
        self._since = time.monotonic()

    def wait(self, seconds: float) -> None:
        """Look on for a while."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end, seconds + 1)

    def until(self, condition: Callable[[], object], seconds: float) -> bool:
        """Look on until something is so, or for so long; whether it is so."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            self._look()
            time.sleep(0.1)
        return True

    def until_one_ends(self, seconds: float) -> bool:
        """Look on until a job ends, or none is left."""
        self._look()
        before = self._left
        return self.until(lambda: self._left < before or not self._left, seconds)

    def _look(self) -> None:
        now = time.monotonic()
        try:
            left = len(self._store.unfinished())
        except StoreError:  # it was killed
            return
        if left != self._left or not left:
            self._left, self._since = left, now
        pause = now - self._since
        self._report.longest_pause_s = max(self._report.longest_pause_s, pause)


def judge(store: OrderStore, order_ids: Iterable[str], told: Iterable[str], report: Report) -> None:
    """Compare orders, publications, runs, pool slots and notices.

    Args:
        store: the orders.
        order_ids: all of them.
        told: those with a webhook.
        report: gets what is found.
    """
    report.unfinished = len(store.unfinished())
    for order_id in order_ids:
        order = store.get(order_id)
        if order is None:
            report.wrong.append(f"{order_id} is gone")
            continue
        report.states[order.state] += 1
        report.attempts[order.attempt] += 1
        if order.error is not None:
            report.errors[order.error.code] += 1
    with opened_instance(Home.from_environment()) as instance:
        publications: Counter[str] = Counter()
        for avatar_id in open_stores().avatars.ids():
            document = open_stores().avatars.get(avatar_id)
            for one in document.record.published:
                made = instance.get_run_by_id(one.run_id)
                publications[made.tags.get(ORDER_TAG, one.run_id) if made else one.run_id] += 1
            if document.status != "ready":
                report.wrong.append(f"the document of {avatar_id} says {document.status}")
        report.publications = publications.total()
        report.wrong += [
            f"{name} was published {count} times"
            for name, count in publications.items()
            if count > 1
        ]
        report.wrong += _settled(lambda: _left_behind(instance))
    notices = {order_id: set[str]() for order_id in told}

    def untold() -> list[str]:
        for order_id, ids in notices.items():
            ids |= {one.notice_id for one in store.deliveries(order_id)}
        return [
            f"the end of {order_id} was not told" for order_id, ids in notices.items() if not ids
        ]

    report.wrong += _settled(untold)
    report.wrong += [
        f"{order_id} was told of by {len(ids)} notices"
        for order_id, ids in notices.items()
        if len(ids) > 1
    ]


def _left_behind(instance: dg.DagsterInstance) -> list[str]:
    """Runs that are still open, and slots that are still held."""
    open_runs = [
        run
        for run in instance.get_runs()
        if not run.is_finished and run.status != dg.DagsterRunStatus.QUEUED
    ]
    found = [f"run {run.run_id} was left {run.status.value}" for run in open_runs]
    storage = instance.event_log_storage
    return found + [
        f"pool {key} has {info.active_slot_count} slots held"
        for key in storage.get_concurrency_keys()
        if (info := storage.get_concurrency_info(key)).active_slot_count
    ]


def _settled(look: Callable[[], list[str]]) -> list[str]:
    """What is still found after a while."""
    end = time.monotonic() + _SETTLE_S
    while (found := look()) and time.monotonic() < end:
        time.sleep(0.5)
    return found
