"""Work that overlaps: what comes next is made while what came last is being used.

Decoding, networks and encoding wait for different things (a file, a GPU, another core). A stage
that runs ahead of its reader by a bounded number of items lets them all work at once, and never
more memory is held than those items.
"""

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

__all__ = ["ahead", "batched"]

T = TypeVar("T")

_PATIENCE_S: Final = 0.1
"""How often a waiting producer looks whether its reader has gone."""


@dataclass(frozen=True)
class _End:
    """What a producer leaves behind when it stops."""

    error: BaseException | None


class _Abandoned(Exception):  # noqa: N818 - a signal, no error
    """The reader has gone."""


class _Stage(Generic[T]):
    """A thread that walks an iterable and queues what it yields."""

    def __init__(self, items: Iterable[T], depth: int, name: str) -> None:
        self._items = items
        self._queue: queue.Queue[T | _End] = queue.Queue(depth)
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._produce, name=name, daemon=True)

    def walk(self) -> Generator[T]:
        self._thread.start()
        try:
            while True:
                item = self._queue.get()
                if isinstance(item, _End):
                    if item.error is not None:
                        raise item.error
                    return
                yield item
        finally:
            self._abandoned.set()
            self._thread.join()

    def _produce(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                self._put(item)
        except _Abandoned:
            pass
        except BaseException as caught:  # noqa: BLE001 - raised anew where the items are read
            error = caught
        finally:
            if isinstance(self._items, Generator):
                self._items.close()  # in the thread that ran it: it may hold a decoder or a stream
            with suppress(_Abandoned):
                self._put(_End(error))

    def _put(self, item: T | _End) -> None:
        while True:
            if self._abandoned.is_set():
                raise _Abandoned
            with suppress(queue.Full):
                self._queue.put(item, timeout=_PATIENCE_S)
                return


def ahead(items: Iterable[T], depth: int, *, name: str = "ahead") -> Generator[T]:
    """Walk an iterable in a thread of its own, at most `depth` items before the reader.

    An error of the iterable is raised at the place in the stream where it happened. When the reader
    stops early or the generator is closed, the thread ends after the item it is working on.

    Args:
        items: anything iterable; walked by the other thread alone.
        depth: items that may wait, >= 1.
        name: the thread's, for whoever looks at a stack.
    """
    return _Stage(items, depth, name).walk()


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
