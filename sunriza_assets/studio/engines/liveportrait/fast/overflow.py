"""Noticing numbers that are not finite before a later step makes plausible ones of them.

A rectifier turns minus infinity into 0, a sigmoid plus infinity into 1, sampling at a place that is
no number gives 0: an overflown picture looks like a grey or a torn one and holds finite numbers
alone. So networks show a `Watch` what they compute in half precision before any such step. A watch
adds each tensor up, which takes one pass over it and no waiting for the device: the sum, in
float32, is finite if and only if all numbers are (no tensor holds float16 numbers enough to add up
to what float32 cannot hold).
"""

import torch
from torch import Tensor

__all__ = ["Unfit", "Watch", "unwatched"]


class Unfit(ArithmeticError):  # noqa: N818 - says of weights what they are
    """Weights that are not finite in the precision that they were asked in."""


class Watch:
    """Sees tensors pass, and tells afterwards whether all of them were finite."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Note a tensor; returns it."""
        total = x.sum(dtype=torch.float32)
        self._sum = total if self._sum is None else self._sum + total
        return x

    def finite(self) -> Tensor:
        """() bool on the device of what was seen: whether it all was finite."""
        if self._sum is None:
            raise ValueError("Nothing has been seen")
        return self._sum.isfinite()


def unwatched(x: Tensor) -> Tensor:
    """The tensor as it is, for who does not want to know."""
    return x
