"""The changes of orders as they happen: one watcher a process feeds all that wait for them.

A thread asks the store for its position ten times a second, reads what has changed since, and hands
it to the subscriptions in the event loop. It runs only while somebody is subscribed. A subscription
keeps one order in its newest state, so that a slow reader skips states and memory stays bounded; an
order's last state is skipped by nobody.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from resources.orders.order import Order
from resources.orders.store import OrderStore
from sunriza_assets.errors import StoreError
from sunriza_assets.service.context import Service, in_thread

__all__ = ["ChangeFeed", "Subscription", "change_feed"]

_log = logging.getLogger(__name__)

K = TypeVar("K")

EVERY_S: Final = 0.1
"""Seconds between two looks at the store."""
_AFTER_ERROR_S: Final = 1.0


class Subscription:
    """The orders that have changed since the last `take`, each in its newest state."""

    def __init__(self) -> None:
        self._changed: dict[str, Order] = {}
        self._arrived = asyncio.Event()

    def put(self, order: Order) -> None:
        """Keep an order until it is taken, in the place of an older state."""
        self._changed.pop(order.order_id, None)
        self._changed[order.order_id] = order
        self._arrived.set()

    async def take(self, timeout_s: float) -> Sequence[Order]:
        """What has changed, the oldest change first; empty if nothing does in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()
        except TimeoutError:
            return ()
        self._arrived.clear()
        orders = tuple(self._changed.values())
        self._changed.clear()
        return orders


class ChangeFeed:
    """Subscriptions to the changes of one store; for use in one event loop.

    Args:
        orders: the store.
        every_s: seconds between two looks at it.
    """

    def __init__(self, orders: OrderStore, *, every_s: float = EVERY_S) -> None:
        self._orders = orders
        self._every_s = every_s
        self._by_order: dict[str, set[Subscription]] = {}
        self._by_owner: dict[str | None, set[Subscription]] = {}
        self._starting = asyncio.Lock()
        self._stop: threading.Event | None = None
        self.position = 0
        """The store's position up to which changes have been handed over."""

    @asynccontextmanager
    async def of_order(self, order_id: str) -> AsyncIterator[Subscription]:
        """Subscribe to one order. What it was before has to be read after this."""
        async with self._subscribed(self._by_order, order_id) as subscription:
            yield subscription

    @asynccontextmanager
    async def of_owner(self, owner: str | None) -> AsyncIterator[Subscription]:
        """Subscribe to the orders of one owner, or of everybody for None."""
        async with self._subscribed(self._by_owner, owner) as subscription:
            yield subscription

    @asynccontextmanager
    async def _subscribed(
        self, index: dict[K, set[Subscription]], key: K
    ) -> AsyncIterator[Subscription]:
        subscription = Subscription()
        index.setdefault(key, set()).add(subscription)
        try:
            await self._start()
            yield subscription
        finally:
            index[key].discard(subscription)
            if not index[key]:
                del index[key]
            if not self._by_order and not self._by_owner and self._stop is not None:
                self._stop.set()
                self._stop = None

    async def _start(self) -> None:
        async with self._starting:
            if self._stop is not None:
                return
            self.position = await in_thread(self._orders.position)
            self._stop = threading.Event()
            threading.Thread(
                target=self._watch,
                args=(asyncio.get_running_loop(), self._stop, self.position),
                name="order-changes",
                daemon=True,
            ).start()

    def _watch(self, loop: asyncio.AbstractEventLoop, stop: threading.Event, position: int) -> None:
        """Look for changes until `stop` is set; the body of the thread."""
        failing = False
        while not stop.wait(_AFTER_ERROR_S if failing else self._every_s):
            try:
                while self._orders.position() != position:
                    orders, newest = self._orders.changed_since(position)
                    if newest == position:
                        break
                    position = newest
                    loop.call_soon_threadsafe(self._hand_over, orders, position)
                failing = False
            except StoreError as problem:  # nothing is lost: the position stays
                if not failing:
                    _log.warning("Changes of jobs cannot be read: %s", problem)
                failing = True
            except RuntimeError:  # the event loop is closed
                if loop.is_closed():
                    return
                raise

    def _hand_over(self, orders: Sequence[Order], position: int) -> None:
        everybody = self._by_owner.get(None, ())
        for order in orders:
            for subscription in (
                *self._by_order.get(order.order_id, ()),
                *self._by_owner.get(order.owner, ()),
                *everybody,
            ):
                subscription.put(order)
        self.position = max(self.position, position)


def change_feed(service: Service) -> ChangeFeed:
    """The one feed of this process."""
    return service.one(ChangeFeed, lambda: ChangeFeed(service.orders))
