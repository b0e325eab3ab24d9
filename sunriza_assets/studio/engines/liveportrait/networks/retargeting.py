"""The three small perceptrons that correct keypoints: stitching, eyes, lips."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from sunriza_assets.studio.engines.liveportrait.networks.motion import KEYPOINTS

__all__ = ["EyeRetargeting", "LipRetargeting", "Stitching"]


class _Perceptron(nn.Module):
    """Linear layers with rectifiers between them, none at the end."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(sizes):
            layers += [nn.Linear(narrow, wide), nn.ReLU()]
        self.mlp = nn.Sequential(*layers[:-1])


class Stitching(_Perceptron):
    """Holds shoulders and border in place while the head moves."""

    def __init__(self) -> None:
        super().__init__((6 * KEYPOINTS, 128, 128, 64, 3 * KEYPOINTS + 2))

    def forward(self, source: Tensor, driving: Tensor) -> Tensor:
        """(N, 21, 3) keypoints twice -> (N, 65): 63 offsets, then (x, y) for all keypoints."""
        delta: Tensor = self.mlp(torch.cat([source.flatten(1), driving.flatten(1)], dim=1))
        return delta


class EyeRetargeting(_Perceptron):
    """Opens and closes the eyes to a wanted ratio."""

    def __init__(self) -> None:
        super().__init__((3 * KEYPOINTS + 3, 256, 256, 128, 128, 64, 3 * KEYPOINTS))

    def forward(self, source: Tensor, ratios: Tensor) -> Tensor:
        """Offsets of the keypoints.

        Args:
            source: (N, 21, 3) keypoints of the portrait.
            ratios: (N, 3) its left and right eye opening, and the wanted one.

        Returns:
            (N, 21, 3).
        """
        delta: Tensor = self.mlp(torch.cat([source.flatten(1), ratios], dim=1))
        return delta.unflatten(1, (KEYPOINTS, 3))


class LipRetargeting(_Perceptron):
    """Opens and closes the lips to a wanted ratio."""

    def __init__(self) -> None:
        super().__init__((3 * KEYPOINTS + 2, 128, 128, 64, 3 * KEYPOINTS))

    def forward(self, source: Tensor, ratios: Tensor) -> Tensor:
        """Offsets of the keypoints.

        Args:
            source: (N, 21, 3) keypoints of the portrait.
            ratios: (N, 2) its lip opening, and the wanted one.

        Returns:
            (N, 21, 3).
        """
        delta: Tensor = self.mlp(torch.cat([source.flatten(1), ratios], dim=1))
        return delta.unflatten(1, (KEYPOINTS, 3))
