"""Laws of the order store and of what stands beside it, tried at random."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from resources.orders.order import KIND_ORDER, Kind
from resources.orders.records import RateLimit
from resources.orders.sql.fair_order import Waiting, fair_order
from resources.orders.sqlite import SqliteOrders
from sunriza_assets_tests.resources.orders.order_laws import OrderLaws
from sunriza_assets_tests.resources.orders.order_makers import Clock


class SqliteLaws(OrderLaws):
    def open_store(self, clock: Clock) -> SqliteOrders:
        self.folder = TemporaryDirectory()
        return SqliteOrders(Path(self.folder.name) / "service.db", now_ms=clock)

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


def test_laws_of_orders() -> None:
    run_state_machine_as_test(
        SqliteLaws, settings=settings(max_examples=10, stateful_step_count=20, deadline=None)
    )


@pytest.mark.slow
def test_laws_of_orders_in_long_sequences() -> None:
    run_state_machine_as_test(
        SqliteLaws, settings=settings(max_examples=80, stateful_step_count=50, deadline=None)
    )


@pytest.fixture(scope="module")
def rates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqliteOrders, Clock]]:
    clock = Clock()
    store = SqliteOrders(tmp_path_factory.mktemp("rates") / "service.db", now_ms=clock)
    yield store, clock
    store.close()


PRINCIPALS = count()


@settings(max_examples=60)
@given(
    limit=st.builds(
        RateLimit,
        st.just("reads"),
        st.sampled_from([1, 3, 10, 600]),
        st.sampled_from([1.0, 60.0, 86_400.0]),
    ),
    steps=st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 4)), max_size=30),
)
def test_a_rate_is_what_the_algorithm_says(
    rates: tuple[SqliteOrders, Clock], limit: RateLimit, steps: list[tuple[int, int]]
) -> None:
    """Against ITU-T I.371's leaky bucket: it holds `count` units and runs dry in `period_s`."""
    store, clock = rates
    principal = str(next(PRINCIPALS))
    used, rate = Fraction(0), Fraction(limit.count, round(limit.period_s * 1000))
    for ms, units in steps:
        clock.ms += ms
        used = max(used - ms * rate, Fraction(0))
        taken = store.take(principal, limit, units)
        # Each request costs less than a nanosecond more than its share.
        slack = Fraction(len(steps), 1_000_000) * rate
        if used + units <= limit.count - slack:
            assert taken.allowed
        if used + units > limit.count + slack:
            assert not taken.allowed
        if taken.allowed:
            used += units
            assert taken.retry_after_s == 0
        elif units <= limit.count:
            wait_s = (used + units - limit.count) / rate / 1000
            assert abs(wait_s - Fraction(taken.retry_after_s)) < Fraction(1, 1_000_000)
        if units <= limit.count:
            assert -1 <= taken.remaining - (limit.count - used) <= slack


@given(
    st.lists(
        st.tuples(st.sampled_from(KIND_ORDER), st.sampled_from("abcd"), st.integers(0, 3)),
        max_size=25,
    )
)
def test_the_queue_is_fair(orders: list[tuple[Kind, str, int]]) -> None:
    served: dict[tuple[Kind, str], int] = {(kind, owner): turn for kind, owner, turn in orders}
    waiting = {
        number: Waiting(number, number, kind, owner, served[kind, owner])
        for number, (kind, owner, _) in enumerate(orders)
    }
    turns = fair_order(waiting.values())
    assert sorted(turns) == sorted(waiting)
    kinds = [KIND_ORDER.index(waiting[number].kind) for number in turns]
    assert kinds == sorted(kinds)
    for kind in KIND_ORDER:
        of_kind = [waiting[number] for number in turns if waiting[number].kind == kind]
        left = [one.owner for one in of_kind]
        for owner in "abcd":
            ages = [one.number for one in of_kind if one.owner == owner]
            assert ages == sorted(ages)
        while left:  # in each round every owner who waits is served once
            first = len(set(left))
            assert len(set(left[:first])) == first
            left = left[first:]
    if turns:  # starting the first leaves the order of the others as it was
        first = waiting.pop(turns[0])
        rest = [
            Waiting(one.what, one.number, one.kind, one.owner, 100)
            if (one.kind, one.owner) == (first.kind, first.owner)
            else one
            for one in waiting.values()
        ]
        assert list(fair_order(rest)) == list(turns[1:])
