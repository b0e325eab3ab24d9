"""The stopwatch that measures a step: its seconds by stage, its memory and its bytes.

    with Stopwatch(engine="mesh", engine_version="1") as watch:
        with watch.stage("decode"):
            ...
        for frame in watch.iterate("render", frames, gpu=True):
            with watch.stage("encode"):
                ...
        watch.count(frames=250, bytes_out=path.stat().st_size)
    metadata = watch.record().to_dict()

Stages are exclusive: at every moment exactly one of them runs, the innermost, or `other`. So they
add up to the step's wall time by construction, also in a streaming pipeline where decoding,
rendering and encoding take turns. Durations come from a monotonic clock; the wall clock is read
once, to be shown.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, ClassVar, Final, Self, TypeVar

from sunriza_assets.cores import core_count
from sunriza_assets.costs.devices import Device, accelerator, cpu, loaded_cuda
from sunriza_assets.costs.memory import PeakMemory
from sunriza_assets.costs.record import CacheState, StepRecord

__all__ = ["OTHER", "Stopwatch"]

Item = TypeVar("Item")

OTHER: Final = "other"
"""The stage that runs when no other does."""
_CPU: Final = False
_MICROSECOND: Final = 6
_COUNTED: Final = frozenset(
    {"frames", "clip_frames", "clip_s", "bytes_in", "bytes_out", "egress_bytes"}
)


class Stopwatch:
    """Measures one step, from entering the `with` block to leaving it (by an error, too).

    Stages belong to the thread that entered the block. A stage in another thread overlaps with
    them; its seconds are part of the stage in which the first thread waits, and are not added.

    Args:
        engine: name of the engine that works here, if one does.
        engine_version: its version.
        queued_at: Unix time at which the step was asked for; a clock that stood later than now
            gives no queue time rather than a wrong one.
        head_start: (stage, seconds) of the step before its stopwatch was started.
        device: what the step runs on. By default the CPU, unless a stage with `gpu=True` ran while
            this process held an accelerator through torch.
        cold: whether the step pays for loading its engine. By default: no step of this process
            named that engine before.
    """

    _seen_engines: ClassVar[set[str | None]] = set()

    def __init__(
        self,
        *,
        engine: str | None = None,
        engine_version: str | None = None,
        queued_at: float | None = None,
        head_start: tuple[str, float] | None = None,
        device: Device | None = None,
        cold: bool | None = None,
        clock: Callable[[], float] = time.perf_counter,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.engine = engine
        """May be set inside the block, for a step that chooses its engine."""
        self.engine_version = engine_version
        self.device = device
        self._queued_at = queued_at
        self._cold = cold
        self._clock = clock
        self._wall_clock = wall_clock
        self._memory = PeakMemory()
        self._stack: list[tuple[str, bool]] = [(OTHER, _CPU)]
        self._seconds: dict[str, float] = {} if head_start is None else dict([head_start])
        self._gpu_s = 0.0
        self._used_gpu = False
        self._counts: dict[str, float] = {}
        self._cache: CacheState | None = None
        self._cache_saved_s: float | None = None
        self._thread: int | None = None
        self._head_start_s = 0.0
        self._started_at = self._cpu_before = self._start = self._mark = 0.0
        self._running = False
        self._frozen: StepRecord | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start measuring, for a step that one `with` block cannot enclose."""
        if self._thread is not None:
            raise RuntimeError("A stopwatch measures one step; take a new one")
        self._thread = threading.get_ident()
        self._head_start_s = sum(self._seconds.values())
        self._started_at = self._wall_clock() - self._head_start_s
        self._cpu_before = _cpu_seconds()
        self._memory.start()
        if (cuda := loaded_cuda()) is not None:
            cuda.reset_peak_memory_stats()
        self._running = True
        self._start = self._mark = self._clock()

    def stop(self) -> None:
        """Stop measuring; no effect on a stopwatch that does not run."""
        if not self._running:
            return
        self._account()
        self._frozen = self._build_record()
        self._running = False
        self._memory.stop()
        self._seen_engines.add(self.engine)

    @contextmanager
    def stage(self, name: str, *, gpu: bool = False) -> Iterator[None]:
        """Count the time inside the block for stage `name`, less that of stages inside it.

        Args:
            name: a word such as decode, detect, extract, render, encode, upload.
            gpu: the stage runs on the accelerator if this process holds one. Its end waits for the
                accelerator, so that queued work is counted where it was ordered.
        """
        with self._timed_stage(name, gpu=gpu):
            try:
                yield
            finally:
                if gpu and (cuda := loaded_cuda()) is not None:
                    cuda.synchronize()

    def iterate(self, name: str, items: Iterable[Item], *, gpu: bool = False) -> Iterator[Item]:
        """Pass `items` on, counting for stage `name` the time in which each is made.

        The time of the consumer counts for the stage that the consumer is in. When the consumer
        stops early, `items` is closed. Unlike `stage` this never waits for the accelerator: work
        that was queued ahead goes on beside the consumer.
        """
        source = iter(items)
        try:
            while True:
                with self._timed_stage(name, gpu=gpu):
                    try:
                        item = next(source)
                    except StopIteration:
                        return
                yield item
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                with self._timed_stage(name, gpu=gpu):
                    close()

    def count(self, **amounts: float | None) -> None:
        """Add to `frames`, `clip_frames`, `clip_s`, `bytes_in`, `bytes_out`, `egress_bytes`.

        None adds nothing; an amount that was never counted stays unknown.
        """
        if unknown := amounts.keys() - _COUNTED:
            raise TypeError(f"A stopwatch does not count {', '.join(sorted(unknown))}")
        for name, amount in amounts.items():
            if amount is not None:
                self._counts[name] = self._counts.get(name, 0) + amount

    def cache_hit(self, saved_s: float | None = None) -> None:
        """A cached result was taken; `saved_s` is what making it had taken, when that is known."""
        self._cache, self._cache_saved_s = "hit", saved_s

    def cache_miss(self) -> None:
        """There was no cached result."""
        self._cache, self._cache_saved_s = "miss", None

    @property
    def elapsed_s(self) -> float:
        """Seconds since the step began; its whole length once the block was left."""
        if self._frozen is not None:
            return self._frozen.wall_s
        return max(0.0, self._clock() - self._start) + self._head_start_s

    def record(self) -> StepRecord:
        """The record: inside the block what was measured so far, after it the final one."""
        if self._frozen is not None:
            return self._frozen
        if not self._running:
            raise RuntimeError("The stopwatch was never started: use it in a with statement")
        self._account()
        return self._build_record()

    @contextmanager
    def _timed_stage(self, name: str, *, gpu: bool) -> Iterator[None]:
        if not self._running or threading.get_ident() != self._thread:
            yield
            return
        self._account()
        self._stack.append((name, gpu))
        try:
            yield
        finally:
            self._used_gpu = self._used_gpu or (gpu and accelerator() is not None)
            self._account()
            self._stack.pop()

    def _account(self) -> None:
        """Count the time since the last change for the stage that runs."""
        now = self._clock()
        # A clock that steps back gives nothing rather than a negative stage.
        passed = max(0.0, now - self._mark)
        name, gpu = self._stack[-1]
        self._seconds[name] = self._seconds.get(name, 0.0) + passed
        if gpu:
            self._gpu_s += passed
        self._mark = now

    def _build_record(self) -> StepRecord:
        stages = {name: round(spent, _MICROSECOND) for name, spent in self._seconds.items()}
        device = self.device or (self._used_gpu and accelerator()) or cpu()
        cuda = loaded_cuda()
        queue_s = None if self._queued_at is None else self._started_at - self._queued_at
        counts: dict[str, Any] = {
            name: amount if name == "clip_s" else int(amount)
            for name, amount in self._counts.items()
        }
        return StepRecord(
            wall_s=round(sum(self._seconds.values()), _MICROSECOND),
            device=device.name,
            device_kind=device.kind,
            cores=core_count(),
            stages=stages,
            queue_s=None if queue_s is None or queue_s < 0 else round(queue_s, _MICROSECOND),
            cpu_s=round(max(0.0, _cpu_seconds() - self._cpu_before), _MICROSECOND),
            gpu_s=0.0 if device.kind == "cpu" else round(self._gpu_s, _MICROSECOND),
            peak_memory_bytes=self._memory.read(),
            peak_memory_method=self._memory.method,
            peak_gpu_memory_bytes=None if cuda is None else cuda.max_memory_reserved(),
            cache=self._cache,
            cache_saved_s=self._cache_saved_s,
            cold=self.engine not in self._seen_engines if self._cold is None else self._cold,
            engine=self.engine,
            engine_version=self.engine_version,
            started_at=round(self._started_at, _MICROSECOND),
            **counts,
        )


def _cpu_seconds() -> float:
    """User and system seconds of this process and of the children it has waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
