"""Convolutions with norms folded in, channels padded and upsampling absorbed in advance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from sunriza_assets.studio.engines.liveportrait.fast.overflow import Unfit

__all__ = [
    "LANES",
    "Convolution",
    "Placement",
    "UpsampledConvolution",
    "bias_of",
    "fold_norm",
    "pad_channels",
    "padded",
]

LANES: Final = 16
"""Channel counts are rounded up to a multiple of this: an AVX-512 register, a tensor-core tile.

An odd count such as 142 costs a CPU up to half of its speed, and 22 outputs cost 32 anyway.
"""
_MARGIN: Final = 1
"""Cells that a 3-wide kernel reaches beyond its own."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how precisely a network computes."""

    device: torch.device
    dtype: torch.dtype
    """Of the convolutions' weights and activations; geometry and statistics stay float32."""
    channels_last: bool = True

    @property
    def exact(self) -> "Placement":
        """The same, with channels first where that makes convolutions more exact.

        That is a CPU in float32: with 512 channels in, its channels-last kernels are off by 6e-7 of
        a result's deviation on average and by 1e-5 at most, the others by 1.5e-7 and 1.4e-6.
        """
        adds_long_runs = self.device.type == "cpu" and self.dtype == torch.float32
        return replace(self, channels_last=not adds_long_runs)

    def put(self, tensor: Tensor) -> Tensor:
        """The tensor there, in that precision, in the order of axes of this placement."""
        return self.lay(tensor.detach().to(self.device, self.dtype))

    def put_weights(self, tensor: Tensor) -> Tensor:
        """As `put`.

        Raises:
            Unfit: numbers that are finite are so no longer in that precision.
        """
        put = self.put(tensor)
        if self.dtype != torch.float32 and not put.isfinite().all():
            raise Unfit(f"Weights of up to {float(tensor.abs().max()):.3g} overflow {self.dtype}")
        return put

    def lay(self, tensor: Tensor) -> Tensor:
        """The tensor with channels last, if so they lie here and it has four or five axes."""
        formats = {4: torch.channels_last, 5: torch.channels_last_3d} if self.channels_last else {}
        return tensor.contiguous(memory_format=formats.get(tensor.ndim, torch.contiguous_format))


def padded(count: int) -> int:
    """`count` rounded up to a multiple of `LANES`: the number of channels that is computed."""
    return -(-count // LANES) * LANES


def pad_channels(tensor: Tensor, axis: int) -> Tensor:
    """Zeros appended along one axis up to a multiple of `LANES`."""
    spare = padded(tensor.shape[axis]) - tensor.shape[axis]
    return functional.pad(tensor, (*(0, 0) * (tensor.ndim - 1 - axis), 0, spare))


def bias_of(conv: nn.Conv2d | nn.Conv3d) -> Tensor:
    """The bias of a convolution that has one; shortcuts' convolutions do not."""
    if conv.bias is None:
        raise TypeError(f"{type(conv).__name__} without a bias")
    return conv.bias


def fold_norm(
    conv: nn.Conv2d | nn.Conv3d, norm: nn.BatchNorm2d | nn.BatchNorm3d
) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that equals a convolution and its batch norm."""
    deviation = (norm.get_buffer("running_var").double() + norm.eps).sqrt()
    scale = norm.weight.double() / deviation
    weight = conv.weight.double() * scale.view(-1, *(1,) * (conv.weight.ndim - 1))
    bias = (bias_of(conv).double() - norm.get_buffer("running_mean").double()) * scale
    return weight.float(), (bias + norm.bias.double()).float()


class Convolution:
    """A stride-1 convolution of odd kernel sizes, channels padded to `LANES` with zeros."""

    def __init__(self, weight: Tensor, bias: Tensor | None, placement: Placement) -> None:
        """Make it ready.

        Args:
            weight: (channels_out, channels_in, k, k) or (channels_out, channels_in, k, k, k).
            bias: (channels_out,) or None.
            placement: where it will run.

        Raises:
            Unfit: the weights overflow in the placement's precision.
        """
        self._weight = placement.put_weights(pad_channels(pad_channels(weight, 0), 1))
        self._bias = None if bias is None else placement.put_weights(pad_channels(bias, 0))
        self._padding = [size // 2 for size in weight.shape[2:]]
        self._convolve = functional.conv2d if weight.ndim == 4 else functional.conv3d

    def __call__(self, x: Tensor) -> Tensor:
        """(B, padded channels_in, ...) -> (B, padded channels_out, ...) of the same size."""
        return self._convolve(x, self._weight, self._bias, padding=self._padding)

    def of_band(self, x: Tensor) -> Tensor:
        """The same for rows that come with their margin: those above and below do not come out."""
        return self._convolve(x, self._weight, self._bias, padding=[0, *self._padding[1:]])


class UpsampledConvolution:
    """Nearest-neighbour upsampling and a 3-wide convolution as one transposed convolution.

    Behind nearest upsampling by f, a pixel's three taps along an axis fall on one or two source
    cells, so most products repeat. Collecting, for every source cell, what it gives to each of the
    f + 2 pixels that see it, gives a transposed convolution of stride f with kernel f + 2 and
    padding 1: T[k] is the sum of w[y] over all y with 0 <= k - 2 + y < f. For f = 2 in both axes of
    a picture that is 4 products a pixel in place of 9, for f = 4 it is 2.25.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, factors: Sequence[int], placement: Placement
    ) -> None:
        """Make it ready.

        Args:
            weight: (channels_out, channels_in, 3...) as for the convolution after upsampling.
            bias: (channels_out,).
            factors: upsampling of each spatial axis; 1 leaves an axis as it is.
            placement: where it will run.
        """
        collected = weight.double()
        for axis, factor in enumerate(factors, start=2):
            collected = _collect(collected, axis, factor)
        collected = pad_channels(pad_channels(collected.float(), 0), 1)
        self._weight = placement.put_weights(collected.transpose(0, 1))
        self._bias = placement.put_weights(pad_channels(bias, 0))
        self._stride = list(factors)
        transposed = (functional.conv_transpose2d, functional.conv_transpose3d)
        self._convolve = transposed[len(factors) - 2]

    def __call__(self, x: Tensor) -> Tensor:
        """(B, padded channels_in, ...) -> (B, padded channels_out, ...), each axis times factor."""
        return self._convolve(x, self._weight, self._bias, stride=self._stride, padding=_MARGIN)


def _collect(weight: Tensor, axis: int, factor: int) -> Tensor:
    """Replace an axis of three taps w by one of factor + 2 sums of them, T."""
    k = torch.arange(factor + 2)[:, None] - 2 + torch.arange(3)[None, :]
    sums = ((k >= 0) & (k < factor)).to(weight.dtype)
    return torch.tensordot(weight, sums, dims=([axis], [1])).movedim(-1, axis)
