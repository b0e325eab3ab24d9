"""The highest resident memory of this process while a step runs.

On Linux the kernel keeps the high-water mark (VmHWM) and lets a process reset its own, so the peak
is exact and costs nothing. Elsewhere, and where that file may not be written, a thread polls the
resident size every 20 ms. The memory of child processes is not in it.
"""

import threading
from pathlib import Path
from typing import ClassVar, Final

__all__ = ["PeakMemory"]

_CLEAR_REFS: Final = Path("/proc/self/clear_refs")
_STATUS: Final = Path("/proc/self/status")
_RESET_PEAK: Final = "5"
"""What `clear_refs` takes to set VmHWM back to the present size (proc_pid_clear_refs(5))."""
_SAMPLE_EVERY_S: Final = 0.02


class PeakMemory:
    """Measures from `start` to `stop`; several may run at once, one inside another too."""

    _running: ClassVar[list["PeakMemory"]] = []
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self.method: str = "high_water"
        self._peak = 0
        self._done = threading.Event()
        self._sampler: threading.Thread | None = None

    def start(self) -> None:
        """Start measuring; nested measurements keep the peak that they have reached so far."""
        with self._lock:
            mark = _high_water()
            for other in self._running:
                other._peak = max(other._peak, mark or 0)
            if mark is None or not _reset_high_water():
                self._start_sampler()
            self._running.append(self)

    def read(self) -> int:
        """Bytes at the peak so far."""
        if self._sampler is None:
            self._peak = max(self._peak, _high_water() or 0)
        else:
            self._sample()
        return self._peak

    def stop(self) -> None:
        """End; `read` no longer rises."""
        with self._lock:
            if self in self._running:
                self.read()
                self._running.remove(self)
        self._done.set()
        if self._sampler is not None:
            self._sampler.join()

    def _start_sampler(self) -> None:
        self.method = "sampled"
        self._sample()
        self._sampler = threading.Thread(target=self._sample_loop, name="peak-memory", daemon=True)
        self._sampler.start()

    def _sample_loop(self) -> None:
        while not self._done.wait(_SAMPLE_EVERY_S):
            self._sample()

    def _sample(self) -> None:
        import psutil

        self._peak = max(self._peak, psutil.Process().memory_info().rss)


def _high_water() -> int | None:
    """VmHWM in bytes, or None where the kernel has no such value."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:  # not Linux
        pass
    return None


def _reset_high_water() -> bool:
    """Set VmHWM back to the present size; False where that is not allowed."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:  # not Linux, or a sandbox
        return False
    return True
