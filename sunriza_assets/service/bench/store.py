"""CPU time of the order store's calls."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final

from resources.orders.order import Order, new_order_id
from resources.orders.records import IdempotencyKey, Outcome, Quota, RateLimit
from resources.orders.store import OrderStore

__all__ = ["bench_orders"]

_ROUNDS: Final = 5
_FREE: Final = Quota(unfinished=None, per_day=None, queue=None)
_RATE: Final = RateLimit("bench", count=1_000_000, period_s=60.0)


def bench_orders(store: OrderStore, *, calls: int = 100) -> Mapping[str, float]:
    """Milliseconds of this process's CPU time for each kind of call; median of a few rounds.

    The orders made are removed again.

    Args:
        store: an order store, best an empty one.
        calls: of each kind and round.
    """
    orders = [_accept(store, number) for number in range(calls)]
    numbers = iter(range(calls, 100 * calls))

    def accept() -> None:
        orders.append(_accept(store, next(numbers)))

    def change() -> None:
        number = next(numbers) % calls
        orders[number] = store.change(orders[number], step=f"step {number}", progress=number % 100)

    measured = {
        "accept": _cpu_ms(accept, calls),
        "get": _cpu_ms(lambda: store.get(orders[0].order_id), calls),
        "change": _cpu_ms(change, calls),
        "take": _cpu_ms(lambda: store.take("bench", _RATE), calls),
        "position": _cpu_ms(store.position, calls),
        "queue_position": _cpu_ms(lambda: store.queue_position(orders[-1]), calls),
        "page of 50": _cpu_ms(lambda: store.page("bench"), calls),
        "waiting": _cpu_ms(store.waiting, max(calls // 50, 1)),
    }
    for order in orders:
        store.request_cancel(order.order_id)
        store.remove(order.order_id)
    return measured


def _accept(store: OrderStore, number: int) -> Order:
    order = Order(
        order_id=new_order_id(),
        kind="dynamics",
        owner="bench",
        state="accepted",
        created_at=datetime.now(UTC),
        inputs={"parameters": {"drivingMultiplier": 1.7}},
        avatar_id=f"bench-{number}",
        inputs_version="1",
    )
    key = IdempotencyKey("bench", "POST /generate-dynamics", order.order_id, "0" * 64)
    return store.accept(order, quota=_FREE, key=key, answer=_answer).order


def _answer(order: Order, _: Outcome) -> Mapping[str, Any]:
    return {"status": "generating", "avatar_id": order.avatar_id, "job_id": order.order_id}


def _cpu_ms(call: Callable[[], object], calls: int) -> float:
    rounds = []
    for _ in range(_ROUNDS):
        start = time.process_time()
        for _ in range(calls):
            call()
        rounds.append((time.process_time() - start) / calls * 1000)
    return round(median(rounds), 4)
