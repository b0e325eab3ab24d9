"""Which process did this, and does it still live? A name that outlasts the process it names.

A process id alone is given again to others; together with the machine and the start time it is not.
"""

import os
import socket
from functools import cache
from typing import Final

import psutil

__all__ = ["is_gone", "this_process"]

_CLOCK_S: Final = 1.0
"""By so much a start time may seem to move while the machine's clock is set right."""


def this_process() -> str:
    """host:pid:start time of this process."""
    return _named(os.getpid())


def is_gone(process: str) -> bool:
    """Whether a process of this machine has ended; of another machine's nothing is known.

    Args:
        process: what `this_process` said in it; anything else is never gone.
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
def _named(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{psutil.Process(pid).create_time():.2f}"
