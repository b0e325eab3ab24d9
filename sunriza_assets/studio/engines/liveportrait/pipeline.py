"""Pipelining: a bounded prefetch of an iterable in a thread, and batching.

Decoding, networks and encoding wait for different resources (a file, a GPU, another core).
Prefetching lets them run at the same time, with memory bounded by the queue's depth.
"""

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

__all__ = ["batched", "prefetch"]

T = TypeVar("T")

_POLL_INTERVAL_S: Final = 0.1
"""Interval at which a blocked producer checks whether its reader has stopped."""


@dataclass(frozen=True)
class _EndOfItems:
    """The last item of a queue."""

    error: BaseException | None


class _ReaderStopped(Exception):  # noqa: N818 - a signal, no error
    """The reader has closed the generator."""


class _Prefetcher(Generic[T]):
    """A thread that walks an iterable and queues what it yields."""

    def __init__(self, items: Iterable[T], depth: int, name: str) -> None:
        self._items = items
        self._queue: queue.Queue[T | _EndOfItems] = queue.Queue(depth)
        self._reader_stopped = threading.Event()
        self._thread = threading.Thread(target=self._produce, name=name, daemon=True)

    def iterate(self) -> Generator[T]:
        self._thread.start()
        try:
            while True:
                item = self._queue.get()
                if isinstance(item, _EndOfItems):
                    if item.error is not None:
                        raise item.error
                    return
                yield item
        finally:
            self._reader_stopped.set()
            self._thread.join()

    def _produce(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                self._put(item)
        except _ReaderStopped:
            pass
        except BaseException as caught:  # noqa: BLE001 - raised anew where the items are read
            error = caught
        finally:
            if isinstance(self._items, Generator):
                self._items.close()  # in the thread that ran it: it may hold a decoder or a stream
            with suppress(_ReaderStopped):
                self._put(_EndOfItems(error))

    def _put(self, item: T | _EndOfItems) -> None:
        while True:
            if self._reader_stopped.is_set():
                raise _ReaderStopped
            with suppress(queue.Full):
                self._queue.put(item, timeout=_POLL_INTERVAL_S)
                return


def prefetch(items: Iterable[T], depth: int, *, name: str = "ahead") -> Generator[T]:
    """Walk an iterable in a thread of its own, at most `depth` items before the reader.

    An error of the iterable is raised at the place in the stream where it happened. When the reader
    stops early or the generator is closed, the thread ends after the item it is working on.

    Args:
        items: anything iterable; walked by the other thread alone.
        depth: items that may wait, >= 1.
        name: of the thread, as stack dumps show it.
    """
    return _Prefetcher(items, depth, name).iterate()


def batched(items: Iterable[T], size: int) -> Generator[list[T]]:
    """Lists of `size` items, the last one perhaps shorter."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
