"""Watching other processes come and go."""

import time
from collections.abc import Callable

import psutil

__all__ = ["has_ended", "wait_for"]


def has_ended(process: psutil.Process) -> bool:
    """Whether it is over, even if nobody has asked yet how it ended."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Look again and again until something is so; fail if it never is."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
