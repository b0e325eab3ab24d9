"""The dispatcher process: holds the lease, turns orders into runs, delivers notices.

    python -m sunriza_assets.runs.dispatcher

One is active at a time; another one waits for the lease and takes over within ten seconds of the
first one's death, at once where it can see on this machine that the process is gone. SIGTERM and
SIGINT let runs end for a while; what has not ended then goes back to the queue.
"""

import logging
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from resources.home import Home
from resources.orders.open import open_orders
from resources.orders.order import Order
from resources.orders.store import OrderStore
from resources.process_names import is_gone, this_process
from resources.settings import current_settings
from resources.webhook_post import WebhookPost
from sunriza_assets.errors import StoreError
from sunriza_assets.operations.notices import Notices, Pusher, Result
from sunriza_assets.operations.order_runs import Runner
from sunriza_assets.operations.orders import Dispatcher
from sunriza_assets.operations.orders_under_way import DISPATCHER_LEASE
from sunriza_assets.operations.outages import Outage
from sunriza_assets.operations.purging import Purging
from sunriza_assets.platform.instance import gpu_count, opened_instance
from sunriza_assets.runs.worker_pool import WorkerPool

__all__ = ["dispatch"]

_log = logging.getLogger("sunriza.dispatcher")

LEASE_S: Final = 10.0
"""After how long without renewal another dispatcher takes over."""
RENEW_S: Final = 2.0
"""Seconds between renewals."""
DRAIN_S: Final = 15.0
"""How long runs may go on after the dispatcher was told to stop."""
_LOOK_S: Final = 0.05
"""Seconds between two looks for new orders."""
_TICK_S: Final = 1.0
"""Longest pause between two ticks."""


class Leadership:
    """Holds the lease in a thread of its own, until it is lost or given back."""

    def __init__(self, store: OrderStore, holder: str) -> None:
        self._store = store
        self._holder = holder
        self._ended = threading.Event()
        self._renewed = 0.0

    def wait(self, stopping: threading.Event) -> bool:
        """Wait until this process is the active one; False if it was told to stop before."""
        outage = Outage(_log, "The lease cannot be read")
        while not stopping.is_set():
            try:
                if self._try():
                    outage.over()
                    threading.Thread(target=self._renew, name="lease", daemon=True).start()
                    return True
                outage.over()
            except StoreError as problem:
                outage.failed(problem)
            stopping.wait(0.5)
        return False

    @property
    def is_held(self) -> bool:
        """Whether the lease is certainly this process's own.

        It is not while the store is away for longer than the lease lasts. Then nobody else can take
        over, either; whoever reaches the store first has it.
        """
        return not self.is_lost and time.monotonic() - self._renewed < LEASE_S

    @property
    def is_lost(self) -> bool:
        """Whether another process has the lease, or it was given back."""
        return self._ended.is_set()

    def release(self) -> None:
        """Give the lease back; it runs out by itself if the store is away."""
        self._ended.set()
        try:
            self._store.release_lease(DISPATCHER_LEASE, self._holder)
        except StoreError as problem:
            _log.warning("The lease is not given back: %s", problem)

    def _try(self) -> bool:
        former = self._store.lease(DISPATCHER_LEASE)
        if former is not None and former.holder != self._holder and is_gone(former.holder):
            self._store.release_lease(DISPATCHER_LEASE, former.holder)
        begin = time.monotonic()
        if (
            self._store.hold_lease(DISPATCHER_LEASE, self._holder, seconds=LEASE_S).holder
            != self._holder
        ):
            return False
        self._renewed = begin
        return True

    def _renew(self) -> None:
        outage = Outage(_log, "The lease cannot be renewed")
        while not self._ended.wait(RENEW_S):
            try:
                if not self._try():
                    self._ended.set()
                outage.over()
            except StoreError as problem:
                outage.failed(problem)


def dispatch(
    *,
    ended: Callable[[Order], None] = lambda _: None,
    tried: Callable[[Result], None] = lambda _: None,
) -> int:
    """Dispatch until told to stop.

    Args:
        ended: gets each order that has ended.
        tried: gets the result of each try to deliver a notice.

    Returns:
        The exit code: 1 if the lease was lost.

    Raises:
        StoreError: Dagster's database cannot be reached, or refuses this process.
    """
    stopping = threading.Event()
    for name in ("alembic", "dagster"):  # they say more than is wanted
        logging.getLogger(name).setLevel(logging.WARNING)
    # Until there is anything to end in peace, a signal ends the process at once: the databases may
    # have to be waited for.
    with opened_instance(Home.from_environment()) as instance, _stopped_by_signals(stopping):
        store = open_orders()
        with _opened_runner(instance) as runner:
            leadership = Leadership(store, this_process())
            if not leadership.wait(stopping):
                return 0
            notices = Notices(store, WebhookPost(), _pusher(), tried=tried)
            notices.start()
            purging = Purging(instance)
            purging.start()
            dispatcher = Dispatcher(store, instance, runner, ended=ended)
            _dispatch(store, dispatcher, runner, leadership, stopping)
            if leadership.is_held and isinstance(runner, WorkerPool):
                runner.kill()
                dispatcher.release()
            notices.stop()
            purging.stop()
        if not stopping.is_set():
            _log.error("The lease was lost")
            return 1
        leadership.release()
        return 0


@contextmanager
def _opened_runner(instance: dg.DagsterInstance) -> Iterator[Runner]:
    """What makes the runs, by SUNRIZA_DISPATCH; its processes end with the block."""
    if current_settings().dispatch == "queue":
        from sunriza_assets.runs.queue_runner import opened_queue

        with opened_queue(instance) as runner:
            yield runner
        return
    pool = WorkerPool(gpu_count())
    pool.poll()  # the workers load while the lease is waited for
    try:
        yield pool
    finally:
        pool.kill()


def _pusher() -> Pusher | None:
    """Push messages, if they are switched on."""
    settings = current_settings()
    if settings.push == "off":
        return None
    from resources.firebase import Firebase, FirebaseSettings

    return Firebase(FirebaseSettings.of(settings)).push(settings.fcm_url)


def _dispatch(
    store: OrderStore,
    dispatcher: Dispatcher,
    runner: Runner,
    leadership: Leadership,
    stopping: threading.Event,
) -> None:
    """Tick whenever something happens, and once a second, while the lease is held.

    Returns when told to stop, or when another dispatcher has the lease.
    """
    _log.info("This is the active dispatcher")
    position, last, idle = -1, 0.0, 0
    drained_at: float | None = None
    pool = runner if isinstance(runner, WorkerPool) else None
    outage = Outage(_log, "Nothing is dispatched")
    home, full = Home.from_environment(), Outage(_log, "No run is started, the disk is full")
    while not leadership.is_lost:
        if stopping.is_set():
            drained_at = drained_at or time.monotonic() + DRAIN_S
            if pool is None or not pool.is_busy() or time.monotonic() > drained_at:
                return
        if not leadership.is_held:
            time.sleep(_LOOK_S)
            continue
        ready, _, _ = select.select(pool.sockets() if pool else [], [], [], _LOOK_S)
        try:
            present = store.position()
            free = pool.free() if pool else 0
            if (
                not ready
                and (present, free) == (position, idle)
                and time.monotonic() - last < _TICK_S
            ):
                continue
            position, idle, last = present, free, time.monotonic()
            has_room = pool is None or not home.is_full()
            dispatcher.tick(starting=has_room and not stopping.is_set())
            outage.over()
            if has_room:
                full.over()
            else:
                full.failed(home.root)
        except (StoreError, SQLAlchemyError) as problem:
            outage.failed(problem)
            stopping.wait(_TICK_S)


@contextmanager
def _stopped_by_signals(stopping: threading.Event) -> Iterator[None]:
    def stop(_: int, __: FrameType | None) -> None:
        stopping.set()

    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    sys.exit(dispatch())
