"""Appearance feature extractor (F): a face crop becomes a volume of features, once per portrait."""

from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from sunriza_assets.studio.engines.liveportrait.networks.blocks import ConvNorm2d, ResidualBlock3d

__all__ = ["CROP_SIZE", "FEATURE_SHAPE", "AppearanceFeatureExtractor"]

CROP_SIZE: Final = 256
"""Side of the face crop that F and M see, pixels."""
FEATURE_SHAPE: Final = (32, 16, 64, 64)
"""(channels, depth, height, width) of the feature volume."""
_RESIDUAL_BLOCKS: Final = 6


class AppearanceFeatureExtractor(nn.Module):
    """0.84 M parameters, 64 GFLOP."""

    def __init__(self) -> None:
        super().__init__()
        channels, depth = FEATURE_SHAPE[:2]
        self.first = ConvNorm2d(3, 64)
        self.down_blocks = nn.ModuleList([ConvNorm2d(64, 128), ConvNorm2d(128, 256)])
        self.second = nn.Conv2d(256, channels * depth, 1)
        self.resblocks_3d = nn.Sequential()
        for index in range(_RESIDUAL_BLOCKS):
            self.resblocks_3d.add_module(f"3dr{index}", ResidualBlock3d(channels))

    def forward(self, crop: Tensor) -> Tensor:
        """Read the appearance.

        Args:
            crop: (B, 3, 256, 256) RGB in [0, 1].

        Returns:
            (B, 32, 16, 64, 64) feature volume.
        """
        x = functional.relu(self.first(crop))
        for block in self.down_blocks:
            x = functional.avg_pool2d(functional.relu(block(x)), 2)
        volume: Tensor = self.resblocks_3d(self.second(x).unflatten(1, FEATURE_SHAPE[:2]))
        return volume
