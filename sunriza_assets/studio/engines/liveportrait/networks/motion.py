"""Motion extractor (M): a face crop becomes keypoints, head angles and an expression.

The backbone is ConvNeXt V2 (arXiv 2301.00808) in its tiny size, whose blocks end in global response
normalisation instead of a layer scale.
"""

from itertools import pairwise
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ANGLE_BINS", "KEYPOINTS", "MotionExtractor", "RawMotion"]

KEYPOINTS: Final = 21
"""Implicit keypoints of a face."""
ANGLE_BINS: Final = 66
"""Classes of three degrees that an angle is read from."""
_DEPTHS: Final = (3, 3, 9, 3)
_WIDTHS: Final = (96, 192, 384, 768)
_EPSILON: Final = 1e-6


class RawMotion(NamedTuple):
    """The seven heads' outputs as they are."""

    pitch: Tensor
    """(B, 66) logits."""
    yaw: Tensor
    """(B, 66) logits."""
    roll: Tensor
    """(B, 66) logits."""
    t: Tensor
    """(B, 3) translation."""
    exp: Tensor
    """(B, 63) expression, x, y, z fastest."""
    scale: Tensor
    """(B, 1) scale, linear."""
    kp: Tensor
    """(B, 63) canonical keypoints, x, y, z fastest."""


class ChannelNorm(nn.Module):
    """Layer norm over the channels of a (B, C, H, W) tensor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape, each pixel with mean 0 and variance 1 over C."""
        last = x.permute(0, 2, 3, 1)
        normed = functional.layer_norm(last, self.weight.shape, self.weight, self.bias, _EPSILON)
        return normed.permute(0, 3, 1, 2)


class GlobalResponseNorm(nn.Module):
    """Channels compete by their energy over the whole picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        energy = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
        response = energy / (energy.mean(dim=-1, keepdim=True) + _EPSILON)
        return self.gamma * (x * response) + self.beta + x


class ConvNextBlock(nn.Module):
    """Depthwise 7x7, then a pointwise bottleneck four times as wide, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=_EPSILON)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.grn = GlobalResponseNorm(4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        inner = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        inner = self.pwconv2(self.grn(functional.gelu(self.pwconv1(inner))))
        return x + inner.permute(0, 3, 1, 2)


class _Detector(nn.Module):
    """The backbone and its seven heads."""

    def __init__(self) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, _WIDTHS[0], 4, stride=4), ChannelNorm(_WIDTHS[0]))
        self.downsample_layers = nn.ModuleList([stem])
        for narrow, wide in pairwise(_WIDTHS):
            self.downsample_layers.append(
                nn.Sequential(ChannelNorm(narrow), nn.Conv2d(narrow, wide, 2, stride=2))
            )
        self.stages = nn.ModuleList(
            nn.Sequential(*(ConvNextBlock(width) for _ in range(depth)))
            for depth, width in zip(_DEPTHS, _WIDTHS, strict=True)
        )
        self.norm = nn.LayerNorm(_WIDTHS[-1], eps=_EPSILON)
        self.fc_kp = nn.Linear(_WIDTHS[-1], 3 * KEYPOINTS)
        self.fc_scale = nn.Linear(_WIDTHS[-1], 1)
        self.fc_pitch = nn.Linear(_WIDTHS[-1], ANGLE_BINS)
        self.fc_yaw = nn.Linear(_WIDTHS[-1], ANGLE_BINS)
        self.fc_roll = nn.Linear(_WIDTHS[-1], ANGLE_BINS)
        self.fc_t = nn.Linear(_WIDTHS[-1], 3)
        self.fc_exp = nn.Linear(_WIDTHS[-1], 3 * KEYPOINTS)

    def forward(self, x: Tensor) -> RawMotion:
        for reduce, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(reduce(x))
        pooled = self.norm(x.mean(dim=(2, 3)))
        return RawMotion(
            pitch=self.fc_pitch(pooled),
            yaw=self.fc_yaw(pooled),
            roll=self.fc_roll(pooled),
            t=self.fc_t(pooled),
            exp=self.fc_exp(pooled),
            scale=self.fc_scale(pooled),
            kp=self.fc_kp(pooled),
        )


class MotionExtractor(nn.Module):
    """28 M parameters, 12 GFLOP."""

    def __init__(self) -> None:
        super().__init__()
        self.detector = _Detector()

    def forward(self, crop: Tensor) -> RawMotion:
        """(B, 3, 256, 256) RGB in [0, 1] -> the raw outputs of the heads."""
        raw: RawMotion = self.detector(crop)
        return raw
