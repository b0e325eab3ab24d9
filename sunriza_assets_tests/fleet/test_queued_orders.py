"""Orders through Dagster's queue, `SUNRIZA_DISPATCH=queue`, on one machine with its daemon."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest

from resources.orders.open import open_orders
from resources.orders.order import Order, new_order_id
from resources.orders.spoken import SpeechWish
from resources.orders.store import OrderStore, Quota
from sunriza_assets.graph.partitions import AVATAR_TAG
from sunriza_assets.graph.tags import ORDER_TAG
from sunriza_assets.operations.orders_under_way import DISPATCHER_LEASE
from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.fleet.conftest import Installation
from sunriza_assets_tests.fleet.servers import wait_until
from sunriza_assets_tests.service.kills import place


@pytest.fixture
def store(machine: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[OrderStore]:
    monkeypatch.setattr(machine, "env", {**machine.env, "SUNRIZA_DISPATCH": "queue"})
    machine.start("dispatcher", sys.executable, "-m", "sunriza_assets.runs.dispatcher")
    orders = open_orders()
    wait_until("the dispatcher works", lambda: orders.lease(DISPATCHER_LEASE) is not None)
    yield orders


def state_of(store: OrderStore, order: Order) -> Callable[[str], bool]:
    def is_in(state: str) -> bool:
        found = store.get(order.order_id)
        assert found is not None
        return found.state == state

    return is_in


@pytest.mark.slow
def test_queued_orders_are_made_and_cancelled(
    machine: Installation, store: OrderStore, clips: list[Sample]
) -> None:
    machine.add("queued", clips[0], watched=False)
    wish = SpeechWish("In der Schlange.", "de").to_dict()
    speech = Order(new_order_id(), "tts", "ann", "accepted", datetime.now(UTC), inputs=wish)
    store.accept(speech, quota=Quota(None, None, None))
    order = place(store, "queued", 0)
    wait_until("the order is done", lambda: state_of(store, order)("done"))
    wait_until("the text is spoken", lambda: state_of(store, speech)("done"))
    spoken = store.get(speech.order_id)
    assert spoken is not None
    assert spoken.cost is not None
    assert store.output_owner(f"{spoken.result['audio_id']}.wav") == "ann"
    done = store.get(order.order_id)
    assert done is not None
    assert done.result["video_url"]
    assert done.cost is not None
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs(dg.RunsFilter(tags={AVATAR_TAG: "queued"}))
        assert [run.tags.get(ORDER_TAG) for run in runs] == [order.order_id], "the sensor has none"

        order = place(store, "queued", 1)
        wait_until("the second one runs", lambda: state_of(store, order)("running"))
        store.request_cancel(order.order_id)
        wait_until("it is cancelled", lambda: state_of(store, order)("cancelled"))
        cancelled = store.get(order.order_id)
        assert cancelled is not None
        run = instance.get_run_by_id(cancelled.run_id or "")
        assert run is not None
        assert run.status == dg.DagsterRunStatus.CANCELED
    assert machine.avatars.get("queued").basic["error"]["code"] == "run.cancelled"
