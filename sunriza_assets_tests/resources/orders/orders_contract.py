"""What every `OrderStore` must do with orders; each implementation's tests inherit from this suite.

A subclass brings two fixtures: `store` (empty, on `clock`) and `open_store` (opens the same
database again, as another process would).
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from resources.orders.order import OrderCost, OrderError, State, Webhook
from resources.orders.records import KEEP_KEYS_S, KEEP_ORDERS_S, Acceptance, Quota
from resources.orders.store import OrderStore
from sunriza_assets.errors import ConflictError, CreditsError, LimitError
from sunriza_assets_tests.resources.orders.order_makers import (
    FREE,
    Clock,
    OpenStore,
    a_key,
    an_order,
    answer,
    put,
)

HOOK = Webhook("https://hooks.example.com/x", ("job.running", "job.done", "job.error"))


class OrdersContract:
    # Accepting

    def test_an_order_reads_back_as_it_was_accepted(self, store: OrderStore) -> None:
        order = an_order(
            inputs={"text": "ä ' \" \\ \u2028 😀\n", "none": None, "n": 1.5, "deep": {"b": [1]}},
            webhook=HOOK,
            request_id="r-1",
            retry_of="job_0",
            kind="animate",
        )
        accepted = store.accept(order, quota=FREE)
        assert accepted.outcome == "new"
        created_at = order.created_at.replace(microsecond=123000)
        assert accepted.order == replace(order, created_at=created_at)
        assert store.get(order.order_id) == accepted.order

    @pytest.mark.parametrize("name", ["", "job_", "job_\0", "\udcff", "job_" + "0" * 26, "😀"])
    def test_an_unknown_id_is_no_order(self, store: OrderStore, name: str) -> None:
        assert store.get(name) is None
        assert store.request_cancel(name) is None
        assert store.remove(name) is False

    def test_the_same_key_gives_the_first_answer_again(self, store: OrderStore) -> None:
        first = store.accept(
            an_order(), quota=Quota(unfinished=1), key=a_key(), answer=answer, answer_status=202
        )
        again = store.accept(
            an_order(), quota=Quota(unfinished=1), key=a_key(), answer=answer, answer_status=202
        )
        assert again.outcome == "replayed"
        assert again.order == first.order
        assert again.answer == first.answer
        assert first.answer is not None
        assert again.answer is not None
        assert first.answer.body == {
            "job_id": first.order.order_id,
            "deduplicated": False,
            "a": "keys keep order",
        }
        assert list(again.answer.body) == list(first.answer.body)
        assert first.answer.status == 202

    def test_a_key_belongs_to_its_owner_and_its_request(self, store: OrderStore) -> None:
        first = store.accept(an_order(), quota=FREE, key=a_key(), answer=answer)
        with pytest.raises(ConflictError) as other:
            store.accept(an_order(), quota=FREE, key=a_key(fingerprint="0" * 64), answer=answer)
        assert other.value.code == "conflict.idempotency"
        foreign = store.accept(an_order("ben"), quota=FREE, key=a_key(owner="ben"), answer=answer)
        assert foreign.outcome == "new"
        assert foreign.order.order_id != first.order.order_id

    def test_a_key_is_forgotten_after_seven_days(self, store: OrderStore, clock: Clock) -> None:
        store.accept(an_order(), quota=FREE, key=a_key(), answer=answer)
        clock.move(KEEP_KEYS_S - 1)
        assert store.accept(an_order(), quota=FREE, key=a_key()).outcome == "replayed"
        clock.move(1)
        assert store.accept(an_order(), quota=FREE, key=a_key(fingerprint="1")).outcome == "new"

    def test_equal_unfinished_orders_are_one(self, store: OrderStore) -> None:
        order = an_order(avatar_id="a")
        first = store.accept(order, quota=Quota(unfinished=1))
        twice = store.accept(
            an_order(avatar_id="a"), quota=Quota(unfinished=1), key=a_key(), answer=answer
        )
        assert twice.outcome == "same_inputs"
        assert twice.order == first.order
        assert twice.answer is not None
        assert twice.answer.body["job_id"] == first.order.order_id
        assert twice.answer.body["deduplicated"] is True
        third = store.accept(an_order(avatar_id="a"), quota=FREE, key=a_key(), answer=answer)
        assert third.outcome == "replayed"
        assert third.answer == twice.answer

    @pytest.mark.parametrize(
        "different",
        [
            {"owner": "ben"},
            {"kind": "animate"},
            {"avatar_id": "b"},
            {"inputs_version": "2"},
            {"inputs": {"parameters": {"fps": 30}}},
            {"inputs_version": None},
        ],
    )
    def test_what_differs_is_another_order(
        self, store: OrderStore, different: dict[str, Any]
    ) -> None:
        fields: dict[str, Any] = {"owner": "anna", "avatar_id": "a"}
        store.accept(an_order(**fields), quota=FREE)
        for _ in range(2 if different == {"inputs_version": None} else 1):
            assert store.accept(an_order(**fields | different), quota=FREE).outcome == "new"

    def test_an_ended_or_cancelled_order_is_not_given_again(self, store: OrderStore) -> None:
        first = put(store, avatar_id="a")
        store.change(first, state="running", run_id="r")
        store.request_cancel(first.order_id)
        second = store.accept(an_order(avatar_id="a"), quota=FREE)
        assert second.outcome == "new"
        store.change(second.order, state="done")
        assert store.accept(an_order(avatar_id="a"), quota=FREE).outcome == "new"

    def test_fifty_equal_requests_at_once_make_one_order(
        self, store: OrderStore, open_store: OpenStore
    ) -> None:
        stores = [store, open_store()]

        def offer(number: int) -> Acceptance:
            return stores[number % 2].accept(
                an_order(), quota=Quota(unfinished=1), key=a_key(), answer=answer
            )

        with ThreadPoolExecutor(16) as threads:
            offered = list(threads.map(offer, range(50)))
        assert Counter(one.outcome for one in offered) == {"new": 1, "replayed": 49}
        assert len({repr(one.answer) for one in offered}) == 1
        assert len(store.unfinished()) == 1

    # Quotas and credits

    def test_an_owner_has_so_many_unfinished_orders(self, store: OrderStore) -> None:
        quota = Quota(unfinished=2, per_day=None, queue=None)
        one, _ = (store.accept(an_order(), quota=quota).order for _ in range(2))
        with pytest.raises(LimitError) as full:
            store.accept(an_order(), quota=quota)
        assert full.value.code == "limit.unfinished"
        store.accept(an_order("ben"), quota=quota)
        store.request_cancel(one.order_id)
        store.accept(an_order(), quota=quota)

    def test_an_owner_has_so_many_orders_a_day_even_removed_ones(
        self, store: OrderStore, clock: Clock
    ) -> None:
        quota = Quota(unfinished=None, per_day=2, queue=None)
        for _ in range(2):
            order = store.accept(an_order(), quota=quota).order
            store.request_cancel(order.order_id)
            store.remove(order.order_id)
            clock.move(3600)
        with pytest.raises(LimitError) as full:
            store.accept(an_order(), quota=quota)
        assert full.value.code == "limit.per_day"
        assert full.value.retry_after_s == 22 * 3600
        clock.move(22 * 3600 - 1)
        with pytest.raises(LimitError):
            store.accept(an_order(), quota=quota)
        clock.move(1)
        store.accept(an_order(), quota=quota)

    def test_the_queue_is_bounded(self, store: OrderStore) -> None:
        quota = Quota(unfinished=None, per_day=None, queue=2)
        for owner in ("anna", "ben"):
            store.accept(an_order(owner), quota=quota)
        with pytest.raises(LimitError) as full:
            store.accept(an_order("cleo"), quota=quota)
        assert full.value.code == "limit.queue"
        assert full.value.retry_after_s

    def test_a_refused_order_leaves_nothing_behind(self, store: OrderStore) -> None:
        store.add_credits("anna", 5)
        quota = Quota(unfinished=0, per_day=None, queue=None)
        with pytest.raises(LimitError):
            store.accept(an_order(), quota=quota, key=a_key(), answer=answer, credits=5)
        with pytest.raises(CreditsError):
            store.accept(an_order(), quota=FREE, key=a_key(), answer=answer, credits=6)
        assert store.credits("anna") == 5
        assert store.page("anna").orders == []
        with pytest.raises(ZeroDivisionError):
            store.accept(
                an_order(), quota=FREE, key=a_key(), answer=lambda *_: {"n": 1 // 0}, credits=5
            )
        assert store.credits("anna") == 5
        assert store.accept(an_order(), quota=FREE, key=a_key(fingerprint="2")).outcome == "new"

    @pytest.mark.parametrize(
        ("end", "left"), [("done", 2), ("failed", 7), ("cancelled", 7), ("lost", 7), ("expired", 7)]
    )
    def test_credits_are_captured_when_done_and_given_back_otherwise(
        self, store: OrderStore, end: State, left: int
    ) -> None:
        assert store.credits("anna") is None
        assert store.add_credits("anna", 7) == 7
        order = store.accept(an_order(), quota=FREE, credits=5).order
        assert store.credits("anna") == 2
        with pytest.raises(CreditsError) as poor:
            store.accept(an_order(), quota=FREE, credits=5)
        assert poor.value.code == "credits.insufficient"
        order = store.change(order, state="running")
        assert store.credits("anna") == 2
        store.change(order, state=end)
        assert store.credits("anna") == left
        store.remove(order.order_id)
        assert store.credits("anna") == left

    # Changes

    def test_a_change_is_written_and_grows_the_revision(
        self, store: OrderStore, clock: Clock
    ) -> None:
        order = put(store)
        clock.move(1)
        changed = store.change(
            order,
            state="running",
            progress=40,
            step="idle_video",
            eta_s=12.25,
            run_id="run",
            attempt=2,
            log_tail=["one", "two\nlines"],
        )
        assert changed == store.get(order.order_id)
        assert changed == replace(
            order,
            state="running",
            revision=2,
            progress=40,
            step="idle_video",
            eta_s=12.25,
            run_id="run",
            attempt=2,
            log_tail=("one", "two lines"),
            started_at=clock.time,
        )
        done = store.change(
            changed,
            state="done",
            result={"video_url": "https://x/y"},
            cost=OrderCost(1.25, 0.5, "EUR"),
        )
        assert done == store.get(order.order_id)
        assert done == replace(
            changed,
            state="done",
            revision=3,
            progress=100,
            eta_s=None,
            result={"video_url": "https://x/y"},
            cost=OrderCost(1.25, 0.5, "EUR"),
            finished_at=clock.time,
            expires_at=clock.time + timedelta(seconds=KEEP_ORDERS_S),
        )

    def test_a_stale_change_changes_nothing(self, store: OrderStore) -> None:
        order = put(store)
        changed = store.change(order, step="a")
        with pytest.raises(ConflictError) as stale:
            store.change(order, step="b")
        assert stale.value.code == "conflict.revision"
        assert store.get(order.order_id) == changed
        assert store.position() == store.changed_since(0)[1]

    @pytest.mark.parametrize("end", ["done", "failed", "cancelled", "lost", "expired"])
    def test_an_end_is_final(self, store: OrderStore, end: State) -> None:
        ended = store.change(put(store), state=end)
        for changes in ({"state": "running"}, {"step": "x"}, {"state": "done"}):
            with pytest.raises(ConflictError):
                store.change(ended, **changes)
        assert store.request_cancel(ended.order_id) == ended
        assert store.get(ended.order_id) == ended

    def test_progress_never_falls(self, store: OrderStore) -> None:
        order = store.change(put(store), progress=50)
        order = store.change(order, progress=30, step="b")
        assert (order.progress, order.step) == (50, "b")
        order = store.change(order, state="queued", progress=0)
        assert order.progress == 50
        assert store.change(order, state="failed").progress == 50

    @pytest.mark.parametrize("wrong", [{"owner": "ben"}, {"revision": 9}, {"order_id": "x"}])
    def test_what_an_order_is_cannot_be_changed(
        self, store: OrderStore, wrong: dict[str, Any]
    ) -> None:
        with pytest.raises(TypeError):
            store.change(put(store), **wrong)

    @pytest.mark.parametrize("progress", [-1, 101])
    def test_progress_is_a_percentage(self, store: OrderStore, progress: int) -> None:
        with pytest.raises(ValueError, match="progress"):
            store.change(put(store), progress=progress)

    def test_the_log_tail_keeps_the_newest(self, store: OrderStore) -> None:
        order = store.change(put(store), log_tail=[f"line {n}" for n in range(100)])
        assert order.log_tail == tuple(f"line {n}" for n in range(80, 100))
        order = store.change(order, log_tail=["ä" * 1000, "b" * 3000, "c\r\n\u2028d", "\udcff"])
        assert order.log_tail == ("b" * 3000, "c  d", "?")

    def test_an_error_is_stored(self, store: OrderStore) -> None:
        error = OrderError("face.none", "There is no face.", retryable=False)
        order = store.change(put(store), state="failed", error=error)
        assert store.get(order.order_id) == order
        assert order.error == error

    def test_the_end_is_not_before_the_start_with_the_clock_set_back(
        self, store: OrderStore, clock: Clock
    ) -> None:
        order = store.change(put(store), state="running")
        clock.move(-3600)
        done = store.change(order, state="done")
        assert done.finished_at == order.started_at

    # Cancelling, removing

    def test_a_waiting_order_is_cancelled_at_once(self, store: OrderStore) -> None:
        order = put(store)
        cancelled = store.request_cancel(order.order_id)
        assert cancelled is not None
        assert (cancelled.state, cancelled.status) == ("cancelled", "error")
        assert cancelled.error is not None
        assert cancelled.error.code == "run.cancelled"
        assert cancelled.finished_at is not None

    @pytest.mark.parametrize("start", [{"state": "starting"}, {"state": "queued", "run_id": "r"}])
    def test_an_order_at_work_is_being_cancelled_and_may_only_end(
        self, store: OrderStore, start: dict[str, Any]
    ) -> None:
        order = store.change(put(store), **start)
        cancelling = store.request_cancel(order.order_id)
        assert cancelling is not None
        assert cancelling.state == "cancelling"
        assert store.request_cancel(order.order_id) == cancelling
        with pytest.raises(ConflictError) as refused:
            store.change(cancelling, state="running")
        assert refused.value.code == "conflict.cancelling"
        told = store.change(cancelling, step="stopping")
        assert store.change(told, state="cancelled").state == "cancelled"

    def test_a_removed_order_is_gone_with_its_keys(self, store: OrderStore, clock: Clock) -> None:
        order = store.accept(an_order(), quota=FREE, key=a_key(), answer=answer).order
        store.add_output("f.png", "anna", order_id=order.order_id, expires_at=clock.time)
        with pytest.raises(ConflictError) as early:
            store.remove(order.order_id)
        assert early.value.code == "conflict.unfinished"
        store.request_cancel(order.order_id)
        assert store.remove(order.order_id)
        assert store.get(order.order_id) is None
        assert not store.remove(order.order_id)
        assert store.outputs_of(order.order_id) == ["f.png"]
        assert [one.name for one in store.expired_outputs()] == ["f.png"]
        assert store.accept(an_order(), quota=FREE, key=a_key()).outcome == "new"

    def test_two_processes_change_one_order_in_turns(
        self, store: OrderStore, open_store: OpenStore
    ) -> None:
        order = put(store)

        def grow(store: OrderStore) -> int:
            lost = 0
            for _ in range(20):
                there = store.get(order.order_id)
                assert there is not None
                try:
                    store.change(there, step=str(there.revision))
                except ConflictError:
                    lost += 1
            return lost

        with ThreadPoolExecutor(4) as threads:
            lost = sum(threads.map(grow, [store, open_store(), store, open_store()]))
        there = store.get(order.order_id)
        assert there is not None
        assert there.revision == 1 + 80 - lost
