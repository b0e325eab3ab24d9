"""What WebSockets and server-sent events share: how many may be open, and what they tell.

A stream begins with the job as it is and goes on with newer revisions; some may be skipped, the
last never. A deleted job ends its stream.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from resources.orders.order import Order
from sunriza_assets.errors import LimitError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.changes import change_feed
from sunriza_assets.service.context import Service, in_thread, read_orders
from sunriza_assets.service.monitor import metrics

__all__ = [
    "STALLED_S",
    "JobNews",
    "StreamSlots",
    "event_number",
    "seconds_left",
    "stream_slots",
    "watch_job",
    "watch_jobs",
]

STALLED_S: Final = 30.0
"""Seconds for which a reader may take nothing before its stream is closed."""
OPEN_STREAMS: Final = 1000
"""Streams of everybody in this process."""
STREAMS_OF_ONE: Final = 10
"""Streams of one principal in this process."""
_REPLAYED_CHANGES: Final = 2000
"""Changes of everybody that a reconnecting stream looks through; then it tells the newest jobs."""
_NEWEST_JOBS: Final = 100


@dataclass(frozen=True, slots=True)
class JobNews:
    """What a stream has to tell; without an order it is time for a sign of life."""

    order: Order | None = None
    """An order in its newest state."""
    position: int | None = None
    """The store's position up to which everything has been told, this order included; None:
    more is to come before that."""


class StreamSlots:
    """Counts open streams. For one event loop."""

    def __init__(self, total: int = OPEN_STREAMS, each: int = STREAMS_OF_ONE) -> None:
        self._total = total
        self._each = each
        self._open: Counter[str] = Counter()

    @property
    def open_streams(self) -> int:
        """Streams that are open now."""
        return self._open.total()

    @contextmanager
    def held(self, principal: Principal, kind: Literal["websocket", "sse"]) -> Iterator[None]:
        """Hold a slot.

        Raises:
            LimitError: `limit.streams` the principal has too many; `limit.queue` everybody.
        """
        if self._open.total() >= self._total:
            raise LimitError(
                "Too many streams are open",
                remedy="Ask for the job now and then instead.",
                code="queue",
                retry_after_s=10.0,
            )
        if principal.is_limited and self._open[principal.uid] >= self._each:
            raise LimitError(
                f"You have {self._each} open streams, as many as allowed",
                remedy="Close one, or watch all jobs in one stream.",
                code="streams",
                retry_after_s=10.0,
            )
        self._open[principal.uid] += 1
        try:
            with metrics.STREAM_CONNECTIONS.labels(kind=kind).track_inprogress():
                yield
        finally:
            self._open[principal.uid] -= 1
            if not self._open[principal.uid]:
                del self._open[principal.uid]


def stream_slots(service: Service) -> StreamSlots:
    """The one counter of this process."""
    return service.one(StreamSlots, StreamSlots)


def seconds_left(principal: Principal) -> float | None:
    """Seconds until the principal's credential ends; None if it does not."""
    if principal.expires_at is None:
        return None
    return max(0.0, (principal.expires_at - datetime.now(UTC)).total_seconds())


async def watch_job(
    service: Service, order: Order, *, after: int = 0, sign_of_life_s: float
) -> AsyncGenerator[JobNews, None]:
    """An order as it is, if its revision is above `after`, and each newer revision; then its end.

    Args:
        order: just read, and the caller's own.
        after: the revision that the caller knows.
        sign_of_life_s: seconds after which something empty is told.
    """
    order_id = order.order_id
    async with change_feed(service).of_order(order_id) as changes:
        current = await read_orders(service, service.orders.get, order_id)
        told = after
        while current is not None:
            if current.revision > told:
                yield JobNews(current)
                told = current.revision
            if current.is_terminal:
                return
            changed = await changes.take(sign_of_life_s)
            if changed:
                current = changed[-1]
            else:
                yield JobNews()
                # Deleted jobs are no changes.
                current = await read_orders(service, service.orders.get, order_id)


async def watch_jobs(
    service: Service, owner: str | None, *, after: int | None = None, sign_of_life_s: float
) -> AsyncGenerator[JobNews, None]:
    """The unfinished orders of an owner, and then every change of any of them.

    Args:
        owner: whose; None: everybody's.
        after: the position that a stream before has told; what has changed since comes first.
        sign_of_life_s: seconds after which something empty is told.
    """
    feed = change_feed(service)
    async with feed.of_owner(owner) as changes:
        position, present = await in_thread(_present, service, owner, after)
        for news in _batch(present, position) or [JobNews(position=position)]:
            yield news
        while True:
            changed = await changes.take(sign_of_life_s)
            if not changed:
                yield JobNews()
                continue
            position = max(position, feed.position)
            for news in _batch(changed, position):
                yield news


def _batch(orders: Sequence[Order], position: int) -> list[JobNews]:
    """Orders that were told together: only the last one has told everything up to the position."""
    news = [JobNews(order) for order in orders]
    if news:
        news[-1] = JobNews(orders[-1], position)
    return news


def _present(service: Service, owner: str | None, after: int | None) -> tuple[int, list[Order]]:
    """The position, and the orders to begin with, the oldest first; blocking."""
    position = service.orders.position()
    if after is None or not 0 <= after <= position:
        pages = [
            service.orders.page(owner, status=status, limit=_NEWEST_JOBS)
            for status in ("queued", "running")
        ]
        return position, sorted(
            (order for page in pages for order in page.orders), key=lambda order: order.order_id
        )
    found: dict[str, Order] = {}
    seen, reached = 0, after
    while reached < position:
        orders, newest = service.orders.changed_since(reached)
        if newest == reached:
            break
        reached = newest
        seen += len(orders)
        found |= {one.order_id: one for one in orders if owner is None or one.owner == owner}
        if seen >= _REPLAYED_CHANGES:
            page = service.orders.page(owner, limit=_NEWEST_JOBS)
            return position, list(reversed(page.orders))
    return max(position, reached), list(found.values())


def event_number(text: str | None) -> int | None:
    """The number in Last-Event-ID; None if it is none of ours."""
    known = text is not None and text.isascii() and text.isdecimal() and len(text) <= 18
    return int(text) if known and text is not None else None
