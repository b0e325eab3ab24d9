"""Unique names of processes, and whether the process of a name still runs.

Process ids are reused; host, process id and start time together are not.
"""

import os
import socket
from functools import cache
from typing import Final

import psutil

__all__ = ["is_gone", "this_process"]

_CLOCK_S: Final = 1.0
"""Tolerance of start times: adjusting the machine's clock shifts them."""


def this_process() -> str:
    """host:pid:start time of this process."""
    return _name_of(os.getpid())


def is_gone(process: str) -> bool:
    """Whether a process of this machine has ended; False for processes of other machines.

    Args:
        process: a name that `this_process` returned; for any other text the answer is False.
    """
    host, _, rest = process.partition(":")
    pid, _, started = rest.partition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(started)) > _CLOCK_S
    except (psutil.NoSuchProcess, ValueError):
        return True


@cache
def _name_of(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{psutil.Process(pid).create_time():.2f}"
