"""Putting the painted crop back into the whole picture, on whatever device it was painted.

Only the part of the picture that the crop can touch is worked on, and only that travels to the
host. Rounding follows the published pipeline: what is painted is truncated to eight bits, the
turned crop and the turned mask are rounded to them, and the mixture is truncated.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sunriza_assets.studio.contracts.engine import Image

__all__ = ["PasteBack", "soft_square", "to_bytes"]

_SOFT_EDGE: Final = 16
"""Pixels of the crop over which its edge fades out."""


def to_bytes(pictures: Tensor) -> Tensor:
    """Pictures in [0, 1] -> uint8, truncated."""
    return (pictures.float().clamp(0, 1) * 255).to(torch.uint8)


def soft_square(size: int = 512) -> NDArray[np.uint8]:
    """(size, size) mask of a crop: 255 inside, quarter circles and ramps to 0 at the edge."""
    distance = np.minimum(np.arange(size), size - np.arange(size))
    near = 1 - np.minimum(distance / _SOFT_EDGE, 1)
    radius = np.sqrt(near[None, :] ** 2 + near[:, None] ** 2)
    return np.floor(255 * np.clip(1 - radius, 0, 1)).astype(np.uint8)


@dataclass(frozen=True)
class PasteBack:
    """One portrait, ready to take crops."""

    picture: Image
    """(H, W, 3) the whole portrait."""
    rows: slice
    """Rows that a crop can touch."""
    columns: slice
    """Columns that a crop can touch."""
    _grid: Tensor
    """(1, h, w, 2) where each of these pixels is in the crop, normalised."""
    _mask: Tensor
    """(h, w, 1) share of the crop, 0-1."""
    _background: Tensor
    """(h, w, 3) the portrait there, float."""

    @classmethod
    def onto(
        cls, picture: Image, to_crop: NDArray[np.float64], size: int, device: torch.device
    ) -> "PasteBack":
        """Prepare a portrait.

        Args:
            picture: the whole portrait.
            to_crop: (3, 3) from its pixels to those of a crop.
            size: side of a crop.
            device: where crops will come from.
        """
        rows, columns = _bounding_box(picture, to_crop, size)
        y, x = np.meshgrid(
            np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop), indexing="ij"
        )
        places = np.stack([x, y], axis=-1) @ to_crop[:2, :2].T + to_crop[:2, 2]
        normalised = (2 * places + 1) / size - 1
        grid = torch.from_numpy(normalised.astype(np.float32))[None].to(device)
        template = torch.from_numpy(soft_square(size)).to(device).float()[None, None]
        mask = _sample(template, grid)[0].permute(1, 2, 0) / 255
        background = torch.from_numpy(picture[rows, columns].copy()).to(device).float()
        return cls(picture, rows, columns, grid, mask, background)

    def regions(self, crops: Tensor) -> Tensor:
        """Turn crops into what the portrait shows there.

        Args:
            crops: (B, size, size, 3) uint8.

        Returns:
            (B, h, w, 3) uint8, still on the device.
        """
        turned = [
            _sample(crop[None].permute(0, 3, 1, 2).float(), self._grid) for crop in crops
        ]  # one at a time: a large portrait in float32 for a whole batch would be gigabytes
        mixed = [self._blend(one[0].permute(1, 2, 0)) for one in turned]
        return torch.stack(mixed)

    def _blend(self, crop: Tensor) -> Tensor:
        mixed = self._mask * crop + (1 - self._mask) * self._background
        return mixed.clamp(0, 255).to(torch.uint8)

    def frame(self, region: NDArray[np.uint8]) -> Image:
        """The whole portrait with one region (h, w, 3) laid over it; a new array."""
        result = self.picture.copy()
        result[self.rows, self.columns] = region
        return result


def _sample(picture: Tensor, grid: Tensor) -> Tensor:
    """Bilinear, black outside, rounded: (1, C, H, W) of 0-255 at (1, h, w, 2) -> (1, C, h, w)."""
    return functional.grid_sample(
        picture, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    ).round()


def _bounding_box(picture: Image, to_crop: NDArray[np.float64], size: int) -> tuple[slice, slice]:
    """Rows and columns around the turned square, inside the picture, at least one of each."""
    height, width = picture.shape[:2]
    corners = np.array([[-1, -1, 1], [size, -1, 1], [-1, size, 1], [size, size, 1]], np.float64)
    x, y, _ = np.linalg.inv(to_crop) @ corners.T
    left, right = (int(np.clip(v, 0, width - 1)) for v in (np.floor(x.min()), np.ceil(x.max())))
    top, bottom = (int(np.clip(v, 0, height - 1)) for v in (np.floor(y.min()), np.ceil(y.max())))
    return slice(top, bottom + 1), slice(left, right + 1)
