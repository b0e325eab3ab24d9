"""Threads of the engine process, and the booking of what they do."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from sunriza_assets.cores import core_count
from sunriza_assets.costs.calls import CallBook
from sunriza_assets.costs.devices import Device, cpu
from sunriza_assets.errors import LimitError
from sunriza_assets.studio.media.forking import ForkServer

__all__ = ["Work", "all_or_none"]

T = TypeVar("T")

_MOST_INSPECTIONS: Final = 1
_MOST_TRIMS: Final = 2


class Work:
    """Pools of threads whose work is booked to owners. To be used from one event loop.

    Drawing gives up Python's lock for most of its time, so on a CPU one thread for each core draws
    and encodes. An accelerator is used by turns: there one thread draws, and others encode.

    Args:
        book: what is done is counted there.
        decoders: their CPU seconds are counted, too.
        engine: name and version of the engine that draws.
        device: what it draws on.
    """

    def __init__(
        self, book: CallBook, decoders: ForkServer, *, engine: tuple[str, str], device: Device
    ) -> None:
        self._book = book
        self._decoders = decoders
        self._engine = engine
        self._device = device
        cores = core_count()
        self.any = ThreadPoolExecutor(cores, "work")
        """For decoding and encoding."""
        self.draw = self.any if device.kind == "cpu" else ThreadPoolExecutor(1, "draw")
        """For what the engine does."""
        self.inspect = ThreadPoolExecutor(_MOST_INSPECTIONS, "inspect")
        """For the input coach, which takes seconds."""
        self.trim = ThreadPoolExecutor(_MOST_TRIMS, "trim")
        """For waiting for the processes that trim."""
        self._pending: dict[str, int] = {}

    @property
    def has_accelerator(self) -> bool:
        """Whether the engine draws on an accelerator."""
        return self._device.kind != "cpu"

    async def run(
        self,
        pool: ThreadPoolExecutor,
        kind: str,
        owner: str | None,
        function: Callable[[], T],
        *,
        calls: int = 0,
    ) -> tuple[T, float]:
        """Do something in a pool's thread; its result, and the wall seconds it took there.

        Args:
            pool: one of this object's.
            kind: what it is booked as.
            owner: whom it is booked to; also when it fails.
            function: what to do; it must not hand work to other threads.
            calls: how many pictures or clips are finished by it.
        """
        drawing = pool is self.draw
        on_accelerator = drawing and self.has_accelerator

        def measured() -> tuple[T, float]:
            wall, used = time.perf_counter(), self._thread_cpu_s()
            done = 0
            try:
                result = function()
                done = calls
            finally:
                seconds = time.perf_counter() - wall
                self._book.add(
                    kind,
                    owner,
                    device=self._device if on_accelerator else cpu(),
                    wall_s=seconds,
                    cpu_s=max(0.0, self._thread_cpu_s() - used),
                    gpu_s=seconds if on_accelerator else 0.0,
                    calls=done,
                    engine=self._engine[0] if drawing else None,
                    engine_version=self._engine[1] if drawing else None,
                )
            return result, seconds

        return await asyncio.get_running_loop().run_in_executor(pool, measured)

    @contextmanager
    def room(
        self, kind: str, most: int, *, what: str, units: int = 1, retry_after_s: float
    ) -> Iterator[None]:
        """Inside the block so many units of a kind are at work or wait for a thread.

        Args:
            kind: the error's code.
            most: units of all callers together.
            what: what they are, for the error.
            units: how many are added.
            retry_after_s: what the error advises.

        Raises:
            LimitError: there are too many already.
        """
        pending = self._pending.get(kind, 0)
        if pending + units > most:
            raise LimitError(
                f"{pending} {what} are at work already",
                remedy="Try again in a few seconds.",
                code=kind,
                retry_after_s=retry_after_s,
            )
        self._pending[kind] = pending + units
        try:
            yield
        finally:
            self._pending[kind] -= units

    def close(self) -> None:
        """Let the threads end when they have done what they are at."""
        for pool in {self.any, self.draw, self.inspect, self.trim}:
            pool.shutdown(wait=False, cancel_futures=True)

    def _thread_cpu_s(self) -> float:
        """CPU seconds of this thread and of the decoders it has waited for."""
        return time.thread_time() + self._decoders.thread_cpu_s


async def all_or_none(
    parts: Iterable[Coroutine[Any, Any, T]], undo: Callable[[T], None]
) -> list[T]:
    """Results of all; if one fails the others are undone, and its error is raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(result, BaseException):
                undo(result)
        raise
