"""Overlapping stages keep order, keep within bounds, pass errors on and end when nobody reads."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sunriza_assets.studio.engines.liveportrait.pipeline import batched, prefetch


@settings(max_examples=30, deadline=None)
@given(items=st.lists(st.integers()), depth=st.integers(1, 5))
def test_everything_arrives_in_order(items: list[int], depth: int) -> None:
    assert list(prefetch(items, depth)) == items


def test_it_never_runs_further_ahead_than_it_may() -> None:
    made: list[int] = []

    def counted() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    reader = prefetch(counted(), 3)
    for taken in range(50):
        assert next(reader) == taken
        # three wait in the queue and one in the producer's hands, beside the one just taken
        assert len(made) <= taken + 1 + 3 + 1
    assert list(reader) == []


def test_an_error_is_raised_where_it_happened() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("decoder")

    reader = prefetch(failing(), 8)
    assert [next(reader), next(reader)] == [1, 2]
    with pytest.raises(KeyError, match="decoder"):
        next(reader)


def test_the_thread_ends_when_the_reader_goes() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.set()

    before = threading.active_count()
    reader = prefetch(endless(), 2, name="endless")
    assert next(reader) == 0
    reader.close()
    assert closed.is_set()
    assert threading.active_count() == before


def test_stages_chain() -> None:
    doubled = (2 * item for item in prefetch(range(20), 2))
    assert list(prefetch(doubled, 2)) == list(range(0, 40, 2))


@given(count=st.integers(0, 30), size=st.integers(1, 7))
def test_batches(count: int, size: int) -> None:
    batches = list(batched(range(count), size))
    assert [item for batch in batches for item in batch] == list(range(count))
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(batches)
