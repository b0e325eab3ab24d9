"""Concurrency pools: how many steps of a kind run at once, over all runs of an instance."""

from typing import Final

__all__ = ["GPU_POOL"]

GPU_POOL: Final = "gpu"
"""Steps in this pool never outnumber the GPUs; `sunriza deploy init` sets the limit."""
