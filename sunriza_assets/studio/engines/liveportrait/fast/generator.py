"""The generator G for rendering: fewer products, fewer passes over memory.

Differences from `networks.generator`, all exact:

* Spectral weights are divided by their sigma once.
* Convolutions behind nearest upsampling read repeated pixels, see `UpsampledConvolution`.
* Scale and shift of a SPADE come out of one convolution; the 1 of (1 + gamma) is in its bias.
* Upsampling repeats pixels, so mean and variance are taken before it, and the upsampled tensor is
  never made: the low-resolution one is broadcast against its scale and shift.
* A shortcut's 1x1 convolution follows the shift without anything between them: the two are folded.

The middle blocks use `Placement.exact`: later layers multiply their errors.
"""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from sunriza_assets.studio.engines.liveportrait.fast.convolution import (
    Convolution,
    Placement,
    UpsampledConvolution,
    bias_of,
)
from sunriza_assets.studio.engines.liveportrait.fast.overflow import no_check
from sunriza_assets.studio.engines.liveportrait.networks.generator import (
    SPADE_EPSILON,
    SPADE_SLOPE,
    Spade,
    SpadeBlock,
    SpadeGenerator,
)

__all__ = ["FastGenerator"]

_BAND_ROWS: Final = 64
"""Rows of the largest maps that a CPU modulates together: few enough to stay in its cache."""
_SHUFFLE: Final = 2
"""The last convolution paints 2 x 2 pixels at a time."""


class FastGenerator:
    """Warped features in, pictures out."""

    def __init__(self, reference: SpadeGenerator, placement: Placement) -> None:
        """Take over the weights of a loaded generator."""
        self._inside, self._outside = placement.exact, placement
        self._first = Convolution(reference.fc.weight, reference.fc.bias, self._inside)
        self._middle = [_MiddleBlock(block, self._inside) for block in reference.middle_blocks()]
        self._up = [
            _UpBlock(reference.up_0, 2, placement),
            _UpBlock(reference.up_1, 4, placement),
        ]
        painter = reference.painter
        colours = painter.weight.shape[0] // _SHUFFLE**2
        # Pixel shuffle reads its channels as (colour, dy, dx); (dy, dx, colour) is how rows lie.
        order = torch.arange(len(painter.weight)).view(colours, -1).T.flatten()
        self._paint = Convolution(painter.weight[order], bias_of(painter)[order], placement)
        self._colours = colours

    def __call__(self, features: Tensor, check: Callable[[Tensor], Tensor] = no_check) -> Tensor:
        """(B, 256, 64, 64) -> (B, 512, 512, 3) RGB in [0, 1], float32 or the placement's type.

        `check` is shown the pixels before the sigmoid. What overflows anywhere on the way arrives
        there: instance norms spread it over a whole channel, and nothing hides it, for the
        rectifiers of the main path are leaky.
        """
        seen = self._inside.lay(features)
        x = self._first(seen)
        for block in self._middle:
            x = block(x, seen)
        x = self._outside.lay(x)
        for up in self._up:
            x = up(x, features)
        painted = self._paint(functional.leaky_relu_(x, SPADE_SLOPE))
        return self._shuffled(check(painted)).sigmoid()

    def _shuffled(self, painted: Tensor) -> Tensor:
        """(B, padded 12, H, W) channels (dy, dx, colour) -> (B, 2 H, 2 W, 3)."""
        used = painted[:, : self._colours * _SHUFFLE**2].permute(0, 2, 3, 1)
        cells = used.unflatten(-1, (_SHUFFLE, _SHUFFLE, self._colours))
        return cells.transpose(2, 3).flatten(3, 4).flatten(1, 2)


class _MiddleBlock:
    """A residual block that keeps channels and size."""

    def __init__(self, block: SpadeBlock, placement: Placement) -> None:
        norms, convs = (block.norm_0, block.norm_1), (block.conv_0, block.conv_1)
        self._hidden = [Convolution(*_first_layer(norm), placement) for norm in norms]
        self._modulation = [Convolution(*_scale_and_shift(norm), placement) for norm in norms]
        self._main = [Convolution(conv.weight(), conv.bias, placement) for conv in convs]

    def __call__(self, x: Tensor, features: Tensor) -> Tensor:
        """(B, 512, 64, 64) and (B, 256, 64, 64) -> (B, 512, 64, 64)."""
        inner = x
        for hide, modulate, convolve in zip(
            self._hidden, self._modulation, self._main, strict=True
        ):
            scale, shift = modulate(hide(features).relu_()).chunk(2, dim=1)
            inner = torch.addcmul(shift, normed(inner), scale)
            inner = convolve(functional.leaky_relu_(inner, SPADE_SLOPE))
        return inner.add_(x)


class _UpBlock:
    """Upsampling by two and the residual block behind it, which narrows the channels."""

    def __init__(self, block: SpadeBlock, factor: int, placement: Placement) -> None:
        """`factor` is how much larger its output is than the features."""
        self._hidden_0, self._hidden_1, self._hidden_s = (
            UpsampledConvolution(*_first_layer(norm), (factor, factor), placement)
            for norm in (block.norm_0, block.norm_1, block.norm_s)
        )
        shortcut = block.conv_s.weight()
        self._modulation_0 = Convolution(*_scale_and_shift(block.norm_0), placement)
        self._modulation_1 = Convolution(*_scale_and_shift(block.norm_1), placement)
        self._modulation_s = Convolution(*_scale_and_mixed_shift(block.norm_s, shortcut), placement)
        self._split = [shortcut.shape[1], shortcut.shape[0]]
        self._conv_0 = Convolution(block.conv_0.weight(), block.conv_0.bias, placement)
        self._conv_1 = Convolution(block.conv_1.weight(), block.conv_1.bias, placement)
        self._conv_s = Convolution(shortcut, None, placement)

    def __call__(self, x: Tensor, features: Tensor) -> Tensor:
        """(B, C, H, W) and (B, 256, 64, 64) -> (B, C', 2 H, 2 W)."""
        source = normed(x)
        inner = self._conv_0(self._modulated(source, self._hidden_0(features).relu_()))
        scale, shift = self._modulation_1(self._hidden_1(features).relu_()).chunk(2, dim=1)
        inner = torch.addcmul(shift, normed(inner), scale)
        inner = self._conv_1(functional.leaky_relu_(inner, SPADE_SLOPE))
        return self._add_shortcut(inner, source, self._hidden_s(features).relu_())

    def _modulated(self, source: Tensor, hidden: Tensor) -> Tensor:
        """norm_0 and its rectifier: (B, C, H, W) and (B, 128, 2 H, 2 W) -> (B, C, 2 H, 2 W)."""
        result = _upsampled_like(source)
        for rows in _bands(result):
            scale, shift = self._modulation_0.of_band(_with_margin(hidden, rows)).chunk(2, dim=1)
            band = result[:, :, rows]
            torch.addcmul(_cells(shift), _repeated(source, rows), _cells(scale), out=_cells(band))
            functional.leaky_relu_(band, SPADE_SLOPE)
        return result

    def _add_shortcut(self, inner: Tensor, source: Tensor, hidden: Tensor) -> Tensor:
        """Add conv_s of the scaled input, and its shift, which is already mixed."""
        for rows in _bands(inner):
            modulation = self._modulation_s.of_band(_with_margin(hidden, rows))
            scale, shift = modulation.split(self._split, dim=1)
            scaled = torch.empty_like(scale, memory_format=torch.channels_last)
            torch.mul(_cells(scale), _repeated(source, rows), out=_cells(scaled))
            inner[:, :, rows] += self._conv_s(scaled).add_(shift)
        return inner


def _first_layer(norm: Spade) -> tuple[Tensor, Tensor]:
    """Weight and bias of a SPADE's first convolution."""
    return norm.first.weight, bias_of(norm.first)


def _scale_and_shift(norm: Spade) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that gives (1 + gamma, beta)."""
    gamma, beta = norm.mlp_gamma, norm.mlp_beta
    bias = torch.cat([1 + bias_of(gamma), bias_of(beta)])
    return torch.cat([gamma.weight, beta.weight]), bias


def _scale_and_mixed_shift(norm: Spade, shortcut: Tensor) -> tuple[Tensor, Tensor]:
    """The same, with beta already sent through the shortcut's 1x1 convolution.

    conv_s(n (1 + gamma) + beta) = conv_s(n (1 + gamma)) + conv_s(beta), and two convolutions in a
    row with nothing between them are one, with far fewer channels.
    """
    gamma, beta = norm.mlp_gamma, norm.mlp_beta
    mix = shortcut.flatten(1).double()
    mixed = torch.tensordot(mix, beta.weight.double(), dims=1).float()
    bias = torch.cat([1 + bias_of(gamma), (mix @ bias_of(beta).double()).float()])
    return torch.cat([gamma.weight, mixed]), bias


def normed(x: Tensor) -> Tensor:
    """Instance norm: every channel of every picture with mean 0 and variance 1; channels last."""
    if x.is_cuda:
        return _normed_by_sums(x)
    # The CPU's own instance norm is for channels first; its batch norm, on a batch of one, is not.
    pictures = [
        functional.batch_norm(picture, None, None, training=True, eps=SPADE_EPSILON)
        for picture in x.split(1)
    ]
    return pictures[0] if len(pictures) == 1 else torch.cat(pictures)


def _normed_by_sums(x: Tensor) -> Tensor:
    """The same in two reductions, float32 whatever the type of x, and one pass."""
    mean = x.mean(dim=(2, 3), keepdim=True, dtype=torch.float32)
    power = torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True, dtype=torch.float32).square()
    variance = power / x[0, 0].numel() - mean.square()
    scale = torch.rsqrt(variance.clamp_min(0) + SPADE_EPSILON)
    return torch.addcmul((-mean * scale).to(x.dtype), x, scale.to(x.dtype))


def _bands(x: Tensor) -> list[slice]:
    """Row ranges of a picture that are worked on together."""
    height = x.shape[2] if x.is_cuda else _BAND_ROWS
    return [slice(row, min(row + height, x.shape[2])) for row in range(0, x.shape[2], height)]


def _with_margin(x: Tensor, rows: slice) -> Tensor:
    """(B, C, H, W) -> these rows and one more on either side, zeros outside the picture."""
    above, below = int(rows.start == 0), int(rows.stop == x.shape[2])
    band = x[:, :, rows.start - 1 + above : rows.stop + 1 - below]
    return functional.pad(band, (0, 0, above, below)) if above or below else band


def _upsampled_like(x: Tensor) -> Tensor:
    """(B, C, H, W) -> room for (B, C, 2 H, 2 W), channels last."""
    size = (*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    return torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def _cells(x: Tensor) -> Tensor:
    """(B, C, 2 H, 2 W) -> (B, C, H, 2, W, 2), the pixels of each cell side by side; a view."""
    return x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))


def _repeated(x: Tensor, rows: slice) -> Tensor:
    """(B, C, H, W) -> (B, C, h, 1, W, 1): what lies under those rows of the upsampled picture."""
    return x[:, :, rows.start // 2 : rows.stop // 2, None, :, None]
