"""The motion network's two 7-wide convolutions, which have few outputs and so starve a machine."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from sunriza_assets.studio.engines.liveportrait.fast.convolution import (
    Convolution,
    Placement,
    pad_channels,
)

__all__ = ["FourierMask", "OcclusionConvolution", "SlicedMask", "mask_convolution"]


def mask_convolution(
    weight: Tensor, bias: Tensor, depth: int, placement: Placement
) -> Callable[[Tensor], Tensor]:
    """The 142 -> 22 convolution of 7 x 7 x 7, in the form that suits the place.

    Args:
        weight: (22, 142, 7, 7, 7).
        bias: (22,).
        depth: slices of its input.
        placement: where it will run.

    Returns:
        (B, 144, depth, H, W) channels last -> (B, depth, H, W, 22) float32.
    """
    if placement.device.type == "cpu" and placement.dtype == torch.float32:
        return FourierMask(weight, bias, depth, placement)
    return SlicedMask(weight, bias, placement)


class SlicedMask:
    """The seven taps along the depth as outputs of a flat convolution, added up afterwards.

    22 outputs would fill less than half of a tensor core's columns; 154 fill five of them.
    """

    def __init__(self, weight: Tensor, bias: Tensor, placement: Placement) -> None:
        """See `mask_convolution`."""
        self._taps, self._outputs = weight.shape[2], len(weight)
        by_tap = weight.permute(2, 0, 1, 3, 4).flatten(0, 1)  # all outputs of a tap, tap by tap
        self._flat = Convolution(by_tap, None, placement)
        self._bias = placement.put_weights(bias).float()

    def __call__(self, x: Tensor) -> Tensor:
        """(B, 144, D, H, W) channels last -> (B, D, H, W, 22) float32."""
        depth, reach = x.shape[2], self._taps // 2
        slices = x.permute(0, 2, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)
        answers = self._flat(slices).permute(0, 2, 3, 1).unflatten(0, (-1, depth))
        answers = answers[..., : self._taps * self._outputs].unflatten(-1, (self._taps, -1))
        result = self._bias.expand(*answers.shape[:4], -1).clone()
        for tap in range(self._taps):
            offset = tap - reach  # this tap reads the slice that lies so much further back
            written = slice(max(0, -offset), min(depth, depth - offset))
            read = slice(max(0, offset), min(depth, depth + offset))
            result[:, written] += answers[:, read, :, :, tap]
        return result


class FourierMask:
    """The seven taps along the depth as one product a frequency.

    Sixteen slices and a reach of three make sequences of 19 that do not wrap into what is wanted.
    Their discrete Fourier transform has one real and nine complex frequencies, and a complex
    product is four real ones: 37 flat convolutions in place of the 100 that taps and slices pair
    up to. The transforms are matrix products with 19 x 16 numbers and lose no digits worth telling.
    """

    def __init__(self, weight: Tensor, bias: Tensor, depth: int, placement: Placement) -> None:
        """See `mask_convolution`."""
        self._outputs, _, taps = weight.shape[:3]
        reach = taps // 2
        length = depth + reach + (depth + reach + 1) % 2  # odd: no lonely real frequency at the end
        unit = 2 * math.pi / length * torch.arange(length // 2 + 1, dtype=torch.float64)[:, None]
        angle = unit * torch.arange(depth)
        analysis = torch.cat([angle.cos(), -angle[1:].sin()])
        synthesis = torch.cat([angle.cos(), -angle[1:].sin()]) * 2 / length
        synthesis[0] /= 2
        self._analysis = placement.put(analysis)
        self._synthesis = placement.put(synthesis.T)
        self._bias = placement.put(bias)
        # Tap t reads slice n + t - reach, so as a filter it stands at reach - t.
        delay = unit * (reach - torch.arange(taps))
        real = torch.einsum("kt,octyx->kocyx", delay.cos(), weight.double()).float()
        imaginary = torch.einsum("kt,octyx->kocyx", -delay.sin(), weight.double()).float()
        self._still = Convolution(real[0], None, placement)
        self._of_real = [
            Convolution(torch.cat([re, im]), None, placement)
            for re, im in zip(real[1:], imaginary[1:], strict=True)
        ]
        self._of_imaginary = [
            Convolution(torch.cat([-im, re]), None, placement)
            for re, im in zip(real[1:], imaginary[1:], strict=True)
        ]

    def __call__(self, x: Tensor) -> Tensor:
        """(B, 144, D, H, W) channels last -> (B, D, H, W, 22) float32."""
        volume = x.permute(0, 2, 3, 4, 1)
        spectrum = torch.matmul(self._analysis, volume.flatten(2)).unflatten(2, volume.shape[2:])
        rows = [row.permute(0, 3, 1, 2) for row in spectrum.unbind(1)]
        count = len(self._of_real)
        answers = [self._still(rows[0])[:, : self._outputs]]
        imaginary = []
        for number in range(count):
            both = self._of_real[number](rows[1 + number])
            both += self._of_imaginary[number](rows[1 + count + number])
            answers.append(both[:, : self._outputs])
            imaginary.append(both[:, self._outputs : 2 * self._outputs])
        stacked = torch.stack([row.permute(0, 2, 3, 1) for row in answers + imaginary], dim=1)
        result = torch.matmul(self._synthesis, stacked.flatten(2)).unflatten(2, stacked.shape[2:])
        return result.add_(self._bias)


class OcclusionConvolution:
    """The 2272 -> 1 convolution of 7 x 7 as one product for all taps, then 49 shifted sums.

    One output leaves every machine idle; the 49 taps as outputs are a matrix product.
    """

    def __init__(self, weight: Tensor, bias: Tensor, depth: int, placement: Placement) -> None:
        """Make it ready.

        Args:
            weight: (1, channels * depth, 7, 7), the depth fastest.
            bias: (1,).
            depth: slices of its input.
            placement: where it will run.
        """
        self._size = weight.shape[-1]
        taps = weight[0].unflatten(0, (-1, depth)).flatten(2)
        taps = taps.flip(2)  # `fold` scatters where a convolution gathers
        self._taps = placement.put_weights(pad_channels(taps.permute(1, 0, 2), 1))
        self._bias = placement.put_weights(bias).float()

    def __call__(self, x: Tensor) -> Tensor:
        """(B, 144, D, H, W) channels last -> (B, 1, H, W) float32."""
        slices = x.permute(0, 2, 3, 4, 1).flatten(2, 3)
        answers = torch.matmul(slices, self._taps).sum(dim=1, dtype=torch.float32)
        summed = functional.fold(
            answers.transpose(1, 2), x.shape[3:], self._size, padding=self._size // 2
        )
        return summed + self._bias
