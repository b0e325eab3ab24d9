"""How many processor cores this process may keep busy."""

import math
import os
from pathlib import Path
from typing import Final

__all__ = ["core_count"]

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds of processor time in each period of so many: `max 100000` or `150000 100000`."""


def core_count(quota: Path = _QUOTA) -> int:
    """Cores that affinity and the container's quota leave to this process, at least 1.

    Args:
        quota: the control group's `cpu.max`.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    try:
        limit, period = quota.read_text(encoding="ascii").split()
        return cores if limit == "max" else max(1, min(cores, math.ceil(int(limit) / int(period))))
    except (OSError, ValueError):  # no control groups of version 2 here
        return cores
