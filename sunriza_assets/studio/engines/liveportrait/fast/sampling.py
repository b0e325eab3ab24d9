"""Shifted copies and heat maps of the motion network, one axis at a time.

Each of the 22 motions of W shifts the whole volume by one vector. Trilinear interpolation along
shifted, axis-aligned coordinates is a product of three interpolations along one axis, and so is a
Gaussian. As matrices of 64 x 64 and 16 x 16 numbers they need no volume of coordinates, no gather,
and no 21-fold copy of the features.
"""

import torch
from torch import Tensor

from sunriza_assets.studio.engines.liveportrait.networks.warping import (
    HEAT_VARIANCE,
    axis_coordinates,
)

__all__ = ["heat_maps", "shifted_volumes"]

_AXES = "zyx"


def shifted_volumes(volume: Tensor, shift: Tensor) -> Tensor:
    """Sample one volume under many shifts, trilinear, nothing outside.

    Args:
        volume: (C, D, H, W).
        shift: (B, K, 3) added to the coordinates (x, y, z) of every cell.

    Returns:
        (B, D, H, W, K, C).
    """
    sizes = dict(zip(_AXES, volume.shape[1:], strict=True))
    along = {
        axis: _interpolation(sizes[axis], shift[..., 2 - number])
        for number, axis in enumerate(_AXES)
    }
    result = torch.einsum("bkxX,cZYX->bkxcZY", along["x"], volume)
    result = torch.einsum("bkyY,bkxcZY->bkyxcZ", along["y"], result)
    return torch.einsum("bkzZ,bkyxcZ->bzyxkc", along["z"], result)


def _interpolation(count: int, shift: Tensor) -> Tensor:
    """(B, K) shifts -> (B, K, count, count) weight of cell j in the sample for cell i.

    Cells lie on corner-aligned coordinates g, yet are sampled at ((g + 1) count - 1) / 2, so that
    shift 0 is not the identity matrix. Weights are 1 - |distance| to the sampled place, none
    beyond one cell; what lies outside the volume has no column and so counts as zero.
    """
    coordinates = axis_coordinates(count, like=shift) + shift[..., None]
    place = ((coordinates + 1) * count - 1) / 2
    cells = torch.arange(count, dtype=shift.dtype, device=shift.device)
    return (1 - (place[..., None] - cells).abs()).clamp_min(0)


def heat_maps(keypoints: Tensor, size: tuple[int, int, int]) -> Tensor:
    """exp(-|p - keypoint|^2 / (2 * 0.01)) at every cell.

    Args:
        keypoints: (B, K, 3) as (x, y, z).
        size: (D, H, W).

    Returns:
        (B, D, H, W, K).
    """
    z, y, x = (
        torch.exp(
            -0.5
            / HEAT_VARIANCE
            * (axis_coordinates(count, like=keypoints)[:, None] - keypoints[:, None, :, axis]) ** 2
        )
        for count, axis in zip(size, (2, 1, 0), strict=True)
    )
    plane = y[:, :, None] * x[:, None]
    return z[:, :, None, None] * plane[:, None]
