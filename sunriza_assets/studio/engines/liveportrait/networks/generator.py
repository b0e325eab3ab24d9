"""SPADE generator (G): paints the picture from warped features.

Every block is normalised and then modulated, pixel by pixel, by what the features say there
(spatially adaptive normalisation, arXiv 1903.07291). Convolutions of the main path carry spectral
normalisation (arXiv 1802.05957) with the vectors that training left behind.
"""

from dataclasses import dataclass
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "MIDDLE_BLOCKS",
    "SPADE_EPSILON",
    "SPADE_SLOPE",
    "GeneratorSizes",
    "SpadeGenerator",
    "SpectralConv2d",
]

MIDDLE_BLOCKS: Final = 6
SPADE_EPSILON: Final = 1e-5
"""Added to the variance of instance norm."""
SPADE_SLOPE: Final = 0.2
"""Of the leaky rectifiers."""


@dataclass(frozen=True)
class GeneratorSizes:
    """How wide G is; the defaults are those of the published weights."""

    features: int = 256
    """Channels of what it paints from."""
    hidden: int = 128
    """Channels between a modulation's two convolutions."""
    channels: int = 512
    """Channels of the middle blocks, a multiple of 128."""


class SpectralConv2d(nn.Module):
    """A convolution whose weight is divided by its largest singular value, as training knew it.

    `weight_u` and `weight_v` are the singular vectors' last estimates; at inference they are
    fixed, and sigma = u . (W v) with W the weight as a (C_out, C_in * k * k) matrix.
    """

    def __init__(self, channels_in: int, channels_out: int, size: int, *, bias: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels_out)) if bias else None
        self.weight_orig = nn.Parameter(torch.zeros(channels_out, channels_in, size, size))
        self.register_buffer("weight_u", torch.zeros(channels_out))
        self.register_buffer("weight_v", torch.zeros(channels_in * size * size))

    def weight(self) -> Tensor:
        """(channels_out, channels_in, k, k) the weight that is convolved with."""
        u, v = self.get_buffer("weight_u"), self.get_buffer("weight_v")
        sigma = torch.dot(u, torch.mv(self.weight_orig.flatten(1), v))
        return self.weight_orig / sigma

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) -> (B, channels_out, H, W)."""
        return functional.conv2d(x, self.weight(), self.bias, padding="same")


class Spade(nn.Module):
    """Instance norm without parameters of its own; scale and shift are painted by the features."""

    def __init__(self, channels: int, sizes: GeneratorSizes) -> None:
        super().__init__()
        first = nn.Conv2d(sizes.features, sizes.hidden, 3, padding=1)
        self.mlp_shared = nn.Sequential(first, nn.ReLU())
        self.mlp_gamma = nn.Conv2d(sizes.hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(sizes.hidden, channels, 3, padding=1)

    @property
    def first(self) -> nn.Conv2d:
        """The convolution that reads the features."""
        return cast(nn.Conv2d, self.mlp_shared[0])

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """(B, C, H, W) and (B, 256, 64, 64) -> (B, C, H, W)."""
        normed = functional.instance_norm(x, eps=SPADE_EPSILON)
        hidden = self.mlp_shared(functional.interpolate(features, size=x.shape[2:]))
        return normed * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)


class SpadeBlock(nn.Module):
    """Two modulated convolutions added to the input, or to a modulated 1x1 of it."""

    def __init__(self, channels_in: int, channels_out: int, sizes: GeneratorSizes) -> None:
        super().__init__()
        self.widens = channels_in != channels_out
        between = min(channels_in, channels_out)
        self.conv_0 = SpectralConv2d(channels_in, between, 3, bias=True)
        self.conv_1 = SpectralConv2d(between, channels_out, 3, bias=True)
        self.norm_0 = Spade(channels_in, sizes)
        self.norm_1 = Spade(between, sizes)
        if self.widens:
            self.conv_s = SpectralConv2d(channels_in, channels_out, 1, bias=False)
            self.norm_s = Spade(channels_in, sizes)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """(B, channels_in, H, W) and (B, 256, 64, 64) -> (B, channels_out, H, W)."""
        shortcut = self.conv_s(self.norm_s(x, features)) if self.widens else x
        inner = self.conv_0(functional.leaky_relu(self.norm_0(x, features), SPADE_SLOPE))
        inner = self.conv_1(functional.leaky_relu(self.norm_1(inner, features), SPADE_SLOPE))
        return shortcut + inner


class SpadeGenerator(nn.Module):
    """55 M parameters, 892 GFLOP in the published sizes."""

    def __init__(self, sizes: GeneratorSizes = GeneratorSizes()) -> None:
        super().__init__()
        wide, medium, slim = sizes.channels, sizes.channels // 2, sizes.channels // 8
        self.fc = nn.Conv2d(sizes.features, wide, 3, padding=1)
        for index in range(MIDDLE_BLOCKS):
            self.add_module(f"G_middle_{index}", SpadeBlock(wide, wide, sizes))
        self.up_0 = SpadeBlock(wide, medium, sizes)
        self.up_1 = SpadeBlock(medium, slim, sizes)
        self.conv_img = nn.Sequential(nn.Conv2d(slim, 12, 3, padding=1), nn.PixelShuffle(2))

    @property
    def painter(self) -> nn.Conv2d:
        """The convolution that gives the pixels."""
        return cast(nn.Conv2d, self.conv_img[0])

    def middle_blocks(self) -> list[SpadeBlock]:
        """The six blocks at 64 x 64, in order."""
        return [getattr(self, f"G_middle_{index}") for index in range(MIDDLE_BLOCKS)]

    def forward(self, features: Tensor) -> Tensor:
        """(B, 256, 64, 64) warped features -> (B, 3, 512, 512) RGB in [0, 1]."""
        x = self.fc(features)
        for block in self.middle_blocks():
            x = block(x, features)
        x = self.up_0(functional.interpolate(x, scale_factor=2.0), features)
        x = self.up_1(functional.interpolate(x, scale_factor=2.0), features)
        picture: Tensor = self.conv_img(functional.leaky_relu(x, SPADE_SLOPE))
        return picture.sigmoid()
