"""Orders to test with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from resources.orders.order import Order, new_order_id
from resources.orders.records import IdempotencyKey, Outcome, Quota
from resources.orders.store import OrderStore

__all__ = ["FREE", "Clock", "OpenStore", "a_key", "an_order", "answer", "put"]

FREE = Quota(unfinished=None, per_day=None, queue=None)
"""No quota."""

OpenStore = Callable[..., OrderStore]
"""Opens the database under test once more: `open_store(push=True)`."""


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    ms: int = 1_800_000_000_123
    """Milliseconds since 1970."""

    def __call__(self) -> int:
        return self.ms

    def move(self, seconds: float) -> None:
        """Forward, or back."""
        self.ms += round(seconds * 1000)

    @property
    def time(self) -> datetime:
        """The same as a datetime."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.ms)


_avatars = count()


def an_order(owner: str = "anna", **fields: Any) -> Order:
    """A new order; of another avatar each time unless one is given."""
    values: dict[str, Any] = {
        "order_id": new_order_id(),
        "kind": "dynamics",
        "owner": owner,
        "state": "accepted",
        "created_at": datetime(2026, 11, 30, 12, 0, 0, 123456, tzinfo=UTC),
        "inputs": {"parameters": {"fps": 25}},
        "avatar_id": f"avatar-{next(_avatars)}",
        "inputs_version": "1",
    }
    return Order(**values | fields)


def a_key(key: str = "key", *, owner: str = "anna", fingerprint: str = "f" * 64) -> IdempotencyKey:
    """An idempotency key."""
    return IdempotencyKey(owner, "POST /generate-dynamics", key, fingerprint)


def answer(order: Order, outcome: Outcome) -> Mapping[str, Any]:
    """The body of an HTTP answer."""
    return {"job_id": order.order_id, "deduplicated": outcome != "new", "a": "keys keep order"}


def put(store: OrderStore, owner: str = "anna", **fields: Any) -> Order:
    """Accept a new order without quotas."""
    return store.accept(an_order(owner, **fields), quota=FREE).order
