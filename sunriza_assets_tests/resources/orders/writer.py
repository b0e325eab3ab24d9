"""A process that writes orders until it is killed; and what must be true afterwards.

`python -m sunriza_assets_tests.resources.orders.writer work|offer PLACE NAME`; PLACE is a file or a
URL. It says on a line of its own what a store has acknowledged.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from resources.orders.order import Order, Webhook
from resources.orders.records import Quota
from resources.orders.store import OrderStore
from sunriza_assets.errors import ConflictError
from sunriza_assets_tests.resources.orders.order_makers import FREE, a_key, an_order

__all__ = ["GRANTED", "check_whole", "last_words", "open_place", "start_writer"]

ROOT = Path(__file__).parents[3]
GRANTED = 1_000_000
"""Credits that the test gives the owner of all these orders."""
ENDS = ("done", "failed", "cancelled", "lost")


def open_place(place: str) -> OrderStore:
    """The store in a file or at a URL."""
    if "://" in place:
        from resources.orders.postgres import PostgresOrders

        return PostgresOrders(place)
    from resources.orders.sqlite import SqliteOrders

    return SqliteOrders(Path(place))


def start_writer(mode: str, place: str, name: str) -> "subprocess.Popen[str]":
    """A child that has said nothing yet."""
    return subprocess.Popen(
        [sys.executable, "-m", __name__, mode, place, name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def last_words(child: "subprocess.Popen[str]") -> Mapping[str, str]:
    """What a killed child has said since it was last listened to: the newest word by order."""
    assert child.stdout is not None
    lines = child.stdout.read().splitlines(keepends=True)
    child.wait(timeout=60)
    whole = [line.split() for line in lines if line.endswith("\n")]
    return {order_id: word for word, order_id in whole}


def check_whole(store: OrderStore, said: Mapping[str, str]) -> Counter[str]:
    """Every order has its key, every end its one notice, every credit its place; nothing is lost.

    Args:
        store: the store.
        said: the last word that was acknowledged for each order.

    Returns:
        How many orders are in which state.
    """
    there = {one.order_id: one for one in store.page(None, limit=100_000).orders}
    told = Counter(
        (one.order_id, one.event) for one in store.due_notices(100_000) if one.tries == 0
    )
    for order_id, word in said.items():
        assert order_id in there
        assert word == "accepted" or there[order_id].is_terminal
    for order in there.values():
        key = a_key(str(order.request_id))
        again = store.accept(an_order(), quota=FREE, key=key)
        assert (again.outcome, again.order) == ("replayed", order)
        events = {event: number for (order_id, event), number in told.items()
                  if order_id == order.order_id}  # fmt: skip
        end = "job.done" if order.state == "done" else "job.error"
        assert events == ({end: 1} if order.is_terminal else {})
    held = sum(one.state == "done" or not one.is_terminal for one in there.values())
    assert store.credits("anna") == GRANTED - held
    return Counter(one.state for one in there.values())


def _work(store: OrderStore, name: str) -> None:
    """Accept, change and end orders for ever; some of them are left to a cancel by another one."""
    for number in count():
        order = _offer(store, f"{name}-{number}")
        _say("accepted", order)
        try:
            order = store.change(order, state="running", progress=10)
            others = store.unfinished()
            if number % 3 == 0 and others:
                store.request_cancel(others[0].order_id)
            order = store.change(order, progress=50, step="idle_video")
            _say("ended", store.change(order, state=ENDS[number % len(ENDS)]))
        except ConflictError:
            there = store.get(order.order_id)
            if there is not None and not there.is_terminal:
                _say("ended", store.change(there, state="cancelled"))


def _offer(store: OrderStore, name: str) -> Order:
    # A receiver of its own, as one call of `due_notices` names each receiver once.
    order = an_order(request_id=name, inputs_version=None, webhook=Webhook(f"https://x/{name}"))
    accepted = store.accept(
        order,
        quota=Quota(unfinished=None, per_day=None, queue=None),
        key=a_key(name),
        answer=lambda order, _: {"job_id": order.order_id},
        credits=1,
    )
    return accepted.order


def _say(word: str, order: Order) -> None:
    sys.stdout.write(f"{word} {order.order_id}\n")
    sys.stdout.flush()


def _offer_at_once(store: OrderStore, name: str) -> None:
    """Offer equal orders from many threads, when the parent says so."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    with ThreadPoolExecutor(17) as threads:
        for order in threads.map(lambda _: _offer(store, name), range(17)):
            _say("accepted", order)


if __name__ == "__main__":
    mode, place, name = sys.argv[1:]
    {"work": _work, "offer": _offer_at_once}[mode](open_place(place), name)
