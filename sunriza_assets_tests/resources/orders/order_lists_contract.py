"""What every `OrderStore` must list: pages, the queue, counts, the stream of changes."""

from datetime import UTC, datetime, timedelta

import pytest

from resources.orders.order import Order, new_order_id
from resources.orders.records import KEEP_ORDERS_S
from resources.orders.store import OrderStore
from sunriza_assets.errors import ParameterError
from sunriza_assets_tests.resources.orders.order_makers import FREE, Clock, OpenStore, an_order, put


class OrderListsContract:
    # Pages

    def test_pages_cover_everything_once_newest_first(self, store: OrderStore) -> None:
        orders = [put(store, "anna" if n % 3 else "ben") for n in range(12)]
        # Neither times nor ids decide, as both follow a clock that may be set back.
        orders.append(put(store, order_id="job_" + "0" * 26, created_at=datetime.now(UTC)))
        for owner in ("anna", "ben", None):
            wanted = [one for one in reversed(orders) if owner in (None, one.owner)]
            seen: list[Order] = []
            cursor = None
            while True:
                page = store.page(owner, limit=3, cursor=cursor)
                assert len(page.orders) <= 3
                seen += page.orders
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert seen == wanted

    def test_a_page_stays_itself_while_orders_come(self, store: OrderStore) -> None:
        old = [put(store) for _ in range(4)]
        first = store.page("anna", limit=2)
        put(store)
        second = store.page("anna", limit=2, cursor=first.next_cursor)
        assert [*first.orders, *second.orders] == old[::-1]
        assert second.next_cursor is None

    def test_filters(self, store: OrderStore) -> None:
        waiting = put(store, avatar_id="a")
        running = store.change(put(store, avatar_id="a", inputs_version="2"), state="running")
        tts = put(store, kind="tts", avatar_id=None)
        failed = store.change(put(store, avatar_id="b"), state="lost")
        assert store.page("anna", status="queued").orders == [tts, waiting]
        assert store.page("anna", status="running").orders == [running]
        assert store.page("anna", status="done").orders == []
        assert store.page("anna", status="error").orders == [failed]
        assert store.page("anna", kind="tts").orders == [tts]
        assert store.page("anna", avatar_id="a").orders == [running, waiting]
        assert store.page("anna", avatar_id="a", status="queued").orders == [waiting]
        assert store.page("anna", avatar_id="' or 1=1 --").orders == []

    @pytest.mark.parametrize("cursor", ["", "x", "-1", "0x1", "1 ", "f" * 16, "１", "\0", "1\n"])
    def test_a_foreign_cursor_is_refused(self, store: OrderStore, cursor: str) -> None:
        with pytest.raises(ParameterError) as refused:
            store.page("anna", cursor=cursor)
        assert refused.value.code == "parameter.cursor"

    @pytest.mark.parametrize("text", ["\0", "\udcff", "x" * 100_000])
    def test_text_that_cannot_be_stored_harms_nothing(self, store: OrderStore, text: str) -> None:
        for ask in (
            lambda: store.page("anna", avatar_id=text).orders,
            lambda: store.find_key(text),
            lambda: store.output_owner(text),
        ):
            try:
                assert not ask()
            except ParameterError as problem:
                assert problem.code == "parameter.text"
        put(store)

    # The queue

    def test_the_queue_is_by_kind_then_round_robin_then_age(self, store: OrderStore) -> None:
        anna = [put(store, "anna") for _ in range(3)]
        ben = [put(store, "ben") for _ in range(2)]
        cleo = put(store, "cleo", kind="tts")
        wanted = [cleo, anna[0], ben[0], anna[1], ben[1], anna[2]]
        assert store.waiting() == wanted
        assert [store.queue_position(one) for one in wanted] == list(range(6))
        assert store.oldest_waiting() == anna[0].created_at

    def test_a_start_leaves_the_order_of_the_others(self, store: OrderStore) -> None:
        for owner in ("anna", "anna", "anna", "ben", "cleo", "ben", "anna"):
            put(store, owner)
        waiting = list(store.waiting())
        served = []
        while waiting:
            first = waiting.pop(0)
            served.append(first.owner)
            started = store.change(first, state="starting")
            assert store.queue_position(started) is None
            assert store.waiting() == waiting
            if len(waiting) % 2:
                store.change(started, state="done")
        assert served == ["anna", "ben", "cleo", "anna", "ben", "anna", "anna"]

    def test_who_comes_new_is_next_after_whoever_had_a_turn(self, store: OrderStore) -> None:
        for _ in range(3):
            put(store, "anna")
        store.change(store.waiting()[0], state="running")
        ben = put(store, "ben")
        assert store.queue_position(ben) == 0

    def test_an_order_that_goes_back_waits_again(self, store: OrderStore) -> None:
        order = store.change(put(store), state="running")
        assert store.waiting() == []
        order = store.change(order, state="queued")
        assert store.waiting() == [order]
        assert store.queue_position(order) == 0

    def test_unfinished_and_counts(self, store: OrderStore) -> None:
        orders = [put(store) for _ in range(4)]
        running = store.change(orders[1], state="running")
        store.change(orders[2], state="done")
        tts = put(store, kind="tts")
        assert store.unfinished() == [orders[0], running, orders[3], tts]
        assert dict(store.counts()) == {
            ("dynamics", "queued"): 2,
            ("dynamics", "running"): 1,
            ("dynamics", "done"): 1,
            ("tts", "queued"): 1,
        }

    # The stream of changes

    def test_changes_are_seen_once_in_their_newest_state(
        self, store: OrderStore, open_store: OpenStore
    ) -> None:
        elsewhere = open_store()
        start = store.position()
        assert store.changed_since(start) == ([], start)
        one, two = put(elsewhere), put(store)
        seen, position = store.changed_since(start)
        assert seen == [one, two]
        one = elsewhere.change(one, step="a")
        two = store.change(two, step="b")
        one = store.change(one, state="done")
        seen, position = store.changed_since(position)
        assert seen == [two, one]
        assert store.changed_since(position) == ([], position)
        elsewhere.close()

    def test_changes_come_in_portions(self, store: OrderStore) -> None:
        orders = [put(store) for _ in range(5)]
        seen: list[Order] = []
        position = 0
        for size in (2, 2, 1, 0):
            some, position = store.changed_since(position, limit=2)
            assert len(some) == size
            seen += some
        assert seen == orders

    def test_the_position_comes_to_rest_after_a_removal(self, store: OrderStore) -> None:
        put(store)
        gone = put(store)
        position = store.changed_since(0)[1]
        store.request_cancel(gone.order_id)
        store.remove(gone.order_id)
        seen, position = store.changed_since(position)
        assert seen == []
        assert store.changed_since(position) == ([], position)
        with_newest = put(store)  # by now everybody has heard of what came before
        assert store.changed_since(position) == ([with_newest], position + 1)

    # Removal of what is old

    def test_ended_orders_stay_thirty_days(self, store: OrderStore, clock: Clock) -> None:
        old = store.change(put(store), state="failed")
        short = store.change(
            put(store), state="done", expires_at=clock.time + timedelta(seconds=10)
        )
        unfinished = put(store)
        clock.move(10)
        store.sweep()
        assert store.get(short.order_id) is None
        clock.move(KEEP_ORDERS_S - 11)
        store.sweep()
        assert store.get(old.order_id) == old
        clock.move(1)
        assert store.sweep() >= 1
        assert store.page(None).orders == [unfinished]
        assert store.sweep() == 0

    def test_many_old_orders_are_removed(self, store: OrderStore, clock: Clock) -> None:
        for _ in range(3):
            order = store.accept(an_order(order_id=new_order_id()), quota=FREE).order
            store.request_cancel(order.order_id)
        clock.move(KEEP_ORDERS_S)
        store.sweep()
        assert store.page(None).orders == []
