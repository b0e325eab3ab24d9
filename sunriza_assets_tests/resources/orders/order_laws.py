"""Laws of an order store, tried by random sequences of calls against a plain model."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from resources.orders.order import Order, Webhook
from resources.orders.store import OrderStore
from sunriza_assets.errors import ConflictError, CreditsError
from sunriza_assets_tests.resources.orders.order_makers import FREE, Clock, a_key, an_order

OWNERS = st.sampled_from(["anna", "ben", "cleo"])
UNFINISHED = st.sampled_from(["queued", "starting", "running"])
ENDS = st.sampled_from(["done", "failed", "cancelled", "lost", "expired"])
GRANTED = 20


class OrderLaws(RuleBasedStateMachine):
    """A subclass opens a store."""

    read = Bundle("read")
    """Orders as somebody has read them, some of them stale by now."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = self.open_store(self.clock)
        self.model: dict[str, Order] = {}
        self.keys: dict[str, str] = {}
        self.position = self.store.position()
        self.seen: dict[str, Order] = {}
        self.captured = 0
        self.offered = 0
        self.store.add_credits("anna", GRANTED)

    def open_store(self, clock: Clock) -> OrderStore:
        raise NotImplementedError

    # What may happen

    @rule(
        target=read,
        owner=OWNERS,
        kind=st.sampled_from(["dynamics", "tts"]),
        avatar=st.sampled_from(["a", "b", "c"]),
        key=st.sampled_from(["1", "2", "3", "4"]),
    )
    def accept(self, owner: str, kind: Any, avatar: str, key: str) -> Any:
        offered = an_order(
            owner, kind=kind, avatar_id=avatar, webhook=Webhook(f"https://x/{self.offered}")
        )
        self.offered += 1  # a receiver of its own: of one receiver's notices one is due at a time
        same = [
            one
            for one in self.model.values()
            if (one.owner, one.kind, one.avatar_id) == (owner, kind, avatar)
            and not one.is_terminal
            and one.state != "cancelling"
        ]
        name = owner + key
        try:
            accepted = self.store.accept(
                offered,
                quota=FREE,
                key=a_key(key, owner=owner),
                answer=lambda order, _: {"job_id": order.order_id},
                credits=1 if owner == "anna" else 0,
            )
        except CreditsError:
            assert self._left() == 0
            return multiple()
        order_id = accepted.order.order_id
        assert accepted.answer is not None
        assert accepted.answer.body == {"job_id": order_id}
        if name in self.keys:
            assert (accepted.outcome, order_id) == ("replayed", self.keys[name])
        elif same:
            assert accepted.outcome == "same_inputs"
            assert accepted.order in same
        else:
            assert (accepted.outcome, order_id) == ("new", offered.order_id)
            self.model[order_id] = accepted.order
        self.keys[name] = order_id
        return accepted.order

    @rule(target=read, order=read)
    def read_again(self, order: Order) -> Any:
        there = self.store.get(order.order_id)
        assert there == self.model.get(order.order_id)
        return multiple() if there is None else there

    @rule(target=read, order=read, state=UNFINISHED, progress=st.integers(0, 100))
    def move(self, order: Order, state: Any, progress: int) -> Any:
        return self._change(order, state=state, progress=progress)

    @rule(target=read, order=read, progress=st.integers(0, 100))
    def report(self, order: Order, progress: int) -> Any:
        return self._change(order, progress=progress, step=f"at {progress}")

    @rule(target=read, order=consumes(read), state=ENDS)
    def end(self, order: Order, state: Any) -> Any:
        return self._change(order, state=state)

    @rule(target=read, order=read)
    def cancel(self, order: Order) -> Any:
        before = self.model.get(order.order_id)
        after = self.store.request_cancel(order.order_id)
        if before is None:
            assert after is None
            return multiple()
        assert after is not None
        if before.is_terminal or before.state == "cancelling":
            assert after == before
        else:
            waits = before.status == "queued" and before.run_id is None
            assert after.state == ("cancelled" if waits else "cancelling")
            assert after.revision == before.revision + 1
        self.model[order.order_id] = after
        return after

    @rule(order=read)
    def remove(self, order: Order) -> None:
        there = self.model.get(order.order_id)
        try:
            assert self.store.remove(order.order_id) == (there is not None)
        except ConflictError:
            assert there is not None
            assert not there.is_terminal
            return
        if there is not None:
            self.captured += there.state == "done" and there.owner == "anna"
            del self.model[order.order_id]
            self.seen.pop(order.order_id, None)
            self.keys = {name: key for name, key in self.keys.items() if key != order.order_id}

    @rule(seconds=st.integers(-3600, 3600))
    def set_clock(self, seconds: int) -> None:
        self.clock.move(seconds)

    @rule(portion=st.integers(1, 5))
    def follow(self, portion: int) -> None:
        orders, position = self.store.changed_since(self.position, portion)
        assert position >= self.position
        for order in orders:
            former = self.seen.get(order.order_id)
            assert former is None or order.revision > former.revision
            self.seen[order.order_id] = order
        self.position = position

    # What always holds

    @invariant()
    def what_is_stored_is_the_model(self) -> None:
        listed = self.store.page(None, limit=1000).orders
        assert {one.order_id: one for one in listed} == self.model
        assert {one.order_id for one in self.store.unfinished()} == {
            one.order_id for one in self.model.values() if not one.is_terminal
        }
        waiting = self.store.waiting()
        assert [self.store.queue_position(one) for one in waiting] == [*range(len(waiting))]
        assert {one.order_id for one in waiting} == {
            one.order_id for one in self.model.values() if one.status == "queued"
        }

    @invariant()
    def no_credit_is_lost(self) -> None:
        assert self.store.credits("anna") == self._left()

    def teardown(self) -> None:
        """Whoever follows the stream has seen every end, and each end was told once."""
        while True:
            before = self.position
            self.follow(2)
            if self.position == before:
                break
        assert self.seen == self.model
        self.clock.move(86_400)
        told = [(one.order_id, one.event) for one in self.store.due_notices(1000)]
        assert sorted(told) == sorted(
            (one.order_id, "job.done" if one.state == "done" else "job.error")
            for one in self.model.values()
            if one.is_terminal
        )
        self.store.close()

    def _left(self) -> int:
        held = [
            one
            for one in self.model.values()
            if one.owner == "anna" and (one.state == "done" or not one.is_terminal)
        ]
        return GRANTED - self.captured - len(held)

    def _change(self, order: Order, **changes: Any) -> Any:
        there = self.model.get(order.order_id)
        end = changes.get("state") in {"done", "failed", "cancelled", "lost", "expired"}
        possible = (
            there is not None
            and there.revision == order.revision
            and not there.is_terminal
            and (there.state != "cancelling" or end or "state" not in changes)
        )
        try:
            changed = self.store.change(order, **changes)
        except ConflictError:
            assert not possible
            return multiple()
        assert possible
        assert there is not None
        assert changed.revision == there.revision + 1
        assert changed.progress >= there.progress
        assert changed.is_terminal == end
        assert (changed.finished_at is not None) == end
        kept = {
            name: getattr(there, name)
            for name in ("order_id", "kind", "owner", "created_at", "inputs", "avatar_id")
        }
        assert replace(changed, **kept) == changed
        self.model[order.order_id] = changed
        return changed
