"""Warping module (W): moves the portrait's feature volume to where the driving keypoints are.

Coordinates are normalised: x right, y down, z into the picture, each axis from -1 at the middle of
the first cell to 1 at the middle of the last. Volumes are nevertheless sampled with
`align_corners=False`, where -1 is the outer edge of the first cell. The published weights were
trained with that mismatch, so sampling at the identity grid is not the identity, and must not be.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sunriza_assets.studio.engines.liveportrait.networks.appearance import FEATURE_SHAPE
from sunriza_assets.studio.engines.liveportrait.networks.blocks import ConvNorm2d, ConvNorm3d
from sunriza_assets.studio.engines.liveportrait.networks.motion import KEYPOINTS

__all__ = [
    "COMPRESSED",
    "HEAT_VARIANCE",
    "MOTIONS",
    "THIRD_SLOPE",
    "WarpingModule",
    "WarpingSizes",
    "axis_coordinates",
    "identity_grid",
    "sample_volume",
]

COMPRESSED: Final = 4
"""Channels of the features that the motion network takes."""
MOTIONS: Final = KEYPOINTS + 1
"""One per keypoint, and number 0: the background, which stands still."""
HEAT_VARIANCE: Final = 0.01
"""Of the Gaussian around each keypoint, normalised units squared."""
THIRD_SLOPE: Final = 0.01
_HALVE: Final = (1, 2, 2)
"""Depth is kept all the way through the hourglass."""


@dataclass(frozen=True)
class WarpingSizes:
    """How wide W is; the defaults are those of the published weights."""

    compressed: int = COMPRESSED
    """Channels of the features that the motion network takes."""
    hourglass: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Channels of the encoder's levels, fine to coarse, multiples of 32."""
    kernel: int = 7
    """Side of the mask's and the occlusion's kernels, odd."""
    features: int = 256
    """Channels of what comes out."""

    @property
    def inputs(self) -> int:
        """Channels that go into the hourglass: a heat map and features for each motion."""
        return MOTIONS * (self.compressed + 1)

    @property
    def outputs(self) -> int:
        """Channels that come out of the hourglass."""
        return self.hourglass[0] // 2 + self.inputs


def axis_coordinates(count: int, *, like: Tensor) -> Tensor:
    """(count,) coordinates of the cells of one axis, -1 to 1."""
    return torch.linspace(-1.0, 1.0, count, dtype=like.dtype, device=like.device)


def identity_grid(*, like: Tensor) -> Tensor:
    """(16, 64, 64, 3) coordinates (x, y, z) of every cell of the volume."""
    z, y, x = (axis_coordinates(count, like=like) for count in FEATURE_SHAPE[1:])
    grid_z, grid_y, grid_x = torch.meshgrid(z, y, x, indexing="ij")
    return torch.stack([grid_x, grid_y, grid_z], dim=-1)


def sample_volume(volume: Tensor, grid: Tensor) -> Tensor:
    """Trilinear, nothing outside. (B, C, D, H, W) at (B, D', H', W', 3) -> (B, C, D', H', W')."""
    return functional.grid_sample(
        volume, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


class _Encoder(nn.Module):
    def __init__(self, sizes: WarpingSizes) -> None:
        super().__init__()
        channels = (sizes.inputs, *sizes.hourglass)
        self.down_blocks = nn.ModuleList(
            ConvNorm3d(above, below) for above, below in pairwise(channels)
        )

    def blocks(self) -> list[ConvNorm3d]:
        """The five levels, fine to coarse."""
        return [cast(ConvNorm3d, block) for block in self.down_blocks]

    def forward(self, x: Tensor) -> list[Tensor]:
        """The input and the five ever smaller maps."""
        maps = [x]
        for block in self.down_blocks:
            x = functional.avg_pool3d(functional.relu(block(x)), _HALVE)
            maps.append(x)
        return maps


class _Decoder(nn.Module):
    def __init__(self, sizes: WarpingSizes) -> None:
        super().__init__()
        self.up_blocks = nn.ModuleList()
        skipped = 0
        for wide in reversed(sizes.hourglass):
            self.up_blocks.append(ConvNorm3d(wide + skipped, wide // 2))
            skipped = wide // 2
        self.conv = nn.Conv3d(sizes.outputs, sizes.outputs, 3, padding=1)
        self.norm = nn.BatchNorm3d(sizes.outputs)

    def blocks(self) -> list[ConvNorm3d]:
        """The five levels, coarse to fine."""
        return [cast(ConvNorm3d, block) for block in self.up_blocks]

    def forward(self, maps: list[Tensor]) -> Tensor:
        x, *skips = reversed(maps)
        for block, skip in zip(self.up_blocks, skips, strict=True):
            up = functional.interpolate(x, scale_factor=tuple(map(float, _HALVE)))
            x = torch.cat([functional.relu(block(up)), skip], dim=1)
        return functional.relu(self.norm(self.conv(x)))


class _Hourglass(nn.Module):
    def __init__(self, sizes: WarpingSizes) -> None:
        super().__init__()
        self.encoder = _Encoder(sizes)
        self.decoder = _Decoder(sizes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 110, 16, 64, 64) -> (B, 142, 16, 64, 64)."""
        mixed: Tensor = self.decoder(self.encoder(x))
        return mixed


class DenseMotion(NamedTuple):
    """Where every cell of the moved volume comes from, and what is hidden."""

    deformation: Tensor
    """(B, 16, 64, 64, 3) coordinates (x, y, z) to sample the feature volume at."""
    occlusion: Tensor
    """(B, 1, 64, 64) share that can be seen, 0-1."""


class _DenseMotionNetwork(nn.Module):
    """Mixes 22 rigid shifts, one per keypoint and one of nothing, into one field."""

    def __init__(self, sizes: WarpingSizes) -> None:
        super().__init__()
        self.hourglass = _Hourglass(sizes)
        kernel, reach = sizes.kernel, sizes.kernel // 2
        self.mask = nn.Conv3d(sizes.outputs, MOTIONS, kernel, padding=reach)
        self.compress = nn.Conv3d(FEATURE_SHAPE[0], sizes.compressed, 1)
        self.norm = nn.BatchNorm3d(sizes.compressed)
        self.occlusion = nn.Conv2d(sizes.outputs * FEATURE_SHAPE[1], 1, kernel, padding=reach)

    def forward(self, volume: Tensor, driving: Tensor, source: Tensor) -> DenseMotion:
        grids = self._grids(driving, source)
        compressed = functional.relu(self.norm(self.compress(volume)))
        deformed = self._deformed(compressed, grids)
        heat = self._heat(driving) - self._heat(source)
        heat = torch.cat([torch.zeros_like(heat[:, :1]), heat], dim=1)
        mixed = self.hourglass(torch.cat([heat.unsqueeze(2), deformed], dim=2).flatten(1, 2))
        shares = self.mask(mixed).softmax(dim=1)
        return DenseMotion(
            deformation=(shares.unsqueeze(-1) * grids).sum(dim=1),
            occlusion=self.occlusion(mixed.flatten(1, 2)).sigmoid(),
        )

    @staticmethod
    def _grids(driving: Tensor, source: Tensor) -> Tensor:
        """(B, 21, 3) twice -> (B, 22, 16, 64, 64, 3) where each motion samples."""
        shift = functional.pad(source - driving, (0, 0, 1, 0))
        return identity_grid(like=driving) + shift[:, :, None, None, None, :]

    @staticmethod
    def _deformed(compressed: Tensor, grids: Tensor) -> Tensor:
        """(B, 4, 16, 64, 64) at 22 grids -> (B, 22, 4, 16, 64, 64)."""
        repeated = compressed.unsqueeze(1).repeat(1, MOTIONS, 1, 1, 1, 1)
        return sample_volume(repeated.flatten(0, 1), grids.flatten(0, 1)).unflatten(
            0, (-1, MOTIONS)
        )

    @staticmethod
    def _heat(keypoints: Tensor) -> Tensor:
        """(B, 21, 3) -> (B, 21, 16, 64, 64) a Gaussian around each keypoint."""
        offset = identity_grid(like=keypoints) - keypoints[:, :, None, None, None, :]
        return torch.exp(-0.5 * offset.square().sum(dim=-1) / HEAT_VARIANCE)


class WarpingModule(nn.Module):
    """46 M parameters, 342 GFLOP in the published sizes."""

    def __init__(self, sizes: WarpingSizes = WarpingSizes()) -> None:
        super().__init__()
        self.dense_motion_network = _DenseMotionNetwork(sizes)
        self.third = ConvNorm2d(FEATURE_SHAPE[0] * FEATURE_SHAPE[1], sizes.features)
        self.fourth = nn.Conv2d(sizes.features, sizes.features, 1)

    def forward(self, volume: Tensor, driving: Tensor, source: Tensor) -> Tensor:
        """Warp.

        Args:
            volume: (B, 32, 16, 64, 64) the portrait's features.
            driving: (B, 21, 3) keypoints to move to.
            source: (B, 21, 3) keypoints of the portrait.

        Returns:
            (B, 256, 64, 64) what the generator paints from.
        """
        motion: DenseMotion = self.dense_motion_network(volume, driving, source)
        moved = sample_volume(volume, motion.deformation).flatten(1, 2)
        x = functional.leaky_relu(self.third(moved), THIRD_SLOPE)
        return self.fourth(x) * motion.occlusion
