"""Keeps a CUDA graph's capture and other users of the GPU in this process apart.

While a thread captures a graph, work that another thread submits to the same device may end up in
the capture or break it: NVENC and onnxruntime use streams, allocations and synchronisations of
their own, which torch knows nothing of. Captures are rare (one for each engine and batch size) and
take a second, so everybody else waits for them. Users do not wait for each other.

Neither side may be entered again by a thread that is inside: a capture that waits in between would
never begin.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["GATE", "CaptureGate"]


class CaptureGate:
    """A lock that many users share or one capture holds; a waiting capture goes first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._users = 0
        self._captures_waiting = 0
        self._capturing = False

    @contextmanager
    def using(self) -> Iterator[None]:
        """Submit work to the GPU, at the same time as other users but not during a capture."""
        with self._changed:
            self._changed.wait_for(lambda: not self._capturing and not self._captures_waiting)
            self._users += 1
        try:
            yield
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    @contextmanager
    def capturing(self) -> Iterator[None]:
        """Capture, when the users inside have left and while none enters."""
        with self._changed:
            self._captures_waiting += 1
            try:
                self._changed.wait_for(lambda: not self._capturing and not self._users)
                self._capturing = True
            finally:
                self._captures_waiting -= 1
        try:
            yield
        finally:
            with self._changed:
                self._capturing = False
                self._changed.notify_all()


GATE: Final = CaptureGate()
"""That of this process. One for all devices: which of them NVENC uses is the driver's choice."""
