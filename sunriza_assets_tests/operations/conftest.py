"""A home with orders and avatars, and a runner that makes nothing: the test says how runs go."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.orders.open import open_orders
from resources.orders.order import Order, new_order_id
from resources.orders.store import OrderStore, Quota
from resources.stores import open_stores
from sunriza_assets.graph.partitions import AVATAR_TAG
from sunriza_assets.operations.order_runs import Outcome, Progress, SpeechWork, Work
from sunriza_assets.operations.orders import Dispatcher

NO_QUOTA = Quota(unfinished=None, per_day=None, queue=None)


@dg.op
def nothing() -> None:
    """Nothing to do."""


@dg.job
def empty() -> None:
    nothing()


def ordered(avatar_id: str, owner: str) -> Order:
    """A new order for an avatar."""
    now = datetime.now(UTC).replace(microsecond=0)
    return Order(new_order_id(), "dynamics", owner, "accepted", now, avatar_id=avatar_id)


@dataclass
class HandRunner:
    """Takes runs; the test reports what becomes of them."""

    room: int = 1
    works: list[Work] = field(default_factory=list)
    speeches: list[SpeechWork] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    cancelled: list[str] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    reports: list[Progress | Outcome] = field(default_factory=list)

    def free(self) -> int:
        return self.room - len(self.running)

    def start(self, work: Work | SpeechWork) -> None:
        if isinstance(work, SpeechWork):
            self.speeches.append(work)
        else:
            self.works.append(work)
        self.running.add(work.run_id)

    def has(self, run_id: str) -> bool:
        return run_id in self.running

    def is_lost(self, run: dg.DagsterRun) -> bool:
        return run.run_id in self.lost

    def cancel(self, run_id: str) -> None:
        if run_id not in self.cancelled:
            self.cancelled.append(run_id)

    def poll(self) -> list[Progress | Outcome]:
        taken, self.reports = self.reports, []
        self.running -= {one.run_id for one in taken if isinstance(one, Outcome)}
        return taken


@dataclass
class Office:
    """Everything that a dispatcher works with."""

    store: OrderStore
    instance: dg.DagsterInstance
    runner: HandRunner
    dispatcher: Dispatcher
    now: list[float]

    def tick(self, seconds: float = 1.1) -> None:
        """Let time pass and the dispatcher look."""
        self.now[0] += seconds
        self.dispatcher.tick()

    def restart(self) -> None:
        """A new dispatcher, and nothing is left of the old one's memory."""
        self.runner = HandRunner()
        self.dispatcher = Dispatcher(
            self.store, self.instance, self.runner, clock=lambda: self.now[0]
        )

    def avatar(self, avatar_id: str, owner: str = "ann", **wishes: Any) -> str:
        """Make or change an avatar that asks for a run; its inputs version."""
        document = open_stores().avatars.merge(
            avatar_id,
            {
                "userId": owner,
                "training": {"heroImageUrl": "a.jpg", "heroVideoUrl": "a.mp4"},
                "dynamics": {"basic": {"status": "pending", "parameters": wishes}},
            },
        )
        return document.inputs_version

    def order(self, avatar_id: str, owner: str = "ann", **inputs: Any) -> Order:
        """Accept an order for an avatar, which is made if it is missing."""
        if not open_stores().avatars.present([avatar_id]):
            self.avatar(avatar_id, owner)
        version = open_stores().avatars.get(avatar_id).inputs_version
        order = replace(ordered(avatar_id, owner), inputs=inputs, inputs_version=version)
        return self.store.accept(order, quota=NO_QUOTA).order

    def get(self, order: Order) -> Order:
        """An order as it is stored now."""
        found = self.store.get(order.order_id)
        assert found is not None
        return found

    def run(
        self, work: Work, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED, **tags: str
    ) -> dg.DagsterRun:
        """The run of a work, as a worker makes it; it has claimed its avatar."""
        run = self.instance.create_run_for_job(
            empty,
            run_id=work.run_id,
            tags={**work.tags, AVATAR_TAG: work.avatar_id, **tags},
            status=status,
        )
        open_stores().avatars.claim(work.avatar_id, work.run_id)
        return run

    def publish(self, work: Work) -> None:
        """Publish what a run has made."""
        open_stores().avatars.publish(
            work.avatar_id,
            work.run_id,
            version="v000001-00000001",
            results={"idleVideoUrl": "https://example.com/idle.mp4"},
            parameters={},
            overridden={},
        )


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    for name in [name for name in os.environ if name.startswith("SUNRIZA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    now = [1000.0]
    with dg.DagsterInstance.ephemeral() as instance:
        runner = HandRunner()
        store = open_orders()
        dispatcher = Dispatcher(store, instance, runner, clock=lambda: now[0])
        yield Office(store, instance, runner, dispatcher, now)
        store.close()
