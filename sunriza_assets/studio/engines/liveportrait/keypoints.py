"""Head angles, rotations and keypoints, computed from the outputs of the motion extractor M.

Keypoints are row vectors (x, y, z) with x right, y down, z into the picture, in units in which the
face crop spans -1 to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import torch
from torch import Tensor

from sunriza_assets.studio.engines.liveportrait.networks.motion import (
    ANGLE_BINS,
    KEYPOINTS,
    RawMotion,
)

__all__ = ["Motion", "degrees", "motion_of", "rotation_matrices", "transformed"]

_BIN_DEGREES: Final = 3.0
_FIRST_BIN: Final = -97.5


def degrees(logits: Tensor) -> Tensor:
    """(..., 66) logits of classes three degrees wide -> (...) the angle they expect, degrees."""
    bins = torch.arange(ANGLE_BINS, dtype=logits.dtype, device=logits.device)
    return _BIN_DEGREES * (logits.softmax(dim=-1) * bins).sum(dim=-1) + _FIRST_BIN


def rotation_matrices(pitch: Tensor, yaw: Tensor, roll: Tensor) -> Tensor:
    """(N,) angles in degrees -> (N, 3, 3) matrices that row vectors are multiplied with.

    (Rz(roll) Ry(yaw) Rx(pitch)) transposed, each factor right-handed.
    """
    x, y, z = (torch.deg2rad(angle) for angle in (pitch, yaw, roll))
    return (_about(z, (0, 1)) @ _about(y, (2, 0)) @ _about(x, (1, 2))).transpose(1, 2)


def _about(angle: Tensor, plane: tuple[int, int]) -> Tensor:
    """(N,) radians -> (N, 3, 3) turns that take the plane's first axis towards its second."""
    first, second = plane
    matrix = torch.eye(3, dtype=angle.dtype, device=angle.device).repeat(len(angle), 1, 1)
    matrix[:, first, first] = matrix[:, second, second] = angle.cos()
    matrix[:, second, first] = angle.sin()
    matrix[:, first, second] = -angle.sin()
    return matrix


def transformed(kp: Tensor, rotation: Tensor, exp: Tensor, scale: Tensor, t: Tensor) -> Tensor:
    """scale (kp rotation + exp) + (tx, ty, 0).

    Args:
        kp: (N, 21, 3) canonical keypoints.
        rotation: (N, 3, 3).
        exp: (N, 21, 3) expression, inside the scale.
        scale: (N, 1).
        t: (N, 3) translation; its z is never used.

    Returns:
        (N, 21, 3).
    """
    shift = torch.cat([t[:, :2], torch.zeros_like(t[:, 2:])], dim=1)
    return scale[:, :, None] * (kp @ rotation + exp) + shift[:, None, :]


@dataclass(frozen=True)
class Motion:
    """The motion of N faces as M outputs it, float32 on the CPU."""

    scale: Tensor
    """(N, 1)."""
    rotation: Tensor
    """(N, 3, 3), for row vectors."""
    exp: Tensor
    """(N, 21, 3) expression offsets."""
    t: Tensor
    """(N, 3) translation."""
    kp: Tensor
    """(N, 21, 3) canonical keypoints."""

    def __len__(self) -> int:
        return len(self.scale)

    def __getitem__(self, frames: slice) -> "Motion":
        return Motion(*(getattr(self, field.name)[frames] for field in fields(self)))

    @property
    def keypoints(self) -> Tensor:
        """(N, 21, 3) where the keypoints are."""
        return transformed(self.kp, self.rotation, self.exp, self.scale, self.t)

    @classmethod
    def joined(cls, parts: Sequence["Motion"]) -> "Motion":
        """The faces of several motions, concatenated."""
        return cls(
            *(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls))
        )


def motion_of(raw: RawMotion) -> Motion:
    """Read the heads' outputs; the result is float32 on the CPU, whatever they are."""
    heads = RawMotion(*(head.to("cpu", torch.float32) for head in raw))
    return Motion(
        scale=heads.scale,
        rotation=rotation_matrices(degrees(heads.pitch), degrees(heads.yaw), degrees(heads.roll)),
        exp=heads.exp.unflatten(1, (KEYPOINTS, 3)),
        t=heads.t,
        kp=heads.kp.unflatten(1, (KEYPOINTS, 3)),
    )
