"""Convolution, batch norm and rectifier: the block that three of the networks are stacked from."""

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ConvNorm2d", "ConvNorm3d", "ResidualBlock3d"]


class ConvNorm2d(nn.Module):
    """3x3 convolution and batch norm; what follows them is the caller's."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) -> (B, channels_out, H, W), not yet rectified."""
        normed: Tensor = self.norm(self.conv(x))
        return normed


class ConvNorm3d(nn.Module):
    """3x3x3 convolution and batch norm; what follows them is the caller's."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels_in, channels_out, 3, padding=1)
        self.norm = nn.BatchNorm3d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, D, H, W) -> (B, channels_out, D, H, W), not yet rectified."""
        normed: Tensor = self.norm(self.conv(x))
        return normed


class ResidualBlock3d(nn.Module):
    """x + conv2(relu(norm2(conv1(relu(norm1(x))))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm3d(channels)
        self.norm2 = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, D, H, W) -> the same shape."""
        inner = self.conv1(functional.relu(self.norm1(x)))
        inner = self.conv2(functional.relu(self.norm2(inner)))
        return x + inner
