"""A short benchmark of this machine, for estimates before the ledger has any run of it.

About 0.1 s of gathering and blending pixels, as engines do it, compared with the same work on the
machine that the priors of `estimates` were measured on. Wall time is used, so that load from other
processes counts.
"""

import time
from functools import lru_cache
from statistics import median
from typing import Final

import numpy as np

__all__ = ["host_time_factor"]

REFERENCE_S: Final = 0.045
"""CPU seconds of one round where the priors were measured."""
_ROUNDS: Final = 3
_PIXELS: Final = 512 * 512
_PASSES: Final = 6


@lru_cache(maxsize=1)
def host_time_factor() -> float:
    """Time here over time on the reference machine, 1 is equal; measured once per process."""
    rounds = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        _work()
        rounds.append(time.perf_counter() - begin)
    return median(rounds) / REFERENCE_S


def _work() -> None:
    pixels = np.linspace(0.0, 1.0, 3 * _PIXELS, dtype=np.float32).reshape(-1, 3)
    sources = (np.arange(_PIXELS) * 7919) % _PIXELS
    for _ in range(_PASSES):
        drawn = pixels[sources]
        drawn *= 0.9
        drawn += pixels
        drawn.astype(np.uint8)
        np.sqrt(drawn, out=drawn)
