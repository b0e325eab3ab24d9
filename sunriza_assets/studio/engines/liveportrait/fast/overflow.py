"""Detection of numbers that are not finite before a later step turns them into finite ones.

A rectifier turns minus infinity into 0, a sigmoid plus infinity into 1, sampling at a place that is
no number gives 0: an overflown picture looks like a grey or a torn one and holds finite numbers
alone. So networks show a `FiniteCheck` what they compute in half precision before any such step. It
adds each tensor up, which takes one pass over it and no waiting for the device: the sum, in
float32, is finite if and only if all numbers are (no tensor holds float16 numbers enough to add up
to what float32 cannot hold).
"""

import torch
from torch import Tensor

__all__ = ["FiniteCheck", "Unfit", "no_check"]


class Unfit(ArithmeticError):  # noqa: N818
    """The weights are not finite in the requested precision."""


class FiniteCheck:
    """Accumulates tensors; `finite` says whether all of their numbers were."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Add a tensor; returns it unchanged."""
        total = x.sum(dtype=torch.float32)
        self._sum = total if self._sum is None else self._sum + total
        return x

    def finite(self) -> Tensor:
        """() bool on the tensors' device: whether all numbers were finite."""
        if self._sum is None:
            raise ValueError("Nothing has been seen")
        return self._sum.isfinite()


def no_check(x: Tensor) -> Tensor:
    """The tensor unchanged; the default where overflow is not checked."""
    return x
