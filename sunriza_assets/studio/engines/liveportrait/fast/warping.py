"""The warping module W for rendering: the portrait's share done once, the rest in few steps.

What changes against `networks.warping`, all exact:

* Batch norms are folded into their convolutions.
* What depends on the portrait alone (compressed features, their background, the source's heat
  maps) is kept in a `WarpSource`.
* The 21 shifted copies and the heat maps are made one axis at a time, see `sampling`.
* The channel that is always zero is dropped, and the others are grouped so that they can be written
  where they are needed; the weights that read them are permuted once.
* Upsampling is absorbed, see `UpsampledConvolution`.
* The mixed field is the identity plus the mixed shifts: no volume of 22 grids.
* The two 7-wide convolutions with few outputs are done as products that fill the machine, see
  `wide`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sunriza_assets.studio.engines.liveportrait.fast.convolution import (
    Convolution,
    Placement,
    UpsampledConvolution,
    bias_of,
    fold_norm,
    padded,
)
from sunriza_assets.studio.engines.liveportrait.fast.overflow import no_check
from sunriza_assets.studio.engines.liveportrait.fast.sampling import heat_maps, shifted_volumes
from sunriza_assets.studio.engines.liveportrait.fast.wide import (
    OcclusionConvolution,
    mask_convolution,
)
from sunriza_assets.studio.engines.liveportrait.networks.appearance import FEATURE_SHAPE
from sunriza_assets.studio.engines.liveportrait.networks.motion import KEYPOINTS
from sunriza_assets.studio.engines.liveportrait.networks.warping import (
    MOTIONS,
    THIRD_SLOPE,
    WarpingModule,
    identity_grid,
    sample_volume,
)

__all__ = ["FastWarping", "WarpSource"]

_DEPTH, _HEIGHT, _WIDTH = FEATURE_SHAPE[1:]


@dataclass(frozen=True)
class WarpSource:
    """What W needs of a portrait."""

    volume: Tensor
    """(1, 32, 16, 64, 64) appearance features, float32."""
    keypoints: Tensor
    """(1, 21, 3) keypoints, float32."""
    compressed: Tensor
    """(4, 16, 64, 64) what the motion network sees of the features, float32."""
    background: Tensor
    """(16, 64, 64, 4) the same, sampled at the identity grid, float32."""
    heat: Tensor
    """(1, 16, 64, 64, 21) heat maps of the keypoints, float32."""


class FastWarping:
    """Keypoints in, warped features out, for one portrait and any number of poses."""

    def __init__(self, reference: WarpingModule, placement: Placement) -> None:
        """Take over the weights of a loaded warping module."""
        dense = reference.dense_motion_network
        encoder, decoder = dense.hourglass.encoder, dense.hourglass.decoder
        self._compressed = len(dense.compress.weight)
        inputs = torch.tensor(_input_order(self._compressed))
        geometry = Placement(placement.device, torch.float32)
        compress_weight, compress_bias = fold_norm(dense.compress, dense.norm)
        self._compress_weight = geometry.put(compress_weight.flatten(1))
        self._compress_bias = geometry.put(compress_bias)
        self._down = []
        for number, block in enumerate(encoder.blocks()):
            weight, bias = fold_norm(block.conv, block.norm)
            weight = weight[:, inputs] if number == 0 else weight
            self._down.append(Convolution(weight, bias, placement))
        self._up = [
            UpsampledConvolution(*fold_norm(block.conv, block.norm), (1, 2, 2), placement)
            for block in decoder.blocks()
        ]
        weight, bias = fold_norm(decoder.conv, decoder.norm)
        above = weight.shape[1] - MOTIONS * (self._compressed + 1)
        order = torch.cat([torch.arange(above), above + inputs])
        self._mix = Convolution(weight[:, order], bias, placement)
        self._mask = mask_convolution(dense.mask.weight, bias_of(dense.mask), _DEPTH, placement)
        self._occlusion = OcclusionConvolution(
            dense.occlusion.weight, bias_of(dense.occlusion), _DEPTH, placement
        )
        self._third = Convolution(*fold_norm(reference.third.conv, reference.third.norm), placement)
        self._fourth = Convolution(reference.fourth.weight, reference.fourth.bias, placement)
        self._identity = identity_grid(like=torch.empty(0, device=placement.device))
        self._placement = placement

    def prepare(self, volume: Tensor, keypoints: Tensor) -> WarpSource:
        """Do once what depends on the portrait alone.

        Args:
            volume: (1, 32, 16, 64, 64) from the appearance feature extractor, float32.
            keypoints: (1, 21, 3) of the portrait, float32.
        """
        compressed = torch.einsum("ck,kzyx->czyx", self._compress_weight, volume[0])
        compressed = (compressed + self._compress_bias[:, None, None, None]).relu_()
        still = torch.zeros(1, 1, 3, device=volume.device)
        return WarpSource(
            volume=volume,
            keypoints=keypoints,
            compressed=compressed,
            background=shifted_volumes(compressed, still)[0, ..., 0, :],
            heat=heat_maps(keypoints, (_DEPTH, _HEIGHT, _WIDTH)),
        )

    def __call__(
        self, source: WarpSource, driving: Tensor, check: Callable[[Tensor], Tensor] = no_check
    ) -> Tensor:
        """Warp one portrait to B poses.

        Args:
            source: the portrait.
            driving: (B, 21, 3) keypoints to move to, float32.
            check: shown all that may overflow, before that is hidden.

        Returns:
            (B, 256, 64, 64) what the generator paints from, in the placement's precision.
        """
        deformation, occlusion = self.motion(source, driving, check)
        volume = source.volume.expand(len(driving), -1, -1, -1, -1)
        moved = self._placement.put(sample_volume(volume, deformation).flatten(1, 2))
        x = functional.leaky_relu_(self._third(moved), THIRD_SLOPE)
        return check(self._fourth(x)).mul_(occlusion)

    def motion(
        self, source: WarpSource, driving: Tensor, check: Callable[[Tensor], Tensor] = no_check
    ) -> tuple[Tensor, Tensor]:
        """(B, 16, 64, 64, 3) where every cell comes from, and (B, 1, 64, 64) what can be seen."""
        shift = source.keypoints - driving
        mixed = self._hourglass(check(self._inputs(source, driving, shift)), check)
        shares = check(self._mask(mixed)).softmax(dim=-1)
        deformation = self._identity + _times(shares[..., 1:], shift)
        return deformation, check(self._occlusion(mixed)).sigmoid().to(mixed.dtype)

    def _inputs(self, source: WarpSource, driving: Tensor, shift: Tensor) -> Tensor:
        """(B, 112, 16, 64, 64): 21 heat maps, 4 of the background, 21 x 4 shifted, 3 of zeros."""
        used = KEYPOINTS + MOTIONS * self._compressed
        inputs = driving.new_zeros(
            (len(driving), _DEPTH, _HEIGHT, _WIDTH, padded(used)), dtype=self._placement.dtype
        )
        heat, features = inputs[..., :KEYPOINTS], inputs[..., KEYPOINTS:used]
        heat.copy_(heat_maps(driving, (_DEPTH, _HEIGHT, _WIDTH)) - source.heat)
        motions = features.unflatten(-1, (MOTIONS, self._compressed))
        motions[..., 0, :] = source.background
        motions[..., 1:, :] = shifted_volumes(source.compressed, shift)
        return inputs.permute(0, 4, 1, 2, 3)

    def _hourglass(self, inputs: Tensor, check: Callable[[Tensor], Tensor]) -> Tensor:
        """(B, 112, 16, 64, 64) -> (B, 144, 16, 64, 64), all channels last.

        Each level is watched behind its rectifier: that keeps plus infinity and NaN,
        and 0 is right for minus infinity.
        """
        x, skips = inputs, []
        for down in self._down:
            skips.append(x)
            x = _halved(check(down(x).relu_()))
        for up in self._up:
            x = torch.cat([check(up(x).relu_()), skips.pop()], dim=1)
        return check(self._mix(x).relu_())


def _input_order(compressed: int) -> list[int]:
    """Channel of the published hourglass input that each of ours is.

    There, motion k holds channels 5 k .. 5 k + 4: its heat map, then its four shifted features;
    four is `compressed`.
    """
    step = compressed + 1
    heat = [step * k for k in range(1, MOTIONS)]
    features = [step * k + j for k in range(MOTIONS) for j in range(1, step)]
    return heat + features


def _halved(x: Tensor) -> Tensor:
    """Average pool over 2 x 2 cells of every depth; the slices are pictures of one batch."""
    slices = x.permute(0, 2, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)
    pooled = functional.avg_pool2d(slices, 2).permute(0, 2, 3, 1)
    return pooled.unflatten(0, (len(x), -1)).permute(0, 4, 1, 2, 3)


def _times(shares: Tensor, shift: Tensor) -> Tensor:
    """(B, D, H, W, K) shares of (B, K, 3) shifts -> (B, D, H, W, 3)."""
    size = shares.shape[1:4]
    return torch.bmm(shares.flatten(1, 3), shift).unflatten(1, size)
